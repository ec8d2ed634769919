// The banner of a broken line: why it is broken, when it is tried again, and what one can do meanwhile.

import {byId} from '../ui.js';
import {remedy} from './call.js';
import {why as text} from './dom.js';
import {reveal} from './focus.js';
import {put} from './text.js';

/** Shorter pauses are not worth counting, in milliseconds. */
const SHORT = 2_500;

export class Dropped {
  #timer;
  #due = 0;
  #rename;

  /**
   * @param {{retry: () => void, rename: () => void}} acts
   * @param {AbortSignal} signal ends it
   */
  constructor({retry, rename}, signal) {
    this.#rename = rename;
    byId('retry').addEventListener('click', () => {
      this.#due = 0;
      this.#count();
      retry();
    }, {signal});
    signal.addEventListener('abort', () => this.hide());
  }

  /** @param {import('./call.js').Stage} stage */
  show({again, why, failures}) {
    const {explains, offer} = remedy({why, failures});
    byId('broken').hidden = false;
    if (explains) put(byId('broken-text'), 'brokenWhy', {why: text(why)});
    else put(byId('broken-text'), 'broken');
    const button = byId('broken-offer');
    button.hidden = offer === null;
    if (offer) put(button, offer === 'rename' ? 'joinRenamed' : 'reload');
    button.onclick = offer === 'rename' ? this.#rename : () => location.reload();
    clearInterval(this.#timer);
    this.#due = again > SHORT ? performance.now() + again : 0;
    this.#timer = setInterval(() => this.#count(), 500);
    this.#count();
  }

  hide() {
    clearInterval(this.#timer);
    reveal(byId('broken'), false, byId('floor'));
  }

  #count() {
    const seconds = Math.ceil((this.#due - performance.now()) / 1000);
    byId('broken-count').hidden = seconds <= 0;
    if (seconds > 0) put(byId('broken-count'), 'brokenNext', {seconds});
  }
}
