// The buttons of the call, their keys, the panel at the side and the settings.

import {byId, make} from '../ui.js';
import {choices} from './choices.js';
import {canShareScreen} from './devices.js';
import {button, choose, open} from './dom.js';
import {reveal} from './focus.js';
import {keep, recall} from './settings.js';
import {call, current, languages, put, speak, t} from './text.js';
import {theme, themes, wear} from './theme.js';

const MODES = ['auto', 'grid', 'speaker'];
const KEYS = [['M', 'keyMicrophone'], ['V', 'keyCamera'], ['␣', 'keyTalk'], ['S', 'keyScreen'], ['C', 'keyChat'], ['P', 'keyPeople'],
  ['I', 'keyInvite'], ['L', 'keyLayout'], ['Esc', 'keyClose']];

export class Controls {
  #acts;
  #signal;
  #mode = recall('layout') ?? 'auto';
  #microphone = false;
  #talking = false;
  #began = Date.now();
  /** @type {'chat' | 'people' | null} which panel is open */
  panel = null;

  /**
   * @param {object} acts what each button does
   * @param {import('./devices.js').Devices} devices
   * @param {AbortSignal} signal ends it
   */
  constructor(acts, devices, signal) {
    this.#acts = acts;
    this.#signal = signal;
    byId('call-devices').replaceChildren();
    this.list = choices('call-devices', devices, {
      chosen(kind, id) {
        if (kind === 'speaker') acts.speaker(id);
        else devices.choose(kind, id || null);
      },
    });
    if (recall('speaker')) acts.speaker(recall('speaker'));
    this.#press({
      'microphone': () => acts.microphone(), 'camera': acts.camera, 'screen': acts.screen, 'sheet-screen': acts.screen,
      'unshare': acts.screen, 'open-chat': () => this.toggle('chat'), 'open-people': () => this.toggle('people'),
      'sheet-people': () => this.show('people'), 'tab-chat': () => this.show('chat'), 'tab-people': () => this.show('people'),
      'panel-close': () => this.hide(), 'invite': acts.invite, 'sheet-invite': acts.invite, 'leave': acts.leave,
      'more': () => this.#settings(), 'layout': () => this.#turn(), 'sheet-layout': () => this.#turn(),
      'hear': () => {
        reveal(byId('hear'), false, byId('floor'));
        acts.hear();
      },
    });
    for (const id of ['sheet-people', 'sheet-screen', 'sheet-invite']) {
      byId(id).addEventListener('click', () => byId('settings').close(), {signal, capture: true});
    }
    this.#choose();
    this.#tabs();
    document.addEventListener('keydown', (event) => this.#key(event), {signal});
    document.addEventListener('keyup', (event) => this.#release(event), {signal});
    // Whoever goes to another window with the bar held down must not stay on the air.
    addEventListener('blur', () => this.#quiet(), {signal});
    document.addEventListener('language', () => this.#choose(), {signal});
    const timer = setInterval(() => this.#tick(), 1_000);
    signal.addEventListener('abort', () => clearInterval(timer));
    this.#tick();
    this.hide();
  }

  /** Shows how things are. */
  draw({microphone, camera, screen, viewer, mode, count}) {
    this.#microphone = microphone;
    this.#mode = mode;
    const disabled = viewer;
    button(byId('microphone'), {
      icon: microphone ? 'mic' : 'micOff', key: viewer ? 'viewersWatch' : microphone ? 'microphoneOff' : 'microphoneOn',
      pressed: microphone, off: !microphone, disabled,
    });
    button(byId('camera'), {
      icon: camera ? 'camera' : 'cameraOff', key: viewer ? 'viewersWatch' : camera ? 'cameraOff' : 'cameraOn',
      pressed: camera, off: !camera, disabled,
    });
    const none = !canShareScreen();
    for (const id of ['screen', 'sheet-screen']) {
      byId(id).classList.toggle('on', screen);
      byId(id).disabled = disabled || none && !screen;
    }
    call(byId('screen'), viewer ? 'viewersWatch' : none ? 'device_unsupported_screen' : screen ? 'stopSharing' : 'shareScreen');
    byId('screen').setAttribute('aria-pressed', String(screen));
    put(byId('sheet-screen').querySelector('span'), screen ? 'stopSharing' : 'shareScreen');
    button(byId('layout'), {icon: {auto: 'grid', grid: 'grid', speaker: 'speaker'}[mode], key: `layout_${mode}`});
    put(byId('sheet-layout').querySelector('span'), `layout_${mode}`);
    call(byId('open-people'), 'peopleCount', {count});
    this.count(this.unread ?? 0);
  }

  /** Shows how many messages were not read. */
  count(unread) {
    this.unread = unread;
    byId('unread').hidden = unread === 0;
    byId('unread').textContent = unread > 99 ? '99+' : String(unread);
    call(byId('open-chat'), unread > 0 ? 'chatUnread' : 'chat', {count: unread});
    const [, title] = document.title.match(/^(?:\(\d+\) )?(.*)$/);
    document.title = unread > 0 ? `(${unread}) ${title}` : title;
  }

  /** @param {'chat' | 'people'} name */
  show(name) {
    this.panel = name;
    byId('panel').hidden = false;
    document.body.dataset.panel = name;
    for (const one of ['chat', 'people']) {
      byId(one).hidden = one !== name;
      byId(`tab-${one}`).setAttribute('aria-selected', String(one === name));
      byId(`tab-${one}`).tabIndex = one === name ? 0 : -1;
      byId(`open-${one}`).setAttribute('aria-expanded', String(one === name));
      byId(`open-${one}`).classList.toggle('on', one === name);
    }
    this.#acts.panel(name);
    if (name === 'chat' && matchMedia('(hover: hover)').matches) byId('line').focus();
    else if (name === 'people') byId('tab-people').focus();
  }

  hide() {
    // The keyboard goes back to where the panel was opened: on a phone, the list of people is opened in the settings.
    reveal(byId('panel'), false, byId(`open-${this.panel ?? 'chat'}`), byId('more'));
    this.panel = null;
    delete document.body.dataset.panel;
    for (const one of ['chat', 'people']) {
      byId(`open-${one}`).setAttribute('aria-expanded', 'false');
      byId(`open-${one}`).classList.remove('on');
    }
    this.#acts.panel(null);
  }

  toggle(name) {
    if (this.panel === name) this.hide();
    else this.show(name);
  }

  #press(buttons) {
    for (const [id, act] of Object.entries(buttons)) byId(id).addEventListener('click', () => act(), {signal: this.#signal});
  }

  #turn() {
    const mode = MODES[(MODES.indexOf(this.#mode) + 1) % MODES.length];
    keep('layout', mode);
    this.#acts.layout(mode);
    this.#mode = mode;
    button(byId('layout'), {icon: mode === 'speaker' ? 'speaker' : 'grid', key: `layout_${mode}`});
    put(byId('sheet-layout').querySelector('span'), `layout_${mode}`);
  }

  #settings() {
    this.list();
    open(byId('settings'));
  }

  #choose() {
    choose(byId('language'), languages, current());
    choose(byId('theme'), themes.map((name) => [name, t(`theme_${name}`)]), theme());
    byId('language').onchange = ({target}) => speak(target.value);
    byId('theme').onchange = ({target}) => wear(target.value);
    byId('shortcuts').checked = recall('shortcuts') ?? true;
    byId('shortcuts').onchange = ({target}) => keep('shortcuts', target.checked);
    byId('keys').replaceChildren(...KEYS.map(([key, text]) =>
      make('div', {}, make('dt', {}, make('kbd', {textContent: key === '␣' ? t('spaceBar') : key})), make('dd', {textContent: t(text)}))));
  }

  /** The arrow keys go from tab to tab. */
  #tabs() {
    for (const [one, other] of [['chat', 'people'], ['people', 'chat']]) {
      byId(`tab-${one}`).addEventListener('keydown', ({key}) => {
        if (key !== 'ArrowLeft' && key !== 'ArrowRight') return;
        this.show(other);
        byId(`tab-${other}`).focus();
      }, {signal: this.#signal});
    }
  }

  #key(event) {
    if (event.key === 'Escape' && this.panel && !document.querySelector('dialog[open]')) return this.hide();
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !(recall('shortcuts') ?? true)) return;
    if (event.target.closest('input, textarea, select, dialog[open]')) return;
    if (event.key === ' ') {
      // On a button the space bar presses that button.
      if (event.target.closest('button, a, summary') || this.#microphone) return;
      event.preventDefault();
      this.#talking = true;
      return this.#acts.talk(true);
    }
    // By the place on the keyboard: M is M on a Russian one, too.
    const act = {
      KeyM: () => this.#acts.microphone(), KeyV: this.#acts.camera, KeyS: this.#acts.screen, KeyC: () => this.toggle('chat'),
      KeyP: () => this.toggle('people'), KeyI: this.#acts.invite, KeyL: () => this.#turn(),
    }[event.code];
    if (!act) return;
    event.preventDefault();
    act();
  }

  #release(event) {
    if (event.key === ' ') this.#quiet();
  }

  #quiet() {
    if (!this.#talking) return;
    this.#talking = false;
    this.#acts.talk(false);
  }

  #tick() {
    const seconds = Math.floor((Date.now() - this.#began) / 1000);
    const pair = (number) => String(number).padStart(2, '0');
    const hours = Math.floor(seconds / 3600);
    byId('clock').textContent = `${hours ? `${hours}:` : ''}${pair(Math.floor(seconds / 60) % 60)}:${pair(seconds % 60)}`;
  }
}
