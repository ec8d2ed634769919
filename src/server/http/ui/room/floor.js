// The floor: all tiles, in the order and the places of the layout.

import {byId} from '../ui.js';
import {Later} from './later.js';
import {capacity, duo, grid, seats, stage} from './layout.js';
import {More} from './more.js';
import {Tile} from './tile.js';

/** Senders are asked for other sizes so long after a change, with all that has changed by then, in milliseconds. */
const SETTLE = 400;
/** A page out of sight gets pictures for so long yet, in milliseconds: people look away and back. */
const LINGER = 5_000;

/** @typedef {import('./tile.js').Face} Face */
/** @typedef {'auto' | 'grid' | 'speaker'} Mode */

export class Floor {
  #element = byId('floor');
  /** @type {Map<string, Tile>} */
  #tiles = new Map();
  #faces = [];
  #pinned = null;
  #leading = null;
  #heard = () => 0;
  #mode = 'auto';
  #adapt;
  #blocked;
  #settle = new Later(() => this.#need());
  #sink = '';
  /** The sign for those who have no place. */
  #more;

  /**
   * @param {object} acts
   * @param {(key: string, need: {paused: boolean, maxHeight?: number}) => void} acts.adapt says how large a tile is
   * @param {() => void} acts.blocked the browser plays no sound without a gesture
   * @param {() => void} acts.people shows the list of all
   * @param {AbortSignal} signal ends it
   */
  constructor({adapt, blocked, people}, signal) {
    this.#more = new More(this.#element, people);
    this.#adapt = adapt;
    this.#blocked = blocked;
    const observer = new ResizeObserver(() => this.arrange(true));
    observer.observe(this.#element);
    document.addEventListener('visibilitychange', () => {
      this.#settle.in(document.hidden ? LINGER : 0);
    }, {signal});
    signal.addEventListener('abort', () => {
      observer.disconnect();
      this.#clear();
    });
  }

  /** @param {Mode} mode */
  set mode(mode) {
    this.#mode = mode;
    this.arrange();
  }

  get mode() {
    return this.#mode;
  }

  /** The one who leads the talk, and when each was last heard. */
  lead(login, heard) {
    this.#heard = heard;
    if (this.#leading === login) return;
    this.#leading = login;
    this.arrange();
  }

  /** @param {Face[]} faces in the order of places */
  show(faces) {
    const same = faces.length === this.#faces.length && faces.every(({key}, index) => key === this.#faces[index].key);
    this.#faces = faces;
    for (const [key, tile] of this.#tiles) {
      if (faces.some((face) => face.key === key)) continue;
      tile.remove();
      this.#tiles.delete(key);
      if (this.#pinned === key) this.pin(null);
    }
    for (const face of faces) {
      const shown = {...face, pinned: face.key === this.#pinned};
      const tile = this.#tiles.get(face.key);
      if (tile) tile.show(shown);
      else this.#add(shown);
    }
    if (same) this.#later();
    else this.arrange();
  }

  /** Keeps one large; null lets go. */
  pin(key) {
    this.#pinned = key;
    for (const tile of this.#tiles.values()) tile.show({...tile.face, pinned: tile.face.key === key});
    this.arrange();
  }

  /** Plays all with sound, after a gesture. */
  hear() {
    for (const tile of this.#tiles.values()) tile.hear();
  }

  /** Which loudspeaker is used. */
  sound(id) {
    this.#sink = id;
    for (const tile of this.#tiles.values()) tile.sound(id);
  }

  /** Marks who speaks. @param {(face: Face) => boolean} speaks */
  mark(speaks) {
    for (const {element, face} of this.#tiles.values()) element.classList.toggle('speaks', speaks(face));
  }

  /** Puts all tiles into their places. */
  arrange(atOnce = false) {
    const {clientWidth: width, clientHeight: height} = this.#element;
    if (!width || !height) return;
    this.#element.classList.toggle('at-once', atOnce);
    const places = this.#places(width, height);
    for (const [key, tile] of this.#tiles) {
      const {rect = null, ...manner} = places.get(key) ?? {};
      tile.place(rect, manner);
    }
    this.#element.dataset.layout = this.layout;
    this.#later();
  }

  #places(width, height) {
    const places = new Map(), faces = this.#faces;
    this.#more.place(null);
    const main = this.#main();
    const others = faces.filter(({key}) => key !== main?.key);
    this.layout = 'grid';
    if (main && others.length > 0) {
      this.layout = 'stage';
      const {main: rect, strip} = stage(others.length, width, height);
      places.set(main.key, {rect});
      this.#seat(others, strip, places, true);
    } else if (this.#mode === 'auto' && faces.length === 2 && faces.some(({self}) => self)) {
      this.layout = 'duo';
      const [large, small] = duo(width, height);
      for (const {key, self} of faces) places.set(key, self ? {rect: small, small: true, corner: true} : {rect: large});
    } else {
      const rects = grid(Math.min(faces.length, capacity(width, height)), width, height);
      this.#seat(faces, rects, places, rects[0]?.width < 200);
    }
    return places;
  }

  /** Gives the rectangles to those who are in front, and the last one to the sign if not all are. */
  #seat(faces, rects, places, small) {
    const {shown, more} = seats(faces.length, rects.length);
    this.#front(faces, shown).forEach(({key}, index) => places.set(key, {rect: rects[index], small}));
    this.#more.place(more > 0 ? rects.at(-1) : null, more);
  }

  /** The one that is shown large, if any: the pinned one, the newest screen, or who leads the talk. */
  #main() {
    const faces = this.#faces;
    const pinned = faces.find(({key}) => key === this.#pinned);
    if (pinned) return pinned;
    if (this.#mode === 'grid') return null;
    const screen = faces.findLast(({screen}) => screen);
    if (screen || this.#mode === 'auto') return screen ?? null;
    return faces.find(({login}) => login === this.#leading) ?? faces.find(({self}) => !self) ?? null;
  }

  /** Of those who do not all fit, the ones heard last; in their usual order, so that nobody changes places for a word. */
  #front(faces, room) {
    if (faces.length <= room) return faces;
    const ranked = [...faces].sort((one, other) => this.#heard(other.login) - this.#heard(one.login));
    const chosen = new Set(ranked.slice(0, room));
    return faces.filter((face) => chosen.has(face));
  }

  #add(face) {
    const tile = new Tile(face, {
      pin: () => this.pin(this.#pinned === face.key ? null : face.key),
      blocked: this.#blocked,
      seen: () => this.#need(),
    });
    if (this.#sink) tile.sound(this.#sink);
    this.#tiles.set(face.key, tile);
    this.#element.append(tile.element);
  }

  #clear() {
    this.#settle.stop();
    for (const tile of this.#tiles.values()) tile.remove();
    this.#tiles.clear();
    this.#more.remove();
  }

  #later() {
    this.#settle.within(document.hidden ? LINGER : SETTLE);
  }

  #need() {
    for (const [key, tile] of this.#tiles) this.#adapt(key, tile.need);
  }
}
