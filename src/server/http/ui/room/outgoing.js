// What one sends oneself: microphone, camera and screen, as the person wishes and the room lets. No DOM; runs in node.

export class Outgoing {
  #devices;
  #ask;
  #acts;
  /** Counts what was wished for the microphone: what an older wish waited for is not turned on. */
  #wishes = 0;
  #asking = false;
  #ended = false;
  /** The microphone, if there is one, is silent. */
  muted;
  /** @type {MediaStream | null} the screen that is shared */
  shared = null;

  /**
   * @param {object} from
   * @param {import('./devices.js').Devices} from.devices
   * @param {() => Promise<MediaStream>} from.screen asks for one
   * @param {boolean} from.muted to begin with
   * @param {object} acts
   * @param {(medium: 'audio' | 'video' | 'screen') => boolean} acts.may whether the room lets us; tells the person if not
   * @param {() => void} acts.changed something is turned on or off
   * @param {(stream: MediaStream | null) => void} acts.share a screen, or no longer
   * @param {(fault: import('./devices.js').Unavailable) => void} acts.fault the screen cannot be had
   * @param {(key: 'microphoneOn' | 'cameraOn', on: boolean) => void} acts.keep a wish for the next time
   */
  constructor({devices, screen, muted}, acts) {
    this.#devices = devices;
    this.#ask = screen;
    this.#acts = acts;
    this.muted = muted;
  }

  /** Turns the microphone on or off; the other way if it is not said which. */
  async microphone(on = this.muted || !this.#devices.microphone) {
    if (await this.#sound(on)) this.#acts.keep('microphoneOn', on);
  }

  /** Is heard for as long as a key is held down. Nothing for the next time follows from it. */
  async talk(on) {
    await this.#sound(on);
  }

  /** Turns the camera on or off. */
  async camera() {
    const on = !this.#devices.camera;
    if (on && !this.#acts.may('video')) return;
    this.#acts.keep('cameraOn', on);
    if (on) await this.#devices.open('camera').catch(() => {});
    else this.#devices.close('camera');
    this.#changed();
  }

  /** Shares a screen, or ends that. */
  async screen() {
    if (this.shared) return this.unshare();
    if (this.#asking || !this.#acts.may('screen')) return;
    let stream = null;
    this.#asking = true;
    try {
      stream = await this.#ask();
    } catch (fault) {
      // Who closes the browser's question knows that nothing is shared.
      if (fault.word !== 'denied' && !this.#ended) this.#acts.fault(fault);
    } finally {
      this.#asking = false;
    }
    // The question may stand there for long: the call can be over by now, or we are viewers.
    if (stream && (this.#ended || !this.#acts.may('screen'))) stop(stream);
    else if (stream) this.#share(stream);
  }

  /** Ends the sharing of the screen. */
  unshare() {
    if (!this.shared) return;
    stop(this.shared);
    this.shared = null;
    this.#acts.share(null);
    this.#changed();
  }

  /** A host has turned a medium of ours off. */
  overrule(medium) {
    if (medium === 'audio') {
      this.#mute();
    } else {
      this.#devices.close('camera');
      this.unshare();
    }
    this.#changed();
  }

  /** We may only watch: nothing is captured, and nothing goes on the air by itself when we may speak again. */
  silence() {
    this.#mute();
    for (const kind of ['microphone', 'camera']) this.#devices.close(kind);
    this.unshare();
    this.#changed();
  }

  /** The call is over. Camera and microphone are left to their owner. */
  end() {
    this.#ended = true;
    if (this.shared) stop(this.shared);
    this.shared = null;
  }

  /** @returns {Promise<boolean>} whether it has come to what was wished */
  async #sound(on) {
    if (on && !this.#acts.may('audio')) return false;
    const wish = ++this.#wishes;
    if (on && !this.#devices.microphone) {
      // Silent until it is certain that it is wished still.
      this.muted = true;
      await this.#devices.open('microphone').catch(() => {});
      if (wish !== this.#wishes || !this.#devices.microphone) return false;
    }
    this.muted = !on;
    this.#changed();
    return true;
  }

  #mute() {
    this.#wishes++;
    this.muted = true;
  }

  #share(stream) {
    this.shared = stream;
    // Sharing is ended in the browser's own bar as well.
    stream.getVideoTracks()[0]?.addEventListener('ended', () => this.shared === stream && this.unshare());
    this.#acts.share(stream);
    this.#changed();
  }

  #changed() {
    if (!this.#ended) this.#acts.changed();
  }
}

function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}
