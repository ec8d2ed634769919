// Put into pages beside page.js by the cases of layers.rs: the publications and playbacks of the room's page, without the page.
(() => {
  const module = (name) => import(`/ui/room/${name}.js`);

  // Enters a room; of the server's addresses those that begin with `way` alone are tried.
  async function enter(room, login, way) {
    const {Session, secret} = await module('protocol');
    const peers = new Map();
    const candidates = (line) => !line.startsWith('a=candidate:') || line.includes(` ${way} `);
    const session = new Session(new WebSocket(`ws://${location.host}/`), {
      event: () => {},
      answer: (id, sdp) => peers.get(id)?.answer(sdp.split('\n').filter(candidates).join('\n')),
      status: (id, status, info) => peers.get(id)?.status(status, info),
      notice: (id, type, payload) => peers.get(id)?.notice(type, payload),
      closed: ({message}) => { throw new Error(message); },
    });
    const server = await session.open(login, secret());
    await session.join(room);
    return {link: {session, peers}, simulcast: server.simulcast};
  }

  const running = (peer) => new Promise((done, fail) => {
    const timer = setTimeout(() => fail(new Error(`${peer.state} ${peer.info}`)), 10000);
    const look = setInterval(() => {
      if (peer.state !== 'running') return;
      clearInterval(look);
      clearTimeout(timer);
      done();
    }, 10);
  });

  // Sends the signal as the room's page sends a camera, in the first of these codecs that it knows.
  async function publish({room, login, way, codecs}) {
    const all = RTCRtpSender.getCapabilities.bind(RTCRtpSender);
    RTCRtpSender.getCapabilities = (kind) => ({codecs: all(kind).codecs.filter(({mimeType}) => codecs.includes(mimeType))});
    const [{Publication}, {link, simulcast}] = [await module('publication'), await enter(room, login, way)];
    const stream = await rig.source(), [audio] = stream.getAudioTracks(), [video] = stream.getVideoTracks();
    // The signal alone takes less than a narrow line has.
    const request = video.requestFrame.bind(video), {canvas} = video, g = canvas.getContext('2d');
    video.requestFrame = () => {
      for (let i = 0; i < 20; i++) {
        g.fillStyle = `hsl(0 0% ${Math.random() * 100}%)`;
        g.fillRect(Math.random() * canvas.width, (0.4 + Math.random() * 0.6) * canvas.height, 24, 16);
      }
      request();
    };
    const publication = new Publication(link, {room, login, tracks: {audio, video}, screen: false, simulcast}, () => {});
    publication.start();
    await running(publication);
    rig.peer = publication.connection;
    return publication.name;
  }

  // Plays a stream as the room's page does.
  async function play({room, login, way, name}) {
    const [{Playback}, {link}] = [await module('playback'), await enter(room, login, way)];
    const playback = rig.playback = new Playback(link, {room, name}, () => {});
    playback.start();
    await running(playback);
    rig.peer = playback.connection;
    for (const began = performance.now(); playback.stream.getTracks().length < 2;) {
      if (performance.now() - began > 10000) throw new Error('no media after 10 s');
      await new Promise((done) => setTimeout(done, 10));
    }
    await rig.tap(playback.stream);
  }

  // Waits until pictures of these heights alone flow, be they decoded or sent, the largest first; gives how long that took.
  async function reach(heights, limit) {
    for (const began = performance.now();; await new Promise((done) => setTimeout(done, 50))) {
      const flows = ({type, kind, framesPerSecond}) => kind === 'video' && /^(in|out)bound-rtp$/.test(type) && framesPerSecond > 0;
      const seen = (await rig.stats()).filter(flows).map(({frameHeight}) => frameHeight).sort((a, b) => b - a);
      const took = performance.now() - began;
      if (String(seen) === String(heights)) return took;
      if (took > limit) throw new Error(`[${seen}] and not [${heights}] after ${limit} ms`);
    }
  }

  // The largest size is sent, or not, as when a browser's own line gets too narrow for it.
  async function largest(active) {
    const sender = rig.peer.getSenders().find(({track}) => track.kind === 'video'), parameters = sender.getParameters();
    parameters.encodings[0].active = active;
    await sender.setParameters(parameters);
  }

  window.layers = {publish, play, reach, largest};
})();
