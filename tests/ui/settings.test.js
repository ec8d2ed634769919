// What a browser keeps, and what a tab is known by.

import './globals.js';
import assert from 'node:assert/strict';
import {test} from 'node:test';

/** Gives the scripts storage and locks, and takes them away when the test has ended. */
function browser(context, {locked = [], stored = {}} = {}) {
  const held = new Set(locked), kept = new Map(Object.entries(stored));
  const globals = {
    sessionStorage: {getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value)},
    navigator: {locks: {
      request: async (name, options, got) => {
        const free = !held.has(name);
        held.add(name);
        return got(free ? {name} : null);
      },
    }},
  };
  for (const [name, value] of Object.entries(globals)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, {configurable: true, value});
    context.after(() => before ? Object.defineProperty(globalThis, name, before) : delete globalThis[name]);
  }
}

let pages = 0;
/** The module as a page has it that was just opened. */
const opened = () => import(`../../src/server/http/ui/room/settings.js?page=${pages++}`);

test('one page has one key, as often as it joins', async (context) => {
  browser(context);
  const {tabKey} = await opened();
  let made = 0;
  const make = () => `key ${++made}`;
  assert.deepEqual([await tabKey('r1.anna', make), await tabKey('r1.anna', make)], ['key 1', 'key 1']);
  assert.equal(await tabKey('r1.bob', make), 'key 2', 'for another name another');
});

test('after a reload the key is the same', async (context) => {
  browser(context, {stored: {'commonroom.key.r1.anna': 'kept'}});
  const {tabKey} = await opened();
  for (const _ of [1, 2]) assert.equal(await tabKey('r1.anna', () => 'new'), 'kept');
});

test('a tab that was duplicated gets a key of its own, and keeps it', async (context) => {
  browser(context, {stored: {'commonroom.key.r1.anna': 'theirs'}, locked: ['commonroom.theirs']});
  const {tabKey} = await opened();
  let made = 0;
  for (const _ of [1, 2]) assert.equal(await tabKey('r1.anna', () => `own ${++made}`), 'own 1');
});

test('without locks there is a key for as long as the page is open', async () => {
  const {tabKey} = await opened();
  let made = 0;
  for (const _ of [1, 2]) assert.equal(await tabKey('r1.anna', () => `own ${++made}`), 'own 1');
});
