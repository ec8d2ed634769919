// Says what is wrong with an MP4 file, line by line, and nothing of one that is right: `node check.js MODULES FILE`.
//
// The boxes are read by MP4Box.js, which has nothing of ours; what it has read is then held against itself, as ISO/IEC 14496-12 wants
// it: boxes that fill each other exactly, tables that speak of the same samples, and samples that lie where they are said to lie.
const {readFileSync} = require('fs');
const {createRequire} = require('module');
const [, , modules, path] = process.argv;
const {createFile, Log} = createRequire(`${modules}/`)('mp4box');

const faults = [];
const fault = (where, what) => faults.push(`${where}: ${what}`);
process.on('exit', () => process.stdout.write(faults.map((line) => `${line}\n`).join('')));
// What is broken may break the reader.
process.on('uncaughtException', ({message}) => fault('reader', message));

// What the reader itself finds odd.
Log.setLogLevel(Log.warn);
for (const name of ['log', 'info', 'warn', 'error', 'debug']) {
  console[name] = (...text) => fault('reader', text.join(' '));
}

const bytes = readFileSync(path);
const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
buffer.fileStart = 0;
const file = createFile();
file.onError = (module, message) => fault(module, message);
file.appendBuffer(buffer);
file.flush();

// ---- boxes

// Where the first box within a box stands, for those that have boxes.
const HEADS = {
  moov: 8, trak: 8, mdia: 8, minf: 8, dinf: 8, stbl: 8, mvex: 8, moof: 8, traf: 8, edts: 8, udta: 8, dref: 16, stsd: 16,
  avc1: 86, avc3: 86, hvc1: 86, hev1: 86, av01: 86, vp09: 86, mp4a: 36, Opus: 36,
};
const children = (box) => box.boxes?.length ? box.boxes : box.entries?.every?.((entry) => entry.type) ? box.entries : [];

// The boxes from `at` on fill everything up to `end`.
function fill(where, boxes, at, end) {
  for (const box of boxes) {
    if (box.start !== at) fault(where, `${box.type} at ${box.start}, where ${at} is next`);
    at = box.start + box.size;
    if (box.constructor.name === 'Box') fault(where, `${box.type} is unknown`);
    const head = HEADS[box.type];
    if (head) fill(`${where}/${box.type}`, children(box), box.start + head, at);
  }
  if (at !== end) fault(where, `its boxes end at ${at}, not at ${end}`);
}
fill('file', file.boxes, 0, bytes.length);

function only(parent, where, ...types) {
  for (const type of types) {
    const count = parent?.boxes?.filter((box) => box.type === type).length ?? 0;
    if (count !== 1) fault(where, `${count} of ${type}`);
  }
}
only({boxes: file.boxes}, 'file', 'ftyp', 'moov');
if (file.boxes[0]?.type !== 'ftyp') fault('file', 'ftyp is not the first');
const media = file.boxes.filter(({type}) => type === 'mdat')
  .map(({start, size, hdr_size}) => ({from: start + hdr_size, to: start + size}));

// ---- samples

const NAL_IDR = 5, NAL_SPS = 7, NAL_PPS = 8;

// The types of a sample's NAL units, which fill it.
function nals(where, {offset, size}, length) {
  const types = [];
  let at = offset;
  while (at + length < offset + size) {
    types.push(bytes[at + length] & 31);
    at += length + bytes.readUIntBE(at, length);
  }
  if (at !== offset + size) fault(where, `NAL units end at ${at}, the sample at ${offset + size}`);
  return types;
}

