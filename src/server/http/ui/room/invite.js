// The invitation: a link for people, an address and a key for encoders, and whether the encoder has come.

import {byId} from '../ui.js';
import {open} from './dom.js';
import {draw} from './icons.js';
import {another, spelt} from './names.js';
import {put, t} from './text.js';

export class Invitation {
  #dialog = byId('invitation');
  #room;
  #port = 1935;
  #model = null;

  /**
   * @param {string} room
   * @param {AbortSignal} signal ends it
   */
  constructor(room, signal) {
    this.#room = room;
    const link = `${location.origin}/r/${encodeURIComponent(room)}`;
    for (const id of ['link', 'alone-link']) byId(id).textContent = link;
    byId('encoder').value = 'obs';
    byId('encoder').addEventListener('input', () => this.#fill(), {signal});
    byId('share-link').hidden = !navigator.share;
    byId('share-link').addEventListener('click', () => {
      // Closing the sheet without sharing is no fault.
      navigator.share({title: t('inviteShare', {room}), url: link}).catch(() => {});
    }, {signal});
    this.#fill();
  }

  /** Where RTMP is served. */
  set port(port) {
    this.#port = port;
    this.#fill();
  }

  open() {
    const taken = (name) => this.#model?.find(name) && !this.#connected(name);
    let name = byId('encoder').value;
    while (taken(name)) name = another(name);
    byId('encoder').value = name;
    this.#fill();
    open(this.#dialog);
  }

  /** @param {import('./model.js').Model} model */
  show(model) {
    this.#model = model;
    this.#state();
  }

  #fill() {
    const key = this.#name(), host = location.hostname;
    const server = `rtmp://${host}${this.#port === 1935 ? '' : `:${this.#port}`}/${this.#room}`;
    byId('encoder-server').textContent = server;
    byId('encoder-key').textContent = key;
    byId('encoder-whip').textContent = [location.origin, 'whip', ...[this.#room, key].map(encodeURIComponent)].join('/');
    byId('encoder-ffmpeg').textContent = 'ffmpeg -re -i FILE -c:v libx264 -preset veryfast -tune zerolatency -bf 0 -g 60 ' +
      `-pix_fmt yuv420p -c:a aac -f flv ${server}/${key}`;
    this.#state();
  }

  #state() {
    const name = this.#name(), state = byId('encoder-state');
    const taken = this.#model?.find(name) && !this.#connected(name);
    state.dataset.state = this.#connected(name) ? 'connected' : taken ? 'taken' : 'waiting';
    const {dataset} = state;
    put(byId('encoder-text'), {connected: 'encoderConnected', taken: 'encoderTaken', waiting: 'encoderWaiting'}[dataset.state], {name});
    if (dataset.state === 'waiting') state.querySelector('svg')?.remove();
    else draw(state, dataset.state === 'connected' ? 'check' : 'close');
  }

  #connected(name) {
    const one = this.#model?.others.get(name);
    return Boolean(one && one.away === null && ['rtmp', 'whip', 'flash'].includes(one.protocol));
  }

  #name() {
    return spelt(byId('encoder').value) || 'obs';
  }
}
