//! Why a stream has the status it has, in the words that the SDK knows.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

macro_rules! known {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The `info` of a stream's status. Pages compare it with the SDK's constants or show it to people.
        #[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
        #[serde(from = "Cow<'static, str>", into = "Cow<'static, str>")]
        pub enum Info {
            $($(#[$doc])* #[doc = concat!("`", $text, "`")] $name,)*
            /// A sentence of ours, where none of those says it.
            Sentence(Cow<'static, str>),
        }

        impl Info {
            /// All that the SDK has constants for and a server may send.
            pub const KNOWN: &[Self] = &[$(Self::$name),*];

            /// The text.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Sentence(text) => text,
                }
            }
        }
    };
}

known! {
    /// ICE went wrong:
    FailedByIceError = "Failed by ICE error",
    /// No check came in time:
    FailedByIceTimeout = "Failed by ICE timeout",
    /// The peer was connected and is silent:
    FailedByIceKeepAlive = "Failed by ICE keep alive",
    /// The certificate is not the one of the offer:
    FailedByDtlsFingerprint = "Failed by DTLS fingerprint error",
    /// The handshake failed or did not end:
    FailedByDtlsError = "Failed by DTLS error",
    /// No media for long:
    FailedByRtpActivity = "Failed by RTP activity",
    /// Nothing that both sides know:
    NoCommonCodecs = "No common codecs",
    /// Only a transcoder could help:
    TranscodingDisabled = "Transcoding required, but disabled",
    /// All of them are busy:
    NoTranscoders = "No available transcoders",
    /// Nobody publishes it:
    StreamNotFound = "Stream not found",
    /// Somebody does already:
    StreamNameInUse = "Stream name is already in use",
    /// Its publisher is not connected yet:
    PublishStreamNotReady = "Publish stream is not ready",
    /// The id is missing:
    MediaSessionIdIsNull = "MediaSessionId is null",
    /// The id names another stream:
    MediaSessionIdInUse = "MediaSessionId is already in use",
    /// `connection` has to come first:
    SessionNotReady = "Session not ready",
    /// There is no such session:
    SessionDoesNotExist = "Session does not exist",
    /// It is not allowed:
    RestrictedAccess = "Restricted access",
    /// The client was silent:
    TerminatedByKeepAlive = "Terminated by keep-alive",
    /// By its own client:
    StoppedByUser = "Stopped by user",
    /// What was played is not published any more:
    StoppedByPublisherStop = "Stopped by publisher stop",
    /// The signalling connection has gone:
    StoppedBySessionDisconnect = "Stopped by session disconnect",
    /// By the operator:
    StoppedByRest = "Stopped by rest /terminate",
    /// Anything else:
    FailedByError = "Failed by error",
    /// Anything else, of a stream:
    StreamFailed = "Stream failed",
    /// By this server:
    RequestedShutdown = "Requested stream shutdown",
    /// What handed it on has stopped:
    DistributorStopped = "Distributor stopped",
    /// Towards another server:
    FailedByRtmpWriter = "Failed by RTMP writer error",
    /// Towards HLS:
    FailedByHlsWriter = "Failed by HLS writer error",
    /// Between servers:
    FailedToAddToProxy = "Failed to add stream to proxy",
    /// An address that cannot be read:
    BadUri = "Bad URI",
    /// Of a file:
    FileNotFound = "File not found",
    /// Of a file:
    FailedToReadFile = "Failed to read file",
    /// Of a file:
    WrongFileFormat = "File has wrong format",
    /// Of a file:
    FileException = "Got exception while streaming file",
    /// RTSP:
    WrongRtspFormat = "Rtsp has wrong format",
    /// RTSP:
    RtspNotFound = "Rtsp stream not found",
    /// RTSP:
    FailedToConnectRtsp = "Failed to connect to rtsp stream",
    /// RTSP:
    RtspAgentShutdown = "RtspAgent shutdown",
    /// Between servers:
    FailedToConnectOrigin = "Failed to connect to origin stream",
    /// Between servers:
    CdnStreamNotFound = "CDN stream not found",
    /// Between servers:
    NoAgentStorage = "Failed to get agent storage",
    /// Between servers:
    OriginShuttingDown = "Agent servicing origin stream is shutting down",
}

impl Info {
    /// A sentence of ours.
    pub fn sentence(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Sentence(text.into())
    }
}

impl From<Cow<'static, str>> for Info {
    fn from(text: Cow<'static, str>) -> Self {
        let known = Self::KNOWN.iter().find(|info| info.as_str() == text);
        known.cloned().unwrap_or(Self::Sentence(text))
    }
}

impl From<Info> for Cow<'static, str> {
    fn from(info: Info) -> Self {
        match info {
            Info::Sentence(text) => text,
            known => Self::Owned(known.as_str().to_owned()),
        }
    }
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Info {
    fn schema_name() -> Cow<'static, str> {
        "Info".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let known: Vec<_> = Self::KNOWN.iter().map(Self::as_str).collect();
        schemars::json_schema!({
            "type": "string",
            "description": "Why a stream has the status it has: one of the SDK's constants, or a sentence for people.",
            "examples": known,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn what_is_known_comes_back_as_itself() {
        let texts: HashSet<_> = Info::KNOWN.iter().map(Info::as_str).collect();
        assert_eq!(texts.len(), Info::KNOWN.len(), "each has its own text");
        for info in Info::KNOWN {
            let json = serde_json::to_string(info).unwrap();
            assert_eq!(&serde_json::from_str::<Info>(&json).unwrap(), info);
        }
        let ours: Info = serde_json::from_str("\"the room is full\"").unwrap();
        assert_eq!(ours, Info::sentence("the room is full"));
    }
}
