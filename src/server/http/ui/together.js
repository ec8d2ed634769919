// Plays files of one session side by side: where each has to be, and what brings it there. No DOM.

/** Further apart than this a file is set to its place, in seconds. Nearer it goes a little faster or slower. */
const JUMP = 0.3;
/** Nearer than this it is left alone. */
const NEAR = 0.02;
/** So much faster or slower at most: nobody hears it. */
const HURRY = 0.05;

/** So many players jump at a time. */
const TURNS = 3;
/** One that has not arrived by then jumps again, and does not keep others waiting, in seconds. */
const PATIENCE = 1.5;

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
 * Who of many players may jump: a few at a time, and whoever does not arrive jumps again. Of ten that jump at once in Chromium
 * beyond what they have loaded some never arrive, with all they need there and nothing under way; a second jump brings them.
 */
export class Turns {
  /** When each set out, in seconds; those that wait have `null`. In the order in which they asked. */
  #jumps = new Map();

  /** Somebody is not where he should be. Whoever is on his way can ask again when he has arrived. */
  want(player) {
    if (!this.#jumps.has(player)) this.#jumps.set(player, null);
  }

  /** Whether he waits or is on his way. */
  has(player) {
    return this.#jumps.has(player);
  }

  /** He is on no way any more. Whoever waits keeps his turn. */
  arrived(player) {
    if (this.#jumps.get(player) !== null) this.end(player);
  }

  /** He has no longer anywhere to go. */
  end(player) {
    this.#jumps.delete(player);
  }

  /**
   * Whether he is to jump now.
   *
   * @param {number} now seconds
   */
  take(player, now) {
    const isUnderWay = (since) => since !== null && now - since < PATIENCE;
    const since = this.#jumps.get(player);
    if (since === undefined || isUnderWay(since)) return false;
    if ([...this.#jumps.values()].filter(isUnderWay).length >= TURNS) return false;
    this.#jumps.set(player, now);
    return true;
  }
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
