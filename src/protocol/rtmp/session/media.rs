//! What the owner says to publishers and players.

use super::{Phase, Role, ServerSession};
use crate::protocol::amf0::{Value, encode_all};
use crate::protocol::rtmp::chunk::{RawMessage, kind};
use crate::protocol::rtmp::command::Code;
use crate::protocol::rtmp::event::{Output, StreamId};
use crate::protocol::rtmp::message::UserControl;
use crate::time::RtmpTime;
use bytes::Bytes;
use std::time::Instant;

impl ServerSession {
    /// Answers [`Event::Publish`](super::Event::Publish).
    pub fn accept_publish(&mut self, stream: StreamId) {
        self.user_control(UserControl::StreamBegin(stream.0));
        self.status(stream, Code::PublishStart, "publishing");
    }

    /// Answers [`Event::Play`](super::Event::Play).
    pub fn accept_play(&mut self, stream: StreamId) {
        self.user_control(UserControl::StreamBegin(stream.0));
        self.status(stream, Code::PlayReset, "resetting");
        self.status(stream, Code::PlayStart, "playing");
        // Flash players cannot look at the pixels and samples of a stream that does not say this.
        let access = [Value::text("|RtmpSampleAccess"), Value::Boolean(true), Value::Boolean(true)];
        self.send_data(stream, RtmpTime(0), encode_all(&access).into());
    }

    /// Answers either with a refusal, or ends either. A connection with this one stream and nothing else is then to be closed.
    pub fn refuse(&mut self, now: Instant, stream: StreamId, code: Code, description: &str) {
        self.status(stream, code, description);
        self.dismiss(now, stream);
    }

    /// Tells a publisher something it should know; the publication goes on.
    pub fn warn(&mut self, stream: StreamId, description: &str) {
        if self.streams.role(stream) == Some(Role::Publishing) {
            self.status(stream, Code::PublishWarning, description);
        }
    }

    /// Tells a publisher that it is recorded, or no longer.
    pub fn record(&mut self, stream: StreamId, is_live: bool, description: &str) {
        if self.streams.role(stream) == Some(Role::Publishing) {
            let code = if is_live { Code::RecordStart } else { Code::RecordStop };
            self.status(stream, code, description);
        }
    }

    /// Tells a publisher that its publication has ended against its will: encoders show an error to people, and Flash
    /// programs wait for the word that goes with any end. A connection with this one stream is then to be closed.
    pub fn end_publish(&mut self, now: Instant, stream: StreamId, description: &str) {
        self.status(stream, Code::PublishRejected, description);
        self.unpublish(now, stream, description);
    }

    /// Tells a publisher that its publication has ended by something else that it wanted.
    pub fn unpublish(&mut self, now: Instant, stream: StreamId, description: &str) {
        self.status(stream, Code::UnpublishSuccess, description);
        self.dismiss(now, stream);
    }

    /// Tells a player that its stream has ended. A connection with this one stream is then to be closed.
    pub fn end_play(&mut self, now: Instant, stream: StreamId, description: &str) {
        self.status(stream, Code::PlayUnpublishNotify, description);
        self.user_control(UserControl::StreamEof(stream.0));
        self.dismiss(now, stream);
    }

    /// Sends a data message to a player.
    pub fn send_data(&mut self, stream: StreamId, time: RtmpTime, body: Bytes) {
        let bytes = self.encoder.message(RawMessage { kind: kind::DATA, stream: stream.0, time, body });
        self.transmit(bytes);
    }

    /// Sends audio: the tag's head is copied, the rest of its body shared.
    pub fn send_audio(&mut self, stream: StreamId, time: RtmpTime, head: &[u8], payload: &Bytes) {
        self.send_media(kind::AUDIO, stream, time, head, payload);
    }

    /// Sends video: the tag's head is copied, the rest of its body shared.
    pub fn send_video(&mut self, stream: StreamId, time: RtmpTime, head: &[u8], payload: &Bytes) {
        self.send_media(kind::VIDEO, stream, time, head, payload);
    }

    /// Ends what happens on a stream. Tools that use one stream wait for the connection's end, and some would wait for ever;
    /// programs that use several go on with the others, and members of a room go on without any.
    fn dismiss(&mut self, now: Instant, stream: StreamId) {
        if self.attending || self.streams.were_several() {
            self.streams.set_role(stream, Role::Idle);
            self.roles_changed(now);
        } else {
            self.phase = Phase::Closing;
        }
    }

    fn send_media(&mut self, kind: u8, stream: StreamId, time: RtmpTime, head: &[u8], payload: &Bytes) {
        self.encoder.media(kind, stream.0, time, head, payload, &mut Sink(&mut self.output));
    }
}

/// Takes the parts of a message as output.
struct Sink<'a>(&'a mut std::collections::VecDeque<Output>);

impl Extend<Bytes> for Sink<'_> {
    fn extend<I: IntoIterator<Item = Bytes>>(&mut self, parts: I) {
        self.0.extend(parts.into_iter().map(Output::Transmit));
    }
}
