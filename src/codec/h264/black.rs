//! Black pictures without an encoder, under the stream's own SPS, so that a decoder passes from them to the stream and back
//! as if one encoder had made both.
//!
//! They have a PPS of their own beside those of the stream. A key picture is one macroblock of samples (I_PCM) and, behind
//! it, macroblocks that predict their mean from their neighbours and add nothing: a byte each. A picture in between is one
//! run of skipped macroblocks: some ten bytes.

use super::nal::nal_unit;
use super::sps::{PocType, Samples, Sps};
use super::{AvcConfig, AvcConfigError, HeaderError, Pps};
use crate::wire::BitWriter;
use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

/// Makes black pictures for one stream.
#[derive(Clone, Debug)]
pub struct Black {
    sps: Sps,
    pps: Pps,
    config: AvcConfig,
}

/// Why there are no black pictures for a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum BlackError {
    /// The SPS cannot be read.
    #[error(transparent)]
    Sps(#[from] HeaderError),
    /// Only 4:2:0 of 8 bits is made.
    #[error("neither 4:2:0 nor of 8 bits")]
    Format,
    /// More macroblocks than level 6.2 allows.
    #[error("{0} macroblocks are more than any level allows")]
    Size(u32),
    /// The stream uses them all, or its record is full.
    #[error("no room for a PPS")]
    NoPps,
}

/// `MaxFS` of level 6.2 (ITU-T H.264, table A-1).
const MAX_MACROBLOCKS: u32 = 139_264;
/// An IDR picture must differ in its id from an IDR picture next to it (section 7.4.3). Encoders count from 0.
const IDR_PIC_IDS: [u32; 2] = [40_000, 40_001];
/// `nal_unit_type` 5, 1 and 8, and that others refer to it.
const IDR: u8 = 0x65;
const NOT_IDR: u8 = 0x41;
const PPS: u8 = 0x68;

impl Black {
    /// For a stream with these parameter sets; of several SPS, the first.
    pub fn new(config: &AvcConfig) -> Result<Self, BlackError> {
        let sps = Sps::parse(config.sps().first().ok_or(HeaderError::Malformed)?)?;
        if sps.samples != Samples::PLAIN {
            return Err(BlackError::Format);
        }
        let count = sps.macroblocks.0.saturating_mul(sps.macroblocks.1);
        if count > MAX_MACROBLOCKS {
            return Err(BlackError::Size(count));
        }
        let used: Vec<_> = config.pps().iter().filter_map(|pps| Pps::peek_id(pps)).collect();
        let id = (0..=u8::MAX).find(|id| !used.contains(id)).ok_or(BlackError::NoPps)?;
        let nal = picture_parameter_set(id, sps.id);
        let pps = Pps::parse(&nal)?;
        let sets = config.pps().iter().cloned().chain([nal]).collect();
        let config = AvcConfig::new(config.sps().to_vec(), sets).map_err(|error| match error {
            AvcConfigError::TooMany => BlackError::NoPps,
            _ => BlackError::Sps(HeaderError::Malformed),
        })?;
        Ok(Self { sps, pps, config })
    }

    /// The stream's parameter sets and that of the black pictures: what a file that has both must announce.
    pub const fn config(&self) -> &AvcConfig {
        &self.config
    }

    /// A key picture, number `count` of those that stand one behind the other; with a length of 4 bytes in front.
    pub fn key(&self, count: u64) -> Bytes {
        let mut bits = BitWriter::default();
        let ids = IDR_PIC_IDS;
        self.slice_header(&mut bits, 0, Some(if count.is_multiple_of(2) { ids[0] } else { ids[1] }));
        let (width, height) = self.sps.macroblocks;
        // Pairs of macroblocks, one above the other, follow each other where fields are adaptive.
        let pairs = self.sps.adaptive_fields;
        if pairs {
            bits.bit(false); // mb_field_decoding_flag
        }
        bits.ue(25); // mb_type: I_PCM
        bits.align();
        let luma = if self.sps.full_range { 0 } else { 16 };
        (0..256).for_each(|_| bits.bits(luma, 8));
        (0..128).for_each(|_| bits.bits(128, 8));
        // Which macroblocks have the first one on their left or above them.
        let below = if pairs { 1 } else { width };
        let beside = if pairs { 2 } else { 1 };
        let has_right = width > 1;
        for macroblock in 1..width * height {
            if pairs && macroblock.is_multiple_of(2) {
                bits.bit(false); // mb_field_decoding_flag
            }
            bits.ue(3); // mb_type: I_16x16_2_0_0, the mean of the neighbours and no residual
            bits.ue(0); // intra_chroma_pred_mode: the mean
            bits.ue(0); // mb_qp_delta
            // coeff_token of no coefficients, by table 9-5: an I_PCM neighbour counts as one of 16.
            if macroblock == below || (macroblock == beside && has_right) {
                bits.bits(0b11, 6);
            } else {
                bits.bit(true);
            }
        }
        finish(IDR, bits)
    }

    /// Picture number `index` behind a key picture, from 1 on; with a length of 4 bytes in front. A key picture, where
    /// the stream allows no reference.
    pub fn repeat(&self, index: u64) -> Bytes {
        if self.sps.max_num_ref_frames == 0 {
            return self.key(index);
        }
        let mut bits = BitWriter::default();
        self.slice_header(&mut bits, index, None);
        bits.ue(self.sps.macroblocks.0 * self.sps.macroblocks.1); // mb_skip_run
        finish(NOT_IDR, bits)
    }

