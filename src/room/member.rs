//! What a participant is: how it is connected, what it may do, how it proves to be the same again.

use aws_lc_rs::digest::{SHA256, digest};
use std::fmt;

/// Names one stay of one participant; never used again on this server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MemberId(pub(super) u64);

/// How a participant is connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// An RTMP publisher: OBS, ffmpeg.
    Rtmp,
    /// WebRTC, signalled by WHIP.
    Whip,
    /// WebRTC, signalled by the room protocol over a WebSocket.
    WebSocket,
    /// RTMP with the room protocol's remote calls.
    Flash,
}

/// What a participant may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// Watches and writes.
    Viewer,
    /// Publishes, too.
    Speaker,
    /// Moderates, too.
    Host,
}

/// Sound or picture, or both: a small set.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Media {
    /// Sound.
    pub audio: bool,
    /// Picture.
    pub video: bool,
}

/// A secret that only the same participant knows, such as a browser tab after its connection broke. Kept as a digest, so that
/// it takes no more room than this and comparing tells nothing by its time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Protocol {
    /// All.
    pub const ALL: [Self; 4] = [Self::Rtmp, Self::Whip, Self::WebSocket, Self::Flash];

    /// Lower case, for logs, metrics and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rtmp => "rtmp",
            Self::Whip => "whip",
            Self::WebSocket => "websocket",
            Self::Flash => "flash",
        }
    }
}

impl Role {
    /// Lower case, for logs and clients.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Speaker => "speaker",
            Self::Host => "host",
        }
    }

    /// The role of that name.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Viewer, Self::Speaker, Self::Host].into_iter().find(|role| role.as_str() == word)
    }
}

impl Media {
    /// Both or either of two.
    pub const fn or(self, other: Self) -> Self {
        Self { audio: self.audio || other.audio, video: self.video || other.video }
    }

    /// Whether the medium of a kind is among them.
    pub const fn has(self, kind: crate::media::MediaKind) -> bool {
        match kind {
            crate::media::MediaKind::Audio => self.audio,
            crate::media::MediaKind::Video => self.video,
        }
    }

    /// Sets the medium of a kind.
    pub fn set(&mut self, kind: crate::media::MediaKind, value: bool) {
        match kind {
            crate::media::MediaKind::Audio => self.audio = value,
            crate::media::MediaKind::Video => self.video = value,
        }
    }
}

impl Key {
    /// The key that a client's secret stands for.
    pub fn new(secret: &str) -> Self {
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
        Self(key)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}
