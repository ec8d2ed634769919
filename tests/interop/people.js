// Put before the scripts of a page at which a person sits: gives it a camera, a microphone and a screen of ours, and looks at what it
// shows. `window.people` is what the cases call; who it is stands before it: `FIRST` and `SCREEN`, the numbers with which the pictures
// of camera and screen begin, `TONE`, a pitch, and `EACH`.
(() => {
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

  // ---- what is captured: the picture tells whose it is by its number, the sound by its pitch

  // What was given to the page last, and the sound that was in it.
  const given = {stream: null, sound: null};

  async function capture(first, {audio, video}) {
    const stream = await rig.source({first, tone: TONE, each: EACH});
    const unwanted = (track) => track.kind === 'audio' ? !audio : !video;
    stream.getTracks().filter(unwanted).forEach((track) => { track.stop(); stream.removeTrack(track); });
    if (audio) Object.assign(given, {stream, sound: stream.getAudioTracks()[0]});
    return stream;
  }

  const camera = (constraints) => capture(FIRST, constraints);
  // Without TLS a page has no devices, and gets none from us.
  if (window.MediaDevices) {
    MediaDevices.prototype.getUserMedia = camera;
    MediaDevices.prototype.getDisplayMedia = (constraints = {}) =>
      capture(SCREEN, {audio: false, video: constraints.video ?? true});
  }
  for (const name of ['getUserMedia', 'webkitGetUserMedia']) {
    if (!(name in Navigator.prototype)) continue;
    Navigator.prototype[name] = (constraints, took, refused) => { camera(constraints).then(took, refused); };
  }

  // ---- what is shown and heard

  async function until(true_, ms) {
    for (const end = performance.now() + ms; performance.now() < end; await sleep(20)) {
      if (true_()) return true;
    }
    return Boolean(true_());
  }

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

  // What an element shows and lets be heard, twice within `ms`.
  async function observe(video, ms) {
    const looks = [], frames = [];
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

  window.people = {until, observe, given};
})();
