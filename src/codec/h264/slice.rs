//! Picture parameter sets and slice headers, as far as references go.
//!
//! Read here and not by `h264-reader`, which overflows on hostile quantisers and allocates for every header: this runs for
//! each slice of each picture.

use super::nal::unescape;
use super::sps::{HeaderError, PocType, Sps};
use crate::wire::{BitReader, Truncated};
use smallvec::SmallVec;

/// A slice header with every list as long as it may be is shorter.
const MAX_HEADER: usize = 512;
/// `num_ref_idx_lX_active_minus1` is below this, and so is the length of every list in a header (section 7.4.3).
const MAX_REFS: u32 = 32;

/// A picture parameter set (ITU-T H.264, section 7.3.2.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pps {
    /// Its id, 0 to 255.
    pub id: u8,
    /// Of the SPS that it belongs to.
    pub sps_id: u8,
    bottom_field_poc: bool,
    default_refs: [u32; 2],
    weighted: bool,
    weighted_bipred: bool,
    redundant_pictures: bool,
}

/// What a slice predicts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SliceType {
    /// Earlier pictures.
    P,
    /// Earlier and later pictures.
    B,
    /// Nothing but its own picture.
    I,
}

/// The head of a slice (section 7.3.3), as far as reference marking.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SliceHeader {
    /// Where it starts; 0 on the first of a picture.
    pub first_mb: u32,
    /// What it predicts from.
    pub slice_type: SliceType,
    /// Of an IDR picture.
    pub idr: bool,
    /// Whether other pictures may refer to this one (`nal_ref_idc` is not 0).
    pub reference: bool,
    /// Counts reference pictures, modulo a power of two.
    pub frame_num: u32,
    /// A single field of an interlaced picture.
    pub field: bool,
    /// Entries of list 0 that are in use, for P.
    pub(super) refs: u32,
    /// How list 0 differs from its default order, for P.
    pub(super) modifications: SmallVec<[Modification; 4]>,
    pub(super) marking: Marking,
}

/// `modification_of_pic_nums_idc` with its operand (section 7.3.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Modification {
    Subtract(u32),
    Add(u32),
    LongTerm(u32),
}

/// What becomes of references once the picture is decoded (section 7.3.3.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Marking {
    /// Not a reference.
    None,
    Idr {
        long_term: bool,
    },
    SlidingWindow,
    Adaptive(SmallVec<[Operation; 4]>),
}

/// `memory_management_control_operation`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operation {
    /// 1, with `difference_of_pic_nums_minus1`.
    ForgetShort(u32),
    /// 2, with `long_term_pic_num`.
    ForgetLong(u32),
    /// 3, with `difference_of_pic_nums_minus1` and `long_term_frame_idx`.
    ShortToLong(u32, u32),
    /// 4, with `max_long_term_frame_idx_plus1`.
    LimitLong(u32),
    /// 5.
    ForgetAll,
    /// 6, with `long_term_frame_idx`.
    CurrentToLong(u32),
}

impl Pps {
    /// The id of a PPS NAL unit, whatever else it says.
    pub(super) fn peek_id(nal: &[u8]) -> Option<u8> {
        let mut bits = BitReader::new(nal.get(1..)?);
        u8::try_from(bits.ue().ok()?).ok()
    }

