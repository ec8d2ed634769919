//! Messages to chunks.
//!
//! Commands and control go through rml_rtmp's serialiser. Media to players have a way of their own, on which the payload
//! is not copied: header bytes and slices of the shared payload, for vectored writes.

use super::{RawMessage, kind};
use crate::time::RtmpTime;
use bytes::{BufMut, Bytes, BytesMut};
use rml_rtmp::chunk_io::ChunkSerializer;
use rml_rtmp::messages::MessagePayload;
use rml_rtmp::time::RtmpTimestamp;

/// The chunk size we set: with it nearly every picture is one chunk. Flash Player takes at most 65,536.
pub const CHUNK_SIZE: u32 = 60_000;

const INITIAL_CHUNK_SIZE: usize = 128;
const EXTENDED: u32 = 0x00ff_ffff;
const AUDIO_CHUNK_STREAM: u8 = 5;
const VIDEO_CHUNK_STREAM: u8 = 4;
/// Headers are cut from blocks of this size.
const BLOCK: usize = 4 << 10;

/// Makes chunks of messages, for one receiver. What it gives must be sent in order and completely.
pub struct Encoder {
    serializer: ChunkSerializer,
    chunk_size: usize,
    block: BytesMut,
}

impl Encoder {
    /// Chunks of 128 bytes, as the specification begins.
    #[expect(clippy::new_without_default, reason = "an encoder does not come about by default")]
    pub fn new() -> Self {
        Self { serializer: ChunkSerializer::new(), chunk_size: INITIAL_CHUNK_SIZE, block: BytesMut::new() }
    }

    /// The message that sets the chunk size to [`CHUNK_SIZE`], which holds from the next message on.
    pub fn set_chunk_size(&mut self) -> Bytes {
        self.chunk_size = CHUNK_SIZE as usize;
        let packet = self.serializer.set_max_chunk_size(CHUNK_SIZE, RtmpTimestamp::new(0));
        packet.expect("a valid size, and memory does not fail").bytes.into()
    }

    /// Control, commands and data: few and small. An empty body gives no bytes; no such message has one.
    pub fn message(&mut self, message: RawMessage) -> Bytes {
        let payload = MessagePayload {
            timestamp: RtmpTimestamp::new(message.time.0),
            type_id: message.kind,
            message_stream_id: message.stream,
            data: message.body,
        };
        // "Can be dropped" has each message begin with a whole header, so no time is ever a difference, which the
        // library gets wrong backwards. To "force uncompressed" would repeat that header amid the message.
        match self.serializer.serialize(&payload, false, true) {
            Ok(packet) => packet.bytes.into(),
            // Over 16 MB, which no reply of ours is.
            Err(_) => Bytes::new(),
        }
    }

    /// A message of audio or video: `head` is copied, `payload` shared. The parts come behind the end of `out`.
    pub fn media(
        &mut self,
        kind: u8,
        stream: u32,
        time: RtmpTime,
        head: &[u8],
        payload: &Bytes,
        out: &mut impl Extend<Bytes>,
    ) {
        let id = if kind == kind::VIDEO { VIDEO_CHUNK_STREAM } else { AUDIO_CHUNK_STREAM };
        // 24 bits: payloads come past the readers' limits, which are far below.
        let length = u32::try_from(head.len() + payload.len()).unwrap_or(u32::MAX);
        if self.block.capacity() - self.block.len() < 64 {
            self.block.reserve(BLOCK);
        }
        self.block.put_u8(id);
        self.block.put_uint(time.0.min(EXTENDED).into(), 3);
        self.block.put_uint(length.min(EXTENDED).into(), 3);
        self.block.put_u8(kind);
        self.block.put_u32_le(stream);
        self.put_extended(time);
        self.block.put_slice(head);
        let mut rest = payload.clone();
        let mut room = self.chunk_size - head.len(); // a head has 5 bytes at most
        loop {
            out.extend([self.block.split().freeze()]);
            let part = rest.split_to(room.min(rest.len()));
            if !part.is_empty() {
                out.extend([part]);
            }
            if rest.is_empty() {
                return;
            }
            self.block.put_u8(0xc0 | id);
            self.put_extended(time);
            room = self.chunk_size;
        }
    }

    fn put_extended(&mut self, time: RtmpTime) {
        if time.0 >= EXTENDED {
            self.block.put_u32(time.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rtmp::chunk::Decoder;
    use proptest::prelude::*;

    fn messages() -> impl Strategy<Value = Vec<RawMessage>> {
        let kinds = prop::sample::select(vec![kind::AUDIO, kind::VIDEO, kind::COMMAND, kind::DATA]);
        let times = prop_oneof![0..100u32, 0x00ff_fff0..0x0100_0010u32, u32::MAX - 20..u32::MAX];
        let message = (kinds, 0..4u32, times, 1..2_000usize, any::<u8>()).prop_map(
            |(kind, stream, time, length, fill)| RawMessage {
                kind,
                stream,
                time: RtmpTime(time),
                body: vec![fill; length].into(),
            },
        );
        prop::collection::vec(message, 0..20)
    }

    fn encode(messages: &[RawMessage], large_from: usize) -> Vec<u8> {
        let (mut encoder, mut out) = (Encoder::new(), Vec::<Bytes>::new());
        for (at, message) in messages.iter().enumerate() {
            if at == large_from {
                out.push(encoder.set_chunk_size());
            }
            match message.kind {
                kind::AUDIO | kind::VIDEO => {
                    let (head, payload) = (message.body.slice(..1), message.body.slice(1..));
                    encoder.media(message.kind, message.stream, message.time, &head, &payload, &mut out);
                }
                _ => out.push(encoder.message(message.clone())),
            }
        }
        out.concat()
    }

    #[test]
    fn payloads_are_shared() {
        let payload = Bytes::from(vec![7; 1_000]);
        let mut out = Vec::<Bytes>::new();
        Encoder::new().media(kind::VIDEO, 1, RtmpTime(5), &[1, 2, 3, 4, 5], &payload, &mut out);
        assert_eq!(out[1].as_ptr(), payload.as_ptr());
        assert_eq!(out[1].len(), 128 - 5);
        assert_eq!(out[3].as_ptr(), payload[123..].as_ptr());
    }

    proptest! {
        #[test]
        fn messages_survive_any_split(messages in messages(), large_from in 0..20usize, cuts in prop::collection::vec(1..400usize, 1..40)) {
            let bytes = encode(&messages, large_from);
            let (mut decoder, mut input, mut decoded) = (Decoder::new(), BytesMut::new(), Vec::new());
            let (mut rest, mut cuts) = (&bytes[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                input.extend_from_slice(now);
                rest = later;
                while let Some(message) = decoder.decode(&mut input).unwrap() {
                    decoded.push(message);
                }
            }
            prop_assert!(input.is_empty());
            prop_assert_eq!(decoded, messages);
        }
    }
}
