//! Pictures in the order in which they are shown, for viewers that cannot reorder: browsers over WebRTC.
//!
//! The rule, from what the bitstream says of references:
//!
//! 1. A B picture that nothing refers to is left out.
//! 2. So is a B picture that others refer to (x264's B-pyramid). As long as those others are B pictures as well, P pictures
//!    lose nothing: what remains is decoded exactly, in order. `frame_num` has gaps, which the SPS is made to allow, so
//!    that decoders do not take them for loss.
//! 3. A P picture that refers to a B picture (x264 with a pyramid and two or more reference frames) cannot be decoded as
//!    it was meant; without its reference it would show damage until the next keyframe. From there to the next keyframe
//!    nothing is sent. To send such B pictures is no way out: in decode order their time goes back, which makes
//!    Chromium's playout stand still for seconds.

use crate::codec::h264::{AvcConfig, References, allow_gaps};
use crate::media::{AccessUnit, Frame};
use crate::time::Timestamp;

/// Decides picture by picture.
#[derive(Debug, Default)]
pub(super) struct DisplayOrder {
    references: References,
    /// Pictures that others refer to have been left out.
    gaps: bool,
    /// What was sent last cannot be continued.
    waits_for_keyframe: bool,
    reordering: Reordering,
    /// When the last picture sent is shown.
    last: Option<Timestamp>,
}

/// What is known of a stream's B pictures.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) enum Reordering {
    /// None were seen.
    #[default]
    None,
    /// They are left out.
    LeftOut,
    /// P pictures refer to them and are left out as well.
    ReferredTo,
}

impl DisplayOrder {
    /// Takes the stream's parameter sets.
    pub(super) fn configure(&mut self, config: &AvcConfig) {
        self.references.configure(config);
    }

    /// Whether a picture is to be sent.
    pub(super) fn admits(&mut self, frame: &Frame, unit: &AccessUnit) -> bool {
        let Some(picture) = self.references.read(unit.nals()) else {
            // Nothing is known of its references: it goes unless it is late and nobody would miss it.
            let late = self.last.is_some_and(|last| frame.pts <= last);
            self.note(late, Reordering::LeftOut);
            return self.sent(frame, !(late && unit.is_disposable()));
        };
        let info = picture.info();
        if frame.keyframe {
            self.waits_for_keyframe = false;
        } else if info.refers_to_missing {
            self.waits_for_keyframe = true;
            self.note(true, Reordering::ReferredTo);
        }
        self.note(info.bidirectional, Reordering::LeftOut);
        let sent = !info.bidirectional && !self.waits_for_keyframe;
        self.gaps |= info.reference && !sent;
        self.references.decide(picture, !sent);
        self.sent(frame, sent)
    }

    /// The worst that has been seen.
    pub(super) const fn reordering(&self) -> Reordering {
        self.reordering
    }

    /// The parameter sets to send with the next keyframe.
    pub(super) fn parameter_sets(&self, config: &AvcConfig) -> Vec<bytes::Bytes> {
        let sps = config
            .sps()
            .iter()
            .map(|nal| self.gaps.then(|| allow_gaps(nal)).flatten().unwrap_or_else(|| nal.clone()));
        sps.chain(config.pps().iter().cloned()).collect()
    }

    fn note(&mut self, seen: bool, what: Reordering) {
        if seen {
            self.reordering = self.reordering.max(what);
        }
    }

