//! Chunks to messages: every chunk stream is assembled on its own.
//!
//! The input is a buffer that the caller appends to; whatever is complete is taken off its front at once, at most a
//! chunk header stays. So a chunk size of any width costs nothing, and no length on the wire reserves memory before
//! the bytes are there.

use super::{RawMessage, kind};
use crate::time::RtmpTime;
use crate::wire::{ByteReader, Truncated};
use bytes::{Buf, BytesMut};
use thiserror::Error;

/// Chunk streams of one connection; real clients use three to seven.
pub const MAX_CHUNK_STREAMS: usize = 64;
/// Bytes of a message until the client has connected.
pub const MAX_MESSAGE_BEFORE_CONNECT: usize = 64 << 10;
/// Bytes of a message from then on.
pub const MAX_MESSAGE: usize = 4 << 20;

/// The chunk size until a peer sets another (section 5.4.1).
const INITIAL_CHUNK_SIZE: usize = 128;
/// In the 24 bits of a timestamp: the real one follows in 32.
const EXTENDED: u32 = 0x00ff_ffff;
/// Two messages of a chunk stream are seldom further apart, in milliseconds.
const CLOSE: u32 = 60_000;
/// Smaller messages are copied out of the input: a slice would keep the caller's whole buffer alive.
const COPY_BELOW: usize = 4 << 10;
/// What is reserved for a message when its first bytes come.
const FIRST_RESERVATION: usize = 16 << 10;

/// Assembles messages.
#[derive(Debug)]
pub struct Decoder {
    chunk_size: usize,
    max_message: usize,
    streams: Vec<ChunkStream>,
    /// The chunk that is being read: index of its stream, and how much of its payload is still to come.
    open: Option<(usize, usize)>,
    /// Bytes that wait in unfinished messages.
    waiting: usize,
}

