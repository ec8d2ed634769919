//! What the operator decides: one struct per section, each handed to its layer by value.
//!
//! Input is one TOML file and `--set` flags; flags override the file, a flag that is absent changes nothing. Unknown
//! keys and bad values are errors that say where they stand and which key is nearest, or what to write.

mod bridge;
mod error;
mod explain;
mod hooks;
mod http;
mod load;
mod log;
mod prefix;
mod recording;
mod room;
mod rooms;
mod rtmp;
mod rules;
mod secret;
mod tls;
mod units;
mod upload;
mod webrtc;
mod written;

pub use bridge::{Bridge, VideoEncoder};
pub use error::{ConfigError, Place};
pub use hooks::Hooks;
pub use http::{Http, InvalidOrigin, Origin, Origins};
pub use log::{Filter, Format, InvalidFilter, Log};
pub use prefix::{InvalidPrefix, Prefix};
pub use recording::{Align, Policy, RecordedAudio, Recording};
pub use room::{Pattern, RoomRule, RoomRules};
pub use rooms::Rooms;
pub use rtmp::Rtmp;
pub use secret::Secret;
pub use tls::{CertificateSource, Tls};
pub use units::{ByteSize, InvalidUnit, Span};
pub use upload::{Upload, Verify};
pub use webrtc::{Host, InvalidHost, Webrtc};

use serde::{Deserialize, Serialize};

/// Everything that can be configured. [`Config::default`] is what an empty file means.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The RTMP server.
    pub rtmp: Rtmp,
    /// The HTTP server: pages, signalling, API, metrics.
    pub http: Http,
    /// The WebRTC media port.
    pub webrtc: Webrtc,
    /// Admission to rooms.
    pub rooms: Rooms,
    /// Conversions between codecs.
    pub bridge: Bridge,
    /// What is recorded, where, and how.
    pub recording: Recording,
    /// Who is told what happens.
    pub hooks: Hooks,
    /// What is logged, and how.
    pub log: Log,
    /// Options of some rooms, in place of those above.
    #[serde(skip)]
    pub room: RoomRules,
    /// The same as it is written.
    #[serde(rename = "room", skip_serializing)]
    pub(crate) tables: Vec<toml::Table>,
}
