// `/recordings`: the sessions that were recorded, the latest first.

import {recordings} from './api.js';
import {current, moment, put, t, translate} from './room/text.js';
import {dress} from './room/theme.js';
import {span} from './together.js';
import {byId, make} from './ui.js';

const room = new URLSearchParams(location.search).get('room');
let next = null;
const known = [];

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
    const {room, session, state, start, duration = 0, participants = [], size = 0} = one;
    const link = make('a', {className: 'card', href: `/recordings/${[room, session].map(encodeURIComponent).join('/')}`},
      make('b', {textContent: room}),
      make('span', {textContent: start ? moment(Date.parse(start)) : session}),
      make('span', {className: 'faint', textContent: [span(duration), participants.join(', '), bytes(size)].filter(Boolean).join(' · ')}));
    if (state === 'recording') link.append(make('span', {className: 'live', textContent: t('recordingBadge')}));
    return make('li', {}, link);
  }));
}

const bytes = (size) => size > 0 && new Intl.NumberFormat(current(), {style: 'unit', unit: 'megabyte', maximumFractionDigits: 1}).format(size / 1e6);

byId('earlier').addEventListener('click', more);
document.addEventListener('language', show);
dress();
translate();
document.title = `${t('recordings')} – Commonroom`;
more();
