//! What a sequence parameter set says that a gateway wants to know.

use super::nal::{nal_unit, unescape};
use crate::wire::{BitReader as Bits, Truncated};
use bytes::Bytes;
use h264_reader::nal::sps::{ChromaFormat, FrameMbsFlags, PicOrderCntType, SeqParameterSet};
use h264_reader::rbsp::{BitReader, decode_nal};
use std::panic::catch_unwind;
use thiserror::Error;

/// A longer SPS is none: the largest, with scaling lists and every HRD parameter, has some hundred bytes.
const MAX_LEN: usize = 4_096;

/// A sequence parameter set (ITU-T H.264, section 7.3.2.1).
#[derive(Clone, PartialEq, Debug)]
pub struct Sps {
    /// Its id, 0 to 31.
    pub id: u8,
    /// `profile_idc`, constraint flags and `level_idc`.
    pub profile_level_id: [u8; 3],
    /// Shown luma samples in a row.
    pub width: u32,
    /// Shown rows.
    pub height: u32,
    /// Pictures a second, where the stream says so.
    pub frame_rate: Option<f64>,
    /// Pictures that a decoder must hold back at most to give them in order; `None` when the stream does not say.
    pub num_reorder_frames: Option<u32>,
    /// Pictures that may be referred to at a time.
    pub max_num_ref_frames: u32,
    /// Whether `frame_num` may skip: then missing pictures are no loss.
    pub gaps_in_frame_num_allowed: bool,
    pub(super) log2_max_frame_num: u32,
    pub(super) poc: PocType,
    pub(super) fields: bool,
    pub(super) separate_colour_planes: bool,
    pub(super) monochrome: bool,
    /// Macroblocks in a row and in a column of a frame, what is cropped included.
    pub(super) macroblocks: (u32, u32),
    /// Pairs of macroblocks may be coded by fields, in frames too (MBAFF).
    pub(super) adaptive_fields: bool,
    /// What samples there are, and of how many bits.
    pub(super) samples: Samples,
    /// Luma has all values from 0 on and not only those from 16.
    pub(super) full_range: bool,
}

/// What a picture is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Samples {
    /// `chroma_format_idc`: 0 for grey, 1 for 4:2:0, 2 for 4:2:2, 3 for 4:4:4.
    pub(super) chroma_format: u8,
    /// Bits of a sample of luma beyond 8.
    pub(super) luma_bits: u8,
    /// The same of chroma.
    pub(super) chroma_bits: u8,
}

impl Samples {
    /// 4:2:0 of 8 bits.
    pub(super) const PLAIN: Self = Self { chroma_format: 1, luma_bits: 0, chroma_bits: 0 };
}

/// `pic_order_cnt_type` with what slice headers depend on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PocType {
    Lsb { bits: u32 },
    Deltas { always_zero: bool },
    DecodeOrder,
}

/// A parameter set or slice header that cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum HeaderError {
    /// It is empty, ends early, or is no NAL unit of the kind.
    #[error("not a whole header of its kind")]
    Malformed,
    /// It says what the standard forbids.
    #[error("a value out of its range")]
    OutOfRange,
    /// It refers to a parameter set that is not there.
    #[error("refers to an unknown parameter set")]
    UnknownParameterSet,
    /// Flexible macroblock ordering: nobody streams it.
    #[error("slice groups are not supported")]
    SliceGroups,
}

impl Sps {
    /// Reads an SPS NAL unit.
    pub fn parse(nal: &[u8]) -> Result<Self, HeaderError> {
        if nal.len() < 4 || nal.len() > MAX_LEN || nal[0] & 0x1f != 7 {
            return Err(HeaderError::Malformed);
        }
        // The library adds without a check where a hostile value overflows.
        catch_unwind(|| {
            let rbsp = decode_nal(nal).map_err(|_| HeaderError::Malformed)?;
            let sps =
                SeqParameterSet::from_bits(BitReader::new(&*rbsp)).map_err(|_| HeaderError::OutOfRange)?;
            Self::from_library(&sps, [nal[1], nal[2], nal[3]])
        })
        .unwrap_or(Err(HeaderError::OutOfRange))
    }

