// Files of a session side by side: the clock that leads, where each file has to be, and what is shown of it.

import assert from 'node:assert/strict';
import {test} from 'node:test';
import {SessionClock, Turns, correction, hasGrown, parts, place, span} from '../../src/server/http/ui/together.js';

test('the clock stands, runs and is set', () => {
  const clock = new SessionClock(60);
  assert.deepEqual([clock.at(5), clock.runs], [0, false]);
  clock.run(10);
  clock.run(11);
  assert.deepEqual([clock.at(12.5), clock.runs], [2.5, true]);
  clock.seek(30, 13);
  assert.equal(clock.at(14), 31, 'it goes on from there');
  clock.stand(15);
  assert.deepEqual([clock.at(100), clock.runs], [32, false]);
  clock.seek(-5, 100);
  assert.equal(clock.at(100), 0);
  clock.seek(70, 100);
  assert.equal(clock.at(100), 60);
  clock.seek(59, 100);
  clock.run(100);
  assert.equal(clock.at(200), 60, 'it does not run over the end');
});

test('a file that goes on is known to be longer', () => {
  const file = {start: 10, end: 40};
  assert.deepEqual([20, 29.5, 30, 31, NaN, Infinity].map((known) => hasGrown(file, known)), [true, false, false, false, false, false]);
});

test('a file is where its own zero lies', () => {
  const file = {start: 45, end: 60};
  assert.deepEqual([44.9, 45, 50, 60].map((time) => place(file, time)), [null, 0, 5, null]);
});

test('players follow without being heard to', () => {
  assert.deepEqual(correction(0.01), {jump: false, rate: 1});
  assert.deepEqual(correction(0.06), {jump: false, rate: 0.97}, 'ahead: slower');
  assert.deepEqual(correction(-0.06), {jump: false, rate: 1.03}, 'behind: faster');
  assert.deepEqual(correction(0.25), {jump: false, rate: 0.95}, 'never much');
  assert.deepEqual([correction(0.4), correction(-7)], [{jump: true, rate: 1}, {jump: true, rate: 1}]);
});

test('gaps are seen on the bar', () => {
  const file = {start: 10, end: 90, gaps: [{start: 50, end: 60}, {start: 20, end: 30}, {start: 25, end: 40}]};
  assert.deepEqual(parts(file, 100), [{from: 0.1, to: 0.2}, {from: 0.4, to: 0.5}, {from: 0.6, to: 0.9}]);
  assert.deepEqual(parts({start: 0, end: 10, gaps: [{start: 0, end: 4}, {start: 8, end: 12}]}, 10), [{from: 0.4, to: 0.8}]);
  assert.deepEqual(parts({start: 0, end: 0, gaps: []}, 0), []);
});

test('lengths are written as players do', () => {
  assert.deepEqual([0, 9.9, 61, 3599, 3600, 36_061, -2].map(span), ['0:00', '0:09', '1:01', '59:59', '1:00:00', '10:01:01', '0:00']);
});

test('a few jump at a time, in their order, and again when they do not arrive', () => {
  const turns = new Turns();
  const take = (now) => ['a', 'b', 'c', 'd', 'e'].filter((player) => turns.take(player, now)).join('');
  assert.equal(take(0), '', 'nobody wants to');
  for (const player of ['a', 'b', 'c', 'd', 'e']) turns.want(player);
  assert.equal(take(10), 'abc');
  assert.equal(take(10.1), '');
  turns.want('b');
  turns.arrived('b');
  turns.arrived('d');
  assert.deepEqual(['b', 'd', 'a'].map((player) => turns.has(player)), [false, true, true], 'whoever waits has not arrived');
  assert.equal(take(10.2), 'd');
  turns.end('e');
  assert.equal(take(11.4), '', 'two of three are still on their way');
  assert.equal(take(11.6), 'ac', 'they jump again');
  turns.want('b');
  assert.equal(take(11.8), 'b', 'one that is late keeps nobody waiting');
});
