// How loud one's own microphone is.

/** Between two readings, in milliseconds. */
const PERIOD = 100;

export class Meter {
  #context = null;
  #source = null;
  #analyser = null;
  #copy = null;
  #samples = new Float32Array(512);
  #listener;

  /** @param {(level: number) => void} listener told again and again, 0 to 1 */
  constructor(listener) {
    this.#listener = listener;
    setInterval(() => this.#read(), PERIOD);
  }

  /** @param {MediaStreamTrack | null} track */
  listen(track) {
    this.#source?.disconnect();
    this.#source = null;
    this.#copy?.stop();
    this.#copy = null;
    if (!track) return this.#listener(0);
    if (!this.#context) {
      this.#context = new AudioContext();
      this.#analyser = new AnalyserNode(this.#context, {fftSize: this.#samples.length});
      // Before the first gesture it may not run.
      addEventListener('pointerdown', () => this.#context.resume());
      addEventListener('keydown', () => this.#context.resume());
    }
    // A copy hears on while the track itself is muted: so one can be told that nobody hears one speak.
    this.#copy = track.clone();
    this.#copy.enabled = true;
    this.#source = this.#context.createMediaStreamSource(new MediaStream([this.#copy]));
    this.#source.connect(this.#analyser);
  }

  #read() {
    if (!this.#source) return;
    this.#analyser.getFloatTimeDomainData(this.#samples);
    let sum = 0;
    for (const sample of this.#samples) sum += sample * sample;
    this.#listener(Math.sqrt(sum / this.#samples.length));
  }
}
