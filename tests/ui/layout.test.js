// The geometry of the floor.

import './globals.js';
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {capacity, duo, grid, seats, stage} from '../../src/server/http/ui/room/layout.js';

const WINDOWS = [[1280, 650], [1920, 940], [390, 640], [360, 480], [844, 300], [2560, 1300], [700, 700]];
const within = ({x, y, width, height}, wide, high) =>
  x >= -0.01 && y >= -0.01 && x + width <= wide + 0.01 && y + height <= high + 0.01 && width > 0 && height > 0;
const apart = (one, other) => one.x + one.width <= other.x + 0.01 || other.x + other.width <= one.x + 0.01 ||
  one.y + one.height <= other.y + 0.01 || other.y + other.height <= one.y + 0.01;

function assertSound(rects, width, height, label) {
  for (const [index, rect] of rects.entries()) {
    assert.ok(within(rect, width, height), `${label}: ${JSON.stringify(rect)} leaves the window`);
    for (const other of rects.slice(index + 1)) assert.ok(apart(rect, other), `${label}: tiles cover each other`);
  }
}

test('tiles of a grid stay in the window and apart, and are equal', () => {
  for (const [width, height] of WINDOWS) {
    for (let count = 1; count <= 25; count++) {
      const rects = grid(count, width, height);
      assert.equal(rects.length, count);
      assertSound(rects, width, height, `${count} in ${width}x${height}`);
      assert.ok(rects.every((rect) => Math.abs(rect.width - rects[0].width) < 0.01 && Math.abs(rect.height - rects[0].height) < 0.01));
    }
  }
  assert.deepEqual(grid(0, 100, 100), []);
});

test('a crowd has tiles of some size, as many as are worth looking at', () => {
  for (const [width, height] of [...WINDOWS, [1264, 676], [780, 280]]) {
    for (let count = 26; count <= 101; count++) assertSound(grid(count, width, height), width, height, `${count} in ${width}x${height}`);
    const most = capacity(width, height);
    assert.ok(most >= 8 && most <= 25, `${most} in ${width}x${height}`);
    assert.ok(grid(most, width, height)[0].width >= 112, `${width}x${height}`);
  }
  assert.deepEqual([capacity(1264, 676), capacity(150, 100)], [25, 2]);
  assert.deepEqual(grid(100, 20, 10), [], 'no place at all');
});

test('the last place is for those who have none', () => {
  for (const [count, places, shown, more] of [[0, 4, 0, 0], [4, 4, 4, 0], [5, 4, 3, 2], [100, 25, 24, 76], [3, 2, 1, 2], [3, 1, 1, 0]]) {
    assert.deepEqual(seats(count, places), {shown, more}, `${count} at ${places}`);
  }
});

test('tiles are 16:9 on wide windows and between that and 3:4 on upright ones', () => {
  for (const [width, height] of WINDOWS) {
    for (let count = 1; count <= 16; count++) {
      const [{width: wide, height: high}] = grid(count, width, height), shape = wide / high;
      if (width >= height) assert.ok(Math.abs(shape - 16 / 9) < 0.001);
      else assert.ok(shape > 0.749 && shape < 1.779, `${count}: ${shape}`);
    }
  }
});

test('no other number of columns would make larger tiles', () => {
  for (let count = 1; count <= 16; count++) {
    const [{width}] = grid(count, 1280, 650);
    for (let columns = 1; columns <= count; columns++) {
      const rows = Math.ceil(count / columns);
      const possible = Math.min((1280 - 8 * (columns - 1)) / columns, (650 - 8 * (rows - 1)) / rows * 16 / 9);
      assert.ok(width >= possible - 0.5, `${count} in ${columns} columns: ${possible} > ${width}`);
    }
  }
});

test('of two the other has all the room and oneself a corner', () => {
  for (const [width, height] of WINDOWS) {
    const [large, small] = duo(width, height);
    assert.deepEqual(large, {x: 0, y: 0, width, height});
    assert.ok(within(small, width, height) && small.width * small.height < width * height / 5);
  }
});

test('a stage is larger than its strip, and nothing covers it', () => {
  for (const [width, height] of WINDOWS) {
    for (let others = 1; others <= 16; others++) {
      const {main, strip} = stage(others, width, height);
      assert.ok(strip.length >= 1 && strip.length <= others);
      assertSound([main, ...strip], width, height, `${others} in ${width}x${height}`);
      assert.ok(main.width * main.height > 0.4 * width * height, `${others} in ${width}x${height}: ${JSON.stringify(main)}`);
    }
  }
  assert.deepEqual(stage(0, 100, 50), {main: {x: 0, y: 0, width: 100, height: 50}, strip: []});
});
