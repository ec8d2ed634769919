//! What is counted of a source that is received, for receiver reports; and the unwrapping of its numbers.

use super::{Header, Ssrc};
use crate::protocol::rtcp::ReportBlock;
use crate::time::{ClockRate, MediaDuration, NtpTime, RtpTime, Unwrapper};
use std::time::Instant;

/// A step forwards up to this is loss (RFC 3550, appendix A.1).
const MAX_DROPOUT: u16 = 3_000;
/// A step back up to this is a packet that comes late; whether it came before is remembered as far.
const MAX_LATE: u16 = 1_024;
const HISTORY_WORDS: usize = MAX_LATE as usize / 64;

/// Where a packet lies among those of its source, unwrapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// Its sequence number.
    pub sequence: i64,
    /// Its timestamp, in ticks.
    pub ticks: i64,
}

/// What a packet turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// New, in order or not.
    Fresh(Position),
    /// The first of a source that counts from somewhere else now; its sequence numbers go on behind all before.
    Restart(Position),
    /// It has come before.
    Duplicate,
    /// Far from all others. Should the next follow on it, that one is a [`Restart`](Self::Restart).
    Stray,
}

/// Counts what comes from one source.
#[derive(Debug)]
pub struct Reception {
    ssrc: Ssrc,
    rate: ClockRate,
    started: Option<Start>,
    ticks: Unwrapper<32>,
    /// Bit n of the ring: a packet whose sequence number is n modulo [`MAX_LATE`] has come.
    history: [u64; HISTORY_WORDS],
    received: u64,
    /// Of the report before.
    expected_before: u64,
    received_before: u64,
    /// In 1/16 ticks.
    jitter: i64,
    transit: Option<i64>,
    /// What a restart must begin with.
    expected_stray: Option<u16>,
    last_report: Option<(NtpTime, Instant)>,
}

#[derive(Clone, Copy, Debug)]
struct Start {
    epoch: Instant,
    first: i64,
    highest: i64,
}

impl Reception {
    /// Nothing has come yet.
    pub const fn new(ssrc: Ssrc, rate: ClockRate) -> Self {
        Self {
            ssrc,
            rate,
            started: None,
            ticks: Unwrapper::new(),
            history: [0; HISTORY_WORDS],
            received: 0,
            expected_before: 0,
            received_before: 0,
            jitter: 0,
            transit: None,
            expected_stray: None,
            last_report: None,
        }
    }

    /// Counts a packet of the source itself.
    pub fn packet(&mut self, header: &Header, now: Instant) -> Arrival {
        let arrival = self.place(header.sequence, header.timestamp, now);
        if let Arrival::Fresh(position) | Arrival::Restart(position) = arrival {
            self.received += 1;
            self.measure_jitter(position, now);
        }
        arrival
    }

    /// Places a packet that came as a retransmission under its original sequence number. It counts towards no figure:
    /// reports tell of the network, not of its repair. Nor does it say anything of where the source counts: far from all
    /// others it is a stray.
    pub fn recovered(&mut self, sequence: u16, timestamp: RtpTime, now: Instant) -> Arrival {
        match self.started {
            Some(start) if start.near(sequence).is_some() => {
                let expected_stray = self.expected_stray;
                let arrival = self.place(sequence, timestamp, now);
                self.expected_stray = expected_stray;
                arrival
            }
            _ => Arrival::Stray,
        }
    }

    /// Notes a sender report that came at `now`.
    pub const fn sender_report(&mut self, ntp: NtpTime, now: Instant) {
        self.last_report = Some((ntp, now));
    }

    /// A timestamp of a report, unwrapped as the nearest to those of the packets; `None` before the first.
    pub fn ticks_of(&self, timestamp: RtpTime) -> Option<i64> {
        self.started.map(|_| self.ticks.peek(timestamp.0))
    }

