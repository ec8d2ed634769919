//! What a client says.

use super::envelope::{Envelope, Malformed, Unreadable, fault, shown};
use super::event::{Medium, Role};
use super::label::Label;
use super::lenient;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A message of a client.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "message", content = "data", rename_all = "camelCase")]
pub enum ClientMessage {
    /// Says who this is. The first message of a session.
    Connection((Box<Connection>,)),
    /// Asks for a `pong`.
    Ping([Option<()>; 1]),
    /// The answer to a `ping`.
    Pong([Option<()>; 1]),
    /// A command to the room. Gets exactly one `DataStatusEvent`.
    SendData((SendData,)),
    /// Offers a stream. Gets `setRemoteSDP` and statuses, of which the last is `UNPUBLISHED` or `FAILED`.
    PublishStream((Box<Publish>,)),
    /// Asks for a stream. Gets `setRemoteSDP` and statuses, of which the last is `STOPPED` or `FAILED`.
    PlayStream((Box<Play>,)),
    /// Ends a publication.
    UnPublishStream((Stream,)),
    /// Ends a playback.
    StopStream((Stream,)),
    /// Tells something to all who play a publication.
    SendStreamEvent((StreamEvent,)),
    /// Asks whether a stream can be played.
    AvailableStream((Stream,)),
    /// Asks for a picture of a stream.
    Snapshot((Stream,)),
    /// Ours: how large a playback is shown.
    AdaptStream((Adapt,)),
    /// Anything else, by its name. Other messages of the SDK among them, for calls and diagnostics.
    #[serde(skip)]
    Unknown(String),
}

/// `connection`: who this is.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Connection {
    /// `roomApp`, `flashRoomApp` or the application's own; nothing here depends on it.
    #[serde(deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub app_key: Option<String>,
    /// What the client can do; `WebRTC` is what matters.
    #[serde(deserialize_with = "lenient::texts", skip_serializing_if = "Vec::is_empty")]
    pub media_providers: Vec<String>,
    /// The SDK's.
    #[serde(deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub client_version: Option<String>,
    /// Who this is.
    #[serde(deserialize_with = "lenient::object")]
    pub custom: Custom,
    /// Ours: this client knows the additions.
    #[serde(deserialize_with = "lenient::option", skip_serializing_if = "Option::is_none")]
    pub commonroom: Option<Declaration>,
}

/// Who a session is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Custom {
    /// The participant's name in every room of this session.
    #[serde(deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// A credential of the application.
    #[serde(deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// Ours: a client that says this gets the additions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Declaration {
    /// 1.
    pub version: u32,
    /// A secret of this browser tab, such as 32 hexadecimal digits. Whoever knows it takes the login over at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Label>,
}

/// `sendData`: a command to the room.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SendData {
    /// Comes back in the acknowledgement.
    pub operation_id: Label,
    /// What to do.
    pub payload: Command,
}

/// A command to the room.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "command", content = "options", rename_all = "camelCase")]
pub enum Command {
    /// Enters a room, which comes into being with its first participant.
    Join(Join),
    /// Leaves a room.
    Leave(Leave),
    /// Says something in a room.
    SendMessage(SendMessage),
    /// Ours: what only hosts may.
    Moderate(Moderate),
    /// Anything else, by its name.
    #[serde(skip)]
    Unknown(String),
    /// A command that is known, with options that cannot be read, by what is wrong with them.
    #[serde(skip)]
    Malformed(String),
}

/// The options of `join`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Join {
    /// The room.
    pub name: String,
    /// The wish that the room be recorded.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub record: bool,
}

/// The options of `leave`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Leave {
    /// The room.
    pub name: String,
}

/// The options of `sendMessage`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SendMessage {
    /// The room.
    pub room_config: RoomConfig,
    /// To whom; ours: left out, to everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What.
    pub text: String,
}

/// Names a room.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RoomConfig {
    /// The room.
    pub name: String,
}

/// The options of `moderate`: ours, for hosts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Moderate {
    /// The room.
    pub name: String,
    /// What to do.
    #[serde(flatten)]
    pub action: Action,
}

/// What a host may do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "action", rename_all = "camelCase")]
pub enum Action {
    /// Silences a participant, or takes the picture away; of one stream, or of all.
    Mute(Mute),
    /// Takes that back. The participant's own mute stays.
    Unmute(Mute),
    /// Puts a participant out.
    Kick {
        /// Whom.
        login: String,
    },
    /// Gives a participant another role.
    Role {
        /// Whom.
        login: String,
        /// Which.
        role: Role,
    },
    /// Lets nobody more in.
    Lock,
    /// Lets people in again.
    Unlock,
    /// Records the room from now on: each stream that is published in it.
    Record,
    /// Records nothing more.
    StopRecording,
    /// Ends the room for everybody.
    End,
}

/// What of whom.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Mute {
    /// Whom.
    pub login: String,
    /// Which of the participant's streams; left out: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Label>,
    /// Sound or picture.
    pub medium: Medium,
}

/// `publishStream`: offers a stream.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Publish {
    /// Names the stream in all that is said about it; new for each.
    pub media_session_id: Label,
    /// Its name for those who play it, unique on the server: `<room>-<login>-<4 hex>`, and `-screenShare` for a screen.
    pub name: Label,
    /// The offer, complete but for candidates.
    pub sdp: String,
    /// The room it belongs to.
    #[serde(default, deserialize_with = "lenient::object")]
    pub custom: StreamRoom,
    /// There is sound.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub has_audio: bool,
    /// There is a picture.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub has_video: bool,
    /// The wish that it be recorded.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub record: bool,
    /// The constraints of the capture. `video.type` is `screen` for a screen.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub constraints: Value,
    /// `TCP`: media is to travel over TCP.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
}

