// Plays files of one session side by side: where each has to be, and what brings it there. No DOM.

/** Further apart than this a file is set to its place, in seconds. Nearer it goes a little faster or slower. */
const JUMP = 0.3;
/** Nearer than this it is left alone. */
const NEAR = 0.02;
/** So much faster or slower at most: nobody hears it. */
const HURRY = 0.05;

/** The time of a session: stands, or runs with the clock that it is told. */
export class SessionClock {
  #base = 0;
  #since = null;

  /** @param {number} length of the session, in seconds */
  constructor(length) {
    this.length = length;
  }

  get runs() {
    return this.#since !== null;
  }

  /** @param {number} now seconds @returns {number} seconds of the session */
  at(now) {
    return Math.min(this.length, this.#since === null ? this.#base : this.#base + now - this.#since);
  }

  run(now) {
    this.#since ??= now;
  }

  stand(now) {
    this.#base = this.at(now);
    this.#since = null;
  }

  seek(time, now) {
    this.#base = Math.max(0, Math.min(this.length, time));
    if (this.#since !== null) this.#since = now;
  }
}

/**
 * Where a file is at a time of the session.
 *
 * @param {{start: number, end: number}} file
 * @returns {number | null} seconds of the file; nothing where it has nothing
 */
export const place = ({start, end}, time) => time >= start && time < end ? time - start : null;

/**
 * Whether a file has become longer than a player knows it.
 *
 * @param {{start: number, end: number}} file
 * @param {number} known its length, as the player has it, in seconds
 */
export const hasGrown = ({start, end}, known) => Number.isFinite(known) && end - start > known + 1;

/**
 * What brings a player to its place.
 *
 * @param {number} off seconds that it is ahead
 * @returns {{jump: boolean, rate: number}}
 */
export function correction(off) {
  if (Math.abs(off) > JUMP) return {jump: true, rate: 1};
  if (Math.abs(off) < NEAR) return {jump: false, rate: 1};
  return {jump: false, rate: 1 - Math.max(-HURRY, Math.min(HURRY, off / 2))};
}

/**
 * The parts of a session in which a file has something, as shares of its length.
 *
 * @param {{start: number, end: number, gaps: {start: number, end: number}[]}} file
 * @param {number} length of the session
 * @returns {{from: number, to: number}[]}
 */
export function parts({start, end, gaps}, length) {
  if (!(length > 0)) return [];
  const found = [];
  let at = start;
  for (const gap of [...gaps].sort((a, b) => a.start - b.start)) {
    if (gap.start > at) found.push([at, Math.min(gap.start, end)]);
    at = Math.max(at, gap.end);
  }
  if (at < end) found.push([at, end]);
  return found.map(([from, to]) => ({from: from / length, to: Math.min(1, to / length)})).filter(({from, to}) => to > from);
}

/** @returns {string} `1:02:03`, or `2:03` within the first hour */
export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds)), pair = (number) => String(number).padStart(2, '0');
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${pair(minutes)}:${pair(whole % 60)}` : `${minutes}:${pair(whole % 60)}`;
}
