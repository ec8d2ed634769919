//! What happens in a room, as its members are told.

use serde::{Deserialize, Serialize};

/// `OnDataEvent.payload`: something that happened in a room.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RoomEvent {
    /// The room, as it was joined.
    pub room_name: String,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened. `info` is the Flashphoner protocol's; `commonroom` is ours and goes to clients that have declared
/// themselves alone, as do the events from `ROLE` on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "name", rename_all = "UPPERCASE")]
pub enum Event {
    /// You are in, and these are there already. Once for each join.
    State {
        /// The others; who publishes several streams stands there once for each.
        info: Vec<Present>,
        /// Everything about the room.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commonroom: Option<Box<RoomState>>,
    },
    /// Somebody has come.
    Joined {
        /// The login.
        info: String,
        /// The newcomer, who has no streams yet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commonroom: Option<Participant>,
    },
    /// Somebody has gone.
    Left {
        /// The login.
        info: String,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commonroom: Option<Left>,
    },
    /// A stream can be played.
    Published {
        /// Which.
        info: StreamOf,
        /// More of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commonroom: Option<Published>,
    },
    /// A stream has ended.
    Unpublished {
        /// Which.
        info: StreamOf,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commonroom: Option<StreamEnd>,
    },
    /// A stream has failed; otherwise as `UNPUBLISHED`.
    Failed {
        /// Which.
        info: StreamOf,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commonroom: Option<StreamEnd>,
    },
    /// Somebody says something.
    Message {
        /// Who and what.
        info: Line,
        /// With id and time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commonroom: Option<Message>,
    },
    /// A participant has another role.
    Role {
        /// Who and which.
        info: RoleChange,
        /// The same.
        commonroom: RoleChange,
    },
    /// The room was locked or unlocked.
    Locked {
        /// By whom.
        info: Locked,
        /// The same.
        commonroom: Locked,
    },
    /// A stream's sound or picture was muted or unmuted.
    Muted {
        /// Which, and by whom.
        info: Muted,
        /// The same.
        commonroom: Muted,
    },
    /// The room is being recorded, or is no more; or it is to be, or no longer.
    Recording {
        /// Which.
        info: Recording,
        /// The same.
        commonroom: Recording,
    },
    /// You were put out of the room.
    Kicked {
        /// By whom.
        info: By,
        /// The same.
        commonroom: By,
    },
    /// The room was ended for everybody.
    Ended {
        /// By whom.
        info: By,
        /// The same.
        commonroom: By,
    },
    /// You are in the room by another connection now, and no longer by this one.
    #[serde(rename = "TAKEN_OVER")]
    TakenOver {
        /// As whom.
        info: TakenOver,
        /// The same.
        commonroom: TakenOver,
    },
    /// How well streams arrive here, where that has changed.
    Quality {
        /// Of each stream.
        info: Vec<StreamQuality>,
        /// The same.
        commonroom: Vec<StreamQuality>,
    },
}

/// Somebody in `STATE`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Present {
    /// The login of who publishes nothing.
    Silent(String),
    /// A stream that can be played.
    Publishing(StreamOf),
}

/// A stream and whose it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StreamOf {
    /// Whose.
    pub login: String,
    /// What it is published as.
    pub name: String,
}

/// A chat line as the SDK knows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Line {
    /// Who said it.
    pub from: String,
    /// What: text, never markup.
    pub text: String,
}

/// `STATE`: everything about a room.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RoomState {
    /// Who you are here.
    pub you: You,
    /// The others.
    pub participants: Vec<Participant>,
    /// Nobody more may come in.
    pub locked: bool,
    /// It is being recorded.
    pub recording: bool,
    /// It is to be, once there is something to be recorded and a place for it.
    #[serde(default, rename = "recordWanted")]
    pub record_wanted: bool,
    /// Who decides whether it is.
    #[serde(default, rename = "recordingPolicy")]
    pub recording_policy: RecordingPolicy,
    /// What was said to everybody, the oldest first.
    pub messages: Vec<Message>,
    /// What the server allows.
    pub limits: Bounds,
}

/// Who decides whether a room is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum RecordingPolicy {
    /// The operator: it is not.
    #[default]
    Never,
    /// Its hosts, and each publisher for its own streams.
    OnRequest,
    /// The operator: everything is.
    Always,
}

/// Who you are in a room.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct You {
    /// Your login.
    pub login: String,
    /// Your role.
    pub role: Role,
    /// What a host lets nothing pass of, of all that you publish.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_muted: Vec<Medium>,
}

