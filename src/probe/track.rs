//! What the packets of one track say: rates, groups of pictures, holes. Packet by packet, in memory that does not grow.

use super::packet::Packet;
use super::report::{Gap, Gop};
use super::spread::Spread;
use std::collections::BTreeSet;

/// One track while it is read.
pub(crate) struct Track {
    is_video: bool,
    packets: u64,
    bytes: u64,
    /// Of all that is shown, in seconds.
    first: Option<f64>,
    end: f64,
    /// Times that are not in order yet, in nanoseconds: of pictures that are decoded before others and shown behind them.
    waiting: BTreeSet<i64>,
    last_shown: Option<f64>,
    intervals: Spread,
    /// The usual interval so far; looked up now and then.
    usual: f64,
    /// Intervals that may be holes, by how much is usual at the end.
    suspects: Vec<Suspect>,
    suspects_left_out: u64,
    latest: f64,
    run: u64,
    longest_run: u64,
    last_key: Option<f64>,
    keys: Spread,
    last_dts: Option<f64>,
    backward: u64,
}

/// From one packet to the next.
#[derive(Clone, Copy)]
struct Suspect {
    start: f64,
    interval: f64,
}

/// What came out.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Measured {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) start: Option<f64>,
    pub(crate) end: Option<f64>,
    pub(crate) rate: Option<f64>,
    pub(crate) varies: bool,
    pub(crate) b_frames: u64,
    pub(crate) gop: Option<Gop>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) gaps_left_out: u64,
    pub(crate) backward: u64,
}

/// Pictures are shown at most so many behind those that were decoded after them (H.264: 16).
const REORDERED: usize = 17;
/// Nanoseconds in a second.
const PARTS: f64 = 1e9;
/// More holes are only counted.
const MOST_GAPS: usize = 1_000;
/// Intervals of the first packets are all kept, as nothing is usual yet.
const LEARNING: u64 = 50;
/// What an interval may be longer than usual: half of it and 5 ms, as clocks of milliseconds round.
const HALF: f64 = 1.5;
const ROUNDING: f64 = 0.005;
/// Where pictures come as they change, such as of a screen, only a longer pause is a hole, in seconds.
const PAUSE: f64 = 1.0;
/// A constant rate: so many of the intervals are the usual one.
const CONSTANT: f64 = 0.9;

impl Track {
    pub(crate) fn new(is_video: bool) -> Self {
        Self {
            is_video,
            packets: 0,
            bytes: 0,
            first: None,
            end: f64::NEG_INFINITY,
            waiting: BTreeSet::new(),
            last_shown: None,
            intervals: Spread::new(0.000_5, 2.0),
            usual: 0.0,
            suspects: Vec::new(),
            suspects_left_out: 0,
            latest: f64::NEG_INFINITY,
            run: 0,
            longest_run: 0,
            last_key: None,
            keys: Spread::new(0.005, 120.0),
            last_dts: None,
            backward: 0,
        }
    }

    pub(crate) fn add(&mut self, packet: &Packet) {
        self.bytes += packet.size;
        if packet.is_discarded {
            return;
        }
        self.packets += 1;
        if let (Some(last), Some(dts)) = (self.last_dts, packet.dts)
            && dts < last
        {
            self.backward += 1;
        }
        self.last_dts = packet.dts.or(self.last_dts);
        let Some(time) = packet.time() else { return };
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
        self.end = self.end.max(time + packet.duration.unwrap_or(0.0));
        // `as` saturates; times that large are in no order that matters.
        self.waiting.insert((time * PARTS) as i64);
        if self.waiting.len() > if self.is_video { REORDERED } else { 0 } {
            self.show();
        }
        if self.is_video {
            self.order(time, packet.is_key);
        }
    }

    /// What is known at the end.
    pub(crate) fn finish(mut self) -> Measured {
        while !self.waiting.is_empty() {
            self.show();
        }
        let usual = self.intervals.median();
        let varies =
            usual.is_some_and(|usual| self.intervals.share_near(usual, usual / 4.0 + 0.001) < CONSTANT);
        let limit = usual.map_or(f64::INFINITY, |usual| {
            let constant = usual * HALF + ROUNDING;
            if varies { constant.max(PAUSE) } else { constant }
        });
        let shown = self.first.zip(self.last_shown).map(|(first, last)| last - first);
        let rate = shown.filter(|shown| *shown > 0.0).map(|shown| self.intervals.total() as f64 / shown);
        let length = usual.unwrap_or(0.0);
        let gaps = self.suspects.iter().filter(|suspect| suspect.interval > limit).map(|suspect| Gap {
            start: rounded(suspect.start + length),
            duration: rounded(suspect.interval - length),
        });
        // A container that does not say how long its last packet lasts.
        let end = self.last_shown.map(|last| self.end.max(last + length));
        Measured {
            packets: self.packets,
            bytes: self.bytes,
            start: self.first.map(rounded),
            end: end.map(rounded),
            rate: rate.map(rounded),
            varies,
            b_frames: self.longest_run.max(self.run),
            gop: Gop::of(&self.keys),
            gaps: gaps.collect(),
            gaps_left_out: self.suspects_left_out,
            backward: self.backward,
        }
    }

