// Put before the scripts of an example page: gives it a camera, a microphone and a screen of ours, writes down what it says to the
// server and hears from it, and looks at what it shows. `window.visitor` is what the cases call; who it is stands before it: `FIRST`
// and `SCREEN`, the numbers with which the pictures of camera and screen begin, `TONE`, a pitch, and `EACH`.
(() => {
  // An empty page has neither cameras nor anything to look at.
  if (!window.isSecureContext || location.protocol === 'about:') return;
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

  // ---- what is captured: the picture tells whose it is by its number, the sound by its pitch

  // What was given to the page last, and the sound that was in it: the SDK puts a track of its own in its place.
  let given, sound;

  async function capture(first, {audio, video}) {
    const stream = await rig.source({first, tone: TONE, each: EACH});
    const unwanted = (track) => track.kind === 'audio' ? !audio : !video;
    stream.getTracks().filter(unwanted).forEach((track) => { track.stop(); stream.removeTrack(track); });
    if (audio) [given, sound] = [stream, stream.getAudioTracks()[0]];
    return stream;
  }

  // How much later the SDK sends the sound than it gets it, in milliseconds, at each beep within the next `ms`: it leads the microphone
  // through an audio graph to change its volume.
  async function delays(ms) {
    const context = new AudioContext({sampleRate: 48000}), size = 32768;
    await context.resume();
    const ears = [sound, given.getAudioTracks()[0]].map((track) => {
      const ear = context.createAnalyser();
      ear.fftSize = size;
      context.createMediaStreamSource(new MediaStream([track])).connect(ear);
      return ear;
    });
    const samples = new Float32Array(size), found = [];
    // A beep is three times as loud as the tone.
    const onset = (ear) => {
      ear.getFloatTimeDomainData(samples);
      const at = samples.findIndex((sample) => Math.abs(sample) > 0.25);
      return at > size / 4 && at < size * 3 / 4 ? at : null;
    };
    for (const end = performance.now() + ms; performance.now() < end; await sleep(150)) {
      const [got, sent] = ears.map(onset);
      if (got !== null && sent !== null) found.push((sent - got) / 48);
    }
    await context.close();
    return found;
  }

  const camera = (constraints) => capture(FIRST, constraints);
  MediaDevices.prototype.getUserMedia = camera;
  MediaDevices.prototype.getDisplayMedia = (constraints = {}) => capture(SCREEN, {audio: false, video: constraints.video ?? true});
  for (const name of ['getUserMedia', 'webkitGetUserMedia']) {
    Navigator.prototype[name] = (constraints, took, refused) => { camera(constraints).then(took, refused); };
  }

  // ---- what is said

  const exchange = [];
  let sockets = 0;
  window.WebSocket = class extends WebSocket {
    constructor(...how) {
      super(...how);
      this.number = sockets++;
      this.addEventListener('message', ({data}) => this.note('heard', data));
      this.addEventListener('close', ({code, reason}) => this.note('closed', `${code} ${reason}`));
    }

    note(what, text) {
      exchange.push({at: Date.now() / 1000, socket: this.number, what, text});
    }

    send(data) {
      this.note('said', data);
      super.send(data);
    }
  };

  const troubles = [];
  addEventListener('error', ({message, error}) => troubles.push(error?.stack ?? message));
  addEventListener('unhandledrejection', ({reason}) => troubles.push('unhandled: ' + (reason?.stack ?? JSON.stringify(reason))));

  // ---- what is shown and heard

  async function until(true_, ms) {
    for (const end = performance.now() + ms; performance.now() < end; await sleep(20)) {
      if (true_()) return true;
    }
    return Boolean(true_());
  }

  // The place in which the page shows somebody.
  function display(login) {
    const name = [...document.querySelectorAll('[id$=Name]')].find(({textContent}) => textContent === login);
    return name && document.getElementById(name.id.replace('Name', 'Display'));
  }

  const playing = (place) => place ? [...place.querySelectorAll('video')].filter(({srcObject}) => srcObject) : [];

  function look(video) {
    const [width, height] = [480, 272], canvas = new OffscreenCanvas(width, height), g = canvas.getContext('2d');
    g.drawImage(video, 0, 0, width, height);
    const {data} = g.getImageData(0, 0, width, height);
    return rig.cells(width, height, (x, y) => data[(y * width + x) * 4 + 1]);
  }

  // The loudest pitch below the beeps, by a window of a third of a second.
  const ears = new WeakMap();
  async function listen(stream) {
    if (!ears.has(stream)) {
      const context = new AudioContext({sampleRate: 48000}), ear = context.createAnalyser();
      [ear.fftSize, ear.smoothingTimeConstant] = [16384, 0];
      context.createMediaStreamSource(stream).connect(ear);
      ears.set(stream, ear);
      await context.resume();
    }
    return ears.get(stream);
  }

  function pitch(ear) {
    const levels = new Float32Array(ear.frequencyBinCount), step = ear.context.sampleRate / ear.fftSize;
    ear.getFloatFrequencyData(levels);
    let best = Math.ceil(100 / step);
    for (let bin = best; bin < 2200 / step; bin++) if (levels[bin] > levels[best]) best = bin;
    return {hertz: best * step, decibels: Number.isFinite(levels[best]) ? levels[best] : -200};
  }

  // What an element of the page shows and lets be heard, twice within `ms`.
  async function observe(place, ms) {
    const videos = playing(place);
    if (videos.length !== 1) throw new Error(`${videos.length} videos play in ${place?.id}`);
    const [video] = videos, looks = [], frames = [];
    const ear = video.srcObject.getAudioTracks().length ? await listen(video.srcObject) : null;
    const see = () => {
      looks.push(look(video));
      frames.push(video.getVideoPlaybackQuality().totalVideoFrames);
    };
    see();
    await sleep(ms);
    see();
    return {looks, frames, sound: ear && pitch(ear), muted: video.muted || video.volume === 0, paused: video.paused};
  }

  function started(place) {
    const videos = playing(place);
    return videos.length === 1 && videos[0].getVideoPlaybackQuality().totalVideoFrames > 2;
  }

  window.visitor = {until, delays, display, playing, started, observe, exchange, troubles, sockets: () => sockets};
})();
