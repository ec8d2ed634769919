// What to do where the browser hides the devices because the page did not come over TLS. No DOM.

import {secureAddress} from '../api.js';

/**
 * @typedef {object} Hint
 * @property {string} key of the text
 * @property {string | null} address to open in place of this one
 */

/**
 * What helps whoever wants to be seen and heard.
 *
 * @param {URL} page that is open
 * @param {boolean} secure whether the browser takes it for secure
 * @returns {Promise<Hint | null>} null where nothing is to be done
 */
export async function hint(page, secure) {
  if (secure) return null;
  const address = await secureAddress(page);
  // Only the one who runs the server can do something then, and may be the one who reads.
  return address ? {key: 'secureThere', address} : {key: 'secureOff', address: null};
}
