// What one sends: by one's own wish, and by the room's leave.

import './globals.js';
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Devices} from '../../src/server/http/ui/room/devices.js';
import {Outgoing} from '../../src/server/http/ui/room/outgoing.js';
import {Stream, Track, mediaDevices} from './media.js';
import {settled} from './socket.js';

function begun(context, {muted = true} = {}) {
  const browser = mediaDevices(context);
  const told = {kept: [], shared: [], faults: [], changes: 0}, forbidden = new Set();
  /** Whether others could hear us, at each moment at which something changes. */
  const onAir = [];
  const devices = new Devices({}, () => onAir.push(heard()));
  let answer;
  const outgoing = new Outgoing({devices, muted, screen: () => new Promise((resolve, reject) => answer = {resolve, reject})}, {
    may: (medium) => !forbidden.has(medium),
    changed() {
      told.changes++;
      onAir.push(heard());
    },
    share: (stream) => told.shared.push(stream),
    fault: ({word}) => told.faults.push(word),
    keep: (key, on) => told.kept.push([key, on]),
  });
  const heard = () => Boolean(devices.microphone) && !outgoing.muted;
  return {browser, devices, outgoing, told, forbidden, onAir, heard, screen: () => answer};
}

test('the microphone is turned on and off, and that is kept', async (context) => {
  const {browser, outgoing, told, heard} = begun(context);
  const on = outgoing.microphone();
  browser.give();
  await on;
  assert.equal(heard(), true);
  await outgoing.microphone();
  assert.equal(heard(), false);
  assert.deepEqual(told.kept, [['microphoneOn', true], ['microphoneOn', false]]);
  await outgoing.microphone();
  assert.deepEqual([heard(), browser.asked.length], [true, 1], 'the device was there');
});

test('a key that is let go before the microphone is there leaves it silent', async (context) => {
  for (const muted of [true, false]) {
    const {browser, outgoing, told, onAir, heard} = begun(context, {muted});
    const down = outgoing.talk(true);
    await outgoing.talk(false);
    browser.give();
    await down;
    assert.deepEqual([heard(), onAir.includes(true)], [false, false]);
    assert.deepEqual(told.kept, []);
  }
});

test('a key held down is heard, and nothing is kept of it', async (context) => {
  const {browser, outgoing, told, heard} = begun(context);
  const down = outgoing.talk(true);
  browser.give();
  await down;
  assert.equal(heard(), true);
  await outgoing.talk(false);
  assert.equal(heard(), false);
  assert.deepEqual(told.kept, []);
});

test('without a microphone nothing is turned on', async (context) => {
  const {browser, outgoing, told, heard, devices} = begun(context);
  const on = outgoing.microphone();
  browser.refuse('NotReadableError');
  await on;
  assert.deepEqual([heard(), devices.faults.microphone.word, told.kept], [false, 'busy', []]);
});

test('a host\'s word comes before a wish that waits for its device', async (context) => {
  const {browser, outgoing, onAir, heard} = begun(context);
  const on = outgoing.microphone();
  outgoing.overrule('audio');
  browser.give();
  await on;
  assert.deepEqual([heard(), onAir.includes(true)], [false, false]);
});

test('what the room does not let one do is not begun', async (context) => {
  const {browser, outgoing, forbidden, screen} = begun(context);
  for (const medium of ['audio', 'video', 'screen']) forbidden.add(medium);
  await Promise.all([outgoing.microphone(), outgoing.talk(true), outgoing.camera(), outgoing.screen()]);
  assert.deepEqual([browser.asked, screen()], [[], undefined]);
});

test('who becomes a viewer captures nothing more, and begins in silence later', async (context) => {
  const {browser, devices, outgoing, told, screen, heard} = begun(context);
  const begin = [outgoing.microphone(), outgoing.camera(), outgoing.screen()];
  browser.give();
  browser.give();
  const shown = new Stream(new Track('video'), new Track('audio'));
  screen().resolve(shown);
  await Promise.all(begin);
  const {camera, microphone} = devices;
  assert.deepEqual([heard(), outgoing.shared], [true, shown]);
  told.kept.length = 0;
  outgoing.silence();
  const captured = [camera, microphone, ...shown.getTracks()].map(({readyState}) => readyState);
  assert.deepEqual(captured, ['ended', 'ended', 'ended', 'ended']);
  assert.deepEqual([devices.camera, devices.microphone, outgoing.shared, told.shared.at(-1), outgoing.muted], [null, null, null, null, true]);
  assert.deepEqual(told.kept, [], 'it was not the person\'s wish');
  const again = outgoing.microphone();
  browser.give();
  await again;
  assert.equal(heard(), true, 'once it is pressed');
});

test('a host who hides somebody ends camera and screen', async (context) => {
  const {browser, devices, outgoing, screen} = begun(context);
  const begin = [outgoing.camera(), outgoing.screen()];
  browser.give();
  screen().resolve(new Stream(new Track('video')));
  await Promise.all(begin);
  outgoing.overrule('video');
  assert.deepEqual([devices.camera, outgoing.shared], [null, null]);
});

test('a screen is shared until it is ended here or in the browser\'s bar', async (context) => {
  const {outgoing, told, screen} = begun(context);
  for (const end of [() => outgoing.screen(), (track) => track.dispatchEvent(new Event('ended'))]) {
    const begin = outgoing.screen(), track = new Track('video');
    screen().resolve(new Stream(track));
    await begin;
    await end(track);
    assert.deepEqual([outgoing.shared, told.shared.at(-1), track.readyState], [null, null, 'ended']);
  }
  assert.equal(told.shared.length, 4);
});

test('a screen chosen after the call, or as a viewer, is let go at once', async (context) => {
  const late = [({outgoing}) => outgoing.end(), ({forbidden}) => forbidden.add('screen')];
  for (const happens of late) {
    const call = begun(context), begin = call.outgoing.screen(), track = new Track('video');
    happens(call);
    call.screen().resolve(new Stream(track));
    await begin;
    assert.deepEqual([track.readyState, call.outgoing.shared, call.told.shared], ['ended', null, []]);
  }
});

test('the question for a screen is asked once at a time; what goes wrong is told', async (context) => {
  const {outgoing, told, screen} = begun(context);
  const first = outgoing.screen(), question = screen();
  await outgoing.screen();
  assert.equal(screen(), question);
  question.reject(Object.assign(new Error(), {word: 'busy'}));
  await first;
  assert.deepEqual(told.faults, ['busy']);
  const second = outgoing.screen();
  screen().reject(Object.assign(new Error(), {word: 'denied'}));
  await second;
  assert.deepEqual(told.faults, ['busy'], 'who says no knows it');
});

test('after the call nothing is told', async (context) => {
  const {browser, outgoing, told} = begun(context);
  const on = outgoing.camera();
  outgoing.end();
  const before = told.changes;
  browser.give();
  await on;
  await settled();
  assert.equal(told.changes, before);
});
