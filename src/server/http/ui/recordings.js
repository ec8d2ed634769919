// `/recordings`: the sessions that were recorded, the latest first.

import {recordings, remove} from './api.js';
import {ask, dialogs} from './room/dom.js';
import {current, moment, put, t, translate} from './room/text.js';
import {dress} from './room/theme.js';
import {mayGo, standing, warning} from './stored.js';
import {span} from './together.js';
import {byId, make} from './ui.js';

const room = new URLSearchParams(location.search).get('room');
let next = null;
let known = [];

async function more() {
  byId('earlier').disabled = true;
  try {
    const page = await recordings({room, before: next});
    known.push(...page.sessions);
    next = page.next ?? null;
    put(byId('state'), 'noRecordings');
    byId('state').hidden = known.length > 0;
  } catch {
    byId('state').hidden = false;
    put(byId('state'), 'serverAway');
  }
  byId('earlier').disabled = false;
  byId('earlier').hidden = next === null;
  show();
}

function show() {
  byId('sessions').replaceChildren(...known.map((one) => {
    const {room, session, state, start, duration = 0, participants = [], size = 0, upload} = one;
    const link = make('a', {className: 'card', href: `/recordings/${[room, session].map(encodeURIComponent).join('/')}`},
      make('b', {textContent: room}),
      make('span', {textContent: start ? moment(Date.parse(start)) : session}),
      make('span', {className: 'faint', textContent: [span(duration), participants.join(', '), bytes(size)].filter(Boolean).join(' · ')}));
    if (state === 'recording') link.append(make('span', {className: 'live', textContent: t('recordingBadge')}));
    const far = standing(upload);
    if (far) link.append(make('span', {className: upload.error ? 'live' : 'faint', textContent: t(far.key, far.values)}));
    const button = make('button', {type: 'button', textContent: t('delete'), hidden: !mayGo(one)});
    button.setAttribute('aria-label', t('deleteOf', {what: `${room}, ${start ? moment(Date.parse(start)) : session}`}));
    button.addEventListener('click', () => drop(one));
    return make('li', {}, link, button);
  }));
}

/** Deletes a session, when whoever wants that wants it still. */
async function drop(one) {
  const {room, session, upload} = one;
  if (!await ask('deleteSession', warning('session', upload), 'delete', {room})) return;
  const at = known.indexOf(one);
  try {
    await remove(room, session);
  } catch ({message}) {
    byId('state').hidden = false;
    return put(byId('state'), 'notDeleted', {why: message});
  }
  known = known.filter((other) => other !== one);
  put(byId('state'), known.length ? 'deleted' : 'noRecordings');
  byId('state').hidden = false;
  show();
  // Who works by keyboard goes on where he was.
  const rows = byId('sessions').querySelectorAll('button:not([hidden])');
  (rows[Math.min(at, rows.length - 1)] ?? byId('state')).focus();
}

const bytes = (size) => size > 0 && new Intl.NumberFormat(current(), {style: 'unit', unit: 'megabyte', maximumFractionDigits: 1}).format(size / 1e6);

byId('earlier').addEventListener('click', more);
document.addEventListener('language', show);
dialogs();
dress();
translate();
document.title = `${t('recordings')} – Commonroom`;
more();
