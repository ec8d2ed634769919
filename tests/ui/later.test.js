// What is done a little later.

import './globals.js';
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Later} from '../../src/server/http/ui/room/later.js';
import {clock} from './clock.js';

test('who keeps asking does not put it off', (context) => {
  const pass = clock(context);
  let runs = 0;
  const later = new Later(() => runs++);
  for (let at = 0; at < 2_000; at += 250) {
    later.within(400);
    pass(250);
  }
  assert.equal(runs, 4);
  pass(400);
  assert.equal(runs, 4, 'nobody has asked since');
});

test('another time may be set, and it may be called off', (context) => {
  const pass = clock(context);
  let runs = 0;
  const later = new Later(() => runs++);
  later.within(400);
  later.in(5_000);
  pass(4_999);
  assert.equal(runs, 0);
  later.in(0);
  pass(0);
  assert.equal(runs, 1);
  later.within(400);
  later.stop();
  pass(400);
  assert.equal(runs, 1);
});
