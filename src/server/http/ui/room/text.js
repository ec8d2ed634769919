// The words of the pages, in the language of whoever reads them.

import {recall, keep} from './settings.js';
import {english} from './en.js';
import {russian} from './ru.js';

const LANGUAGES = {en: english, ru: russian};
const remembered = new WeakMap();
let language = recall('language') ?? globalThis.navigator?.languages?.map((tag) => tag.slice(0, 2)).find((tag) => tag in LANGUAGES) ?? 'en';
if (!(language in LANGUAGES)) language = 'en';

/** Languages with their own names for themselves. */
export const languages = [['en', 'English'], ['ru', 'Русский']];

/** The language in use. */
export const current = () => language;

/**
 * A text.
 *
 * @param {string} key
 * @param {Object<string, string | number>} [values] for what stands in braces; `count` chooses the plural
 */
export function t(key, values = {}) {
  const entry = LANGUAGES[language][key] ?? english[key] ?? key;
  const text = typeof entry === 'string' ? entry :
    entry[new Intl.PluralRules(language).select(values.count)] ?? entry.other;
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ''));
}

/** The text for a word of the server; nothing if the word is newer than this page. */
export const known = (stem, word) => `${stem}_${word}` in english ? t(`${stem}_${word}`) : null;

/** Sets an element's text, now and whenever the language changes. */
export function put(element, key, values) {
  element.dataset.t = key;
  set(element, 'text', key, values);
}

/** Sets what a control is called: for those who hear it and for those who point at it. */
export function call(element, key, values) {
  element.dataset.call = key;
  set(element, 'call', key, values);
}

/** Changes the language of everything below the document. */
export function speak(code) {
  language = code;
  keep('language', code);
  translate();
}

/** Fills in the texts of the markup: `data-t` is an element's text, `data-call` its name, `data-hint` its placeholder. */
export function translate(root = document) {
  document.documentElement.lang = language;
  for (const element of root.querySelectorAll('[data-t]')) set(element, 'text', element.dataset.t);
  for (const element of root.querySelectorAll('[data-call]')) set(element, 'call', element.dataset.call);
  for (const element of root.querySelectorAll('[data-hint]')) element.placeholder = t(element.dataset.hint);
  document.dispatchEvent(new CustomEvent('language'));
}

/** A time of the day. */
export const clock = (ms) => new Intl.DateTimeFormat(language, {hour: '2-digit', minute: '2-digit'}).format(ms);

/** A day and the time of it. */
export const moment = (ms) => new Intl.DateTimeFormat(language, {dateStyle: 'medium', timeStyle: 'short'}).format(ms);

function set(element, what, key, values) {
  const kept = remembered.get(element) ?? {};
  if (values) kept[what] = {key, values};
  remembered.set(element, kept);
  const text = t(key, kept[what]?.key === key ? kept[what].values : {});
  if (what === 'text') {
    // Screen readers repeat what is set again.
    if (element.textContent !== text) element.textContent = text;
  } else if (element.getAttribute('aria-label') !== text) {
    element.setAttribute('aria-label', text);
    element.title = text;
  }
}
