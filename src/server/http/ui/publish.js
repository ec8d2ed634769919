// `/publish/<room>/<participant>`: publishes camera and microphone, the screen, or the test pattern.
//
// Query parameters: `source=camera|screen|pattern`, `codec=auto|H264|VP8`, `size=640x360|1280x720|1920x1080`,
// `bitrate=` bits a second, one of those on the page, and `autostart=1` to begin without a click.
// <main data-state> says what it is doing: idle, connecting, publishing, error.

import {about, secureAddress} from './api.js';
import {put, t, translate} from './room/text.js';
import {dress} from './room/theme.js';
import {capture, list} from './sources.js';
import {Meter, facts} from './stats.js';
import {byId, every, fill, names, note, offer, query, sentence, show, write} from './ui.js';
import {codecs, publish} from './whip.js';

/** @typedef {import('./sources.js').Source} Source */

const [room, participant] = names();
const video = byId('video');
const READ = 1_000, ASK = 3_000;
/** @type {Source | null} */
let source = null;
let link = null, meter = null;
/** Counts the wishes for a source: an answer to an older one is thrown away. */
let wishes = 0;

const kind = () => document.querySelector('[name="kind"]:checked').value;

function wish() {
  const [width, height] = byId('size').value.split('x').map(Number);
  return {
    kind: kind(), camera: byId('camera').value, microphone: byId('microphone').value, width, height,
    caption: `${room} / ${participant}`,
  };
}

/** Gets what is chosen and shows it; false if there is none, or if the choice has changed meanwhile. */
async function look() {
  const mine = ++wishes;
  drop();
  let got;
  try {
    got = await capture(wish());
  } catch (error) {
    if (mine === wishes) show('error', error.message);
    const address = isSecureContext ? null : await secureAddress(new URL(location.href));
    if (mine === wishes && address) show('error', t('publishInstead', {why: error.message, address}));
    return false;
  }
  if (mine !== wishes) {
    got.stop();
    return false;
  }
  source = got;
  video.srcObject = got.stream;
  byId('over').hidden = true;
  byId('mute').hidden = got.stream.getAudioTracks().length === 0;
  put(byId('mute'), 'publishMute');
  for (const track of got.stream.getTracks()) track.addEventListener('ended', () => source === got && pulled());
  await listDevices();
  return true;
}

/** A device was unplugged, or sharing was ended in the browser's own bar. */
function pulled() {
  stop();
  drop();
  show('error', t('publishPulled'));
}

function drop() {
  source?.stop();
  source = null;
  video.srcObject = null;
  byId('over').hidden = false;
  byId('mute').hidden = true;
}

// ---- publishing

async function start() {
  byId('start').disabled = true;
  show('connecting', t('publishStarting'));
  const ready = source !== null || await look();
  byId('start').disabled = false;
  if (!ready) return;
  const bitrate = Number(byId('bitrate').value) || null;
  link = publish(room, participant, source.stream, {codec: byId('codec').value, bitrate}, changed);
  busy(true);
  link.start();
}

function changed(change, refusal) {
  meter = change === 'connected' ? new Meter(link.peer) : null;
  switch (change) {
    case 'connecting': return show('connecting', t('streamConnecting'));
    case 'connected': return show('publishing', t('publishLive', {room, name: participant}));
    case 'ended':
    case 'lost': return show('connecting', t('broken'));
    case 'refused': return show('connecting', t('streamAgain', {why: sentence(refusal.message)}));
    case 'failed':
      stop();
      return show('error', sentence(refusal.message));
  }
}

function stop() {
  link?.stop();
  link = meter = null;
  busy(false);
  show('idle', t('publishIdle'));
}

function busy(now) {
  byId('fields').disabled = now;
  put(byId('start'), now ? 'publishStop' : 'publishStart');
}

// ---- choices

async function listDevices() {
  const {cameras, microphones} = await list();
  const choices = (devices, usual, none) =>
    [['', usual], ...devices.map(({deviceId, label}) => [deviceId, label]), ['none', none]];
  offer(byId('camera'), choices(cameras, t('usualCamera'), t('noCamera')));
  offer(byId('microphone'), choices(microphones, t('usualMicrophone'), t('noMicrophone')));
}

/** Another kind of source was chosen. */
function choose() {
  for (const label of document.querySelectorAll('.devices')) label.hidden = kind() !== 'camera';
  byId('preview').hidden = kind() === 'pattern';
  wishes++;
  drop();
  show('idle', t('publishIdle'));
}

/** Shows what would be sent, unless the browser would have to ask for it first. */
async function preview() {
  if (kind() === 'pattern' || kind() === 'camera' && await allowed()) await look();
}

async function allowed() {
  try {
    const asked = ['camera', 'microphone'].map((name) => navigator.permissions.query({name}));
    return (await Promise.all(asked)).every(({state}) => state === 'granted');
  } catch {
    // Not every browser can be asked for these.
    return false;
  }
}

/** Sets a choice from the query, if it is one of those there are. */
function preset(select, value) {
  if ([...select.options].some((option) => option.value === value)) select.value = value;
}

byId('start').addEventListener('click', () => link ? stop() : start());
byId('preview').addEventListener('click', look);
byId('mute').addEventListener('click', ({target}) => {
  for (const track of source.stream.getAudioTracks()) {
    track.enabled = !track.enabled;
    put(target, track.enabled ? 'publishMute' : 'publishUnmute');
  }
});
for (const radio of document.querySelectorAll('[name="kind"]')) {
  radio.addEventListener('change', () => {
    choose();
    preview();
  });
}
for (const id of ['camera', 'microphone', 'size']) byId(id).addEventListener('change', () => source ? look() : null);
navigator.mediaDevices?.addEventListener('devicechange', listDevices);
addEventListener('pagehide', stop);
// Come back to with the browser's back button, as it was left: without a connection.
addEventListener('pageshow', ({persisted}) => persisted && location.reload());

// ---- facts

every(READ, async () => {
  const rows = meter ? facts(await meter.read()) : [];
  fill(byId('facts'), rows);
  byId('nothing').hidden = rows.length > 0;
});

// What the API does not tell cannot be shown; the stream is sent all the same.
every(ASK, async () => {
  const {recording, remarks} = await about(room, participant).catch(() => ({recording: false, remarks: []}));
  note(byId('notes'), meter ? remarks : []);
  byId('recording').hidden = !recording;
});

dress();
translate();
put(byId('title'), 'publishTitle', {name: participant, room});
put(byId('start'), 'publishStart');
document.title = `${byId('title').textContent} – Commonroom`;
for (const option of document.querySelectorAll('[data-mbit]')) put(option, 'factMbit', {rate: option.dataset.mbit});
byId('watch').href = `/watch/${encodeURIComponent(room)}/${encodeURIComponent(participant)}?muted=1`;
offer(byId('codec'), codecs().map((codec) => [codec, {auto: t('codecAny'), H264: 'H.264'}[codec] ?? codec]));
for (const id of ['codec', 'size', 'bitrate']) preset(byId(id), query.get(id));
const wanted = document.querySelector(`[name="kind"][value="${CSS.escape(query.get('source') ?? '')}"]`);
if (wanted) wanted.checked = true;
await listDevices();
choose();
await (query.get('autostart') === '1' ? start() : preview());