/// `playStream`: asks for a stream.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Play {
    /// Names the playback in all that is said about it; new for each.
    pub media_session_id: Label,
    /// What it was published as; `<room>/<login>` is that participant's first stream.
    pub name: Label,
    /// The offer, complete but for candidates.
    pub sdp: String,
    /// The room it belongs to.
    #[serde(default, deserialize_with = "lenient::object")]
    pub custom: StreamRoom,
    /// The width wanted, in pixels; 0: as published.
    #[serde(default, deserialize_with = "lenient::count")]
    pub width: u32,
    /// The height wanted, in pixels; 0: as published.
    #[serde(default, deserialize_with = "lenient::count")]
    pub height: u32,
    /// `TCP`: media is to travel over TCP.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
}

/// What ties a stream to a room.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct StreamRoom {
    /// The room.
    #[serde(deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Names a stream of this session, or one to be asked about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Stream {
    /// The publication or playback.
    pub media_session_id: Label,
    /// What it is published as.
    #[serde(default, deserialize_with = "lenient::option", skip_serializing_if = "Option::is_none")]
    pub name: Option<Label>,
}

/// `sendStreamEvent`: news of a publication.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StreamEvent {
    /// The publication.
    pub media_session_id: Label,
    /// `audioMuted`, `audioUnmuted`, `videoMuted`, `videoUnmuted` or `data`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Of `data`: anything.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub payload: Value,
}

/// `adaptStream`: ours. How large a playback is shown, so that no more is sent than is seen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Adapt {
    /// The playback.
    pub media_session_id: Label,
    /// The height it is shown in, in pixels; left out: whatever there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_height: Option<u32>,
    /// Its picture is not shown at all.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub paused: bool,
}

impl ClientMessage {
    /// Reads a text frame. The outer error is of what is no message, the inner one of a message that is known.
    pub fn parse(text: &str) -> Result<Result<Self, Malformed>, Unreadable> {
        let Envelope { message, data } = Envelope::parse(text)?;
        Ok(Self::read(&message, data.into_iter().next().unwrap_or_default()))
    }

    /// Reads a message of a name with its argument, however it came.
    pub fn read(name: &str, argument: Value) -> Result<Self, Malformed> {
        Ok(match name {
            "connection" => Self::Connection((object("connection", argument)?,)),
            "ping" => Self::Ping([None]),
            "pong" => Self::Pong([None]),
            "sendData" => Self::SendData((object("sendData", argument)?,)),
            "publishStream" => Self::PublishStream((object("publishStream", argument)?,)),
            "playStream" => Self::PlayStream((object("playStream", argument)?,)),
            "unPublishStream" => Self::UnPublishStream((object("unPublishStream", argument)?,)),
            "stopStream" => Self::StopStream((object("stopStream", argument)?,)),
            "sendStreamEvent" => Self::SendStreamEvent((object("sendStreamEvent", argument)?,)),
            "availableStream" => Self::AvailableStream((object("availableStream", argument)?,)),
            "snapshot" => Self::Snapshot((object("snapshot", argument)?,)),
            "adaptStream" => Self::AdaptStream((object("adaptStream", argument)?,)),
            name => Self::Unknown(shown(name)),
        })
    }

    /// The name on the wire, from a closed set: what is not known is `unknown`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Connection(_) => "connection",
            Self::Ping(_) => "ping",
            Self::Pong(_) => "pong",
            Self::SendData(_) => "sendData",
            Self::PublishStream(_) => "publishStream",
            Self::PlayStream(_) => "playStream",
            Self::UnPublishStream(_) => "unPublishStream",
            Self::StopStream(_) => "stopStream",
            Self::SendStreamEvent(_) => "sendStreamEvent",
            Self::AvailableStream(_) => "availableStream",
            Self::Snapshot(_) => "snapshot",
            Self::AdaptStream(_) => "adaptStream",
            Self::Unknown(_) => "unknown",
        }
    }
}

impl Publish {
    /// Whether it is a screen: by its constraints or, as pages tell it from a camera, by its name.
    pub fn is_screen(&self) -> bool {
        let kind = self.constraints.get("video").and_then(|video| video.get("type"));
        kind.and_then(Value::as_str) == Some("screen") || self.name.as_str().contains("screenShare")
    }
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            command: String,
            #[serde(default)]
            options: Value,
        }
        let Raw { command, options } = Raw::deserialize(from)?;
        let read = match command.as_str() {
            "join" => serde_json::from_value(options).map(Self::Join),
            "leave" => serde_json::from_value(options).map(Self::Leave),
            "sendMessage" => serde_json::from_value(options).map(Self::SendMessage),
            "moderate" => serde_json::from_value(options).map(Self::Moderate),
            _ => return Ok(Self::Unknown(shown(&command))),
        };
        Ok(read.unwrap_or_else(|error| Self::Malformed(format!("{command}: {}", fault(&error)))))
    }
}

fn object<T: DeserializeOwned>(message: &'static str, argument: Value) -> Result<T, Malformed> {
    // Read by reference, so that what went wrong can still say whom it concerns.
    let read = match &argument {
        Value::Object(_) => T::deserialize(&argument),
        _ => Err(serde::de::Error::custom("the argument is no object")),
    };
    match read {
        Ok(read) => Ok(read),
        Err(error) => Err(Malformed::new(message, &argument, &error)),
    }
}
