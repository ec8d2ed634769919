// Who speaks, by how loud everybody is. No DOM; runs in node.

/** Louder than this is speech; 0 to 1, linear. */
const SPEECH = 0.02;
/** The ring around a speaker stays this long between words, in milliseconds. */
const HOLD = 700;
/** Somebody else takes the stage after being the louder one for so long, in milliseconds. */
const TAKE_OVER = 1_500;

export class Speakers {
  #heard = new Map();
  #leading = null;
  #rival = null;

  /**
   * Takes the loudness of all at one time.
   *
   * @param {Map<string, number>} levels by name, 0 to 1
   * @param {number} now milliseconds
   */
  hear(levels, now) {
    for (const name of this.#heard.keys()) if (!levels.has(name)) this.#heard.delete(name);
    for (const [name, level] of levels) {
      const old = this.#heard.get(name) ?? {last: -Infinity, level: 0};
      // Quick to rise, slow to fall.
      old.level = Math.max(level, old.level * 0.7);
      if (level >= SPEECH) old.last = now;
      this.#heard.set(name, old);
    }
    this.#lead(now);
  }

  /** Whether somebody speaks. */
  speaks(name, now) {
    return now - (this.#heard.get(name)?.last ?? -Infinity) <= HOLD;
  }

  /** When somebody was last heard; `-Infinity` if never. */
  last(name) {
    return this.#heard.get(name)?.last ?? -Infinity;
  }

  /** The one who leads the talk: changes slowly, and stays when all are silent. @returns {string | null} */
  get leading() {
    return this.#leading;
  }

  #lead(now) {
    if (!this.#heard.has(this.#leading)) this.#leading = null;
    const speaking = [...this.#heard].filter(([name]) => this.speaks(name, now));
    const [loudest] = speaking.sort(([, one], [, other]) => other.level - one.level);
    const name = loudest?.[0] ?? null;
    if (name === null || name === this.#leading) {
      this.#rival = null;
    } else if (this.#leading === null) {
      this.#leading = name;
    } else if (this.#rival?.name !== name) {
      this.#rival = {name, since: now};
    } else if (now - this.#rival.since >= TAKE_OVER) {
      this.#leading = name;
      this.#rival = null;
    }
  }
}
