// Camera and microphone: the one that was chosen, on or off.

import './globals.js';
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Devices} from '../../src/server/http/ui/room/devices.js';
import {mediaDevices} from './media.js';

test('a camera that is chosen while it is off is the one that is turned on later', async (context) => {
  const browser = mediaDevices(context), devices = new Devices({camera: 'first'}, () => {});
  await devices.choose('camera', 'second');
  assert.deepEqual([browser.asked.length, devices.chosen('camera')], [0, 'second']);
  const on = devices.open('camera');
  browser.give();
  assert.equal((await on).deviceId, 'second');
});

test('another is chosen in the place of the one that is on', async (context) => {
  const browser = mediaDevices(context), devices = new Devices({}, () => {});
  const on = devices.open('microphone');
  browser.give();
  const first = await on;
  const chosen = devices.choose('microphone', 'second');
  browser.give();
  await chosen;
  assert.deepEqual([first.readyState, devices.microphone.deviceId], ['ended', 'second']);
  const usual = devices.choose('microphone', null);
  browser.give();
  await usual;
  assert.equal(browser.asked.at(-1).audio.deviceId, undefined);
});

test('another is chosen in the place of one that did not start', async (context) => {
  const browser = mediaDevices(context), devices = new Devices({camera: 'first'}, () => {});
  const on = devices.open('camera');
  browser.refuse('NotReadableError');
  await assert.rejects(on, {word: 'busy'});
  const chosen = devices.choose('camera', 'second');
  browser.give();
  await chosen;
  assert.deepEqual([devices.camera.deviceId, devices.faults.camera], ['second', null]);
});

test('one that does not start, either, is told as the first was', async (context) => {
  const browser = mediaDevices(context), devices = new Devices({camera: 'first'}, () => {});
  const on = devices.open('camera');
  browser.refuse('NotReadableError');
  await assert.rejects(on);
  const chosen = devices.choose('camera', 'second');
  browser.refuse('NotAllowedError');
  await chosen;
  assert.deepEqual([devices.camera, devices.faults.camera.word], [null, 'denied']);
});
