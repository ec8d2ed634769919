// What a connection carries, read from the browser's statistics (W3C webrtc-stats). No DOM.

import {t} from './room/text.js';

/**
 * One medium in one direction. Members that the browser does not tell are undefined.
 *
 * @typedef {object} Medium
 * @property {string} [codec] name and, for H.264, profile
 * @property {number} [channels] of sound
 * @property {number} [width] of the picture, in pixels
 * @property {number} [height] of the picture, in pixels
 * @property {number} [fps] pictures a second
 * @property {number} [bitrate] bits a second since the last reading
 * @property {number} [loss] share of packets lost on the way, 0 to 1
 * @property {number} [jitter] in seconds
 * @property {number} [delay] from arrival to playing, in seconds
 * @property {string} [limitation] what keeps an encoder from more: `cpu`, `bandwidth`, `other`
 */

/**
 * @typedef {object} Reading
 * @property {Medium} [video]
 * @property {Medium} [audio]
 * @property {number} [roundTrip] in seconds
 * @property {string} [route] transport protocol of the chosen candidates, and the SRTP cipher
 */

/** Reads one connection again and again; rates are over the time between two readings. */
export class Meter {
  #peer;
  #previous = new Map();

  /** @param {RTCPeerConnection} peer */
  constructor(peer) {
    this.#peer = peer;
  }

  /** @returns {Promise<Reading>} */
  async read() {
    const report = await this.#peer.getStats();
    const reading = {};
    for (const entry of report.values()) {
      if (entry.type === 'inbound-rtp' || entry.type === 'outbound-rtp') {
        const before = this.#previous.get(entry.id);
        reading[entry.kind] = medium(entry, before, report);
        this.#previous.set(entry.id, entry);
      }
    }
    return {...reading, ...path(report)};
  }
}

function medium(entry, before, report) {
  const codec = report.get(entry.codecId);
  const seconds = before && (entry.timestamp - before.timestamp) / 1000;
  const since = (name) => before && entry[name] - before[name];
  const bytes = since(entry.type === 'inbound-rtp' ? 'bytesReceived' : 'bytesSent');
  const common = {
    codec: codec && codecName(codec),
    channels: codec?.channels,
    width: entry.frameWidth,
    height: entry.frameHeight,
    fps: entry.framesPerSecond,
    bitrate: seconds > 0 && bytes !== undefined ? 8 * bytes / seconds : undefined,
  };
  if (entry.type === 'outbound-rtp') {
    const remote = report.get(entry.remoteId);
    const limitation = entry.qualityLimitationReason;
    return {
      ...common,
      loss: remote?.fractionLost,
      jitter: remote?.jitter,
      limitation: limitation === 'none' ? undefined : limitation,
    };
  }
  const lost = Math.max(0, since('packetsLost')), received = since('packetsReceived');
  const played = since('jitterBufferEmittedCount');
  return {
    ...common,
    loss: lost + received > 0 ? lost / (lost + received) : undefined,
    jitter: entry.jitter,
    delay: played > 0 ? since('jitterBufferDelay') / played : undefined,
  };
}

const H264_PROFILES = {42: 'Baseline', '4d': 'Main', 58: 'Extended', 64: 'High'};

function codecName({mimeType, sdpFmtpLine = ''}) {
  const name = mimeType.split('/')[1];
  // profile-level-id (RFC 6184, 8.1): the first byte is profile_idc.
  const profile = H264_PROFILES[sdpFmtpLine.match(/profile-level-id=([0-9a-f]{2})/i)?.[1].toLowerCase()];
  const spelt = {H264: 'H.264', opus: 'Opus'}[name] ?? name;
  return profile ? `${spelt} ${profile}` : spelt;
}

function path(report) {
  const entries = [...report.values()];
  const transport = entries.find(({type}) => type === 'transport');
  // Firefox has no transport entry; it marks the pair itself.
  const pair = report.get(transport?.selectedCandidatePairId) ??
    entries.find(({type, selected}) => type === 'candidate-pair' && selected);
  const protocol = report.get(pair?.localCandidateId)?.protocol?.toUpperCase();
  return {
    roundTrip: pair?.currentRoundTripTime,
    route: [protocol, transport?.srtpCipher].filter(Boolean).join(', ') || undefined,
  };
}

/**
 * A reading in words, for a list of facts.
 *
 * @param {Reading} reading
 * @returns {[string, string][]} label and value
 */
export function facts({video, audio, roundTrip, route}) {
  const rows = [];
  const add = (label, ...values) => {
    const text = values.filter((value) => value !== undefined).join(', ');
    if (text) rows.push([t(label), text]);
  };
  const ms = (seconds) => seconds === undefined ? undefined : t('factMs', {ms: Math.round(seconds * 1000)});
  const percent = (share) => share === undefined ? undefined : `${(share * 100).toFixed(1)} %`;
  add('factVideo', video?.codec);
  add('factPicture', video?.width && `${video.width} × ${video.height}`, video?.fps && t('factFps', {fps: Math.round(video.fps)}));
  add('factVideoRate', rate(video?.bitrate));
  add('factHeld', video?.limitation && t(`held_${video.limitation}`));
  add('factSound', audio?.codec, audio?.channels && t(audio.channels === 1 ? 'factMono' : 'factStereo'));
  add('factSoundRate', rate(audio?.bitrate));
  add('factRound', ms(roundTrip));
  add('factLost', percent(video?.loss ?? audio?.loss));
  add('factJitter', ms(video?.jitter ?? audio?.jitter));
  add('factBuffered', ms(video?.delay ?? audio?.delay));
  add('factRoute', route);
  return rows;
}

function rate(bitrate) {
  if (bitrate === undefined) return undefined;
  return bitrate >= 1e6 ? t('factMbit', {rate: (bitrate / 1e6).toFixed(1)}) : t('factKbit', {rate: Math.round(bitrate / 1000)});
}
