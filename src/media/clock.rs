//! From the RTP clocks of one publisher to its stream's timeline.
//!
//! The two tracks of a peer count from random starts on clocks of their own. Media must flow at once, so each track is
//! first placed by when its packets arrive. Sender reports then say which ticks belong to the same instant; from there
//! on each track slides to where the reports put it, at most [`SLIDE`] of media time, so nothing is ever cut.
//!
//! A track's place is its *offset*: time on the timeline = ticks since the track's first packet + offset. The earliest
//! arrivals of the last seconds bound it from above: jitter only ever delays a packet.

use super::MediaKind;
use crate::time::{ClockRate, MediaDuration, NtpTime, Timestamp};
use std::collections::VecDeque;

/// How fast a track may slide: the 200th part of its media time, 5 ms a second.
const SLIDE: i64 = 200;
/// Beyond this, sliding would take minutes: the source's clock jumped or stood still, and the track is placed anew.
const JUMP: MediaDuration = MediaDuration::from_millis(500);
/// A packet so far behind the latest is late or repeated; further behind, the source's clock has leapt back.
const LATE: MediaDuration = MediaDuration::from_millis(2_000);
/// Arrivals are compared over this many seconds.
const WINDOW: usize = 3;
const SECOND: MediaDuration = MediaDuration::from_millis(1_000);
/// A track without packets for so long is not waited for.
const SILENT: MediaDuration = MediaDuration::from_millis(5_000);
/// So many placed pictures are remembered for packets that come behind them, late or repeated.
const PLACED: usize = 64;
/// Reports that put the tracks further apart than this, against what arrival says, are not believed.
const BELIEVABLE: MediaDuration = MediaDuration::from_millis(2_000);

/// The clock of one stream that comes as RTP.
#[derive(Debug, Default)]
pub struct StreamClock {
    audio: Option<Track>,
    video: Option<Track>,
    repairs: Repairs,
}

/// How often a track had to be placed anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Repairs {
    /// The source's clock leapt, forwards or back.
    pub jumps: u64,
    /// The source's clock stood still while time went by: capture was suspended.
    pub stalls: u64,
}

#[derive(Debug)]
struct Track {
    rate: ClockRate,
    first_ticks: i64,
    offset: MediaDuration,
    arrivals: EarliestArrivals,
    last_arrival: Timestamp,
    /// Ticks and times, ascending in both; never empty.
    placed: VecDeque<(i64, Timestamp)>,
    report: Option<(NtpTime, i64)>,
}

/// The smallest of (arrival - media time) in each of the last seconds.
///
/// A second here has passed both on the wall clock and in the media: a network that stalls and then delivers all at once
/// does not age what was seen before it, while a capture that stalled does so within [`WINDOW`] seconds of its return.
#[derive(Debug)]
struct EarliestArrivals {
    age: MediaDuration,
    minima: [Option<MediaDuration>; WINDOW],
}

impl StreamClock {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Places a packet: `arrival` is when it came on the stream's timeline, `ticks` its unwrapped RTP timestamp.
    ///
    /// Within a track, more ticks never give an earlier time, and equal ticks give the same.
    pub fn packet(&mut self, kind: MediaKind, rate: ClockRate, arrival: Timestamp, ticks: i64) -> Timestamp {
        let slot = self.slot(kind);
        let Some(track) = slot.as_mut().filter(|track| track.rate == rate) else {
            *slot = Some(Track::new(rate, arrival, ticks));
            return arrival;
        };
        let (last_ticks, last_time) = track.last();
        if ticks == last_ticks {
            return last_time;
        }
        let waited = arrival - std::mem::replace(&mut track.last_arrival, arrival);
        let step = MediaDuration::from_ticks(ticks - last_ticks, rate);
        track.arrivals.add(waited.min(step), arrival - (Timestamp::ZERO + track.media_time(ticks)));
        let target = self.target(kind);
        let Some(track) = (match kind {
            MediaKind::Audio => self.audio.as_mut(),
            MediaKind::Video => self.video.as_mut(),
        }) else {
            return arrival;
        };
        if step < MediaDuration::ZERO && step > -LATE {
            return track.between(ticks); // reordered: leave the clock alone
        }
        let wanted = target - track.offset;
        let ahead = Timestamp::ZERO + track.media_time(ticks) + track.offset - arrival;
        if step < MediaDuration::ZERO || ahead > JUMP {
            // Arrivals before the jump say nothing about the clock behind it.
            self.repairs.jumps += 1;
            track.place_anew(arrival.max(last_time), ticks);
        } else if wanted > JUMP {
            self.repairs.stalls += 1;
            track.offset = target;
        } else {
            let limit = step / SLIDE;
            track.offset += wanted.clamp(-limit, limit);
        }
        let time = (Timestamp::ZERO + track.media_time(ticks) + track.offset).max(last_time);
        track.remember(ticks, time);
        time
    }

