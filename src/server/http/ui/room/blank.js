// A black picture, sent while the camera is off: so the stream stays one of sound and picture, players of every kind go on
// playing it, and the camera comes back without a new connection.

const WIDTH = 640, HEIGHT = 360;
/** One picture a second is enough to begin with, in milliseconds. */
const PERIOD = 1_000;

/** @returns {MediaStreamTrack} stop it after use */
export function blank() {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [WIDTH, HEIGHT];
  const context = canvas.getContext('2d');
  const [track] = canvas.captureStream(0).getVideoTracks();
  const draw = () => {
    if (track.readyState === 'ended') return clearInterval(timer);
    context.fillStyle = '#000';
    context.fillRect(0, 0, WIDTH, HEIGHT);
    track.requestFrame?.();
  };
  const timer = setInterval(draw, PERIOD);
  draw();
  return track;
}
