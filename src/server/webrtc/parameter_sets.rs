//! The parameter sets of an H.264 publisher: those that it sends among its pictures, or else announces in its offer.

use crate::codec::h264::AvcConfig;
use crate::protocol::rtp::h264;
use crate::wire::ByteReader;
use bytes::Bytes;

const TYPE: u8 = 0x1f;
const SPS: u8 = 7;
const PPS: u8 = 8;
const STAP_A: u8 = 24;
/// Encoders send one; more than these are not kept.
const MAX_PPS: usize = 8;

/// The latest SPS and the PPS that have come with it.
#[derive(Default)]
pub(super) struct ParameterSets {
    sps: Option<Bytes>,
    pps: Vec<Bytes>,
    changed: bool,
    /// They come among the pictures; what was announced counts no more.
    in_band: bool,
}

/// Whether a decoder can start at a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Start {
    /// It cannot.
    No,
    /// It can.
    Here,
    /// It can with these parameter sets before it, which the publisher has announced and does not send.
    Behind(AvcConfig),
}

impl ParameterSets {
    /// Knows those of an offer.
    pub(super) fn announced(sets: &[Bytes]) -> Self {
        let mut known = Self::default();
        for set in sets {
            known.keep(set);
        }
        // One without the other is of no use.
        if known.config().is_some() { known } else { Self::default() }
    }

    /// Looks into a payload: keeps its parameter sets, and says whether a decoder can start at it. Where they travel with
    /// the pictures that is their packet and not the picture's first slice, which can come before them.
    pub(super) fn look(&mut self, payload: &Bytes) -> Start {
        let starts = h264::starts_keyframe(payload);
        let known = self.sps.is_some();
        let found = self.keep_all(payload);
        self.in_band |= found;
        match self.config() {
            _ if !starts => Start::No,
            _ if found || !known => Start::Here,
            Some(config) if !self.in_band => Start::Behind(config),
            _ => Start::No,
        }
    }

    /// Whether they are others than at the last call.
    pub(super) const fn take_changed(&mut self) -> bool {
        std::mem::replace(&mut self.changed, false)
    }

    /// `None` until there is one of each.
    pub(super) fn config(&self) -> Option<AvcConfig> {
        AvcConfig::new(vec![self.sps.clone()?], self.pps.clone()).ok()
    }

    /// Says whether there was an SPS.
    fn keep_all(&mut self, payload: &Bytes) -> bool {
        let Some(header) = payload.first() else { return false };
        match header & TYPE {
            SPS | PPS => self.keep(payload),
            STAP_A => {
                let mut units = ByteReader::new(payload.get(1..).unwrap_or_default());
                let mut found = false;
                while let Ok(unit) = units.u16().and_then(|length| units.bytes(length.into())) {
                    found |= self.keep(&payload.slice_ref(unit));
                }
                found
            }
            _ => false,
        }
    }

    fn keep(&mut self, unit: &Bytes) -> bool {
        match unit.first().map(|header| header & TYPE) {
            Some(SPS) => {
                if self.sps.as_ref() != Some(unit) {
                    // A copy: a slice would keep the whole datagram.
                    self.sps = Some(Bytes::copy_from_slice(unit));
                    self.pps.clear();
                    self.changed = true;
                }
                true
            }
            Some(PPS) => {
                if !self.pps.contains(unit) && self.pps.len() < MAX_PPS {
                    self.pps.push(Bytes::copy_from_slice(unit));
                    self.changed = true;
                }
                false
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(sets: &mut ParameterSets, payload: &'static [u8]) -> bool {
        sets.look(&Bytes::from_static(payload)) == Start::Here
    }

    #[test]
    fn sets_alone_and_aggregated() {
        let mut sets = ParameterSets::default();
        assert!(look(&mut sets, &[0x67, 0x42, 0xe0, 0x1f]) && sets.config().is_none());
        assert!(!look(&mut sets, &[0x68, 1]));
        assert!(sets.config().is_some() && sets.take_changed() && !sets.take_changed());
        assert!(
            look(&mut sets, &[0x78, 0, 4, 0x67, 0x42, 0xe0, 0x1f, 0, 2, 0x68, 1]) && !sets.take_changed()
        );
        assert!(look(&mut sets, &[0x78, 0, 4, 0x67, 0x42, 0xe0, 0x20, 0, 2, 0x68, 2]) && sets.take_changed());
        assert_eq!(sets.config().map(|config| config.pps().len()), Some(1), "the old one went with its SPS");
    }

    #[test]
    fn a_slice_is_a_start_only_where_no_sets_travel() {
        let mut sets = ParameterSets::default();
        assert!(look(&mut sets, &[0x65, 1]));
        look(&mut sets, &[0x67, 0x42, 0xe0, 0x1f]);
        assert!(!look(&mut sets, &[0x65, 1]) && !look(&mut sets, &[0x41, 1]) && !look(&mut sets, &[]));
    }

    #[test]
    fn announced_sets_hold_until_some_come_in_band() {
        let set = |bytes: &'static [u8]| Bytes::from_static(bytes);
        let announced = [set(&[0x67, 0x42, 0xe0, 0x1f]), set(&[0x68, 1])];
        let mut sets = ParameterSets::announced(&announced);
        let config = sets.config().unwrap();
        assert_eq!((&config.sps()[0], &config.pps()[0]), (&announced[0], &announced[1]));
        assert_eq!(sets.look(&set(&[0x41, 1])), Start::No);
        assert_eq!(sets.look(&set(&[0x65, 1])), Start::Behind(config));
        assert!(look(&mut sets, &[0x78, 0, 4, 0x67, 0x42, 0xe0, 0x20, 0, 2, 0x68, 2]), "others come in band");
        assert_eq!(sets.look(&set(&[0x65, 1])), Start::No, "and will again");
        assert_eq!(sets.config().unwrap().profile_level_id(), [0x42, 0xe0, 0x20]);
        for useless in [&announced[..1], &announced[1..], &[set(&[0x67, 1]), set(&[0x68, 1])], &[]] {
            assert_eq!(ParameterSets::announced(useless).config(), None, "{useless:?}");
        }
    }
}
