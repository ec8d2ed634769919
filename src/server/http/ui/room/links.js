// Finds the links in a text. No DOM; runs in node.

/** Web addresses only: no `javascript:`, no names without a scheme that might be something else. */
const ADDRESS = /\bhttps?:\/\/[^\s<>"'`]+/gi;
/** What stands behind a link more often than in it. */
const TRAILING = '.,:;!?…';
const BRACKETS = {')': '(', ']': '[', '}': '{'};

/**
 * Cuts a text into plain pieces and links; together they are the text.
 *
 * @param {string} text
 * @returns {{text: string, href?: string}[]}
 */
export function pieces(text) {
  const found = [];
  let end = 0;
  for (const {0: match, index} of text.matchAll(ADDRESS)) {
    const address = trimmed(match);
    const href = parsed(address);
    if (!href) continue;
    if (index > end) found.push({text: text.slice(end, index)});
    found.push({text: address, href});
    end = index + address.length;
  }
  if (end < text.length) found.push({text: text.slice(end)});
  return found;
}

/** Without the sentence's own marks, and without brackets that were opened before the link. */
function trimmed(address) {
  const left = {};
  let end = address.length;
  for (; end > 0; end--) {
    const last = address[end - 1], opening = BRACKETS[last];
    if (opening) {
      left[last] ??= address.split(last).length - address.split(opening).length;
      if (left[last]-- <= 0) break;
    } else if (!TRAILING.includes(last)) {
      break;
    }
  }
  return address.slice(0, end);
}

function parsed(address) {
  try {
    const url = new URL(address);
    // A link that shows one host and leads to another is a trick more often than a login.
    return url.username || url.password ? null : url.href;
  } catch {
    return null;
  }
}
