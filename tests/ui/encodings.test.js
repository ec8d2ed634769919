import './globals.js';
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {encodings} from '../../src/server/http/ui/room/encodings.js';

const sent = (width, height) => encodings({width, height}, {simulcast: true, screen: false})
  .filter(({active}) => active)
  .map(({rid, scaleResolutionDownBy, maxBitrate}) => [rid, height / scaleResolutionDownBy, maxBitrate / 1000]);

test('a picture comes in as many sizes as are worth looking at', () => {
  assert.deepEqual(sent(1280, 720), [['f', 720, 1700], ['h', 360, 500], ['q', 180, 120]]);
  assert.deepEqual(sent(720, 1280), [['f', 1280, 900], ['h', 640, 500], ['q', 320, 120]], 'a phone held upright');
  assert.deepEqual(sent(640, 360), [['f', 360, 900], ['h', 180, 120]]);
  assert.deepEqual(sent(320, 240), [['f', 240, 600]]);
});

test('there is a place for each size, whatever the picture: another may follow', () => {
  const rids = (picture) => encodings(picture, {simulcast: true, screen: false}).map(({rid}) => rid);
  assert.deepEqual(rids({}), ['f', 'h', 'q']);
  assert.deepEqual(rids({width: 1920, height: 1080}), ['f', 'h', 'q']);
});

test('screens, and servers that take one size, get one', () => {
  const picture = {width: 1280, height: 720};
  assert.deepEqual(encodings(picture, {simulcast: false, screen: false}), [{maxBitrate: 1_700_000}]);
  assert.equal(encodings(picture, {simulcast: true, screen: true}).length, 1);
});
