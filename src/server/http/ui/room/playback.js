// Plays a stream of somebody else's in the room. No DOM.

import {Peer} from './peer.js';

export class Playback extends Peer {
  #listener;
  #wish = {};
  #told = '';
  /** Of the present connection. */
  stream = new MediaStream();
  /** What the line leaves of the picture: all there is use for, less, or only the sound. @type {'all' | 'less' | 'sound'} */
  leaves = 'all';

  /**
   * @param {ConstructorParameters<typeof Peer>[0]} link
   * @param {{room: string, name: string}} what
   * @param {(playback: Playback) => void} listener hears of each change of state and each track
   */
  constructor(link, {room, name}, listener) {
    super(link, room);
    this.name = name;
    this.#listener = listener;
  }

  prepare(connection) {
    this.stream = new MediaStream();
    this.#told = '';
    this.leaves = 'all';
    connection.addTransceiver('audio', {direction: 'recvonly'});
    connection.addTransceiver('video', {direction: 'recvonly'});
    const {stream} = this;
    // Handed on when media has come: a player waits for the first picture of a video track, and would keep silent meanwhile.
    connection.addEventListener('track', ({track}) => track.addEventListener('unmute', () => {
      if (this.connection !== connection) return;
      stream.addTrack(track);
      this.#listener(this);
    }, {once: true}));
  }

  offer({id, room, sdp}, session) {
    session.play({id, name: this.name, room, sdp});
  }

  /** Asks for two channels of sound: Chromium decodes Opus to one unless its own offer says so (RFC 7587, 6.1). */
  adjust(sdp) {
    const opus = sdp.match(/^a=rtpmap:(\d+) opus\/48000\/2\s*$/m)?.[1];
    const format = new RegExp(`^(a=fmtp:${opus} )(?!.*\\bstereo=)`, 'm');
    return opus ? sdp.replace(format, '$1stereo=1;') : sdp;
  }

  changed() {
    if (this.state === 'running') this.#tell();
    this.#listener(this);
  }

  /**
   * How large a picture there is use for.
   *
   * @param {{maxHeight?: number, paused?: boolean}} wish
   */
  adapt(wish) {
    this.#wish = wish;
    if (this.state === 'running') this.#tell();
  }

  /** The server says what it sends. */
  notice(type, {limitedBy, audioOnly}) {
    if (type !== 'layer') return;
    this.leaves = audioOnly && limitedBy === 'bandwidth' ? 'sound' : limitedBy === 'bandwidth' ? 'less' : 'all';
    this.#listener(this);
  }

  /** How loud it is now, 0 to 1; nothing where that is not known. */
  async level() {
    const receiver = this.connection?.getReceivers().find(({track}) => track.kind === 'audio');
    if (!receiver || this.state !== 'running') return undefined;
    // What the sender measured costs nothing to read, but RTMP publishers send none.
    const told = receiver.getSynchronizationSources?.()[0]?.audioLevel;
    if (told !== undefined) return told;
    const entries = [...(await receiver.getStats()).values()];
    return entries.find(({type, kind}) => type === 'inbound-rtp' && kind === 'audio')?.audioLevel;
  }

  #tell() {
    const wish = JSON.stringify(this.#wish);
    if (wish === this.#told || wish === '{}') return;
    this.#told = wish;
    try {
      this.session.adapt(this.id, this.#wish);
    } catch {
      // The session is over; the next playback begins with telling it.
    }
  }
}
