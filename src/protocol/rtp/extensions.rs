//! RTP header extensions (RFC 8285): which there are, under which ids, and their values in a packet.

use crate::time::NtpTime;
use bytes::BufMut;

/// "defined by profile" of the one-byte form (RFC 8285, section 4.2).
pub(super) const ONE_BYTE_PROFILE: u16 = 0xbede;
/// That of the two-byte form; the lowest four bits are free (section 4.3).
const TWO_BYTE_PROFILE: u16 = 0x1000;
/// The largest id of the one-byte form; 15 ends it.
const MAX_ONE_BYTE_ID: u8 = 14;
/// The longest element of the one-byte form.
const MAX_ONE_BYTE_LEN: usize = 16;

/// The extensions known here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Extension {
    /// Which media section a packet belongs to (RFC 9143, section 15).
    Mid,
    /// Which encoding of a simulcast (RFC 8852).
    Rid,
    /// The same on a retransmission.
    RepairedRid,
    /// Transport-wide sequence number (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    TransportCc,
    /// When the packet left the sender.
    AbsSendTime,
    /// How loud the sound is (RFC 6464).
    AudioLevel,
    /// How the picture is turned (3GPP TS 26.114, CVO).
    Orientation,
}

impl Extension {
    /// All of them, in the order of [`ExtensionIds`].
    pub const ALL: [Self; 7] = [
        Self::Mid,
        Self::Rid,
        Self::RepairedRid,
        Self::TransportCc,
        Self::AbsSendTime,
        Self::AudioLevel,
        Self::Orientation,
    ];

    /// The name in SDP.
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Self::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Self::TransportCc => "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
            Self::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Self::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Self::Orientation => "urn:3gpp:video-orientation",
        }
    }

    /// By its name in SDP.
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|extension| extension.uri() == uri)
    }
}

/// The ids of one media section, as negotiated. Ids are 1 to 14, so that the one-byte form does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExtensionIds([u8; Extension::ALL.len()]);

impl ExtensionIds {
    /// Gives `extension` the id; false, without effect, for an id outside 1 to 14.
    pub const fn insert(&mut self, extension: Extension, id: u8) -> bool {
        let valid = id >= 1 && id <= MAX_ONE_BYTE_ID;
        if valid {
            self.0[extension as usize] = id;
        }
        valid
    }

    /// Takes the id from `extension`.
    pub const fn remove(&mut self, extension: Extension) {
        self.0[extension as usize] = 0;
    }

    /// The id of an extension; `None` when it was not negotiated.
    pub fn get(&self, extension: Extension) -> Option<u8> {
        Some(self.0[extension as usize]).filter(|id| *id != 0)
    }

    /// Which extension has the id.
    pub fn extension(&self, id: u8) -> Option<Extension> {
        Extension::ALL.into_iter().find(|extension| self.get(*extension) == Some(id))
    }
}

/// A departure time in 1/2^18 s, modulo 64 s.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AbsSendTime(u32);

impl AbsSendTime {
    /// The lowest 24 bits count.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & 0xff_ffff)
    }

    /// The 24 bits of the extension.
    pub const fn to_bits(self) -> u32 {
        self.0
    }
}

impl From<NtpTime> for AbsSendTime {
    fn from(time: NtpTime) -> Self {
        Self::from_bits((time.to_bits() >> 14) as u32) // 6 bits of seconds and 18 of fractions are kept
    }
}

/// What the extensions of a packet say; `None`: not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Values<'a> {
    /// The section's `a=mid`, at most 16 bytes.
    pub mid: Option<&'a [u8]>,
    /// The encoding's `a=rid`, at most 16 bytes.
    pub rid: Option<&'a [u8]>,
    /// The encoding of the packet that this one repeats.
    pub repaired_rid: Option<&'a [u8]>,
    /// Counts all packets of the transport; wraps at 2^16.
    pub transport_cc: Option<u16>,
    /// When the packet left its sender.
    pub abs_send_time: Option<AbsSendTime>,
    /// Voice activity in the top bit, level in -dBov below.
    pub audio_level: Option<u8>,
    /// Camera in bit 3, mirrored in bit 2, quarter turns in bits 1 and 0.
    pub orientation: Option<u8>,
}

impl<'a> Values<'a> {
    /// Sorts elements by id. Those without a negotiated id, and those too short, are passed over.
    pub fn read(elements: Elements<'a>, ids: &ExtensionIds) -> Self {
        let mut values = Self::default();
        for (id, data) in elements {
            match ids.extension(id) {
                Some(Extension::Mid) => values.mid = Some(data),
                Some(Extension::Rid) => values.rid = Some(data),
                Some(Extension::RepairedRid) => values.repaired_rid = Some(data),
                Some(Extension::TransportCc) => {
                    values.transport_cc = data.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
                }
                Some(Extension::AbsSendTime) => {
                    values.abs_send_time = data
                        .first_chunk()
                        .map(|[a, b, c]| AbsSendTime::from_bits(u32::from_be_bytes([0, *a, *b, *c])));
                }
                Some(Extension::AudioLevel) => values.audio_level = data.first().copied(),
                Some(Extension::Orientation) => values.orientation = data.first().copied(),
                None => {}
            }
        }
        values
    }

    /// Size of the elements in the one-byte form, without the header and without padding to a word.
    pub(super) fn elements_len(&self, ids: &ExtensionIds) -> usize {
        let mut len = 0;
        self.for_each(ids, |_, data| len += 1 + data.len());
        len
    }

