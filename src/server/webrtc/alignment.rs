//! One timeline for the encodings of a picture.
//!
//! A browser gives each encoding timestamps from a random start of its own, all on one clock. Whatever is to go on from one
//! encoding to another needs them on a common scale: at first by when pictures arrive, exactly once sender reports have
//! told which ticks of two encodings belong to the same instant.

use crate::time::{ClockRate, NtpTime, Timestamp};

/// Reports that put two encodings further apart than this, against what arrival says, are not believed: two seconds.
const BELIEVABLE: i64 = 180_000;

/// What all encodings of a picture have in common.
#[derive(Debug, Default)]
pub(super) struct Scale {
    /// What reports are measured by.
    anchor: Option<Anchor>,
    /// The latest picture of any encoding: its common ticks, and when it came.
    latest: Option<(i64, Timestamp)>,
}

/// An instant of the sender's clock, and the common ticks at it.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    ntp: NtpTime,
    common: i64,
    by: Certainty,
}

/// How well it is known where an encoding lies, the worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
enum Certainty {
    /// By when its pictures came.
    #[default]
    Arrival,
    /// By reports, measured by one that is itself known by arrival: the first to report.
    Relative,
    /// It defines the scale, or reports tell of one that does.
    Exact,
}

/// Where one encoding's ticks lie on the [`Scale`].
#[derive(Debug, Default)]
pub(super) struct Alignment {
    /// Added to the encoding's ticks.
    shift: Option<i64>,
    /// How well that is known.
    certainty: Certainty,
    /// The last picture that lay elsewhere: its own ticks, and the common ones.
    before: Option<(i64, i64)>,
    /// A better shift, from the next picture on.
    better: Option<(i64, Certainty)>,
    /// The latest ticks, the encoding's own.
    last: Option<i64>,
}

impl Alignment {
    /// The common ticks of a packet that came at `arrival`; `is_anew` if the encoding counts from somewhere else now.
    /// Packets of one picture get the same, and those of a later one more.
    pub(super) fn place(&mut self, scale: &mut Scale, arrival: Timestamp, ticks: i64, is_anew: bool) -> i64 {
        if is_anew {
            *self = Self::default();
        }
        let shift = match (self.shift, scale.latest) {
            (Some(shift), _) => shift,
            (None, Some((latest, at))) => latest + (arrival - at).to_ticks(ClockRate::VIDEO) - ticks,
            (None, None) => {
                self.certainty = Certainty::Exact;
                0
            }
        };
        self.shift = Some(shift);
        if let Some(last) = self.last.filter(|last| ticks > *last)
            && let Some((better, certainty)) = self.better.take()
        {
            self.before = Some((last, self.common(last, shift)));
            (self.shift, self.certainty) = (Some(better), certainty);
        }
        self.last = self.last.max(Some(ticks));
        let common = self.common(ticks, self.shift.unwrap_or(shift));
        if scale.latest.is_none_or(|(latest, _)| common > latest) {
            scale.latest = Some((common, arrival));
        }
        common
    }

    /// Where ticks lie: as they did before the shift was bettered, or, behind that, by the shift. If that were earlier than
    /// what came last, time goes at half its pace until it is not.
    fn common(&self, ticks: i64, shift: i64) -> i64 {
        let by_shift = ticks.saturating_add(shift);
        match self.before {
            Some((last, common)) if ticks <= last => common.saturating_sub(last.saturating_sub(ticks)),
            Some((last, common)) => by_shift.max(common.saturating_add(ticks.saturating_sub(last) / 2)),
            None => by_shift,
        }
    }

    /// Whether ticks of the encoding belong to a later picture than all before.
    pub(super) fn is_new(&self, ticks: i64) -> bool {
        self.last.is_none_or(|last| ticks > last)
    }

