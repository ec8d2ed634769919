// One exchange of offer and answer by WHIP (RFC 9725) or WHEP: both are the same request. No DOM.

import {t} from './room/text.js';

/** Why the server, or the way to it, refused; `message` is for the person who reads the page. */
export class Refusal extends Error {
  /**
   * @param {number} status HTTP's status; 0 if no answer came at all
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * Offers what `peer` has to send or to take, and sets the answer.
 *
 * Candidates are not waited for: the server has its own in the answer and learns the browser's address from its checks.
 *
 * @param {string} endpoint
 * @param {RTCPeerConnection} peer
 * @param {AbortSignal} signal gives up the request
 * @param {(sdp: string) => string} adjust changes the offer before it is set
 * @returns {Promise<string | null>} the session's address, to be given to `close`
 * @throws {Refusal}
 */
export async function open(endpoint, peer, signal, adjust = (sdp) => sdp) {
  const {sdp} = await peer.createOffer();
  await peer.setLocalDescription({type: 'offer', sdp: adjust(sdp)});
  const response = await post(endpoint, peer.localDescription.sdp, signal);
  const answer = await response.text();
  if (!response.ok) throw new Refusal(response.status, reason(response, answer));
  const location = response.headers.get('Location');
  await peer.setRemoteDescription({type: 'answer', sdp: answer});
  return location && new URL(location, response.url).href;
}

/**
 * Ends a session. Works while the page is being left, too.
 *
 * @param {string | null} session
 */
export function close(session) {
  // Nobody is left to tell of a failure; the server notices silence by itself.
  if (session) fetch(session, {method: 'DELETE', keepalive: true}).catch(() => {});
}

async function post(endpoint, body, signal) {
  try {
    return await fetch(endpoint, {method: 'POST', headers: {'Content-Type': 'application/sdp'}, body, signal});
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Refusal(0, t('serverAway'));
  }
}

function reason(response, body) {
  try {
    const {message} = JSON.parse(body);
    if (typeof message === 'string' && message) return message;
  } catch {
    // Not ours: a proxy on the way speaks HTML. The status has to do.
  }
  return t('serverAnswered', {status: `${response.status} ${response.statusText}`.trim()});
}
