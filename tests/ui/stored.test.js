// What is said of a session's upload, and what goes before it is deleted.

import assert from 'node:assert/strict';
import {test} from 'node:test';
import {remove} from '../../src/server/http/ui/api.js';
import {english as en} from '../../src/server/http/ui/room/en.js';
import {mayGo, standing, warning} from '../../src/server/http/ui/stored.js';

test('an upload is told in words that there are', () => {
  assert.equal(standing(undefined), null, 'where nothing is uploaded nothing is said');
  assert.equal(standing({state: 'something later'}), null);
  const keys = [{state: 'waiting'}, {state: 'waiting', error: 'full'}, {state: 'uploading'}, {state: 'uploaded'}].map((upload) => standing(upload));
  assert.deepEqual(keys.map(({key}) => key), ['uploadWaiting', 'uploadAgain', 'uploadUnderWay', 'uploadDone']);
  assert.equal(keys[1].values.error, 'full');
  for (const {key} of keys) assert.ok(en[key], key);
});

test('who deletes what is nowhere else is warned', () => {
  const asked = [undefined, {state: 'uploaded'}, {state: 'waiting'}, {state: 'uploading'}].map((upload) => warning('session', upload));
  assert.deepEqual(asked, ['deleteSessionText', 'deleteSessionText', 'deleteSessionWaits', 'deleteSessionWaits']);
  assert.equal(warning('file', {state: 'waiting'}), 'deleteFileWaits');
  for (const key of [...asked, 'deleteFileText', 'deleteFileWaits']) assert.ok(en[key], key);
});

test('what goes on, and what nobody knows anything of, stays', () => {
  assert.deepEqual([{state: 'finished'}, {state: 'recovered'}, {state: 'recording'}, {}].map(mayGo), [true, true, false, false]);
});

test('the server is asked to delete, and what it says against it is told', async (context) => {
  const asked = [], answers = [{ok: true, status: 204}, {ok: false, status: 404}, {ok: false, status: 409, json: async () => ({message: 'it is recorded'})}];
  context.mock.method(globalThis, 'fetch', async (path, {method}) => {
    asked.push(`${method} ${path}`);
    return answers.shift();
  });
  await remove('зал', 's', 'a b.mp4');
  await remove('r', 's');
  await assert.rejects(remove('r', 's'), {message: 'it is recorded'});
  assert.deepEqual(asked.slice(0, 2), ['DELETE /api/v1/recordings/%D0%B7%D0%B0%D0%BB/s/a%20b.mp4', 'DELETE /api/v1/recordings/r/s']);
});
