// Who is in the room, what they publish and what was said, by the events of the room protocol. No DOM; runs in node.

/**
 * @typedef {object} Stream
 * @property {string} name
 * @property {'camera' | 'screen'} kind
 * @property {boolean} audio
 * @property {boolean} video
 * @property {boolean} audioMuted
 * @property {boolean} videoMuted
 * @property {string[]} hostMuted the media that a host has muted
 * @property {string[]} ownMuted the media that the publisher has muted, as far as it is known
 */

/** @typedef {'good' | 'fair' | 'poor'} Quality */
/** @typedef {{quality: Quality, reasons: {reason: string, message: string}[]}} Verdict */

/**
 * @typedef {object} Participant
 * @property {string} login
 * @property {string} protocol
 * @property {'host' | 'speaker' | 'viewer'} role
 * @property {number} joined unix milliseconds
 * @property {Map<string, Stream>} streams by name
 * @property {Map<string, Verdict>} verdicts by stream name
 * @property {Set<string>} held what a host has muted of all that is sent, as far as it is known: `audio`, `video`
 * @property {number | null} away until when an absent one is waited for, in milliseconds of the model's clock
 */

/** @typedef {{id: number, from: string, to?: string, text: string, time: number}} Message */

/** How long a vanished participant keeps the place, in milliseconds: most come back at once. */
const GRACE = 8_000;
/** Kept for reading back. */
const MOST_MESSAGES = 1_000;

export class Model {
  /** @type {Map<string, Participant>} all but ourselves, in order of arrival */
  others = new Map();
  /** @type {Participant} */
  self = participant({login: '', role: 'speaker'});
  /** @type {Message[]} in the order in which they were said */
  messages = [];
  locked = false;
  recording = false;
  /** Whether it is to be, once there is something to be recorded. */
  recordWanted = false;
  /** @type {'never' | 'onRequest' | 'always'} who decides whether it is: the operator, or hosts */
  recordingPolicy = 'never';
  limits = {participants: 0, textLength: 2_000, messagesPerSecond: 0};
  #entered = false;

  /** What a host has muted of all that we send: `audio`, `video`. */
  get held() {
    return this.self.held;
  }

  /**
   * Takes an event of the room in.
   *
   * @param {string} name
   * @param {any} body
   * @param {number} now milliseconds of any clock that does not go back
   * @returns {{type: string, [detail: string]: any}[]} what has changed, for those who tell people of it
   */
  apply(name, body, now) {
    switch (name) {
      case 'STATE': return this.#state(body, now);
      case 'JOINED': return this.#joined(body);
      case 'LEFT': return this.#left(body, now);
      case 'PUBLISHED': return this.#published(body);
      case 'UNPUBLISHED':
      case 'FAILED': return this.#unpublished(body);
      case 'MESSAGE': return this.add(body) ? [{type: 'message', message: body}] : [];
      case 'ROLE': return this.#role(body);
      case 'LOCKED': return this.#flag('locked', body.locked, body.by);
      case 'RECORDING':
        // Servers of an earlier time say nothing of wishes.
        return [...this.#flag('recordWanted', body.wanted ?? body.recording), ...this.#flag('recording', body.recording)];
      case 'MUTED': return this.#muted(body);
      case 'QUALITY': return this.#quality(body);
      case 'KICKED': return [{type: 'kicked', by: body?.by}];
      case 'ENDED': return [{type: 'ended', by: body?.by}];
      default: return [];
    }
  }

  /** Gives up those who have not come back. */
  expire(now) {
    const gone = [...this.others.values()].filter(({away}) => away !== null && away <= now);
    for (const {login} of gone) this.others.delete(login);
    return gone.map(({login}) => ({type: 'left', login, reason: 'vanished'}));
  }

  /**
   * Keeps a message in its place, once. A room that was made anew, by a server that was restarted or after all had left,
   * counts from 1 again: the number alone tells neither which message it is nor where it belongs.
   *
   * @param {Message} message
   * @returns {boolean} whether it is new
   */
  add(message) {
    const {messages} = this;
    if (messages.some((one) => one.id === message.id && one.time === message.time && one.from === message.from)) return false;
    let place = messages.length;
    while (place > 0 && follows(messages[place - 1], message)) place--;
    messages.splice(place, 0, message);
    if (messages.length > MOST_MESSAGES) messages.shift();
    return true;
  }

  /** Ourselves or another. @returns {Participant | undefined} */
  find(login) {
    return login === this.self.login ? this.self : this.others.get(login);
  }

  #state({you, participants = [], locked = false, recording = false, recordWanted = recording, recordingPolicy = 'never', messages = [], limits}, now) {
    const before = this.others;
    this.others = new Map();
    const own = participants.find(({login}) => login === you.login);
    this.self = participant({...own, ...you, streams: []});
    // It holds for us, and not for a stream: we may have none yet.
    this.self.held = new Set([...you.hostMuted ?? [], ...held(own?.streams)]);
    for (const one of participants) if (one !== own) this.others.set(one.login, participant(one));
    // After a drop all come back, one a little later than the other: nobody's tile may jump away for that.
    for (const [login, old] of before) {
      if (!this.others.has(login) && login !== you.login) this.others.set(login, absent(old, now));
    }
    Object.assign(this, {locked, recording, recordWanted, recordingPolicy, limits: {...this.limits, ...limits}});
    const fresh = messages.filter((message) => this.add(message));
    const first = !this.#entered;
    this.#entered = true;
    return [{type: 'entered', first, messages: fresh}];
  }

