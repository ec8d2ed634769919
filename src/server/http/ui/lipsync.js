// Brings picture and sound into step soon after joining. No DOM.
//
// A browser starts the picture with hardly any jitter buffer and the sound with some 100 ms of it, and moves the two together
// by 10 to 15 ms a second: a voice lags its lips for ten seconds. By the sender reports it knows after two how far they are
// apart, so the picture is held back by that much.

const READ = 1_000, IN_STEP = 0.020, MOST = 0.400, LONGEST = 10_000;

/**
 * Watches a connection until picture and sound are in step, for ten seconds at most.
 *
 * @param {RTCPeerConnection} peer
 */
export async function bringIntoStep(peer) {
  const receiver = peer.getReceivers().find(({track}) => track.kind === 'video');
  if (!receiver || !('jitterBufferTarget' in receiver)) return;
  let before = {};
  for (let waited = 0; waited < LONGEST; waited += READ) {
    await new Promise((done) => setTimeout(done, READ));
    if (peer.connectionState !== 'connected') return;
    const now = await inbound(peer);
    const {ahead, delay} = position(now, before);
    before = now;
    if (!(delay >= 0) || Math.abs(ahead) <= IN_STEP) continue;
    receiver.jitterBufferTarget = 1000 * Math.max(0, Math.min(MOST, delay + ahead));
  }
}

async function inbound(peer) {
  const entries = [...(await peer.getStats()).values()].filter(({type}) => type === 'inbound-rtp');
  return Object.fromEntries(entries.map((entry) => [entry.kind, entry]));
}

/** How far the picture is ahead of the sound, and how long it waits now, in seconds; nothing where that is not known. */
function position({audio, video}, before) {
  if (!audio?.estimatedPlayoutTimestamp || !video?.estimatedPlayoutTimestamp || !before.video) return {};
  const since = (name) => video[name] - before.video[name];
  return {
    ahead: (video.estimatedPlayoutTimestamp - audio.estimatedPlayoutTimestamp) / 1000,
    delay: since('jitterBufferDelay') / since('jitterBufferEmittedCount'),
  };
}
