//! The RTP packet (RFC 3550, section 5): a borrowed view of one that came, and the header of one that goes.

use super::extensions::{Elements, ExtensionIds, Values};
use super::{Ssrc, extensions};
use crate::time::RtpTime;
use crate::wire::{ByteReader, Truncated};
use bytes::BufMut;
use thiserror::Error;

/// Size of the fixed header in bytes.
pub const FIXED_HEADER_LEN: usize = 12;

const VERSION: u8 = 2;

/// Why a packet cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum RtpError {
    /// It ends inside its header.
    #[error(transparent)]
    Truncated(#[from] Truncated),
    /// The version is not 2.
    #[error("RTP version {0}")]
    Version(u8),
    /// The padding count is 0 or larger than what lies behind the header.
    #[error("padding of {0} bytes does not fit")]
    Padding(u8),
}

/// The fields of the fixed header that have a meaning beyond the packet's layout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Last packet of a picture, or first of a talk spurt.
    pub marker: bool,
    /// 0 to 127, as negotiated.
    pub payload_type: u8,
    /// Counts packets of this source; wraps at 2^16.
    pub sequence: u16,
    /// Sampling instant of the payload.
    pub timestamp: RtpTime,
    /// Who sent it.
    pub ssrc: Ssrc,
}

/// A packet that came, decrypted. Borrows the datagram.
#[derive(Clone, Debug)]
pub struct PacketView<'a> {
    header: Header,
    elements: Elements<'a>,
    payload: &'a [u8],
}

impl<'a> PacketView<'a> {
    /// Reads the header with contributing sources, extension and padding.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtpError> {
        let mut reader = ByteReader::new(bytes);
        let first = reader.u8()?;
        if first >> 6 != VERSION {
            return Err(RtpError::Version(first >> 6));
        }
        let second = reader.u8()?;
        let header = Header {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: reader.u16()?,
            timestamp: RtpTime(reader.u32()?),
            ssrc: Ssrc(reader.u32()?),
        };
        reader.bytes(usize::from(first & 0x0f) * 4)?; // contributing sources: mixers name them, nobody here asks
        let elements = if first & 0x10 == 0 {
            Elements::default()
        } else {
            let profile = reader.u16()?;
            let words = reader.u16()?;
            Elements::new(profile, reader.bytes(usize::from(words) * 4)?)
        };
        let mut payload = reader.rest();
        if first & 0x20 != 0 {
            let padding = payload.last().copied().unwrap_or_default();
            let kept = payload.len().checked_sub(padding.into()).filter(|_| padding > 0);
            (payload, _) = payload.split_at(kept.ok_or(RtpError::Padding(padding))?);
        }
        Ok(Self { header, elements, payload })
    }

    /// The fixed header.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The payload without padding. Empty for a packet that is nothing but padding, as senders use to probe.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The header extension's elements as they stand.
    pub const fn elements(&self) -> &Elements<'a> {
        &self.elements
    }

    /// The header extension's values, by the negotiated ids.
    pub fn values(&self, ids: &ExtensionIds) -> Values<'a> {
        Values::read(self.elements.clone(), ids)
    }
}

impl Header {
    /// Appends the header with those of `values` that `ids` has an id for. Makes no allocation but `out`'s own.
    pub fn write(&self, values: &Values<'_>, ids: &ExtensionIds, out: &mut impl BufMut) {
        let extension_len = values.elements_len(ids);
        let extended = if extension_len > 0 { 0x10 } else { 0 };
        out.put_u8(VERSION << 6 | extended);
        out.put_u8(u8::from(self.marker) << 7 | self.payload_type & 0x7f);
        out.put_u16(self.sequence);
        out.put_u32(self.timestamp.0);
        out.put_u32(self.ssrc.0);
        if extension_len > 0 {
            let words = extension_len.div_ceil(4);
            out.put_u16(extensions::ONE_BYTE_PROFILE);
            out.put_u16(words as u16); // seven elements of at most 17 bytes
            values.write(ids, out);
            out.put_bytes(0, words * 4 - extension_len);
        }
    }

