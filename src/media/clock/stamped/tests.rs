//! The clock against publishers of many kinds: by vectors, by scenes, and at random.

use super::*;
use proptest::prelude::*;

/// A stamp, in decimal or hexadecimal.
fn stamp(text: &str) -> u32 {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).unwrap(),
        None => text.parse().unwrap(),
    }
}

fn millis(time: Timestamp) -> i64 {
    time.since_origin().as_millis()
}

fn sound(clock: &mut StampedClock, stamp: u32, arrival: i64) -> i64 {
    millis(clock.sound(RtmpTime(stamp), MediaDuration::from_millis(arrival)))
}

fn picture(clock: &mut StampedClock, stamp: u32, composition: i64, arrival: i64) -> (i64, i64) {
    let [composition, arrival] = [composition, arrival].map(MediaDuration::from_millis);
    let times = clock.picture(RtmpTime(stamp), composition, arrival);
    (millis(times.dts), millis(times.pts))
}

/// One line of a vector: what is given, and the same with what came of it.
fn frame(clock: &mut StampedClock, line: &str) -> String {
    let given = line.split(" -> ").next().unwrap();
    let [kind, raw, arrival] = given.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    let arrival = arrival.strip_prefix('@').unwrap().parse().unwrap();
    let composition = kind[1..].parse().unwrap_or_default();
    let (dts, pts) = match &kind[..1] {
        "a" => {
            let time = sound(clock, stamp(raw), arrival);
            (time, time)
        }
        _ => picture(clock, stamp(raw), composition, arrival),
    };
    let shown = if pts == dts { String::new() } else { format!(" {pts}") };
    format!("{given} -> {dts}{shown}")
}

fn told(repairs: Repairs) -> String {
    repairs.iter().map(|(kind, count)| format!(" {} {count}", kind.as_str())).collect()
}

#[test]
fn vectors() {
    let text = include_str!("../../../../tests/data/stamps/vectors.txt");
    let cases: Vec<_> = text.split("\n= ").skip(1).collect();
    assert!(cases.len() > 20);
    for case in cases {
        let mut lines = case.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
        let name = lines.next().unwrap();
        let expected = lines.next_if(|line| line.starts_with(':')).unwrap_or(":");
        let mut clock = StampedClock::new();
        let frames: Vec<_> = lines.collect();
        let got: Vec<_> = frames.iter().map(|line| frame(&mut clock, line)).collect();
        assert_eq!(got, frames, "{name}");
        assert_eq!(format!(":{}", told(clock.take_repairs())), expected, "{name}");
    }
}

/// A publisher of 50 packets of sound and 25 pictures a second.
struct Publisher {
    clock: StampedClock,
    /// When the next frames are captured.
    now: i64,
    /// Stamps less time of capture.
    sound: i64,
    picture: i64,
    /// The latest times of sound and picture.
    last: [i64; 2],
    /// The place of pictures beside the sound captured with them, all since the last look.
    skews: Vec<i64>,
}

impl Publisher {
    fn new() -> Self {
        let clock = StampedClock::new();
        Self { clock, now: 0, sound: 7_000, picture: 7_000, last: [i64::MIN; 2], skews: Vec::new() }
    }

    /// Sends for so long; `jitter` is how much longer a frame takes than others.
    fn send(&mut self, ms: i64, mut jitter: impl FnMut() -> i64) {
        let end = self.now + ms;
        let mut arrival = self.now;
        while self.now < end {
            arrival = arrival.max(self.now + jitter());
            let sound = sound(&mut self.clock, (self.now + self.sound) as u32, arrival);
            assert!(sound > self.last[0], "sound {sound} behind {}", self.last[0]);
            self.last[0] = sound;
            if self.now % 40 == 0 {
                arrival = arrival.max(self.now + jitter());
                let stamp = (self.now + self.picture) as u32;
                let (dts, pts) = picture(&mut self.clock, stamp, self.now % 120, arrival);
                assert!(dts > self.last[1] && pts >= dts, "picture {dts}, {pts} behind {}", self.last[1]);
                self.last[1] = dts;
                self.skews.push(dts - sound);
            }
            self.now += 20;
        }
    }

    /// How far picture and sound were apart at most since the last look.
    fn worst(&mut self) -> i64 {
        self.skews.drain(..).map(i64::abs).max().unwrap_or_default()
    }
}

#[test]
fn a_track_whose_capture_stood_still_comes_back_beside_the_other() {
    let mut publisher = Publisher::new();
    publisher.send(5_000, || 0);
    // Five seconds without sound, whose stamps know nothing of them.
    let end = publisher.now + 5_000;
    while publisher.now < end {
        let (stamp, now) = ((publisher.now + publisher.picture) as u32, publisher.now);
        (publisher.last[1], _) = picture(&mut publisher.clock, stamp, 0, now);
        publisher.now += 40;
    }
    publisher.sound -= 5_000;
    publisher.send(5_000, || 0);
    publisher.worst();
    publisher.send(1_000, || 0);
    assert!(publisher.worst() <= 1, "{:?}", publisher.skews);
    assert_eq!(told(publisher.clock.take_repairs()), " apart 1");
}

#[test]
fn tracks_that_come_one_behind_the_other_are_not_apart() {
    let mut clock = StampedClock::new();
    // Two seconds of sound, then the pictures that belong to them, and so on, at the pace of time on the whole.
    for block in 0..20 {
        let from = block * 1_900;
        for at in (from..from + 1_900).step_by(20) {
            assert_eq!(sound(&mut clock, at as u32, from), at);
        }
        for at in (from..from + 1_900).step_by(40) {
            assert_eq!(picture(&mut clock, at as u32, 0, from + 10).0, at);
        }
    }
    assert_eq!(told(clock.take_repairs()), "");
}

