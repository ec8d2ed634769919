// One tile: a person's picture or letters, or a screen, with name, marks and buttons.

import {make} from '../ui.js';
import {button} from './dom.js';
import {icon} from './icons.js';
import {hue, initials} from './names.js';
import {need, sight} from './need.js';
import {call, put} from './text.js';

const COLOURS = 8;
/** A picture is cut to fill its tile as long as at least so much of it stays in sight; of an encoder's, which may have anything at its edges, next to all. */
const ENOUGH = 0.4, ALL = 0.95;
/** The buttons stay for so long after a tap, in milliseconds. */
const TOUCHED = 3_500;

/**
 * @typedef {object} Face what a tile shows
 * @property {string} key the same for the same place on the floor, across drops
 * @property {string} login
 * @property {boolean} self
 * @property {boolean} screen
 * @property {boolean} whole nothing of the picture may be cut off
 * @property {MediaStream | null} stream
 * @property {boolean} picture whether there is a picture to show
 * @property {boolean} mirrored
 * @property {boolean} silent the microphone is off, or there is none
 * @property {boolean} speaks
 * @property {'here' | 'away'} state
 * @property {string | null} trouble the key of what is wrong with it
 * @property {import('./model.js').Quality | null} quality
 * @property {'all' | 'less' | 'sound'} leaves what the line leaves of the picture
 * @property {string[]} reasons why the stream is not what was sent
 * @property {boolean} pinned
 */

export class Tile {
  #pin;
  #full;
  #video;
  #avatar;
  #name;
  #marks = {};
  #note;
  #rect = null;
  /** The window of its own that the browser shows the picture in. @type {PictureInPictureWindow | null} */
  #floating = null;
  #touched;
  /** Whether a picture of the present stream has come. */
  #seen = false;
  /** @type {Face | null} */
  face = null;

