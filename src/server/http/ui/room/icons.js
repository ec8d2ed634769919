// The pictures on buttons, drawn as lines on a field of 24 by 24.

const SVG = 'http://www.w3.org/2000/svg';

const PATHS = {
  mic: 'M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3ZM5.5 11a6.5 6.5 0 0 0 13 0M12 17.5V21',
  micOff: 'M9 7V6a3 3 0 0 1 6 0v5M12 14a3 3 0 0 1-3-3v-1M5.5 11a6.5 6.5 0 0 0 10 5.5M18.4 12q.1-.5.1-1M12 17.5V21M4 4l16 16',
  camera: 'M4 7h9a2 2 0 0 1 2 2v6a2 2 0 0 1-2 2H4a1.5 1.5 0 0 1-1.5-1.5v-7A1.5 1.5 0 0 1 4 7ZM15 11l6-3.5v9L15 13',
  cameraOff: 'M9 7h4a2 2 0 0 1 2 2v2l6-3.5v9L17.5 14.5M14.7 16a2 2 0 0 1-1.7 1H4a1.5 1.5 0 0 1-1.5-1.5v-7A1.5 1.5 0 0 1 4 7M4 4l16 16',
  screen: 'M4.5 4.5h15A1.5 1.5 0 0 1 21 6v9.5a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 15.5V6a1.5 1.5 0 0 1 1.5-1.5ZM8 20.5h8M12 14V8M9 10.5 12 7.5l3 3',
  chat: 'M5 4.5h14A1.5 1.5 0 0 1 20.5 6v9a1.5 1.5 0 0 1-1.5 1.5h-7L7 20.5v-4H5A1.5 1.5 0 0 1 3.5 15V6A1.5 1.5 0 0 1 5 4.5ZM8 9h8M8 12.5h5',
  people: 'M9 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2.5 19.5c.5-3.2 3-5 6.5-5s6 1.8 6.5 5M16 4.8a3.5 3.5 0 0 1 0 6.5M18 14.9c2 .7 3.2 2.3 3.5 4.6',
  invite: 'M10 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM3.5 19.5c.5-3.2 3-5 6.5-5s6 1.8 6.5 5M19 7.5v6M16 10.5h6',
  more: 'M12 5.5h.01M12 12h.01M12 18.5h.01',
  leave: 'M3 13.5c0-5 18-5 18 0v1.3a1.2 1.2 0 0 1-1.4 1.2l-2.9-.5a1.2 1.2 0 0 1-1-1.2v-1.8a13 13 0 0 0-7.4 0v1.8a1.2 1.2 0 0 1-1 1.2l-2.9.5A1.2 1.2 0 0 1 3 14.8Z',
  close: 'M6 6l12 12M18 6 6 18',
  copy: 'M9.5 8h9A1.5 1.5 0 0 1 20 9.5v9a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 8 18.5v-9A1.5 1.5 0 0 1 9.5 8ZM16 5.5A1.5 1.5 0 0 0 14.5 4h-9A1.5 1.5 0 0 0 4 5.5v9A1.5 1.5 0 0 0 5.5 16',
  check: 'M4.5 12.5l5 5 10-11',
  pin: 'M9 3.5h6l-.8 6.5 3.3 3.5H6.5L9.8 10ZM12 13.5V21',
  lock: 'M6.5 10.5h11A1.5 1.5 0 0 1 19 12v7a1.5 1.5 0 0 1-1.5 1.5h-11A1.5 1.5 0 0 1 5 19v-7a1.5 1.5 0 0 1 1.5-1.5ZM8 10.5V7.5a4 4 0 0 1 8 0v3',
  unlock: 'M6.5 10.5h11A1.5 1.5 0 0 1 19 12v7a1.5 1.5 0 0 1-1.5 1.5h-11A1.5 1.5 0 0 1 5 19v-7a1.5 1.5 0 0 1 1.5-1.5ZM8 10.5V7.5a4 4 0 0 1 7.7-1.5',
  send: 'M4 12 20 4.5 15.5 20l-4-6.5ZM11.5 13.5 20 4.5',
  settings: 'M4 8h8.5M17.5 8H20M15 8m-2.5 0a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0-5 0M4 16h2.5M11.5 16H20M9 16m-2.5 0a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0-5 0',
  grid: 'M4 4.5h7v6.5H4ZM13 4.5h7v6.5h-7ZM4 13h7v6.5H4ZM13 13h7v6.5h-7Z',
  speaker: 'M4 4.5h16v10H4ZM4 17h4.5v3H4ZM10 17h4.5v3H10ZM16 17h4v3h-4Z',
  full: 'M4 9V4.5h4.5M20 9V4.5h-4.5M4 15v4.5h4.5M20 15v4.5h-4.5',
  sound: 'M4 9.5h3.5L12 5.5v13l-4.5-4H4ZM15.5 9a4 4 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11',
  weak: 'M5 19v-3M10 19v-6M15 19V9.5M20 19V5.5',
  exchange: 'M4 8.5h14M15 5l3.5 3.5L15 12M20 15.5H6M9 12l-3.5 3.5L9 19',
  record: 'M12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10Z',
  remove: 'M10 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM3.5 19.5c.5-3.2 3-5 6.5-5s6 1.8 6.5 5M16 10.5h6',
  crown: 'M4 8l4 4 4-6.5L16 12l4-4-1.5 9.5h-13Z',
  eye: 'M2.5 12C5 7.5 8.5 5.5 12 5.5s7 2 9.5 6.5c-2.5 4.5-6 6.5-9.5 6.5S5 16.5 2.5 12ZM12 14.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6Z',
  antenna: 'M12 13.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3ZM12 13.5V21M8.5 15.5a5 5 0 0 1 0-7M15.5 15.5a5 5 0 0 0 0-7M5.7 18.3a9 9 0 0 1 0-12.6M18.3 18.3a9 9 0 0 0 0-12.6',
  stop: 'M7 7h10v10H7Z',
  door: 'M13.5 4H6.5A1.5 1.5 0 0 0 5 5.5v13A1.5 1.5 0 0 0 6.5 20h7M10.5 12H20M16.5 8.5 20 12l-3.5 3.5',
  again: 'M20 12a8 8 0 1 1-2.4-5.7M20 3.5V8h-4.5',
  share: 'M12 14.5V4M8.5 7 12 3.5 15.5 7M6 11.5v7A1.5 1.5 0 0 0 7.5 20h9a1.5 1.5 0 0 0 1.5-1.5v-7',
};
const SOLID = ['record', 'stop', 'leave'];

/**
 * @param {keyof typeof PATHS} name
 * @returns {SVGElement} that screen readers pass over
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg'), path = document.createElementNS(SVG, 'path');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  svg.classList.add('icon');
  svg.classList.toggle('solid', SOLID.includes(name));
  svg.dataset.icon = name;
  path.setAttribute('d', PATHS[name]);
  svg.append(path);
  return svg;
}

/** Puts an icon before what is in an element, in the place of the one that was there. */
export function draw(element, name) {
  const old = element.querySelector(':scope > svg.icon');
  if (old?.dataset.icon === name) return;
  if (old) old.replaceWith(icon(name));
  else element.prepend(icon(name));
}

/** Draws the icons that the markup asks for. */
export function drawAll(root = document) {
  for (const element of root.querySelectorAll('[data-icon]:not(svg)')) draw(element, element.dataset.icon);
}