    /// The block for the next report, and with it the end of its interval; `None` before the first packet.
    pub fn report_block(&mut self, now: Instant) -> Option<ReportBlock> {
        let start = self.started?;
        let expected = self.expected();
        let expected_since = expected.saturating_sub(self.expected_before);
        let received_since = self.received.saturating_sub(self.received_before);
        (self.expected_before, self.received_before) = (expected, self.received);
        let lost_since = expected_since.saturating_sub(received_since);
        let fraction_lost = (lost_since * 256).checked_div(expected_since).unwrap_or(0).min(255);
        let delay = self.last_report.map_or(0, |(_, at)| {
            let micros = now.saturating_duration_since(at).as_micros().min(u128::from(u32::MAX));
            ((micros << 16) / 1_000_000) as u32 // 71 minutes in 1/65536 s: 29 bits
        });
        Some(ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: fraction_lost as u8, // at most 255
            lost: i32::try_from(self.lost()).unwrap_or(i32::MAX),
            highest: start.highest as u32, // modulo 2^32 by definition
            jitter: u32::try_from(self.jitter >> 4).unwrap_or(u32::MAX),
            last_report: self.last_report.map_or(0, |(ntp, _)| ntp.short()),
            delay,
        })
    }

    /// The source.
    pub const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// Packets that have come, without retransmissions.
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Packets that have not come by themselves, whether or not they were repeated later.
    pub fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received)
    }

    /// Smoothed variation of the transit time (RFC 3550, appendix A.8).
    pub fn jitter(&self) -> MediaDuration {
        MediaDuration::from_ticks(self.jitter >> 4, self.rate)
    }

    fn expected(&self) -> u64 {
        self.started.map_or(0, |start| (start.highest - start.first + 1).unsigned_abs())
    }

    fn place(&mut self, sequence: u16, timestamp: RtpTime, now: Instant) -> Arrival {
        let Some(start) = &mut self.started else {
            let first = i64::from(sequence);
            self.started = Some(Start { epoch: now, first, highest: first });
            self.remember(first);
            return Arrival::Fresh(Position { sequence: first, ticks: self.ticks.unwrap(timestamp.0) });
        };
        let (position, restart) = match start.near(sequence) {
            Some(position) => (position, false),
            // Always forwards, so that nobody behind sees numbers twice.
            None if self.expected_stray == Some(sequence) => (start.next(sequence), true),
            None => {
                self.expected_stray = Some(sequence.wrapping_add(1));
                return Arrival::Stray;
            }
        };
        if restart {
            *start = Start { epoch: start.epoch, first: position, highest: position };
            self.history = [0; HISTORY_WORDS];
            (self.received, self.received_before, self.expected_before) = (0, 0, 0);
            self.transit = None;
        } else if position > start.highest {
            let gap = start.highest + 1..position;
            start.highest = position;
            self.forget(gap);
        } else if position < start.first {
            // Sent before the first that came, and behind it on the way.
            start.first = position;
        }
        self.expected_stray = None;
        if !self.remember(position) {
            return Arrival::Duplicate;
        }
        let position = Position { sequence: position, ticks: self.ticks.unwrap(timestamp.0) };
        if restart { Arrival::Restart(position) } else { Arrival::Fresh(position) }
    }

    /// Marks a packet as come; false when it was before.
    fn remember(&mut self, sequence: i64) -> bool {
        let (word, bit) = ring(sequence);
        let Some(word) = self.history.get_mut(word) else { return true };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Clears the marks of numbers that were passed over, and of the one behind them.
    fn forget(&mut self, passed: std::ops::Range<i64>) {
        for sequence in passed.start.max(passed.end - i64::from(MAX_LATE))..=passed.end {
            let (word, bit) = ring(sequence);
            if let Some(word) = self.history.get_mut(word) {
                *word &= !bit;
            }
        }
    }

    fn measure_jitter(&mut self, position: Position, now: Instant) {
        let Some(start) = self.started else { return };
        let elapsed = MediaDuration::from(now.saturating_duration_since(start.epoch));
        let transit = elapsed.to_ticks(self.rate).saturating_sub(position.ticks);
        if let Some(before) = self.transit.replace(transit) {
            let deviation = transit.saturating_sub(before).saturating_abs();
            self.jitter += deviation.min(i64::from(u32::MAX)) - ((self.jitter + 8) >> 4);
        }
    }
}