    /// Whether its pictures are as every browser decodes them: progressive, 4:2:0, with 8 bits.
    pub fn is_common(&self) -> bool {
        !self.fields && self.samples == Samples::PLAIN
    }

    fn from_library(sps: &SeqParameterSet, profile_level_id: [u8; 3]) -> Result<Self, HeaderError> {
        let (width, height) = sps.pixel_dimensions().map_err(|_| HeaderError::OutOfRange)?;
        let vui = sps.vui_parameters.as_ref();
        let restrictions = vui.and_then(|vui| vui.bitstream_restrictions.as_ref());
        let poc = match sps.pic_order_cnt {
            PicOrderCntType::TypeZero { log2_max_pic_order_cnt_lsb_minus4 } => {
                PocType::Lsb { bits: u32::from(log2_max_pic_order_cnt_lsb_minus4) + 4 }
            }
            PicOrderCntType::TypeOne { delta_pic_order_always_zero_flag, .. } => {
                PocType::Deltas { always_zero: delta_pic_order_always_zero_flag }
            }
            PicOrderCntType::TypeTwo => PocType::DecodeOrder,
        };
        let chroma = &sps.chroma_info;
        let separate_colour_planes = chroma.separate_colour_plane_flag;
        let samples = Samples {
            chroma_format: match chroma.chroma_format {
                ChromaFormat::Monochrome => 0,
                ChromaFormat::YUV420 => 1,
                ChromaFormat::YUV422 => 2,
                ChromaFormat::YUV444 => 3,
                ChromaFormat::Invalid(_) => return Err(HeaderError::OutOfRange),
            },
            luma_bits: chroma.bit_depth_luma_minus8,
            chroma_bits: chroma.bit_depth_chroma_minus8,
        };
        let fields = matches!(sps.frame_mbs_flags, FrameMbsFlags::Fields { .. });
        let rows = sps.pic_height_in_map_units_minus1.checked_add(1).ok_or(HeaderError::OutOfRange)?;
        let columns = sps.pic_width_in_mbs_minus1.checked_add(1).ok_or(HeaderError::OutOfRange)?;
        let rows = rows.checked_mul(1 + u32::from(fields)).ok_or(HeaderError::OutOfRange)?;
        Ok(Self {
            id: sps.seq_parameter_set_id.id(),
            profile_level_id,
            width,
            height,
            frame_rate: sps.fps().filter(|fps| fps.is_finite() && *fps > 0.0),
            num_reorder_frames: restrictions.map(|restrictions| restrictions.max_num_reorder_frames),
            max_num_ref_frames: sps.max_num_ref_frames,
            gaps_in_frame_num_allowed: sps.gaps_in_frame_num_value_allowed_flag,
            log2_max_frame_num: u32::from(sps.log2_max_frame_num()),
            poc,
            fields,
            separate_colour_planes,
            monochrome: separate_colour_planes || chroma.chroma_format == ChromaFormat::Monochrome,
            macroblocks: (columns, rows),
            adaptive_fields: matches!(
                sps.frame_mbs_flags,
                FrameMbsFlags::Fields { mb_adaptive_frame_field_flag: true }
            ),
            samples,
            full_range: vui
                .and_then(|vui| vui.video_signal_type.as_ref())
                .is_some_and(|signal| signal.video_full_range_flag),
        })
    }
}

/// The same SPS with `gaps_in_frame_num_value_allowed_flag` set: decoders then take missing reference pictures for left out
/// and not for lost. `None` when it is set already, or the SPS cannot be read.
pub fn allow_gaps(nal: &[u8]) -> Option<Bytes> {
    let (header, body) = nal.split_first().filter(|_| nal.len() <= MAX_LEN)?;
    let mut rbsp = unescape(body, MAX_LEN);
    let position = gaps_flag(&rbsp).ok()?;
    let (byte, mask) = (rbsp.get_mut(position / 8)?, 0x80 >> (position % 8));
    if *byte & mask != 0 {
        return None;
    }
    *byte |= mask;
    Some(nal_unit(*header, &rbsp))
}

