// Sends a stream of ours to the room: camera and microphone, or the screen. No DOM.

import {encodings} from './encodings.js';
import {passes} from './failure.js';
import {Peer} from './peer.js';
import {streamName} from './protocol.js';

export class Publication extends Peer {
  #login;
  #tracks;
  #screen;
  #simulcast;
  #told = {};
  #listener;

  /**
   * @param {ConstructorParameters<typeof Peer>[0]} link
   * @param {object} what
   * @param {string} what.room
   * @param {string} what.login
   * @param {{audio: MediaStreamTrack | null, video: MediaStreamTrack | null}} what.tracks
   * @param {boolean} what.screen
   * @param {boolean} what.simulcast whether the server takes several layers
   * @param {(publication: Publication) => void} listener hears of each change of state
   */
  constructor(link, {room, login, tracks, screen, simulcast}, listener) {
    super(link, room);
    this.#login = login;
    this.#tracks = {...tracks};
    this.#screen = screen;
    this.#simulcast = simulcast;
    this.#listener = listener;
  }

  get published() {
    return true;
  }

  prepare(connection) {
    this.name = streamName(this.room, this.#login, this.#screen);
    this.#told = {};
    const {audio, video} = this.#tracks;
    const stream = new MediaStream([audio, video].filter(Boolean));
    // Without a microphone now, it may come later: the place for it is there.
    if (audio || !this.#screen) {
      connection.addTransceiver(audio ?? 'audio', {direction: 'sendonly', streams: [stream]});
    }
    if (!video) return;
    const transceiver = connection.addTransceiver(video, {
      direction: 'sendonly', streams: [stream], sendEncodings: this.#encodings(video),
    });
    transceiver.setCodecPreferences?.(preferred());
  }

  offer({id, room, sdp}, session) {
    const {audio, video} = this.#tracks;
    session.publish({id, name: this.name, room, sdp, audio: Boolean(audio) || !this.#screen, video: Boolean(video), screen: this.#screen});
  }

  changed() {
    this.#listener(this);
  }

  persists(info) {
    // A host has made us a viewer.
    if (info === 'Restricted access') return false;
    // A screen is shown by choice: whoever shows it chooses again, rather than to talk to nobody.
    return !this.#screen || !this.stuck || passes(info);
  }

  /** Sends another track from now on, or none. */
  async replace(kind, track) {
    if (track === this.#tracks[kind]) return;
    this.#tracks[kind] = track;
    const sender = this.connection?.getTransceivers().find(({receiver}) => receiver.track.kind === kind)?.sender;
    try {
      await sender?.replaceTrack(track);
      if (kind === 'video' && track) await this.#limit(sender, track);
    } catch {
      // The connection is being closed, and made anew with the new track.
    }
  }

  /** A larger picture may take more, and comes in more sizes. */
  async #limit(sender, track) {
    const parameters = sender?.getParameters();
    const wanted = this.#encodings(track);
    parameters?.encodings?.forEach((encoding, at) => {
      const {maxBitrate, active = true} = wanted[at] ?? encoding;
      Object.assign(encoding, {maxBitrate, active});
    });
    await sender?.setParameters(parameters);
  }

  /** Tells the room whether a medium carries anything; what it knows already is not said again. */
  tell(medium, muted) {
    if (this.state !== 'running' || (this.#told[medium] ?? false) === muted) return;
    this.#told[medium] = muted;
    try {
      this.session.mute(this.id, medium, muted);
    } catch {
      // The next session begins with telling it.
    }
  }

  #encodings(video) {
    return encodings(video.getSettings(), {simulcast: this.#simulcast, screen: this.#screen});
  }
}

/** The codecs that we send, H.264 first: it travels on to RTMP as it is. */
function preferred() {
  const sendable = RTCRtpSender.getCapabilities?.('video')?.codecs ?? [];
  return ['h264', 'vp8', 'rtx'].flatMap((name) => sendable.filter(({mimeType}) => mimeType.toLowerCase() === `video/${name}`));
}
