// The sign on the floor for those who have no place on it.

import {make} from '../ui.js';
import {occupy} from './tile.js';
import {call} from './text.js';

export class More {
  #element = make('button', {type: 'button', className: 'rest', hidden: true});

  /**
   * @param {HTMLElement} floor
   * @param {() => void} people shows them all by name
   */
  constructor(floor, people) {
    floor.append(this.#element);
    this.#element.addEventListener('click', people);
  }

  /** @param {import('./layout.js').Rect | null} rect nothing: all have a place @param {number} count who have none */
  place(rect, count) {
    this.#element.hidden = rect === null;
    if (!rect) return;
    occupy(this.#element, rect);
    this.#element.textContent = `+${count}`;
    call(this.#element, 'moreHere', {count});
  }

  remove() {
    this.#element.remove();
  }
}
