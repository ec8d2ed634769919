// Something to be done a little later, once for all who asked for it meanwhile. No DOM; runs in node.

export class Later {
  #run;
  #timer = null;

  /** @param {() => void} run */
  constructor(run) {
    this.#run = run;
  }

  /** Within so many milliseconds. Who keeps asking does not put it off. */
  within(ms) {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#run();
    }, ms);
  }

  /** In so many milliseconds, whatever was said before. */
  in(ms) {
    this.stop();
    this.within(ms);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = null;
  }
}