    /// Section 7.3.3, of an I slice in an IDR picture or of a P slice.
    fn slice_header(&self, bits: &mut BitWriter, index: u64, idr_pic_id: Option<u32>) {
        let sps = &self.sps;
        let low = |value: u64, n: u32| (value & ((1 << n) - 1)) as u32; // n is at most 16
        bits.ue(0); // first_mb_in_slice
        bits.ue(if idr_pic_id.is_some() { 7 } else { 5 }); // slice_type: the whole picture is I, or P
        bits.ue(self.pps.id.into());
        bits.bits(low(index, sps.log2_max_frame_num), sps.log2_max_frame_num); // every one is a reference
        if sps.fields {
            bits.bit(false); // field_pic_flag
        }
        if let Some(id) = idr_pic_id {
            bits.ue(id);
        }
        match sps.poc {
            PocType::Lsb { bits: n } => bits.bits(low(index.wrapping_mul(2), n), n),
            PocType::Deltas { always_zero: false } => bits.ue(0), // delta_pic_order_cnt[0]
            PocType::Deltas { always_zero: true } | PocType::DecodeOrder => {}
        }
        if idr_pic_id.is_some() {
            bits.bits(0, 2); // no_output_of_prior_pics_flag, long_term_reference_flag
        } else {
            bits.bits(0, 3); // override of list length, modification of it, adaptive marking
        }
        bits.ue(0); // slice_qp_delta
        bits.ue(1); // disable_deblocking_filter_idc
    }
}

/// Section 7.3.2.2: CAVLC, and nothing that is not needed.
fn picture_parameter_set(id: u8, sps_id: u8) -> Bytes {
    let mut bits = BitWriter::default();
    bits.ue(id.into());
    bits.ue(sps_id.into());
    bits.bits(0, 2); // entropy_coding_mode_flag, bottom_field_pic_order_in_frame_present_flag
    (0..3).for_each(|_| bits.ue(0)); // slice groups, lengths of both lists
    bits.bits(0, 3); // weighted_pred_flag, weighted_bipred_idc
    (0..3).for_each(|_| bits.ue(0)); // quantisers and chroma_qp_index_offset
    bits.bit(true); // deblocking_filter_control_present_flag
    bits.bits(0, 2); // constrained_intra_pred_flag, redundant_pic_cnt_present_flag
    bits.bit(true); // rbsp_stop_one_bit
    nal_unit(PPS, &bits.into_bytes())
}

fn finish(header: u8, mut bits: BitWriter) -> Bytes {
    bits.bit(true); // rbsp_stop_one_bit
    let nal = nal_unit(header, &bits.into_bytes());
    let mut out = BytesMut::with_capacity(nal.len() + 4);
    out.put_u32(nal.len() as u32); // at most some bytes for each macroblock
    out.put_slice(&nal);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::h264::{SliceHeader, SliceType};

    /// x264 at 1920x1080: 120 by 68 macroblocks, High, picture order counted in the slices.
    const FULL_HD: &[u8] = &[
        0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00,
        0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58,
    ];

    fn config(sps: &[u8], pps: Vec<Bytes>) -> AvcConfig {
        AvcConfig::new(vec![Bytes::copy_from_slice(sps)], pps).unwrap()
    }

    #[test]
    fn slices_are_what_they_say() {
        let live = Bytes::from_static(&[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0]);
        let black = Black::new(&config(FULL_HD, vec![live.clone()])).unwrap();
        let [first, second] = black.config().pps() else { panic!("two sets") };
        assert_eq!(*first, live);
        let pps = Pps::parse(second).unwrap();
        assert_eq!((pps.id, pps.sps_id), (1, 0));
        let sps = Sps::parse(FULL_HD).unwrap();
        let read = |sample: &Bytes| {
            assert_eq!(sample[..4], (sample.len() as u32 - 4).to_be_bytes());
            let nal = &sample[4..];
            SliceHeader::parse(nal, |id| (id == 1).then_some((&pps, &sps))).unwrap()
        };
        let key = read(&black.key(0));
        assert!(key.idr && key.reference && key.slice_type == SliceType::I && key.frame_num == 0);
        assert!(black.key(0).len() < 9_000 && black.key(0) != black.key(1) && black.key(0) == black.key(2));
        for index in [1, 2, 15, 16, 17] {
            let picture = read(&black.repeat(index));
            let frame_num = index as u32 & ((1 << sps.log2_max_frame_num) - 1);
            assert!(!picture.idr && picture.reference && picture.slice_type == SliceType::P);
            assert_eq!((picture.frame_num, picture.first_mb), (frame_num, 0));
            assert!(black.repeat(index).len() < 20);
        }
    }

    #[test]
    fn what_it_cannot_make_is_refused() {
        let pps = |id: u32| {
            let mut bits = BitWriter::default();
            bits.ue(id);
            bits.bits(0x3f, 7);
            nal_unit(PPS, &bits.into_bytes())
        };
        let all: Vec<_> = (0..255).map(pps).collect();
        let black = Black::new(&config(FULL_HD, all[..254].to_vec())).unwrap();
        assert_eq!(black.pps.id, 254);
        assert!(matches!(Black::new(&config(FULL_HD, all)), Err(BlackError::NoPps)), "no room in the record");
        // 4:2:2 of 10 bits, by x264.
        let high = [
            0x67, 0x7a, 0x00, 0x0d, 0xb6, 0xcd, 0x94, 0x14, 0x1f, 0xb0, 0x11, 0x00, 0x00, 0x03, 0x00, 0x01,
            0x00, 0x00, 0x03, 0x00, 0x32, 0x0f, 0x14, 0x29, 0x96,
        ];
        assert_eq!(Black::new(&config(&high, vec![pps(0)])).unwrap_err(), BlackError::Format);
        assert!(matches!(Black::new(&config(&FULL_HD[..12], vec![pps(0)])), Err(BlackError::Sps(_))));
    }
}