    /// Reads a PPS NAL unit.
    pub fn parse(nal: &[u8]) -> Result<Self, HeaderError> {
        let (0x08, Some(body)) = (nal.first().map_or(0, |header| header & 0x1f), nal.get(1..)) else {
            return Err(HeaderError::Malformed);
        };
        let rbsp = unescape(body, MAX_HEADER);
        let mut bits = BitReader::new(&rbsp);
        let id = u8::try_from(bits.ue()?).map_err(|_| HeaderError::OutOfRange)?;
        let sps_id = bits.ue()?;
        if sps_id > 31 {
            return Err(HeaderError::OutOfRange);
        }
        bits.bit()?; // entropy_coding_mode_flag
        let bottom_field_poc = bits.bit()?;
        if bits.ue()? != 0 {
            return Err(HeaderError::SliceGroups);
        }
        let default_refs = [refs(&mut bits)?, refs(&mut bits)?];
        let weighted = bits.bit()?;
        let weighted_bipred = bits.bits(2)? == 1;
        for _ in 0..3 {
            bits.ue()?; // quantisers and chroma offset: signed, as long as unsigned
        }
        bits.bits(2)?; // deblocking control, constrained intra prediction
        let redundant_pictures = bits.bit()?;
        let sps_id = sps_id as u8; // at most 31
        Ok(Self { id, sps_id, bottom_field_poc, default_refs, weighted, weighted_bipred, redundant_pictures })
    }
}

impl SliceHeader {
    /// Whether the slice is of kind B, and where it starts: what can be read without any parameter set. `None` for what
    /// is no slice.
    pub fn peek(nal: &[u8]) -> Option<(u32, SliceType)> {
        let (header, body) = nal.split_first()?;
        matches!(header & 0x1f, 1 | 2 | 5).then_some(())?;
        let rbsp = unescape(body, 16);
        let mut bits = BitReader::new(&rbsp);
        Some((bits.ue().ok()?, slice_type(bits.ue().ok()?).ok()?))
    }

    /// Reads the header of a slice NAL unit; `find` knows the parameter sets.
    pub fn parse<'a>(
        nal: &[u8],
        find: impl FnOnce(u8) -> Option<(&'a Pps, &'a Sps)>,
    ) -> Result<Self, HeaderError> {
        let (header, body) = nal.split_first().ok_or(HeaderError::Malformed)?;
        let idr = match header & 0x1f {
            1 | 2 => false,
            5 => true,
            _ => return Err(HeaderError::Malformed),
        };
        let reference = header & 0x60 != 0;
        let rbsp = unescape(body, MAX_HEADER);
        let mut bits = BitReader::new(&rbsp);
        let first_mb = bits.ue()?;
        let slice_type = slice_type(bits.ue()?)?;
        let pps_id = u8::try_from(bits.ue()?).map_err(|_| HeaderError::OutOfRange)?;
        let (pps, sps) = find(pps_id).ok_or(HeaderError::UnknownParameterSet)?;
        if sps.separate_colour_planes {
            bits.bits(2)?;
        }
        let frame_num = bits.bits(sps.log2_max_frame_num)?;
        let field = sps.fields && bits.bit()?;
        if field {
            bits.bit()?; // bottom_field_flag
        }
        if idr {
            bits.ue()?; // idr_pic_id
        }
        skip_picture_order(&mut bits, pps, sps, field)?;
        if pps.redundant_pictures {
            bits.ue()?;
        }
        let refs = active_refs(&mut bits, pps, slice_type)?;
        let mut lists: [SmallVec<[Modification; 4]>; 2] = Default::default();
        let list_count = match slice_type {
            SliceType::I => 0,
            SliceType::P => 1,
            SliceType::B => 2,
        };
        for list in lists.iter_mut().take(list_count) {
            *list = modifications(&mut bits)?;
        }
        if pps.weighted && slice_type == SliceType::P || pps.weighted_bipred && slice_type == SliceType::B {
            skip_weights(&mut bits, sps, &refs[..list_count])?;
        }
        let marking = if reference { marking(&mut bits, idr)? } else { Marking::None };
        let [modifications, _] = lists;
        Ok(Self {
            first_mb,
            slice_type,
            idr,
            reference,
            frame_num,
            field,
            refs: refs[0],
            modifications,
            marking,
        })
    }
}

fn slice_type(code: u32) -> Result<SliceType, HeaderError> {
    match code {
        0 | 3 | 5 | 8 => Ok(SliceType::P), // SP predicts as P does
        1 | 6 => Ok(SliceType::B),
        2 | 4 | 7 | 9 => Ok(SliceType::I),
        _ => Err(HeaderError::OutOfRange),
    }
}

