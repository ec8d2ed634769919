// The sizes in which a picture is sent, each at its most bits a second. No DOM.

const SCREEN = [{maxBitrate: 2_500_000, maxFramerate: 30}];
/** The smallest size that is sent goes over a line of 300 kbit/s, beside sound in stereo. */
const LEAST = 120_000, MIDDLE = 500_000;

/**
 * @param {{width?: number, height?: number}} picture
 * @param {{simulcast: boolean, screen: boolean}} how whether the server takes several sizes at a time
 * @returns {RTCRtpEncodingParameters[]} as many for every picture, so that another may take its place
 */
export function encodings({width = 0, height = 0}, {simulcast, screen}) {
  if (screen) return SCREEN;
  const most = width >= 1280 ? 1_700_000 : width >= 640 ? 900_000 : 600_000;
  if (!simulcast) return [{maxBitrate: most}];
  // Of a small picture a quarter is nothing to look at. Chromium sends no more of it either, and leaves out what is named last:
  // so the smallest comes last.
  const sizes = width * height >= 960 * 540 ? 3 : width * height >= 480 * 270 ? 2 : 1;
  return [
    {rid: 'f', scaleResolutionDownBy: 1, maxBitrate: most, active: true},
    {rid: 'h', scaleResolutionDownBy: 2, maxBitrate: sizes > 2 ? MIDDLE : LEAST, active: sizes > 1},
    {rid: 'q', scaleResolutionDownBy: 4, maxBitrate: LEAST, active: sizes > 2},
  ];
}
