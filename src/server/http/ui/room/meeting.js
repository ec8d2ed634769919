// One call from entering to leaving: joins the room's model, the streams, the floor and the panels together.

import {byId} from '../ui.js';
import {Call} from './call.js';
import {Controls} from './controls.js';
import {failed, toast} from './dom.js';
import {Dropped} from './dropped.js';
import {Floor} from './floor.js';
import {reveal} from './focus.js';
import {faultKey} from './green.js';
import {Invitation} from './invite.js';
import {Chat} from './chat.js';
import {Model, camera, quality, screens} from './model.js';
import {Outgoing} from './outgoing.js';
import {People, explained} from './people.js';
import {Refused} from './protocol.js';
import {Speakers} from './speaker.js';
import {Streams} from './streams.js';
import {keep, recall, remember} from './settings.js';
import {screen as askScreen} from './devices.js';
import {put} from './text.js';
import {Upload} from './upload.js';

/** Where the verdict on what we send stands among those on streams. */
const OWN = '';
/** Between two looks at who speaks, in milliseconds. */
const LISTEN = 250;
/** Between two looks at how what we send gets there, in milliseconds. */
const JUDGE = 3_000;
/** Louder than this, with the microphone off, is somebody who forgot to turn it on; 0 to 1. */
const LOUD = 0.06;

export class Meeting {
  #room;
  #devices;
  #outgoing;
  #acts;
  #call;
  #streams;
  #model = new Model();
  #speakers = new Speakers();
  #floor;
  #chat;
  #people;
  #invitation;
  #controls;
  #dropped;
  #timer;
  #upload = new Upload();
  #judgement;
  #stop = new AbortController();
  #level = 0;
  #warned = false;
  #inside = false;

