//! Which pictures of a stream may be left out without harm to the others.
//!
//! Follows reference marking (ITU-T H.264, section 8.2.5) over frames, as a decoder does, and remembers which of the
//! references have been left out: a later P slice whose list 0 holds one of those cannot be decoded as it was meant.

use super::slice::{Marking, Modification, Operation, Pps, SliceHeader, SliceType};
use super::sps::Sps;
use super::{AvcConfig, NalKind};
use smallvec::SmallVec;
use std::collections::BTreeMap;

/// No level allows more (`MaxDpbFrames`, section A.3.1).
const MAX_DPB: usize = 16;

/// Follows the references of one stream.
#[derive(Debug, Default)]
pub struct References {
    sps: BTreeMap<u8, Sps>,
    pps: BTreeMap<u8, Pps>,
    frames: SmallVec<[Reference; 16]>,
    /// `frame_num` of the last reference picture.
    last: Option<u32>,
}

/// What a picture is to the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PictureInfo {
    /// It has B slices.
    pub bidirectional: bool,
    /// Others may refer to it.
    pub reference: bool,
    /// Its P slices may refer to a picture that was [left out](References::decide).
    pub refers_to_missing: bool,
}

/// A picture that is kept for reference.
#[derive(Clone, Copy, Debug)]
struct Reference {
    frame_num: u32,
    long_term: Option<u32>,
    missing: bool,
}

/// A picture whose headers have been read and whose fate is not yet decided.
#[derive(Debug)]
pub struct Pending {
    info: PictureInfo,
    idr: bool,
    frame_num: u32,
    max_frame_num: u32,
    max_refs: usize,
    marking: Marking,
}

impl References {
    /// Learns the parameter sets; sets that cannot be read leave their pictures unknown.
    pub fn configure(&mut self, config: &AvcConfig) {
        let sps = config.sps().iter().filter_map(|nal| Sps::parse(nal).ok());
        self.sps = sps.map(|sps| (sps.id, sps)).collect();
        let pps = config.pps().iter().filter_map(|nal| Pps::parse(nal).ok());
        self.pps = pps.map(|pps| (pps.id, pps)).collect();
    }

