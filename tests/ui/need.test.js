// How large a picture is asked for.

import './globals.js';
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {need, sight} from '../../src/server/http/ui/room/need.js';

const FULL = {width: 1920, height: 1080}, FLOATING = {width: 480, height: 270}, TILE = {width: 320, height: 180};
const WIDE = {shape: 16 / 9, filling: false, ratio: 1};

test('a picture is asked for as large as it is seen', () => {
  for (const [where, place] of [
    [{tile: TILE}, TILE],
    [{tile: null}, null],
    [{tile: TILE, full: FULL}, FULL],
    [{tile: TILE, hidden: true}, null],
    [{tile: TILE, full: FULL, hidden: true}, null],
    [{tile: TILE, floating: FLOATING, hidden: true}, FLOATING],
    [{tile: null, floating: FLOATING}, FLOATING],
  ]) {
    assert.deepEqual(sight({full: null, floating: null, hidden: false, ...where}), place, JSON.stringify(where));
  }
});

test('heights go in steps, by the shape of the picture and the pixels of the screen', () => {
  assert.deepEqual(need(null, WIDE), {paused: true});
  for (const [place, picture, maxHeight] of [
    [TILE, {}, 180], [FULL, {}, 1080], [{width: 321, height: 181}, {}, 210], [TILE, {ratio: 2}, 360], [TILE, {ratio: 3}, 360],
    [TILE, {shape: 9 / 16}, 180], [TILE, {shape: 9 / 16, filling: true}, 570], [{width: 320, height: 320}, {}, 180],
  ]) {
    assert.deepEqual(need(place, {...WIDE, ...picture}), {paused: false, maxHeight}, JSON.stringify([place, picture]));
  }
});