    /// Notes a sender report (RFC 3550, section 6.4.1): `ticks`, unwrapped, were captured at `ntp` of the sender's clock.
    /// Ignored before the track's first packet.
    pub fn report(&mut self, kind: MediaKind, ntp: NtpTime, ticks: i64) {
        if let Some(track) = self.slot(kind) {
            track.report = Some((ntp, ticks));
        }
    }

    /// How often a track was placed anew so far.
    pub const fn repairs(&self) -> Repairs {
        self.repairs
    }

    /// Where a track should be: by the reports when each live track has one and they can be believed, else by arrival.
    fn target(&self, kind: MediaKind) -> MediaDuration {
        let (Some(track), Some(other)) = (self.slot_ref(kind), self.slot_ref(kind.other())) else {
            return self.slot_ref(kind).map_or(MediaDuration::ZERO, |track| track.arrivals.earliest());
        };
        let by_arrival = track.arrivals.earliest();
        if track.last_arrival - other.last_arrival > SILENT {
            return by_arrival;
        }
        let (Some((ntp, ticks)), Some((other_ntp, other_ticks))) = (track.report, other.report) else {
            return by_arrival;
        };
        // If this track lies at offset x, the reports put the other at x + apart.
        let apart = (other_ntp.since(ntp) - other.media_time(other_ticks)) + track.media_time(ticks);
        let other_by_arrival = other.arrivals.earliest() - apart;
        if (other_by_arrival - by_arrival).abs() > BELIEVABLE {
            return by_arrival;
        }
        // Neither track may lie later than its packets arrive.
        by_arrival.min(other_by_arrival)
    }

    const fn slot(&mut self, kind: MediaKind) -> &mut Option<Track> {
        match kind {
            MediaKind::Audio => &mut self.audio,
            MediaKind::Video => &mut self.video,
        }
    }

    const fn slot_ref(&self, kind: MediaKind) -> Option<&Track> {
        match kind {
            MediaKind::Audio => self.audio.as_ref(),
            MediaKind::Video => self.video.as_ref(),
        }
    }
}

impl Track {
    fn new(rate: ClockRate, arrival: Timestamp, ticks: i64) -> Self {
        let offset = arrival - Timestamp::ZERO;
        Self {
            rate,
            first_ticks: ticks,
            offset,
            arrivals: EarliestArrivals { age: MediaDuration::ZERO, minima: [Some(offset), None, None] },
            last_arrival: arrival,
            placed: VecDeque::from([(ticks, arrival)]),
            report: None,
        }
    }

    /// Forgets all that was known, so that `ticks` lie at `time`.
    fn place_anew(&mut self, time: Timestamp, ticks: i64) {
        *self = Self { last_arrival: self.last_arrival, ..Self::new(self.rate, time, ticks) };
    }

    fn last(&self) -> (i64, Timestamp) {
        self.placed.back().copied().unwrap_or_default()
    }

    fn remember(&mut self, ticks: i64, time: Timestamp) {
        // Behind a jump the only entry is this one already.
        if self.last().0 != ticks {
            if self.placed.len() == PLACED {
                self.placed.pop_front();
            }
            self.placed.push_back((ticks, time));
        }
    }

