// What the pages share of the DOM: state, lists of facts, choices, asking the server again and again.
// Text from outside enters the document as text only.

/**
 * @param {string} id
 * @returns {HTMLElement}
 */
export const byId = (id) => document.getElementById(id);

/**
 * Makes an element.
 *
 * @param {string} name
 * @param {Object<string, string>} properties
 * @param {...(Node | string)} children
 */
export function make(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/**
 * The room and the participant, if any, that the address names, spelt as the server spells them; it has checked them.
 *
 * @returns {string[]}
 */
export const names = () => location.pathname.split('/').slice(2, 4).map((part) => decodeURIComponent(part).normalize('NFC'));

/** Query parameters of the page. */
export const query = new URLSearchParams(location.search);

/**
 * Shows and announces what the page is doing.
 *
 * @param {'idle' | 'connecting' | 'waiting' | 'playing' | 'publishing' | 'ended' | 'error'} state
 * @param {string} text
 */
export function show(state, text) {
  document.querySelector('main').dataset.state = state;
  write(byId('status'), text);
}

/** Sets an element's text; screen readers repeat what is set again, so only a change is. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Fills a `<dl>`, and hides it when there is nothing to tell.
 *
 * @param {HTMLElement} list
 * @param {[string, string][]} rows label and value
 */
export function fill(list, rows) {
  list.hidden = rows.length === 0;
  list.replaceChildren(...rows.map(([label, value]) =>
    make('div', {}, make('dt', {textContent: label}), make('dd', {textContent: value}))));
}

/**
 * Fills a list with remarks on the stream, and hides it when there are none.
 *
 * @param {HTMLElement} list
 * @param {import('./api.js').Remark[]} remarks
 */
export function note(list, remarks) {
  list.hidden = remarks.length === 0;
  list.replaceChildren(...remarks.map(({text, warning}) =>
    make('li', {className: warning ? 'warning' : '', textContent: sentence(text)})));
}

/**
 * The server's messages are made to stand after a colon, too; here they stand alone.
 *
 * @param {string} text
 * @returns {string}
 */
export const sentence = (text) => text && text[0].toUpperCase() + text.slice(1) + (/[.…!?]$/.test(text) ? '' : '.');

/**
 * Puts choices into a `<select>` and keeps the chosen one if it is still there.
 *
 * @param {HTMLSelectElement} select
 * @param {[string, string][]} choices value and text
 */
export function offer(select, choices) {
  const chosen = select.value;
  select.replaceChildren(...choices.map(([value, textContent]) => make('option', {value, textContent})));
  if (choices.some(([value]) => value === chosen)) select.value = chosen;
}

/**
 * Does something now and then, one at a time, but not while nobody sees the page. A failure is reported, and the next
 * turn comes all the same.
 *
 * @param {number} milliseconds between the end of one and the next
 * @param {() => Promise<void>} job
 */
export async function every(milliseconds, job) {
  for (;;) {
    if (!document.hidden) await job().catch(reportError);
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
  }
}
