//! An RTMP client without a socket: bytes in, messages out, and the other way round.

use bytes::{Bytes, BytesMut};
use commonroom::protocol::amf0::{Object, Value, encode_all};
use commonroom::protocol::room_api::amf;
use commonroom::protocol::rtmp::Command;
use commonroom::protocol::rtmp::chunk::{Decoder, Encoder, RawMessage, kind};
use commonroom::protocol::rtmp::message::{Message, UserControl};
use commonroom::time::RtmpTime;
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};

/// A client. What it wants to send collects in `output`.
pub(crate) struct Client {
    handshake: Option<Handshake>,
    encoder: Encoder,
    decoder: Decoder,
    input: BytesMut,
    pub(crate) output: Vec<u8>,
}

impl Client {
    /// Its half of the handshake waits in `output`.
    pub(crate) fn new() -> Self {
        let mut handshake = Handshake::new(PeerType::Client);
        let output = handshake.generate_outbound_p0_and_p1().expect("memory does not fail");
        let mut decoder = Decoder::new();
        decoder.set_connected();
        Self { handshake: Some(handshake), encoder: Encoder::new(), decoder, input: BytesMut::new(), output }
    }

    /// Takes bytes from the server and gives the messages that are complete.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Vec<RawMessage> {
        match &mut self.handshake {
            None => self.input.extend_from_slice(bytes),
            Some(handshake) => match handshake.process_bytes(bytes).expect("the server shakes hands") {
                HandshakeProcessResult::InProgress { response_bytes } => self.output.extend(response_bytes),
                HandshakeProcessResult::Completed { response_bytes, remaining_bytes } => {
                    self.output.extend(response_bytes);
                    self.input.extend_from_slice(&remaining_bytes);
                    self.handshake = None;
                }
            },
        }
        std::iter::from_fn(|| self.decoder.decode(&mut self.input).expect("chunks")).collect()
    }

    /// Whether the handshake is done.
    pub(crate) const fn is_open(&self) -> bool {
        self.handshake.is_none()
    }

    /// Calls a procedure.
    pub(crate) fn call(&mut self, stream: u32, name: &str, transaction: f64, arguments: &[Value]) {
        self.call_with(stream, name, transaction, Value::Null, arguments);
    }

    /// Calls a procedure with a command object.
    pub(crate) fn call_with(
        &mut self,
        stream: u32,
        name: &str,
        transaction: f64,
        object: Value,
        arguments: &[Value],
    ) {
        let command = Command { name: name.into(), transaction, object, arguments: arguments.to_vec() };
        let bytes = self.encoder.message(command.to_message(stream));
        self.output.extend(bytes);
    }

    /// `connect`.
    pub(crate) fn connect(&mut self, app: &str) {
        let properties = Object::from_iter([
            ("app", Value::text(app)),
            ("tcUrl", Value::String(format!("rtmp://host/{app}"))),
            ("flashVer", Value::text("FMLE/3.0 (compatible; test)")),
        ]);
        self.call_with(0, "connect", 1.0, Value::Object(properties), &[]);
    }

    /// A message of any kind.
    pub(crate) fn send(&mut self, kind: u8, stream: u32, time: u32, body: &[u8]) {
        let mut parts = Vec::<Bytes>::new();
        let payload = Bytes::copy_from_slice(body);
        self.encoder.media(kind, stream, RtmpTime(time), &[], &payload, &mut parts);
        self.output.extend(parts.concat());
    }

    /// A data message.
    pub(crate) fn data(&mut self, values: &[Value]) {
        self.send(kind::DATA, 1, 0, &encode_all(values));
    }

    /// Sets large chunks, as OBS does before `connect`.
    pub(crate) fn set_chunk_size(&mut self) {
        let bytes = self.encoder.set_chunk_size();
        self.output.extend(bytes);
    }

    /// What waits to be sent.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }
}

/// A message in one line: the name and code of a command, or what else it is; in front the number of any stream but the
/// first.
pub(crate) fn show(raw: &RawMessage) -> String {
    let message = Message::parse(raw).expect("a message");
    let stream = if raw.stream > 1 { format!("{}: ", raw.stream) } else { String::new() };
    stream + &say(&message)
}

fn say(message: &Message) -> String {
    match message {
        Message::Command(Command { name, arguments, .. })
            if matches!(name.as_str(), "OnDataEvent" | "DataStatusEvent" | "fail") =>
        {
            let argument = arguments.first().map(amf::to_json).unwrap_or_default();
            let payload = &argument["payload"];
            let part = |of: &serde_json::Value, key: &str| match &of[key] {
                serde_json::Value::Null => String::new(),
                serde_json::Value::String(text) => format!(" {text}"),
                other => format!(" {other}"),
            };
            match name.as_str() {
                "OnDataEvent" => {
                    format!(
                        "in{}:{}{}",
                        part(payload, "roomName"),
                        part(payload, "name"),
                        part(payload, "info")
                    )
                }
                _ => {
                    name.clone() + &["operationId", "status", "info"].map(|key| part(&argument, key)).concat()
                }
            }
        }
        Message::Command(Command { name, arguments, .. }) => {
            let info = arguments.iter().find_map(Value::as_object);
            match (info.and_then(|info| info.text("code")), arguments.first()) {
                (Some(code), _) => format!("{name} {code}"),
                (None, Some(Value::Number(number))) => format!("{name} {number}"),
                _ => name.clone(),
            }
        }
        Message::Data(values) => values.first().and_then(Value::as_str).unwrap_or("data").into(),
        Message::Audio(body) => format!("audio {:02x?}", &body[..]),
        Message::Video(body) => format!("video {:02x?}", &body[..]),
        Message::UserControl(UserControl::StreamBegin(stream)) => format!("begin {stream}"),
        Message::UserControl(UserControl::StreamEof(stream)) => format!("eof {stream}"),
        Message::UserControl(UserControl::PingRequest(_)) => "ping".into(),
        other => format!("{other:?}"),
    }
}