impl Start {
    /// The sequence number, unwrapped, if it lies near the highest.
    fn near(&self, sequence: u16) -> Option<i64> {
        let next = self.next(sequence);
        let late = i64::from((self.highest as u16).wrapping_sub(sequence)); // sequence numbers are modulo 2^16
        if (1..=i64::from(MAX_DROPOUT)).contains(&(next - self.highest)) {
            Some(next)
        } else {
            (late < i64::from(MAX_LATE)).then(|| self.highest - late)
        }
    }

    /// The sequence number, unwrapped forwards.
    fn next(&self, sequence: u16) -> i64 {
        self.highest + i64::from(sequence.wrapping_sub(self.highest as u16)) // modulo 2^16
    }
}

/// Where in the history a sequence number stands: word and bit.
fn ring(sequence: i64) -> (usize, u64) {
    let index = sequence.rem_euclid(MAX_LATE.into()) as usize; // below MAX_LATE
    (index / 64, 1 << (index % 64))
}

#[cfg(test)]
mod tests {
    use super::super::test_start;
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    const RATE: ClockRate = ClockRate::VIDEO;

    fn header(sequence: u16, timestamp: u32) -> Header {
        Header { marker: false, payload_type: 96, sequence, timestamp: RtpTime(timestamp), ssrc: Ssrc(7) }
    }

    fn sequences(arrivals: &[Arrival]) -> Vec<Option<i64>> {
        let sequence = |arrival: &Arrival| match arrival {
            Arrival::Fresh(position) | Arrival::Restart(position) => Some(position.sequence),
            Arrival::Duplicate | Arrival::Stray => None,
        };
        arrivals.iter().map(sequence).collect()
    }

    fn feed(reception: &mut Reception, numbers: &[u16]) -> Vec<Arrival> {
        numbers.iter().map(|n| reception.packet(&header(*n, 0), test_start())).collect()
    }

    #[test]
    fn wraps_reordering_and_duplicates() {
        let mut reception = Reception::new(Ssrc(7), RATE);
        let arrivals = feed(&mut reception, &[65_534, 0, 65_535, 0, 1, 65_533, 65_533]);
        assert_eq!(
            sequences(&arrivals),
            [Some(65_534), Some(65_536), Some(65_535), None, Some(65_537), Some(65_533), None]
        );
        assert_eq!(arrivals[3], Arrival::Duplicate);
        assert_eq!((reception.received(), reception.lost()), (5, 0));
        assert_eq!(reception.report_block(test_start()).unwrap().highest, 0x1_0001);
    }

    #[test]
    fn a_jump_must_be_confirmed() {
        let mut reception = Reception::new(Ssrc(7), RATE);
        feed(&mut reception, &[10, 11]);
        assert_eq!(feed(&mut reception, &[40_000, 12]), feed_expected(&[None, Some(12)]));
        let arrivals = feed(&mut reception, &[20_000, 20_001, 20_002]);
        assert_eq!(arrivals[0], Arrival::Stray);
        assert!(matches!(arrivals[1], Arrival::Restart(Position { sequence: 20_001, .. })));
        assert!(matches!(arrivals[2], Arrival::Fresh(Position { sequence: 20_002, .. })));
        let arrivals = feed(&mut reception, &[5, 6]);
        assert!(matches!(arrivals[1], Arrival::Restart(Position { sequence: 65_542, .. })), "never back");
        assert_eq!((reception.received(), reception.lost()), (1, 0), "counted anew");
    }

    #[test]
    fn a_retransmission_is_never_a_restart() {
        let mut reception = Reception::new(Ssrc(7), RATE);
        feed(&mut reception, &[10, 11, 40_000]);
        assert_eq!(reception.recovered(40_001, RtpTime(0), test_start()), Arrival::Stray);
        assert_eq!(reception.recovered(9, RtpTime(0), test_start()), feed_expected(&[Some(9)])[0]);
        let arrivals = feed(&mut reception, &[40_001]);
        assert!(matches!(arrivals[0], Arrival::Restart(Position { sequence: 40_001, .. })), "{arrivals:?}");
        assert_eq!([1, 2].map(|n| reception.recovered(n, RtpTime(0), test_start())), [Arrival::Stray; 2]);
    }

