// `/`: a name and a room; the rooms one was in and those that are live; what OBS, ffmpeg and the other pages need to know.

import {rooms, server} from '../api.js';
import {byId, every, make} from '../ui.js';
import {choose, copying} from './dom.js';
import {drawAll, icon} from './icons.js';
import {newRoom, spelt} from './names.js';
import {forget, keep, recall, recentRooms} from './settings.js';
import {call, current, languages, moment, put, speak, t, translate} from './text.js';
import {dress, theme, themes, wear} from './theme.js';

const POLL = 3_000;
let rtmpPort = 1935;
let shown = '';

function update() {
  const typed = byId('room').value.trim().normalize('NFC');
  const room = spelt(typed) || 'demo', name = spelt(byId('name').value) || 'me';
  const stream = [room, name].map(encodeURIComponent).join('/');
  put(byId('rule'), typed && typed !== room ? 'roomSpelt' : 'roomRule', {name: room});
  const port = rtmpPort === 1935 ? '' : `:${rtmpPort}`;
  const url = `rtmp://${location.hostname}${port}/${room}`;
  byId('publish').href = `/publish/${stream}`;
  byId('watch').href = `/watch/${stream}`;
  byId('server').textContent = url;
  byId('key').textContent = name;
  byId('ffmpeg').textContent = 'ffmpeg -re -i FILE -c:v libx264 -preset veryfast -tune zerolatency -bf 0 -g 60 ' +
    `-pix_fmt yuv420p -c:a aac -f flv ${url}/${name}`;
  byId('ffplay').textContent = `ffplay -fflags nobuffer ${url}/${name}`;
}

function recent() {
  const found = recentRooms();
  byId('recent').hidden = found.length === 0;
  byId('recent-rooms').replaceChildren(...found.map(({name, at}) => {
    const remove = make('button', {type: 'button', className: 'flat'}, icon('close'));
    call(remove, 'forgetRoom', {name});
    remove.addEventListener('click', () => {
      forget(name);
      recent();
    });
    return make('li', {}, entry(name, moment(at)), remove);
  }));
}

const entry = (name, note) =>
  make('a', {className: 'room', href: `/r/${encodeURIComponent(name)}`}, make('b', {textContent: name}), make('span', {textContent: note}));

async function refresh() {
  let live;
  try {
    live = await rooms();
  } catch {
    return put(byId('nobody'), 'serverAway');
  }
  put(byId('nobody'), 'nobodyLive');
  byId('nobody').hidden = live.length > 0;
  // Links that are replaced lose the keyboard's focus, so only a change is shown.
  const state = JSON.stringify([live, current()]);
  if (state === shown) return;
  shown = state;
  byId('live-rooms').replaceChildren(...live.map(({room, participants}) =>
    make('li', {}, entry(room, t('liveCount', {count: participants.length})))));
}

function quick() {
  choose(byId('language'), languages, current());
  choose(byId('theme'), themes.map((name) => [name, t(`theme_${name}`)]), theme());
}

byId('name').value = recall('name') ?? '';
byId('room').value = newRoom();
for (const id of ['name', 'room']) byId(id).addEventListener('input', update);
byId('another').addEventListener('click', () => {
  byId('room').value = newRoom();
  update();
});
byId('entry').addEventListener('submit', (event) => {
  event.preventDefault();
  const room = spelt(byId('room').value);
  if (!room) return byId('room').focus();
  if (byId('name').value.trim()) keep('name', byId('name').value.trim());
  location.assign(`/r/${encodeURIComponent(room)}`);
});
byId('language').addEventListener('change', ({target}) => speak(target.value));
byId('theme').addEventListener('change', ({target}) => wear(target.value));
document.addEventListener('language', () => {
  quick();
  recent();
});

dress();
drawAll();
copying();
translate();
update();
server().then((told) => {
  rtmpPort = told.rtmpPort ?? rtmpPort;
  byId('recordings').hidden = !told.recordings;
  update();
}, () => {});
every(POLL, refresh);