/// Somebody in a room.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Participant {
    /// The name, unique in the room.
    pub login: String,
    /// How this one is connected.
    pub protocol: Protocol,
    /// What this one may.
    pub role: Role,
    /// When this one came, in milliseconds since 1970 UTC.
    pub joined: u64,
    /// What can be played.
    pub streams: Vec<StreamState>,
}

/// A stream that can be played.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StreamState {
    /// What it is published as.
    pub name: String,
    /// What it shows.
    pub kind: Kind,
    /// It has sound.
    pub audio: bool,
    /// It has a picture.
    pub video: bool,
    /// Its sound is muted, by whomever.
    pub audio_muted: bool,
    /// Its picture is muted, by whomever.
    pub video_muted: bool,
    /// What of it a host has muted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_muted: Vec<Medium>,
}

/// A chat line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Message {
    /// Increases in a room.
    pub id: u64,
    /// Who said it.
    pub from: String,
    /// To whom; absent: to everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What: text, never markup.
    pub text: String,
    /// When, in milliseconds since 1970 UTC.
    pub time: u64,
}

/// What the server allows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Bounds {
    /// Participants of the room.
    pub participants: u32,
    /// Characters of a chat line.
    pub text_length: u32,
    /// Chat lines a second, in the long run.
    pub messages_per_second: u32,
}

/// `LEFT`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Left {
    /// Who.
    pub login: String,
    /// Why.
    pub reason: LeftReason,
}

/// `PUBLISHED`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Published {
    /// Whose.
    pub login: String,
    /// What.
    pub stream: StreamState,
}

/// `UNPUBLISHED` and `FAILED`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StreamEnd {
    /// Whose.
    pub login: String,
    /// What it was published as.
    pub name: String,
    /// Why.
    pub reason: StreamEndReason,
}

/// `ROLE`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RoleChange {
    /// Who.
    pub login: String,
    /// From now on.
    pub role: Role,
}

/// `LOCKED`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Locked {
    /// Nobody more may come in.
    pub locked: bool,
    /// The login of a host.
    pub by: String,
}

/// `MUTED`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Muted {
    /// Whose.
    pub login: String,
    /// What it is published as; absent: this one publishes nothing, and it is about all that is to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Sound or picture.
    pub medium: Medium,
    /// From now on.
    pub muted: bool,
    /// The login of a host; absent: by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// `RECORDING`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Recording {
    /// From now on.
    pub recording: bool,
    /// It is to be, once there is something to be recorded and a place for it.
    #[serde(default)]
    pub wanted: bool,
}

/// `TAKEN_OVER`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TakenOver {
    /// Your login.
    pub login: String,
}

/// `KICKED` and `ENDED`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct By {
    /// The login of a host.
    pub by: String,
}

/// How well a stream arrives here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StreamQuality {
    /// Whose.
    pub login: String,
    /// What it is published as.
    pub name: String,
    /// In one word.
    pub quality: Quality,
    /// What makes it less than what was sent.
    pub reasons: Vec<Reason>,
}

/// Something that makes a stream less than what was sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reason {
    /// A word, for programs, as in the HTTP API.
    pub reason: String,
    /// A sentence, for people.
    pub message: String,
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[serde(rename_all = "lowercase")]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }
    )*};
}

words! {
    /// How a participant is connected.
    Protocol {
        /// By this protocol over WebSocket.
        WebSocket,
        /// By WHIP.
        Whip,
        /// By RTMP, as an encoder.
        Rtmp,
        /// By this protocol over RTMP.
        Flash,
    }
    /// What a participant may.
    Role {
        /// Everything, and `moderate`.
        Host,
        /// Publish and chat.
        Speaker,
        /// Chat.
        Viewer,
    }
    /// What a stream shows.
    Kind {
        /// A camera, or nothing.
        Camera,
        /// A screen.
        Screen,
    }
    /// Sound or picture.
    Medium {
        /// Sound.
        Audio,
        /// Picture.
        Video,
    }
    /// Why somebody has gone.
    LeftReason {
        /// By own wish, or with a page that was closed.
        Left,
        /// Connection lost or silent.
        Vanished,
        /// Put out by a host.
        Kicked,
        /// A host has ended the room.
        Ended,
    }
    /// Why a stream has ended.
    StreamEndReason {
        /// Its publisher has stopped it, or has left.
        Stopped,
        /// It broke off.
        Failed,
    }
    /// How well a stream arrives.
    Quality {
        /// As it was sent, or nearly.
        Good,
        /// Something is lost now and then, or taken away.
        Fair,
        /// It is seen and heard.
        Poor,
    }
}

impl StreamOf {
    /// A stream of somebody.
    pub fn new(login: impl Into<String>, name: impl Into<String>) -> Self {
        Self { login: login.into(), name: name.into() }
    }
}
