// Devices in memory: the browser's questions are answered when the test says so.

export class Track extends EventTarget {
  readyState = 'live';
  enabled = true;

  constructor(kind, deviceId = 'usual') {
    super();
    this.kind = kind;
    this.deviceId = deviceId;
  }

  stop() {
    this.readyState = 'ended';
  }
}

export class Stream {
  constructor(...tracks) {
    this.tracks = tracks;
  }

  getTracks() {
    return this.tracks;
  }

  getVideoTracks() {
    return this.tracks.filter(({kind}) => kind === 'video');
  }

  getAudioTracks() {
    return this.tracks.filter(({kind}) => kind === 'audio');
  }
}

/**
 * Gives the scripts a `navigator` with devices until the test has ended.
 *
 * @param {import('node:test').TestContext} context
 * @returns {{asked: object[], give: () => void, refuse: (name: string) => void}} what was asked for, and what answers the oldest
 *   question that has no answer
 */
export function mediaDevices(context) {
  const asked = [], open = [], before = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  const getUserMedia = (constraints) => new Promise((resolve, reject) => {
    asked.push(constraints);
    open.push({constraints, resolve, reject});
  });
  Object.defineProperty(globalThis, 'navigator', {
    configurable: true, value: {mediaDevices: Object.assign(new EventTarget(), {getUserMedia})},
  });
  context.after(() => before ? Object.defineProperty(globalThis, 'navigator', before) : delete globalThis.navigator);
  return {
    asked,
    give() {
      const {constraints, resolve} = open.shift();
      const kinds = ['audio', 'video'].filter((kind) => constraints[kind]);
      resolve(new Stream(...kinds.map((kind) => new Track(kind, constraints[kind].deviceId?.exact))));
    },
    refuse(name) {
      open.shift().reject(Object.assign(new Error(name), {name}));
    },
  };
}
