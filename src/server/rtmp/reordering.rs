//! What a publisher's B-frames will mean to browsers, found as they come in, whoever watches.

use crate::codec::h264::{AvcConfig, References};
use crate::media::AccessUnit;
use crate::stream::Warning;
use crate::time::Timestamp;

/// Follows a publisher's pictures.
#[derive(Default)]
pub(super) struct Reordering {
    /// The latest presentation time since the last keyframe: a picture before it was reordered.
    shown: Option<Timestamp>,
    found: Found,
    /// What pictures refer to, once B-frames are left out: followed from a keyframe on. A stream that has no B-frames in
    /// its first group of pictures is not followed until it has some.
    references: Option<References>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Found {
    #[default]
    Nothing,
    BFrames,
    References,
}

impl Reordering {
    /// Takes the next picture in decode order. Gives what has been found by it, worse behind bad.
    pub(super) fn look(
        &mut self,
        pts: Timestamp,
        keyframe: bool,
        unit: &AccessUnit,
        config: &AvcConfig,
    ) -> Option<Warning> {
        if self.found == Found::References {
            return None;
        }
        if keyframe {
            let is_first = self.shown.is_none();
            self.references = (is_first || self.found == Found::BFrames).then(|| {
                let mut references = References::default();
                references.configure(config);
                references
            });
        }
        let shown = self.shown.filter(|_| !keyframe);
        self.shown = Some(shown.map_or(pts, |shown| shown.max(pts)));
        if self.refers_to_missing(unit, keyframe) {
            self.found = Found::References;
            self.references = None;
            return Some(Warning::BFrameReferences);
        }
        let is_late = shown.is_some_and(|shown| pts < shown);
        (is_late && self.found == Found::Nothing).then(|| {
            self.found = Found::BFrames;
            Warning::BFrames
        })
    }

    /// Whether a P picture cannot be decoded without B pictures.
    fn refers_to_missing(&mut self, unit: &AccessUnit, keyframe: bool) -> bool {
        let Some(references) = &mut self.references else { return false };
        let Some(picture) = references.read(unit.nals()) else {
            // Fields, or what cannot be read: what follows would be compared with gaps.
            self.references = None;
            return false;
        };
        let info = picture.info();
        references.decide(picture, info.bidirectional);
        info.refers_to_missing && !keyframe
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn hex(text: &str) -> Bytes {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// What is found in a file of `tests/data/h264`.
    fn found(text: &str) -> Vec<Warning> {
        let (sets, pictures) = text.split_once('\n').unwrap();
        let (sps, pps) = sets.split_once(';').unwrap();
        let config = AvcConfig::new(vec![hex(sps)], vec![hex(pps)]).unwrap();
        let mut reordering = Reordering::default();
        let mut look = |line: &str| {
            let fields: Vec<_> = line.split(' ').collect();
            let nals: Vec<_> = fields[3].split(',').map(hex).collect();
            let unit = AccessUnit::from_nals(nals.iter().map(|nal| &nal[..]));
            let pts = Timestamp::from_millis(fields[1].parse().unwrap());
            reordering.look(pts, fields[2] == "1", &unit, &config)
        };
        pictures.lines().filter_map(&mut look).collect()
    }

    #[test]
    fn each_stage_is_told_once() {
        assert_eq!(found(include_str!("../../../tests/data/h264/no_b_frames.txt")), []);
        assert_eq!(found(include_str!("../../../tests/data/h264/b_frames.txt")), [Warning::BFrames]);
        assert_eq!(found(include_str!("../../../tests/data/h264/pyramid.txt")), [Warning::BFrames]);
        let worst = found(include_str!("../../../tests/data/h264/pyramid_leaky.txt"));
        assert_eq!(worst, [Warning::BFrames, Warning::BFrameReferences]);
    }

    #[test]
    fn what_cannot_be_read_is_judged_by_its_times() {
        let config = AvcConfig::new(vec![hex("6742c01e")], vec![hex("6801")]).unwrap();
        let unit = AccessUnit::from_nals([&[0x41, 7][..]]);
        let mut reordering = Reordering::default();
        let mut look = |ms, keyframe| reordering.look(Timestamp::from_millis(ms), keyframe, &unit, &config);
        assert_eq!([look(66, true), look(99, false), look(33, true), look(132, false)], [None; 4]);
        assert_eq!([look(66, false), look(60, false)], [Some(Warning::BFrames), None]);
    }
}