    fn sent(&mut self, frame: &Frame, sent: bool) -> bool {
        if sent {
            self.last = self.last.max(Some(frame.pts));
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::h264::{SliceHeader, SliceType, Sps};
    use crate::media::{MediaKind, Payload};
    use bytes::Bytes;

    fn hex(text: &str) -> Bytes {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// Reads a file of `tests/data/h264`.
    fn stream(text: &str) -> (AvcConfig, Vec<Frame>) {
        let (sets, pictures) = text.split_once('\n').unwrap();
        let (sps, pps) = sets.split_once(';').unwrap();
        let config = AvcConfig::new(vec![hex(sps)], vec![hex(pps)]).unwrap();
        let frame = |line: &str| {
            let fields: Vec<_> = line.split(' ').collect();
            let time = |at: usize| Timestamp::from_millis(fields[at].parse().unwrap());
            let nals: Vec<_> = fields[3].split(',').map(hex).collect();
            let unit = AccessUnit::from_nals(nals.iter().map(|nal| &nal[..]));
            let (dts, pts, keyframe) = (time(0), time(1), fields[2] == "1");
            Frame { kind: MediaKind::Video, dts, pts, keyframe, payload: Payload::Nalus(unit) }
        };
        (config, pictures.lines().map(frame).collect())
    }

    fn unit(frame: &Frame) -> &AccessUnit {
        match &frame.payload {
            Payload::Nalus(unit) => unit,
            Payload::Packet(_) => panic!("no access unit"),
        }
    }

    fn kind(frame: &Frame) -> SliceType {
        SliceHeader::peek(unit(frame).nals().next().unwrap()).unwrap().1
    }

    /// Which pictures are sent.
    fn run(order: &mut DisplayOrder, text: &str) -> Vec<Frame> {
        let (config, mut frames) = stream(text);
        order.configure(&config);
        frames.retain(|frame| order.admits(frame, unit(frame)));
        frames
    }

    fn in_order(frames: &[Frame]) -> bool {
        frames.windows(2).all(|pair| pair[0].pts < pair[1].pts)
    }

    #[test]
    fn without_b_frames_all_is_sent() {
        let mut order = DisplayOrder::default();
        let text = include_str!("../../tests/data/h264/no_b_frames.txt");
        assert_eq!(run(&mut order, text).len(), 40);
        assert_eq!(order.reordering(), Reordering::None);
        let (config, _) = stream(text);
        assert_eq!(order.parameter_sets(&config), [config.sps(), config.pps()].concat(), "as they came");
    }

    #[test]
    fn b_frames_are_left_out_with_or_without_a_pyramid() {
        for (text, gaps) in [
            (include_str!("../../tests/data/h264/b_frames.txt"), false),
            (include_str!("../../tests/data/h264/pyramid.txt"), true),
        ] {
            let mut order = DisplayOrder::default();
            let (config, all) = stream(text);
            let sent = run(&mut order, text);
            assert!(in_order(&sent));
            let kept = all.iter().filter(|frame| kind(frame) != SliceType::B);
            assert!(kept.map(|frame| frame.pts).eq(sent.iter().map(|frame| frame.pts)), "every I and P");
            assert_eq!(order.reordering(), Reordering::LeftOut);
            let sps = Sps::parse(&order.parameter_sets(&config)[0]).unwrap();
            assert_eq!(sps.gaps_in_frame_num_allowed, gaps, "only where reference pictures are missing");
        }
    }

    #[test]
    fn p_frames_that_need_b_frames_wait_for_a_keyframe() {
        let mut order = DisplayOrder::default();
        let sent = run(&mut order, include_str!("../../tests/data/h264/pyramid_leaky.txt"));
        assert!(in_order(&sent));
        let keys: Vec<_> = sent.iter().map(|frame| frame.keyframe).collect();
        // Each keyframe and the P picture behind it, which can only refer to the keyframe.
        assert_eq!(keys, [true, false, true, false, true, false]);
        assert_eq!(order.reordering(), Reordering::ReferredTo);
    }

    #[test]
    fn unknown_headers_go_unless_late_and_dispensable() {
        let mut order = DisplayOrder::default();
        let frame = |pts: i64, header: u8| {
            let (time, unit) = (Timestamp::from_millis(pts), AccessUnit::from_nals([&[header, 0x88][..]]));
            let payload = Payload::Nalus(unit);
            Frame { kind: MediaKind::Video, dts: time, pts: time, keyframe: false, payload }
        };
        let verdicts = [(0, 0x41), (100, 0x41), (50, 0x01), (60, 0x41), (200, 0x01)]
            .map(|(pts, header)| frame(pts, header))
            .map(|frame| order.admits(&frame, unit(&frame)));
        assert_eq!(verdicts, [true, true, false, true, true]);
    }
}