    /// Reads the slices of the next picture in decode order. `None` when there are none, when one cannot be read, and for
    /// single fields, which are not followed.
    pub fn read<'a>(&mut self, nals: impl IntoIterator<Item = &'a [u8]>) -> Option<Pending> {
        let mut picture: Option<Pending> = None;
        for nal in nals {
            if !matches!(NalKind::of(nal), Some(NalKind::Slice | NalKind::IdrSlice)) {
                continue;
            }
            let mut used = None;
            let slice = SliceHeader::parse(nal, |id| {
                let pps = self.pps.get(&id)?;
                used = self.sps.get(&pps.sps_id);
                Some((pps, used?))
            });
            let (slice, sps) = (slice.ok()?, used?);
            if slice.field {
                return None;
            }
            let max_frame_num = 1 << sps.log2_max_frame_num;
            if picture.is_none() {
                let max_refs = (sps.max_num_ref_frames as usize).clamp(1, MAX_DPB);
                if slice.idr {
                    self.frames.clear();
                    self.last = None;
                } else {
                    self.fill_gap(slice.frame_num, max_frame_num, max_refs);
                }
                picture = Some(Pending {
                    info: PictureInfo {
                        bidirectional: false,
                        reference: slice.reference,
                        refers_to_missing: false,
                    },
                    idr: slice.idr,
                    frame_num: slice.frame_num,
                    max_frame_num,
                    max_refs,
                    marking: slice.marking.clone(),
                });
            }
            let info = &mut picture.as_mut()?.info;
            match slice.slice_type {
                SliceType::B => info.bidirectional = true,
                SliceType::P => info.refers_to_missing |= self.lists_missing(&slice, max_frame_num),
                SliceType::I => {}
            }
        }
        picture
    }

    /// Marks references as the picture says; `missing` when it is left out.
    pub fn decide(&mut self, picture: Pending, missing: bool) {
        let Pending { idr, frame_num, max_frame_num, max_refs, marking, .. } = picture;
        if marking == Marking::None {
            return;
        }
        self.last = Some(frame_num);
        let mut current = Reference { frame_num, long_term: None, missing };
        match marking {
            Marking::None => {}
            Marking::Idr { long_term } => current.long_term = long_term.then_some(0),
            Marking::SlidingWindow => self.slide(max_refs, frame_num, max_frame_num),
            Marking::Adaptive(operations) => {
                for operation in operations {
                    self.operate(operation, &mut current, max_frame_num);
                }
            }
        }
        debug_assert!(!idr || self.frames.is_empty(), "an IDR picture forgets all others");
        if self.frames.len() >= MAX_DPB {
            self.frames.remove(0);
        }
        self.frames.push(current);
    }

    /// `frame_num` that was skipped stands for reference pictures that were never there (section 8.2.5.2).
    fn fill_gap(&mut self, frame_num: u32, max_frame_num: u32, max_refs: usize) {
        let Some(last) = self.last else { return };
        let skipped = frame_num.wrapping_sub(last) & (max_frame_num - 1);
        if skipped < 2 {
            return;
        }
        // More of them than there is room for push each other out.
        for step in skipped.saturating_sub(max_refs as u32 + 1).max(1)..skipped {
            let skipped = (last + step) & (max_frame_num - 1);
            self.slide(max_refs, skipped, max_frame_num);
            self.frames.push(Reference { frame_num: skipped, long_term: None, missing: false });
        }
    }

    /// Makes room for one more (section 8.2.5.3).
    fn slide(&mut self, max_refs: usize, frame_num: u32, max_frame_num: u32) {
        while self.frames.len() >= max_refs {
            let oldest = self
                .short_terms(frame_num, max_frame_num)
                .min_by_key(|(_, number)| *number)
                .map_or(0, |(index, _)| index);
            self.frames.remove(oldest);
        }
    }

    fn operate(&mut self, operation: Operation, current: &mut Reference, max_frame_num: u32) {
        let number = |difference: u32| i64::from(current.frame_num) - i64::from(difference) - 1;
        match operation {
            Operation::ForgetShort(difference) => {
                let found = self.short_term(number(difference), current.frame_num, max_frame_num);
                found.map(|index| self.frames.remove(index));
            }
            Operation::ForgetLong(index) => self.frames.retain(|frame| frame.long_term != Some(index)),
            Operation::ShortToLong(difference, index) => {
                let found = self.short_term(number(difference), current.frame_num, max_frame_num);
                if let Some(mut frame) = found.map(|found| self.frames.remove(found)) {
                    self.frames.retain(|frame| frame.long_term != Some(index));
                    frame.long_term = Some(index);
                    self.frames.push(frame);
                }
            }
            Operation::LimitLong(limit) => {
                self.frames.retain(|frame| frame.long_term.is_none_or(|index| index < limit));
            }
            Operation::ForgetAll => {
                self.frames.clear();
                (current.frame_num, self.last) = (0, Some(0));
            }
            Operation::CurrentToLong(index) => {
                self.frames.retain(|frame| frame.long_term != Some(index));
                current.long_term = Some(index);
            }
        }
    }

    /// Indexes of the short-term references with their `PicNum` (section 8.2.4.1).
    fn short_terms(&self, frame_num: u32, max_frame_num: u32) -> impl Iterator<Item = (usize, i64)> {
        let wrapped =
            move |other: u32| i64::from(other) - if other > frame_num { i64::from(max_frame_num) } else { 0 };
        let short = self.frames.iter().enumerate().filter(|(_, frame)| frame.long_term.is_none());
        short.map(move |(index, frame)| (index, wrapped(frame.frame_num)))
    }

    fn short_term(&self, pic_num: i64, frame_num: u32, max_frame_num: u32) -> Option<usize> {
        // Differences count modulo MaxPicNum.
        let max = i64::from(max_frame_num);
        let mut terms = self.short_terms(frame_num, max_frame_num);
        terms.find(|(_, number)| (number - pic_num).rem_euclid(max) == 0).map(|(index, _)| index)
    }

    /// Whether list 0 of a P slice (section 8.2.4) has an entry that is missing.
    fn lists_missing(&self, slice: &SliceHeader, max_frame_num: u32) -> bool {
        let mut short: SmallVec<[_; 16]> = self.short_terms(slice.frame_num, max_frame_num).collect();
        short.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
        let mut long: SmallVec<[_; 16]> = (0..self.frames.len())
            .filter_map(|index| Some((index, self.frames.get(index)?.long_term?)))
            .collect();
        long.sort_by_key(|(_, number)| *number);
        let mut list: SmallVec<[usize; 33]> =
            short.iter().map(|(index, _)| *index).chain(long.iter().map(|(index, _)| *index)).collect();
        let (length, mut predicted) = (slice.refs as usize, i64::from(slice.frame_num));
        for (at, modification) in slice.modifications.iter().enumerate() {
            let chosen = match *modification {
                Modification::Subtract(difference) => {
                    predicted -= i64::from(difference) + 1;
                    self.short_term(predicted, slice.frame_num, max_frame_num)
                }
                Modification::Add(difference) => {
                    predicted += i64::from(difference) + 1;
                    self.short_term(predicted, slice.frame_num, max_frame_num)
                }
                Modification::LongTerm(number) => {
                    long.iter().find(|(_, index)| *index == number).map(|(index, _)| *index)
                }
            };
            // A picture that never came (the source's own loss, or from before the start) is nobody's choice here.
            let Some(chosen) = chosen else { continue };
            let mut seen = 0;
            list.retain(|index| {
                seen += 1;
                seen <= at || *index != chosen
            });
            list.insert(at.min(list.len()), chosen);
        }
        list.truncate(length);
        list.iter().any(|index| self.frames.get(*index).is_some_and(|frame| frame.missing))
    }
}

impl Pending {
    /// What the picture is to the others.
    pub const fn info(&self) -> PictureInfo {
        self.info
    }
}
