// Timers that run when the test says so.

/**
 * Replaces `setTimeout` until the test has ended.
 *
 * @param {import('node:test').TestContext} context
 * @returns {(ms: number) => void} lets that much time pass
 */
export function clock(context) {
  const real = {setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout};
  const timers = new Map();
  let now = 0, last = 0;
  globalThis.setTimeout = (run, ms = 0, ...rest) => {
    timers.set(++last, {at: now + ms, run: () => run(...rest)});
    return last;
  };
  globalThis.clearTimeout = (id) => timers.delete(id);
  context.after(() => Object.assign(globalThis, real));
  return (ms) => {
    const end = now + ms;
    for (;;) {
      const [next] = [...timers].filter(([, {at}]) => at <= end).sort(([, one], [, other]) => one.at - other.at);
      if (!next) break;
      now = next[1].at;
      timers.delete(next[0]);
      next[1].run();
    }
    now = end;
  };
}
