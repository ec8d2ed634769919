//! The clock against senders, lines and stalls of many kinds.

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
        Self { audio_start: 4_000_000_000, video_start: 77, video_delay, ntp: NtpTime::from_bits(99 << 32) }
    }

    /// Sends what was captured from `from` to `to` (ms); gives, for each picture, how far its time on the timeline
    /// lies from that of the sound captured with it.
    fn run(&self, clock: &mut StreamClock, from: i64, to: i64, jitter: impl Fn(i64) -> i64) -> Vec<i64> {
        let mut skews = Vec::new();
        for ms in (from..to).step_by(20) {
            let sound =
                clock.packet(MediaKind::Audio, AUDIO, at(ms + 10 + jitter(ms)), self.audio_start + ms * 48);
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

/// One line of a vector: what is given, and the same with where it lies.
fn placed(clock: &mut StreamClock, line: &str) -> String {
    let given = line.split(" -> ").next().unwrap();
    let [kind, ticks, arrival] = given.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    let (kind, rate) = if kind == "a" { (MediaKind::Audio, AUDIO) } else { (MediaKind::Video, VIDEO) };
    let arrival = at(arrival.strip_prefix('@').unwrap().parse().unwrap());
    let time = clock.packet(kind, rate, arrival, ticks.parse().unwrap());
    format!("{given} -> {}", time.since_origin().as_millis())
}

#[test]
fn vectors() {
    let text = include_str!("../../../tests/data/stamps/rtp.txt");
    let cases: Vec<_> = text.split("\n= ").skip(1).collect();
    assert!(cases.len() >= 8);
    for case in cases {
        let mut lines = case.lines().filter(|line| !line.is_empty()).peekable();
        let name = lines.next().unwrap();
        let expected = lines.next_if(|line| line.starts_with(':')).unwrap_or(":");
        let mut clock = StreamClock::new();
        let packets: Vec<_> = lines.collect();
        let got: Vec<_> = packets.iter().map(|line| placed(&mut clock, line)).collect();
        assert_eq!(got, packets, "{name}");
        let told = clock.take_repairs();
        let told: String = told.iter().map(|(kind, count)| format!(" {} {count}", kind.as_str())).collect();
        assert_eq!(format!(":{told}"), expected, "{name}");
    }
}

#[test]
fn flows_at_once_and_slides_to_the_reports() {
    let mut clock = StreamClock::new();
    let skews = Sender::new(60).run(&mut clock, 0, 20_000, |_| 0);
    assert_eq!(skews[0], 60, "placed by arrival");
    assert_eq!(skews.last(), Some(&0), "placed by the reports");
    // A picture each 40 ms; the first second is for finding one's place.
    let steps = skews[25..].windows(2).map(|pair| (pair[1] - pair[0]).abs()).max();
    assert!(steps <= Some(1), "slid, not cut: {steps:?} ms between pictures");
    assert_eq!(clock.take_repairs(), Repairs::default());
}

#[test]
fn what_was_held_up_at_the_start_finds_its_place_at_once() {
    let mut clock = StreamClock::new();
    // Half a second of sound waits for the connection and comes as fast as it can be sent.
    let times: Vec<_> = (0..100i64)
        .map(|n| clock.packet(MediaKind::Audio, AUDIO, at((500 + n).max(n * 20)), n * 960))
        .collect();
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "each has a time of its own: {times:?}");
    assert_eq!(times[0], at(500), "the first flows at once");
    assert!((times[99] - at(99 * 20)).abs() < MediaDuration::from_millis(2), "{:?}", times[99]);
    assert_eq!(clock.take_repairs(), Repairs::default());
}

#[test]
fn the_picture_slides_to_the_sound_and_not_the_sound_to_the_picture() {
    // The sound takes longer than the picture to be sent, or the other way round: it stays where it is.
    for video_delay in [-60, 60] {
        let (mut clock, sender) = (StreamClock::new(), Sender::new(video_delay));
        let skews = sender.run(&mut clock, 2_000, 30_000, |_| 0);
        assert_eq!((skews[0], skews.last()), (video_delay, Some(&0)));
        let sound = clock.packet(MediaKind::Audio, AUDIO, at(30_010), sender.audio_start + 30_000 * 48);
        assert_eq!(sound, at(30_010));
    }
}

#[test]
fn sound_follows_its_arrival_gently() {
    let mut clock = StreamClock::new();
    let times: Vec<_> = (0..6_000i64)
        .map(|n| {
            // From the fifth second on, a longer way.
            let way = if n < 250 { 0 } else { 30 };
            (n * 20, clock.packet(MediaKind::Audio, AUDIO, at(n * 20 + way), n * 960))
        })
        .collect();
    let fastest = times.windows(2).map(|pair| pair[1].1 - pair[0].1).max().unwrap_or_default();
    // 30 ms would be worn off in 20 s: 1.5 ms in a second, 1.5 samples in a packet.
    assert!(fastest <= MediaDuration::from_ticks(962, AUDIO), "{fastest:?}");
    let (sent, last) = times[5_999];
    assert!((last - at(sent + 30)).abs() < MediaDuration::from_millis(1), "{last:?}");
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
    assert_eq!(clock.take_repairs(), Repairs::default());
}

#[test]
fn a_capture_stall_moves_the_track_once() {
    let mut clock = StreamClock::new();
    let mut last = at(0);
    for n in 0..500i64 {
        let pause = if n >= 100 { 10_000 } else { 0 };
        last = clock.packet(MediaKind::Audio, AUDIO, at(n * 20 + pause), n * 960);
    }
    assert_eq!(clock.take_repairs(), Repairs::from_iter([(Repair::Stall, 1)]));
    assert!((last - at(499 * 20 + 10_000)).abs() < MediaDuration::from_millis(5), "{last:?}");
}

#[test]
fn what_comes_behind_a_capture_stall_is_at_its_place_within_half_a_second() {
    let mut clock = StreamClock::new();
    let lost = (0..500i64).filter(|n| {
        let arrival = at(n * 20 + if *n >= 200 { 8_000 } else { 0 } + n * 7 % 15);
        arrival - clock.packet(MediaKind::Audio, AUDIO, arrival, n * 960) > MediaDuration::from_millis(500)
    });
    assert!(lost.count() <= 21, "packets lie where they were not");
    assert_eq!(clock.take_repairs(), Repairs::from_iter([(Repair::Stall, 1)]));
}

#[test]
fn a_line_that_catches_up_slowly_is_no_capture_stall() {
    let (mut clock, sender) = (StreamClock::new(), Sender::new(0));
    sender.run(&mut clock, 0, 5_000, |_| 0);
    // Nothing for two seconds, and from then on two packets in the time of one.
    let skews = sender.run(&mut clock, 5_000, 15_000, |ms| (2_000 - (ms - 5_000) / 2).max(0));
    assert!(skews.iter().all(|skew| skew.abs() <= 5), "{skews:?}");
    assert_eq!(clock.take_repairs(), Repairs::default());
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
    assert_eq!(clock.take_repairs(), Repairs::default(), "1.2 s late is late, not a leap");
}

#[test]
fn a_leaping_clock_is_followed() {
    let mut clock = StreamClock::new();
    clock.packet(MediaKind::Audio, AUDIO, at(0), 1_000_000_000);
    for (n, ticks) in [(1, 2_000_000_000), (2, 2_000_000_960), (3, 5), (4, 965)] {
        let time = clock.packet(MediaKind::Audio, AUDIO, at(n * 20), ticks);
        assert_eq!(time, at(n * 20));
    }
    assert_eq!(clock.take_repairs(), Repairs::from_iter([(Repair::JumpForward, 1), (Repair::JumpBack, 1)]));
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
    assert_eq!(clock.take_repairs(), Repairs::default());
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
        prop_assert_eq!(clock.take_repairs(), Repairs::default());
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