/// Why the bytes are no chunks. The connection cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ChunkError {
    /// A header leaves out what only an earlier header on its chunk stream could tell.
    #[error("chunk stream {0} begins with a compressed header")]
    NoHeader(u32),
    /// Too many chunk streams.
    #[error("more than {MAX_CHUNK_STREAMS} chunk streams")]
    TooManyStreams,
    /// A message is too long.
    #[error("message of {length} bytes where {limit} are allowed")]
    TooLong {
        /// Its length.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// Too much waits in unfinished messages.
    #[error("too many unfinished messages")]
    TooMuchUnfinished,
    /// A chunk size of 0.
    #[error("chunk size of 0")]
    ChunkSize,
    /// A protocol control message that is too short.
    #[error("protocol control message is too short")]
    Truncated(#[from] Truncated),
}

#[derive(Debug, Default)]
struct ChunkStream {
    id: u32,
    /// Of the current message.
    time: u32,
    /// The last timestamp field: a time in a type-0 header, else a difference.
    field: u32,
    /// Whether that field was extended.
    extended: bool,
    length: usize,
    kind: u8,
    message_stream: u32,
    /// The first byte of the last message.
    first: u8,
    body: BytesMut,
}

impl Decoder {
    /// Accepts messages of up to [`MAX_MESSAGE_BEFORE_CONNECT`].
    #[expect(clippy::new_without_default, reason = "the limit is worth a call by name")]
    pub const fn new() -> Self {
        Self {
            chunk_size: INITIAL_CHUNK_SIZE,
            max_message: MAX_MESSAGE_BEFORE_CONNECT,
            streams: Vec::new(),
            open: None,
            waiting: 0,
        }
    }

    /// Accepts messages of up to [`MAX_MESSAGE`].
    pub const fn set_connected(&mut self) {
        self.max_message = MAX_MESSAGE;
    }

    /// Takes the next message off the front of `input`; `None` when more is needed. Set Chunk Size and Abort are
    /// obeyed here and not passed on.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<RawMessage>, ChunkError> {
        loop {
            if self.open.is_none() && !self.read_header(input)? {
                return Ok(None);
            }
            let message = match self.read_payload(input)? {
                Progress::Starved => return Ok(None),
                Progress::ChunkDone => continue,
                Progress::Message(message) => message,
            };
            match message.kind {
                kind::SET_CHUNK_SIZE => {
                    // 31 bits; the top one must be 0 and is not looked at.
                    self.chunk_size = (ByteReader::new(&message.body).u32()? & 0x7fff_ffff) as usize;
                    if self.chunk_size == 0 {
                        return Err(ChunkError::ChunkSize);
                    }
                }
                kind::ABORT => self.abort(ByteReader::new(&message.body).u32()?),
                _ => return Ok(Some(message)),
            }
        }
    }

    /// Reads a chunk header if all of it is there, and opens its payload.
    fn read_header(&mut self, input: &mut BytesMut) -> Result<bool, ChunkError> {
        let mut reader = ByteReader::new(input);
        let Ok((format, id)) = read_basic_header(&mut reader) else { return Ok(false) };
        let known = self.streams.iter().position(|stream| stream.id == id);
        // librtmp opens its control stream with a header that leaves out the message stream: it means 0.
        if known.is_none() && format > 1 {
            return Err(ChunkError::NoHeader(id));
        }
        let fresh = ChunkStream::default();
        let before = known.and_then(|index| self.streams.get(index)).unwrap_or(&fresh);
        let Ok(header) = read_message_header(&mut reader, format, before) else { return Ok(false) };
        if header.length > self.max_message {
            return Err(ChunkError::TooLong { length: header.length, limit: self.max_message });
        }
        if known.is_none() && self.streams.len() >= MAX_CHUNK_STREAMS {
            return Err(ChunkError::TooManyStreams);
        }
        let taken = input.len() - reader.len();
        input.advance(taken);
        let index = known.unwrap_or_else(|| {
            self.streams.push(ChunkStream { id, ..fresh });
            self.streams.len() - 1
        });
        let stream = &mut self.streams[index]; // found or pushed above
        if format != 3 && !(format == 0 && stream.continues(&header)) {
            // A header of its own amid a message: the sender has given the old one up.
            self.waiting -= stream.body.len();
            stream.body.clear();
        }
        if stream.body.is_empty() {
            stream.time = if format == 0 { header.field } else { stream.time.wrapping_add(header.field) };
        }
        stream.field = header.field;
        stream.extended = header.extended;
        stream.length = header.length;
        stream.kind = header.kind;
        stream.message_stream = header.message_stream;
        self.open = Some((index, self.chunk_size.min(stream.length - stream.body.len())));
        Ok(true)
    }

    /// Reads as much of the open chunk's payload as is there.
    fn read_payload(&mut self, input: &mut BytesMut) -> Result<Progress, ChunkError> {
        let Some((index, left)) = self.open else { return Ok(Progress::ChunkDone) };
        let stream = &mut self.streams[index]; // `open` comes from `read_header`
        let body = if stream.body.is_empty() && left == stream.length && input.len() >= left {
            match left {
                0..COPY_BELOW => input.copy_to_bytes(left),
                _ => input.split_to(left).freeze(),
            }
        } else {
            let taken = left.min(input.len());
            self.waiting += taken;
            if self.waiting > 2 * self.max_message {
                return Err(ChunkError::TooMuchUnfinished);
            }
            stream.append(input, taken);
            if taken < left {
                self.open = Some((index, left - taken));
                return Ok(Progress::Starved);
            }
            if stream.body.len() < stream.length {
                self.open = None;
                return Ok(Progress::ChunkDone);
            }
            self.waiting -= stream.length;
            stream.body.split().freeze()
        };
        self.open = None;
        stream.first = body.first().copied().unwrap_or_default();
        Ok(Progress::Message(RawMessage {
            kind: stream.kind,
            stream: stream.message_stream,
            time: RtmpTime(stream.time),
            body,
        }))
    }

    fn abort(&mut self, id: u32) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.id == id) {
            self.waiting -= stream.body.len();
            stream.body.clear();
        }
    }
}

enum Progress {
    Starved,
    ChunkDone,
    Message(RawMessage),
}

struct Header {
    field: u32,
    extended: bool,
    length: usize,
    kind: u8,
    message_stream: u32,
}

impl ChunkStream {
    /// Whether a whole header repeats that of the unfinished message: some senders, rml_rtmp's among them, begin every
    /// chunk like this.
    fn continues(&self, header: &Header) -> bool {
        !self.body.is_empty()
            && (self.time, self.length) == (header.field, header.length)
            && (self.kind, self.message_stream) == (header.kind, header.message_stream)
    }

