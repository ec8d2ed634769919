//! One client's connection: a state machine that takes bytes and the time, and gives bytes, events and a deadline.

mod calls;
mod media;
mod streams;

use super::chunk::{ChunkError, Decoder, Encoder, RawMessage, kind};
use super::command::{Code, Command};
use super::event::{Event, Output, StreamId};
use super::handshake::{Handshake, HandshakeError};
use super::message::{Message, MessageError, UserControl, split_aggregate};
use crate::protocol::amf0::{Object, Value};
use crate::protocol::flv::Metadata;
use crate::time::RtmpTime;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use streams::{Role, Streams};
use thiserror::Error;

/// The window we announce, and assume until the client announces its own.
const WINDOW: u32 = 2_500_000;
/// A smaller window would have us acknowledge every packet.
const SMALLEST_WINDOW: u32 = 16 << 10;

/// How long a session waits for its client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// From the first moment, or the end of its last stream, until the client publishes or plays.
    pub setup: Duration,
    /// From the last sign of life of a player, which is asked for a sign of life at half time.
    pub idle: Duration,
    /// The same for a publisher.
    pub publisher: Duration,
}

/// Why a session cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum SessionError {
    /// It did not begin as RTMP.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// Its chunks make no sense.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// A message makes no sense.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// Something before `connect`, or `connect` twice.
    #[error("command out of order")]
    OutOfOrder,
    /// Neither published nor played in time.
    #[error("neither published nor played in time")]
    SetupTimeout,
    /// No sign of life.
    #[error("silent for too long")]
    IdleTimeout,
}

/// The server's side of a connection.
///
/// After each call, [`poll_output`](Self::poll_output) is to be drained and the deadline of
/// [`poll_timeout`](Self::poll_timeout) observed. After an error nothing more is read.
pub struct ServerSession {
    timeouts: Timeouts,
    phase: Phase,
    decoder: Decoder,
    encoder: Encoder,
    output: VecDeque<Output>,
    streams: Streams,
    opened: Instant,
    last_sign: Instant,
    /// When the client last began to have neither a publication nor a player.
    without_role: Option<Instant>,
    /// Whether the client is here for more than streams.
    attending: bool,
    ping_sent: bool,
    /// What a client that knows codecs beyond FLV's own is told of the server.
    capabilities: Vec<(String, Value)>,
    /// Bytes behind the handshake, and how many of them are acknowledged.
    received: u64,
    acknowledged: u64,
    window: u32,
}

enum Phase {
    Handshake(Box<Handshake>),
    /// No `connect` yet.
    Open,
    /// `connect` of this transaction and object encoding waits for the owner's answer.
    Asked {
        transaction: f64,
        encoding: f64,
    },
    Connected,
    /// Dismissed: what the client still sends is not read.
    Closing,
}

impl ServerSession {
    /// A session whose client has just come.
    pub fn new(now: Instant, timeouts: Timeouts) -> Self {
        Self {
            timeouts,
            phase: Phase::Handshake(Box::new(Handshake::new())),
            decoder: Decoder::new(),
            encoder: Encoder::new(),
            output: VecDeque::new(),
            streams: Streams::default(),
            opened: now,
            last_sign: now,
            without_role: Some(now),
            attending: false,
            ping_sent: false,
            capabilities: Vec::new(),
            received: 0,
            acknowledged: 0,
            window: WINDOW,
        }
    }

    /// Takes what is complete off the front of `input`; the rest, at most a chunk header, is to stay there. While
    /// [`Event::Connect`] is not answered all stays there, so call again after the answer.
    pub fn handle_input(&mut self, now: Instant, input: &mut BytesMut) -> Result<(), SessionError> {
        self.handle_progress(now);
        if let Phase::Handshake(handshake) = &mut self.phase {
            let step = handshake.handle_input(input)?;
            if !step.response.is_empty() {
                self.output.push_back(Output::Transmit(step.response));
            }
            if !step.done {
                return Ok(());
            }
            self.phase = Phase::Open;
        }
        let before = input.len();
        loop {
            match self.phase {
                Phase::Closing => {
                    input.clear();
                    return Ok(());
                }
                Phase::Asked { .. } => break,
                _ => {}
            }
            let Some(message) = self.decoder.decode(input)? else { break };
            self.handle_message(now, message)?;
        }
        self.received += (before - input.len()) as u64; // usize is at most 64 bits
        if self.received - self.acknowledged >= u64::from(self.window / 2) {
            self.acknowledged = self.received;
            let sequence = self.received as u32; // modulo 2^32, section 5.4.3
            self.control(kind::ACKNOWLEDGEMENT, Bytes::copy_from_slice(&sequence.to_be_bytes()));
        }
        Ok(())
    }

