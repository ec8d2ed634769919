// How what is sent gets to the server.

import './globals.js';
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Upload} from '../../src/server/http/ui/room/upload.js';

/** A connection whose reports the test writes: of each stream of packets its medium, how many were sent and how many were lost. */
const line = () => ({
  streams: [],
  async getStats() {
    const entries = this.streams.flatMap(([kind, packetsSent, packetsLost], at) => [
      [`o${at}`, {type: 'outbound-rtp', kind, packetsSent}],
      ...packetsLost === null ? [] : [[`r${at}`, {type: 'remote-inbound-rtp', kind, localId: `o${at}`, packetsLost}]],
    ]);
    return new Map(entries);
  },
});

test('what is lost since the last look is what counts', async () => {
  const upload = new Upload(), connection = line();
  const looks = [];
  for (const streams of [
    [['audio', 100, 50]], [['audio', 200, 50]], [['audio', 300, 53]], [['audio', 400, 63]], [['audio', 500, 63]], [['audio', 500, 63]],
  ]) {
    connection.streams = streams;
    looks.push(await upload.judge(connection));
  }
  assert.deepEqual(looks, [null, 'good', 'fair', 'poor', 'good', null]);
});

test('the worse medium counts, a picture in all of its sizes', async () => {
  const upload = new Upload(), connection = line();
  connection.streams = [['audio', 100, 0], ['video', 1_000, 0], ['video', 500, 0]];
  await upload.judge(connection);
  connection.streams = [['audio', 200, 0], ['video', 1_500, 10], ['video', 1_000, 25]];
  assert.equal(await upload.judge(connection), 'fair', '35 of 1,000');
  connection.streams = [['audio', 300, 20], ['video', 2_000, 10], ['video', 1_500, 25]];
  assert.equal(await upload.judge(connection), 'poor');
});

test('without reports nobody can tell, and another connection begins anew', async () => {
  const upload = new Upload(), connection = line(), next = line();
  assert.equal(await upload.judge(null), null);
  for (const sent of [100, 200]) {
    connection.streams = [['audio', sent, null]];
    assert.equal(await upload.judge(connection), null);
  }
  next.streams = [['audio', 300, 0]];
  assert.equal(await upload.judge(next), null);
  next.streams = [['audio', 400, 0]];
  assert.equal(await upload.judge(next), 'good');
});