    /// How many bytes [`write`](Self::write) appends.
    pub fn written_len(values: &Values<'_>, ids: &ExtensionIds) -> usize {
        match values.elements_len(ids) {
            0 => FIXED_HEADER_LEN,
            len => FIXED_HEADER_LEN + 4 + len.next_multiple_of(4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::extensions::Extension;
    use super::*;
    use proptest::prelude::*;

    const HEADER: Header = Header {
        marker: true,
        payload_type: 96,
        sequence: 0x1234,
        timestamp: RtpTime(0x0102_0304),
        ssrc: Ssrc(0xaabb_ccdd),
    };

    fn written(values: &Values<'_>, ids: &ExtensionIds) -> Vec<u8> {
        let mut out = Vec::new();
        HEADER.write(values, ids, &mut out);
        out
    }

    #[test]
    fn the_plain_header_is_twelve_bytes() {
        let bytes = written(&Values::default(), &ExtensionIds::default());
        assert_eq!(bytes, [0x80, 0xe0, 0x12, 0x34, 1, 2, 3, 4, 0xaa, 0xbb, 0xcc, 0xdd]);
        assert_eq!(bytes.len(), FIXED_HEADER_LEN);
        let view = PacketView::parse(&bytes).unwrap();
        assert_eq!((*view.header(), view.payload()), (HEADER, &[][..]));
    }

    #[test]
    fn contributing_sources_extension_and_padding_are_skipped() {
        let mut bytes = vec![0xb2, 0x60, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend([9; 8]); // two contributing sources
        bytes.extend([0xbe, 0xde, 0, 1, 0x10, 7, 0, 0]); // id 1, one byte
        bytes.extend([b'x', b'y', 0, 0, 3]);
        let view = PacketView::parse(&bytes).unwrap();
        assert_eq!(view.payload(), b"xy");
        assert_eq!(view.elements().clone().collect::<Vec<_>>(), [(1, &[7][..])]);
    }

    #[test]
    fn every_cut_in_the_header_is_an_error() {
        let mut ids = ExtensionIds::default();
        ids.insert(Extension::TransportCc, 3);
        let bytes = written(&Values { transport_cc: Some(7), ..Values::default() }, &ids);
        for end in 0..bytes.len() {
            assert_eq!(
                PacketView::parse(&bytes[..end]).unwrap_err(),
                RtpError::Truncated(Truncated),
                "{end}"
            );
        }
    }

    #[test]
    fn padding_must_fit_and_the_version_must_be_2() {
        let mut bytes = written(&Values::default(), &ExtensionIds::default());
        bytes[0] |= 0x20;
        assert_eq!(PacketView::parse(&bytes).unwrap_err(), RtpError::Padding(0), "nothing behind the header");
        bytes.extend([0, 3]);
        assert_eq!(PacketView::parse(&bytes).unwrap_err(), RtpError::Padding(3));
        bytes[13] = 2;
        assert!(PacketView::parse(&bytes).unwrap().payload().is_empty(), "padding only");
        bytes[13] = 0;
        assert_eq!(PacketView::parse(&bytes).unwrap_err(), RtpError::Padding(0));
        bytes[0] = 0x40;
        assert_eq!(PacketView::parse(&bytes).unwrap_err(), RtpError::Version(1));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            transport_cc in prop::option::of(any::<u16>()),
            mid in prop::option::of("[a-z0-9]{1,16}"),
            audio_level in prop::option::of(any::<u8>()),
            payload in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut ids = ExtensionIds::default();
            for (extension, id) in [(Extension::Mid, 4), (Extension::TransportCc, 14), (Extension::AudioLevel, 1)] {
                ids.insert(extension, id);
            }
            let mid = mid.as_ref().map(String::as_bytes);
            let values = Values { transport_cc, mid, audio_level, ..Values::default() };
            let mut bytes = written(&values, &ids);
            prop_assert_eq!(bytes.len(), Header::written_len(&values, &ids));
            bytes.extend(&payload);
            let view = PacketView::parse(&bytes).unwrap();
            prop_assert_eq!(view.header(), &HEADER);
            prop_assert_eq!(view.payload(), &payload[..]);
            prop_assert_eq!(view.values(&ids), values);
        }
    }
}
