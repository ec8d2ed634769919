// The conversation in writing: history, unread count, private lines, links. Text stays text.

import {byId, make} from '../ui.js';
import {Composer} from './composer.js';
import {choose, why} from './dom.js';
import {pieces} from './links.js';
import {hue} from './names.js';
import {call, clock, put, t} from './text.js';

/** Lines of one person within this time stand together, in milliseconds. */
const TOGETHER = 120_000;
/** Near enough to the end to follow what is new, in pixels. */
const NEAR = 60;

/** @typedef {import('./model.js').Message} Message */

export class Chat {
  #list = byId('messages');
  #unread = 0;
  #open = false;
  #last = null;
  #composer;
  #counted;
  #own = '';
  #limit = 0;

  /**
   * @param {object} acts
   * @param {(text: string, to?: string) => Promise<void>} acts.say
   * @param {(unread: number) => void} acts.counted
   * @param {AbortSignal} signal ends it
   */
  constructor({say, counted}, signal) {
    this.#composer = new Composer(say);
    this.#counted = counted;
    const line = byId('line');
    byId('compose').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    }, {signal});
    line.addEventListener('input', () => this.#grow(), {signal});
    line.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      // A key held down is one wish.
      if (!event.repeat) this.#submit();
    }, {signal});
    byId('to').addEventListener('change', ({target}) => this.#address(target.value), {signal});
    byId('newer').addEventListener('click', () => this.#toEnd(), {signal});
    this.#list.addEventListener('scroll', () => this.#atEnd() && (byId('newer').hidden = true), {signal});
    document.addEventListener('language', () => this.#retell(), {signal});
    document.addEventListener('visibilitychange', () => this.#open && !document.hidden && this.#read(), {signal});
  }

  /** How many messages nobody has seen here. */
  get unread() {
    return this.#unread;
  }

  /** Shows or hides; who has it open has read it. */
  set open(open) {
    this.#open = open;
    if (!open) return;
    this.#read();
    this.#toEnd();
  }

  /**
   * Shows everything anew.
   *
   * @param {Message[]} messages
   * @param {string} own login
   */
  fill(messages, own) {
    this.#own = own;
    this.#last = null;
    this.#list.replaceChildren();
    if (messages.length === 0) this.#list.append(make('li', {className: 'none'}, this.#said('noMessages')));
    for (const message of messages) this.#append(message);
    this.#toEnd();
  }

  /** Shows one more. */
  add(message) {
    const follow = this.#atEnd() || message.from === this.#own;
    this.#append(message);
    if (follow) this.#toEnd();
    else byId('newer').hidden = false;
    if (message.from === this.#own || this.#open && !document.hidden) return;
    this.#unread++;
    this.#counted(this.#unread);
  }

  /** To whom one can write, and how much at once. */
  offer(logins, limit) {
    this.#limit = limit;
    this.#composer.here = logins;
    this.#addressees();
  }

  /** Begins a line to one person. */
  writeTo(login) {
    this.#address(login);
    byId('line').focus();
  }

  #address(login) {
    this.#composer.to = login;
    this.#addressees();
    this.#fault('');
  }

  #addressees() {
    const {choices, to} = this.#composer;
    const rows = choices.map(({login, gone}) => [login, t(gone ? 'onlyToGone' : 'onlyTo', {login}), gone]);
    choose(byId('to'), [['', t('everybody')], ...rows], to);
    byId('compose').classList.toggle('private', to !== '');
  }

  async #submit() {
    const line = byId('line'), text = line.value.trim();
    if (!text) return;
    if (this.#limit && [...text].length > this.#limit) return this.#fault(t('tooLong', {limit: this.#limit}));
    byId('send').disabled = true;
    try {
      if (!await this.#composer.send(text)) return;
      // What was typed meanwhile stays.
      if (line.value.trim() === text) line.value = '';
      this.#fault('');
      this.#grow();
    } catch (error) {
      this.#fault(why(error));
    } finally {
      byId('send').disabled = false;
    }
  }

  #fault(text) {
    byId('chat-fault').textContent = text;
    byId('chat-fault').hidden = !text;
  }

  #append(message) {
    this.#list.querySelector('.none')?.remove();
    const {from, to, text, time} = message;
    const last = this.#last, own = from === this.#own;
    const together = last && last.from === from && last.to === to && time - last.time < TOGETHER;
    const item = make('li', {className: own ? 'own' : ''});
    item.classList.toggle('together', Boolean(together));
    item.classList.toggle('private', Boolean(to));
    const when = make('time', {dateTime: new Date(time).toISOString(), textContent: clock(time)});
    const head = make('p', {className: 'from'}, this.#author(from, own), ...to ? [this.#secret(to)] : [], when);
    if (together) head.classList.add('unseen');
    item.append(head, make('p', {className: 'text'}, ...linked(text)));
    this.#list.append(item);
    this.#last = message;
  }

  #author(from, own) {
    const author = make('b', {className: `ink-${hue(from, 8)}`});
    put(author, own ? 'youAlone' : 'name', {login: from});
    return author;
  }

  #secret(to) {
    const mark = make('span', {className: 'secret'});
    put(mark, to === this.#own ? 'toYou' : 'toOne', {login: to});
    return mark;
  }

  #said(key) {
    const text = make('span', {});
    put(text, key);
    return text;
  }

  #retell() {
    for (const when of this.#list.querySelectorAll('time')) when.textContent = clock(Date.parse(when.dateTime));
    call(byId('line'), 'writeMessage');
  }

  #read() {
    this.#unread = 0;
    this.#counted(0);
  }

  #atEnd() {
    const {scrollHeight, scrollTop, clientHeight} = this.#list;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  #toEnd() {
    this.#list.scrollTop = this.#list.scrollHeight;
    byId('newer').hidden = true;
  }

  #grow() {
    const {style} = byId('line');
    style.height = 'auto';
    style.height = `${Math.min(byId('line').scrollHeight, 140)}px`;
  }
}

/** A text as nodes: its links can be followed, everything else is what it is. */
function linked(text) {
  return pieces(text).map(({text, href}) => href
    ? make('a', {href, textContent: text, target: '_blank', rel: 'noopener noreferrer nofollow'})
    : document.createTextNode(text));
}
