// How large a picture there is use for. No DOM; runs in node.

/** Asked for in steps of so many lines, so that a window that is being resized does not change its mind with each pixel. */
const STEP = 30;
/** More pixels than these for one of the page's are not seen. */
const FINEST = 2;

/**
 * Where a picture is seen: over the whole screen, in a window of its own above all others, or in its tile.
 *
 * @typedef {{width: number, height: number}} Size in the page's pixels
 * @param {{full: Size | null, floating: Size | null, tile: Size | null, hidden: boolean}} where `hidden`: nobody sees the page
 * @returns {Size | null} nothing: out of sight
 */
export const sight = ({full, floating, tile, hidden}) => floating ?? (hidden ? null : full ?? tile);

/**
 * @param {Size | null} place
 * @param {{shape: number, filling: boolean, ratio: number}} picture its width by its height, whether it fills the place or fits into it,
 *     and the screen's pixels for one of the page's
 * @returns {{paused: boolean, maxHeight?: number}} what to ask the sender for
 */
export function need(place, {shape, filling, ratio}) {
  if (!place) return {paused: true};
  const {width, height} = place;
  const tall = filling ? Math.max(height, width / shape) : Math.min(height, width / shape);
  return {paused: false, maxHeight: Math.ceil(tall * Math.min(ratio, FINEST) / STEP) * STEP};
}
