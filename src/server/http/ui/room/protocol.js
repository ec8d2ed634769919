// One session of the room protocol over a WebSocket: requests with their answers, events, life signs. No DOM; runs in node.
//
// The frames are those of the Flashphoner Web SDK. What is ours rides in `commonroom`, which the server sends because
// `connection` declares it.

/** The server's answer to a request, in milliseconds. */
const ANSWER_LIMIT = 10_000;
/** The server pings every 2.5 s; after this long without a word the line is dead, in milliseconds. */
const SILENCE_LIMIT = 9_000;
/** The code by which the server closes a line whose participant has come again by another. */
const TAKEN_OVER = 4001;

/** Why the server, or the way to it, refused. */
export class Refused extends Error {
  /**
   * @param {string} word from the closed set of the room protocol, or `unreachable`, `timeout`
   * @param {string} [info] the server's sentence for people
   */
  constructor(word, info = word) {
    super(info);
    this.word = word;
  }
}

/**
 * What a session tells its owner.
 *
 * @typedef {object} Listener
 * @property {(room: string, name: string, body: any) => void} event of a room
 * @property {(id: string, sdp: string) => void} answer to the offer of this media session
 * @property {(id: string, status: string, info: string) => void} status of this media session
 * @property {(id: string, type: string, payload: any) => void} notice about this media session
 * @property {(why: Refused) => void} closed by the server or by a broken line; not called after `close()`
 */

export class Session {
  #socket;
  #listener;
  #limits;
  #pending = new Map();
  #silence;
  #opened = deferred();
  #greeting = deferred();
  #over = false;

  /**
   * @param {WebSocket} socket just made
   * @param {Listener} listener
   * @param {{answer?: number, silence?: number}} limits in milliseconds
   */
  constructor(socket, listener, {answer = ANSWER_LIMIT, silence = SILENCE_LIMIT} = {}) {
    this.#socket = socket;
    this.#listener = listener;
    this.#limits = {answer, silence};
    socket.onopen = () => this.#opened.resolve();
    socket.onmessage = ({data}) => this.#hear(data);
    socket.onclose = ({code}) => this.#end(new Refused(code === TAKEN_OVER ? 'taken_over' : 'unreachable'));
    this.#listen();
  }

