// The room by its events.

import './globals.js';
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Model, camera, quality, screens} from '../../src/server/http/ui/room/model.js';

const stream = (name, more = {}) => ({name, kind: 'camera', audio: true, video: true, audioMuted: false, videoMuted: false, ...more});
const person = (login, ...streams) => ({login, protocol: 'websocket', role: 'speaker', joined: 1, streams});
const line = (id, text = `line ${id}`) => ({id, from: 'bob', text, time: 1_000 * id});

function entered(state = {}) {
  const model = new Model();
  const changes = model.apply('STATE', {
    you: {login: 'anna', role: 'host'}, participants: [person('anna'), person('bob', stream('r1-bob-1'))], locked: false,
    recording: false, messages: [], limits: {participants: 8, textLength: 100, messagesPerSecond: 2}, ...state,
  }, 0);
  return {model, changes};
}

test('STATE tells who is there, oneself apart', () => {
  const {model, changes} = entered({recording: true});
  assert.deepEqual([...model.others.keys()], ['bob']);
  assert.deepEqual([model.self.login, model.self.role, model.recording, model.limits.textLength], ['anna', 'host', true, 100]);
  assert.deepEqual(changes, [{type: 'entered', first: true, messages: []}]);
});

test('people come and go, and so do their streams', () => {
  const {model} = entered();
  assert.equal(model.apply('JOINED', person('carl'), 0)[0].type, 'joined');
  model.apply('PUBLISHED', {login: 'carl', stream: stream('r1-carl-1')}, 0);
  model.apply('PUBLISHED', {login: 'carl', stream: stream('r1-carl-2-screenShare', {kind: 'screen'})}, 0);
  const carl = model.others.get('carl');
  assert.deepEqual([camera(carl).name, screens(carl).map(({name}) => name)], ['r1-carl-1', ['r1-carl-2-screenShare']]);
  model.apply('UNPUBLISHED', {login: 'carl', name: 'r1-carl-1', reason: 'x'}, 0);
  assert.equal(camera(carl), undefined);
  assert.equal(model.apply('LEFT', {login: 'carl', reason: 'left'}, 0)[0].type, 'left');
  assert.equal(model.others.has('carl'), false);
});

test('events about people who are not there change nothing', () => {
  const {model} = entered();
  assert.deepEqual(model.apply('LEFT', {login: 'zoe', reason: 'left'}, 0), []);
  assert.deepEqual(model.apply('PUBLISHED', {login: 'zoe', stream: stream('x')}, 0), []);
  assert.deepEqual(model.apply('UNPUBLISHED', {login: 'bob', name: 'unknown'}, 0), []);
  assert.deepEqual(model.apply('ROLE', {login: 'zoe', role: 'host'}, 0), []);
  assert.deepEqual(model.apply('JOINED', person('anna'), 0), [], 'oneself does not join oneself');
  assert.deepEqual(model.apply('NEWS', {}, 0), []);
});

test('who vanishes keeps the place for a while', () => {
  const {model} = entered();
  assert.equal(model.apply('LEFT', {login: 'bob', reason: 'vanished'}, 1_000)[0].type, 'away');
  assert.equal(model.others.get('bob').streams.size, 0);
  assert.deepEqual(model.expire(8_999), []);
  assert.equal(model.apply('JOINED', person('bob'), 5_000)[0].type, 'returned');
  assert.deepEqual(model.expire(20_000), [], 'back, and not to be given up');
  model.apply('LEFT', {login: 'bob', reason: 'takeover'}, 20_000);
  assert.deepEqual(model.expire(28_000), [{type: 'left', login: 'bob', reason: 'vanished'}]);
  assert.equal(model.others.size, 0);
});

test('after a drop nobody loses the place, and only new lines are new', () => {
  const {model} = entered({messages: [line(1), line(2)]});
  const [{first, messages}] = model.apply('STATE', {
    you: {login: 'anna', role: 'host'}, participants: [person('anna'), person('carl')], messages: [line(1), line(2), line(3)],
  }, 5_000);
  assert.deepEqual([first, messages.map(({id}) => id)], [false, [3]]);
  assert.deepEqual([...model.others].map(([login, {away}]) => [login, away !== null]), [['carl', false], ['bob', true]]);
  assert.equal(model.expire(13_000)[0].login, 'bob');
});

test('messages stand in the order of the server, each once', () => {
  const {model} = entered();
  for (const id of [2, 5, 3]) assert.ok(model.add(line(id)));
  assert.equal(model.add(line(3)), false);
  assert.deepEqual(model.messages.map(({id}) => id), [2, 3, 5]);
  assert.deepEqual(model.apply('MESSAGE', line(5), 0), []);
  for (let id = 10; id < 1_200; id++) model.add(line(id));
  assert.equal(model.messages.length, 1_000);
  assert.equal(model.messages[0].id, 200);
});

test('a room that was made anew counts from 1 again, and no line of it is lost', () => {
  const old = [line(1), line(2), line(3)];
  const {model} = entered({messages: old});
  const later = (id, from) => ({id, from, text: `later ${id}`, time: 60_000 + id});
  const [{messages}] = model.apply('STATE', {you: {login: 'anna', role: 'host'}, participants: [], messages: [later(1, 'bob')]}, 0);
  assert.deepEqual(messages, [later(1, 'bob')]);
  assert.deepEqual(model.apply('MESSAGE', later(2, 'bob'), 0), [{type: 'message', message: later(2, 'bob')}]);
  assert.ok(model.add(later(3, 'anna')), 'one\'s own');
  assert.equal(model.add(later(3, 'anna')), false);
  assert.deepEqual(model.messages.map(({text}) => text), [...old.map(({text}) => text), 'later 1', 'later 2', 'later 3']);
});

