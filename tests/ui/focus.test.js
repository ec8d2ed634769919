// Where the keyboard goes when what it was on goes away.

import './globals.js';
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {reveal, withdraw} from '../../src/server/http/ui/room/focus.js';

/** A page of elements by name, each in the one that is named after it; what is hidden has no place. */
function page(context, parents) {
  const all = {};
  for (const [name, parent] of Object.entries(parents)) {
    all[name] = {
      name, hidden: false, disabled: false, parent: all[parent],
      contains: (other) => Boolean(other) && (other === all[name] || all[name].contains(other.parent)),
      getClientRects: () => all[name].hidden || all[name].parent?.getClientRects().length === 0 ? [] : [{}],
      focus: () => document.activeElement = all[name],
    };
  }
  const real = globalThis.document;
  globalThis.document = {activeElement: null};
  context.after(() => globalThis.document = real);
  return all;
}

test('it goes to the first that can be seen', (context) => {
  const {row, act, screen, sheet, floor} = page(context, {list: null, row: 'list', act: 'row', sheet: null, screen: 'sheet', floor: null});
  act.focus();
  sheet.hidden = true;
  withdraw(row, () => row.hidden = true, undefined, screen, floor, act);
  assert.equal(document.activeElement.name, 'floor');
});

test('a button that cannot be pressed is no place for it', (context) => {
  const {act, screen, floor} = page(context, {act: null, screen: null, floor: null});
  act.focus();
  screen.disabled = true;
  reveal(act, false, screen, floor);
  assert.deepEqual([document.activeElement.name, act.hidden], ['floor', true]);
});

test('it stays where it is while that is there', (context) => {
  const {badge, line, screen} = page(context, {badge: null, line: null, screen: null});
  line.focus();
  reveal(badge, false, screen);
  assert.deepEqual([document.activeElement.name, badge.hidden], ['line', true]);
  badge.focus();
  reveal(badge, true, screen);
  assert.deepEqual([document.activeElement.name, badge.hidden], ['badge', false]);
});
