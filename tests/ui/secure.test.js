// What is said where the page came without TLS.

import './globals.js';
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {hint} from '../../src/server/http/ui/room/secure.js';
import {english} from '../../src/server/http/ui/room/en.js';
import {russian} from '../../src/server/http/ui/room/ru.js';

const PAGE = new URL('http://192.168.1.5:8080/r/studio?x=1#y');

/** The server says this about itself. */
function told(answer) {
  globalThis.fetch = async (path) => {
    assert.equal(path, '/api/v1/server');
    if (answer instanceof Error) throw answer;
    return {ok: true, json: async () => answer};
  };
}

test('a secure page needs no hint, and asks for none', async () => {
  told(new Error('nobody asks'));
  assert.equal(await hint(PAGE, true), null);
});

test('a server with TLS shows the way to the same room', async () => {
  told({rtmp_port: 1935, https_port: 8443});
  assert.deepEqual(await hint(PAGE, false), {key: 'secureThere', address: 'https://192.168.1.5:8443/r/studio?x=1#y'});
});

test('a server without TLS says how it is turned on', async () => {
  for (const answer of [{rtmp_port: 1935}, {https_port: null}, new Error('the line is broken')]) {
    told(answer);
    assert.deepEqual(await hint(PAGE, false), {key: 'secureOff', address: null});
  }
});

test('both languages name the options as they are written', () => {
  for (const words of [english, russian]) {
    for (const option of ['[http.tls]', 'self_signed = true', 'acme', 'certificate']) assert.ok(words.secureOff.includes(option), option);
    assert.ok(words.secureThere.length > 0);
  }
});