    /// The next one in the order of showing.
    fn show(&mut self) {
        let Some(time) = self.waiting.pop_first() else { return };
        let time = time as f64 / PARTS;
        if let Some(last) = self.last_shown.filter(|last| time > *last) {
            let interval = time - last;
            self.intervals.add(interval);
            let total = self.intervals.total();
            if total.is_multiple_of(LEARNING) {
                self.usual = self.intervals.median().unwrap_or(0.0);
            }
            if total < LEARNING || interval > self.usual * HALF + ROUNDING {
                self.suspect(Suspect { start: last, interval });
            }
        }
        self.last_shown = Some(self.last_shown.map_or(time, |last| last.max(time)));
    }

    fn suspect(&mut self, suspect: Suspect) {
        if self.suspects.len() < MOST_GAPS + LEARNING as usize {
            self.suspects.push(suspect);
        } else {
            self.suspects_left_out += 1;
        }
    }

    /// Reads the kinds of pictures from their order: what is shown before something that was decoded earlier leans on
    /// both sides.
    fn order(&mut self, time: f64, is_key: bool) {
        if time < self.latest {
            self.run += 1;
        } else {
            self.longest_run = self.longest_run.max(self.run);
            self.run = 0;
            self.latest = time;
        }
        if is_key {
            if let Some(last) = self.last_key.filter(|last| time > *last) {
                self.keys.add(time - last);
            }
            self.last_key = Some(time);
        }
    }
}

/// To microseconds: what ffprobe gives.
pub(crate) fn rounded(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(is_video: bool, packets: impl IntoIterator<Item = (f64, f64, bool)>) -> Measured {
        let mut track = Track::new(is_video);
        for (dts, pts, is_key) in packets {
            track.add(&Packet { pts: Some(pts), dts: Some(dts), size: 100, is_key, ..Packet::default() });
        }
        track.finish()
    }

    /// Pictures at 25 a second, decoded in the order of `shown`.
    fn pictures(shown: &[u32]) -> Vec<(f64, f64, bool)> {
        let at = |number: usize| number as f64 * 0.04;
        shown
            .iter()
            .enumerate()
            .map(|(index, number)| (at(index), at(*number as usize), index == 0))
            .collect()
    }

    #[test]
    fn b_frames_are_counted_by_the_order() {
        assert_eq!(measure(true, pictures(&[0, 1, 2, 3])).b_frames, 0);
        assert_eq!(measure(true, pictures(&[0, 3, 1, 2, 6, 4, 5])).b_frames, 2);
        assert_eq!(measure(true, pictures(&[0, 4, 2, 1, 3, 5])).b_frames, 3, "a pyramid");
    }

    #[test]
    fn rate_and_groups_of_pictures() {
        let measured =
            measure(true, (0..250).map(|n| (f64::from(n) * 0.04, f64::from(n) * 0.04, n % 50 == 0)));
        assert_eq!((measured.rate, measured.varies, measured.packets), (Some(25.0), false, 250));
        let gop = measured.gop.unwrap();
        assert!(
            (gop.min - 2.0).abs() < 1e-6 && (gop.max - 2.0).abs() < 1e-6 && (gop.median - 2.0).abs() < 0.006
        );
        assert!((measured.end.unwrap() - 10.0).abs() < 1e-3, "the last one lasts as long as the others");
        assert!(measured.gaps.is_empty());
    }

    #[test]
    fn a_hole_is_found_where_it_is() {
        let times = (0..100).chain(150..250).map(|n| (f64::from(n) * 0.04, f64::from(n) * 0.04, n == 0));
        let gaps = measure(true, times).gaps;
        assert_eq!(gaps.len(), 1);
        assert!((gaps[0].start - 4.0).abs() < 1e-3 && (gaps[0].duration - 2.0).abs() < 1e-3, "{gaps:?}");
        let early = (0..3).chain(10..250).map(|n| (f64::from(n) * 0.04, f64::from(n) * 0.04, n == 0));
        assert_eq!(measure(true, early).gaps.len(), 1, "at the beginning, too");
    }

    #[test]
    fn one_lost_packet_of_sound_is_a_hole_and_rounding_is_none() {
        let rounded = (0..500).filter(|n| *n != 300).map(|n| {
            let time = (f64::from(n) * 1024.0 / 44_100.0 * 1000.0).round() / 1000.0;
            (time, time, true)
        });
        let gaps = measure(false, rounded).gaps;
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert!((gaps[0].duration - 0.023).abs() < 0.002);
    }

    #[test]
    fn a_screen_that_rests_has_no_holes() {
        let mut time = 0.0;
        let pictures: Vec<_> = (0..300)
            .map(|n| {
                time += [0.033, 0.1, 0.4, 0.7][n % 4];
                (time, time, n == 0)
            })
            .collect();
        let measured = measure(true, pictures);
        assert!(measured.varies && measured.gaps.is_empty(), "{measured:?}");
    }

    #[test]
    fn memory_is_bounded() {
        let mut time = 0.0;
        let holes: Vec<_> = (0..20_000)
            .map(|n| {
                time += if n % 5 == 0 { 0.5 } else { 0.02 };
                (time, time, true)
            })
            .collect();
        let measured = measure(false, holes);
        assert!(measured.gaps.len() <= MOST_GAPS + 50 && measured.gaps_left_out > 2_000);
    }

    #[test]
    fn what_is_not_shown_is_no_time() {
        let mut track = Track::new(false);
        let packet = Packet { pts: Some(-0.021), is_discarded: true, ..Packet::default() };
        track.add(&packet);
        track.add(&Packet { pts: Some(0.0), is_discarded: false, ..packet });
        assert_eq!(track.finish().start, Some(0.0));
    }
}
