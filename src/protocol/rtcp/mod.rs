//! RTCP (RFC 3550, section 6) with the feedback messages of RFC 4585 and RFC 5104.
//!
//! [`packets`] walks a compound packet without copying; [`mod@write`] appends packets to a buffer. What a gateway has no use
//! for (source descriptions, bandwidth estimates, extended reports) is recognised by its length and passed over.

mod read;
pub mod write;

pub use read::{FirEntries, Lost, Packet, Packets, ReportBlocks, RtcpError, Sources, packets};

use crate::protocol::rtp::Ssrc;
use crate::time::{NtpTime, RtpTime};
use std::time::Duration;

const VERSION: u8 = 2;
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
/// RTPFB (RFC 4585, section 6.2).
const TRANSPORT_FEEDBACK: u8 = 205;
/// PSFB (RFC 4585, section 6.3).
const PAYLOAD_FEEDBACK: u8 = 206;
const FORMAT_NACK: u8 = 1;
const FORMAT_TRANSPORT_CC: u8 = 15;
const FORMAT_PLI: u8 = 1;
const FORMAT_FIR: u8 = 4;

/// What a sender says of itself (RFC 3550, section 6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SenderInfo {
    /// When the report was made, by the sender's wall clock.
    pub ntp: NtpTime,
    /// The same instant on the media's clock.
    pub rtp: RtpTime,
    /// Packets sent so far; wraps.
    pub packets: u32,
    /// Payload bytes sent so far; wraps.
    pub octets: u32,
}

/// What a receiver says of one source (RFC 3550, section 6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: Ssrc,
    /// Packets lost since the report before, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the start; duplicates count against it. 24 bits on the wire, at the ends of which it stays.
    pub lost: i32,
    /// Highest sequence number, with the count of wraps in the upper half.
    pub highest: u32,
    /// Smoothed variation of the transit time, in ticks of the media's clock.
    pub jitter: u32,
    /// [`NtpTime::short`] of the last sender report, or 0.
    pub last_report: u32,
    /// How long ago that came, in 1/65536 s.
    pub delay: u32,
}

impl ReportBlock {
    /// Time to the receiver and back, when the block came at `now` by the clock of our sender reports; `None` when it
    /// answers none, and for figures that cannot be.
    pub fn round_trip(&self, now: NtpTime) -> Option<Duration> {
        if self.last_report == 0 {
            return None;
        }
        let units = now.short().wrapping_sub(self.last_report).wrapping_sub(self.delay);
        // Half the range: the receiver claims to have held the report for longer than there was time.
        (units < 1 << 31).then(|| Duration::from_nanos((u64::from(units) * 1_000_000_000) >> 16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let block = ReportBlock {
            ssrc: Ssrc(1),
            fraction_lost: 0,
            lost: 0,
            highest: 0,
            jitter: 0,
            last_report: 0xb705_2000,
            delay: 0x0005_4000,
        };
        // The example of RFC 3550, section 6.4.1: 6.125 s.
        let now = NtpTime::from_bits(0xb44d_b710_8000_0000);
        assert_eq!(block.round_trip(now), Some(Duration::from_millis(6_125)));
        assert_eq!(ReportBlock { last_report: 0, ..block }.round_trip(now), None);
        assert_eq!(ReportBlock { delay: 0x000c_0000, ..block }.round_trip(now), None);
    }
}
