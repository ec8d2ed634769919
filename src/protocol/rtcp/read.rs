//! Reading compound packets.

use super::{
    FORMAT_FIR, FORMAT_NACK, FORMAT_PLI, FORMAT_TRANSPORT_CC, GOODBYE, PAYLOAD_FEEDBACK, RECEIVER_REPORT,
    ReportBlock, SENDER_REPORT, SenderInfo, TRANSPORT_FEEDBACK, VERSION,
};
use crate::protocol::rtp::Ssrc;
use crate::protocol::rtp::twcc;
use crate::time::{NtpTime, RtpTime};
use crate::wire::{ByteReader, Truncated};
use thiserror::Error;

const REPORT_BLOCK_LEN: usize = 24;
/// A longer datagram is not read: nobody's reports need more than the network carries in one piece, and a few bytes of
/// them can ask for much work.
const MAX_COMPOUND: usize = 1_500;

/// Why a compound packet, or the rest of it, cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum RtcpError {
    /// It is longer than a datagram of the network.
    #[error("{0} bytes of RTCP in one datagram")]
    TooLong(usize),
    /// A packet is longer than what is there, or shorter than what it must hold.
    #[error(transparent)]
    Truncated(#[from] Truncated),
    /// The version is not 2.
    #[error("RTCP version {0}")]
    Version(u8),
    /// The padding count is 0 or larger than the packet.
    #[error("padding of {0} bytes does not fit")]
    Padding(u8),
    /// Transport-wide feedback that contradicts itself.
    #[error(transparent)]
    TransportFeedback(#[from] twcc::FeedbackError),
}

/// One packet of a compound. Borrows the datagram.
#[derive(Clone, Debug)]
pub enum Packet<'a> {
    /// From a source that sends.
    SenderReport {
        /// The source.
        ssrc: Ssrc,
        /// Of itself.
        info: SenderInfo,
        /// Of others.
        blocks: ReportBlocks<'a>,
    },
    /// From one that only receives.
    ReceiverReport {
        /// Whose report.
        ssrc: Ssrc,
        /// What it has received.
        blocks: ReportBlocks<'a>,
    },
    /// These sources have left.
    Goodbye(Sources<'a>),
    /// Packets are missing (RFC 4585, section 6.2.1).
    Nack {
        /// The source they are of.
        media: Ssrc,
        /// Their sequence numbers.
        lost: Lost<'a>,
    },
    /// A picture is missing (RFC 4585, section 6.3.1).
    Pli {
        /// The source it is of.
        media: Ssrc,
    },
    /// Key frames are wanted (RFC 5104, section 4.3.1).
    Fir(FirEntries<'a>),
    /// When packets of the whole transport came.
    TransportFeedback(twcc::Feedback<'a>),
    /// Anything else.
    Other {
        /// The packet type.
        packet_type: u8,
        /// The count or format field.
        format: u8,
    },
}

/// Walks the packets of a decrypted RTCP datagram. Ends behind the first error.
pub const fn packets(datagram: &[u8]) -> Packets<'_> {
    Packets { rest: datagram }
}

/// Made by [`packets`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, RtcpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        if self.rest.len() > MAX_COMPOUND {
            return Some(Err(RtcpError::TooLong(std::mem::take(&mut self.rest).len())));
        }
        let mut reader = ByteReader::new(self.rest);
        let packet = Packet::read(&mut reader);
        self.rest = if packet.is_ok() { reader.rest() } else { &[] };
        Some(packet)
    }
}