  /**
   * Declares who we are.
   *
   * @param {string} login
   * @param {string} key proves the same person after a drop
   * @returns {Promise<{version?: string, rtmpPort?: number, simulcast?: boolean}>} the server's side of it
   * @throws {Refused}
   */
  async open(login, key) {
    await this.#within(this.#opened.promise);
    this.#send('connection', {
      appKey: 'roomApp', mediaProviders: ['WebRTC'], clientVersion: '2.0', custom: {login},
      commonroom: {version: 1, key},
    });
    return (await this.#within(this.#greeting.promise)).commonroom ?? {};
  }

  /** Enters a room; its STATE comes as an event. @throws {Refused} */
  join(room) {
    return this.#request('join', {name: room, record: false});
  }

  /** @throws {Refused} */
  leave(room) {
    return this.#request('leave', {name: room});
  }

  /**
   * @param {string} room
   * @param {string} text
   * @param {string} [to] one participant; everybody if absent
   * @returns {Promise<{id: number, time: number}>}
   * @throws {Refused}
   */
  say(room, text, to) {
    return this.#request('sendMessage', {roomConfig: {name: room}, to, text});
  }

  /**
   * What hosts may do.
   *
   * @param {string} room
   * @param {'mute'|'unmute'|'kick'|'role'|'lock'|'unlock'|'record'|'stopRecording'|'end'} action
   * @param {{login?: string, stream?: string, medium?: string, role?: string}} details
   * @throws {Refused}
   */
  moderate(room, action, details = {}) {
    return this.#request('moderate', {name: room, action, ...details});
  }

  /** Offers a publication; answer and status come to the listener. */
  publish({id, name, room, sdp, audio, video, screen}) {
    this.#stream('publishStream', id, name, room, {
      published: true, hasAudio: audio, hasVideo: video, sdp,
      constraints: {audio, video: screen ? {type: 'screen'} : video},
    });
  }

  /** Offers to play a stream; answer and status come to the listener. */
  play({id, name, room, sdp}) {
    this.#stream('playStream', id, name, room, {published: false, hasAudio: true, hasVideo: true, sdp});
  }

  /** Ends a publication or a playback. */
  stop({id, name, published}) {
    this.#send(published ? 'unPublishStream' : 'stopStream', {mediaSessionId: id, name, published});
  }

  /** Tells that a medium of our publication carries nothing now, or something again. */
  mute(id, medium, muted) {
    this.#send('sendStreamEvent', {mediaSessionId: id, type: `${medium}${muted ? 'Muted' : 'Unmuted'}`});
  }

  /** Tells how large a picture we have use for. */
  adapt(id, {maxHeight, paused}) {
    this.#send('adaptStream', {mediaSessionId: id, maxHeight, paused});
  }

  /** Closes the line; the listener hears no more. */
  close() {
    this.#end(null);
  }

  #stream(message, id, name, room, rest) {
    this.#send(message, {
      mediaSessionId: id, name, status: 'PENDING', record: false, mediaProvider: 'WebRTC', custom: {name: room},
      bitrate: 0, minBitrate: 0, maxBitrate: 0, ...rest,
    });
  }

  async #request(command, options) {
    const operationId = uuid();
    const {promise, resolve, reject} = deferred();
    this.#pending.set(operationId, {resolve, reject});
    try {
      this.#send('sendData', {operationId, payload: {command, options}});
      return await this.#within(promise);
    } finally {
      this.#pending.delete(operationId);
    }
  }

  #send(message, data) {
    if (this.#over) throw new Refused('unreachable');
    if (this.#socket.readyState === 1) this.#socket.send(JSON.stringify({message, data: [data]}));
  }

  #hear(text) {
    if (this.#over) return;
    this.#listen();
    const frame = parse(text);
    if (!frame) return;
    const {message, data: [first, second]} = frame;
    const {event, answer, status, notice} = this.#listener;
    switch (message) {
      case 'ping': return this.#send('pong', null);
      case 'getUserData': return this.#greeting.resolve(first ?? {});
      case 'DataStatusEvent': return this.#settle(first ?? {});
      case 'OnDataEvent': {
        const {roomName, name, info, commonroom} = first?.payload ?? {};
        return event(roomName, name, commonroom ?? info);
      }
      case 'setRemoteSDP': return answer(first, second);
      case 'notifyStreamStatusEvent': return status(first?.mediaSessionId, first?.status, first?.info ?? '');
      case 'fail': return status(first?.id, 'FAILED', first?.info ?? '');
      case 'notifyStreamEvent': return notice(first?.mediaSessionId, first?.type, first?.payload ?? {});
    }
  }

  #settle({operationId, status, info, commonroom}) {
    const waiting = this.#pending.get(operationId);
    if (status === 'ACCEPTED') waiting?.resolve(commonroom ?? {});
    else waiting?.reject(new Refused(commonroom?.error ?? 'refused', info));
  }

  /** Whatever comes is a sign of life. */
  #listen() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#end(new Refused('unreachable')), this.#limits.silence);
  }

  #end(why) {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#silence);
    const reason = why ?? new Refused('unreachable');
    for (const {reject} of [this.#opened, this.#greeting, ...this.#pending.values()]) reject(reason);
    this.#socket.close();
    if (why) this.#listener.closed(why);
  }

  async #within(promise) {
    let timer;
    const limit = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Refused('timeout')), this.#limits.answer);
    });
    try {
      return await Promise.race([promise, limit]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/**
 * A frame of the server; nothing if it is none.
 *
 * @param {unknown} text
 * @returns {{message: string, data: any[]} | null}
 */
export function parse(text) {
  if (typeof text !== 'string') return null;
  try {
    const {message, data} = JSON.parse(text);
    return typeof message === 'string' && Array.isArray(data) ? {message, data} : null;
  } catch {
    return null;
  }
}

/** A random UUID. `crypto.randomUUID` is missing on pages that are not secure. */
export function uuid() {
  const hex = secret();
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`, hex.slice(20)].join('-');
}

/** 32 hex digits that nobody can guess. */
export function secret() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** A publication's name: it has the room's name in it and is new each time. */
export function streamName(room, login, screen) {
  return `${room}-${login}-${secret().slice(0, 4)}${screen ? '-screenShare' : ''}`;
}

function deferred() {
  let resolve, reject;
  const promise = new Promise((...both) => [resolve, reject] = both);
  // Whether anybody waits for it or not: a refusal nobody waits for is no error.
  promise.catch(() => {});
  return {promise, resolve, reject};
}
