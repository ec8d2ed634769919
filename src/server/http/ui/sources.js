// Where a publisher's sound and picture come from: camera and microphone, the screen, the test pattern.

import {NeedsGesture, pattern} from './pattern.js';

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
    if (!navigator.mediaDevices) throw new Unavailable(INSECURE);
    return live(await (wish.kind === 'screen' ? screen(wish) : devices(wish)));
  } catch (error) {
    if (error instanceof Unavailable) throw error;
    if (error instanceof NeedsGesture) throw new Unavailable(error.message);
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
  if (!video && !audio) throw new Unavailable('There is neither a camera nor a microphone to publish.');
  return navigator.mediaDevices.getUserMedia({video, audio});
}

async function screen({width, height}) {
  if (!navigator.mediaDevices.getDisplayMedia) throw new Unavailable('This browser cannot share its screen.');
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
    case 'NotAllowedError':
      return screen
        ? 'The screen was not shared.'
        : 'The browser may not use the camera and the microphone. Allow it beside the page’s address, then try again.';
    case 'NotReadableError':
      return 'The device does not start. Another program may be using it.';
    case 'NotFoundError':
    case 'OverconstrainedError':
      return 'The chosen device is not there any more.';
    default:
      return `The browser gives no ${screen ? 'screen' : 'device'}: ${error.message || error.name}.`;
  }
}

const INSECURE = 'Browsers give camera, microphone and screen only to pages opened by https:// or on localhost. ' +
  'Open this page so, or publish the test pattern.';