    /// To be called at the deadline. An error means that the client has not kept it.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), SessionError> {
        if self.without_role.is_some_and(|since| now >= since + self.timeouts.setup) {
            return Err(SessionError::SetupTimeout);
        }
        let patience = self.patience();
        if now >= self.last_sign + patience {
            return Err(SessionError::IdleTimeout);
        }
        if now >= self.last_sign + patience / 2 && !self.ping_sent {
            self.ping_sent = true;
            if !matches!(self.phase, Phase::Handshake(_)) {
                let since = now.saturating_duration_since(self.opened).as_millis();
                self.user_control(UserControl::PingRequest(since as u32)); // a number to be repeated
            }
        }
        Ok(())
    }

    /// To be called when the client has taken bytes that had to wait for it: a sign of life. A slow one answers a ping
    /// only behind all that stands before it.
    pub const fn handle_progress(&mut self, now: Instant) {
        self.last_sign = now;
        self.ping_sent = false;
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub fn poll_timeout(&self) -> Instant {
        let patience = self.patience();
        let idle = self.last_sign + if self.ping_sent { patience } else { patience / 2 };
        self.without_role.map_or(idle, |since| idle.min(since + self.timeouts.setup))
    }

    /// What comes out next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    /// Whether the connection is to be closed once all output is sent.
    pub const fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing)
    }

    /// Answers [`Event::Connect`].
    pub fn accept_connect(&mut self) {
        let Phase::Asked { transaction, encoding } = self.phase else { return };
        self.phase = Phase::Connected;
        self.decoder.set_connected();
        self.control(kind::WINDOW_SIZE, Bytes::copy_from_slice(&WINDOW.to_be_bytes()));
        let limit_type = 2; // dynamic
        let bandwidth = [&WINDOW.to_be_bytes()[..], &[limit_type]].concat();
        self.control(kind::PEER_BANDWIDTH, bandwidth.into());
        let chunk_size = self.encoder.set_chunk_size();
        self.transmit(chunk_size);
        // Some clients refuse a server that does not look like Adobe's.
        let properties = Object::from_iter([
            ("fmsVer", Value::text("FMS/3,5,7,7009")),
            ("capabilities", Value::Number(31.0)),
            ("mode", Value::Number(1.0)),
        ]);
        let mut info = Code::ConnectSuccess.info("Connection succeeded.");
        info.0.push(("objectEncoding".into(), Value::Number(encoding)));
        info.0.append(&mut self.capabilities);
        self.command(0, &Command::result(transaction, Value::Object(properties), Value::Object(info)));
    }

    /// The client is here for more than streams: it may do without any for as long as it likes, losing one does not close its
    /// connection, and what it calls goes to the owner.
    pub fn attend(&mut self, now: Instant) {
        self.attending = true;
        self.roles_changed(now);
    }

    /// Calls a procedure of the client that gives no answer.
    pub fn invoke(&mut self, name: &str, arguments: Vec<Value>) {
        if matches!(self.phase, Phase::Connected) {
            self.command(0, &Command { name: name.into(), transaction: 0.0, object: Value::Null, arguments });
        }
    }

    /// Tells the client why the connection cannot go on, and closes.
    pub fn disconnect(&mut self, description: &str) {
        if matches!(self.phase, Phase::Connected) {
            self.status(StreamId(0), Code::ConnectClosed, description);
        }
        self.phase = Phase::Closing;
    }

    /// Tells the client that the server goes down, and closes.
    pub fn shut_down(&mut self, description: &str) {
        if matches!(self.phase, Phase::Connected) {
            self.status(StreamId(0), Code::AppShutdown, description);
        }
        self.phase = Phase::Closing;
    }

    /// Tells the client why it cannot go on after an error, and closes. Before `connect` it would not understand.
    pub fn fail(&mut self, error: SessionError) {
        if matches!(self.phase, Phase::Connected) {
            self.status(StreamId(0), Code::ConnectClosed, &error.to_string());
            self.phase = Phase::Closing;
        }
    }

    fn handle_message(&mut self, now: Instant, raw: RawMessage) -> Result<(), SessionError> {
        let message = match Message::parse(&raw) {
            Ok(message) => message,
            // Nothing that follows depends on it.
            Err(error) if matches!(raw.kind, kind::DATA | kind::DATA_AMF3) => {
                self.handle_media(&raw, |stream, _| Event::BadData { stream, error });
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        match message {
            Message::Command(command) => {
                self.handle_command(now, StreamId(raw.stream), command, raw.body.len())?;
            }
            Message::Audio(body) => {
                self.handle_media(&raw, |stream, time| Event::Audio { stream, time, body })
            }
            Message::Video(body) => {
                self.handle_media(&raw, |stream, time| Event::Video { stream, time, body })
            }
            Message::Data(values) => self.handle_data(&raw, &values),
            Message::Aggregate(_) => {
                for part in split_aggregate(&raw)? {
                    if matches!(part.kind, kind::AUDIO | kind::VIDEO | kind::DATA) {
                        self.handle_message(now, part)?;
                    }
                }
            }
            Message::UserControl(UserControl::PingRequest(number)) => {
                self.user_control(UserControl::PingResponse(number));
            }
            Message::WindowSize(window) => self.window = window.max(SMALLEST_WINDOW),
            Message::PeerBandwidth(window) if window != WINDOW => {
                // Section 5.4.5: answered with the window that holds from now on.
                self.control(kind::WINDOW_SIZE, Bytes::copy_from_slice(&window.to_be_bytes()));
            }
            Message::PeerBandwidth(_)
            | Message::UserControl(_)
            | Message::Acknowledgement(_)
            | Message::Other(_) => {}
        }
        Ok(())
    }

    fn handle_media(&mut self, raw: &RawMessage, event: impl FnOnce(StreamId, RtmpTime) -> Event) {
        let stream = StreamId(raw.stream);
        if self.streams.role(stream) == Some(Role::Publishing) {
            self.output.push_back(Output::Event(event(stream, raw.time)));
        }
    }

    /// `@setDataFrame` and `onMetaData` in all their shapes; other data are the publisher's own.
    fn handle_data(&mut self, raw: &RawMessage, values: &[Value]) {
        let stream = StreamId(raw.stream);
        if self.streams.role(stream) != Some(Role::Publishing) {
            return;
        }
        let metadata = match values {
            [Value::String(name), rest @ ..] if name == "@setDataFrame" => Metadata::from_values(rest),
            [Value::String(name), ..] if name == "@clearDataFrame" => Some(Metadata::default()),
            [Value::String(name), ..] if name == "onMetaData" => Metadata::from_values(values),
            _ => None,
        };
        if let Some(metadata) = metadata {
            self.output.push_back(Output::Event(Event::Metadata { stream, metadata }));
        }
    }

    fn patience(&self) -> Duration {
        if self.streams.any(Role::Publishing) { self.timeouts.publisher } else { self.timeouts.idle }
    }

    fn roles_changed(&mut self, now: Instant) {
        let any = |role| self.streams.any(role);
        let without = !self.attending && !any(Role::Publishing) && !any(Role::Playing);
        self.without_role = without.then(|| self.without_role.unwrap_or(now));
    }

    fn status(&mut self, stream: StreamId, code: Code, description: &str) {
        self.command(stream.0, &Command::notice("onStatus", code.info(description)));
    }

    fn command(&mut self, stream: u32, command: &Command) {
        let bytes = self.encoder.message(command.to_message(stream));
        self.transmit(bytes);
    }

    fn user_control(&mut self, event: UserControl) {
        self.control(kind::USER_CONTROL, event.encode());
    }

    fn control(&mut self, kind: u8, body: Bytes) {
        let bytes = self.encoder.message(RawMessage { kind, stream: 0, time: RtmpTime(0), body });
        self.transmit(bytes);
    }

    fn transmit(&mut self, bytes: Bytes) {
        self.output.push_back(Output::Transmit(bytes));
    }
}
