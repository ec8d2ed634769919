// The words: both languages say the same things, and everything that is asked for is there.

import './globals.js';
import assert from 'node:assert/strict';
import {readFileSync, readdirSync} from 'node:fs';
import {test} from 'node:test';
import {english} from '../../src/server/http/ui/room/en.js';
import {russian} from '../../src/server/http/ui/room/ru.js';

const SOURCES = new URL('../../src/', import.meta.url);
const UI = new URL('../../src/server/http/ui/', import.meta.url);
const read = (path) => readFileSync(new URL(path, UI), 'utf8');
const PAGES = ['index.html', 'room.html', 'watch.html', 'publish.html', 'error.html', 'recordings.html', 'recorded.html'];
const SCRIPTS = ['', 'room/'].flatMap((folder) =>
  readdirSync(new URL(folder, UI)).filter((name) => /^(?!en\.|ru\.).*\.js$/.test(name)).map((name) => `${folder}${name}`));
const values = (entry) => [...JSON.stringify(entry).matchAll(/\{(\w+)\}/g)].map(([, name]) => name);

test('both languages have the same texts with the same values', () => {
  assert.deepEqual(Object.keys(russian).sort(), Object.keys(english).sort());
  for (const [key, text] of Object.entries(english)) {
    assert.deepEqual(new Set(values(russian[key])), new Set(values(text)), key);
  }
});

test('Russian has all of its plurals', () => {
  for (const [key, text] of Object.entries(russian)) {
    if (typeof text !== 'string') assert.deepEqual(Object.keys(text).sort(), ['few', 'many', 'one', 'other'], key);
  }
});

test('every text that a page or a script asks for is there', () => {
  const asked = new Set();
  for (const page of PAGES) {
    for (const [, key] of read(page).matchAll(/data-(?:t|call|hint)="(\w+)"/g)) asked.add(key);
  }
  for (const script of SCRIPTS.map(read)) {
    for (const [, key] of script.matchAll(/\b(?:t|toast)\('(\w+)'/g)) asked.add(key);
    for (const [, key] of script.matchAll(/\b(?:put|call)\([^,'`]+(?:\([^)]*\))?, '(\w+)'/g)) asked.add(key);
    for (const [, key] of script.matchAll(/\bkey: '(\w+)'/g)) asked.add(key);
  }
  assert.ok(asked.size > 80, `${asked.size} texts found`);
  assert.deepEqual([...asked].filter((key) => !(key in english)), []);
});

test('no text is there for nothing', () => {
  const sources = [...PAGES, ...SCRIPTS].map(read).join('');
  const composed = /^(device|error|failure|held|refused|reason|nowRole|host|layout|theme)_/;
  const unused = Object.keys(english).filter((key) => !composed.test(key) && !new RegExp(`['"]${key}['"]`).test(sources));
  assert.deepEqual(unused, []);
});

test('texts that are put together from words are there', () => {
  const sets = {
    device: ['insecure', 'other', ...['denied', 'busy', 'absent'].flatMap((word) =>
      ['camera', 'microphone', 'screen'].map((kind) => `${word}_${kind}`)), 'unsupported_screen'],
    nowRole: ['host', 'speaker', 'viewer'],
    host: ['audio', 'video'].flatMap((medium) => ['on', 'off', 'holds'].map((what) => `${medium}_${what}`)),
    error: ['name', 'nothing', 'recordings'],
    held: ['cpu', 'bandwidth', 'other'],
    failure: ['line', 'keys', 'codecs'],
    layout: ['auto', 'grid', 'speaker'],
    theme: ['auto', 'light', 'dark'],
  };
  for (const [stem, ends] of Object.entries(sets)) {
    for (const end of ends) assert.ok(`${stem}_${end}` in english, `${stem}_${end}`);
  }
});

test('every word of the server has a text', () => {
  const words = (path, stem) => {
    const source = readFileSync(new URL(path, SOURCES), 'utf8');
    return [...source.matchAll(/Self::\w+(?: \{ \.\. \})? => "([a-z_]+)"/g)].map(([, word]) => `${stem}_${word}`);
  };
  const found = [
    ...words('protocol/room_api/refusal.rs', 'refused'), ...words('stream/warnings.rs', 'reason'), ...words('bridge/plan.rs', 'reason'),
  ];
  assert.ok(found.length >= 30, String(found));
  assert.deepEqual(found.filter((key) => !(key in english)), []);
});
