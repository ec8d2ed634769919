// Plays one participant's stream by WHEP and waits for it while it is not there. No DOM.

import {Link} from './link.js';

/** @typedef {import('./link.js').Change} Change */
/** @typedef {import('./session.js').Refusal} Refusal */

/**
 * @param {string} room
 * @param {string} participant
 * @param {object} listener
 * @param {(change: Change, refusal?: Refusal) => void} listener.changed
 * @param {(track: MediaStreamTrack) => void} listener.track called as soon as a track of the present connection plays
 * @returns {Link} not yet started
 */
export function play(room, participant, listener) {
  return new Link({
    endpoint: `/whep/${encodeURIComponent(room)}/${encodeURIComponent(participant)}`,
    prepare(peer) {
      peer.addTransceiver('audio', {direction: 'recvonly'});
      peer.addTransceiver('video', {direction: 'recvonly'});
      hold(peer, listener.track);
    },
    adjust: stereo,
    // No stream yet is what one waits for, and a server that is away comes back; an offer it cannot use stays so.
    persist: ({status}) => status === 404 || status === 0 || status >= 500,
    listener: listener.changed,
  });
}

/**
 * Hands on each track when media has come for it. A player waits for the first picture of a video track, so a stream of sound
 * alone would stay silent if its empty video track were handed on; and sound that waited for its picture would have to be
 * played late from then on.
 */
function hold(peer, handOn) {
  peer.addEventListener('track', ({track}) => {
    track.addEventListener('unmute', () => peer.signalingState === 'closed' || handOn(track), {once: true});
  });
}

/** Asks for two channels of sound: Chromium decodes Opus to one unless its own offer says so (RFC 7587, 6.1). */
function stereo(sdp) {
  const opus = sdp.match(/^a=rtpmap:(\d+) opus\/48000\/2\s*$/m)?.[1];
  const format = new RegExp(`^(a=fmtp:${opus} )(?!.*\\bstereo=)`, 'm');
  return opus ? sdp.replace(format, '$1stereo=1;') : sdp;
}