impl<'a> Packet<'a> {
    fn read(reader: &mut ByteReader<'a>) -> Result<Self, RtcpError> {
        let first = reader.u8()?;
        if first >> 6 != VERSION {
            return Err(RtcpError::Version(first >> 6));
        }
        let format = first & 0x1f;
        let packet_type = reader.u8()?;
        let words = reader.u16()?;
        let mut body = reader.bytes(usize::from(words) * 4)?;
        if first & 0x20 != 0 {
            let padding = body.last().copied().unwrap_or_default();
            let kept = body.len().checked_sub(padding.into()).filter(|_| padding > 0);
            (body, _) = body.split_at(kept.ok_or(RtcpError::Padding(padding))?);
        }
        let mut body = ByteReader::new(body);
        Ok(match (packet_type, format) {
            (SENDER_REPORT, count) => Self::SenderReport {
                ssrc: Ssrc(body.u32()?),
                info: SenderInfo {
                    ntp: NtpTime::from_bits(body.u64()?),
                    rtp: RtpTime(body.u32()?),
                    packets: body.u32()?,
                    octets: body.u32()?,
                },
                blocks: ReportBlocks::read(&mut body, count)?,
            },
            (RECEIVER_REPORT, count) => Self::ReceiverReport {
                ssrc: Ssrc(body.u32()?),
                blocks: ReportBlocks::read(&mut body, count)?,
            },
            (GOODBYE, count) => Self::Goodbye(Sources { rest: body.bytes(usize::from(count) * 4)? }),
            (TRANSPORT_FEEDBACK, FORMAT_NACK) => {
                body.u32()?; // who asks: the peer
                Self::Nack {
                    media: Ssrc(body.u32()?),
                    lost: Lost { rest: body.rest(), first: 0, mask: None },
                }
            }
            (TRANSPORT_FEEDBACK, FORMAT_TRANSPORT_CC) => {
                body.bytes(8)?; // who reports, and a source that stands for the transport
                Self::TransportFeedback(twcc::Feedback::parse(body.rest())?)
            }
            (PAYLOAD_FEEDBACK, FORMAT_PLI) => {
                body.u32()?;
                Self::Pli { media: Ssrc(body.u32()?) }
            }
            (PAYLOAD_FEEDBACK, FORMAT_FIR) => {
                body.bytes(8)?;
                Self::Fir(FirEntries { rest: body.rest() })
            }
            (packet_type, format) => Self::Other { packet_type, format },
        })
    }
}

/// The report blocks of a report.
#[derive(Clone, Debug)]
pub struct ReportBlocks<'a> {
    rest: &'a [u8],
}

impl<'a> ReportBlocks<'a> {
    fn read(body: &mut ByteReader<'a>, count: u8) -> Result<Self, Truncated> {
        Ok(Self { rest: body.bytes(usize::from(count) * REPORT_BLOCK_LEN)? })
    }
}

impl Iterator for ReportBlocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let mut reader = ByteReader::new(self.rest);
        let block = ReportBlock {
            ssrc: Ssrc(reader.u32().ok()?),
            fraction_lost: reader.u8().ok()?,
            lost: reader.i24().ok()?,
            highest: reader.u32().ok()?,
            jitter: reader.u32().ok()?,
            last_report: reader.u32().ok()?,
            delay: reader.u32().ok()?,
        };
        self.rest = reader.rest();
        Some(block)
    }
}

/// Sources by their numbers.
#[derive(Clone, Debug)]
pub struct Sources<'a> {
    rest: &'a [u8],
}

impl Iterator for Sources<'_> {
    type Item = Ssrc;

    fn next(&mut self) -> Option<Ssrc> {
        let (ssrc, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(Ssrc(u32::from_be_bytes(*ssrc)))
    }
}

/// Sequence numbers of lost packets: at most 17 for each 4 bytes of the message.
#[derive(Clone, Debug)]
pub struct Lost<'a> {
    rest: &'a [u8],
    first: u16,
    /// Of the sixteen behind `first`, those still to be named.
    mask: Option<u16>,
}

impl Iterator for Lost<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if let Some(mask) = self.mask.filter(|mask| *mask != 0) {
            self.mask = Some(mask & (mask - 1)); // without its lowest bit
            return Some(self.first.wrapping_add(mask.trailing_zeros() as u16 + 1)); // at most 16
        }
        let ([a, b, c, d], rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        self.first = u16::from_be_bytes([*a, *b]);
        self.mask = Some(u16::from_be_bytes([*c, *d]));
        Some(self.first)
    }
}

/// Sources whose key frame is wanted, each with the number of the command: a repeated number is the same command.
#[derive(Clone, Debug)]
pub struct FirEntries<'a> {
    rest: &'a [u8],
}

impl Iterator for FirEntries<'_> {
    type Item = (Ssrc, u8);

    fn next(&mut self) -> Option<(Ssrc, u8)> {
        let ([a, b, c, d, number, _, _, _], rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some((Ssrc(u32::from_be_bytes([*a, *b, *c, *d])), *number))
    }
}

#[cfg(test)]
mod tests {
    use super::super::write;
    use super::*;

