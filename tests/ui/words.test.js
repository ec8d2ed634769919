// Names, links, and who speaks.

import './globals.js';
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {pieces} from '../../src/server/http/ui/room/links.js';
import {another, hue, initials, isValid, newRoom, spelt, tidy} from '../../src/server/http/ui/room/names.js';
import {Speakers} from '../../src/server/http/ui/room/speaker.js';

test('any name becomes one that the server takes', () => {
  for (const [typed, name] of [
    ['anna', 'anna'], ['  Anna Maria ', 'Anna-Maria'],
    ['Мария Щукина', 'Мария-Щукина'], ['Ju\u0308rgen', 'Jürgen'], ['.hidden', 'hidden'],
    ['Łukasz ß', 'Łukasz-ß'], ['a/b?c', 'a-b-c'], ['東京', '東京'], ['🙂', ''], ['', ''], ['--x--', 'x'],
    ['a'.repeat(80), 'a'.repeat(64)], ['Alice\u00a0Smith', 'Alice-Smith'], ['a\u202eb\u200b', 'ab'], ['\u0301e', 'e'], ['प्रिया', 'प्रिया'],
    ['Anna 🙂', 'Anna'],
    ['я'.repeat(80), 'я'.repeat(48)], ['東'.repeat(40), '東'.repeat(32)],
  ]) {
    assert.equal(tidy(typed), name, typed);
    if (name) assert.ok(isValid(tidy(typed)), typed);
  }
  for (const good of ['Алиса', 'Zoë', '_x', 'a-b.c']) assert.deepEqual([isValid(good), spelt(` ${good} `)], [true, good]);
  assert.equal(spelt('Zoe\u0308'), 'Zoë');
  for (const bad of ['', '.a', 'a b', 'a/b', 'a%b', 'a\u200bb', '\u3164', 'Zoe\u0308', 'a'.repeat(65), 'я'.repeat(49)]) {
    assert.equal(isValid(bad), false, bad);
  }
});

test('a taken name leads to another', () => {
  assert.equal(another('anna'), 'anna-2');
  assert.equal(another('anna-2'), 'anna-3');
  for (const longest of ['a'.repeat(64), 'я'.repeat(48), '𝒜'.repeat(24)]) assert.ok(isValid(another(longest)));
});

test('new rooms have names that can be said', () => {
  const rooms = new Set(Array.from({length: 50}, newRoom));
  assert.ok(rooms.size > 45);
  for (const room of rooms) assert.ok(isValid(room) && /^[a-z]+-[a-z]+-\d{3}$/.test(room), room);
});

test('letters and colours stand for a name', () => {
  const names = ['anna', 'Anna-Maria', 'x', 'a_b.c', 'мария-щукина', '𐐨𐐩', '_'];
  assert.deepEqual(names.map(initials), ['A', 'AM', 'X', 'AC', 'МЩ', '𐐀', '_']);
  assert.equal(hue('anna', 8), hue('anna', 8));
  for (const name of ['a', 'b', 'anna', 'ж']) assert.ok(hue(name, 8) < 8);
});

test('links are found, and the rest stays text', () => {
  for (const [text, links] of [
    ['see https://example.org/a?b=c#d.', ['https://example.org/a?b=c#d']],
    ['(https://example.org/x_(y))', ['https://example.org/x_(y)']],
    ['[http://a.example], "http://b.example"', ['http://a.example', 'http://b.example']],
    ['javascript:alert(1) data:text/html,x ftp://a.example www.a.example', []],
    ['https://', []],
    ['https://user:pass@evil.example/', []],
    ['<a href="https://a.example/">x</a>', ['https://a.example/']],
    ['HTTPS://A.EXAMPLE/Ж', ['HTTPS://A.EXAMPLE/Ж']],
  ]) {
    const found = pieces(text);
    assert.equal(found.map((piece) => piece.text).join(''), text, 'nothing is lost');
    assert.deepEqual(found.filter(({href}) => href).map((piece) => piece.text), links, text);
    for (const {href} of found) if (href) assert.match(href, /^https?:\/\//);
  }
  assert.deepEqual(pieces(''), []);
});

test('a long text costs little', () => {
  const began = process.cpuUsage();
  for (const text of ['(', ')', '.', ').', '()']) pieces(`http://a.example/${text.repeat(50_000)}`);
  pieces('http://a.example '.repeat(5_000));
  const {user} = process.cpuUsage(began);
  assert.ok(user < 1_000_000, `${user} microseconds of the processor`);
});

test('who speaks is marked between words, and leads only after a while', () => {
  const speakers = new Speakers();
  const hear = (levels, now) => speakers.hear(new Map(Object.entries(levels)), now);
  hear({anna: 0, bob: 0}, 0);
  assert.deepEqual([speakers.leading, speakers.speaks('anna', 0)], [null, false]);
  hear({anna: 0.2, bob: 0}, 250);
  assert.deepEqual([speakers.leading, speakers.speaks('anna', 250)], ['anna', true]);
  hear({anna: 0, bob: 0}, 700);
  assert.ok(speakers.speaks('anna', 700), 'a pause between words');
  for (let now = 1_000; now < 2_250; now += 250) hear({anna: 0, bob: 0.3}, now);
  assert.equal(speakers.leading, 'anna', 'a word thrown in changes nothing');
  hear({anna: 0, bob: 0.3}, 2_500);
  assert.equal(speakers.leading, 'bob');
  hear({anna: 0, bob: 0}, 9_000);
  assert.deepEqual([speakers.leading, speakers.speaks('bob', 9_000)], ['bob', false], 'silence leaves the last one there');
  hear({anna: 0}, 9_250);
  assert.deepEqual([speakers.leading, speakers.last('bob')], [null, -Infinity], 'who has gone leads no more');
});
