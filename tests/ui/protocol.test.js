// The session: what goes over the line, and what becomes of what comes.

import './globals.js';
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Refused, Session, parse, streamName, uuid} from '../../src/server/http/ui/room/protocol.js';
import {clock} from './clock.js';
import {Socket, friendly, settled} from './socket.js';

function listener() {
  const heard = [];
  const note = (what) => (...rest) => heard.push([what, ...rest]);
  return {heard, event: note('event'), answer: note('answer'), status: note('status'), notice: note('notice'), closed: note('closed')};
}

test('a session says who it is and hears what the server is', async () => {
  const socket = friendly(new Socket()), session = new Session(socket, listener());
  const server = await session.open('anna', 'secret');
  assert.equal(server.rtmpPort, 1936);
  const [connection] = socket.of('connection');
  assert.equal(connection.custom.login, 'anna');
  assert.deepEqual(connection.commonroom, {version: 1, key: 'secret'});
  session.close();
});

test('commands are told from each other by their operation', async () => {
  const socket = new Socket(), session = new Session(socket, listener());
  socket.open();
  const [first, second] = [session.say('r1', 'one'), session.say('r1', 'two', 'bob')];
  const [one, two] = socket.of('sendData');
  assert.notEqual(one.operationId, two.operationId);
  assert.deepEqual(one.payload, {command: 'sendMessage', options: {roomConfig: {name: 'r1'}, text: 'one'}});
  assert.equal(two.payload.options.to, 'bob');
  socket.say('DataStatusEvent', {operationId: two.operationId, status: 'FAILED', info: 'no bob', commonroom: {error: 'unknown_recipient'}});
  socket.say('DataStatusEvent', {operationId: one.operationId, status: 'ACCEPTED', commonroom: {id: 3, time: 4}});
  assert.deepEqual(await first, {id: 3, time: 4});
  await assert.rejects(second, (error) => error instanceof Refused && error.word === 'unknown_recipient' && error.message === 'no bob');
  session.close();
});

test('pings are answered, strange frames change nothing', () => {
  const socket = new Socket(), ears = listener(), session = new Session(socket, ears);
  socket.open();
  socket.say('ping');
  assert.deepEqual(socket.sent, [['pong', null]]);
  for (const data of ['', 'x', '[]', '{}', '{"message":1,"data":[]}', '{"message":"ping"}', new ArrayBuffer(4)]) {
    socket.onmessage({data});
    assert.equal(parse(data), null);
  }
  for (const name of ['unheard', 'getVersion', 'OnDataEvent', 'setRemoteSDP', 'DataStatusEvent', 'fail']) socket.say(name);
  assert.deepEqual(ears.heard.map(([what]) => what), ['event', 'answer', 'status']);
  session.close();
});

test('events, answers, statuses and notices reach the listener', () => {
  const socket = new Socket(), ears = listener(), session = new Session(socket, ears);
  socket.open();
  socket.event('r1', 'LEFT', {login: 'bob', reason: 'left'});
  socket.say('OnDataEvent', {payload: {roomName: 'r1', name: 'JOINED', info: 'carl'}});
  socket.say('setRemoteSDP', 'm1', 'v=0', true);
  socket.say('notifyStreamStatusEvent', {mediaSessionId: 'm1', status: 'PLAYING'});
  socket.say('fail', {apiMethod: 'StreamStatusEvent', id: 'm2', status: 'FAILED', info: 'Restricted access'});
  socket.say('notifyStreamEvent', {mediaSessionId: 'm1', type: 'layer', payload: {height: 360}});
  assert.deepEqual(ears.heard, [
    ['event', 'r1', 'LEFT', {login: 'bob', reason: 'left'}], ['event', 'r1', 'JOINED', 'carl'], ['answer', 'm1', 'v=0'],
    ['status', 'm1', 'PLAYING', ''], ['status', 'm2', 'FAILED', 'Restricted access'], ['notice', 'm1', 'layer', {height: 360}],
  ]);
  session.close();
});

test('a line that breaks refuses what waits, and is told once', async () => {
  const socket = new Socket(), ears = listener(), session = new Session(socket, ears);
  socket.open();
  const waiting = session.join('r1');
  socket.close();
  await assert.rejects(waiting, {word: 'unreachable'});
  await settled();
  assert.deepEqual(ears.heard.map(([what, {word}]) => [what, word]), [['closed', 'unreachable']]);
  assert.throws(() => session.mute('m1', 'audio', true), {word: 'unreachable'});
});

test('who closes it hears no more', async () => {
  const socket = new Socket(), ears = listener(), session = new Session(socket, ears);
  socket.open();
  session.close();
  socket.event('r1', 'JOINED', {login: 'bob'});
  await settled();
  assert.deepEqual([socket.readyState, ears.heard], [3, []]);
});

test('silence ends a session, any word keeps it', async (context) => {
  const pass = clock(context);
  const socket = new Socket(), ears = listener(), session = new Session(socket, ears, {silence: 16_000});
  socket.open();
  for (let seconds = 0; seconds < 60; seconds += 5) {
    pass(5_000);
    socket.say('ping');
  }
  assert.deepEqual(ears.heard, []);
  pass(15_999);
  assert.deepEqual(ears.heard, []);
  pass(1);
  assert.deepEqual([ears.heard.map(([what]) => what), socket.readyState], [['closed'], 3]);
  session.close();
});

test('an answer that does not come is a refusal', async (context) => {
  const pass = clock(context);
  const socket = new Socket(), session = new Session(socket, listener(), {answer: 1_000});
  socket.open();
  const waiting = session.join('r1');
  pass(1_000);
  await assert.rejects(waiting, {word: 'timeout'});
  session.close();
});

test('stream messages have what the server looks at', () => {
  const socket = new Socket(), session = new Session(socket, listener());
  socket.open();
  session.publish({id: 'm1', name: 'r1-anna-0a1b', room: 'r1', sdp: 'offer', audio: true, video: true, screen: false});
  session.publish({id: 'm2', name: 'r1-anna-0a1c-screenShare', room: 'r1', sdp: 'offer', audio: false, video: true, screen: true});
  session.play({id: 'm3', name: 'r1-bob-0a1b', room: 'r1', sdp: 'offer'});
  session.mute('m1', 'audio', true);
  session.mute('m1', 'video', false);
  session.adapt('m3', {maxHeight: 360, paused: false});
  session.stop({id: 'm3', name: 'r1-bob-0a1b', published: false});
  session.stop({id: 'm1', name: 'r1-anna-0a1b', published: true});
  const [camera, screen] = socket.of('publishStream');
  assert.deepEqual([camera.custom, camera.published, camera.constraints], [{name: 'r1'}, true, {audio: true, video: true}]);
  assert.deepEqual([screen.hasAudio, screen.constraints.video], [false, {type: 'screen'}]);
  assert.equal(socket.of('playStream')[0].published, false);
  assert.deepEqual(socket.of('sendStreamEvent').map(({type}) => type), ['audioMuted', 'videoUnmuted']);
  assert.deepEqual(socket.of('adaptStream'), [{mediaSessionId: 'm3', maxHeight: 360, paused: false}]);
  assert.deepEqual([socket.of('stopStream').length, socket.of('unPublishStream').length], [1, 1]);
  session.close();
});

test('names and ids are new each time and of the known shape', () => {
  assert.match(uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.match(streamName('r1', 'anna', false), /^r1-anna-[0-9a-f]{4}$/);
  assert.match(streamName('r1', 'anna', true), /^r1-anna-[0-9a-f]{4}-screenShare$/);
  assert.equal(new Set(Array.from({length: 100}, uuid)).size, 100);
});
