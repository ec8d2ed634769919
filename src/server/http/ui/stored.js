// What becomes of a recorded session: its upload in words, and whether it may be deleted. No DOM.

/** @typedef {{state: 'waiting' | 'uploading' | 'uploaded', error?: string}} Upload */

/**
 * How far an upload has come.
 *
 * @param {Upload | undefined} upload
 * @returns {{key: string, values: {error?: string}} | null} what to say; nothing where there is none
 */
export function standing(upload) {
  if (!upload) return null;
  const {state, error} = upload;
  const keys = {waiting: error ? 'uploadAgain' : 'uploadWaiting', uploading: 'uploadUnderWay', uploaded: 'uploadDone'};
  return keys[state] ? {key: keys[state], values: {error}} : null;
}

const WARNINGS = {
  session: {rest: 'deleteSessionText', waits: 'deleteSessionWaits'},
  file: {rest: 'deleteFileText', waits: 'deleteFileWaits'},
};

/**
 * What to warn of who wants to delete something.
 *
 * @param {'session' | 'file'} what
 * @param {Upload | undefined} upload of the session
 */
export const warning = (what, upload) => WARNINGS[what][upload && upload.state !== 'uploaded' ? 'waits' : 'rest'];

/** While it is recorded nothing of it can be deleted. */
export const mayGo = ({state}) => state !== undefined && state !== 'recording';
