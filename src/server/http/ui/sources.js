// Where a publisher's sound and picture come from: camera and microphone, the screen, the test pattern.

import {NeedsGesture, pattern} from './pattern.js';
import {t} from './room/text.js';

/** @typedef {'camera' | 'screen' | 'pattern'} Kind */
/** @typedef {{stream: MediaStream, stop: () => void}} Source */

/** Why there is no source; `message` is for the person who reads the page. */
export class Unavailable extends Error {}

/**
 * @param {object} wish
 * @param {Kind} wish.kind
 * @param {string} wish.camera a device's id, `''` for the usual one, `'none'` for no picture
 * @param {string} wish.microphone likewise
 * @param {number} wish.width of the picture, in pixels
 * @param {number} wish.height of the picture, in pixels
 * @param {string} wish.caption is shown in the test pattern
 * @returns {Promise<Source>}
 * @throws {Unavailable}
 */
export async function capture(wish) {
  try {
    if (wish.kind === 'pattern') return await pattern(wish.width, wish.height, wish.caption);
    // Browsers hide the devices from pages that anybody on the way could have changed.
    if (!navigator.mediaDevices) throw new Unavailable(t('source_insecure'));
    return live(await (wish.kind === 'screen' ? screen(wish) : devices(wish)));
  } catch (error) {
    if (error instanceof Unavailable) throw error;
    if (error instanceof NeedsGesture) throw new Unavailable(t('source_gesture'));
    throw new Unavailable(explain(error, wish.kind));
  }
}

/**
 * Cameras and microphones. Browsers name them only once the page may use them.
 *
 * @returns {Promise<{cameras: MediaDeviceInfo[], microphones: MediaDeviceInfo[]}>}
 */
export async function list() {
  const all = await navigator.mediaDevices?.enumerateDevices() ?? [];
  const named = (kind) => all.filter((device) => device.kind === kind && device.deviceId && device.label);
  return {cameras: named('videoinput'), microphones: named('audioinput')};
}

async function devices({camera, microphone, width, height}) {
  const present = (await navigator.mediaDevices.enumerateDevices()).map(({kind}) => kind);
  const chosen = (id) => id ? {deviceId: {exact: id}} : {};
  // Asking for a kind that the computer lacks would fail as a whole.
  const video = camera !== 'none' && present.includes('videoinput') &&
    {...chosen(camera), width: {ideal: width}, height: {ideal: height}, frameRate: {ideal: 30}};
  const audio = microphone !== 'none' && present.includes('audioinput') && chosen(microphone);
  if (!video && !audio) throw new Unavailable(t('source_nothing'));
  return navigator.mediaDevices.getUserMedia({video, audio});
}

async function screen({width, height}) {
  if (!navigator.mediaDevices.getDisplayMedia) throw new Unavailable(t('source_noScreen'));
  const stream = await navigator.mediaDevices.getDisplayMedia({
    video: {width: {max: width}, height: {max: height}, frameRate: {ideal: 30}}, audio: true,
  });
  // Text has to stay legible, even at fewer frames a second.
  for (const track of stream.getVideoTracks()) track.contentHint = 'detail';
  return stream;
}

function live(stream) {
  return {stream, stop: () => stream.getTracks().forEach((track) => track.stop())};
}

function explain(error, kind) {
  const screen = kind === 'screen';
  switch (error.name) {
    case 'NotAllowedError': return t(screen ? 'source_screenDenied' : 'source_denied');
    case 'NotReadableError': return t('source_busy');
    case 'NotFoundError':
    case 'OverconstrainedError': return t('source_absent');
    default: return t('source_other', {why: error.message || error.name});
  }
}
