// The list of who is here: protocol, how what they send arrives, what is done to their streams, and what a host may do.

import {byId, make, sentence} from '../ui.js';
import {ask, button, toast, why} from './dom.js';
import {reveal, withdraw} from './focus.js';
import {icon} from './icons.js';
import {camera, quality} from './model.js';
import {hue, initials} from './names.js';
import {call, put, t} from './text.js';

const COLOURS = 8;
const PROTOCOLS = {websocket: 'byBrowser', whip: 'byWhip', rtmp: 'byRtmp', flash: 'byFlash'};

export class People {
  #list = byId('roster');
  /** @type {Map<string, {element: HTMLElement, parts: Object<string, HTMLElement>}>} */
  #rows = new Map();
  #moderate;
  #write;
  #model = null;
  #speaks = () => false;

  /**
   * @param {object} acts
   * @param {(action: string, details?: object) => Promise<void>} acts.moderate
   * @param {(login: string) => void} acts.write begins a private line
   * @param {AbortSignal} signal ends it
   */
  constructor({moderate, write}, signal) {
    this.#moderate = moderate;
    this.#write = write;
    this.#list.replaceChildren();
    byId('lock').addEventListener('click', () => this.#try(this.#model.locked ? 'unlock' : 'lock'), {signal});
    byId('record').addEventListener('click', () => this.#try(stops(this.#model) ? 'stopRecording' : 'record'), {signal});
    byId('end').addEventListener('click', async () => {
      if (await ask('endTitle', 'endText', 'endForAll')) this.#try('end');
    }, {signal});
  }

  /** @param {import('./model.js').Model} model */
  show(model) {
    this.#model = model;
    const {self, others, locked, recording, recordWanted, recordingPolicy} = model;
    const all = [self, ...others.values()];
    byId('people-count').textContent = String(all.length);
    for (const [login, {element}] of this.#rows) {
      if (all.some((one) => one.login === login)) continue;
      const beside = element.nextElementSibling ?? element.previousElementSibling;
      withdraw(element, () => element.remove(), ...beside?.querySelectorAll('.signs button') ?? [], byId('tab-people'));
      this.#rows.delete(login);
    }
    for (const one of all) this.#row(one, one === self, self.role === 'host');
    byId('host').hidden = self.role !== 'host';
    button(byId('lock'), {icon: locked ? 'unlock' : 'lock'});
    if (!byId('lock').querySelector('span')) byId('lock').append(make('span', {}));
    put(byId('lock').querySelector('span'), locked ? 'unlock' : 'lock');
    // Where the operator decides, hosts have nothing to press.
    reveal(byId('record'), recordingPolicy === 'onRequest', byId('lock'));
    button(byId('record'), {icon: stops(model) ? 'stop' : 'record'});
    put(byId('record').querySelector('span'), stops(model) ? 'stopRecording' : 'startRecording');
    byId('record-waits').hidden = byId('record').hidden || !recordWanted || recording;
  }

  #row(one, self, host) {
    const known = this.#rows.get(one.login);
    const row = known ?? this.#make(one.login, self);
    if (!known) {
      this.#rows.set(one.login, row);
      this.#list.append(row.element);
    }
    const {parts, element} = row, stream = camera(one), worst = quality(one);
    element.classList.toggle('absent', one.away !== null);
    put(parts.name, self ? 'you' : 'name', {login: one.login});
    parts.role.hidden = one.role === 'speaker';
    if (one.role !== 'speaker') put(parts.role, one.role === 'host' ? 'roleHost' : 'roleViewer');
    put(parts.way, one.away === null ? PROTOCOLS[one.protocol] ?? 'byOther' : 'away', {protocol: one.protocol});
    parts.line.hidden = !worst;
    if (worst) {
      const [good, fair, poor] = self ? ['sentGood', 'sentFair', 'sentPoor'] : ['lineGood', 'lineFair', 'linePoor'];
      put(parts.line, {good, fair, poor}[worst]);
      parts.line.dataset.quality = worst;
    }
    const reasons = [...one.verdicts.values()].flatMap(({reasons}) => reasons.map(explained));
    parts.reasons.replaceChildren(...[...new Set(reasons)].map((textContent) => make('li', {textContent})));
    parts.reasons.hidden = reasons.length === 0;
    const publishes = Boolean(stream);
    this.#medium(parts.sound, publishes && !stream.audioMuted && stream.audio, 'mic', publishes);
    this.#medium(parts.picture, publishes && !stream.videoMuted && stream.video, 'camera', publishes);
    parts.write.hidden = self || one.protocol === 'rtmp' || one.protocol === 'whip';
    reveal(parts.more, host && !self, parts.write, byId('tab-people'));
    if (parts.more.hidden) this.#unfold(parts, false);
    else this.#offer(parts, one, stream);
  }

  #make(login, self) {
    const part = (name, className, ...children) => make(name, {className}, ...children);
    const parts = {
      name: part('b', 'who'), role: part('span', 'chip'), way: part('span', 'way'), line: part('span', 'line'),
      reasons: part('ul', 'reasons'), sound: part('span', 'medium'), picture: part('span', 'medium'),
      write: make('button', {type: 'button', className: 'flat'}),
      more: make('button', {type: 'button', className: 'flat'}), menu: make('div', {className: 'acts', hidden: true}),
    };
    button(parts.more, {icon: 'more', key: 'hostActs', values: {login}});
    parts.more.setAttribute('aria-expanded', 'false');
    parts.more.addEventListener('click', () => this.#unfold(parts, parts.menu.hidden));
    button(parts.write, {icon: 'chat', key: 'writeTo', values: {login}});
    parts.write.addEventListener('click', () => this.#write(login));
    const avatar = part('span', `avatar hue-${hue(login, COLOURS)}`);
    avatar.textContent = initials(login);
    avatar.setAttribute('aria-hidden', 'true');
    const element = part('li', 'person', avatar,
      part('div', 'about', part('p', 'first', parts.name, parts.role), part('p', 'second', parts.way, parts.line), parts.reasons),
      part('div', 'signs', parts.sound, parts.picture, parts.write, parts.more), parts.menu);
    element.dataset.login = login;
    element.classList.toggle('self', self);
    for (const [name, drawing] of [['mute', 'micOff'], ['hide', 'cameraOff'], ['role', 'eye'], ['host', 'crown'], ['kick', 'remove']]) {
      const act = make('button', {type: 'button', className: 'flat'}, icon(drawing), make('span', {}));
      act.dataset.act = name;
      parts[`act-${name}`] = act;
      parts.menu.append(act);
    }
    this.#bind(parts, login);
    return {element, parts};
  }

  #bind(parts, login) {
    const one = () => this.#model.find(login);
    // Of all that somebody sends, now and later: a new stream, after a drop or a reload, is no way out.
    const toggle = async (medium) => {
      const lets = one().held.has(medium);
      if (!await this.#try(lets ? 'unmute' : 'mute', {login, medium})) return;
      // The room tells it of streams, and there may be none.
      one()?.held[lets ? 'delete' : 'add'](medium);
      this.show(this.#model);
    };
    parts['act-mute'].addEventListener('click', () => toggle('audio'));
    parts['act-hide'].addEventListener('click', () => toggle('video'));
    parts['act-role'].addEventListener('click', () =>
      this.#try('role', {login, role: one().role === 'viewer' ? 'speaker' : 'viewer'}));
    parts['act-host'].addEventListener('click', () =>
      this.#try('role', {login, role: one().role === 'host' ? 'speaker' : 'host'}));
    parts['act-kick'].addEventListener('click', async () => {
      if (await ask('kickTitle', 'kickText', 'kickYes', {login})) this.#try('kick', {login});
    });
  }

  #offer(parts, {login, role, protocol, held}, stream) {
    const label = (name, key, pressed) => {
      put(parts[`act-${name}`].lastChild, key, {login});
      parts[`act-${name}`].setAttribute('aria-pressed', String(pressed));
    };
    const silenced = held.has('audio'), hidden = held.has('video');
    label('mute', silenced ? 'letSpeak' : 'muteOne', silenced);
    label('hide', hidden ? 'letShow' : 'hideOne', hidden);
    label('role', role === 'viewer' ? 'makeSpeaker' : 'makeViewer', role === 'viewer');
    label('host', role === 'host' ? 'unmakeHost' : 'makeHost', role === 'host');
    label('kick', 'kick', false);
    parts['act-mute'].disabled = !stream?.audio && !silenced;
    parts['act-hide'].disabled = !stream?.video && !hidden;
    // Encoders have no roles: they do nothing but publish.
    parts['act-role'].hidden = parts['act-host'].hidden = protocol === 'rtmp' || protocol === 'whip';
  }

  #unfold({more, menu}, open) {
    reveal(menu, open, more, byId('tab-people'));
    more.setAttribute('aria-expanded', String(open));
  }

  #medium(element, on, drawing, publishes) {
    element.hidden = !publishes;
    const name = on ? drawing : `${drawing}Off`;
    if (element.firstChild?.dataset.icon !== name) element.replaceChildren(icon(name));
    element.classList.toggle('off', !on);
    element.setAttribute('role', 'img');
    call(element, {mic: 'hasSound', micOff: 'hasNoSound', camera: 'hasPicture', cameraOff: 'hasNoPicture'}[name]);
  }

  /** @returns {Promise<boolean>} whether it was done */
  async #try(action, details) {
    try {
      await this.#moderate(action, details);
      return true;
    } catch (error) {
      toast('refused', {info: why(error)});
      return false;
    }
  }
}

/** Whether there is a recording to be stopped, or the wish for one. */
const stops = ({recording, recordWanted}) => recording || recordWanted;

/** The reason in the reader's language, or else in the server's words. */
export function explained({reason, message}) {
  const key = `reason_${reason}`, text = t(key);
  return text === key ? sentence(message) : text;
}