// What is true of samples wherever their tables stand; `last` is the sample before the first.
function look(where, entry, samples) {
  let dts = -1;
  const shown = new Set();
  for (const [index, sample] of samples.entries()) {
    const here = `${where} sample ${index + 1}`;
    if (sample.duration < 0 || sample.dts < dts) fault(here, `decoded at ${sample.dts}, after ${dts}`);
    ({dts} = sample);
    const at = sample.dts + sample.cts;
    if (at < 0 || shown.has(at)) fault(here, `shown at ${at}, as another or before the beginning`);
    shown.add(at);
    if (sample.size === 0) fault(here, 'is empty');
    if (!media.some(({from, to}) => sample.offset >= from && sample.offset + sample.size <= to)) {
      fault(here, `${sample.offset} and ${sample.size} bytes are not within the media`);
      continue;
    }
    if (index === 0 && !sample.sync) fault(here, 'needs another before it');
    if (!entry.avcC) continue;
    const types = nals(here, sample, entry.avcC.lengthSizeMinusOne + 1);
    if (types.includes(NAL_IDR) !== sample.sync) fault(here, `of NAL units ${types} has sync ${sample.sync}`);
    if (entry.type === 'avc1' && types.some((type) => type === NAL_SPS || type === NAL_PPS)) {
      fault(here, 'has parameter sets, which avc1 has not');
    }
  }
}

// No byte belongs to two samples.
function apart(samples) {
  samples.sort((a, b) => a.offset - b.offset);
  for (const [index, {offset, size}] of samples.entries()) {
    if (offset + size > samples[index + 1]?.offset) fault('media', `two samples lie over each other at ${offset}`);
  }
}

const sum = (list) => list.reduce((total, value) => total + value, 0);
// Run lengths, spelled out.
const spell = (counts, values) => counts.flatMap((count, index) => Array(count).fill(values[index]));

// The samples of a track by the tables of an ordinary file.
function tabled(where, {stts, ctts, stsz, stsc, stco, co64, stss}, entry) {
  const count = stsz.sample_count, sizes = stsz.sample_size ? Array(count).fill(stsz.sample_size) : stsz.sample_sizes;
  const durations = spell(stts.sample_counts, stts.sample_deltas);
  const later = ctts ? spell(ctts.sample_counts, ctts.sample_offsets) : Array(count).fill(0);
  for (const [name, {length}] of Object.entries({stsz: sizes, stts: durations, ctts: later})) {
    if (length !== count) fault(where, `${name} has ${length} samples of ${count}`);
  }
  const places = (co64 ?? stco).chunk_offsets, {first_chunk: firsts, samples_per_chunk: wide} = stsc;
  if (count && firsts[0] !== 1) fault(where, `stsc begins with chunk ${firsts[0]}`);
  if (stsc.sample_description_index.some((index) => index !== 1)) fault(where, 'stsc names another description');
  const offsets = [];
  for (const [index, first] of firsts.entries()) {
    const next = firsts[index + 1] ?? places.length + 1;
    if (next <= first) fault(where, `stsc goes from chunk ${first} to ${next}`);
    for (let chunk = first; chunk < next; chunk++) {
      for (let at = places[chunk - 1], left = wide[index]; left > 0; left--) {
        offsets.push(at);
        at += sizes[offsets.length - 1];
      }
    }
  }
  if (offsets.length !== count) fault(where, `the chunks have ${offsets.length} samples of ${count}`);
  const keys = stss?.sample_numbers;
  if (keys?.some((number, index) => number > count || number <= (keys[index - 1] ?? 0))) fault(where, `stss is ${keys}`);
  if (!stss && entry.avcC && count) fault(where, 'has no stss');
  const sync = new Set(keys);
  let dts = 0;
  return offsets.map((offset, index) => {
    const sample = {offset, size: sizes[index], dts, cts: later[index], duration: durations[index], sync: !keys || sync.has(index + 1)};
    dts += durations[index];
    return sample;
  });
}

// ---- an ordinary file