#[test]
fn a_file_that_is_sent_faster_than_it_plays_is_left_as_it_is() {
    let mut clock = StampedClock::new();
    for at in (0..600_000).step_by(20) {
        assert_eq!(sound(&mut clock, at as u32, at / 30), at);
        assert_eq!(picture(&mut clock, at as u32, 80, at / 30), (at, at + 80));
    }
    assert_eq!(told(clock.take_repairs()), "");
}

#[test]
fn a_network_that_stood_still_is_no_repair() {
    let mut clock = StampedClock::new();
    for at in (0..60_000).step_by(20) {
        // Nothing for eight seconds; then what waited, twice as fast as it plays.
        let late = if at < 20_000 { 0 } else { (28_000 - at / 2 - 10_000).max(0) };
        assert_eq!(sound(&mut clock, at as u32, at + late), at);
        if at % 40 == 0 {
            assert_eq!(picture(&mut clock, at as u32, 0, at + late).0, at);
        }
    }
    assert_eq!(told(clock.take_repairs()), "");
}

#[test]
fn days_that_wrap_24_and_32_bits_leave_the_tracks_as_they_were() {
    for (mask, counted) in [((1 << 24) - 1, " wrap_24_bit 3"), (u32::MAX as i64, " wrap 3")] {
        let mut clock = StampedClock::new();
        let span = mask + 1;
        // Seconds around each wrap, and one frame in a while between.
        let near = |at: i64| (at + 2_000) % span < 4_000;
        let mut at = 0;
        while at < span * 3 + 4_000 {
            assert_eq!(picture(&mut clock, (at & mask) as u32, 0, at).0, at);
            assert_eq!(sound(&mut clock, ((at + 11) & mask) as u32, at), at + 11);
            at += if near(at + 600) || near(at) { 40 } else { 600 };
        }
        assert_eq!(told(clock.take_repairs()), counted);
    }
}

/// What goes wrong, and for how long it is well before.
#[derive(Clone, Debug)]
enum Trouble {
    Both(i64),
    Sound(i64),
    Picture(i64),
}

fn trouble(sizes: impl Strategy<Value = i64> + Clone) -> impl Strategy<Value = Vec<(i64, Trouble)>> {
    let kind = (0..3, sizes).prop_map(|(kind, by)| match kind {
        0 => Trouble::Both(by),
        1 => Trouble::Sound(by),
        _ => Trouble::Picture(by),
    });
    prop::collection::vec((1i64..100, kind), 1..25)
        .prop_map(|troubles| troubles.into_iter().map(|(well, kind)| (well * 40, kind)).collect())
}

fn random(mut seed: u64) -> impl FnMut() -> i64 {
    move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 40) as i64 % 30
    }
}

fn play(publisher: &mut Publisher, troubles: &[(i64, Trouble)], seed: u64) {
    let mut jitter = random(seed);
    for (well, trouble) in troubles {
        publisher.send(*well, &mut jitter);
        let (sound, picture) = match *trouble {
            Trouble::Both(by) => (by, by),
            Trouble::Sound(by) => (by, 0),
            Trouble::Picture(by) => (0, by),
        };
        publisher.sound += sound;
        publisher.picture += picture;
    }
    publisher.send(2_000, &mut jitter);
}

proptest! {
    /// Jumps that can be told from gaps, of both tracks and of either: picture and sound never come apart.
    #[test]
    fn in_step_through_any_jumps(
        troubles in trouble(prop_oneof![1_400i64..2_000_000_000, -2_000_000_000i64..-700]),
        seed in any::<u64>(),
    ) {
        let mut publisher = Publisher::new();
        publisher.now = 1_000_000;
        play(&mut publisher, &troubles, seed);
        let worst = publisher.worst();
        prop_assert!(worst <= BESIDE + 100, "{worst} ms apart");
    }

    /// Jumps of any size, those that look like gaps among them: what they leave is found, and small in the end.
    #[test]
    fn back_in_step_after_any_jumps(
        troubles in trouble(prop_oneof![-3_000i64..3_000, -2_000_000_000i64..2_000_000_000]),
        seed in any::<u64>(),
    ) {
        let mut publisher = Publisher::new();
        // How the tracks usually come has to be seen first.
        publisher.send(2_500, random(seed));
        play(&mut publisher, &troubles, seed);
        publisher.send(6_000, random(seed));
        publisher.worst();
        publisher.send(1_000, random(seed));
        let worst = publisher.worst();
        prop_assert!(worst <= APART + 200, "{worst} ms apart");
    }

    /// Whatever comes: each track goes forwards, and nothing is shown before it is decoded.
    #[test]
    fn any_input_keeps_order(
        frames in prop::collection::vec((any::<bool>(), any::<u32>(), -20_000i64..20_000, 0i64..3_000), 1..300),
    ) {
        let (mut clock, mut arrival, mut last) = (StampedClock::new(), 0, [i64::MIN; 2]);
        for (is_sound, raw, composition, wait) in frames {
            arrival += wait;
            let (dts, pts) = if is_sound {
                let time = sound(&mut clock, raw, arrival);
                (time, time)
            } else {
                picture(&mut clock, raw, composition, arrival)
            };
            let last = &mut last[usize::from(is_sound)];
            prop_assert!(dts > *last && pts >= dts, "{dts}, {pts} behind {last}");
            *last = dts;
        }
    }
}