    /// The time of ticks that are not the latest: that of the picture they belong to, or between its neighbours'.
    fn between(&self, ticks: i64) -> Timestamp {
        let time = Timestamp::ZERO + self.media_time(ticks) + self.offset;
        let behind = self.placed.partition_point(|(placed, _)| *placed < ticks);
        match self.placed.get(behind) {
            Some((placed, at)) if *placed == ticks => *at,
            Some((_, next)) => {
                let before = behind.checked_sub(1).and_then(|index| self.placed.get(index));
                before.map_or(time, |(_, at)| time.max(*at)).min(*next)
            }
            None => time,
        }
    }

    fn media_time(&self, ticks: i64) -> MediaDuration {
        MediaDuration::from_ticks(ticks.saturating_sub(self.first_ticks), self.rate)
    }
}

impl EarliestArrivals {
    fn add(&mut self, passed: MediaDuration, delay: MediaDuration) {
        self.age += passed.max(MediaDuration::ZERO);
        if self.age >= SECOND {
            self.age = MediaDuration::ZERO;
            self.minima.rotate_right(1);
            self.minima[0] = None;
        }
        let minimum = &mut self.minima[0];
        *minimum = Some(minimum.map_or(delay, |earlier| earlier.min(delay)));
    }

    fn earliest(&self) -> MediaDuration {
        self.minima.iter().flatten().min().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AUDIO: ClockRate = ClockRate::OPUS;
    const VIDEO: ClockRate = ClockRate::VIDEO;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    /// A publisher whose camera needs `video_delay` longer than its microphone, with random starts of its clocks.
    struct Sender {
        audio_start: i64,
        video_start: i64,
        video_delay: i64,
        ntp: NtpTime,
    }

    impl Sender {
        const fn new(video_delay: i64) -> Self {
            Self {
                audio_start: 4_000_000_000,
                video_start: 77,
                video_delay,
                ntp: NtpTime::from_bits(99 << 32),
            }
        }

        /// Sends what was captured from `from` to `to` (ms); gives, for each picture, how far its time on the timeline
        /// lies from that of the sound captured with it.
        fn run(&self, clock: &mut StreamClock, from: i64, to: i64, jitter: impl Fn(i64) -> i64) -> Vec<i64> {
            let mut skews = Vec::new();
            for ms in (from..to).step_by(20) {
                let sound = clock.packet(
                    MediaKind::Audio,
                    AUDIO,
                    at(ms + 10 + jitter(ms)),
                    self.audio_start + ms * 48,
                );
                if ms % 40 == 0 {
                    let arrival = at(ms + 10 + self.video_delay + jitter(ms + 7));
                    let picture = clock.packet(MediaKind::Video, VIDEO, arrival, self.video_start + ms * 90);
                    skews.push((picture - sound).as_millis());
                }
                if ms % 1_000 == 500 {
                    let ntp = self.ntp.plus(MediaDuration::from_millis(ms));
                    clock.report(MediaKind::Audio, ntp, self.audio_start + ms * 48);
                    clock.report(MediaKind::Video, ntp, self.video_start + ms * 90);
                }
            }
            skews
        }
    }

    #[test]
    fn flows_at_once_and_slides_to_the_reports() {
        let mut clock = StreamClock::new();
        let skews = Sender::new(60).run(&mut clock, 0, 20_000, |_| 0);
        assert_eq!(skews[0], 60, "placed by arrival");
        assert_eq!(skews.last(), Some(&0), "placed by the reports");
        let steps = skews.windows(2).map(|pair| (pair[1] - pair[0]).abs()).max();
        assert!(steps <= Some(1), "slid, not cut: {steps:?} ms between pictures");
        assert_eq!(clock.repairs(), Repairs::default());
    }

    #[test]
    fn without_reports_arrival_decides() {
        let mut clock = StreamClock::new();
        let first = clock.packet(MediaKind::Video, VIDEO, at(100), 500);
        assert_eq!(first, at(100));
        assert_eq!(
            clock.packet(MediaKind::Video, VIDEO, at(101), 500),
            first,
            "packets of one picture share their time"
        );
        let late = clock.packet(MediaKind::Video, VIDEO, at(190), 500 + 40 * 90);
        assert_eq!((late - first).as_millis(), 40, "jitter does not move the picture");
    }

    #[test]
    fn a_network_stall_is_no_capture_stall() {
        let (mut clock, sender) = (StreamClock::new(), Sender::new(0));
        sender.run(&mut clock, 0, 5_000, |_| 0);
        // Two seconds wait in the network and arrive at once.
        let skews = sender.run(&mut clock, 5_000, 9_000, |ms| (7_000 - ms).max(0));
        assert!(skews.iter().all(|skew| skew.abs() <= 5), "{skews:?}");
        assert_eq!(clock.repairs(), Repairs::default());
    }

    #[test]
    fn a_capture_stall_moves_the_track_once() {
        let mut clock = StreamClock::new();
        let mut last = at(0);
        for n in 0..500i64 {
            let pause = if n >= 100 { 10_000 } else { 0 };
            last = clock.packet(MediaKind::Audio, AUDIO, at(n * 20 + pause), n * 960);
        }
        assert_eq!(clock.repairs(), Repairs { jumps: 0, stalls: 1 });
        assert!((last - at(499 * 20 + 10_000)).abs() < MediaDuration::from_millis(5), "{last:?}");
    }

    #[test]
    fn repeated_packets_take_the_time_of_their_picture() {
        let mut clock = StreamClock::new();
        clock.packet(MediaKind::Audio, AUDIO, at(0), 0);
        let mut times = Vec::new();
        for n in 0..60i64 {
            // The picture comes ever later, so that its track slides.
            times.push(clock.packet(MediaKind::Video, VIDEO, at(n * 40 + n), n * 3_600));
        }
        for (n, time) in (30..60i64).zip(&times[30..]) {
            assert_eq!(clock.packet(MediaKind::Video, VIDEO, at(2_500), n * 3_600), *time, "picture {n}");
            let between = clock.packet(MediaKind::Video, VIDEO, at(2_500), n * 3_600 - 1);
            assert!(between >= times[n as usize - 1] && between <= *time);
        }
        assert_eq!(clock.repairs(), Repairs::default(), "1.2 s late is late, not a leap");
    }

    #[test]
    fn a_leaping_clock_is_followed() {
        let mut clock = StreamClock::new();
        clock.packet(MediaKind::Audio, AUDIO, at(0), 1_000_000_000);
        for (n, ticks) in [(1, 2_000_000_000), (2, 2_000_000_960), (3, 5), (4, 965)] {
            let time = clock.packet(MediaKind::Audio, AUDIO, at(n * 20), ticks);
            assert_eq!(time, at(n * 20));
        }
        assert_eq!(clock.repairs(), Repairs { jumps: 2, stalls: 0 });
    }

    #[test]
    fn reports_beyond_belief_are_ignored() {
        let (mut clock, sender) = (StreamClock::new(), Sender::new(30));
        for second in 0..20 {
            sender.run(&mut clock, second * 1_000, second * 1_000 + 400, |_| 0);
            clock.report(
                MediaKind::Audio,
                NtpTime::from_bits(u64::MAX / 3),
                sender.audio_start + second * 48_000,
            );
            clock.report(MediaKind::Video, NtpTime::from_bits(5 << 32), sender.video_start + second * 90_000);
            let skews = sender.run(&mut clock, second * 1_000 + 600, second * 1_000 + 1_000, |_| 0);
            assert!(skews.iter().all(|skew| (skew - 30).abs() < 2), "{skews:?}");
        }
    }

    #[test]
    fn two_hours_of_drift_leave_nothing_behind() {
        // The sender's clocks run 100 ppm fast: 720 ms in two hours.
        let mut clock = StreamClock::new();
        let mut behind = MediaDuration::ZERO;
        for n in 0..360_000i64 {
            let arrival = at(n * 20);
            behind = clock.packet(MediaKind::Audio, AUDIO, arrival, n * 960 + n * 960 / 10_000) - arrival;
        }
        assert!(behind.abs() < MediaDuration::from_millis(2), "{behind:?}");
        assert_eq!(clock.repairs(), Repairs::default());
    }

    proptest! {
        #[test]
        fn never_backwards_and_in_step(delay in 0i64..80, seed in any::<u64>(), late in 0i64..5_000) {
            let jitter = |ms: i64| (ms.unsigned_abs().wrapping_mul(seed | 1) >> 40) as i64 % 30;
            let (mut clock, sender) = (StreamClock::new(), Sender::new(delay));
            for ms in (0..late).step_by(20) {
                clock.packet(MediaKind::Audio, AUDIO, at(ms + 10), sender.audio_start + ms * 48);
            }
            let from = late / 40 * 40 + 40;
            let skews = sender.run(&mut clock, from, from + 40_000, jitter);
            prop_assert!(skews[skews.len() / 2..].iter().all(|skew| skew.abs() < 40), "{skews:?}");
        }

        /// Two clocks that drift against each other and against ours, loss, jitter, reordering, reports that come late.
        #[test]
        fn in_step_and_in_order_on_a_bad_line(
            seed in any::<u64>(),
            drift in -100i64..=100,
            loss in 0u64..10,
            report_delay in 0i64..2_000,
            video_delay in 0i64..150,
        ) {
            let mut state = seed | 1;
            let mut random = |below: u64| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state % below
            };
            // Video counts `drift` ppm faster than true, audio as much slower.
            let ticks = |ms: i64, rate: i64, ppm: i64| 4_294_000_000 + ms * rate + ms * rate * ppm / 1_000_000;
            let mut packets = Vec::new();
            for ms in (0..120_000i64).step_by(20) {
                let jitter = random(30) as i64;
                packets.push((ms + 10 + jitter, MediaKind::Audio, ms));
                if ms % 40 == 0 {
                    packets.push((ms + 10 + video_delay + random(40) as i64, MediaKind::Video, ms));
                }
            }
            packets.sort_unstable_by_key(|packet| packet.0);
            packets.retain(|_| random(100) >= loss);
            let mut clock = StreamClock::new();
            let mut placed = [(); 2].map(|()| std::collections::BTreeMap::new());
            let mut next_report = 1_000;
            for (arrival, kind, ms) in packets {
                let (rate, ppm) = if kind == MediaKind::Audio { (AUDIO, -drift) } else { (VIDEO, drift) };
                let count = ticks(ms, i64::from(rate.get()) / 1_000, ppm);
                let time = clock.packet(kind, rate, at(arrival), count);
                prop_assert!(time <= at(arrival + 40), "{time:?} at {arrival} ms");
                placed[kind as usize].insert(ms, time);
                if arrival >= next_report + report_delay {
                    let ntp = NtpTime::from_bits(1 << 60).plus(MediaDuration::from_millis(next_report));
                    clock.report(MediaKind::Audio, ntp, ticks(next_report, 48, -drift));
                    clock.report(MediaKind::Video, ntp, ticks(next_report, 90, drift));
                    next_report += 5_000;
                }
            }
            for track in &placed {
                prop_assert!(track.values().is_sorted(), "never back");
            }
            for (ms, picture) in placed[1].range(60_000..) {
                if let Some(sound) = placed[0].get(ms) {
                    let skew = (*picture - *sound).as_millis();
                    prop_assert!(skew.abs() <= 40, "{skew} ms at {ms}");
                }
            }
            prop_assert_eq!(clock.repairs(), Repairs::default());
        }

        #[test]
        fn any_input_keeps_order(steps in prop::collection::vec((0i64..3_000, -200_000i64..400_000), 1..300)) {
            let (mut clock, mut arrival, mut ticks, mut seen) = (StreamClock::new(), 0, 0, Vec::new());
            for (wait, step) in steps {
                (arrival, ticks) = (arrival + wait, ticks + step);
                let time = clock.packet(MediaKind::Video, VIDEO, at(arrival), ticks);
                if seen.last().is_none_or(|(last, _)| ticks > *last) {
                    seen.push((ticks, time));
                }
            }
            prop_assert!(seen.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{seen:?}");
        }
    }
}
