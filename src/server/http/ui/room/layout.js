// Where each tile goes: pure geometry. No DOM; runs in node.

/** @typedef {{x: number, y: number, width: number, height: number}} Rect */

/** Shapes a tile may have, width to height: on a wide window all are 16:9, on an upright one they may grow tall. */
const WIDE = 16 / 9, TALL = 3 / 4;
/** Between tiles, in pixels. */
const GAP = 8, SMALL_GAP = 6;
/** A strip's tile, in pixels: smaller is not worth showing. */
const STRIP_LEAST = 112, STRIP_GOOD = 150, STRIP_MOST = 260;

/** More tiles than this are a wall of stamps, and so are narrower ones, in pixels. */
const GRID_MOST = 25, GRID_LEAST = 112;

const upright = (width, height) => width < height;
const gapOf = (width, height) => Math.min(width, height) < 600 ? SMALL_GAP : GAP;

/**
 * The best fit of equal tiles.
 *
 * @param {number} count of tiles
 * @param {number} width of the window, in pixels
 * @param {number} height of the window, in pixels
 * @returns {Rect[]} none if there is no place for so many
 */
export function grid(count, width, height) {
  if (count === 0) return [];
  const gap = gapOf(width, height);
  let best = null;
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const wide = (width - gap * (columns - 1)) / columns, high = (height - gap * (rows - 1)) / rows;
    // Nothing but gaps.
    if (wide <= 0 || high <= 0) continue;
    const cell = fit(wide, high, upright(width, height));
    // Of equals the fuller one: no row or column without a tile.
    const waste = columns * rows - count;
    const worth = cell.width * cell.height - waste * 0.001;
    if (!best || worth > best.worth + 0.5) best = {columns, rows, cell, worth};
  }
  if (!best) return [];
  const {columns, rows, cell} = best;
  const top = (height - rows * cell.height - (rows - 1) * gap) / 2;
  return Array.from({length: count}, (_, index) => {
    const row = Math.floor(index / columns), inRow = Math.min(columns, count - row * columns);
    const left = (width - inRow * cell.width - (inRow - 1) * gap) / 2;
    return {
      x: left + (index - row * columns) * (cell.width + gap), y: top + row * (cell.height + gap), ...cell,
    };
  });
}

/**
 * How many tiles of a grid are worth looking at.
 *
 * @param {number} width of the window, in pixels
 * @param {number} height of the window, in pixels
 */
export function capacity(width, height) {
  let count = GRID_MOST;
  while (count > 2 && !(grid(count, width, height)[0]?.width >= GRID_LEAST)) count--;
  return count;
}

/**
 * Who gets a place where not all do: the last one is for a sign that says how many are not shown.
 *
 * @param {number} count that would like a place
 * @param {number} places
 * @returns {{shown: number, more: number}}
 */
export function seats(count, places) {
  if (count <= places) return {shown: count, more: 0};
  // The only place is better taken by a face.
  return places < 2 ? {shown: places, more: 0} : {shown: places - 1, more: count - places + 1};
}

/** The largest tile in a cell. */
function fit(width, height, flexible) {
  const shape = flexible ? Math.max(TALL, Math.min(WIDE, width / height)) : WIDE;
  return width / height > shape ? {width: height * shape, height} : {width, height: width / shape};
}

/**
 * Two people: the other one large, oneself small in a corner.
 *
 * @param {number} width
 * @param {number} height
 * @returns {[Rect, Rect]} the other's and one's own
 */
export function duo(width, height) {
  const margin = gapOf(width, height) * 2;
  const narrow = upright(width, height);
  const small = narrow
    ? {width: clamp(width * 0.28, 84, 180), height: clamp(width * 0.28, 84, 180) / TALL}
    : {width: clamp(width * 0.2, 160, 300), height: clamp(width * 0.2, 160, 300) / WIDE};
  return [
    {x: 0, y: 0, width, height},
    {x: width - small.width - margin, y: height - small.height - margin, ...small},
  ];
}

/**
 * One large, the others in a strip beside or below it.
 *
 * @param {number} others how many would like a place in the strip
 * @param {number} width
 * @param {number} height
 * @returns {{main: Rect, strip: Rect[]}} the strip has places for as many as fit
 */
export function stage(others, width, height) {
  const gap = gapOf(width, height);
  if (others === 0) return {main: {x: 0, y: 0, width, height}, strip: []};
  return upright(width, height) || width < 560
    ? below(others, width, height, gap)
    : beside(others, width, height, gap);
}

function beside(others, width, height, gap) {
  // One column as long as its tiles are worth looking at, else two.
  const widest = clamp(width * 0.2, STRIP_LEAST, STRIP_MOST);
  const single = Math.min(widest, WIDE * (height - gap * (others - 1)) / others);
  const columns = single >= Math.min(STRIP_GOOD, widest) ? 1 : 2, rows = Math.ceil(others / columns);
  const fitting = WIDE * (height - gap * (rows - 1)) / rows;
  const tile = {width: clamp(fitting, STRIP_LEAST, columns === 1 ? widest : widest * 0.72)};
  tile.height = tile.width / WIDE;
  const possible = Math.max(1, Math.floor((height + gap) / (tile.height + gap)));
  const shown = Math.min(others, possible * columns), used = Math.ceil(shown / columns);
  const stripWidth = columns * tile.width + (columns - 1) * gap;
  const top = (height - used * tile.height - (used - 1) * gap) / 2;
  const strip = Array.from({length: shown}, (_, index) => ({
    x: width - stripWidth + index % columns * (tile.width + gap),
    y: top + Math.floor(index / columns) * (tile.height + gap), ...tile,
  }));
  return {main: {x: 0, y: 0, width: width - stripWidth - gap, height}, strip};
}

function below(others, width, height, gap) {
  const across = Math.max(2, Math.floor((width + gap) / (STRIP_LEAST + gap)));
  const rows = others > across && height > 560 ? 2 : 1;
  const columns = Math.min(across, Math.ceil(others / rows));
  const tile = {width: Math.min(STRIP_MOST, (width - gap * (across - 1)) / across)};
  tile.height = tile.width / (4 / 3);
  const shown = Math.min(others, columns * rows), used = Math.ceil(shown / columns);
  const stripHeight = used * tile.height + (used - 1) * gap;
  const strip = Array.from({length: shown}, (_, index) => {
    const row = Math.floor(index / columns), inRow = Math.min(columns, shown - row * columns);
    const left = (width - inRow * tile.width - (inRow - 1) * gap) / 2;
    return {
      x: left + (index - row * columns) * (tile.width + gap),
      y: height - stripHeight + row * (tile.height + gap), ...tile,
    };
  });
  return {main: {x: 0, y: 0, width, height: height - stripHeight - gap}, strip};
}

const clamp = (value, least, most) => Math.max(least, Math.min(most, value));
