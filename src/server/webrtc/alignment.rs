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
    /// An instant of the sender's clock, and the common ticks at it.
    anchor: Option<(NtpTime, i64)>,
    /// The latest picture of any encoding: its common ticks, and when it came.
    latest: Option<(i64, Timestamp)>,
}

/// Where one encoding's ticks lie on the [`Scale`].
#[derive(Debug, Default)]
pub(super) struct Alignment {
    /// Added to the encoding's ticks.
    shift: Option<i64>,
    /// Whether the shift is known by reports, or defines the scale.
    is_exact: bool,
    /// A better shift, for the next picture on.
    better: Option<i64>,
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
        let mut shift = match (self.shift, scale.latest) {
            (Some(shift), _) => shift,
            (None, Some((latest, at))) => latest + (arrival - at).to_ticks(ClockRate::VIDEO) - ticks,
            (None, None) => {
                self.is_exact = true;
                0
            }
        };
        if let (Some(better), Some(last)) = (self.better, self.last)
            && ticks > last
            && ticks + better > last + shift
        {
            (shift, self.better, self.is_exact) = (better, None, true);
        }
        self.shift = Some(shift);
        self.last = self.last.max(Some(ticks));
        let common = ticks.saturating_add(shift);
        if scale.latest.is_none_or(|(latest, _)| common > latest) {
            scale.latest = Some((common, arrival));
        }
        common
    }

    /// Whether ticks of the encoding belong to a later picture than all before.
    pub(super) fn is_new(&self, ticks: i64) -> bool {
        self.last.is_none_or(|last| ticks > last)
    }

    /// Notes a sender report: the encoding's `ticks` were captured at `ntp`. Gives the common ticks, if they are certain.
    pub(super) fn report(&mut self, scale: &mut Scale, ntp: NtpTime, ticks: i64) -> Option<i64> {
        let shift = self.shift?;
        let by_report = scale.anchor.map(|(at, common)| {
            common.saturating_add(ntp.since(at).to_ticks(ClockRate::VIDEO)).saturating_sub(ticks)
        });
        match by_report.filter(|by_report| by_report.saturating_sub(shift).saturating_abs() < BELIEVABLE) {
            Some(by_report) if !self.is_exact => {
                self.better = Some(by_report);
                return None;
            }
            // The first to report is what the others are measured by; so is one that nothing else can be said of.
            _ => self.is_exact = true,
        }
        let common = ticks.saturating_add(shift);
        scale.anchor = Some((ntp, common));
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
        let (mut low, mut high) = (low, Alignment::default());
        let high_ticks = 90_000 + PICTURE;
        assert_eq!(high.place(&mut scale, ms(80), high_ticks, true), 4_900 + 3_330);
        assert_eq!(high.report(&mut scale, ntp(66), high_ticks), None);
        assert_eq!(high.place(&mut scale, ms(80), high_ticks, false), 8_230, "still the same picture");
        assert_eq!(high.place(&mut scale, ms(110), high_ticks + PICTURE, false), 10_000);
        assert_eq!(high.report(&mut scale, ntp(99), high_ticks + PICTURE), Some(10_000));
        assert_eq!(low.place(&mut scale, ms(100), 10_000, false), 10_000, "the same instant, the same ticks");
    }

    #[test]
    fn a_better_place_that_is_not_later_waits() {
        let (mut scale, mut low, mut high) = (Scale::default(), Alignment::default(), Alignment::default());
        low.place(&mut scale, ms(0), 0, true);
        low.report(&mut scale, ntp(0), 0);
        // It comes 100 ms late: three pictures.
        assert_eq!(high.place(&mut scale, ms(100), 0, true), 9_000);
        high.report(&mut scale, ntp(0), 0);
        assert_eq!(high.place(&mut scale, ms(133), PICTURE, false), 9_000 + PICTURE);
        assert_eq!(high.place(&mut scale, ms(500), 5 * PICTURE, false), 5 * PICTURE);
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
