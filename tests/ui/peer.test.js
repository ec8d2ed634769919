// Media that does not get through: what is tried again, and when people are told.

import './globals.js';
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {failureKey, passes} from '../../src/server/http/ui/room/failure.js';
import {Publication} from '../../src/server/http/ui/room/publication.js';
import {clock} from './clock.js';
import {Connection, browser} from './connection.js';
import {settled} from './socket.js';

const TRACK = {getSettings: () => ({width: 640, height: 360})};

/** A publication that has sent its offer. */
async function begun(context, screen = false) {
  browser(context);
  const pass = clock(context), offers = [];
  const session = {publish: (offer) => offers.push(offer), stop() {}};
  const what = {room: 'r1', login: 'anna', tracks: {audio: null, video: TRACK}, screen, simulcast: false};
  const one = new Publication({session, peers: new Map()}, what, () => {});
  context.after(() => one.stop());
  one.start();
  await settled();
  /** The server refuses the present attempt, and the next one begins. */
  const fail = async (info) => {
    one.status('FAILED', info);
    pass(8_000);
    await settled();
  };
  return {one, offers, pass, fail};
}

test('one failure is a hiccup, the second is for people to hear, and they hear when it is over', async (context) => {
  const {one, offers, pass, fail} = await begun(context);
  await fail('Failed by ICE timeout');
  assert.deepEqual([one.stuck, one.state, offers.length], [false, 'connecting', 2]);
  pass(8_000);
  assert.deepEqual([one.stuck, one.state, one.info], [true, 'waiting', 'Failed by ICE timeout'], 'our own limit says no more');
  pass(8_000);
  await settled();
  Connection.made.at(-1).enter('connected');
  assert.deepEqual([one.stuck, one.state, one.info, one.refused], [false, 'running', '', false]);
});

test('a camera is offered for as long as it takes, unless a host forbids it', async (context) => {
  const {one, offers, fail} = await begun(context);
  for (let attempt = 0; attempt < 5; attempt++) await fail('a participant publishes 8 streams at most');
  assert.deepEqual([one.state, offers.length], ['connecting', 6]);
  await fail('Restricted access');
  assert.deepEqual([one.state, one.refused, one.info], ['stopped', true, 'Restricted access']);
});

test('a screen that the room does not take is given up; one that the line does not take is tried again', async (context) => {
  const {one, fail} = await begun(context, true);
  for (let attempt = 0; attempt < 3; attempt++) await fail('Failed by ICE timeout');
  assert.deepEqual([one.state, one.stuck], ['connecting', true]);
  await fail('a participant publishes 8 streams at most');
  assert.deepEqual([one.state, one.refused, one.info], ['stopped', true, 'a participant publishes 8 streams at most']);
});

test('who stops by choice was not refused', async (context) => {
  const {one} = await begun(context, true);
  one.stop();
  assert.deepEqual([one.state, one.refused, one.stuck], ['stopped', false, false]);
});

test('the usual failures have words of their own', () => {
  for (const info of ['', 'Failed by ICE timeout', 'Failed by ICE keep alive']) {
    assert.deepEqual([failureKey(info), passes(info)], ['failure_line', true], info);
  }
  assert.deepEqual([failureKey('No common codecs'), passes('No common codecs')], ['failure_codecs', false]);
  assert.deepEqual([failureKey('something else'), passes('something else')], [undefined, false]);
});
