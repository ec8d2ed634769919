// What the pages ask the HTTP API. No DOM.

/** @typedef {{room: string, participants: string[]}} Live */

/**
 * Who is live, in order of names.
 *
 * @returns {Promise<Live[]>}
 */
export async function rooms() {
  const {rooms} = await get('/api/v1/rooms');
  return rooms.map(({name, participants}) => ({room: name, participants: participants.map(({name}) => name)}));
}

/**
 * Where the server listens.
 *
 * @returns {Promise<{rtmpPort?: number}>}
 */
export async function server() {
  const {rtmp_port: rtmpPort} = await get('/api/v1/server');
  return {rtmpPort};
}

/**
 * What the server does to a stream that its publisher should know of, in its words.
 *
 * @param {string} room
 * @param {string} participant
 * @returns {Promise<string[]>}
 */
export async function reasons(room, participant) {
  const {participants} = await get(`/api/v1/rooms/${room}`);
  const streams = participants.filter(({name}) => name === participant).flatMap(({streams}) => streams);
  return [...new Set(streams.flatMap(({renditions}) => renditions).map(({reason}) => reason).filter(Boolean))];
}

async function get(path) {
  const response = await fetch(path, {headers: {Accept: 'application/json'}});
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}
