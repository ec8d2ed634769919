//! RTP (RFC 3550) as WebRTC uses it: headers, header extensions, loss repair, feedback and reports.
//!
//! Sans-IO: bytes come in decrypted, times come in as [`Instant`](std::time::Instant)s, and every state machine says
//! itself when it wants to be asked again. Sequence numbers and timestamps leave [`Reception`] unwrapped to 64 bits.

pub mod assemble;
pub mod extensions;
pub mod h264;
pub mod jitter;
pub mod nack;
pub mod opus;
pub mod packet;
pub mod report;
pub mod rtx;
pub mod twcc;
pub mod vp8;

pub use extensions::{AbsSendTime, Extension, ExtensionIds, Values};
pub use nack::NackGenerator;
pub use packet::{Header, PacketView, RtpError};
pub use report::{Arrival, Position, Reception};

use std::fmt;

/// Names one source of RTP packets within a session (RFC 3550, section 3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Ssrc(pub u32);

impl fmt::Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Some instant for tests to count from.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an Instant comes from the clock alone; tests only add to it")]
pub(in crate::protocol) fn test_start() -> std::time::Instant {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    *START.get_or_init(std::time::Instant::now)
}
