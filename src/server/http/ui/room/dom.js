// Small things that all parts of the room's page do to the document.

import {make, sentence} from '../ui.js';
import {failureKey} from './failure.js';
import {draw} from './icons.js';
import {call, put, t} from './text.js';

/** Shows a button's state: what it is called now, how it looks, and whether it is pressed. */
export function button(element, {icon, key, values, pressed, off, disabled}) {
  if (icon) draw(element, icon);
  if (key) call(element, key, values);
  if (pressed !== undefined) element.setAttribute('aria-pressed', String(pressed));
  if (off !== undefined) element.classList.toggle('off', off);
  if (disabled !== undefined) element.disabled = disabled;
}

/** A message that goes away by itself and is read out. Texts from outside are values, never keys. */
export function toast(key, values = {}, {lasting = false, act} = {}) {
  const box = document.getElementById('toasts');
  const text = make('span', {textContent: t(key, values)});
  const element = make('div', {className: 'toast'}, text);
  const remove = () => element.remove();
  if (act) {
    const go = make('button', {type: 'button', textContent: t(act.key)});
    go.addEventListener('click', () => {
      remove();
      act.run();
    });
    element.append(go);
  }
  box.append(element);
  // A crowd that comes at once must not cover the room.
  while (box.children.length > 3) box.firstChild.remove();
  setTimeout(remove, lasting || act ? 12_000 : 5_000);
}

/** Why something was refused, in words for the reader. @param {{word?: string, message: string}} error */
export function why({word = '', message}) {
  const key = `refused_${word}`, text = t(key);
  return text === key ? sentence(message) : text;
}

/** Why media does not get through, in words for the reader. @param {string} info the server's */
export function failed(info) {
  const key = failureKey(info);
  return key ? t(key) : sentence(info);
}

/** Opens a dialog that closes by its button, by Escape and by a click beside it. */
export function open(dialog) {
  if (dialog.open) return;
  dialog.showModal();
}

/** Prepares all dialogs of the page once. */
export function dialogs() {
  for (const dialog of document.querySelectorAll('dialog')) {
    for (const element of dialog.querySelectorAll('[data-close]')) element.addEventListener('click', () => dialog.close());
    dialog.addEventListener('click', (event) => {
      const {left, right, top, bottom} = dialog.getBoundingClientRect();
      const inside = event.clientX >= left && event.clientX <= right && event.clientY >= top && event.clientY <= bottom;
      // A key on a button inside is a click at 0, 0.
      if (event.target === dialog && event.detail > 0 && !inside) dialog.close();
    });
  }
}

/** Answers the question that is open, or whose end has not been told yet. */
let answer = () => {};

/** Asks whether to do what cannot be undone. @returns {Promise<boolean>} */
export function ask(title, text, yes, values) {
  const dialog = document.getElementById('question');
  answer(false);
  put(document.getElementById('question-title'), title, values ?? {});
  put(document.getElementById('question-text'), text, values ?? {});
  put(document.getElementById('question-yes'), yes, values ?? {});
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise((resolve) => {
    // While it is open, what is told is the end of the question before.
    const closed = () => dialog.open || answer(dialog.returnValue === 'yes');
    answer = (is) => {
      dialog.removeEventListener('close', closed);
      answer = () => {};
      resolve(is);
    };
    dialog.addEventListener('close', closed);
  });
}

/** Lets each button with `data-copy` copy the text of the element of that id. */
export function copying(root = document) {
  for (const element of root.querySelectorAll('[data-copy]')) {
    const label = element.querySelector('[data-t]');
    element.addEventListener('click', async () => {
      put(label, await copy(document.getElementById(element.dataset.copy)) ? 'copied' : 'copyByKey');
      draw(element, 'check');
      setTimeout(() => {
        put(label, 'copy');
        draw(element, 'copy');
      }, 2_000);
    });
  }
}

async function copy(element) {
  // Selected in any case: it shows what was copied, and the keyboard can do it where the page may not.
  getSelection().selectAllChildren(element);
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    // No clipboard outside https:// and localhost; the old way works there.
    return document.execCommand('copy');
  }
}

/**
 * Puts choices into a `<select>`, and keeps the focus of whoever is choosing.
 *
 * @param {HTMLSelectElement} select
 * @param {[string, string, boolean?][]} choices value, text, and whether it can be chosen no more
 * @param {string} chosen value
 */
export function choose(select, choices, chosen) {
  const same = select.options.length === choices.length && choices.every(([value, text, disabled = false], index) => {
    const option = select.options[index];
    return option.value === value && option.text === text && option.disabled === disabled;
  });
  if (!same) {
    select.replaceChildren(...choices.map(([value, textContent, disabled = false]) => make('option', {value, textContent, disabled})));
  }
  if (choices.some(([value]) => value === chosen)) select.value = chosen;
}
