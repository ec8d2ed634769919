// One's own camera and microphone: getting, choosing and losing them; the screen. No DOM.

/** What is asked of a camera: phones and old computers give what they can. */
const CAMERA = {width: {ideal: 1280}, height: {ideal: 720}, frameRate: {ideal: 30, max: 30}};
const MICROPHONE = {echoCancellation: true, noiseSuppression: true, autoGainControl: true};
const SCREEN = {width: {max: 1920}, height: {max: 1080}, frameRate: {ideal: 15, max: 30}};

/** @typedef {'camera' | 'microphone'} Kind */

/** Why a device cannot be had: `word` is `insecure`, `denied`, `busy`, `absent`, `unsupported` or `other`. */
export class Unavailable extends Error {
  constructor(word, kind, detail = '') {
    super(detail || word);
    this.word = word;
    this.kind = kind;
  }
}

export class Devices {
  #changed;
  #chosen;
  /** @type {Record<Kind, MediaStreamTrack | null>} */
  #tracks = {camera: null, microphone: null};
  /** Counts the wishes for each kind: what an older one brings is let go. */
  #wishes = {camera: 0, microphone: 0};
  /** @type {Record<Kind, Unavailable | null>} why there is none, if it was asked for */
  faults = {camera: null, microphone: null};

  /**
   * @param {Record<Kind, string | null>} chosen ids of devices
   * @param {(kind: Kind | 'list') => void} changed a track came or went, or the list of devices is another
   */
  constructor(chosen, changed) {
    this.#chosen = {...chosen};
    this.#changed = changed;
    navigator.mediaDevices?.addEventListener('devicechange', () => changed('list'));
  }

  /** @returns {MediaStreamTrack | null} */
  get camera() {
    return this.#tracks.camera;
  }

  /** @returns {MediaStreamTrack | null} */
  get microphone() {
    return this.#tracks.microphone;
  }

  /** Id of the device that was chosen, or null for the usual one. */
  chosen(kind) {
    return this.#chosen[kind];
  }

  /** Asks for both at once, so that the browser asks the person once; what is refused is tried one by one. */
  async openBoth() {
    const wishes = [++this.#wishes.camera, ++this.#wishes.microphone];
    try {
      const stream = await ask({video: this.#wanted('camera'), audio: this.#wanted('microphone')}, 'camera');
      this.#take('camera', wishes[0], stream.getVideoTracks()[0]);
      this.#take('microphone', wishes[1], stream.getAudioTracks()[0]);
    } catch {
      await Promise.allSettled([this.open('microphone'), this.open('camera')]);
    }
  }

  /**
   * Turns one on, perhaps another than before. The old one goes when the new one is there.
   *
   * @param {Kind} kind
   * @param {string | null} [id] of the device
   * @returns {Promise<MediaStreamTrack>}
   * @throws {Unavailable}
   */
  async open(kind, id = this.#chosen[kind]) {
    const wish = ++this.#wishes[kind];
    this.#chosen[kind] = id;
    try {
      const track = await this.#get(kind);
      this.#take(kind, wish, track);
      return track;
    } catch (error) {
      if (wish === this.#wishes[kind]) this.#fail(kind, error);
      throw error;
    }
  }

  /**
   * Chooses another. It is turned on in the place of the one that is on, or of the one that did not start.
   *
   * @param {Kind} kind
   * @param {string | null} id of the device; null: the usual one
   */
  async choose(kind, id) {
    this.#chosen[kind] = id;
    if (this.#tracks[kind] || this.faults[kind]) await this.open(kind, id).catch(() => {});
  }

  /** Turns one off; its light goes out. */
  close(kind) {
    this.#wishes[kind]++;
    this.faults[kind] = null;
    this.#replace(kind, null);
  }

  /** All devices that have names. Browsers name them only once the page may use them. */
  async list() {
    const all = await navigator.mediaDevices?.enumerateDevices() ?? [];
    const named = (kind) => all.filter((device) => device.kind === kind && device.deviceId && device.label);
    return {camera: named('videoinput'), microphone: named('audioinput'), speaker: named('audiooutput')};
  }

  async #get(kind) {
    const medium = kind === 'camera' ? 'video' : 'audio';
    try {
      return (await ask({[medium]: this.#wanted(kind)}, kind)).getTracks()[0];
    } catch (error) {
      // The chosen one was unplugged since: any other is better than none.
      if (error.word !== 'absent' || !this.#chosen[kind]) throw error;
      this.#chosen[kind] = null;
      return (await ask({[medium]: this.#wanted(kind)}, kind)).getTracks()[0];
    }
  }

  #wanted(kind) {
    const id = this.#chosen[kind];
    return {...kind === 'camera' ? CAMERA : MICROPHONE, ...id ? {deviceId: {exact: id}} : {}};
  }

  #take(kind, wish, track) {
    if (wish !== this.#wishes[kind]) return track.stop();
    track.contentHint = kind === 'camera' ? 'motion' : 'speech';
    track.addEventListener('ended', () => this.#tracks[kind] === track && this.#lose(kind));
    this.faults[kind] = null;
    this.#replace(kind, track);
  }

  /** It was unplugged, or the permission was taken back: another one may do. */
  #lose(kind) {
    this.#replace(kind, null);
    this.open(kind, null).catch(() => {});
  }

  #fail(kind, error) {
    this.faults[kind] = error;
    this.#replace(kind, null);
  }

  #replace(kind, track) {
    const old = this.#tracks[kind];
    this.#tracks[kind] = track;
    old?.stop();
    this.#changed(kind);
  }
}

/**
 * The screen, a window or a tab, with its sound where the browser has it.
 *
 * @returns {Promise<MediaStream>}
 * @throws {Unavailable}
 */
export async function screen() {
  if (!navigator.mediaDevices) throw new Unavailable('insecure', 'screen');
  if (!navigator.mediaDevices.getDisplayMedia) throw new Unavailable('unsupported', 'screen');
  try {
    const stream = await navigator.mediaDevices.getDisplayMedia({video: SCREEN, audio: true});
    // Text has to stay legible, even at fewer frames a second.
    for (const track of stream.getVideoTracks()) track.contentHint = 'detail';
    return stream;
  } catch (error) {
    throw explained(error, 'screen');
  }
}

/** Whether the browser could share its screen at all: phones cannot. */
export const canShareScreen = () => Boolean(navigator.mediaDevices?.getDisplayMedia);

async function ask(constraints, kind) {
  // Browsers hide the devices from pages that anybody on the way could have changed.
  if (!navigator.mediaDevices) throw new Unavailable('insecure', kind);
  try {
    return await navigator.mediaDevices.getUserMedia(constraints);
  } catch (error) {
    throw explained(error, kind);
  }
}

function explained(error, kind) {
  const word = {
    NotAllowedError: 'denied', SecurityError: 'denied', NotReadableError: 'busy', AbortError: 'busy',
    NotFoundError: 'absent', OverconstrainedError: 'absent',
  }[error.name];
  return new Unavailable(word ?? 'other', kind, error.message);
}
