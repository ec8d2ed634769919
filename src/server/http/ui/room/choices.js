// The choice of camera, microphone and loudspeaker, wherever the page offers it.

import {byId, make} from '../ui.js';
import {choose} from './dom.js';
import {keep, recall} from './settings.js';
import {put, t} from './text.js';

const KINDS = [['camera', 'camera'], ['microphone', 'microphone'], ['speaker', 'loudspeaker']];

/**
 * @param {string} place id of the element to be filled
 * @param {import('./devices.js').Devices} devices
 * @param {{chosen: (kind: string, id: string) => void}} acts
 * @returns {() => Promise<void>} shows the devices that are there now
 */
export function choices(place, devices, {chosen}) {
  const selects = Object.fromEntries(KINDS.map(([kind, key]) => {
    const caption = make('span', {}), select = make('select', {});
    put(caption, key);
    select.dataset.kind = kind;
    select.addEventListener('change', () => {
      keep(kind, select.value || null);
      chosen(kind, select.value);
    });
    const label = make('label', {className: 'field', hidden: true}, caption, select);
    byId(place).append(label);
    return [kind, {label, select}];
  }));
  return async () => {
    const list = await devices.list();
    for (const [kind] of KINDS) {
      const {label, select} = selects[kind], found = list[kind];
      // Nothing to choose from, or not by this browser.
      label.hidden = found.length === 0 || kind === 'speaker' && !('setSinkId' in HTMLMediaElement.prototype);
      const rows = found.map(({deviceId, label}) => [deviceId, label]);
      if (!rows.some(([id]) => id === 'default')) rows.unshift(['', t('usual')]);
      const inUse = kind === 'speaker' ? null : devices[kind]?.getSettings().deviceId;
      choose(select, rows, inUse ?? recall(kind) ?? rows[0][0]);
    }
  };
}
