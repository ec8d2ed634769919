// `/recordings/<room>/<session>`: plays all files of a session side by side, with what was written beside them.
//
// One clock leads. It stands while a file that should be seen has nothing to show yet, and each player follows it.

import {playedFile, recorded, recordedFile, remove} from './api.js';
import {ask, dialogs} from './room/dom.js';
import {current, moment, put, t, translate} from './room/text.js';
import {dress} from './room/theme.js';
import {mayGo, standing, warning} from './stored.js';
import {SessionClock, Turns, correction, hasGrown, parts, place, span} from './together.js';
import {byId, every, make, names} from './ui.js';

/** Between two looks at how the players stand, in milliseconds. */
const LOOK = 100;
/** Between two looks at what else has been recorded meanwhile. */
const ASK = 5_000;
/** So far before its end a file is not waited for, in seconds. */
const END = 0.3;

const [room, session] = names();
let manifest = null, clock = new SessionClock(0), wanted = false;
/** @type {{file: object, figure: HTMLElement, video: HTMLVideoElement}[]} */
let players = [];
/** Who may jump. */
const turns = new Turns();
/** @type {{event: object, line: HTMLElement}[]} */
let log = [];

const now = () => performance.now() / 1000;

async function load() {
  try {
    manifest = await recorded(room, session);
  } catch {
    return put(byId('state'), 'noSuchRecording');
  }
  clock = new SessionClock(manifest.duration);
  lay();
  document.querySelector('main').dataset.state = 'ready';
  setInterval(look, LOOK);
  every(ASK, follow);
}

/** A player for each file; those that are there stay as they are. */
function lay() {
  const there = new Map(players.map((player) => [player.file.name, player]));
  const files = manifest.files.filter(({name, state}) => name && state !== 'lost');
  players = files.map((file) => {
    const known = there.get(file.name);
    if (known) return Object.assign(known, {file});
    const video = make('video', {src: playedFile(room, session, file.name), preload: 'auto', playsInline: true});
    const figure = make('figure', {className: 'player'}, video, make('figcaption', {textContent: label(file)}));
    byId('players').append(figure);
    return {file, figure, video};
  });
  clock.length = manifest.duration;
  byId('seek').max = String(manifest.duration);
  byId('log-card').hidden = manifest.events.length === 0;
  show();
}

/** A session that goes on has more each time. */
async function follow() {
  if (manifest.state !== 'recording') return;
  const next = await recorded(room, session).catch(() => null);
  if (!next) return;
  manifest = next;
  lay();
  for (const {file, video} of players) {
    // A browser asks once how long a file is.
    if (hasGrown(file, video.duration) && isOver(video, video.currentTime)) video.src = playedFile(room, session, file.name);
  }
}

/** All that has words in it. */
function show() {
  if (!manifest) return;
  byId('title').textContent = room;
  document.title = `${room} – Commonroom`;
  byId('state').textContent = [moment(Date.parse(manifest.start)), span(manifest.duration),
    manifest.state === 'recording' && t('recordingBadge')].filter(Boolean).join(' · ');
  for (const {file, figure} of players) figure.lastChild.textContent = label(file);
  byId('lanes').replaceChildren(...players.map(({file}) => {
    const lane = make('span', {className: 'lane'});
    lane.setAttribute('aria-hidden', 'true');
    for (const {from, to} of parts(file, manifest.duration)) {
      const part = make('i', {});
      part.style.left = `${from * 100}%`;
      part.style.width = `${(to - from) * 100}%`;
      lane.append(part);
    }
    return make('li', {}, make('span', {textContent: `${label(file)}: ${span(file.start)} – ${span(file.end)}`}), lane);
  }));
  log = manifest.events.map((event) => {
    const line = make('button', {type: 'button'}, make('span', {className: 'time', textContent: span(event.time)}), make('span', {textContent: words(event)}));
    line.classList.toggle('event', event.type !== 'message');
    line.addEventListener('click', () => seek(event.time));
    return {event, line};
  });
  byId('log').replaceChildren(...log.map(({line}) => make('li', {}, line)));
  const film = manifest.composed;
  const filmLink = film && make('a', {href: recordedFile(room, session, film.name), download: film.name, textContent: t('composedFilm')});
  const lines = film ? [make('li', {className: 'film'}, make('span', {}, filmLink, ` ${megabytes(film.size)}`))] : [];
  byId('files').replaceChildren(...lines, ...manifest.files.filter(({name}) => name).map((file) => {
    const link = make('a', {href: recordedFile(room, session, file.name), download: file.name, textContent: file.name});
    const button = make('button', {type: 'button', textContent: t('delete'), hidden: !mayGo(manifest)});
    button.setAttribute('aria-label', t('deleteOf', {what: file.name}));
    button.addEventListener('click', () => dropFile(file));
    return make('li', {}, make('span', {}, link, ` ${megabytes(file.size)}`, file.error ? ` – ${file.error}` : ''), button);
  }));
  byId('delete').hidden = !mayGo(manifest);
  const far = standing(manifest.upload);
  byId('upload').hidden = !far;
  if (far) put(byId('upload'), far.key, far.values);
  draw();
}

