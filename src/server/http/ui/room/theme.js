// Dark or light: as the system is, unless the person has said otherwise.

import {keep, recall} from './settings.js';

/** What can be chosen. */
export const themes = ['auto', 'light', 'dark'];

export const theme = () => themes.find((one) => one === recall('theme')) ?? 'auto';

/** @param {'auto' | 'light' | 'dark'} name */
export function dress(name = theme()) {
  if (name === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
}

export function wear(name) {
  keep('theme', name);
  dress(name);
}
