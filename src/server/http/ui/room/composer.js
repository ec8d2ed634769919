// To whom one writes, and whether a line may go: once, and to nobody else than was chosen. No DOM; runs in node.

import {Refused} from './protocol.js';

export class Composer {
  #say;
  #here = [];
  #sending = false;
  /** Login of the one who alone shall read it; empty: everybody. */
  to = '';

  /** @param {(text: string, to?: string) => Promise<void>} say */
  constructor(say) {
    this.#say = say;
  }

  /** Who can be written to now. @param {string[]} logins */
  set here(logins) {
    this.#here = logins;
  }

  /**
   * Who may be chosen, and whoever was chosen and has gone: a private line must not become one for all by that.
   *
   * @returns {{login: string, gone: boolean}[]}
   */
  get choices() {
    const here = this.#here.map((login) => ({login, gone: false}));
    return this.#gone ? [...here, {login: this.to, gone: true}] : here;
  }

  /**
   * Sends a line.
   *
   * @param {string} text
   * @returns {Promise<boolean>} false: another one is on its way
   * @throws {Refused}
   */
  async send(text) {
    if (this.#sending) return false;
    if (this.#gone) throw new Refused('unknown_recipient');
    this.#sending = true;
    try {
      await this.#say(text, this.to || undefined);
      return true;
    } finally {
      this.#sending = false;
    }
  }

  get #gone() {
    return this.to !== '' && !this.#here.includes(this.to);
  }
}
