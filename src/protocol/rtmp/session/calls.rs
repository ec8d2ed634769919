//! What clients call, and what they are answered (section 7.2, and what clients do beyond it).

use super::{Phase, Role, ServerSession, SessionError};
use crate::protocol::amf0::{Object, Value};
use crate::protocol::flv::capabilities;
use crate::protocol::rtmp::command::{Code, Command};
use crate::protocol::rtmp::event::{Event, Output, StreamId};
use std::time::Instant;

/// How much of a name that makes no sense is repeated to its sender.
const SHOWN: usize = 64;

impl ServerSession {
    pub(super) fn handle_command(
        &mut self,
        now: Instant,
        stream: StreamId,
        command: Command,
        length: usize,
    ) -> Result<(), SessionError> {
        match (&self.phase, command.name.as_str()) {
            (Phase::Open, "connect") => {
                self.handle_connect(command);
                Ok(())
            }
            (Phase::Connected, "connect") => Err(SessionError::OutOfOrder),
            (Phase::Connected, _) => {
                self.handle_call(now, stream, command, length);
                Ok(())
            }
            // In the other phases `handle_input` reads no messages.
            _ => Err(SessionError::OutOfOrder),
        }
    }

    fn handle_connect(&mut self, command: Command) {
        let properties = command.object.as_object().cloned().unwrap_or_default();
        let encoding = properties.get("objectEncoding").and_then(Value::as_number).unwrap_or(0.0);
        self.capabilities = capabilities(&properties);
        self.phase = Phase::Asked { transaction: command.transaction, encoding };
        self.output.push_back(Output::Event(Event::Connect {
            app: properties.text("app").unwrap_or_default().to_owned(),
            tc_url: properties.text("tcUrl").unwrap_or_default().to_owned(),
            properties,
            arguments: command.arguments,
        }));
    }

    fn handle_call(&mut self, now: Instant, stream: StreamId, command: Command, length: usize) {
        let key = || command.text(0).unwrap_or_default().to_owned();
        let name = command.name.clone();
        match name.as_str() {
            "createStream" => self.create_stream(&command),
            "publish" => self.begin(now, stream, Role::Publishing, Event::Publish { stream, key: key() }),
            "play" => self.begin(now, stream, Role::Playing, Event::Play { stream, key: key() }),
            "pause" | "pauseRaw" => self.pause(stream, command.arguments.first()),
            "seek" => self.status(stream, Code::SeekFailed, "a live stream cannot be sought in"),
            "play2" => self.status(stream, Code::PlayFailed, "this server does not switch streams"),
            "closeStream" => self.end_role(now, stream),
            "deleteStream" => self.delete_stream(now, &command),
            "FCPublish" => self.announce("onFCPublish", Code::PublishStart, &command),
            "FCSubscribe" => self.announce("onFCSubscribe", Code::PlayStart, &command),
            "FCUnpublish" => {
                // Names no message stream. Whoever publishes several also closes them one by one.
                if let Some(publishing) = self.streams.only(Role::Publishing) {
                    self.end_role(now, publishing);
                }
                self.announce("onFCUnpublish", Code::UnpublishSuccess, &command);
            }
            "getStreamLength" => self.answer(&command, Value::Number(0.0)),
            "releaseStream" | "_checkbw" | "checkBandwidth" | "receiveAudio" | "receiveVideo" => {
                self.answer(&command, Value::Undefined);
            }
            "_result" | "_error" | "onStatus" => {}
            _ if self.attending => {
                let Command { name, transaction, arguments, .. } = command;
                self.output.push_back(Output::Event(Event::Call { name, transaction, arguments, length }));
            }
            _ => self.refuse_call(command.transaction, &name),
        }
    }

    /// Answers [`Event::Call`] of a procedure that there is not.
    pub fn refuse_call(&mut self, transaction: f64, name: &str) {
        if transaction != 0.0 {
            let shown: String = name.chars().take(SHOWN).collect();
            let description = format!("there is no procedure {shown:?}");
            self.command(0, &Command::error(transaction, Code::CallFailed, &description));
        }
    }

    fn create_stream(&mut self, command: &Command) {
        match self.streams.create() {
            Some(StreamId(id)) => self.answer(command, Value::Number(id.into())),
            None => {
                let error = Command::error(command.transaction, Code::CallFailed, "too many streams");
                self.command(0, &error);
            }
        }
    }

    fn begin(&mut self, now: Instant, stream: StreamId, role: Role, event: Event) {
        match self.streams.set_role(stream, role) {
            None => {
                let code = if role == Role::Publishing { Code::PublishRejected } else { Code::PlayFailed };
                self.refuse(now, stream, code, "call createStream first");
            }
            Some(before) => {
                if before != Role::Idle {
                    self.output.push_back(Output::Event(Event::Closed { stream }));
                }
                self.output.push_back(Output::Event(event));
                self.roles_changed(now);
            }
        }
    }

    fn pause(&mut self, stream: StreamId, flag: Option<&Value>) {
        if self.streams.role(stream) != Some(Role::Playing) {
            return;
        }
        let paused = !matches!(flag, Some(Value::Boolean(false)));
        let (code, description) = match paused {
            true => (Code::PauseNotify, "paused"),
            false => (Code::UnpauseNotify, "playing"),
        };
        self.status(stream, code, description);
        self.output.push_back(Output::Event(Event::Pause { stream, paused }));
    }

    /// Ends what happens on a stream; the stream stays.
    fn end_role(&mut self, now: Instant, stream: StreamId) {
        let before = self.streams.set_role(stream, Role::Idle);
        self.ended(now, stream, before);
    }

    fn delete_stream(&mut self, now: Instant, command: &Command) {
        let id = command.arguments.first().and_then(Value::as_number).unwrap_or_default();
        let stream = StreamId(id as u32); // saturates; a number that is no stream's finds none
        let before = self.streams.delete(stream);
        self.ended(now, stream, before);
    }

    fn ended(&mut self, now: Instant, stream: StreamId, before: Option<Role>) {
        if let Some(Role::Publishing | Role::Playing) = before {
            if before == Some(Role::Publishing) {
                self.status(stream, Code::UnpublishSuccess, "no longer published");
            }
            self.output.push_back(Output::Event(Event::Closed { stream }));
            self.roles_changed(now);
        }
    }

    /// Adobe's servers answer these calls with a call of their own, and some encoders wait for it.
    fn announce(&mut self, name: &str, code: Code, command: &Command) {
        self.answer(command, Value::Undefined);
        let key: String = command.text(0).unwrap_or_default().chars().take(SHOWN).collect();
        let info =
            Object::from_iter([("code", Value::text(code.as_str())), ("description", Value::String(key))]);
        self.command(0, &Command::notice(name, info));
    }

    fn answer(&mut self, command: &Command, value: Value) {
        if command.transaction != 0.0 {
            self.command(0, &Command::result(command.transaction, Value::Null, value));
        }
    }
}
