// What publishing and playing have in common: one peer connection for one stream, signalled over the session, tried again
// until it is stopped. No DOM.

import {uuid} from './protocol.js';

/** From the offer to a connection that carries media, in milliseconds. */
const CONNECT_LIMIT = 15_000;
/** ICE often mends a lost connection by itself within this time, in milliseconds. */
const MEND_LIMIT = 5_000;
/** Failed attempts in a row after which it is no hiccup any more. */
const HICCUPS = 1;
/** Pauses between attempts, in milliseconds. */
const FIRST_PAUSE = 700, LONGEST_PAUSE = 8_000;

/** Status values after which nothing more comes. */
const FINAL = ['FAILED', 'STOPPED', 'UNPUBLISHED'];

/** @typedef {'connecting' | 'running' | 'waiting' | 'stopped'} State */

export class Peer {
  #link;
  #room;
  #stopped = false;
  #timer;
  #pause = FIRST_PAUSE;
  #failures = 0;
  /** Id of the media session of the present attempt. */
  id = '';
  name = '';
  /** @type {RTCPeerConnection | null} */
  connection = null;
  /** @type {State} */
  state = 'connecting';
  /** The server's words for the last failure; nothing once media gets through. */
  info = '';
  /** It was given up because `info` leaves no hope. */
  refused = false;

  /**
   * @param {object} link
   * @param {import('./protocol.js').Session} link.session
   * @param {Map<string, Peer>} link.peers where answers and statuses find this one by its id
   * @param {string} room
   */
  constructor({session, peers}, room) {
    this.#link = {session, peers};
    this.#room = room;
  }

  // ---- for those who extend it

  /** Adds tracks and transceivers. @param {RTCPeerConnection} connection */
  prepare(connection) {}

  /** Sends the offer. @param {{id: string, room: string, sdp: string}} offer @param {import('./protocol.js').Session} session */
  offer(offer, session) {}

  /** Changes the offer before it is set. */
  adjust(sdp) {
    return sdp;
  }

  /** The state, or the connection, is another. */
  changed() {}

  /** The server has news of it. */
  notice(type, payload) {}

  /** Whether a failure is worth another attempt. @param {string} info */
  persists(info) {
    return true;
  }

  /** Whether it is the server's turn to hear of the end by `unPublishStream`. */
  get published() {
    return false;
  }

  // ---- life

  get session() {
    return this.#link.session;
  }

  get room() {
    return this.#room;
  }

  /** Whether media does not get through, though it was tried again. */
  get stuck() {
    return this.#failures > HICCUPS;
  }

  async start() {
    const id = this.id = uuid();
    this.#link.peers.set(id, this);
    const connection = this.connection = new RTCPeerConnection({bundlePolicy: 'max-bundle'});
    this.#enter('connecting');
    this.#watch(connection, id);
    try {
      this.prepare(connection);
      const {sdp} = await connection.createOffer();
      if (this.id !== id) return;
      await connection.setLocalDescription({type: 'offer', sdp: this.adjust(sdp)});
      if (this.id !== id) return;
      this.offer({id, room: this.#room, sdp: connection.localDescription.sdp}, this.#link.session);
    } catch (error) {
      this.#lost(id, String(error.message ?? error));
    }
  }

  /** The server's answer. */
  async answer(sdp) {
    const {id, connection} = this;
    try {
      await connection?.setRemoteDescription({type: 'answer', sdp});
    } catch (error) {
      this.#lost(id, String(error.message ?? error));
    }
  }

  /** The server's status. */
  status(status, info) {
    if (!FINAL.includes(status)) return;
    // Nothing is left there that would have to be told.
    this.#forget();
    this.#lost(this.id, info);
  }

  /** Ends it, and tells the server. */
  stop() {
    if (this.#stopped) return;
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#hangUp();
    this.#enter('stopped');
  }

  #watch(connection, id) {
    let timer = setTimeout(() => this.#lost(id, ''), CONNECT_LIMIT);
    connection.addEventListener('connectionstatechange', () => {
      clearTimeout(timer);
      if (this.id !== id || this.#stopped) return;
      switch (connection.connectionState) {
        case 'connected':
          this.#pause = FIRST_PAUSE;
          this.#failures = 0;
          this.info = '';
          return this.#enter('running');
        case 'disconnected':
          timer = setTimeout(() => this.#lost(id, ''), MEND_LIMIT);
          return;
        case 'failed':
        case 'closed':
          return this.#lost(id, '');
        default:
          timer = setTimeout(() => this.#lost(id, ''), CONNECT_LIMIT);
      }
    });
  }

  #lost(id, info) {
    if (this.id !== id || this.#stopped) return;
    // When the server has said why, our own limit adds nothing.
    this.info = info || this.info;
    this.#failures++;
    this.#hangUp();
    if (!this.persists(info)) {
      this.refused = true;
      return this.stop();
    }
    this.#enter('waiting');
    this.#timer = setTimeout(() => this.start(), this.#pause);
    this.#pause = Math.min(this.#pause * 1.7, LONGEST_PAUSE);
  }

  #hangUp() {
    const {id, connection} = this;
    this.id = '';
    this.connection = null;
    connection?.close();
    if (!this.#link.peers.delete(id)) return;
    try {
      this.#link.session.stop({id, name: this.name, published: this.published});
    } catch {
      // The session is over, and all of its streams with it.
    }
  }

  #forget() {
    this.#link.peers.delete(this.id);
  }

  #enter(state) {
    this.state = state;
    this.changed();
  }
}