/// A list's length, sent less one.
fn refs(bits: &mut BitReader<'_>) -> Result<u32, HeaderError> {
    match bits.ue()? {
        count if count < MAX_REFS => Ok(count + 1),
        _ => Err(HeaderError::OutOfRange),
    }
}

fn skip_picture_order(bits: &mut BitReader<'_>, pps: &Pps, sps: &Sps, field: bool) -> Result<(), Truncated> {
    let bottom = pps.bottom_field_poc && !field;
    match sps.poc {
        PocType::Lsb { bits: width } => {
            bits.bits(width)?;
            if bottom {
                bits.ue()?;
            }
        }
        PocType::Deltas { always_zero: false } => {
            bits.ue()?;
            if bottom {
                bits.ue()?;
            }
        }
        PocType::Deltas { always_zero: true } | PocType::DecodeOrder => {}
    }
    Ok(())
}

/// Lengths of both lists.
fn active_refs(bits: &mut BitReader<'_>, pps: &Pps, slice_type: SliceType) -> Result<[u32; 2], HeaderError> {
    if slice_type == SliceType::B {
        bits.bit()?; // direct_spatial_mv_pred_flag
    }
    let mut active = pps.default_refs;
    if slice_type != SliceType::I && bits.bit()? {
        active[0] = refs(bits)?;
        if slice_type == SliceType::B {
            active[1] = refs(bits)?;
        }
    }
    Ok(active)
}

fn modifications(bits: &mut BitReader<'_>) -> Result<SmallVec<[Modification; 4]>, HeaderError> {
    let mut list = SmallVec::new();
    if !bits.bit()? {
        return Ok(list);
    }
    loop {
        let modification = match bits.ue()? {
            0 => Modification::Subtract(bits.ue()?),
            1 => Modification::Add(bits.ue()?),
            2 => Modification::LongTerm(bits.ue()?),
            3 => return Ok(list),
            _ => return Err(HeaderError::OutOfRange),
        };
        if list.len() > MAX_REFS as usize {
            return Err(HeaderError::OutOfRange);
        }
        list.push(modification);
    }
}

/// `pred_weight_table` (section 7.3.3.2) for lists of these lengths.
fn skip_weights(bits: &mut BitReader<'_>, sps: &Sps, lists: &[u32]) -> Result<(), HeaderError> {
    bits.ue()?;
    if !sps.monochrome {
        bits.ue()?;
    }
    for _ in 0..lists.iter().sum() {
        if bits.bit()? {
            bits.ue()?;
            bits.ue()?;
        }
        if !sps.monochrome && bits.bit()? {
            for _ in 0..4 {
                bits.ue()?;
            }
        }
    }
    Ok(())
}

fn marking(bits: &mut BitReader<'_>, idr: bool) -> Result<Marking, HeaderError> {
    if idr {
        bits.bit()?; // no_output_of_prior_pics_flag
        return Ok(Marking::Idr { long_term: bits.bit()? });
    }
    if !bits.bit()? {
        return Ok(Marking::SlidingWindow);
    }
    let mut operations = SmallVec::new();
    loop {
        let operation = match bits.ue()? {
            0 => return Ok(Marking::Adaptive(operations)),
            1 => Operation::ForgetShort(bits.ue()?),
            2 => Operation::ForgetLong(bits.ue()?),
            3 => Operation::ShortToLong(bits.ue()?, bits.ue()?),
            4 => Operation::LimitLong(bits.ue()?),
            5 => Operation::ForgetAll,
            6 => Operation::CurrentToLong(bits.ue()?),
            _ => return Err(HeaderError::OutOfRange),
        };
        if operations.len() > 2 * MAX_REFS as usize {
            return Err(HeaderError::OutOfRange);
        }
        operations.push(operation);
    }
}

impl From<Truncated> for HeaderError {
    fn from(_: Truncated) -> Self {
        Self::Malformed
    }
}
