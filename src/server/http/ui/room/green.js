// The green room: camera, microphone and name before one enters.

import {rooms} from '../api.js';
import {byId, every} from '../ui.js';
import {choices} from './choices.js';
import {button} from './dom.js';
import {another, hue, initials, spelt} from './names.js';
import {hint} from './secure.js';
import {keep, recall} from './settings.js';
import {put, t} from './text.js';

const ASK = 4_000;

/** @typedef {{login: string, microphone: boolean, camera: boolean}} Entry */

export class Green {
  #room;
  #devices;
  #enter;
  #list;
  #wants = {microphone: recall('microphoneOn') ?? true, camera: recall('cameraOn') ?? true};
  #pending = false;
  #shown = false;

  /**
   * @param {string} room
   * @param {import('./devices.js').Devices} devices
   * @param {{enter: (entry: Entry) => void}} acts
   */
  constructor(room, devices, {enter}) {
    this.#room = room;
    this.#devices = devices;
    this.#enter = enter;
    this.#list = choices('green-devices', devices, {
      chosen: (kind, id) => kind !== 'speaker' && devices.choose(kind, id || null),
    });
    byId('green-room').textContent = room;
    byId('name').value = recall('name') ?? '';
    byId('name').addEventListener('input', () => this.#spell());
    byId('entry').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit(this.#wants);
    });
    byId('join-bare').addEventListener('click', () => this.#submit({microphone: false, camera: false}));
    for (const kind of ['microphone', 'camera']) byId(`green-${kind}`).addEventListener('click', () => this.#toggle(kind));
    document.addEventListener('language', () => this.#shown && this.update());
    every(ASK, async () => this.#shown && this.#present());
    this.#advise();
  }

  /** Shows it, with what went wrong if one comes back. */
  async show(fault = null) {
    this.#shown = true;
    byId('fault').hidden = fault === null;
    if (fault) byId('fault').textContent = fault;
    byId('join').disabled = byId('join-bare').disabled = false;
    put(byId('join'), 'join');
    this.#spell();
    this.update();
    if (!byId('name').value || fault) byId('name').focus();
    this.#present();
    const {microphone, camera} = this.#wants, devices = this.#devices;
    const missing = ['microphone', 'camera'].filter((kind) => this.#wants[kind] && !devices[kind]);
    if (missing.length === 0) return;
    this.#pending = true;
    this.update();
    if (microphone && camera && missing.length === 2) await devices.openBoth();
    else await Promise.allSettled(missing.map((kind) => devices.open(kind)));
    this.#pending = false;
    this.update();
  }

  /** The name was refused because somebody has it: offers another. */
  suggest(login) {
    byId('name').value = another(login);
    this.#spell();
    byId('name').select();
  }

  hide() {
    this.#shown = false;
    byId('preview').srcObject = null;
  }

  /** A device has come or gone. */
  update() {
    if (!this.#shown) return;
    const {camera, microphone, faults} = this.#devices;
    const video = byId('preview'), avatar = byId('preview-avatar'), login = this.#login() || '?';
    const shown = video.srcObject?.getVideoTracks()[0] ?? null;
    if (shown !== camera) video.srcObject = camera ? new MediaStream([camera]) : null;
    video.hidden = !camera;
    avatar.hidden = Boolean(camera);
    avatar.textContent = initials(login);
    avatar.className = `avatar big hue-${hue(login, 8)}`;
    button(byId('green-microphone'), {
      icon: microphone ? 'mic' : 'micOff', key: microphone ? 'microphoneOff' : 'microphoneOn', pressed: Boolean(microphone), off: !microphone,
    });
    button(byId('green-camera'), {
      icon: camera ? 'camera' : 'cameraOff', key: camera ? 'cameraOff' : 'cameraOn', pressed: Boolean(camera), off: !camera,
    });
    byId('green-level').hidden = !microphone;
    const note = byId('preview-note');
    const fault = faults.camera ?? faults.microphone;
    const key = this.#pending ? 'askingDevices' : fault ? faultKey(fault) : camera ? '' : 'cameraIsOff';
    note.hidden = !key;
    if (key) put(note, key);
    byId('join-bare').hidden = !camera && !microphone && !this.#pending;
    this.#list();
  }

  /** @param {number} level 0 to 1 */
  level(level) {
    if (!this.#shown) return;
    // Loudness as it is felt: -50 dB is nothing, -10 dB is all.
    const share = Math.max(0, Math.min(1, (20 * Math.log10(level + 1e-6) + 50) / 40));
    byId('green-level').style.setProperty('--level', share.toFixed(2));
    [...byId('green-level').children].forEach((bar, index, all) => bar.classList.toggle('lit', share > index / all.length + 0.05));
  }

  #toggle(kind) {
    const on = Boolean(this.#devices[kind]);
    this.#wants[kind] = !on;
    keep(`${kind}On`, !on);
    if (on) this.#devices.close(kind);
    else this.#devices.open(kind).catch(() => {});
    this.update();
  }

  #submit({microphone, camera}) {
    const login = this.#login();
    if (!login) {
      byId('fault').hidden = false;
      byId('fault').textContent = t('nameMissing');
      return byId('name').focus();
    }
    keep('name', byId('name').value.trim());
    byId('fault').hidden = true;
    byId('join').disabled = byId('join-bare').disabled = true;
    put(byId('join'), 'joining');
    for (const [kind, wanted] of Object.entries({microphone, camera})) if (!wanted) this.#devices.close(kind);
    this.#enter({login, microphone, camera});
  }

  #login() {
    return spelt(byId('name').value);
  }

  #spell() {
    const typed = byId('name').value.trim().normalize('NFC'), login = this.#login();
    const note = byId('name-note');
    note.hidden = typed === login;
    if (typed !== login) put(note, login ? 'nameSpelt' : 'nameRule', {login});
    if (!this.#devices.camera) {
      byId('preview-avatar').textContent = initials(login || '?');
      byId('preview-avatar').className = `avatar big hue-${hue(login || '?', 8)}`;
    }
  }

  /** Where the browser gives no devices to a page like this: what to do. */
  async #advise() {
    const found = await hint(new URL(location.href), isSecureContext);
    if (!found) return;
    put(byId('secure-text'), found.key);
    const link = byId('secure-link');
    link.hidden = !found.address;
    if (found.address) Object.assign(link, {href: found.address, textContent: found.address});
    byId('secure').hidden = false;
  }

  async #present() {
    const present = byId('present');
    try {
      const found = (await rooms()).find(({room}) => room === this.#room)?.participants ?? [];
      put(present, found.length === 0 ? 'presentNobody' : 'present', {count: found.length, names: found.slice(0, 5).join(', ')});
    } catch {
      put(present, 'serverAway');
    }
  }
}

/** The text for why a device cannot be had. */
export const faultKey = ({word, kind}) => word === 'insecure' || word === 'other' ? `device_${word}` : `device_${word}_${kind}`;
