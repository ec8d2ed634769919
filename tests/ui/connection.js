// A peer connection in memory, whose state the test sets; and what publishing needs of the browser besides.

export class Connection extends EventTarget {
  /** All that were made, in order. */
  static made = [];
  connectionState = 'new';
  localDescription = null;

  constructor() {
    super();
    Connection.made.push(this);
  }

  addTransceiver() {
    return {};
  }

  async createOffer() {
    return {type: 'offer', sdp: 'v=0'};
  }

  async setLocalDescription(description) {
    this.localDescription = description;
  }

  close() {
    this.connectionState = 'closed';
  }

  /** @param {RTCPeerConnectionState} state */
  enter(state) {
    this.connectionState = state;
    this.dispatchEvent(new Event('connectionstatechange'));
  }
}

/**
 * Gives the page's scripts these in place of a browser's, until the test has ended.
 *
 * @param {import('node:test').TestContext} context
 */
export function browser(context) {
  const real = ['RTCPeerConnection', 'MediaStream', 'RTCRtpSender'].map((name) => [name, globalThis[name]]);
  Connection.made = [];
  Object.assign(globalThis, {RTCPeerConnection: Connection, MediaStream: class {}, RTCRtpSender: {}});
  context.after(() => Object.assign(globalThis, Object.fromEntries(real)));
}
