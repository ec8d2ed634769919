// `/watch/<room>/<participant>`: plays one participant, and waits while nobody publishes under that name.
//
// Query parameters: `muted=1` starts without sound.
// <main data-state> says what it is doing: connecting, waiting (nobody has published yet), playing, ended (the
// publisher left; the page goes on when it is back), error.

import {about} from './api.js';
import {bringIntoStep} from './lipsync.js';
import {put, t, translate} from './room/text.js';
import {dress} from './room/theme.js';
import {Meter, facts} from './stats.js';
import {byId, every, fill, names, note, query, sentence, show, write} from './ui.js';
import {play} from './whep.js';

const [room, participant] = names();
const video = byId('video');
const READ = 1_000, ASK = 3_000;
/** The present connection's tracks, and what reads its statistics. */
let stream = new MediaStream(), meter = null;
/** Whether a picture or sound was here before, and whether it is now. */
let played = false, playing = false;

const link = play(room, participant, {
  changed(change, refusal) {
    switch (change) {
      case 'connecting': return show('connecting', t('streamConnecting'));
      case 'connected': return connected();
      case 'ended': return gone('ended', t('watchEnded'));
      case 'lost': return gone('connecting', t('broken'));
      case 'refused': return refused(refusal);
      case 'failed': return gone('error', sentence(refusal.message));
    }
  },
  track(track) {
    stream.addTrack(track);
    start();
  },
});

function connected() {
  show('connecting', t('streamConnected'));
  meter = new Meter(link.peer);
  // Out of step it plays all the same.
  bringIntoStep(link.peer).catch(() => {});
}

function refused({status, message}) {
  if (status !== 404) return gone('error', t('streamAgain', {why: sentence(message)}));
  if (played) return gone('ended', t('watchEnded'));
  gone('waiting', t('watchWaiting', {name: participant}));
}

function gone(state, text) {
  show(state, text);
  // The next connection brings new tracks.
  stream = new MediaStream();
  video.srcObject = meter = null;
  playing = false;
  byId('over').hidden = false;
  write(byId('reason'), text);
  showControls();
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
  played = playing = true;
  byId('over').hidden = true;
  showControls();
});

// ---- controls

function togglePlay() {
  if (!playing) return;
  if (video.paused) start();
  else video.pause();
}

function toggleSound() {
  video.muted = !video.muted;
  if (!video.muted && video.volume === 0) video.volume = 1;
}

function toggleScreen() {
  if (document.fullscreenElement) return document.exitFullscreen();
  // A browser that refuses stays as it is, which can be seen.
  if (byId('stage').requestFullscreen) return byId('stage').requestFullscreen().catch(() => {});
  // Telephones of one make give the whole screen to pictures only.
  video.webkitEnterFullscreen?.();
}

function showControls() {
  byId('pause').disabled = !playing;
  put(byId('pause'), playing && video.paused ? 'watchPlay' : 'watchPause');
  put(byId('mute'), video.muted ? 'watchUnmute' : 'watchMute');
  byId('mute').classList.toggle('main-button', video.muted);
  byId('volume').value = String(video.muted ? 0 : video.volume);
  if (playing) show('playing', t(video.paused ? 'watchPaused' : video.muted ? 'watchSilent' : 'watchPlaying'));
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

// What the API does not tell cannot be shown; the stream plays all the same.
every(ASK, async () => {
  const {recording, remarks} = await about(room, participant).catch(() => ({recording: false, remarks: []}));
  note(byId('notes'), meter ? remarks : []);
  byId('recording').hidden = !recording;
});

dress();
translate();
put(byId('title'), 'watchTitle', {name: participant, room});
document.title = `${byId('title').textContent} – Commonroom`;
byId('publish').href = `/publish/${encodeURIComponent(room)}/me`;
video.muted = query.get('muted') === '1';
addEventListener('pagehide', () => link.stop());
// Come back to with the browser's back button, as it was left: without a connection.
addEventListener('pageshow', ({persisted}) => persisted && location.reload());
showControls();
link.start();
