// How what we send gets to the server, by its reports to the browser (W3C webrtc-stats). No DOM; runs in node.

/** Of all packets, the shares that may be missing before others notice, and before it fails: as the server judges what it sends us. */
const FAIR = 0.03, POOR = 0.1;

/** One publication, looked at again and again. */
export class Upload {
  #connection = null;
  #before = {};

  /**
   * What became of it since the last look.
   *
   * @param {RTCPeerConnection | null} connection the present one
   * @returns {Promise<import('./model.js').Quality | null>} nothing as long as nobody can tell
   */
  async judge(connection) {
    if (connection !== this.#connection) {
      this.#connection = connection;
      this.#before = {};
    }
    if (!connection) return null;
    const now = counts(await connection.getStats());
    if (connection !== this.#connection) return null;
    const before = this.#before;
    this.#before = now;
    const shares = Object.entries(now).map(([kind, {sent, lost}]) => {
      const packets = sent - (before[kind]?.sent ?? NaN);
      return packets > 0 ? (lost - before[kind].lost) / packets : NaN;
    }).filter((share) => !Number.isNaN(share));
    if (shares.length === 0) return null;
    const worst = Math.max(...shares);
    return worst >= POOR ? 'poor' : worst >= FAIR ? 'fair' : 'good';
  }
}

/** Packets of each medium since the connection began, in all of its sizes. */
function counts(report) {
  const found = {};
  for (const {type, kind, localId, packetsLost = 0} of report.values()) {
    const sent = type === 'remote-inbound-rtp' && report.get(localId)?.packetsSent;
    if (!sent) continue;
    const {sent: before = 0, lost = 0} = found[kind] ?? {};
    found[kind] = {sent: before + sent, lost: lost + packetsLost};
  }
  return found;
}
