// Keeps what is sent and what is played as the room and the person want it, over drops and new sessions. No DOM but for the
// black picture.

import {blank} from './blank.js';
import {bringIntoStep} from '../lipsync.js';
import {Playback} from './playback.js';
import {Publication} from './publication.js';

/**
 * @typedef {object} Wish what is to be sent
 * @property {MediaStreamTrack | null} microphone
 * @property {MediaStreamTrack | null} camera
 * @property {boolean} muted the microphone is there and silent
 */

export class Streams {
  #room;
  #login;
  #listener;
  #link = null;
  #simulcast = false;
  /** By the id of the media session. */
  #peers = new Map();
  /** @type {Wish} */
  #wish = {microphone: null, camera: null, muted: false};
  #blank = null;
  #shared = null;
  #allowed = true;
  /** @type {Map<string, Playback>} by stream name */
  playbacks = new Map();
  /** @type {Publication | null} */
  own = null;
  /** @type {Publication | null} */
  screen = null;

  /**
   * @param {{room: string, login: string}} who
   * @param {{playback: (playback: Playback) => void, own: () => void, refused: (info: string) => void}} listener the last one
   *     hears why a screen is not taken
   */
  constructor({room, login}, listener) {
    this.#room = room;
    this.#login = login;
    this.#listener = listener;
  }

  /** A new session is in the room: whatever went over the old one begins anew. */
  attach(session, {simulcast = false}) {
    this.detach();
    this.#link = {session, peers: this.#peers};
    this.#simulcast = simulcast;
    this.#publish();
  }

  /** The session is over. What was shown stays in sight. */
  detach() {
    for (const peer of [...this.playbacks.values(), this.own, this.screen]) peer?.stop();
    this.playbacks.clear();
    this.#peers.clear();
    this.own = this.screen = this.#link = null;
  }

  /** Plays what others publish, and nothing else. @param {import('./model.js').Model} model */
  reconcile(model) {
    if (!this.#link) return;
    const wanted = new Set([...model.others.values()].flatMap(({streams}) => [...streams.keys()]));
    for (const [name, playback] of this.playbacks) {
      if (wanted.has(name)) continue;
      playback.stop();
      this.playbacks.delete(name);
    }
    for (const name of wanted) {
      if (this.playbacks.has(name)) continue;
      const playback = new Playback(this.#link, {room: this.#room, name}, (one) => this.#played(one));
      this.playbacks.set(name, playback);
      playback.start();
    }
    this.#allow(model.self.role !== 'viewer');
  }

  /** Sends these from now on. @param {Wish} wish */
  send(wish) {
    this.#wish = {...wish};
    if (wish.microphone) wish.microphone.enabled = !wish.muted;
    this.#publish();
  }

  /** Shares a screen, or ends that. @param {MediaStream | null} stream */
  share(stream) {
    this.#shared = stream;
    this.screen?.stop();
    this.screen = null;
    this.#publish();
  }

  answer(id, sdp) {
    this.#peers.get(id)?.answer(sdp);
  }

  status(id, status, info) {
    this.#peers.get(id)?.status(status, info);
  }

  notice(id, type, payload) {
    this.#peers.get(id)?.notice(type, payload);
  }

  #allow(allowed) {
    if (allowed === this.#allowed) return;
    this.#allowed = allowed;
    this.#publish();
  }

  #publish() {
    const {microphone, camera, muted} = this.#wish;
    const wanted = this.#allowed && Boolean(microphone || camera);
    this.#dim(wanted && !camera);
    if (!this.#link) return;
    const video = camera ?? this.#blank;
    if (!wanted) {
      this.own?.stop();
      this.own = null;
    } else if (this.own) {
      this.own.replace('audio', microphone);
      this.own.replace('video', video);
      this.#tell();
    } else {
      this.own = this.#start({audio: microphone, video}, false);
    }
    if (!this.#allowed || !this.#shared) {
      this.screen?.stop();
      this.screen = null;
    } else if (!this.screen) {
      const [audio = null] = this.#shared.getAudioTracks(), [picture] = this.#shared.getVideoTracks();
      this.screen = this.#start({audio, video: picture}, true);
    }
  }

  #start(tracks, screen) {
    const what = {room: this.#room, login: this.#login, tracks, screen, simulcast: this.#simulcast};
    const publication = new Publication(this.#link, what, (one) => {
      if (one === this.own) this.#tell();
      // Given up for good; with another role it begins anew.
      if (one.state === 'stopped' && one === this.own) this.own = null;
      const isRefused = one.refused && one === this.screen;
      if (one.state === 'stopped' && one === this.screen) this.screen = null;
      if (isRefused) this.#listener.refused(one.info);
      this.#listener.own();
    });
    // The listener is called while it starts, and looks for it here.
    if (screen) this.screen = publication;
    else this.own = publication;
    publication.start();
    return publication;
  }

  #tell() {
    const {microphone, camera, muted} = this.#wish;
    this.own?.tell('audio', muted || !microphone);
    this.own?.tell('video', !camera);
  }

  #dim(dark) {
    if (dark) {
      this.#blank ??= blank();
    } else {
      this.#blank?.stop();
      this.#blank = null;
    }
  }

  #played(playback) {
    if (playback.state === 'running' && playback.connection !== playback.inStep) {
      playback.inStep = playback.connection;
      // Out of step it plays all the same.
      bringIntoStep(playback.connection).catch(() => {});
    }
    this.#listener.playback(playback);
  }
}
