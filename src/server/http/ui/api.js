// What the pages ask the HTTP API. No DOM.

import {current, known} from './room/text.js';

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
 * @returns {Promise<{rtmpPort?: number, httpsPort?: number, recordings?: boolean}>} without `httpsPort` while TLS is off;
 *   `recordings`: whether they may be seen
 */
export async function server() {
  const {rtmp_port: rtmpPort, https_port: httpsPort, recordings} = await get('/api/v1/server');
  return {rtmpPort, httpsPort, recordings};
}

/**
 * Where the same page is served over TLS.
 *
 * @param {URL} page
 * @returns {Promise<string | null>} null while TLS is off, or if the server does not tell
 */
export async function secureAddress(page) {
  const {httpsPort} = await server().catch(() => ({}));
  if (!httpsPort) return null;
  const address = new URL(page);
  address.protocol = 'https:';
  address.port = httpsPort;
  return address.href;
}

/**
 * The recorded sessions, the latest first.
 *
 * @param {{room?: string | null, before?: string | null}} which of one room; those before the `next` of an answer
 */
export function recordings({room, before}) {
  const asked = Object.entries({room, before}).filter(([, value]) => value);
  return get(`/api/v1/recordings?${new URLSearchParams(asked)}`);
}

/** What a recorded session consists of. */
export const recorded = (room, session) => get(recordedFile(room, session));

/** Where a file of a recorded session is; without a name, where the session is. */
export const recordedFile = (...names) => `/api/v1/recordings/${names.map(encodeURIComponent).join('/')}`;

/** The same for a player: it gets pieces, so that many players share the few connections that a browser has to a server. */
export const playedFile = (...names) => `${recordedFile(...names)}?pieces`;

/** Deletes a recorded session, or a file of one. It throws what the server says against it. */
export async function remove(...names) {
  const response = await fetch(recordedFile(...names), {method: 'DELETE'});
  // Somebody was quicker.
  if (response.ok || response.status === 404) return;
  const {message} = await response.json().catch(() => ({}));
  throw new Error(message ?? `${response.status}`);
}

/** @typedef {{text: string, warning: boolean}} Remark */

/**
 * Whether the room is recorded; and what the server does to a stream and why, in its words: warnings, which the publisher can do
 * something about, first.
 *
 * @param {string} room
 * @param {string} participant
 * @returns {Promise<{recording: boolean, remarks: Remark[]}>}
 */
export async function about(room, participant) {
  const live = await rooms();
  if (!live.some((other) => other.room === room)) return {recording: false, remarks: []};
  const {participants, recording} = await get(`/api/v1/rooms/${encodeURIComponent(room)}`);
  const streams = participants.filter(({name}) => name === participant).flatMap(({streams}) => streams);
  const told = new Map();
  for (const warning of streams.flatMap(({warnings}) => warnings)) told.set(words(warning), true);
  // The same codec in another wrapping loses nothing, and is no news to anybody.
  const changed = streams.flatMap(({renditions}) => renditions).filter(({codec, from}) => codec !== from.codec);
  for (const rendition of changed) told.set(words(rendition), told.get(words(rendition)) ?? false);
  return {recording, remarks: [...told].map(([text, warning]) => ({text, warning}))};
}

/** The server's own words have the encoder's settings in them, but they are English. */
const words = ({reason, message}) => (current() === 'en' ? null : known('reason', reason)) ?? message;

async function get(path) {
  const response = await fetch(path, {headers: {Accept: 'application/json'}});
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}