/** Deletes the session, when whoever wants that wants it still. */
async function drop() {
  if (!await ask('deleteSession', warning('session', manifest.upload), 'delete', {room})) return;
  try {
    await remove(room, session);
    location.assign('/recordings');
  } catch ({message}) {
    put(byId('state'), 'notDeleted', {why: message});
  }
}

/** The same for one file. The others play on. */
async function dropFile(file) {
  if (!await ask('deleteFile', warning('file', manifest.upload), 'delete', {file: file.name})) return;
  try {
    await remove(room, session, file.name);
  } catch ({message}) {
    return put(byId('state'), 'notDeleted', {why: message});
  }
  manifest.files = manifest.files.filter((other) => other !== file);
  for (const {figure, video} of players.filter((player) => player.file === file)) {
    turns.end(video);
    figure.remove();
  }
  players = players.filter((player) => player.file !== file);
  show();
  // Who works by keyboard goes on nearby.
  (byId('files').querySelector('button') ?? byId('delete')).focus();
}

/** Whether a player has come to what its file has; the manifest may say a moment more. */
const isOver = (video, at) => at >= video.duration - END;

const label = ({participant, kind}) => kind === 'screen' ? t('screenOf', {login: participant}) : participant;
const megabytes = (size) =>
  new Intl.NumberFormat(current(), {style: 'unit', unit: 'megabyte', maximumFractionDigits: 1}).format(size / 1e6);

function words({type, login, from, text}) {
  if (type === 'message') return `${from}: ${text}`;
  return t(type === 'joined' ? 'joined' : 'left', {login});
}

/** Brings all to where they should be. */
function look() {
  const time = clock.at(now());
  if (clock.runs && time >= clock.length) wanted = false;
  const here = players.map((player) => ({...player, at: place(player.file, time)}));
  // One that is where it should be and has no picture for what comes next keeps all others waiting.
  const isLate = here.some(({at, video}) => at !== null && !video.error && !isOver(video, at)
    && (turns.has(video) || video.seeking || video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA));
  if (wanted && !isLate) clock.run(now());
  else clock.stand(now());
  for (const {at, video, figure} of here) {
    figure.classList.toggle('absent', at === null);
    if (at === null || video.error) {
      video.pause();
      continue;
    }
    const {jump, rate} = correction(video.currentTime - at);
    if (!video.seeking) turns.arrived(video);
    if (jump && !isOver(video, at)) turns.want(video);
    video.playbackRate = clock.runs ? rate : 1;
    if (clock.runs && video.paused && !isOver(video, at)) video.play().catch(() => wanted = false);
    else if (!clock.runs) video.pause();
  }
  takeTurns();
  draw();
}

/** Lets those jump whose turn it is. */
function takeTurns() {
  const time = clock.at(now());
  for (const {file, video} of players) {
    const at = place(file, time);
    if (at === null || video.error) turns.end(video);
    else if (turns.take(video, now())) video.currentTime = at;
  }
}

function draw() {
  const time = clock.at(now());
  put(byId('play'), wanted ? 'recordingPause' : 'recordingPlay');
  byId('time').textContent = `${span(time)} / ${span(clock.length)}`;
  if (document.activeElement !== byId('seek') || wanted) byId('seek').value = String(time);
  byId('seek').setAttribute('aria-valuetext', span(time));
  let last = null;
  for (const {event, line} of log) {
    const later = event.time > time;
    if (!later) last = line;
    line.classList.toggle('later', later);
  }
  if (last !== draw.last && wanted) last?.scrollIntoView({block: 'nearest'});
  draw.last = last;
}

function seek(time) {
  clock.seek(time, now());
  for (const {file, video} of players) if (place(file, clock.at(now())) !== null) turns.want(video);
  takeTurns();
  draw();
}

function toggle() {
  wanted = !wanted;
  if (wanted && clock.at(now()) >= clock.length) seek(0);
  look();
}

byId('play').addEventListener('click', toggle);
byId('delete').addEventListener('click', drop);
byId('seek').addEventListener('input', ({target}) => seek(Number(target.value)));
document.addEventListener('keydown', (event) => {
  if (event.key !== ' ' || event.target.closest('button, a, input, dialog')) return;
  event.preventDefault();
  toggle();
});
document.addEventListener('language', show);
dialogs();
dress();
translate();
load();
