// Put before the scripts of an example page, behind people.js: writes down what the page says to the server and hears from it, and
// knows where it shows whom. `window.visitor` is what the cases call.
(() => {
  // An empty page has nobody to talk to.
  if (location.protocol === 'about:') return;
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

  // How much later the SDK sends the sound than it gets it, in milliseconds, at each beep within the next `ms`: it puts a track of its
  // own in the place of the microphone's, and leads the sound through an audio graph to change its volume.
  async function delays(ms) {
    const {stream, sound} = people.given, context = new AudioContext({sampleRate: 48000}), size = 32768;
    await context.resume();
    const ears = [sound, stream.getAudioTracks()[0]].map((track) => {
      const ear = context.createAnalyser();
      ear.fftSize = size;
      context.createMediaStreamSource(new MediaStream([track])).connect(ear);
      return ear;
    });
    const samples = new Float32Array(size), found = [];
    // A beep is four times as loud as the tone.
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

  // ---- what is shown

  // The place in which the page shows somebody.
  function display(login) {
    const name = [...document.querySelectorAll('[id$=Name]')].find(({textContent}) => textContent === login);
    return name && document.getElementById(name.id.replace('Name', 'Display'));
  }

  const playing = (place) => place ? [...place.querySelectorAll('video')].filter(({srcObject}) => srcObject) : [];

  function observe(place, ms) {
    const videos = playing(place);
    if (videos.length !== 1) throw new Error(`${videos.length} videos play in ${place?.id}`);
    return people.observe(videos[0], ms);
  }

  function started(place) {
    const videos = playing(place);
    return videos.length === 1 && videos[0].getVideoPlaybackQuality().totalVideoFrames > 2;
  }

  window.visitor = {delays, display, playing, started, observe, exchange, troubles, sockets: () => sockets};
})();
