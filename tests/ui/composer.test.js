// To whom a line goes, and how often.

import './globals.js';
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Composer} from '../../src/server/http/ui/room/composer.js';

function begun(answer = async () => {}) {
  const said = [];
  const composer = new Composer(async (text, to) => {
    said.push([text, to]);
    await answer();
  });
  composer.here = ['bob', 'carl'];
  return {composer, said};
}

test('a line goes to everybody, or to the one who was chosen', async () => {
  const {composer, said} = begun();
  assert.equal(await composer.send('hello'), true);
  composer.to = 'bob';
  await composer.send('a secret');
  assert.deepEqual(said, [['hello', undefined], ['a secret', 'bob']]);
  assert.deepEqual(composer.choices, [{login: 'bob', gone: false}, {login: 'carl', gone: false}]);
});

test('a private line goes to nobody while the one it is for is not here', async () => {
  const {composer, said} = begun();
  composer.to = 'bob';
  composer.here = ['carl'];
  assert.deepEqual(composer.choices, [{login: 'carl', gone: false}, {login: 'bob', gone: true}]);
  await assert.rejects(composer.send('a secret'), {word: 'unknown_recipient'});
  assert.deepEqual(said, []);
  composer.to = '';
  assert.deepEqual(composer.choices, [{login: 'carl', gone: false}], 'nobody is missed');
  await composer.send('hello');
  composer.to = 'bob';
  composer.here = ['bob'];
  await composer.send('a secret');
  assert.deepEqual(said, [['hello', undefined], ['a secret', 'bob']]);
});

test('what is on its way is not sent again', async () => {
  let arrive;
  const {composer, said} = begun(() => new Promise((resolve) => arrive = resolve));
  const first = composer.send('hello');
  assert.equal(await composer.send('hello'), false);
  arrive();
  assert.equal(await first, true);
  const second = composer.send('hello');
  arrive();
  await second;
  assert.equal(said.length, 2);
});

test('after a refusal it may be sent again', async () => {
  const {composer, said} = begun(() => Promise.reject(new Error('no')));
  await assert.rejects(composer.send('hello'));
  await assert.rejects(composer.send('hello'));
  assert.equal(said.length, 2);
});
