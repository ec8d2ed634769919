// `/watch/<room>/<participant>`: plays one participant, and waits while nobody publishes under that name.
//
// Query parameters: `muted=1` starts without sound.
// <main data-state> says what it is doing: connecting, waiting (nobody has published yet), playing, ended (the
// publisher left; the page goes on when it is back), error.

import {reasons} from './api.js';
import {Meter, facts} from './stats.js';
import {byId, every, fill, make, names, query, show, write} from './ui.js';
import {play} from './whep.js';

const [room, participant] = names();
const video = byId('video');
const READ = 1_000, ASK = 3_000;
let stream, meter, played = false;

const link = play(room, participant, {
  changed(change, refusal) {
    switch (change) {
      case 'connecting': return show('connecting', 'Connecting…');
      case 'connected': return connected();
      case 'ended': return gone('ended', `${participant} has left. The picture comes back when ${participant} does.`);
      case 'lost': return gone('connecting', 'The connection was lost. Connecting again…');
      case 'refused': return refused(refusal);
      case 'failed': return gone('error', refusal.message);
    }
  },
  track(track) {
    stream.addTrack(track);
    start();
  },
});

function connected() {
  show('connecting', 'Connected. The picture comes in a moment…');
  meter = new Meter(link.peer);
}

function refused({status, message}) {
  if (status !== 404) return gone('error', `${message} Trying again…`);
  if (played) return gone('ended', `${participant} has left. The picture comes back when ${participant} does.`);
  gone('waiting', `${participant} is not live yet. The picture comes as soon as it is there.`);
}

function gone(state, text) {
  show(state, text);
  meter = null;
  renew();
  byId('over').hidden = false;
  write(byId('reason'), text);
}

/** Each connection brings new tracks. */
function renew() {
  stream = new MediaStream();
  video.srcObject = null;
}

async function start() {
  if (video.srcObject !== stream) video.srcObject = stream;
  try {
    await video.play();
  } catch (error) {
    // No sound before the first click or key: the picture at least can be shown.
    if (error.name !== 'NotAllowedError' || video.muted) return;
    video.muted = true;
    await video.play().catch(() => {});
  }
}

video.addEventListener('playing', () => {
  played = true;
  byId('over').hidden = true;
  show('playing', video.muted ? 'Playing without sound.' : 'Playing.');
});

// ---- controls

function togglePlay() {
  if (video.paused) start();
  else video.pause();
}

function toggleSound() {
  video.muted = !video.muted;
  if (!video.muted && video.volume === 0) video.volume = 1;
}

function toggleScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (byId('stage').requestFullscreen) byId('stage').requestFullscreen();
  // Telephones of one make give the whole screen to pictures only.
  else video.webkitEnterFullscreen?.();
}

function showControls() {
  write(byId('pause'), video.paused && played ? 'Play' : 'Pause');
  write(byId('mute'), video.muted ? 'Turn on sound' : 'Mute');
  byId('mute').classList.toggle('main-button', video.muted);
  byId('volume').value = String(video.muted ? 0 : video.volume);
  if (byId('stage').closest('main').dataset.state === 'playing') {
    show('playing', video.paused ? 'Paused.' : video.muted ? 'Playing without sound.' : 'Playing.');
  }
}

byId('pause').addEventListener('click', togglePlay);
byId('mute').addEventListener('click', toggleSound);
byId('fullscreen').addEventListener('click', toggleScreen);
video.addEventListener('dblclick', toggleScreen);
byId('volume').addEventListener('input', ({target}) => {
  video.volume = Number(target.value);
  video.muted = video.volume === 0;
});
for (const event of ['volumechange', 'play', 'pause']) video.addEventListener(event, showControls);

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  // On a button the space bar presses that button.
  const act = {' ': event.target.closest('button, a') ? null : togglePlay, m: toggleSound, f: toggleScreen}[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

// ---- facts

every(READ, async () => {
  const rows = meter ? facts(await meter.read()) : [];
  fill(byId('facts'), rows);
  byId('nothing').hidden = rows.length > 0;
});

every(ASK, async () => {
  // What the API does not tell cannot be shown; the stream plays all the same.
  const told = meter ? await reasons(room, participant).catch(() => []) : [];
  byId('notes').hidden = told.length === 0;
  byId('notes').replaceChildren(...told.map((textContent) => make('li', {textContent})));
});

document.title = `${participant} in ${room} – Commonroom`;
write(byId('title'), `${participant} in ${room}`);
byId('publish').href = `/publish/${room}/me`;
video.muted = query.get('muted') === '1';
addEventListener('pagehide', () => link.stop());
renew();
showControls();
link.start();
