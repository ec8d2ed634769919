//! The parameter sets of an H.264 publisher: those that it sends among its pictures, or else announces in its offer.

use crate::codec::h264::{self, AvcConfig, NalKind};
use crate::protocol::rtp::h264::starts_keyframe;
use crate::wire::ByteReader;
use bytes::Bytes;

const TYPE: u8 = 0x1f;
const STAP_A: u8 = 24;
/// The latest of them.
#[derive(Default)]
pub(super) struct ParameterSets {
    sets: h264::ParameterSets,
    /// All of them, once there is one of each kind: looked at with each packet, made seldom.
    config: Option<AvcConfig>,
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
        let mut known = h264::ParameterSets::default();
        for set in sets {
            known.add(set);
        }
        // One kind without the other is of no use.
        match known.config() {
            Some(config) => Self { sets: known, config: Some(config), ..Self::default() },
            None => Self::default(),
        }
    }

    /// Looks into a payload: keeps its parameter sets, and says whether a decoder can start at it. Where they travel with
    /// the pictures that is their packet and not the picture's first slice, which can come before them.
    pub(super) fn look(&mut self, payload: &Bytes) -> Start {
        let starts = starts_keyframe(payload);
        let found = self.keep_all(payload);
        match &self.config {
            _ if !starts => Start::No,
            _ if found => Start::Here,
            _ if self.in_band => Start::No,
            Some(config) => Start::Behind(config.clone()),
            // Nobody knows any: it may be a start, and what comes of it is seen when there are some.
            None => Start::Here,
        }
    }

    /// Whether they are others than at the last call.
    pub(super) const fn take_changed(&mut self) -> bool {
        std::mem::replace(&mut self.changed, false)
    }

    /// `None` until there is one of each.
    pub(super) const fn config(&self) -> Option<&AvcConfig> {
        self.config.as_ref()
    }

    /// Says whether there was an SPS.
    fn keep_all(&mut self, payload: &Bytes) -> bool {
        let Some(header) = payload.first() else { return false };
        match header & TYPE {
            STAP_A => {
                let mut units = ByteReader::new(payload.get(1..).unwrap_or_default());
                let mut found = false;
                while let Ok(unit) = units.u16().and_then(|length| units.bytes(length.into())) {
                    found |= self.keep(&payload.slice_ref(unit));
                }
                found
            }
            _ => self.keep(payload),
        }
    }

    fn keep(&mut self, unit: &Bytes) -> bool {
        let is_sps = NalKind::of(unit) == Some(NalKind::Sps);
        if is_sps && !std::mem::replace(&mut self.in_band, true) {
            (self.sets, self.config) = Default::default();
        }
        if self.sets.add(unit) {
            self.changed = true;
            self.config = self.sets.config();
        }
        is_sps
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
        assert!(look(&mut sets, &[0x67, 0x42, 0xe0, 0x1f, 0x95]) && sets.config().is_none());
        assert!(!look(&mut sets, &[0x68, 0xce]));
        assert!(sets.config().is_some() && sets.take_changed() && !sets.take_changed());
        let again = &[0x78, 0, 5, 0x67, 0x42, 0xe0, 0x1f, 0x95, 0, 2, 0x68, 0xce];
        assert!(look(&mut sets, again) && !sets.take_changed());
        let others = &[0x78, 0, 5, 0x67, 0x42, 0xe0, 0x20, 0x95, 0, 2, 0x68, 0xcf];
        assert!(look(&mut sets, others) && sets.take_changed());
        let config = sets.config().cloned().unwrap();
        assert_eq!((config.profile_level_id(), config.pps().len()), ([0x42, 0xe0, 0x20], 1));
    }

    #[test]
    fn a_slice_is_a_start_only_where_no_sets_travel() {
        let mut sets = ParameterSets::default();
        assert!(look(&mut sets, &[0x65, 1]));
        look(&mut sets, &[0x67, 0x42, 0xe0, 0x1f, 0x95]);
        assert!(!look(&mut sets, &[0x65, 1]) && !look(&mut sets, &[0x41, 1]) && !look(&mut sets, &[]));
    }

    #[test]
    fn announced_sets_hold_until_some_come_in_band() {
        let set = |bytes: &'static [u8]| Bytes::from_static(bytes);
        let announced = [set(&[0x67, 0x42, 0xe0, 0x1f, 0x95]), set(&[0x68, 0xce])];
        let mut sets = ParameterSets::announced(&announced);
        let config = sets.config().cloned().unwrap();
        assert_eq!((&config.sps()[0], &config.pps()[0]), (&announced[0], &announced[1]));
        assert_eq!(sets.look(&set(&[0x41, 1])), Start::No);
        assert_eq!(sets.look(&set(&[0x65, 1])), Start::Behind(config));
        // Others come in band, under another id; the announced ones are gone.
        assert!(look(&mut sets, &[0x78, 0, 5, 0x67, 0x42, 0xe0, 0x20, 0x50, 0, 2, 0x68, 0x5e]));
        assert_eq!(sets.look(&set(&[0x65, 1])), Start::No, "they will come again");
        let config = sets.config().cloned().unwrap();
        assert_eq!((config.profile_level_id(), config.sps().len()), ([0x42, 0xe0, 0x20], 1));
        let short = set(&[0x67, 1]);
        for useless in [&announced[..1], &announced[1..], &[short, announced[1].clone()], &[]] {
            assert_eq!(ParameterSets::announced(useless).config(), None, "{useless:?}");
        }
    }
}
