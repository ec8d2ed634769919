// Names of people and rooms: what the server takes, and what is made of anything else. No DOM; runs in node.

const LONGEST = 64;
const VALID = /^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$/;

/** Whether the server takes it as it is. */
export const isValid = (name) => VALID.test(name);

/**
 * The nearest name that the server takes: letters of other scripts are written in Latin ones, what is between words
 * becomes a hyphen. Empty if nothing is left.
 *
 * @param {string} text what a person typed
 */
export function tidy(text) {
  const latin = [...text.trim()].map(spell).join('').normalize('NFD').replace(/\p{M}/gu, '');
  return latin.replace(/[^A-Za-z0-9_.-]+/g, '-').replace(/-{2,}/g, '-').replace(/^[.-]+|-+$/g, '').slice(0, LONGEST);
}

/** A name like it that is not taken. */
export function another(name) {
  const [, stem, number] = name.match(/^(.*?)(?:-(\d{1,3}))?$/);
  return `${stem.slice(0, LONGEST - 4)}-${Number(number ?? 1) + 1}`;
}

/** A room that nobody else is in, easy to say on the telephone. */
export function newRoom() {
  const [first, second, number] = crypto.getRandomValues(new Uint16Array(3));
  return `${FIRST[first % FIRST.length]}-${SECOND[second % SECOND.length]}-${100 + number % 900}`;
}

/** One or two letters that stand for a name. */
export function initials(name) {
  const words = name.split(/[-_.]+/).filter(Boolean);
  const letters = words.length > 1 ? words[0][0] + words.at(-1)[0] : name.slice(0, 1);
  return letters.toUpperCase();
}

/** Which of `count` colours a name has: always the same one. */
export function hue(name, count) {
  let hash = 0;
  for (const char of name) hash = (hash * 31 + char.codePointAt(0)) >>> 0;
  return hash % count;
}

function spell(char) {
  const lower = char.toLowerCase(), latin = CYRILLIC[lower] ?? OTHERS[lower];
  if (latin === undefined) return char;
  return lower === char ? latin : latin.charAt(0).toUpperCase() + latin.slice(1);
}

const CYRILLIC = {
  а: 'a', б: 'b', в: 'v', г: 'g', д: 'd', е: 'e', ё: 'yo', ж: 'zh', з: 'z', и: 'i', й: 'y', к: 'k', л: 'l', м: 'm',
  н: 'n', о: 'o', п: 'p', р: 'r', с: 's', т: 't', у: 'u', ф: 'f', х: 'kh', ц: 'ts', ч: 'ch', ш: 'sh', щ: 'shch',
  ъ: '', ы: 'y', ь: '', э: 'e', ю: 'yu', я: 'ya', є: 'ye', і: 'i', ї: 'yi', ґ: 'g', ў: 'u',
};
const OTHERS = {ß: 'ss', æ: 'ae', ø: 'o', å: 'a', ł: 'l', đ: 'd', þ: 'th', ð: 'd', œ: 'oe', ı: 'i'};

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
