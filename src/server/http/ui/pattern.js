// The test pattern: picture and sound that tell when they were made, so that whatever arrives can be measured.
//
// Rows 1 to 3, an eighth of the height each, are ten cells: two reference cells and eight bits between them, the
// highest first. They carry the frame's number: high byte, low byte, check byte. The rest moves, and is white in the
// first two frames of each second. The sound is a 1 kHz tone; at each whole second lies a beep of 60 ms over it, whose
// pitch tells the second modulo five. tests/interop/signal.rs reads exactly this.

const FPS = 30, COLUMNS = 10, ROWS = 3, FLASH_FRAMES = 2;
const TONE = 1000, TONE_LEVEL = 0.1;
const BEEPS = [2500, 3000, 3500, 4000, 4500], BEEP_LEVEL = 0.4, BEEP_LENGTH = 0.06, BEEP_RAMP = 0.002;
/** Sound that is scheduled at once may lose its beginning. */
const LEAD = 0.3;
/** Milliseconds between looks at the clock: a fraction of a frame. */
const TICK = 6;
/** How long the sound may take to start, in milliseconds: a busy computer needs seconds for its first output. */
const START_LIMIT = 5_000;

/** The browser plays no sound before the page was clicked, and so gives the pattern no clock. */
export class NeedsGesture extends Error {}

/**
 * Starts the pattern.
 *
 * @param {number} width a multiple of 10, in pixels
 * @param {number} height a multiple of 8, in pixels
 * @param {string} caption is shown in the picture
 * @returns {Promise<{stream: MediaStream, stop: () => void}>}
 * @throws {NeedsGesture}
 */
export async function pattern(width, height, caption) {
  const context = new AudioContext({sampleRate: 48_000});
  const resumed = context.resume().then(() => true);
  if (!await Promise.race([resumed, new Promise((resolve) => setTimeout(resolve, START_LIMIT, false))])) {
    context.close();
    throw new NeedsGesture('no sound before a gesture');
  }
  const sink = context.createMediaStreamDestination();
  const player = new AudioBufferSourceNode(context, {buffer: sound(context), loop: true});
  player.connect(sink);
  const start = context.currentTime + LEAD;
  player.start(start);

  const canvas = Object.assign(document.createElement('canvas'), {width, height});
  const brush = canvas.getContext('2d', {alpha: false});
  paint(brush, 0, caption);
  const picture = canvas.captureStream(0);
  const [track] = picture.getVideoTracks();
  // Firefox has the method on the stream.
  const push = track.requestFrame ? () => track.requestFrame() : () => picture.requestFrame();

  const ticker = new Worker(new URL('ticker.js', import.meta.url));
  let last = 0;
  ticker.addEventListener('message', () => {
    // The sound's clock paces the picture: so they cannot drift apart, and a late tick leaves a frame out.
    const number = Math.floor((context.currentTime - start) * FPS);
    if (number <= last) return;
    last = number;
    paint(brush, number, caption);
    push();
  });
  ticker.postMessage(TICK);

  return {
    stream: new MediaStream([track, ...sink.stream.getAudioTracks()]),
    stop() {
      ticker.terminate();
      track.stop();
      context.close();
    },
  };
}

/** Five seconds hold whole periods of the tone and each beep once: they loop without a seam. */
function sound(context) {
  const rate = context.sampleRate;
  const buffer = context.createBuffer(2, BEEPS.length * rate, rate);
  const samples = buffer.getChannelData(0);
  for (let i = 0; i < samples.length; i++) {
    const within = i % rate / rate;
    const envelope = Math.max(0, Math.min(1, within / BEEP_RAMP, (BEEP_LENGTH - within) / BEEP_RAMP));
    samples[i] = TONE_LEVEL * Math.sin(2 * Math.PI * TONE * i / rate) +
      BEEP_LEVEL * envelope * Math.sin(2 * Math.PI * BEEPS[Math.floor(i / rate)] * within);
  }
  buffer.copyToChannel(samples, 1);
  return buffer;
}

function paint(brush, number, caption) {
  const {width, height} = brush.canvas;
  const [wide, high] = [width / COLUMNS, height / 8];
  bytes(number).forEach((byte, row) => {
    const ends = row === 1 ? [0, 1] : [1, 0];
    const bits = [ends[0], ...Array.from({length: 8}, (_, bit) => byte >> 7 - bit & 1), ends[1]];
    bits.forEach((bit, column) => {
      brush.fillStyle = bit ? '#fff' : '#000';
      brush.fillRect(column * wide, row * high, wide, high);
    });
  });
  const top = ROWS * high;
  const flash = number % FPS < FLASH_FRAMES;
  brush.fillStyle = flash ? '#fff' : '#444';
  brush.fillRect(0, top, width, height - top);
  if (!flash) stripes(brush, number, top);
  write(brush, number, top, caption);
}

/** High byte, low byte and check byte of the number's 16 bits. */
function bytes(number) {
  const [high, low] = [number >> 8 & 255, number & 255];
  const turn = (byte, bits) => (byte << bits | byte >> 8 - bits) & 255;
  return [high, low, turn(high, 4) ^ turn(low, 1) ^ 0xa5];
}

function stripes(brush, number, top) {
  const {width, height} = brush.canvas;
  const step = width / 8;
  brush.fillStyle = '#5a5a5a';
  for (let x = -(number * width / 160 % step); x < width; x += step) brush.fillRect(x, top, step / 2, height - top);
}

/** What a person reads: the caption and the time since the start. */
function write(brush, number, top, caption) {
  const {width, height} = brush.canvas;
  const middle = (top + height) / 2;
  brush.fillStyle = '#000';
  brush.fillRect(width * 0.15, middle - height * 0.16, width * 0.7, height * 0.32);
  brush.fillStyle = '#fff';
  brush.textAlign = 'center';
  brush.textBaseline = 'middle';
  brush.font = `${height * 0.07}px system-ui, sans-serif`;
  brush.fillText(caption, width / 2, middle - height * 0.08, width * 0.66);
  brush.font = `${height * 0.11}px ui-monospace, monospace`;
  const seconds = Math.floor(number / FPS), frame = number % FPS;
  const two = (value) => String(value).padStart(2, '0');
  brush.fillText(`${two(Math.floor(seconds / 60))}:${two(seconds % 60)}:${two(frame)}`, width / 2,
    middle + height * 0.06);
}