/// At which bit the flag stands (section 7.3.2.1.1).
fn gaps_flag(rbsp: &[u8]) -> Result<usize, Truncated> {
    /// Profiles whose SPS has chroma format and scaling lists.
    const HIGH: [u32; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
    let mut bits = Bits::new(rbsp);
    let profile = bits.bits(8)?;
    bits.bits(16)?;
    bits.ue()?; // seq_parameter_set_id
    if HIGH.contains(&profile) {
        let chroma_format = bits.ue()?;
        if chroma_format == 3 {
            bits.bit()?;
        }
        bits.ue()?;
        bits.ue()?;
        bits.bit()?;
        if bits.bit()? {
            for list in 0..if chroma_format == 3 { 12 } else { 8 } {
                if bits.bit()? {
                    skip_scaling_list(&mut bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    bits.ue()?; // log2_max_frame_num_minus4
    match bits.ue()? {
        0 => {
            bits.ue()?;
        }
        1 => {
            bits.bit()?;
            bits.ue()?;
            bits.ue()?;
            for _ in 0..bits.ue()? {
                bits.ue()?;
            }
        }
        _ => {}
    }
    bits.ue()?; // max_num_ref_frames
    Ok(rbsp.len() * 8 - bits.remaining())
}

/// A list ends where its scale becomes 0 (section 7.3.2.1.1.1).
fn skip_scaling_list(bits: &mut Bits<'_>, size: usize) -> Result<(), Truncated> {
    let mut scale = 8i64;
    for _ in 0..size {
        let code = i64::from(bits.ue()?);
        let delta = if code % 2 == 0 { -code / 2 } else { (code + 1) / 2 };
        scale = (scale + delta).rem_euclid(256);
        if scale == 0 {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// x264, High, 1280x720 at 30, three B-frames.
    const X264: &[u8] = &[
        0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x6a, 0x02, 0x02, 0x02, 0x80, 0x00,
        0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x1e, 0x07, 0x8c, 0x18, 0xcb,
    ];
    /// Chromium's camera, Constrained Baseline, 640x480.
    const CHROMIUM: &[u8] =
        &[0x67, 0x42, 0xc0, 0x1e, 0x8c, 0x8d, 0x40, 0x50, 0x1e, 0xd0, 0x0f, 0x08, 0x84, 0x6a];

    /// x264 at 1920x1080: 120 by 68 macroblocks, eight rows cropped.
    const FULL_HD: &[u8] = &[
        0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00,
        0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58,
    ];

    #[test]
    fn cropping_is_applied() {
        let sps = Sps::parse(FULL_HD).unwrap();
        assert_eq!((sps.width, sps.height), (1_920, 1_080));
    }

    #[test]
    fn reads_what_x264_and_a_browser_say() {
        let sps = Sps::parse(X264).unwrap();
        assert_eq!((sps.width, sps.height, sps.frame_rate), (1_280, 720, Some(30.0)));
        assert_eq!((sps.id, sps.profile_level_id, sps.num_reorder_frames), (0, [0x64, 0, 0x1f], Some(2)));
        let sps = Sps::parse(CHROMIUM).unwrap();
        assert_eq!((sps.width, sps.height, sps.num_reorder_frames), (640, 480, Some(0)));
    }

    #[test]
    fn hostile_sets_are_errors() {
        for end in 0..X264.len() - 1 {
            assert!(Sps::parse(&X264[..end]).is_err(), "cut at {end}");
        }
        assert_eq!(
            Sps::parse(&[0x67, 0x64, 0, 0x1f, 0, 0, 0, 0]),
            Err(HeaderError::Malformed),
            "no NAL unit"
        );
        assert_eq!(Sps::parse(&[0x68, 0x64, 0, 0x1f]), Err(HeaderError::Malformed), "a PPS");
        assert_eq!(Sps::parse(&[0xff; 5_000]), Err(HeaderError::Malformed));
    }

    #[test]
    fn gaps_can_be_allowed() {
        for nal in [X264, CHROMIUM] {
            let before = Sps::parse(nal).unwrap();
            let allowed = allow_gaps(nal).unwrap();
            assert_eq!(Sps::parse(&allowed).unwrap(), Sps { gaps_in_frame_num_allowed: true, ..before });
            assert_eq!(allow_gaps(&allowed), None, "already set");
        }
        assert_eq!(allow_gaps(&[0x67, 0x64, 0]), None);
    }
}