  /**
   * @param {Face} face
   * @param {{pin: () => void, blocked: () => void, seen: () => void}} acts `seen`: its picture is seen at another size than its place's
   */
  constructor(face, {pin, blocked, seen}) {
    this.#video = make('video', {autoplay: true, playsInline: true, disablePictureInPicture: face.self, muted: face.self});
    this.#avatar = make('span', {className: 'avatar'});
    this.#avatar.setAttribute('aria-hidden', 'true');
    this.#avatar.textContent = initials(face.login);
    this.#name = make('span', {className: 'who'});
    for (const [mark, drawing] of [['silent', 'micOff'], ['weak', 'weak'], ['changed', 'exchange']]) {
      this.#marks[mark] = make('span', {className: `mark ${mark}`, hidden: true}, icon(drawing));
      this.#marks[mark].setAttribute('role', 'img');
    }
    this.#note = make('p', {className: 'tile-note', hidden: true});
    this.#pin = make('button', {type: 'button', className: 'flat'});
    this.#full = make('button', {type: 'button', className: 'flat'});
    button(this.#full, {icon: 'full', key: 'fullScreen'});
    const {silent, weak, changed} = this.#marks;
    this.element = make('div', {className: 'tile'}, this.#avatar, this.#video, this.#note,
      make('div', {className: 'caption'}, silent, this.#name, weak, changed),
      make('div', {className: 'tile-buttons'}, this.#pin, this.#full));
    this.element.classList.add(`hue-${hue(face.login, COLOURS)}`);
    this.element.classList.toggle('screen', face.screen);
    this.element.setAttribute('role', 'group');
    this.element.dataset.key = face.key;
    this.#pin.addEventListener('click', pin);
    this.#full.addEventListener('click', () => this.#toggleFull());
    this.element.addEventListener('dblclick', pin);
    this.element.addEventListener('click', () => this.#touch());
    this.#video.addEventListener('resize', () => this.#frame());
    this.#video.addEventListener('loadeddata', () => {
      this.#seen = true;
      this.#picture();
    });
    this.element.addEventListener('fullscreenchange', seen);
    for (const type of ['enterpictureinpicture', 'leavepictureinpicture']) {
      this.#video.addEventListener(type, ({pictureInPictureWindow: window}) => {
        this.#floating = type === 'enterpictureinpicture' ? window : null;
        if (this.#floating) window.addEventListener('resize', seen);
        seen();
      });
    }
    this.blocked = blocked;
    this.show(face);
  }

  /** @param {Face} face */
  show(face) {
    this.face = face;
    const {login, self, screen, stream, mirrored, silent, speaks, quality, reasons, leaves, pinned, state} = face;
    const {classList} = this.element;
    this.#play(stream);
    classList.toggle('mirrored', mirrored);
    classList.toggle('speaks', speaks);
    classList.toggle('absent', state === 'away');
    classList.toggle('pinned', pinned);
    const key = screen ? 'screenOf' : self ? 'you' : 'name';
    put(this.#name, key, {login});
    call(this.element, silent && !screen ? 'tileSilent' : screen ? 'tileScreen' : 'tile', {login});
    // Its pop-up text would cover the picture.
    this.element.removeAttribute('title');
    this.#mark('silent', silent && !screen, 'silentMark');
    const poor = quality === 'poor' || leaves === 'sound';
    const [fair, bad] = self ? ['sentFair', 'sentPoor'] : ['lineFair', 'linePoor'];
    const line = leaves === 'sound' ? 'lineSound' : leaves === 'less' ? 'lineLess' : poor ? bad : fair;
    this.#mark('weak', poor || quality === 'fair' || leaves === 'less', line);
    this.#marks.weak.classList.toggle('poor', poor);
    this.#mark('changed', reasons.length > 0, 'changedMark', {reasons: reasons.join(' ')});
    this.#picture();
    button(this.#pin, {icon: 'pin', key: pinned ? 'unpin' : 'pin', values: {login}, pressed: pinned});
  }

  /** @param {import('./layout.js').Rect | null} rect nothing: out of sight */
  place(rect, {small = false, corner = false} = {}) {
    const {classList} = this.element;
    this.element.hidden = rect === null;
    classList.toggle('small', small);
    classList.toggle('corner', corner);
    this.#rect = rect;
    if (!rect) return;
    occupy(this.element, rect);
    this.#frame();
  }

  /** How large a picture there is use for, in the screen's pixels. */
  get need() {
    if (!this.face.picture) return {paused: true};
    const {videoWidth: wide, videoHeight: high} = this.#video, {width, height} = globalThis.screen;
    const full = document.fullscreenElement === this.element ? {width, height} : null;
    return need(sight({full, floating: this.#floating, tile: this.#rect, hidden: document.hidden}), {
      shape: wide && high ? wide / high : 16 / 9, filling: !full && this.element.classList.contains('filling'), ratio: devicePixelRatio,
    });
  }

  /** Through which loudspeaker it is heard. */
  sound(id) {
    this.#video.setSinkId?.(id).catch(() => {});
  }

  /** Plays it after the browser had wanted a gesture first. */
  hear() {
    this.#video.muted = this.face.self;
    this.#start();
  }

  remove() {
    this.#video.srcObject = null;
    this.element.remove();
  }

  #play(stream) {
    // What was last seen stays until there is something new.
    if (!stream || stream.getTracks().length === 0 || this.#video.srcObject === stream) return;
    this.#video.srcObject = stream;
    this.#seen = false;
    this.#start();
  }

  /** The picture once there is one, letters until then. */
  #picture() {
    const {picture, state, trouble} = this.face, shown = picture && this.#seen;
    this.element.classList.toggle('pictured', shown);
    const note = state === 'away' ? 'away' : trouble ?? (picture && !shown && !this.face.self ? 'pictureComes' : null);
    this.#note.hidden = note === null;
    if (note) put(this.#note, note);
  }

  async #start() {
    try {
      await this.#video.play();
    } catch (error) {
      if (error.name !== 'NotAllowedError' || this.#video.muted) return;
      // No sound before the first click or key: the picture at least can be shown.
      this.#video.muted = true;
      this.blocked();
      await this.#video.play().catch(() => {});
    }
  }

  #mark(name, shown, key, values = {}) {
    const mark = this.#marks[name];
    mark.hidden = !shown;
    if (shown) call(mark, key, values);
  }

  /** Fills the tile with the picture, unless too much of it would be cut off. */
  #frame() {
    const {videoWidth: wide, videoHeight: high} = this.#video;
    const {width = 16, height = 9} = this.#rect ?? {};
    const shape = wide && high ? wide / high : 16 / 9, place = width / height;
    const seen = Math.min(shape / place, place / shape);
    const small = this.element.classList.contains('small');
    this.element.classList.toggle('filling', !this.face.screen && seen >= (this.face.whole ? ALL : small ? 0 : ENOUGH));
  }

  #touch() {
    this.element.classList.add('touched');
    clearTimeout(this.#touched);
    this.#touched = setTimeout(() => this.element.classList.remove('touched'), TOUCHED);
  }

  #toggleFull() {
    if (document.fullscreenElement) return document.exitFullscreen();
    // A browser that refuses stays as it is, which can be seen.
    if (this.element.requestFullscreen) return this.element.requestFullscreen().catch(() => {});
    // Telephones of one make give the whole screen to pictures only.
    this.#video.webkitEnterFullscreen?.();
  }
}

/** Gives an element its place on the floor. @param {import('./layout.js').Rect} rect */
export function occupy({style}, rect) {
  const set = (name, value) => style.setProperty(`--${name}`, `${Math.round(value * 2) / 2}px`);
  for (const name of ['x', 'y', 'width', 'height']) set(name, rect[name]);
  set('letters', Math.min(rect.width, rect.height) * 0.38);
}
