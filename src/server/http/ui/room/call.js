// Being in a room: enters it, notices the end, enters again. No DOM; runs in node.

import {Refused, Session} from './protocol.js';

/** Pauses between attempts, in milliseconds. */
const FIRST_PAUSE = 500, LONGEST_PAUSE = 8_000;
/** Those who come back at once after a restart should not all come in the same instant: the share that is left to chance. */
const SPREAD = 0.4;
/** Refusals that no patience changes. */
const FINAL = ['kicked', 'room_locked', 'invalid_name', 'taken_over'];
/** What needs no explanation beside "the connection was lost". */
const PLAIN = ['unreachable', 'timeout'];
/** Attempts in a row that have failed before a page is suspected rather than the line. */
const MANY = 5;

/**
 * Where a call stands:
 *
 * - `connecting`: the first attempt;
 * - `joined`;
 * - `broken`: `again` milliseconds from now it will be tried anew; `why` is the last refusal, and `failures` counts the drop and
 *   the attempts since;
 * - `ended`: for good, because of `why`.
 *
 * @typedef {{name: 'connecting' | 'joined' | 'broken' | 'ended', again?: number, why?: Refused, failures?: number}} Stage
 */

/**
 * What to tell people of a drop beside that it is tried again, and what to offer.
 *
 * @param {{why?: Refused, failures: number}} drop
 * @returns {{explains: boolean, offer: 'rename' | 'reload' | null}}
 */
export function remedy({why, failures}) {
  const explains = Boolean(why) && !PLAIN.includes(why.word);
  return {explains, offer: why?.word === 'login_in_use' ? 'rename' : !explains && failures >= MANY ? 'reload' : null};
}

/**
 * @typedef {object} Listener
 * @property {(stage: Stage) => void} stage
 * @property {(session: Session, server: object) => void} entered a new session is in the room: publish and play
 * @property {(name: string, body: any) => void} event of the room
 * @property {(id: string, sdp: string) => void} answer
 * @property {(id: string, status: string, info: string) => void} status
 * @property {(id: string, type: string, payload: any) => void} notice
 */

export class Call {
  #room;
  #login;
  #key;
  #connect;
  #listener;
  #wake = null;
  /** Ends the stay of the present session. */
  #left = null;
  #over = false;
  /** Whether we were in the room before. */
  #joined = false;
  /** @type {Session | null} that is in the room now */
  session = null;

  /**
   * @param {object} options
   * @param {string} options.room
   * @param {string} options.login
   * @param {string} options.key
   * @param {() => WebSocket} options.connect
   * @param {Listener} listener
   */
  constructor({room, login, key, connect}, listener) {
    this.#room = room;
    this.#login = login;
    this.#key = key;
    this.#connect = connect;
    this.#listener = listener;
  }

  /** Enters the room and stays there until `leave()`; the listener hears what becomes of it. */
  async start() {
    let pause = FIRST_PAUSE, failures = 0;
    this.#listener.stage({name: 'connecting'});
    while (!this.#over) {
      let why;
      try {
        why = await this.#stay(() => {
          pause = FIRST_PAUSE;
          failures = 0;
        });
      } catch (error) {
        why = error instanceof Refused ? error : new Refused('unreachable', String(error));
      }
      // What does not work at once is for the person to hear.
      if (!this.#joined || FINAL.includes(why.word)) this.end(why);
      this.session?.close();
      this.session = null;
      if (this.#over) return;
      const again = pause * (1 - SPREAD * Math.random());
      this.#listener.stage({name: 'broken', again, why, failures: ++failures});
      await this.#sleep(again);
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    }
  }

  /** Tries now what would be tried later. */
  retry() {
    this.#wake?.();
  }

  /** Leaves, saying so. */
  leave() {
    // Closing the line right behind it: a page that goes has no time to wait for the answer.
    this.session?.leave(this.#room).catch(() => {});
    this.end();
  }

  /** Ends it for good; the listener hears why, unless it was our own wish. */
  end(why) {
    if (this.#over) return;
    this.#over = true;
    this.session?.close();
    this.session = null;
    this.#left?.(why ?? new Refused('left'));
    this.#wake?.();
    if (why) this.#listener.stage({name: 'ended', why});
  }

  /**
   * Enters the room and stays.
   *
   * @param {() => void} entered
   * @returns {Promise<Refused>} why that has ended
   * @throws {Refused} if one does not get in
   */
  async #stay(entered) {
    let stated;
    const end = new Promise((resolve) => this.#left = resolve);
    const state = new Promise((resolve, reject) => {
      stated = resolve;
      end.then(reject);
    });
    state.catch(() => {});
    const {answer, status, notice} = this.#listener;
    let session = null;
    session = new Session(this.#connect(), {
      answer, status, notice,
      event: (room, name, body) => {
        if (room !== this.#room || this.#over) return;
        if (name === 'STATE') stated();
        this.#listener.event(name, body);
      },
      closed: this.#left,
    });
    // Set before it is in the room: whoever leaves meanwhile closes this one.
    this.session = session;
    const server = await session.open(this.#login, this.#key);
    await session.join(this.#room);
    await state;
    if (this.#over) return end;
    this.#joined = true;
    entered();
    this.#listener.stage({name: 'joined'});
    this.#listener.entered(session, server);
    return end;
  }

  #sleep(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