    fn all(datagram: &[u8]) -> Vec<Result<Packet<'_>, RtcpError>> {
        packets(datagram).collect()
    }

    fn error(datagram: &[u8]) -> RtcpError {
        packets(datagram).find_map(Result::err).expect("an error")
    }

    #[test]
    fn a_compound_as_a_browser_sends_it() {
        let mut out = Vec::new();
        let block = ReportBlock {
            ssrc: Ssrc(7),
            fraction_lost: 12,
            lost: -3,
            highest: 0x1_0005,
            jitter: 90,
            last_report: 5,
            delay: 6,
        };
        write::receiver_report(&mut out, Ssrc(1), &[block]);
        write::source_description(&mut out, Ssrc(1), "someone");
        write::nack(&mut out, Ssrc(1), Ssrc(7), &[3, 5, 19, 20, 65_535]);
        write::pli(&mut out, Ssrc(1), Ssrc(7));
        out.extend([0x8f, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B']);
        let packets = all(&out);
        assert_eq!(packets.len(), 5);
        assert!(
            matches!(&packets[0], Ok(Packet::ReceiverReport { ssrc: Ssrc(1), blocks }) if blocks.clone().eq([block]))
        );
        assert!(matches!(packets[1], Ok(Packet::Other { packet_type: 202, format: 1 })));
        let Ok(Packet::Nack { media: Ssrc(7), lost }) = &packets[2] else { panic!("{packets:?}") };
        assert_eq!(lost.clone().collect::<Vec<_>>(), [3, 5, 19, 20, 65_535]);
        assert!(matches!(packets[3], Ok(Packet::Pli { media: Ssrc(7) })));
        assert!(matches!(packets[4], Ok(Packet::Other { packet_type: 206, format: 15 })));
    }

    #[test]
    fn a_lost_list_wraps() {
        let lost = Lost { rest: &[0xff, 0xff, 0x80, 0x01], first: 0, mask: None };
        assert_eq!(lost.collect::<Vec<_>>(), [65_535, 0, 15]);
        let lost = Lost { rest: &[0, 9, 0xff, 0xff, 1, 2, 3], first: 0, mask: None };
        assert_eq!(lost.collect::<Vec<_>>(), (9..26).collect::<Vec<_>>(), "what is left over is no entry");
    }

    #[test]
    fn goodbyes_and_commands() {
        let mut out = Vec::new();
        write::goodbye(&mut out, &[Ssrc(3), Ssrc(4)]);
        write::fir(&mut out, Ssrc(1), Ssrc(9), 200);
        let mut found = packets(&out);
        let Some(Ok(Packet::Goodbye(sources))) = found.next() else { panic!("no goodbye") };
        assert!(sources.eq([Ssrc(3), Ssrc(4)]));
        let Some(Ok(Packet::Fir(entries))) = found.next() else { panic!("no command") };
        assert!(entries.eq([(Ssrc(9), 200)]));
        assert!(found.next().is_none());
    }

    #[test]
    fn every_cut_is_an_error() {
        let mut out = Vec::new();
        let info = SenderInfo { ntp: NtpTime::from_bits(1), rtp: RtpTime(2), packets: 3, octets: 4 };
        write::sender_report(&mut out, Ssrc(1), &info, &[]);
        assert!(matches!(all(&out)[..], [Ok(Packet::SenderReport { info: read, .. })] if read == info));
        for end in 1..out.len() {
            assert_eq!(error(&out[..end]), RtcpError::Truncated(Truncated), "{end}");
        }
        out[0] |= 1;
        assert_eq!(error(&out), RtcpError::Truncated(Truncated), "a block that is not there");
        assert_eq!(error(&[0x41, 200, 0, 0]), RtcpError::Version(1));
        assert!(all(&[]).is_empty());
    }

    #[test]
    fn a_datagram_of_more_than_the_network_carries_is_not_read() {
        let mut out = Vec::new();
        while out.len() < MAX_COMPOUND {
            write::pli(&mut out, Ssrc(1), Ssrc(2));
        }
        assert_eq!((out.len(), all(&out).len()), (MAX_COMPOUND, MAX_COMPOUND / 12));
        write::pli(&mut out, Ssrc(1), Ssrc(2));
        assert!(matches!(all(&out)[..], [Err(RtcpError::TooLong(1_512))]));
    }

    #[test]
    fn padding() {
        let padded = |padding: u8| [0xa1, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, padding];
        assert!(matches!(all(&padded(4))[..], [Ok(Packet::Pli { media: Ssrc(2) })]));
        assert_eq!(error(&padded(0)), RtcpError::Padding(0));
        assert_eq!(error(&padded(13)), RtcpError::Padding(13));
        assert_eq!(error(&padded(8)), RtcpError::Truncated(Truncated), "padding over the fields");
        assert_eq!(error(&[0xa1, 206, 0, 0]), RtcpError::Padding(0));
    }
}