test('mutes, and what hosts hold', () => {
  const {model} = entered();
  const muted = (login, name, medium, on, by) => model.apply('MUTED', {login, name, medium, muted: on, by}, 0);
  muted('bob', 'r1-bob-1', 'audio', true);
  const bob = camera(model.others.get('bob'));
  assert.deepEqual([bob.audioMuted, bob.hostMuted], [true, []]);
  muted('bob', 'r1-bob-1', 'audio', true, 'anna');
  muted('bob', 'r1-bob-1', 'audio', false, 'anna');
  assert.deepEqual([bob.audioMuted, bob.hostMuted], [true, []], 'one\'s own mute stays under a host\'s');
  muted('bob', 'r1-bob-1', 'video', true, 'anna');
  muted('bob', 'r1-bob-1', 'video', true, 'anna');
  assert.deepEqual([bob.videoMuted, bob.hostMuted], [true, ['video']]);
  muted('bob', 'r1-bob-1', 'video', false, 'anna');
  assert.deepEqual(bob.hostMuted, []);
  muted('anna', 'r1-anna-1', 'audio', true, 'zoe');
  assert.deepEqual([...model.held], ['audio']);
  muted('anna', 'r1-anna-1', 'audio', false, 'zoe');
  assert.equal(model.held.size, 0);
});

test('what a host holds, it holds over drops and new streams', () => {
  const {model} = entered({you: {login: 'anna', role: 'speaker', hostMuted: ['audio']}});
  assert.deepEqual([...model.held], ['audio'], 'without any stream');
  model.apply('STATE', {you: {login: 'anna', role: 'speaker', hostMuted: []}, participants: []}, 0);
  assert.deepEqual([...model.held], [], 'a host has let us speak meanwhile');

  model.apply('MUTED', {login: 'anna', medium: 'video', muted: true, by: 'zoe'}, 0);
  assert.deepEqual([...model.held], ['video'], 'while one publishes nothing');
  model.apply('MUTED', {login: 'anna', medium: 'video', muted: false, by: 'zoe'}, 0);
  assert.deepEqual([...model.held], []);

  const other = entered().model, bob = () => other.others.get('bob');
  other.apply('MUTED', {login: 'bob', name: 'r1-bob-1', medium: 'video', muted: true, by: 'anna'}, 0);
  other.apply('UNPUBLISHED', {login: 'bob', name: 'r1-bob-1'}, 0);
  assert.deepEqual([...bob().held], ['video'], 'his stream has ended, and he is held still');
  other.apply('LEFT', {login: 'bob', reason: 'vanished'}, 0);
  other.apply('JOINED', person('bob'), 1_000);
  assert.deepEqual([...bob().held], ['video']);
  other.apply('PUBLISHED', {login: 'bob', stream: stream('r1-bob-2', {hostMuted: ['video']})}, 1_000);
  assert.deepEqual([...bob().held], ['video']);
  other.apply('PUBLISHED', {login: 'bob', stream: stream('r1-bob-3')}, 1_000);
  assert.deepEqual([...bob().held], [], 'the room knows better');
});

test('who decides on recordings is known from the beginning', () => {
  assert.equal(entered().model.recordingPolicy, 'never', 'an older server does not say');
  const {model} = entered({recordingPolicy: 'onRequest'});
  assert.equal(model.recordingPolicy, 'onRequest');
  model.apply('RECORDING', {recording: true}, 0);
  assert.deepEqual([model.recording, model.recordingPolicy], [true, 'onRequest']);
});

test('a wish for a recording is known before there is one', () => {
  const {model} = entered({recordWanted: true});
  assert.deepEqual([model.recording, model.recordWanted], [false, true]);
  assert.deepEqual(model.apply('RECORDING', {recording: false, wanted: false}, 0), [{type: 'recordWanted', value: false, by: undefined}]);
  assert.deepEqual(model.apply('RECORDING', {recording: false, wanted: true}, 0), [{type: 'recordWanted', value: true, by: undefined}]);
  assert.deepEqual(model.apply('RECORDING', {recording: true, wanted: true}, 0), [{type: 'recording', value: true, by: undefined}]);
});

test('roles, lock, recording and the end', () => {
  const {model} = entered();
  assert.deepEqual(model.apply('ROLE', {login: 'anna', role: 'viewer'}, 0), [{type: 'role', login: 'anna', role: 'viewer'}]);
  assert.deepEqual(model.apply('ROLE', {login: 'anna', role: 'viewer'}, 0), [], 'said once');
  assert.deepEqual(model.apply('LOCKED', {locked: true, by: 'bob'}, 0), [{type: 'locked', value: true, by: 'bob'}]);
  assert.deepEqual(model.apply('RECORDING', {recording: true}, 0).at(-1), {type: 'recording', value: true, by: undefined});
  assert.deepEqual(model.apply('KICKED', {by: 'bob'}, 0), [{type: 'kicked', by: 'bob'}]);
  assert.deepEqual(model.apply('ENDED', {by: 'bob'}, 0), [{type: 'ended', by: 'bob'}]);
  assert.deepEqual([model.self.role, model.locked, model.recording], ['viewer', true, true]);
});

test('the worst of the verdicts counts', () => {
  const {model} = entered();
  const bob = model.others.get('bob');
  assert.equal(quality(bob), null);
  model.apply('QUALITY', [{login: 'bob', name: 'a', quality: 'good', reasons: []}, {login: 'bob', name: 'b', quality: 'fair', reasons: []},
    {login: 'zoe', name: 'c', quality: 'poor', reasons: []}], 0);
  assert.equal(quality(bob), 'fair');
});