    /// Notes a sender report: the encoding's `ticks` were captured at `ntp`. Gives the common ticks, if they are certain.
    pub(super) fn report(&mut self, scale: &mut Scale, ntp: NtpTime, ticks: i64) -> Option<i64> {
        let shift = self.shift?;
        if let Some(anchor) = scale.anchor {
            let at = anchor.common.saturating_add(ntp.since(anchor.ntp).to_ticks(ClockRate::VIDEO));
            let by_report = at.saturating_sub(ticks);
            let is_believable = by_report.saturating_sub(shift).saturating_abs() < BELIEVABLE;
            if is_believable && self.certainty < anchor.by {
                self.better = Some((by_report, anchor.by));
                return None;
            }
            // Nothing else can be said of one whose report is not believed.
            self.certainty = self.certainty.max(anchor.by);
        }
        // The first to report is what the others are measured by, until the one does that defines the scale.
        self.certainty = self.certainty.max(Certainty::Relative);
        let common = ticks.saturating_add(shift);
        scale.anchor = Some(Anchor { ntp, common, by: self.certainty });
        Some(common)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::MediaDuration;

    const PICTURE: i64 = 3_000;

    fn ms(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn ntp(ms: i64) -> NtpTime {
        NtpTime::default().plus(MediaDuration::from_millis(1_000_000 + ms))
    }

    #[test]
    fn by_arrival_at_first_and_exactly_by_reports_from_the_next_picture_on() {
        let (mut scale, mut low, mut high) = (Scale::default(), Alignment::default(), Alignment::default());
        assert_eq!(low.place(&mut scale, ms(0), 1_000, true), 1_000);
        assert_eq!(low.place(&mut scale, ms(33), 4_000, false), 4_000);
        // The same picture, 10 ms later.
        assert_eq!(high.place(&mut scale, ms(43), 90_000, true), 4_900);
        assert_eq!(high.report(&mut scale, ntp(33), 90_000), Some(4_900), "nobody has reported so far");
        assert_eq!(low.report(&mut scale, ntp(66), 7_000), Some(7_000), "it is the scale's own");
        let high_ticks = 90_000 + PICTURE;
        assert_eq!(high.place(&mut scale, ms(80), high_ticks, false), 4_900 + PICTURE);
        assert_eq!(high.report(&mut scale, ntp(66), high_ticks), None);
        assert_eq!(high.place(&mut scale, ms(80), high_ticks, false), 7_900, "still the same picture");
        assert_eq!(high.place(&mut scale, ms(110), high_ticks + PICTURE, false), 10_000);
        assert_eq!(high.report(&mut scale, ntp(99), high_ticks + PICTURE), Some(10_000));
        assert_eq!(low.place(&mut scale, ms(100), 10_000, false), 10_000, "the same instant, the same ticks");
    }

    #[test]
    fn whoever_reports_first_all_come_to_lie_on_the_scale_of_the_first() {
        let mut scale = Scale::default();
        let (mut low, mut middle, mut high) = Default::default();
        let place = |encoding: &mut Alignment, scale: &mut Scale, late: i64, picture: i64| {
            encoding.place(scale, ms(picture * 100 + late), picture * 9_000, picture == 0)
        };
        let mut shown = [0; 3];
        for picture in 0..10 {
            // The lowest comes at once, the others later, and report earlier.
            let all = [(&mut low, 0), (&mut middle, 70), (&mut high, 150)];
            for (shown, (encoding, late)) in shown.iter_mut().zip(all) {
                *shown = place(encoding, &mut scale, late, picture);
            }
            let report = |encoding: &mut Alignment, scale: &mut Scale| {
                encoding.report(scale, ntp(picture * 100), picture * 9_000)
            };
            report(&mut high, &mut scale);
            report(&mut middle, &mut scale);
            match picture {
                0 => assert_eq!(shown, [0, 6_300, 13_500]),
                // They agree among themselves as soon as they can.
                2 => assert_eq!(shown, [18_000, 31_500, 31_500]),
                _ => {}
            }
            if picture >= 2 {
                assert_eq!(report(&mut low, &mut scale), Some(picture * 9_000), "as certain as can be");
            }
        }
        assert_eq!(shown, [81_000; 3]);
    }

    #[test]
    fn a_better_place_that_is_earlier_is_come_to_at_half_the_pace() {
        let (mut scale, mut low, mut high) = (Scale::default(), Alignment::default(), Alignment::default());
        low.place(&mut scale, ms(0), 0, true);
        low.report(&mut scale, ntp(0), 0);
        // It comes 100 ms late: three pictures.
        assert_eq!(high.place(&mut scale, ms(100), 0, true), 9_000);
        high.report(&mut scale, ntp(0), 0);
        let mut place = |picture: i64| high.place(&mut scale, ms(picture * 33), picture * PICTURE, false);
        let shown = [1, 2, 4, 3, 0, 5, 6, 7, 8].map(&mut place);
        assert_eq!(shown, [10_500, 12_000, 15_000, 13_500, 9_000, 16_500, 18_000, 21_000, 24_000]);
    }

    #[test]
    fn nonsense_is_not_believed() {
        let (mut scale, mut low, mut high) = (Scale::default(), Alignment::default(), Alignment::default());
        low.place(&mut scale, ms(0), 0, true);
        low.report(&mut scale, ntp(0), 0);
        high.place(&mut scale, ms(0), i64::from(u32::MAX), true);
        assert_eq!(
            high.report(&mut scale, ntp(60_000), 0),
            Some(-i64::from(u32::MAX)),
            "by its arrival alone"
        );
        assert_eq!(Alignment::default().report(&mut scale, ntp(0), 0), None, "nothing has come of it");
    }
}
