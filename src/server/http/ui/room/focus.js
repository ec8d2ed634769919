// Where the keyboard goes when what it was on goes away. Runs in node.

/**
 * Takes something out of sight. The keyboard, if it was there, goes to the first of `next` that can be seen: left to the browser, it
 * would begin again at the top of the page.
 *
 * @param {HTMLElement} element
 * @param {() => void} act
 * @param {...(HTMLElement | undefined)} next
 */
export function withdraw(element, act, ...next) {
  const had = element.contains(document.activeElement);
  act();
  if (had) next.find((one) => one && !one.disabled && one.getClientRects().length > 0)?.focus({preventScroll: true});
}

/** Shows something, or hides it as `withdraw` does. */
export function reveal(element, shown, ...next) {
  withdraw(element, () => element.hidden = !shown, ...shown ? [] : next);
}