const {moov} = file;
const traks = moov?.traks ?? [], entries = new Map(), growing = file.boxes.some(({type}) => type === 'moof');
only(moov, 'moov', 'mvhd');
const held = [];
for (const {tkhd, mdia, boxes, edts} of traks) {
  const where = `track ${tkhd?.track_id}`;
  only({boxes}, where, 'tkhd', 'mdia');
  only(mdia, where, 'mdhd', 'hdlr', 'minf');
  const {minf, mdhd} = mdia, {stbl} = minf;
  only(minf, where, mdia.hdlr.handler === 'vide' ? 'vmhd' : 'smhd', 'dinf', 'stbl');
  only(stbl, where, 'stsd', 'stts', 'stsc', 'stsz');
  const [entry] = stbl.stsd.entries, references = minf.dinf.dref.entries;
  if (stbl.stsd.entries.length !== 1) fault(where, `${stbl.stsd.entries.length} descriptions`);
  if (!references[entry.data_reference_index - 1]) fault(where, `data reference ${entry.data_reference_index} of ${references.length}`);
  if (entries.has(tkhd.track_id) || tkhd.track_id >= moov.mvhd.next_track_id) fault(where, 'its number is taken, or to be taken');
  entries.set(tkhd.track_id, entry);
  const samples = tabled(where, stbl, entry);
  look(where, entry, samples);
  held.push(...samples);
  const lasts = sum(samples.map(({duration}) => duration));
  if (mdhd.duration !== lasts) fault(where, `mdhd says ${mdhd.duration}, its samples ${lasts}`);
  const scaled = mdhd.duration * moov.mvhd.timescale / mdhd.timescale;
  if (!edts && Math.abs(tkhd.duration - scaled) > 1) fault(where, `tkhd says ${tkhd.duration}, mdhd ${scaled}`);
  if (tkhd.duration > moov.mvhd.duration) fault(where, `tkhd says ${tkhd.duration}, mvhd ${moov.mvhd.duration}`);
}
if (traks.length === 0) fault('moov', 'has no track');
const longest = Math.max(...traks.map(({tkhd}) => tkhd.duration));
if (moov && moov.mvhd.duration !== longest) fault('moov', `mvhd says ${moov.mvhd.duration}, the longest track ${longest}`);
if (!growing && held.length === 0) fault('moov', 'has no sample');
if (!growing && moov?.mvex) fault('moov', 'announces fragments that are not there');

// ---- fragments

const BASE_IS_MOOF = 0x020000, NOT_SYNC = 0x010000;
if (growing) {
  const known = new Set(moov.mvex?.trexs?.map(({track_id}) => track_id));
  for (const id of entries.keys()) if (!known.has(id)) fault('mvex', `knows nothing of track ${id}`);
  const tracks = new Map([...entries.keys()].map((id) => [id, []])), ends = new Map();
  let number = 0;
  for (const [index, moof] of file.boxes.entries()) {
    if (moof.type !== 'moof') continue;
    const where = `fragment ${moof.mfhd.sequence_number}`, mdat = file.boxes[index + 1];
    only(moof, where, 'mfhd');
    if (moof.mfhd.sequence_number <= number) fault(where, `comes after ${number}`);
    number = moof.mfhd.sequence_number;
    if (mdat?.type !== 'mdat') fault(where, 'is not followed by its media');
    for (const {tfhd, tfdt, truns, boxes} of moof.trafs) {
      only({boxes}, where, 'tfhd', 'tfdt');
      if (tfhd.flags !== BASE_IS_MOOF) fault(where, `tfhd has flags ${tfhd.flags}`);
      const track = tracks.get(tfhd.track_id);
      if (!track) fault(where, `is of track ${tfhd.track_id}`);
      let dts = tfdt.baseMediaDecodeTime;
      if (dts < (ends.get(tfhd.track_id) ?? 0)) fault(where, `begins at ${dts}, before the end of the last`);
      for (const trun of truns) {
        let offset = moof.start + trun.data_offset;
        for (let at = 0; at < trun.sample_count; at++) {
          const size = trun.sample_size[at], duration = trun.sample_duration[at], flags = trun.sample_flags[at] ?? 0;
          track?.push({offset, size, dts, duration, cts: trun.sample_composition_time_offset[at] ?? 0, sync: !(flags & NOT_SYNC)});
          offset += size;
          dts += duration;
        }
        if (offset > mdat.start + mdat.size) fault(where, `its samples end at ${offset}, its media at ${mdat.start + mdat.size}`);
      }
      ends.set(tfhd.track_id, dts);
    }
  }
  for (const [id, samples] of tracks) {
    look(`track ${id}`, entries.get(id), samples);
    held.push(...samples);
  }
  const room = sum(media.map(({from, to}) => to - from)), used = sum(held.map(({size}) => size));
  if (room !== used) fault('media', `${used} bytes are of samples, of ${room}`);
}
apart(held);