  /**
   * @param {object} entry
   * @param {string} entry.room
   * @param {string} entry.login
   * @param {string} entry.key proves to be the same after a drop
   * @param {boolean} entry.microphone
   * @param {import('./devices.js').Devices} entry.devices
   * @param {{entered: () => void, over: (why: object | null) => void}} acts
   */
  constructor({room, login, key, microphone, devices}, acts) {
    this.#room = room;
    this.login = login;
    this.#devices = devices;
    this.#acts = acts;
    this.#outgoing = new Outgoing({devices, screen: askScreen, muted: !microphone}, {
      may: (medium) => this.#may(medium), keep,
      changed: () => this.#turned(),
      share: (stream) => this.#streams.share(stream),
      fault: (fault) => toast(faultKey(fault), {}, {lasting: true}),
    });
    this.#streams = new Streams({room, login}, {
      playback: () => this.#draw(), own: () => this.#draw(), refused: (info) => this.#refused(info),
    });
    this.#call = new Call({
      room, login, key,
      connect: () => new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/`),
    }, {
      stage: (stage) => this.#stage(stage),
      entered: (session, server) => this.#entered(session, server),
      event: (name, body) => this.#event(name, body),
      answer: (id, sdp) => this.#streams.answer(id, sdp),
      status: (id, status, info) => this.#streams.status(id, status, info),
      notice: (id, type, payload) => this.#streams.notice(id, type, payload),
    });
  }

  start() {
    this.#send();
    this.#call.start();
  }

  leave() {
    this.#call.leave();
    this.#end(null);
  }

  /** A device came or went. @param {'camera' | 'microphone' | 'list'} kind */
  devices(kind) {
    if (!this.#inside) return this.#send();
    this.#send();
    const fault = this.#devices.faults[kind];
    if (fault) toast(faultKey(fault), {}, {lasting: true});
    this.#draw();
    if (kind === 'list') this.#controls.list();
  }

  /** One's own loudness. */
  level(level) {
    this.#level = level;
    if (!this.#inside || !this.#outgoing.muted || this.#warned || level < LOUD) return;
    this.#warned = true;
    toast('speaksMuted');
  }

  // ---- what the call says

  #stage(stage) {
    const {name, why} = stage;
    if (name === 'ended') return this.#end({word: why.word, message: why.message});
    if (name === 'broken') {
      this.#streams.detach();
      this.#dropped.show(stage);
      this.#draw();
    }
    if (name === 'joined') this.#dropped.hide();
  }

  #entered(session, server) {
    if (server.rtmpPort) this.#invitation.port = server.rtmpPort;
    this.#streams.attach(session, server);
    this.#streams.reconcile(this.#model);
    if (this.#outgoing.shared) this.#streams.share(this.#outgoing.shared);
    this.#draw();
  }

  #event(name, body) {
    const before = this.#inside;
    if (name === 'STATE' && !before) this.#begin();
    const changes = this.#model.apply(name, body, performance.now());
    for (const change of changes) this.#tell(change);
    if (!this.#inside) return;
    this.#streams.reconcile(this.#model);
    this.#draw();
  }

  /** Tells people what has happened. */
  #tell(change) {
    const {type, login, by} = change, own = this.login;
    switch (type) {
      case 'entered':
        this.#obey(change.first);
        if (change.first) return this.#chat.fill(this.#model.messages, own);
        for (const message of change.messages) this.#chat.add(message);
        return toast('backAgain');
      case 'joined': return toast('joined', {login});
      case 'left': return toast(change.reason === 'kicked' ? 'wasKicked' : 'left', {login});
      case 'message': return this.#said(change.message);
      case 'role': return login === own ? this.#becomes(change.role) : undefined;
      case 'locked': return by !== own ? toast(change.value ? 'lockedBy' : 'unlockedBy', {by: by ?? ''}) : undefined;
      case 'recording': return toast(change.value ? 'recordingOn' : 'recordingOff', {}, {lasting: true});
      case 'muted': return login === own && by ? this.#overruled(change) : undefined;
      case 'kicked':
      case 'ended':
        this.#call.end();
        return this.#end({word: type, by});
    }
  }

  #said(message) {
    this.#chat.add(message);
    if (this.#controls.panel === 'chat' && !document.hidden) return;
    const text = message.text.length > 80 ? `${message.text.slice(0, 80)}…` : message.text;
    toast('wrote', {login: message.from, text}, {act: {key: 'read', run: () => this.#controls.show('chat')}});
  }

  // ---- what the room lets us send

  #becomes(role) {
    if (role === 'viewer') this.#outgoing.silence();
    toast(`nowRole_${role}`, {}, {lasting: true});
  }

  /** A host has turned our sound or picture off, or lets it on again. */
  #overruled({medium, muted, by}) {
    toast(`host_${medium}_${muted ? 'off' : 'on'}`, {by}, {lasting: true});
    if (muted) this.#outgoing.overrule(medium);
  }

  /** What the room does not let us send is turned off: whoever comes again has it on by habit. */
  #obey(first) {
    const {self, held} = this.#model;
    if (self.role === 'viewer') return this.#outgoing.silence();
    for (const medium of held) {
      this.#outgoing.overrule(medium);
      if (first) toast(`host_${medium}_holds`, {}, {lasting: true});
    }
  }

  /** The room does not take our screen. */
  #refused(info) {
    this.#outgoing.unshare();
    toast('screenRefused', {why: failed(info)}, {lasting: true});
  }

  /** Gives up coming back under this name: back to where it is chosen. */
  #rename() {
    this.#call.end();
    this.#end({word: 'login_in_use'});
  }

  /** Whether the room lets us; says so if not. */
  #may(medium) {
    const {self} = this.#model;
    if (self.role === 'viewer') return toast('viewersWatch'), false;
    const kind = medium === 'audio' ? 'audio' : 'video';
    if (this.#model.held.has(kind)) return toast(`host_${kind}_holds`), false;
    return true;
  }

  /** Something of ours was turned on or off. */
  #turned() {
    if (!this.#outgoing.muted) this.#warned = false;
    this.#send();
    this.#draw();
  }

  #send() {
    const {microphone, camera: picture} = this.#devices;
    this.#streams.send({microphone, camera: picture, muted: this.#outgoing.muted});
  }

  // ---- what is seen

  #begin() {
    const {signal} = this.#stop;
    this.#inside = true;
    remember(this.#room);
    byId('room-name').textContent = this.#room;
    this.#invitation = new Invitation(this.#room, signal);
    this.#floor = new Floor({
      adapt: (key, need) => this.#adapt(key, need),
      blocked: () => byId('hear').hidden = false,
      people: () => this.#controls.show('people'),
    }, signal);
    this.#floor.mode = recall('layout') ?? 'auto';
    this.#chat = new Chat({
      say: (text, to) => this.#say(text, to),
      counted: (unread) => this.#controls?.count(unread),
    }, signal);
    this.#people = new People({
      moderate: (action, details) => this.#session().moderate(this.#room, action, details),
      write: (login) => {
        this.#controls.show('chat');
        this.#chat.writeTo(login);
      },
    }, signal);
    this.#controls = new Controls({
      microphone: () => this.#outgoing.microphone(), talk: (on) => this.#outgoing.talk(on),
      camera: () => this.#outgoing.camera(), screen: () => this.#outgoing.screen(),
      leave: () => this.leave(), invite: () => this.#invitation.open(),
      layout: (mode) => this.#floor.mode = mode,
      panel: (name) => this.#chat.open = name === 'chat',
      speaker: (id) => this.#floor.sound(id),
      hear: () => this.#floor.hear(),
    }, this.#devices, signal);
    this.#dropped = new Dropped({retry: () => this.#call.retry(), rename: () => this.#rename()}, signal);
    this.#timer = setInterval(() => this.#listen(), LISTEN);
    this.#judgement = setInterval(() => this.#judge(), JUDGE);
    addEventListener('online', () => this.#call.retry(), {signal});
    // Some texts have others in them.
    document.addEventListener('language', () => this.#draw(), {signal});
    this.#acts.entered();
  }

  #session() {
    if (!this.#call.session) throw new Refused('unreachable');
    return this.#call.session;
  }

  async #say(text, to) {
    const {id, time = Date.now()} = await this.#session().say(this.#room, text, to);
    const message = {id, from: this.login, ...to && {to}, text, time};
    if (this.#model.add(message)) this.#chat.add(message);
  }

  #draw() {
    if (!this.#inside) return;
    const model = this.#model, {self} = model;
    this.#own(self);
    this.#floor.show(this.#faces());
    this.#people.show(model);
    this.#invitation.show(model);
    this.#chat.offer([...model.others.values()].filter(({protocol, away}) => away === null && protocol !== 'rtmp' && protocol !== 'whip')
      .map(({login}) => login), model.limits.textLength);
    byId('alone').hidden = model.others.size > 0;
    byId('locked').hidden = !model.locked;
    byId('recording').hidden = !model.recording;
    reveal(byId('sharing'), Boolean(this.#outgoing.shared), byId('screen'), byId('floor'));
    this.#admit();
    this.#controls.draw({
      microphone: Boolean(this.#devices.microphone) && !this.#outgoing.muted, camera: Boolean(this.#devices.camera),
      screen: Boolean(this.#outgoing.shared), viewer: self.role === 'viewer', mode: this.#floor.mode, count: model.others.size + 1,
    });
  }

  /** Says so as long as others get nothing of what we send. */
  #admit() {
    const {own, screen} = this.#streams, stuck = [own, screen].find((one) => one?.stuck);
    byId('unsent').hidden = !stuck;
    if (stuck) put(byId('unsent-text'), stuck === own ? 'notSent' : 'screenNotSent', {why: failed(stuck.info)});
  }

  /** What we publish ourselves, for the list of people: the room tells it to the others alone. */
  #own(self) {
    const {own} = this.#streams;
    self.streams.clear();
    if (!own?.name) return;
    self.streams.set(own.name, {
      name: own.name, kind: 'camera', audio: true, video: true, hostMuted: [...this.#model.held], ownMuted: [],
      audioMuted: this.#outgoing.muted || !this.#devices.microphone, videoMuted: !this.#devices.camera,
    });
  }

  /** @returns {import('./tile.js').Face[]} */
  #faces() {
    const model = this.#model, own = this.#devices.camera;
    if (own !== this.ownTrack) {
      this.ownTrack = own;
      this.ownStream = own ? new MediaStream([own]) : null;
    }
    const plain = {leaves: 'all', speaks: false, reasons: [], quality: null, pinned: false, screen: false, whole: false, mirrored: false};
    const faces = [{
      ...plain, key: `${this.login} camera`, login: this.login, self: true, stream: this.ownStream, picture: Boolean(own),
      mirrored: Boolean(own), silent: this.#outgoing.muted || !this.#devices.microphone, state: 'here', quality: quality(model.self),
      trouble: this.#streams.own?.stuck ? 'tileNotSent' : null,
      reasons: [...model.self.verdicts.values()].flatMap(({reasons}) => reasons.map(explained)),
    }];
    for (const one of model.others.values()) {
      faces.push(this.#face(one, camera(one), false, plain), ...screens(one).map((stream) => this.#face(one, stream, true, plain)));
    }
    return faces;
  }

  #face(one, stream, screen, plain) {
    const playback = stream && this.#streams.playbacks.get(stream.name);
    const {reasons = [], quality: verdict = null} = one.verdicts.get(stream?.name) ?? {};
    const tracks = playback?.stream.getTracks() ?? [];
    const picture = Boolean(stream?.video && !stream.videoMuted);
    return {
      ...plain, key: `${one.login} ${screen ? 'screen' : 'camera'}`, login: one.login, self: false, screen, whole: one.protocol === 'rtmp' || one.protocol === 'whip',
      stream: tracks.length > 0 ? playback.stream : null, picture,
      silent: !stream?.audio || stream.audioMuted,
      state: one.away === null ? 'here' : 'away', trouble: playback?.stuck ? 'tileNotReceived' : null,
      quality: verdict, reasons: reasons.map(explained), leaves: playback?.leaves ?? 'all',
    };
  }

  #adapt(key, need) {
    const [login, kind] = key.split(' ');
    const one = this.#model.others.get(login);
    const stream = one && (kind === 'screen' ? screens(one)[0] : camera(one));
    if (stream) this.#streams.playbacks.get(stream.name)?.adapt(need);
  }

  /** Who speaks now; who has not come back. */
  async #listen() {
    const now = performance.now(), levels = new Map();
    const heard = [...this.#model.others.values()].map(async (one) => {
      const stream = camera(one), playback = stream && this.#streams.playbacks.get(stream.name);
      const level = stream?.audioMuted ? 0 : await playback?.level().catch(() => 0);
      levels.set(one.login, level ?? 0);
    });
    await Promise.all(heard);
    if (this.#stop.signal.aborted) return;
    const own = this.#outgoing.muted ? 0 : this.#level;
    this.#speakers.hear(new Map([...levels, [this.login, own]]), now);
    this.#floor.mark(({login, screen}) => !screen && this.#speakers.speaks(login, now));
    // Oneself on the large place would be a mirror.
    const leading = this.#speakers.leading;
    this.#floor.lead(leading === this.login ? null : leading, (login) => this.#speakers.last(login));
    const gone = this.#model.expire(now);
    for (const change of gone) this.#tell(change);
    if (gone.length > 0) this.#draw();
  }

  /** How our own camera and microphone get to the server: of that nobody else tells us. */
  async #judge() {
    const {own} = this.#streams, verdicts = this.#model.self.verdicts;
    const verdict = await this.#upload.judge(own?.state === 'running' ? own.connection : null).catch(() => null);
    const before = verdicts.get(OWN)?.quality ?? null;
    if (verdict === before) return;
    if (verdict) verdicts.set(OWN, {quality: verdict, reasons: []});
    else verdicts.delete(OWN);
    this.#draw();
  }

  #end(why) {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    clearInterval(this.#timer);
    clearInterval(this.#judgement);
    this.#inside = false;
    this.#outgoing.end();
    this.#streams.detach();
    this.#streams.send({microphone: null, camera: null, muted: true});
    this.#controls?.hide();
    this.#acts.over(why);
  }
}
