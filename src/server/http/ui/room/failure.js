// Why media does not get through: the server's words for it, and ours for the reader. No DOM; runs in node.

/** What the server, which speaks the SDK's words, says of a line that does not carry. Silence is our own limit running out. */
const LINE = ['', 'Failed by ICE error', 'Failed by ICE timeout', 'Failed by ICE keep alive', 'Failed by RTP activity'];
const KEYS = {
  ...Object.fromEntries(LINE.map((info) => [info, 'failure_line'])),
  'Failed by DTLS error': 'failure_keys', 'Failed by DTLS fingerprint error': 'failure_keys',
  'No common codecs': 'failure_codecs', 'Restricted access': 'refused_not_speaker', 'Requested stream shutdown': 'refused_shutting_down',
};

/**
 * The key of the text that says it.
 *
 * @param {string} info
 * @returns {string | undefined} nothing where the server's own words have to do
 */
export const failureKey = (info) => KEYS[info];

/** Whether another attempt may go better: the line or the server failed, nobody has refused. @param {string} info */
export const passes = (info) => LINE.includes(info) || info.startsWith('Failed by') || info === 'Requested stream shutdown';