    fn feed_expected(numbers: &[Option<i64>]) -> Vec<Arrival> {
        let arrival = |n: &Option<i64>| {
            n.map_or(Arrival::Stray, |sequence| Arrival::Fresh(Position { sequence, ticks: 0 }))
        };
        numbers.iter().map(arrival).collect()
    }

    #[test]
    fn loss_is_told_by_interval_and_in_all() {
        let mut reception = Reception::new(Ssrc(7), RATE);
        assert_eq!(reception.report_block(test_start()), None);
        feed(&mut reception, &[0, 1, 3]);
        let block = reception.report_block(test_start()).unwrap();
        assert_eq!((block.fraction_lost, block.lost, block.highest), (64, 1, 3));
        assert!(matches!(reception.recovered(2, RtpTime(0), test_start()), Arrival::Fresh(_)));
        assert_eq!(reception.recovered(2, RtpTime(0), test_start()), Arrival::Duplicate);
        let block = reception.report_block(test_start()).unwrap();
        assert_eq!((block.fraction_lost, block.lost), (0, 1), "the network did lose it");
        feed(&mut reception, &[1_004]);
        assert_eq!(reception.report_block(test_start()).unwrap().fraction_lost, 255);
    }

    #[test]
    fn jitter_of_the_rfc() {
        let mut reception = Reception::new(Ssrc(7), RATE);
        let start = test_start();
        for n in 0..1_000u16 {
            // Each second packet comes 10 ms late: the deviation is 900 ticks every time.
            let late = Duration::from_millis(10 * u64::from(n % 2));
            let at = start + Duration::from_millis(20 * u64::from(n)) + late;
            reception.packet(&header(n, u32::from(n) * 1_800), at);
        }
        assert!((reception.jitter() - MediaDuration::from_millis(10)).abs() < MediaDuration::from_millis(1));
    }

    #[test]
    fn reports_answer_reports() {
        let mut reception = Reception::new(Ssrc(7), RATE);
        let start = test_start();
        assert_eq!(reception.ticks_of(RtpTime(5)), None);
        reception.packet(&header(0, u32::MAX), start);
        assert_eq!(reception.ticks_of(RtpTime(5)), Some(i64::from(u32::MAX) + 6));
        let ntp = NtpTime::from_bits(0x1234_5678_9abc_def0);
        reception.sender_report(ntp, start);
        let block = reception.report_block(start + Duration::from_millis(1_500)).unwrap();
        assert_eq!((block.last_report, block.delay), (0x5678_9abc, 3 << 15));
        let now = ntp.plus(MediaDuration::from_millis(1_540));
        assert!((block.round_trip(now).unwrap().as_secs_f64() - 0.04).abs() < 1e-4);
    }

    proptest! {
        /// However packets are lost, reordered and repeated, each is taken once and under its own number.
        #[test]
        fn each_packet_once(
            start in any::<u16>(),
            order in prop::collection::vec((0i64..400, any::<bool>()), 1..600),
        ) {
            let mut reception = Reception::new(Ssrc(7), RATE);
            let base = i64::from(start);
            reception.packet(&header(start, 0), test_start());
            let mut seen = std::collections::BTreeSet::from([base]);
            for (offset, recovered) in order {
                let sequence = base + offset;
                let arrival = if recovered {
                    reception.recovered(sequence as u16, RtpTime(offset as u32), test_start())
                } else {
                    reception.packet(&header(sequence as u16, offset as u32), test_start())
                };
                if seen.insert(sequence) {
                    prop_assert_eq!(arrival, Arrival::Fresh(Position { sequence, ticks: offset }));
                } else {
                    prop_assert_eq!(arrival, Arrival::Duplicate);
                }
            }
        }
    }
}
