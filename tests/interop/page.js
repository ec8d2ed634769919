// Put into pages by the interop cases: makes the test signal of signal.rs inside a browser, speaks plain WHIP and WHEP,
// and writes down what was shown and heard. `window.rig` is what the cases call.
(() => {
  const WIDTH = 480, HEIGHT = 272, FPS = 30, COLUMNS = 10, ROWS = 3;
  const BEEPS = [2500, 3000, 3500, 4000, 4500];

  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
  let context;
  async function audio() {
    context ??= new AudioContext({sampleRate: 48000, latencyHint: 'interactive'});
    await context.resume();
    return context;
  }

  // ---- the signal

  function paint(g, number) {
    const high = number >> 8 & 255, low = number & 255;
    const turn = (byte, bits) => (byte << bits | byte >> 8 - bits) & 255;
    const check = turn(high, 4) ^ turn(low, 1) ^ 0xa5;
    const top = ROWS * HEIGHT / 8, flash = number % FPS < 2;
    g.fillStyle = flash ? '#fff' : '#444';
    g.fillRect(0, top, WIDTH, HEIGHT - top);
    if (!flash) {
      g.fillStyle = '#777';
      for (let x = -(3 * number % 64); x < WIDTH; x += 64) g.fillRect(x, top, 32, HEIGHT - top);
    }
    [high, low, check].forEach((byte, row) => {
      const ends = row === 1 ? [0, 1] : [1, 0];
      const bits = [ends[0], ...Array.from({length: 8}, (_, bit) => byte >> 7 - bit & 1), ends[1]];
      bits.forEach((bit, column) => {
        g.fillStyle = bit ? '#fff' : '#000';
        g.fillRect(column * WIDTH / COLUMNS, row * HEIGHT / 8, WIDTH / COLUMNS, HEIGHT / 8);
      });
    });
  }

  // The numbers count from `first`, which keeps flashes and beeps where they are when it is a multiple of 150. Only each so many-th
  // picture is painted.
  async function source({first = 0, tone = 1000, each = 1} = {}) {
    const audioContext = await audio(), rate = audioContext.sampleRate;
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [WIDTH, HEIGHT];
    const g = canvas.getContext('2d');
    paint(g, first);

    // Five seconds hold whole periods of the tone and each beep once: they loop without a seam.
    const buffer = audioContext.createBuffer(2, 5 * rate, rate), samples = buffer.getChannelData(0);
    for (let i = 0; i < samples.length; i++) {
      const within = i % rate / rate;
      const envelope = Math.max(0, Math.min(1, within / 0.002, (0.06 - within) / 0.002));
      samples[i] = 0.1 * Math.sin(2 * Math.PI * tone * i / rate) +
        0.4 * envelope * Math.sin(2 * Math.PI * BEEPS[Math.floor(i / rate)] * within);
    }
    buffer.copyToChannel(samples, 1);
    const player = audioContext.createBufferSource(), sink = audioContext.createMediaStreamDestination();
    player.buffer = buffer;
    player.loop = true;
    player.connect(sink);

    const picture = canvas.captureStream(0).getVideoTracks()[0];
    const start = audioContext.currentTime + 0.3;
    player.start(start);
    let last = 0;
    const [sound] = sink.stream.getAudioTracks();
    const painter = setInterval(() => {
      const ended = [picture, sound].map(({readyState}) => readyState === 'ended');
      if (ended.every(Boolean)) {
        clearInterval(painter);
        player.stop();
      }
      if (ended[0]) return;
      const number = Math.floor((audioContext.currentTime - start) * FPS / each) * each;
      if (number > last) {
        last = number;
        paint(g, first + number);
        picture.requestFrame();
      }
    }, 4);
    return new MediaStream([picture, sound]);
  }

  // ---- WHIP and WHEP

  function prefer(transceiver, kind, codec) {
    // The codec of the picture and, behind a slash, of the sound.
    const [picture, sound] = (codec || '').toLowerCase().split('/');
    const wanted = kind === 'video' ? picture : sound;
    if (!wanted) return;
    const {codecs} = RTCRtpReceiver.getCapabilities(kind);
    const is = (c, name) => c.mimeType.toLowerCase() === kind + '/' + name;
    transceiver.setCodecPreferences(codecs.filter((c) => is(c, wanted) || is(c, 'rtx')));
  }

  async function negotiate(url, peer) {
    await peer.setLocalDescription(await peer.createOffer());
    await new Promise((done) => {
      const look = () => peer.iceGatheringState === 'complete' && done();
      peer.addEventListener('icegatheringstatechange', look);
      look();
    });
    url = new URL(url, location.href);
    const response = await fetch(url, {
      method: 'POST', headers: {'Content-Type': 'application/sdp'}, body: peer.localDescription.sdp,
    });
    const body = await response.text();
    if (response.status !== 201) throw new Error(`${url} answered ${response.status}: ${body}`);
    const began = performance.now();
    await peer.setRemoteDescription({type: 'answer', sdp: body});
    await connected(peer);
    rig.session = new URL(response.headers.get('Location'), url).href;
    return performance.now() - began;
  }

  async function connected(peer) {
    for (const began = performance.now(); peer.connectionState !== 'connected'; await sleep(2)) {
      if (performance.now() - began > 10000) throw new Error('still ' + peer.connectionState + ' after 10 s');
    }
  }

  async function publish(url, codec, kinds = ['audio', 'video']) {
    const stream = await source(), peer = rig.peer = new RTCPeerConnection();
    for (const track of stream.getTracks().filter((track) => kinds.includes(track.kind))) {
      const transceiver = peer.addTransceiver(track, {direction: 'sendonly', streams: [stream]});
      prefer(transceiver, track.kind, codec);
    }
    return {connect_ms: await negotiate(url, peer)};
  }

  async function play(url, codec) {
    const peer = rig.peer = new RTCPeerConnection(), stream = new MediaStream();
    peer.ontrack = ({track}) => stream.addTrack(track);
    for (const kind of ['audio', 'video']) prefer(peer.addTransceiver(kind, {direction: 'recvonly'}), kind, codec);
    const connect_ms = await negotiate(url, peer);
    await tap(stream);
    return {connect_ms};
  }

  // Comes, and goes as soon as a picture has come.
  async function join(url) {
    const peer = rig.peer = new RTCPeerConnection(), video = document.createElement('video');
    const stream = video.srcObject = new MediaStream();
    peer.ontrack = ({track}) => stream.addTrack(track);
    for (const kind of ['audio', 'video']) peer.addTransceiver(kind, {direction: 'recvonly'});
    await negotiate(url, peer);
    const shown = new Promise((done) => video.requestVideoFrameCallback(done));
    video.muted = true;
    video.play();
    await shown;
    peer.close();
    await fetch(rig.session, {method: 'DELETE'});
  }

  // Both ends in this page: what the browser itself adds.
  async function loopback(codec) {
    const near = new RTCPeerConnection(), far = rig.peer = new RTCPeerConnection(), heard = new MediaStream();
    near.onicecandidate = ({candidate}) => candidate && far.addIceCandidate(candidate);
    far.onicecandidate = ({candidate}) => candidate && near.addIceCandidate(candidate);
    far.ontrack = ({track}) => heard.addTrack(track);
    const stream = await source();
    for (const track of stream.getTracks()) prefer(near.addTransceiver(track, {streams: [stream]}), track.kind, codec);
    await near.setLocalDescription();
    await far.setRemoteDescription(near.localDescription);
    await far.setLocalDescription();
    await near.setRemoteDescription(far.localDescription);
    await connected(far);
    await tap(heard);
    return {};
  }

  // ---- what was shown and heard

  let notes;
  async function tap(stream, video) {
    const audioContext = await audio();
    notes = {frames: [], sound: [], clock: [], lag: []};
    if (video) look(video);
    setInterval(() => notes.clock.push([audioContext.currentTime, performance.now()]), 25);
    setInterval(reckon, 200);
    const take = (track) => track.kind === 'audio' ? listen(audioContext, track) : video || watch(track);
    stream.addEventListener('addtrack', ({track}) => take(track));
    stream.getTracks().forEach(take);
  }

  // What a page's element shows, when it is to be on the screen.
  function look(video) {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [WIDTH, HEIGHT / 2];
    const g = canvas.getContext('2d', {willReadFrequently: true});
    const note = (now, frame) => {
      g.drawImage(video, 0, 0, frame.width, frame.height / 2, 0, 0, WIDTH, HEIGHT / 2);
      const {data} = g.getImageData(0, 0, WIDTH, HEIGHT / 2);
      notes.frames.push([frame.expectedDisplayTime, cells(WIDTH, HEIGHT, (x, y) => data[(y * WIDTH + x) * 4 + 1])]);
      video.requestVideoFrameCallback(note);
    };
    video.requestVideoFrameCallback(note);
  }

  // What the receiver gives out, when it is given out: how long a busy machine then takes to draw it is left out.
  async function watch(track) {
    const reader = new MediaStreamTrackProcessor({track}).readable.getReader();
    for (let read; !(read = await reader.read()).done;) {
      const at = performance.now(), frame = read.value;
      const {visibleRect} = frame;
      const bytes = new Uint8Array(frame.allocationSize());
      const [{offset, stride}] = await frame.copyTo(bytes);
      frame.close();
      notes.frames.push([at, cells(visibleRect.width, visibleRect.height, (x, y) => bytes[offset + y * stride + x])]);
    }
  }

  // By the reports of the sender the browser knows from when that is what it plays now, of sound and of picture. It leaves the
  // two some 30 ms apart before it does anything about it.
  async function reckon() {
    const times = {};
    for (const {type, kind, estimatedPlayoutTimestamp} of await stats()) {
      if (type === 'inbound-rtp') times[kind] = estimatedPlayoutTimestamp;
    }
    if (times.audio && times.video) notes.lag.push([performance.now(), times.video - times.audio]);
  }

  async function listen(audioContext, track) {
    const code = `registerProcessor('ear', class extends AudioWorkletProcessor {
      process([[samples]]) {
        if (samples) this.port.postMessage([currentFrame, samples.slice()]);
        return true;
      }
    })`;
    if (!audioContext.hasEar) {
      await audioContext.audioWorklet.addModule(URL.createObjectURL(new Blob([code], {type: 'text/javascript'})));
      audioContext.hasEar = true;
    }
    const ear = new AudioWorkletNode(audioContext, 'ear'), element = new Audio(), stream = new MediaStream([track]);
    ear.port.onmessage = ({data}) => notes.sound.push(data);
    // A track from afar gives sound only while an element plays it.
    element.srcObject = stream;
    element.muted = true;
    element.play();
    // Kept, so that the graph is not collected while it listens.
    rig.graph = [audioContext.createMediaStreamSource(stream), ear, element];
    rig.graph[0].connect(ear).connect(audioContext.destination);
  }

  // The mean of the inner part of each cell, of a picture whose brightness at a point is given by a function.
  function cells(width, height, luma) {
    const wide = width / COLUMNS, high = height / 8, means = [];
    for (let row = 0; row < ROWS; row++) {
      for (let column = 0; column < COLUMNS; column++) {
        let sum = 0, count = 0;
        for (let x = Math.ceil((column + 0.25) * wide); x < (column + 0.75) * wide; x += 2) {
          for (let y = Math.ceil((row + 0.25) * high); y < (row + 0.75) * high; y += 4) {
            sum += luma(x, y);
            count++;
          }
        }
        means.push(Math.round(sum / count));
      }
    }
    return means;
  }

  // An orderly end is a DTLS alert; the connection's own state does not show it.
  function ended() {
    return rig.peer.getReceivers()[0].transport.state === 'closed';
  }

  // Everything since the last time it was asked for; sound as 16-bit samples in base64.
  function collect() {
    const {frames, sound, clock, lag} = notes;
    [notes.frames, notes.sound, notes.clock, notes.lag] = [[], [], [], []];
    const first = sound.length ? sound[0][0] : 0;
    const end = sound.length ? sound.at(-1)[0] + sound.at(-1)[1].length : 0;
    const samples = new Int16Array(end - first);
    for (const [at, block] of sound) block.forEach((s, i) => { samples[at - first + i] = Math.max(-1, Math.min(1, s)) * 32767; });
    const bytes = new Uint8Array(samples.buffer);
    let text = '';
    for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return {frames, clock, lag, rate: context.sampleRate, first, samples: btoa(text)};
  }

  async function stats() {
    const all = {};
    (await rig.peer.getStats()).forEach((entry, id) => { all[id] = entry; });
    return Object.values(all);
  }

  window.rig = {publish, play, join, loopback, tap, source, cells, ended, collect, stats};
})();
