// What is kept between visits, in this browser alone.

/** So many rooms are remembered. */
const RECENT = 6;

/**
 * @param {string} key
 * @returns {any} null if it was never set
 */
export function recall(key) {
  // Reading throws where a person forbids storage, and anything may have written there.
  try {
    return JSON.parse(localStorage.getItem(`commonroom.${key}`));
  } catch {
    return null;
  }
}

/** Keeps a value; null forgets it. */
export function keep(key, value) {
  try {
    if (value === null) localStorage.removeItem(`commonroom.${key}`);
    else localStorage.setItem(`commonroom.${key}`, JSON.stringify(value));
  } catch {
    // Then it is asked for again next time.
  }
}

/** @returns {{name: string, at: number}[]} the rooms one was in, the latest first */
export function recentRooms() {
  const rooms = recall('rooms');
  return Array.isArray(rooms) ? rooms.filter(({name, at}) => typeof name === 'string' && typeof at === 'number') : [];
}

/** Puts a room at the top of the recent ones. */
export function remember(name) {
  keep('rooms', [{name, at: Date.now()}, ...recentRooms().filter((room) => room.name !== name)].slice(0, RECENT));
}

/** Takes a room off the list. */
export function forget(name) {
  keep('rooms', recentRooms().filter((room) => room.name !== name));
}

/** The keys that this page has, by what they are for: the lock of each is taken, by this page as well, until it goes. */
const keys = new Map();

/**
 * What proves to the server that it is still this tab after a drop or a reload.
 *
 * @param {string} place what it is for
 * @param {() => string} make
 * @returns {Promise<string>}
 */
export async function tabKey(place, make) {
  if (!keys.has(place)) keys.set(place, await found(place, make));
  return keys.get(place);
}

async function found(place, make) {
  const name = `commonroom.key.${place}`;
  try {
    const kept = sessionStorage.getItem(name);
    if (kept && await hold(kept)) return kept;
    const key = make();
    await hold(key);
    sessionStorage.setItem(name, key);
    return key;
  } catch {
    // No storage, or no locks on a page that is not secure: a key for this once.
    return make();
  }
}

/** Whether nobody else has this key: a tab that was duplicated has a copy, and the two would take turns in throwing each other out. */
function hold(key) {
  return new Promise((resolve, reject) => {
    const held = (lock) => {
      resolve(lock !== null);
      return lock && new Promise(() => {});
    };
    navigator.locks.request(`commonroom.${key}`, {ifAvailable: true}, held).catch(reject);
  });
}