    /// Moves bytes behind those that wait. Room grows with what has come, up to the message's length.
    fn append(&mut self, input: &mut BytesMut, count: usize) {
        if self.body.capacity() - self.body.len() < count {
            let missing = self.length - self.body.len();
            self.body.reserve(missing.min(count.max(self.body.len()).max(FIRST_RESERVATION)));
        }
        self.body.extend_from_slice(input.get(..count).unwrap_or_default());
        input.advance(count);
    }
}

/// Format and chunk stream (section 5.3.1.1).
fn read_basic_header(reader: &mut ByteReader<'_>) -> Result<(u8, u32), Truncated> {
    let first = reader.u8()?;
    let id = match first & 0x3f {
        0 => 64 + u32::from(reader.u8()?),
        1 => reader.array().map(|[low, high]| 64 + u32::from(low) + 256 * u32::from(high))?,
        id => id.into(),
    };
    Ok((first >> 6, id))
}

/// Sections 5.3.1.2 and 5.3.1.3; what the format leaves out is as `before`.
fn read_message_header(
    reader: &mut ByteReader<'_>,
    format: u8,
    before: &ChunkStream,
) -> Result<Header, Truncated> {
    let mut header = Header {
        field: before.field,
        extended: before.extended,
        length: before.length,
        kind: before.kind,
        message_stream: before.message_stream,
    };
    if format == 3 {
        if before.extended {
            skip_repeated_timestamp(reader, before)?;
        }
        return Ok(header);
    }
    let field = reader.u24()?;
    if format < 2 {
        header.length = reader.u24()? as usize; // 24 bits
        header.kind = reader.u8()?;
    }
    if format == 0 {
        header.message_stream = reader.u32_le()?;
    }
    header.extended = field == EXTENDED && !(format == 0 && is_plain(reader, before, header.kind)?);
    header.field = if header.extended { reader.u32()? } else { field };
    Ok(header)
}

/// Whether a time is 2^24 - 1 and no more: a client that knows 24 bits gets there after 4 h 39 min, and what follows is the payload.
/// It begins as the message before did, with the byte that names the codec, and would be a time hours away.
fn is_plain(reader: &ByteReader<'_>, before: &ChunkStream, kind: u8) -> Result<bool, Truncated> {
    let is_close = |time: u32| time.wrapping_sub(before.time) <= CLOSE;
    if !is_close(EXTENDED) || kind != before.kind {
        return Ok(false);
    }
    let next = reader.clone().u32()?;
    let [first, ..] = next.to_be_bytes();
    let is_payload = match kind {
        kind::AUDIO => first == before.first && first >> 4 < 15,
        // The kind of picture may be another one.
        kind::VIDEO => first & 15 == before.first & 15 && (1..=5).contains(&(first >> 4)),
        _ => false,
    };
    Ok(is_payload && !is_close(next))
}

