// Keeps one WHIP or WHEP session up: connects, notices the end, tries again. No DOM.

import {t} from './room/text.js';
import {Refusal, close, open} from './session.js';

/** From the answer to a connection that carries media, in milliseconds. */
const CONNECT_LIMIT = 15_000;
/** ICE often mends a lost connection by itself within this time, in milliseconds. */
const MEND_LIMIT = 6_000;
/** Pauses between attempts, in milliseconds. */
const FIRST_PAUSE = 500, LONGEST_PAUSE = 5_000;

/**
 * What happens to a link:
 *
 * - `connecting`: the first attempt begins;
 * - `connected`: media can flow;
 * - `refused`: not possible now, it will be tried again;
 * - `ended`: the other side closed the connection in order, it will be tried again;
 * - `lost`: the connection broke, it will be tried again;
 * - `failed`: given up.
 *
 * @typedef {'connecting' | 'connected' | 'refused' | 'ended' | 'lost' | 'failed'} Change
 */

export class Link {
  #endpoint;
  #prepare;
  #adjust;
  #persist;
  #listener;
  #stop = new AbortController();
  #session = null;
  /** @type {RTCPeerConnection | null} the connection of the present attempt */
  peer = null;

  /**
   * @param {object} options
   * @param {string} options.endpoint where to post the offer
   * @param {(peer: RTCPeerConnection) => void} options.prepare adds the tracks and transceivers to a new connection
   * @param {(sdp: string) => string} [options.adjust] changes the offer
   * @param {(refusal: Refusal, sinceLost: number | null) => boolean} options.persist whether to try again after a
   *   refusal; told the milliseconds since a working connection was lost, or null if there was none yet
   * @param {(change: Change, refusal?: Refusal) => void} options.listener
   */
  constructor({endpoint, prepare, adjust, persist, listener}) {
    this.#endpoint = endpoint;
    this.#prepare = prepare;
    this.#adjust = adjust;
    this.#persist = persist;
    this.#listener = listener;
  }

  /** Begins; the listener hears the rest. */
  start() {
    this.#run(this.#stop.signal);
  }

  /** Ends the session and all attempts; the listener hears no more. */
  stop() {
    this.#stop.abort();
    this.#hangUp();
  }

  async #run(stopped) {
    let pause = FIRST_PAUSE, lost = null;
    this.#tell('connecting');
    while (!stopped.aborted) {
      try {
        const {end} = await this.#connect(stopped);
        this.#tell('connected');
        const change = await end;
        pause = FIRST_PAUSE;
        lost = performance.now();
        this.#tell(change);
      } catch (error) {
        // What is no refusal is the browser's: an answer that it does not take, say.
        const refusal = error instanceof Refusal ? error : new Refusal(0, String(error.message ?? error));
        const again = this.#persist(refusal, lost === null ? null : performance.now() - lost);
        this.#tell(again ? 'refused' : 'failed', refusal);
        if (!again) return this.stop();
      }
      this.#hangUp();
      await sleep(pause, stopped);
      pause = Math.min(pause * 1.5, LONGEST_PAUSE);
    }
  }

  /** Resolves when media can flow; `end` resolves to how that ends. */
  async #connect(stopped) {
    const peer = this.peer = new RTCPeerConnection({bundlePolicy: 'max-bundle'});
    this.#prepare(peer);
    this.#session = await open(this.#endpoint, peer, stopped, this.#adjust);
    // Stopped while the answer was on its way: nobody else knows of this session.
    if (stopped.aborted) this.#hangUp();
    const end = new Promise((resolve) => watch(peer, resolve));
    await Promise.race([connected(peer), end.then(() => Promise.reject(noRoute())), limit(stopped)]);
    return {end: Promise.race([end, aborted(stopped)])};
  }

  #hangUp() {
    this.peer?.close();
    this.peer = null;
    close(this.#session);
    this.#session = null;
  }

  #tell(change, refusal) {
    if (!this.#stop.signal.aborted) this.#listener(change, refusal);
  }
}

function connected(peer) {
  return new Promise((resolve) => {
    const look = () => peer.connectionState === 'connected' && resolve();
    peer.addEventListener('connectionstatechange', look);
    look();
  });
}

/** Calls `ended` with `'ended'` or `'lost'`. */
function watch(peer, ended) {
  let mending;
  peer.addEventListener('connectionstatechange', () => {
    clearTimeout(mending);
    if (peer.connectionState === 'failed') ended('lost');
    if (peer.connectionState === 'disconnected') mending = setTimeout(ended, MEND_LIMIT, 'lost');
  });
  // An orderly end is a DTLS alert; the connection's own state does not show it.
  const transport = peer.getTransceivers().map(({receiver, sender}) => receiver.transport ?? sender.transport)
    .find((transport) => transport);
  transport?.addEventListener('statechange', () => transport.state === 'closed' && ended('ended'));
}

async function limit(stopped) {
  await sleep(CONNECT_LIMIT, stopped);
  throw noRoute();
}

const noRoute = () => new Refusal(0, t('failure_line'));

const aborted = (signal) => new Promise((resolve) => {
  if (signal.aborted) resolve('ended');
  signal.addEventListener('abort', () => resolve('ended'), {once: true});
});

/** Ends early, and well, when `signal` says so. Leaves nothing at the signal: a page may wait for days. */
function sleep(ms, signal) {
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', wake);
      resolve();
    };
    const timer = setTimeout(wake, signal.aborted ? 0 : ms);
    signal.addEventListener('abort', wake);
  });
}