  #joined(one) {
    if (one.login === this.self.login) return [];
    const known = this.others.get(one.login);
    this.others.set(one.login, {...participant(one), ...known && {held: known.held}});
    return [{type: known ? 'returned' : 'joined', login: one.login}];
  }

  #left({login, reason}, now) {
    const one = this.others.get(login);
    if (!one) return [];
    if (reason === 'vanished' || reason === 'takeover') {
      this.others.set(login, absent(one, now));
      return [{type: 'away', login}];
    }
    this.others.delete(login);
    return [{type: 'left', login, reason}];
  }

  #published({login, stream}) {
    const one = this.find(login);
    if (!one) return [];
    one.streams.set(stream.name, filled(stream));
    // Each new stream is held as its publisher is.
    one.held = held([stream]);
    return [{type: 'published', login, stream}];
  }

  #unpublished({login, name}) {
    const one = this.find(login);
    const stream = one?.streams.get(name);
    if (!stream) return [];
    one.streams.delete(name);
    one.verdicts.delete(name);
    return [{type: 'unpublished', login, stream}];
  }

  #role({login, role}) {
    const one = this.find(login);
    if (!one || one.role === role) return [];
    one.role = role;
    return [{type: 'role', login, role}];
  }

  #flag(name, value, by) {
    if (this[name] === value) return [];
    this[name] = value;
    return [{type: name, value, by}];
  }

  #muted({login, name, medium, muted, by}) {
    const stream = this.find(login)?.streams.get(name);
    if (stream) {
      // A host's word holds until a host takes it back, and one's own mute stays under it.
      const list = by ? 'hostMuted' : 'ownMuted';
      stream[list] = [...stream[list].filter((one) => one !== medium), ...muted ? [medium] : []];
      stream[`${medium}Muted`] = stream.hostMuted.includes(medium) || stream.ownMuted.includes(medium);
    }
    if (by) this.find(login)?.held[muted ? 'add' : 'delete'](medium);
    return [{type: 'muted', login, name, medium, muted, by}];
  }

  #quality(verdicts) {
    for (const {login, name, quality, reasons = []} of verdicts) {
      this.find(login)?.verdicts.set(name, {quality, reasons});
    }
    return [{type: 'quality'}];
  }
}

/** Whether one message was said after another. */
const follows = (one, other) => one.time > other.time || one.time === other.time && one.id > other.id;

/** The worst verdict on somebody's streams. @returns {Quality | null} */
export function quality({verdicts}) {
  const found = new Set([...verdicts.values()].map(({quality}) => quality));
  return ['poor', 'fair', 'good'].find((one) => found.has(one)) ?? null;
}

/** The camera's stream: the newest of those that are no screen. @returns {Stream | undefined} */
export const camera = ({streams}) => [...streams.values()].findLast(({kind}) => kind !== 'screen');

/** @returns {Stream[]} */
export const screens = ({streams}) => [...streams.values()].filter(({kind}) => kind === 'screen');

function participant({login, protocol = 'websocket', role = 'speaker', joined = 0, streams = []}) {
  return {
    login, protocol, role, joined, away: null, verdicts: new Map(), held: held(streams),
    streams: new Map(streams.map((stream) => [stream.name, filled(stream)])),
  };
}

/** @param {{hostMuted?: string[]}[]} streams */
function held(streams = []) {
  return new Set(streams.flatMap(({hostMuted = []}) => hostMuted));
}

function filled(stream) {
  const full = {kind: 'camera', audio: true, video: true, audioMuted: false, videoMuted: false, hostMuted: [], ...stream};
  const own = (medium) => full[`${medium}Muted`] && !full.hostMuted.includes(medium);
  return {...full, ownMuted: ['audio', 'video'].filter(own)};
}

const absent = (one, now) => ({...one, streams: new Map(), verdicts: new Map(), away: one.away ?? now + GRACE});
