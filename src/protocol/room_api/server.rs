//! What the server says.

use super::event::RoomEvent;
use super::info::Info;
use super::label::Label;
use super::refusal::Word;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A message of the server. `data` is always there and always an array: the SDK looks into it before all else.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "message", content = "data", rename_all = "camelCase")]
pub enum ServerMessage {
    /// The session is established.
    GetUserData((UserData,)),
    /// Asks for a `pong`, as a sign of life.
    Ping([(); 0]),
    /// The answer to a `ping`.
    Pong([(); 0]),
    /// What became of a `sendData`; exactly one for each.
    #[serde(rename = "DataStatusEvent")]
    DataStatus((DataStatus,)),
    /// Something happened in a room.
    #[serde(rename = "OnDataEvent")]
    OnData((OnData,)),
    /// The answer to a stream's offer: `mediaSessionId`, the SDP, and `true`.
    #[serde(rename = "setRemoteSDP")]
    SetRemoteSdp(Label, String, bool),
    /// What a stream is doing.
    NotifyStreamStatusEvent((Box<StreamStatus>,)),
    /// News of a stream.
    NotifyStreamEvent((StreamNotice,)),
    /// Whether a stream can be played.
    AvailableStream((Available,)),
    /// A stream is refused. RTMP clients get it for a session that has failed.
    Fail((Fail,)),
}

/// `getUserData`: the session is established.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct UserData {
    /// Names the connection; no secret, and nothing can be done with it.
    pub auth_token: String,
    /// `ESTABLISHED`.
    pub status: String,
    /// What the client has said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_key: Option<String>,
    /// What the client has said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media_providers: Vec<String>,
    /// What the client has said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_version: Option<String>,
    /// What the client has said, without its token.
    pub custom: super::client::Custom,
    /// Ours, to clients that have declared themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commonroom: Option<ServerDeclaration>,
}

/// Ours: what this server is and can do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ServerDeclaration {
    /// Of the additions: 1.
    pub version: u32,
    /// Of the server.
    pub server: String,
    /// Where encoders publish.
    pub rtmp_port: u16,
    /// Several layers of a picture are taken.
    pub simulcast: bool,
}

/// `DataStatusEvent`: what became of a command.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DataStatus {
    /// The command's.
    pub operation_id: Label,
    /// In a word.
    pub status: AckStatus,
    /// Why not, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<String>,
    /// Ours, to clients that have declared themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commonroom: Option<Ack>,
}

/// Whether a command was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum AckStatus {
    /// It was.
    Accepted,
    /// Nothing has changed.
    Failed,
}

/// Ours: more about what became of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Ack {
    /// A chat line was said.
    Said {
        /// Its id.
        id: u64,
        /// When, in milliseconds since 1970 UTC.
        time: u64,
    },
    /// It was refused.
    Refused {
        /// Why.
        error: Word,
    },
}

/// `OnDataEvent`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OnData {
    /// What happened, and where.
    pub payload: RoomEvent,
}

/// `notifyStreamStatusEvent`: what a stream is doing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StreamStatus {
    /// The stream, by the client's own id for it.
    pub media_session_id: Label,
    /// What it is published as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Label>,
    /// It is published, not played.
    pub published: bool,
    /// It has sound.
    pub has_audio: bool,
    /// It has a picture.
    pub has_video: bool,
    /// In a word.
    pub status: Status,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<Info>,
    /// Of the sound: `opus`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_codec: Option<String>,
    /// Of the picture: `H264` or `VP8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_codec: Option<String>,
    /// `WebRTC`.
    pub media_provider: String,
    /// It is being recorded.
    pub record: bool,
    /// The file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_name: Option<String>,
    /// Of `PLAYING`: whether its publisher has muted the sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_state: Option<MuteState>,
    /// Of `PLAYING`: whether its publisher has muted the picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_state: Option<MuteState>,
}

/// Whether a publisher has muted something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MuteState {
    /// It has.
    pub muted: bool,
}

/// What a stream is doing. The SDK takes any other word for a status, too, so that there are no others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// A publication runs.
    Publishing,
    /// A playback runs.
    Playing,
    /// A playback is paused.
    Paused,
    /// A publication has ended.
    Unpublished,
    /// A playback has ended.
    Stopped,
    /// It has ended, or never begun, against the will of its client.
    Failed,
    /// A playback runs, not well.
    PlaybackProblem,
}

/// `notifyStreamEvent`: news of a stream.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StreamNotice {
    /// The stream, by the client's own id for it.
    pub media_session_id: Label,
    /// What.
    #[serde(flatten)]
    pub notice: Notice,
}

/// News of a stream.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", content = "payload", rename_all = "camelCase")]
pub enum Notice {
    /// The publisher's sound is silence.
    AudioMuted {},
    /// It is not any more.
    AudioUnmuted {},
    /// The publisher's picture is black.
    VideoMuted {},
    /// It is not any more.
    VideoUnmuted {},
    /// What the publisher's application says.
    Data(Value),
    /// The picture that was asked for.
    SnapshotCompleted {
        /// A PNG, in base64.
        snapshot: String,
    },
    /// There is no picture.
    SnapshotFailed {
        /// Why.
        info: String,
    },
    /// The picture has another size.
    Resize {
        /// In pixels.
        #[serde(rename = "streamerVideoWidth")]
        width: u32,
        /// In pixels.
        #[serde(rename = "streamerVideoHeight")]
        height: u32,
    },
    /// Ours: what is sent of the picture has changed.
    Layer(Layer),
}

/// Ours: what is sent of a picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// Its height in pixels, 0 for none.
    pub height: u32,
    /// Why it is not the best there is.
    pub limited_by: LayerLimit,
    /// Only the sound is sent.
    pub audio_only: bool,
}

/// Why a picture is not the best there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LayerLimit {
    /// It is.
    None,
    /// It is not shown larger.
    Size,
    /// The line does not carry more.
    Bandwidth,
    /// It is not shown.
    Paused,
}

/// `availableStream`: whether a stream can be played.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Available {
    /// The `mediaSessionId` of who asks.
    pub id: Label,
    /// `true` or `false`, as text.
    pub status: String,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<Info>,
}

/// `fail`: something is refused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Fail {
    /// `StreamStatusEvent` for a stream.
    pub api_method: String,
    /// Of a stream: its `mediaSessionId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Label>,
    /// `FAILED`.
    pub status: Status,
    /// Why.
    pub info: Info,
}

impl ServerMessage {
    /// The text frame.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("maps have text for keys, and numbers are finite")
    }

    /// The name on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::GetUserData(_) => "getUserData",
            Self::Ping(_) => "ping",
            Self::Pong(_) => "pong",
            Self::DataStatus(_) => "DataStatusEvent",
            Self::OnData(_) => "OnDataEvent",
            Self::SetRemoteSdp(..) => "setRemoteSDP",
            Self::NotifyStreamStatusEvent(_) => "notifyStreamStatusEvent",
            Self::NotifyStreamEvent(_) => "notifyStreamEvent",
            Self::AvailableStream(_) => "availableStream",
            Self::Fail(_) => "fail",
        }
    }
}

impl Status {
    /// Whether nothing more is said about the stream.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Unpublished | Self::Stopped | Self::Failed)
    }
}
