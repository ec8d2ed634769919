// Being in a room over drops, refusals and the end.

import './globals.js';
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Call, remedy} from '../../src/server/http/ui/room/call.js';
import {clock} from './clock.js';
import {Socket, friendly, settled} from './socket.js';

/** A call whose lines are made by `line`, and what its listener heard. */
function begun(line) {
  const sockets = [], stages = [], entered = [], events = [];
  const call = new Call({
    room: 'r1', login: 'anna', key: 'secret',
    connect() {
      sockets.push(line(sockets.length));
      return sockets.at(-1);
    },
  }, {
    stage: (stage) => stages.push(stage), entered: (session) => entered.push(session), event: (name) => events.push(name),
    answer() {}, status() {}, notice() {},
  });
  call.start();
  return {call, sockets, stages, entered, events, names: () => stages.map(({name}) => name)};
}

test('enters a room and leaves it', async () => {
  const {call, sockets, entered, events, names} = begun(() => friendly(new Socket()));
  await settled();
  assert.deepEqual([names(), entered.length, events], [['connecting', 'joined'], 1, ['STATE']]);
  call.leave();
  await settled();
  const commands = sockets[0].of('sendData').map(({payload}) => payload.command);
  assert.deepEqual([commands, sockets[0].readyState, sockets.length], [['join', 'leave'], 3, 1]);
  assert.deepEqual(names(), ['connecting', 'joined'], 'who leaves knows it');
});

test('comes back after a drop with the same key', async (context) => {
  const pass = clock(context);
  const {call, sockets, stages, entered} = begun(() => friendly(new Socket()));
  await settled();
  sockets[0].close();
  await settled();
  assert.equal(stages.at(-1).name, 'broken');
  assert.ok(stages.at(-1).again <= 500);
  pass(500);
  await settled();
  assert.deepEqual([stages.at(-1).name, entered.length], ['joined', 2]);
  const [first, second] = sockets.map((socket) => socket.of('connection')[0].commonroom.key);
  assert.deepEqual([first, second], ['secret', 'secret']);
  call.leave();
});

test('waits longer and longer for a server that is away, and tries at once when told to', async (context) => {
  const pass = clock(context);
  const away = () => {
    const socket = new Socket();
    queueMicrotask(() => socket.close());
    return socket;
  };
  const {call, sockets, stages} = begun((number) => number === 0 ? friendly(new Socket()) : away());
  await settled();
  sockets[0].close();
  await settled();
  const pauses = [];
  for (let attempt = 0; attempt < 8; attempt++) {
    pauses.push(stages.at(-1).again);
    const offer = attempt < 4 ? null : 'reload';
    assert.deepEqual(remedy(stages.at(-1)), {explains: false, offer}, `attempt ${attempt}`);
    pass(pauses.at(-1));
    await settled();
  }
  assert.ok(pauses[0] <= 500 && pauses[7] >= 0.6 * 8_000 && pauses.every((pause) => pause <= 8_000), String(pauses));
  const before = sockets.length;
  call.retry();
  await settled();
  assert.equal(sockets.length, before + 1);
  call.leave();
});

test('what is refused at once is for the person to hear', async () => {
  const refuse = {info: 'the room is full', commonroom: {error: 'room_full'}};
  const {sockets, stages} = begun(() => friendly(new Socket(), {refuse}));
  await settled();
  assert.deepEqual([stages.at(-1).name, stages.at(-1).why.word, stages.at(-1).why.message], ['ended', 'room_full', 'the room is full']);
  assert.deepEqual([sockets.length, sockets[0].readyState], [1, 3]);
});

test('after a drop a refusal is waited out, unless it is for good', async (context) => {
  const pass = clock(context);
  const words = [null, 'login_in_use', 'kicked'];
  const {sockets, stages} = begun((number) =>
    friendly(new Socket(), words[number] ? {refuse: {commonroom: {error: words[number]}}} : {}));
  await settled();
  sockets[0].close();
  await settled();
  pass(500);
  await settled();
  assert.deepEqual([stages.at(-1).name, stages.at(-1).why.word], ['broken', 'login_in_use']);
  assert.deepEqual(remedy(stages.at(-1)), {explains: true, offer: 'rename'});
  pass(1_000);
  await settled();
  assert.deepEqual([stages.at(-1).name, stages.at(-1).why.word, sockets.length], ['ended', 'kicked', 3]);
});

test('a full room is a reason to tell, and nothing to mend', () => {
  assert.deepEqual(remedy({why: {word: 'room_full'}, failures: 9}), {explains: true, offer: null});
});

test('a count of failures begins anew with each stay', async (context) => {
  const pass = clock(context);
  const {call, sockets, stages} = begun(() => friendly(new Socket()));
  for (let stay = 0; stay < 3; stay++) {
    await settled();
    sockets.at(-1).close();
    await settled();
    assert.deepEqual([stages.at(-1).name, stages.at(-1).failures], ['broken', 1]);
    pass(500);
  }
  call.leave();
});

test('who has come again by another window does not come back by this one', async () => {
  const {sockets, stages} = begun(() => friendly(new Socket()));
  await settled();
  sockets[0].close(4001);
  await settled();
  assert.deepEqual([stages.at(-1).name, stages.at(-1).why.word, sockets.length], ['ended', 'taken_over', 1]);
});

test('events of other rooms are not ours', async () => {
  const {call, sockets, events} = begun(() => friendly(new Socket()));
  await settled();
  sockets[0].event('r2', 'JOINED', {login: 'bob'});
  sockets[0].event('r1', 'JOINED', {login: 'bob'});
  assert.deepEqual(events, ['STATE', 'JOINED']);
  call.leave();
});

test('whoever leaves while it connects is not brought in', async () => {
  const socket = new Socket();
  const {call, entered} = begun(() => socket);
  call.leave();
  socket.open();
  await settled();
  assert.deepEqual([entered.length, socket.readyState], [0, 3]);
});