/// Type-3 chunks repeat an extended timestamp, says the specification; some senders do not, and some write the
/// message's time where the header had a difference. Whoever does neither has payload there, which looks like the
/// timestamp once in 2^32.
fn skip_repeated_timestamp(reader: &mut ByteReader<'_>, before: &ChunkStream) -> Result<(), Truncated> {
    let candidates = [before.field.to_be_bytes(), before.time.to_be_bytes()];
    let next = reader.rest();
    if candidates.iter().any(|repeated| next.starts_with(repeated)) {
        reader.bytes(4)?;
    } else if next.len() < 4 && candidates.iter().any(|repeated| repeated.starts_with(next)) {
        return Err(Truncated); // cannot be told yet
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rtmp::chunk::kind::{AUDIO, VIDEO};

    /// A type-0 chunk: `length` is what its header says, `body` what follows.
    fn chunk(id: u8, time: u32, length: u32, kind: u8, stream: u32, body: &[u8]) -> Vec<u8> {
        let mut out = vec![id];
        out.extend(&time.min(EXTENDED).to_be_bytes()[1..]);
        out.extend(&length.to_be_bytes()[1..]);
        out.push(kind);
        out.extend(stream.to_le_bytes());
        if time >= EXTENDED {
            out.extend(time.to_be_bytes());
        }
        out.extend(body);
        out
    }

    fn whole(id: u8, kind: u8, body: &[u8]) -> Vec<u8> {
        chunk(id, 0, body.len() as u32, kind, 1, body)
    }

    fn decode(input: &[u8]) -> Result<Vec<RawMessage>, ChunkError> {
        let (mut decoder, mut input) = (Decoder::new(), BytesMut::from(input));
        let mut messages = Vec::new();
        while let Some(message) = decoder.decode(&mut input)? {
            messages.push(message);
        }
        Ok(messages)
    }

    /// Kind, length, time, and the byte that all of the body consists of.
    fn summary(input: &[u8]) -> Vec<(u8, usize, u32, u8)> {
        decode(input)
            .unwrap()
            .into_iter()
            .map(|message| {
                let first = message.body.first().copied().unwrap_or_default();
                assert!(message.body.iter().all(|byte| *byte == first), "mixed up: {:?}", message.body);
                (message.kind, message.body.len(), message.time.0, first)
            })
            .collect()
    }

    #[test]
    fn chunk_streams_interleave() {
        let mut input = chunk(6, 0, 200, VIDEO, 1, &[1; 128]);
        input.extend(chunk(4, 0, 50, AUDIO, 1, &[2; 50]));
        input.push(0xc6);
        input.extend([1; 72]);
        assert_eq!(summary(&input), [(AUDIO, 50, 0, 2), (VIDEO, 200, 0, 1)]);
    }

    #[test]
    fn an_aborted_message_is_forgotten() {
        let mut input = chunk(6, 0, 200, VIDEO, 1, &[1; 128]);
        input.extend(whole(2, kind::ABORT, &6u32.to_be_bytes()));
        input.extend(whole(6, VIDEO, &[9; 5]));
        assert_eq!(summary(&input), [(VIDEO, 5, 0, 9)]);
        let mut given_up = chunk(6, 0, 200, VIDEO, 1, &[1; 128]);
        given_up.extend(whole(6, VIDEO, &[9; 5]));
        assert_eq!(summary(&given_up), [(VIDEO, 5, 0, 9)], "without an Abort");
    }

    #[test]
    fn a_whole_header_may_be_repeated() {
        let start = chunk(6, 5, 200, VIDEO, 1, &[1; 128]);
        assert_eq!(summary(&[&start[..], &start[..12], &[1; 72]].concat()), [(VIDEO, 200, 5, 1)]);
    }

    #[test]
    fn extended_timestamps_repeated_or_not() {
        let time = 0x0100_0000;
        let start = chunk(6, time, 200, VIDEO, 1, &[7; 128]);
        for repeated in [&time.to_be_bytes()[..], &[]] {
            let input = [&start[..], &[0xc6], repeated, &[7; 72]].concat();
            assert_eq!(summary(&input), [(VIDEO, 200, time, 7)]);
        }
    }

    #[test]
    fn the_last_time_of_24_bits_may_stand_alone() {
        let last = |payload: [u8; 5]| {
            let mut input = chunk(4, EXTENDED - 23, 5, AUDIO, 1, &[0xaf, 1, 1, 1, 1]);
            input.extend([4, 0xff, 0xff, 0xff, 0, 0, 5, AUDIO, 1, 0, 0, 0]);
            input.extend(payload);
            input
        };
        let mut wrapped = last([0xaf, 1, 2, 2, 2]);
        wrapped.extend(chunk(4, 22, 5, AUDIO, 1, &[0xaf, 1, 3, 3, 3]));
        let times = |input: &[u8]| -> Vec<_> {
            decode(input).unwrap().iter().map(|message| (message.time.0, message.body.len())).collect()
        };
        assert_eq!(times(&wrapped), [(EXTENDED - 23, 5), (EXTENDED, 5), (22, 5)]);
        // The same of one that goes on in 32 bits.
        let mut extended = last([0x01, 0, 0, 5, 0xaf]);
        extended.extend([1, 4, 4, 4]);
        assert_eq!(times(&extended), [(EXTENDED - 23, 5), (EXTENDED + 6, 5)]);
    }

    #[test]
    fn a_difference_may_be_extended_and_the_time_wraps() {
        let mut input = chunk(4, 0xffff_fff0, 1, VIDEO, 1, &[3]);
        input.extend([0x84, 0, 0, 0x20, 3]); // 32 ms on
        input.extend([0x84, 0xff, 0xff, 0xff, 1, 0, 0, 0, 3]); // 2^24 ms on
        input.extend([0xc4, 1, 0, 0, 0, 3]); // and again, repeated
        input.extend([0xc4, 3]); // and again, not repeated
        let times: Vec<_> = summary(&input).into_iter().map(|(_, _, time, _)| time).collect();
        assert_eq!(times, [0xffff_fff0, 0x10, 0x0100_0010, 0x0200_0010, 0x0300_0010]);
    }

    #[test]
    fn chunk_sizes_of_any_width() {
        let mut input = whole(2, kind::SET_CHUNK_SIZE, &1u32.to_be_bytes());
        input.extend(chunk(4, 0, 3, AUDIO, 1, &[5, 0xc4, 5, 0xc4, 5]));
        input.extend(chunk(2, 0, 4, kind::SET_CHUNK_SIZE, 0, &[0x7f, 0xc2, 0xff, 0xc2, 0xff, 0xc2, 0xff]));
        input.extend(whole(6, VIDEO, &[8; 60_000]));
        assert_eq!(summary(&input), [(AUDIO, 3, 0, 5), (VIDEO, 60_000, 0, 8)]);
        assert_eq!(decode(&whole(2, kind::SET_CHUNK_SIZE, &[0; 4])), Err(ChunkError::ChunkSize));
        assert_eq!(decode(&whole(2, kind::SET_CHUNK_SIZE, &[0; 3])), Err(Truncated.into()));
    }

    #[test]
    fn ids_of_two_and_three_bytes() {
        let tail = &chunk(0, 0, 1, AUDIO, 1, &[1])[1..];
        let input = [&[0, 3][..], tail, &[1, 2, 1], tail, &[0xc0, 3, 1], &[0xc1, 2, 1, 1]].concat();
        assert_eq!(summary(&input).len(), 4);
        assert_eq!(decode(&[0xc0, 3]), Err(ChunkError::NoHeader(67)));
        assert_eq!(decode(&[0xc1, 2, 1]), Err(ChunkError::NoHeader(64 + 2 + 256)));
    }

    #[test]
    fn a_first_header_may_leave_out_the_stream_only() {
        assert_eq!(summary(&[0x42, 0, 0, 5, 0, 0, 1, 4, 9]), [(4, 1, 5, 9)], "librtmp's control stream");
        assert_eq!(decode(&[0x82, 0, 0, 0]), Err(ChunkError::NoHeader(2)));
    }

    #[test]
    fn empty_messages_are_messages() {
        assert_eq!(summary(&chunk(4, 7, 0, AUDIO, 1, &[])), [(AUDIO, 0, 7, 0)]);
    }

    #[test]
    fn limits() {
        let long = chunk(4, 0, MAX_MESSAGE_BEFORE_CONNECT as u32 + 1, VIDEO, 1, &[]);
        let limit = MAX_MESSAGE_BEFORE_CONNECT;
        assert_eq!(decode(&long), Err(ChunkError::TooLong { length: limit + 1, limit }));
        let mut decoder = Decoder::new();
        decoder.set_connected();
        assert_eq!(decoder.decode(&mut BytesMut::from(&long[..])), Ok(None));

        let mut many: Vec<u8> = (2..64).flat_map(|id| chunk(id, 0, 0, AUDIO, 1, &[])).collect();
        many.extend([0, 1].into_iter().flat_map(|id| [&[0, id][..], &[0; 11]].concat()));
        assert_eq!(summary(&many).len(), MAX_CHUNK_STREAMS);
        many.extend([&[0, 2][..], &[0; 11]].concat());
        assert_eq!(decode(&many), Err(ChunkError::TooManyStreams));
    }

    #[test]
    fn unfinished_messages_are_bounded() {
        let (mut decoder, mut result) = (Decoder::new(), Ok(None));
        decoder
            .decode(&mut BytesMut::from(&whole(2, kind::SET_CHUNK_SIZE, &60_000u32.to_be_bytes())[..]))
            .unwrap();
        for id in 3..8 {
            let input = chunk(id, 0, MAX_MESSAGE_BEFORE_CONNECT as u32, VIDEO, 1, &[0; 60_000]);
            result = decoder.decode(&mut BytesMut::from(&input[..]));
        }
        assert_eq!(result, Err(ChunkError::TooMuchUnfinished));
    }

    #[test]
    fn a_length_alone_reserves_nothing() {
        let mut decoder = Decoder::new();
        decoder.set_connected();
        let input = chunk(4, 0, MAX_MESSAGE as u32, VIDEO, 1, &[0; 10]);
        decoder.decode(&mut BytesMut::from(&input[..])).unwrap();
        assert!(decoder.streams[0].body.capacity() <= FIRST_RESERVATION);
    }
}
