// `/`: a room and a name, and what OBS, ffmpeg and the other pages need to know of them; who is live.

import {rooms, server} from './api.js';
import {byId, copying, every, make, write} from './ui.js';

const POLL = 3_000;
const fields = [byId('room'), byId('participant')];
const SUGGESTIONS = ['demo', 'me'];
let rtmpPort = 1935;

function remembered(key) {
  // Reading throws where a person forbids storage.
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function remember() {
  try {
    for (const field of fields) localStorage.setItem(field.id, field.value);
  } catch {
    // Then the names are typed again next time.
  }
}

function update() {
  const valid = fields.every((field) => field.checkValidity());
  for (const field of fields) field.setAttribute('aria-invalid', String(!field.checkValidity()));
  const [room, participant] = fields.map((field, index) => field.checkValidity() ? field.value : SUGGESTIONS[index]);
  const port = rtmpPort === 1935 ? '' : `:${rtmpPort}`;
  const url = `rtmp://${location.hostname}${port}/${room}`;
  for (const page of ['publish', 'watch']) {
    // A link without an address is neither followed nor focused.
    if (valid) byId(page).href = `/${page}/${room}/${participant}`;
    else byId(page).removeAttribute('href');
  }
  write(byId('server'), url);
  write(byId('key'), participant);
  write(byId('ffmpeg'), 'ffmpeg -re -i FILE -c:v libx264 -preset veryfast -tune zerolatency -bf 0 -g 60 ' +
    `-pix_fmt yuv420p -c:a aac -f flv ${url}/${participant}`);
  write(byId('ffplay'), `ffplay -fflags nobuffer ${url}/${participant}`);
  if (valid) remember();
}

let shown = '';

async function refresh() {
  let live;
  try {
    live = await rooms();
  } catch {
    return write(byId('nobody'), 'The server cannot be reached.');
  }
  write(byId('nobody'), 'Nobody is live.');
  byId('nobody').hidden = live.length > 0;
  byId('rooms').hidden = live.length === 0;
  // Links that are replaced lose the keyboard's focus, so only a change is shown.
  if (JSON.stringify(live) === shown) return;
  shown = JSON.stringify(live);
  byId('rooms').replaceChildren(...live.map(({room, participants}) => make('li', {}, make('b', {textContent: room}),
    ...participants.map((name) => make('a', {href: `/watch/${room}/${name}`, textContent: name})))));
}

fields.forEach((field, index) => {
  field.value = remembered(field.id) ?? SUGGESTIONS[index];
  field.addEventListener('input', update);
});
update();
copying();
server().then((told) => {
  rtmpPort = told.rtmpPort ?? rtmpPort;
  update();
}, () => {});
every(POLL, refresh);