    /// Appends the elements in the one-byte form.
    pub(super) fn write(&self, ids: &ExtensionIds, out: &mut impl BufMut) {
        self.for_each(ids, |id, data| {
            out.put_u8(id << 4 | (data.len() - 1) as u8); // 1 to 16 bytes
            out.put_slice(data);
        });
    }

    /// Visits those that have an id and fit the one-byte form.
    fn for_each(&self, ids: &ExtensionIds, mut visit: impl FnMut(u8, &[u8])) {
        let mut visit = |extension, data: Option<&[u8]>| {
            if let (Some(id), Some(data)) = (ids.get(extension), data)
                && (1..=MAX_ONE_BYTE_LEN).contains(&data.len())
            {
                visit(id, data);
            }
        };
        visit(Extension::Mid, self.mid);
        visit(Extension::Rid, self.rid);
        visit(Extension::RepairedRid, self.repaired_rid);
        visit(Extension::TransportCc, self.transport_cc.map(u16::to_be_bytes).as_ref().map(|b| &b[..]));
        let abs_send_time = self.abs_send_time.map(|time| time.to_bits().to_be_bytes());
        visit(Extension::AbsSendTime, abs_send_time.as_ref().map(|bytes| &bytes[1..]));
        visit(Extension::AudioLevel, self.audio_level.as_ref().map(std::slice::from_ref));
        visit(Extension::Orientation, self.orientation.as_ref().map(std::slice::from_ref));
    }
}

/// Walks the elements of a header extension: id and data, in either form. Ends at the first that does not fit.
#[derive(Clone, Debug, Default)]
pub struct Elements<'a> {
    two_byte: bool,
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    /// The extension of a packet: its "defined by profile" field and its words. An unknown profile has no elements.
    pub const fn new(profile: u16, words: &'a [u8]) -> Self {
        let two_byte = profile & 0xfff0 == TWO_BYTE_PROFILE;
        let known = two_byte || profile == ONE_BYTE_PROFILE;
        Self { two_byte, rest: if known { words } else { &[] } }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (head, rest) = self.rest.split_first()?;
            self.rest = rest;
            if *head == 0 {
                continue; // a byte of padding
            }
            let (id, len) = if self.two_byte {
                let (len, rest) = self.rest.split_first()?;
                self.rest = rest;
                (*head, usize::from(*len))
            } else {
                (head >> 4, usize::from(head & 0x0f) + 1)
            };
            let end = !self.two_byte && id > MAX_ONE_BYTE_ID;
            let Some((data, rest)) = self.rest.split_at_checked(len).filter(|_| !end) else {
                self.rest = &[];
                return None;
            };
            self.rest = rest;
            return Some((id, data));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(profile: u16, words: &[u8]) -> Vec<(u8, &[u8])> {
        Elements::new(profile, words).collect()
    }

    #[test]
    fn one_byte_form() {
        // RFC 8285, section 4.2: three elements with padding between.
        let words = [0x10, 1, 0x21, 2, 3, 0, 0, 0x33, 4, 5, 6, 7];
        assert_eq!(elements(0xbede, &words), [(1, &[1][..]), (2, &[2, 3]), (3, &[4, 5, 6, 7])]);
        assert_eq!(elements(0xbede, &[0x10, 1, 0xf0, 0x20, 9]), [(1, &[1][..])], "id 15 ends it");
        assert_eq!(elements(0xbede, &[0x13, 1, 2]), [], "an element that runs over");
    }

    #[test]
    fn two_byte_form() {
        let words = [1, 0, 2, 1, 7, 0, 200, 2, 8, 9];
        assert_eq!(elements(0x1005, &words), [(1, &[][..]), (2, &[7]), (200, &[8, 9])]);
        assert_eq!(elements(0x1000, &[1, 4, 0]), []);
        assert_eq!(elements(0x1000, &[1]), []);
        assert_eq!(elements(0xabac, &[0x10, 1]), [], "somebody else's extension");
    }

    #[test]
    fn values_go_by_the_negotiated_ids() {
        let mut ids = ExtensionIds::default();
        assert!(ids.insert(Extension::Orientation, 13) && ids.insert(Extension::AbsSendTime, 2));
        assert!(!ids.insert(Extension::Mid, 15) && !ids.insert(Extension::Mid, 0));
        let values = Values::read(Elements::new(0xbede, &[0xd0, 1, 0x22, 1, 2, 3, 0x40, b'a']), &ids);
        assert_eq!(values.orientation, Some(1));
        assert_eq!(values.abs_send_time, Some(AbsSendTime::from_bits(0x010203)));
        assert_eq!(values.mid, None);
        let short = Values::read(Elements::new(0xbede, &[0x21, 1, 2, 0]), &ids);
        assert_eq!(short.abs_send_time, None, "two bytes where three belong");
    }

    #[test]
    fn what_does_not_fit_the_one_byte_form_is_left_out() {
        let mut ids = ExtensionIds::default();
        ids.insert(Extension::Mid, 1);
        for (mid, len) in [(&b""[..], 0), (&[b'm'; 16], 17), (&[b'm'; 17], 0)] {
            assert_eq!(Values { mid: Some(mid), ..Values::default() }.elements_len(&ids), len);
        }
    }

    #[test]
    fn departure_times_are_6_18_fixed_point() {
        let ntp = NtpTime::from_bits((64 + 3) << 32 | 0x8000_0000);
        assert_eq!(AbsSendTime::from(ntp).to_bits(), 3 << 18 | 1 << 17);
    }

    #[test]
    fn uris_lead_back() {
        for extension in Extension::ALL {
            assert_eq!(Extension::from_uri(extension.uri()), Some(extension));
        }
    }
}
