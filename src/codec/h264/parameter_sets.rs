//! The parameter sets of a stream that sends them in band.

use super::avc_config::MAX_SET;
use super::{AvcConfig, NalKind};
use crate::wire::BitReader;
use bytes::Bytes;
use std::collections::BTreeMap;

/// `seq_parameter_set_id` is below this (ITU-T H.264, section 7.4.2.1.1).
const MAX_SPS: u32 = 32;
/// `pic_parameter_set_id` is below this (section 7.4.2.2).
const MAX_PPS: u32 = 256;

/// Keeps the latest set of each id.
#[derive(Clone, Debug, Default)]
pub struct ParameterSets {
    sps: BTreeMap<u32, Bytes>,
    pps: BTreeMap<u32, Bytes>,
}

impl ParameterSets {
    /// Takes a NAL unit of kind SPS or PPS; says whether that changed anything. Others, and broken ones, are passed over.
    pub fn add(&mut self, nal: &Bytes) -> bool {
        if nal.len() > MAX_SET {
            return false;
        }
        // Emulation prevention cannot reach into the bits read here: profile and level are not zero, a PPS starts there.
        let (sets, id, limit) = match NalKind::of(nal) {
            Some(NalKind::Sps) => (&mut self.sps, nal.get(4..).map(BitReader::new), MAX_SPS),
            Some(NalKind::Pps) => (&mut self.pps, nal.get(1..).map(BitReader::new), MAX_PPS),
            _ => return false,
        };
        let Some(id) = id.and_then(|mut bits| bits.ue().ok()).filter(|id| *id < limit) else { return false };
        if sets.get(&id) == Some(nal) {
            return false;
        }
        // A copy: the slice would keep a whole picture in memory.
        sets.insert(id, Bytes::copy_from_slice(nal));
        true
    }

    /// Those that a picture is decoded with, of which this is a slice: its SPS, and each PPS that goes with it. Encoders that give
    /// each size an id of its own leave others behind.
    pub fn config_of(&self, slice: &[u8]) -> Option<AvcConfig> {
        let mut bits = BitReader::new(slice.get(1..)?);
        let (_first_mb, _kind) = (bits.ue().ok()?, bits.ue().ok()?);
        let used = sps_of(self.pps.get(&bits.ue().ok()?)?)?;
        let pps = self.pps.values().filter(|pps| sps_of(pps) == Some(used)).cloned().collect();
        AvcConfig::new(vec![self.sps.get(&used)?.clone()], pps).ok()
    }

    /// All of them, once there is one of each kind.
    pub fn config(&self) -> Option<AvcConfig> {
        AvcConfig::new(self.sps.values().cloned().collect(), self.pps.values().cloned().collect()).ok()
    }
}

/// Which SPS a PPS goes with.
fn sps_of(pps: &Bytes) -> Option<u32> {
    let mut bits = BitReader::new(pps.get(1..)?);
    bits.ue().and_then(|_id| bits.ue()).ok()
}

impl From<&AvcConfig> for ParameterSets {
    fn from(config: &AvcConfig) -> Self {
        let mut sets = Self::default();
        for nal in config.sps().iter().chain(config.pps()) {
            sets.add(nal);
        }
        sets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_of_each_id_counts() {
        let mut sets = ParameterSets::default();
        let nal = |bytes: &'static [u8]| Bytes::from_static(bytes);
        assert!(sets.add(&nal(&[0x67, 0x42, 0xc0, 0x1e, 0x95, 1])));
        assert_eq!(sets.config(), None, "no PPS yet");
        assert!(sets.add(&nal(&[0x68, 0xce])) && !sets.add(&nal(&[0x68, 0xce])));
        assert!(sets.add(&nal(&[0x68, 0x5e])), "PPS 1");
        assert!(sets.add(&nal(&[0x67, 0x42, 0xc0, 0x1f, 0x95, 2])), "replaces SPS 0");
        let config = sets.config().unwrap();
        assert_eq!((config.sps().len(), config.pps().len()), (1, 2));
        assert_eq!(config.profile_level_id(), [0x42, 0xc0, 0x1f]);
        assert_eq!(ParameterSets::from(&config).config(), Some(config));
    }

    #[test]
    fn a_picture_has_its_own_sets() {
        let mut sets = ParameterSets::default();
        // SPS 0 with PPS 0, SPS 1 with PPS 1 and 2.
        let [first, second] = [&[0x67, 0x42, 0xc0, 0x1e, 0x95, 1][..], &[0x67, 0x42, 0xc0, 0x28, 0x52, 1]];
        for nal in [first, second, &[0x68, 0xce], &[0x68, 0x4a], &[0x68, 0x6a]] {
            assert!(sets.add(&Bytes::copy_from_slice(nal)), "{nal:02x?}");
        }
        let of = |slice: &[u8]| sets.config_of(slice).map(|config| (config.sps()[0][3], config.pps().len()));
        // first_mb 0, an I slice of all slices, and the PPS.
        assert_eq!(of(&[0x65, 0x88, 0x80]), Some((0x1e, 1)));
        assert_eq!(of(&[0x65, 0x88, 0x40]), Some((0x28, 2)));
        assert_eq!(of(&[0x65, 0x88, 0x20]), None, "PPS 3");
        assert_eq!([of(&[0x65, 0x88]), of(&[])], [None; 2]);
    }

    #[test]
    fn what_is_no_set_is_passed_over() {
        let mut sets = ParameterSets::default();
        for nal in [&[][..], &[0x67], &[0x67, 0x42, 0xc0, 0x1e], &[0x68], &[0x65, 0x88], &[0x68, 0, 0x40, 0]]
        {
            assert!(!sets.add(&Bytes::copy_from_slice(nal)), "{nal:02x?}");
        }
        assert!(!sets.add(&Bytes::from(vec![0x68; 5_000])));
    }
}
