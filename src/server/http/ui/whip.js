// Publishes a stream by WHIP and takes up the thread when the connection breaks. No DOM.

import {Link} from './link.js';

/** @typedef {import('./link.js').Change} Change */
/** @typedef {import('./session.js').Refusal} Refusal */
/** @typedef {'auto' | 'H264' | 'VP8'} Codec */

/** How long a broken connection is tried again, in milliseconds: the server keeps the name for part of it. */
const RETURN_LIMIT = 45_000;
/** How long a first attempt waits for a name: a page that was loaded anew after a crash still holds its own for so long. */
const NAME_LIMIT = 6_000;

/**
 * @param {string} room
 * @param {string} participant
 * @param {MediaStream} stream
 * @param {object} options
 * @param {Codec} options.codec
 * @param {number | null} options.bitrate most bits a second of video; null leaves it to the browser
 * @param {(change: Change, refusal?: Refusal) => void} changed
 * @returns {Link} not yet started
 */
export function publish(room, participant, stream, {codec, bitrate}, changed) {
  const began = performance.now();
  return new Link({
    endpoint: `/whip/${encodeURIComponent(room)}/${encodeURIComponent(participant)}`,
    prepare(peer) {
      for (const track of stream.getTracks()) {
        const encoding = track.kind === 'video' && bitrate ? {maxBitrate: bitrate} : {};
        const transceiver = peer.addTransceiver(track, {
          direction: 'sendonly', streams: [stream], sendEncodings: [encoding],
        });
        if (track.kind === 'video') transceiver.setCodecPreferences?.(preferences(codec));
      }
    },
    // What does not work at once is for the person to hear; what worked before is worth a few more attempts, also
    // against a name that the server still holds for the lost connection.
    persist: ({status}, sinceLost) => sinceLost === null ?
      status === 409 && performance.now() - began < NAME_LIMIT :
      sinceLost < RETURN_LIMIT && (status === 0 || status === 409 || status >= 500),
    listener: changed,
  });
}

/**
 * Which of the codecs that the server takes this browser can send.
 *
 * @returns {Codec[]}
 */
export function codecs() {
  const names = sendable().map(({mimeType}) => mimeType.toUpperCase());
  return ['auto', ...['H264', 'VP8'].filter((codec) => names.includes(`VIDEO/${codec}`))];
}

function preferences(codec) {
  // H.264 first: it travels on to RTMP as it is.
  const wanted = codec === 'auto' ? ['H264', 'VP8'] : [codec];
  const named = (name) => sendable().filter(({mimeType}) => mimeType.toUpperCase() === `VIDEO/${name}`);
  return [...wanted, 'RTX'].flatMap(named);
}

const sendable = () => RTCRtpSender.getCapabilities?.('video')?.codecs ?? [];
