// A WebSocket in memory with a server's hand at the other end.

export class Socket {
  readyState = 0;
  sent = [];
  onopen = null;
  onmessage = null;
  onclose = null;
  /** Called with each message of the client. */
  served = () => {};

  send(text) {
    const {message, data} = JSON.parse(text);
    this.sent.push([message, ...data]);
    this.served(message, data[0]);
  }

  close(code = 1005) {
    if (this.readyState === 3) return;
    this.readyState = 3;
    queueMicrotask(() => this.onclose?.({code}));
  }

  open() {
    if (this.readyState === 3) return;
    this.readyState = 1;
    this.onopen?.({});
  }

  say(message, ...data) {
    this.onmessage?.({data: JSON.stringify({message, data})});
  }

  event(roomName, name, commonroom) {
    this.say('OnDataEvent', {payload: {roomName, name, info: 'for others', commonroom}});
  }

  /** The messages of one name, each its argument. */
  of(name) {
    return this.sent.filter(([message]) => message === name).map(([, argument]) => argument);
  }
}

/** A server that lets everybody in: greets, acknowledges, and tells the state of an empty room. */
export function friendly(socket, {state = {}, refuse = null} = {}) {
  socket.served = (message, argument) => queueMicrotask(() => {
    if (message === 'connection') socket.say('getUserData', {status: 'ESTABLISHED', commonroom: {version: 1, rtmpPort: 1936}});
    if (message !== 'sendData') return;
    const {operationId, payload: {command, options}} = argument;
    if (refuse) return socket.say('DataStatusEvent', {operationId, status: 'FAILED', ...refuse});
    socket.say('DataStatusEvent', {operationId, status: 'ACCEPTED', commonroom: command === 'sendMessage' ? {id: 7, time: 8} : undefined});
    if (command === 'join') {
      socket.event(options.name, 'STATE', {
        you: {login: 'anna', role: 'speaker'}, participants: [], messages: [], locked: false, recording: false, limits: {}, ...state,
      });
    }
  });
  queueMicrotask(() => socket.open());
  return socket;
}

/** Until what was begun has gone on as far as it can without time passing. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));
