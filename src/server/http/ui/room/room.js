// `/r/<room>`: the green room, the call, and what is said when it is over.

import {byId, names} from '../ui.js';
import {Devices} from './devices.js';
import {copying, dialogs, why as text} from './dom.js';
import {Green} from './green.js';
import {drawAll} from './icons.js';
import {Meeting} from './meeting.js';
import {Meter} from './meter.js';
import {secret} from './protocol.js';
import {recall, tabKey} from './settings.js';
import {put, translate} from './text.js';
import {dress} from './theme.js';

/** After these it makes sense to ask again at once, in the green room. */
const RETURNS = ['login_in_use', 'room_full', 'room_locked', 'too_many_rooms', 'shutting_down', 'unreachable', 'timeout', 'rate_limited', 'invalid_name'];

const [room] = names();
const devices = new Devices({camera: recall('camera'), microphone: recall('microphone')}, (kind) => {
  if (kind === 'microphone') meter.listen(devices.microphone);
  green.update();
  meeting?.devices(kind);
});
const meter = new Meter((level) => {
  green.level(level);
  meeting?.level(level);
});
/** @type {Meeting | null} */
let meeting = null;

const green = new Green(room, devices, {
  async enter({login, microphone}) {
    const key = await tabKey(`${room}.${login}`, secret);
    meeting = new Meeting({room, login, key, microphone, devices}, {entered, over});
    meeting.start();
  },
});

function stage(name) {
  document.body.dataset.stage = name;
  for (const id of ['green', 'call', 'over']) byId(id).hidden = id !== name;
}

function entered() {
  green.hide();
  stage('call');
  byId('floor').focus({preventScroll: true});
}

/**
 * The call is over.
 *
 * @param {{word: string, message?: string, by?: string} | null} why nothing: one's own wish
 */
function over(why) {
  const login = meeting?.login ?? '';
  const was = document.body.dataset.stage;
  meeting = null;
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
  // What was told in the call would lie over what comes now, its buttons included.
  byId('toasts').replaceChildren();
  // Who was inside comes back here only to take another name.
  if (why && (was !== 'call' || why.word === 'login_in_use') && RETURNS.includes(why.word)) {
    stage('green');
    if (why.word === 'login_in_use') green.suggest(login);
    return green.show(text(why));
  }
  devices.close('camera');
  devices.close('microphone');
  stage('over');
  const by = why?.by, title = by ? {kicked: 'overKicked', ended: 'overEnded'}[why.word] : why ? 'overFailed' : 'overLeft';
  put(byId('over-title'), title, {by});
  byId('over-text').textContent = why && !by ? text(why) : room;
  byId('over-title').focus();
}

byId('rejoin').addEventListener('click', () => {
  stage('green');
  green.show();
});
// Goodbye in time: the others should not look at a picture that stands still.
addEventListener('pagehide', () => meeting?.leave());
// Come back to with the browser's back button, as it was left: without a connection.
addEventListener('pageshow', ({persisted}) => persisted && location.reload());

dress();
drawAll();
dialogs();
copying();
translate();
document.title = `${room} – Commonroom`;
stage('green');
green.show();
