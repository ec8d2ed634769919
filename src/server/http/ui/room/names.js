// Names of people and rooms: what the server takes, and what is made of anything else. No DOM; runs in node.

/** So many characters, and so many bytes of UTF-8. */
const LONGEST = 64, BYTES = 96;
const VALID = /^[\p{L}\p{Nd}_-][\p{L}\p{Nd}\p{Mn}\p{Mc}_.-]*$/u;
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/gu;
const utf8 = new TextEncoder();

/** Whether the server takes it as it is. */
export const isValid = (name) => VALID.test(name) && name.search(INVISIBLE) < 0 && name === cut(name.normalize('NFC'));

/** What a name that a person typed is called: the same however it was typed. Empty if there is nothing to make one of. */
export function spelt(text) {
  const typed = text.trim().normalize('NFC');
  return isValid(typed) ? typed : tidy(typed);
}

/**
 * The nearest name that the server takes: what is between words becomes a hyphen. Empty if nothing is left.
 *
 * @param {string} text what a person typed
 */
export function tidy(text) {
  const visible = text.normalize('NFC').replace(INVISIBLE, '');
  const name = visible.replace(/[^\p{L}\p{Nd}\p{Mn}\p{Mc}_.-]+/gu, '-').replace(/-{2,}/g, '-');
  return cut(name.replace(/^[.\p{M}-]+/u, '')).replace(/-+$/, '');
}

/** A name like it that is not taken. */
export function another(name) {
  const [, stem, number] = name.match(/^(.*?)(?:-(\d{1,3}))?$/);
  return `${cut(stem, 4)}-${Number(number ?? 1) + 1}`;
}

/** As much of a name as there is room for, with some left for what comes behind it. */
function cut(name, left = 0) {
  const chars = [...name].slice(0, LONGEST - left);
  for (let bytes = utf8.encode(chars.join('')).length; bytes > BYTES - left;) bytes -= utf8.encode(chars.pop()).length;
  return chars.join('');
}

/** A room that nobody else is in, easy to say on the telephone. */
export function newRoom() {
  const [first, second, number] = crypto.getRandomValues(new Uint16Array(3));
  return `${FIRST[first % FIRST.length]}-${SECOND[second % SECOND.length]}-${100 + number % 900}`;
}

/** One or two letters that stand for a name. */
export function initials(name) {
  const firsts = name.split(/[-_.]+/).filter(Boolean).map(([first]) => first);
  const letters = firsts.length > 1 ? firsts[0] + firsts.at(-1) : [...name][0];
  return letters.toUpperCase();
}

/** Which of `count` colours a name has: always the same one. */
export function hue(name, count) {
  let hash = 0;
  for (const char of name) hash = (hash * 31 + char.codePointAt(0)) >>> 0;
  return hash % count;
}

const FIRST = [
  'amber', 'autumn', 'bright', 'calm', 'clear', 'copper', 'early', 'gentle', 'golden', 'green', 'happy', 'ivory', 'jolly',
  'kind', 'lively', 'lucky', 'merry', 'mild', 'misty', 'noble', 'olive', 'patient', 'quiet', 'rapid', 'silver', 'sunny',
  'swift', 'tidy', 'velvet', 'warm', 'white', 'winter',
];
const SECOND = [
  'bay', 'birch', 'bridge', 'brook', 'cedar', 'cloud', 'comet', 'coast', 'dune', 'falcon', 'field', 'forest', 'garden',
  'harbour', 'heron', 'hill', 'island', 'lake', 'lantern', 'maple', 'meadow', 'moon', 'orchard', 'otter', 'pine', 'river',
  'robin', 'sparrow', 'stone', 'valley', 'willow', 'wren',
];
