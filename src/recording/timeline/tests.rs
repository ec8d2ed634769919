//! What stands where.

use super::*;
use proptest::prelude::*;

const RATE: ClockRate = ClockRate::OPUS;
const STEP: MediaDuration = MediaDuration::from_millis(40);

#[derive(Debug)]
struct Black;

impl BlackPictures for Black {
    fn key(&self, _: u64) -> Bytes {
        Bytes::from_static(b"BLACK")
    }

    fn repeat(&self, _: u64) -> Bytes {
        Bytes::from_static(b"black")
    }
}

/// Black under parameters of its own, once an encoder has made it.
#[derive(Debug)]
struct Coded(bool);

impl BlackPictures for Coded {
    fn key(&self, _: u64) -> Bytes {
        Bytes::from_static(b"black")
    }

    fn repeat(&self, _: u64) -> Bytes {
        Bytes::from_static(b"black")
    }

    fn is_ready(&self) -> bool {
        self.0
    }

    fn sets_behind(&self) -> Option<Bytes> {
        Some(Bytes::from_static(b"sets"))
    }
}

const fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

const fn ms(span: MediaDuration) -> i64 {
    span.as_millis()
}

/// A file of both; packets of sound have 20 ms, pictures 40 ms.
fn timeline(align: Alignment, zero: i64) -> Timeline {
    let silence = Silence { packet: Bytes::from_static(b"silence"), ticks: 960 };
    let mut timeline = Timeline::new(align, at(zero), Timestamp::ZERO, Some((RATE, Some(silence))), true);
    timeline.set_black(Some(Arc::new(Black)), STEP, Bytes::new());
    timeline
}

/// Plays both from one time to another.
fn play(timeline: &mut Timeline, from: i64, to: i64) {
    for now in (from..to).step_by(20) {
        timeline.audio(at(now), Bytes::from_static(b"sound"), MediaDuration::from_millis(20));
        if (now - from) % 40 == 0 {
            timeline.video(at(now), at(now), now == from, Bytes::from_static(b"picture"));
        }
    }
}

fn of(samples: &[Sample], kind: MediaKind) -> Vec<&Sample> {
    samples.iter().filter(|sample| sample.kind == kind).collect()
}

/// Runs of the same payload: what, from, to.
fn runs(samples: &[Sample], kind: MediaKind) -> Vec<(String, i64, i64)> {
    let mut runs: Vec<(String, i64, i64)> = Vec::new();
    for sample in of(samples, kind) {
        let what = String::from_utf8_lossy(&sample.payload).to_lowercase();
        let (from, to) = (ms(sample.dts.since_origin()), ms((sample.dts + sample.duration).since_origin()));
        match runs.last_mut() {
            Some((last, _, end)) if *last == what && *end == from => *end = to,
            _ => runs.push((what, from, to)),
        }
    }
    runs
}

fn run(what: &str, from: i64, to: i64) -> (String, i64, i64) {
    (what.to_owned(), from, to)
}

fn gaps(timeline: &Timeline) -> Vec<(Track, i64, i64, Cause, bool)> {
    let gap = |gap: &Gap| {
        (gap.track, (gap.start * 1e3).round() as i64, (gap.end * 1e3).round() as i64, gap.cause, gap.filled)
    };
    timeline.gaps().iter().map(gap).collect()
}

#[test]
fn a_late_comer_begins_in_black_and_silence() {
    let mut timeline = timeline(Alignment::LeadIn, 0);
    play(&mut timeline, 45_000, 46_000);
    timeline.finish(Some(at(50_000)));
    let samples = timeline.take(usize::MAX);
    assert_eq!(
        runs(&samples, MediaKind::Video),
        [run("black", 0, 45_000), run("picture", 45_000, 46_000)],
        "nothing is added at the end"
    );
    assert_eq!(runs(&samples, MediaKind::Audio), [run("silence", 0, 45_000), run("sound", 45_000, 46_000)]);
    let black = of(&samples, MediaKind::Video);
    assert!(black[0].keyframe && black[0].payload[..] == *b"BLACK" && !black[1].keyframe);
    let keys = black.iter().filter(|sample| sample.keyframe && sample.payload[..] == *b"BLACK").count();
    assert_eq!(keys, 23, "every two seconds");
    let expected =
        [(Track::Audio, 0, 45_000, Cause::LeadIn, true), (Track::Video, 0, 45_000, Cause::LeadIn, true)];
    assert_eq!(gaps(&timeline), expected);
}

#[test]
fn a_picture_that_comes_a_moment_later_begins_the_file() {
    let mut timeline = timeline(Alignment::LeadIn, 0);
    play(&mut timeline, 15, 1_015);
    timeline.finish(None);
    let samples = timeline.take(usize::MAX);
    let first = of(&samples, MediaKind::Video)[0];
    assert_eq!((first.dts, first.pts), (Timestamp::ZERO, at(15)), "shown when it should be");
    assert_eq!(runs(&samples, MediaKind::Video), [run("picture", 0, 1_015)]);
    assert!(gaps(&timeline).iter().all(|gap| gap.0 != Track::Video), "{:?}", gaps(&timeline));
}

#[test]
fn the_first_sound_lies_where_it_belongs_however_near_to_zero() {
    for first in [-45, -10, 0, 10, 45, 75] {
        let mut timeline = timeline(Alignment::LeadIn, 0);
        play(&mut timeline, first, first + 1_000);
        timeline.finish(None);
        let samples = timeline.take(usize::MAX);
        let sound = of(&samples, MediaKind::Audio);
        let last = sound.last().map(|sample| ms(sample.pts.since_origin()));
        let away = last.unwrap_or_default() - (first + 980);
        assert!(away.abs() <= 10, "{first}: {away} ms away");
    }
}

#[test]
fn a_file_ends_where_its_last_sample_does() {
    let mut timeline = timeline(Alignment::Off, 0);
    play(&mut timeline, 0, 1_000);
    timeline.video(at(1_500), at(1_500), false, Bytes::from_static(b"picture"));
    timeline.finish(None);
    assert_eq!(timeline.end(), Some(at(1_540)));
}

#[test]
fn who_never_comes_again_leaves_a_tail() {
    let mut timeline = timeline(Alignment::Full, 0);
    play(&mut timeline, 0, 2_000);
    timeline.absent(Cause::Reconnect);
    timeline.advance(at(7_000));
    play(&mut timeline, 8_000, 9_000);
    timeline.absent(Cause::Reconnect);
    timeline.advance(at(14_000));
    timeline.finish(Some(at(15_000)));
    let gap = |track, from, to, cause| (track, from, to, cause, true);
    let mut told = gaps(&timeline);
    told.sort_by_key(|gap| (gap.0 == Track::Video, gap.1));
    let expected = [Track::Audio, Track::Video]
        .map(|track| [gap(track, 2_000, 8_000, Cause::Reconnect), gap(track, 9_000, 15_000, Cause::Tail)]);
    assert_eq!(told, expected.concat());
}

#[test]
fn without_alignment_a_file_begins_where_its_stream_does() {
    let mut timeline = timeline(Alignment::Off, 45_000);
    play(&mut timeline, 45_000, 46_000);
    play(&mut timeline, 52_000, 53_000);
    assert_eq!(timeline.end(), Some(at(53_000)));
    timeline.finish(Some(at(60_000)));
    let samples = timeline.take(usize::MAX);
    // The last before the gap last until its end.
    assert_eq!(runs(&samples, MediaKind::Video), [run("picture", 0, 8_000)]);
    assert_eq!(runs(&samples, MediaKind::Audio), [run("sound", 0, 8_000)]);
    assert_eq!(
        gaps(&timeline),
        [
            (Track::Audio, 46_000, 52_000, Cause::Stall, false),
            (Track::Video, 46_000, 52_000, Cause::Stall, false)
        ]
    );
}

#[test]
fn gaps_and_the_end_are_filled() {
    let mut timeline = timeline(Alignment::Full, 0);
    play(&mut timeline, 0, 1_000);
    timeline.absent(Cause::Reconnect);
    for now in (1_000..9_000).step_by(500) {
        timeline.advance(at(now));
    }
    // It comes again with what it has sent a moment ago.
    play(&mut timeline, 8_520, 10_000);
    timeline.finish(Some(at(20_000)));
    let samples = timeline.take(usize::MAX);
    assert_eq!(
        runs(&samples, MediaKind::Video),
        [
            run("picture", 0, 1_000),
            run("black", 1_000, 8_520),
            run("picture", 8_520, 10_000),
            run("black", 10_000, 20_000)
        ]
    );
    assert_eq!(
        runs(&samples, MediaKind::Audio),
        [
            run("sound", 0, 1_000),
            run("silence", 1_000, 8_520),
            run("sound", 8_520, 10_000),
            run("silence", 10_000, 20_000)
        ]
    );
    let expected = [
        (Track::Audio, 1_000, 8_520, Cause::Reconnect, true),
        (Track::Video, 1_000, 8_520, Cause::Reconnect, true),
        (Track::Audio, 10_000, 20_000, Cause::Tail, true),
        (Track::Video, 10_000, 20_000, Cause::Tail, true),
    ];
    let mut gaps = gaps(&timeline);
    gaps.sort_by_key(|gap| gap.1);
    assert_eq!(gaps, expected);
}

#[test]
fn a_picture_that_needs_those_before_stays_through_a_gap() {
    let mut timeline = timeline(Alignment::Full, 0);
    play(&mut timeline, 0, 1_000);
    for now in (1_000..9_000).step_by(100) {
        timeline.advance(at(now));
    }
    timeline.video(at(9_000), at(9_000), false, Bytes::from_static(b"picture"));
    timeline.finish(None);
    let samples = timeline.take(usize::MAX);
    assert_eq!(runs(&samples, MediaKind::Video), [run("picture", 0, 9_040)]);
    assert_eq!(
        gaps(&timeline).last(),
        Some(&(Track::Video, 1_000, 9_000, Cause::Stall, false)),
        "it is told all the same"
    );
}

#[test]
fn what_a_slow_network_delivers_late_has_its_place() {
    let mut timeline = timeline(Alignment::Full, 0);
    timeline.set_lossless(true);
    play(&mut timeline, 0, 1_000);
    for now in (1_000..9_000).step_by(100) {
        timeline.advance(at(now));
    }
    play(&mut timeline, 1_000, 10_000);
    timeline.finish(Some(at(10_000)));
    assert_eq!(timeline.left_out(), 0);
    let samples = timeline.take(usize::MAX);
    assert_eq!(runs(&samples, MediaKind::Audio), [run("sound", 0, 10_000)]);
    assert_eq!(gaps(&timeline), []);
}

#[test]
fn a_mute_is_told_as_one_however_it_ends() {
    for align in [Alignment::Off, Alignment::Full] {
        let mut timeline = timeline(align, 0);
        play(&mut timeline, 0, 1_000);
        timeline.mute(MediaKind::Audio, true);
        for now in (1_000..5_000).step_by(100) {
            timeline.advance(at(now));
        }
        timeline.mute(MediaKind::Audio, false);
        // What was kept back meanwhile.
        timeline.torn(MediaKind::Audio, Cause::Loss);
        timeline.audio(at(5_000), Bytes::from_static(b"sound"), MediaDuration::from_millis(20));
        timeline.torn(MediaKind::Audio, Cause::Loss);
        timeline.audio(at(5_100), Bytes::from_static(b"sound"), MediaDuration::from_millis(20));
        let filled = align == Alignment::Full;
        let expected = [
            (Track::Audio, 1_000, 5_000, Cause::Mute, filled),
            (Track::Audio, 5_020, 5_100, Cause::Loss, filled),
        ];
        assert_eq!(gaps(&timeline), expected, "{align:?}");
    }
}

#[test]
fn what_cannot_be_filled_is_not_told_as_filled() {
    let mut timeline = Timeline::new(Alignment::Full, at(0), Timestamp::ZERO, Some((RATE, None)), true);
    play(&mut timeline, 0, 1_000);
    timeline.absent(Cause::Reconnect);
    timeline.advance(at(4_000));
    play(&mut timeline, 5_000, 6_000);
    timeline.finish(Some(at(9_000)));
    let told = gaps(&timeline);
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told.iter().all(|gap| !gap.4), "{told:?}");
    let causes = |cause| told.iter().filter(|gap| gap.3 == cause).count();
    assert_eq!((causes(Cause::Reconnect), causes(Cause::Tail)), (2, 2), "{told:?}");
}

#[test]
fn after_a_loss_the_next_is_a_key_picture() {
    let mut timeline = timeline(Alignment::Full, 0);
    play(&mut timeline, 0, 1_000);
    timeline.torn(MediaKind::Video, Cause::Loss);
    for now in [1_000, 1_040, 1_080] {
        timeline.video(at(now), at(now), now == 1_080, Bytes::from_static(b"picture"));
    }
    timeline.finish(None);
    assert_eq!(timeline.left_out(), 2);
    assert_eq!(
        runs(&timeline.take(usize::MAX), MediaKind::Video),
        [run("picture", 0, 1_000), run("black", 1_000, 1_080), run("picture", 1_080, 1_120)]
    );
    assert_eq!(gaps(&timeline), [(Track::Video, 1_000, 1_080, Cause::Loss, true)]);
}

#[test]
fn pictures_out_of_order_keep_their_times() {
    let mut timeline = timeline(Alignment::LeadIn, 0);
    for (dts, pts) in [(1_000, 1_080), (1_040, 1_200), (1_080, 1_120), (1_120, 1_160)] {
        timeline.video(at(dts), at(pts), dts == 1_000, Bytes::from_static(b"picture"));
    }
    timeline.torn(MediaKind::Video, Cause::Reconnect);
    timeline.finish(None);
    let samples = timeline.take(usize::MAX);
    let shown: Vec<_> = of(&samples, MediaKind::Video)
        .iter()
        .filter(|sample| sample.payload[..] == *b"picture")
        .map(|sample| (ms(sample.dts.since_origin()), ms(sample.pts.since_origin()), ms(sample.duration)))
        .collect();
    assert_eq!(shown, [(1_000, 1_080, 40), (1_040, 1_200, 40), (1_080, 1_120, 40), (1_120, 1_160, 120)]);
}

#[test]
fn stamps_that_jitter_do_not_move_the_sound_and_those_that_stay_away_pull_it() {
    let mut timeline = timeline(Alignment::Off, 0);
    let push = |timeline: &mut Timeline, ms: i64| {
        timeline.audio(at(ms), Bytes::from_static(b"sound"), MediaDuration::from_millis(20));
    };
    for index in 0..500 {
        push(&mut timeline, index * 20 + [0, 7, -6, 3, -4][index as usize % 5]);
    }
    let samples = timeline.take(usize::MAX);
    assert!(samples.iter().all(|sample| sample.duration == MediaDuration::from_millis(20)));
    // 30 ms later from now on.
    for index in 500..3_500 {
        push(&mut timeline, index * 20 + 30);
    }
    let end = timeline.end().unwrap();
    let away = ms(at(70_030) - end);
    assert!((0..=3).contains(&away), "{away} ms");
    let longest = timeline.take(usize::MAX).iter().map(|sample| sample.duration.to_ticks(RATE)).max();
    assert_eq!(longest, Some(961), "a sample a packet");
}

#[test]
fn sound_that_is_there_twice_is_left_out() {
    let mut timeline = timeline(Alignment::Full, 0);
    play(&mut timeline, 0, 2_000);
    for now in (500..2_500).step_by(20) {
        timeline.audio(at(now), Bytes::from_static(b"again"), MediaDuration::from_millis(20));
    }
    timeline.finish(None);
    let runs = runs(&timeline.take(usize::MAX), MediaKind::Audio);
    assert_eq!((runs[0].clone(), runs.last().map(|run| run.2)), (run("sound", 0, 2_000), Some(2_500)));
}

#[test]
fn what_was_muted_is_told_so_when_it_comes_again() {
    let mut timeline = timeline(Alignment::LeadIn, 0);
    play(&mut timeline, 0, 1_000);
    timeline.mute(MediaKind::Video, true);
    timeline.mute(MediaKind::Video, false); // is told before the picture has come
    play(&mut timeline, 21_000, 22_000);
    play(&mut timeline, 32_000, 33_000);
    let told: Vec<_> = gaps(&timeline).into_iter().filter(|gap| gap.0 == Track::Video).collect();
    let gap = |from, to, cause| (Track::Video, from, to, cause, false);
    assert_eq!(told, [gap(1_000, 21_000, Cause::Mute), gap(22_000, 32_000, Cause::Stall)]);
}

#[test]
fn hours_of_black_and_silence_are_made_in_pieces() {
    const HOURS: i64 = 12 * 3_600_000;
    let mut timeline = timeline(Alignment::LeadIn, 0);
    play(&mut timeline, HOURS, HOURS + 1_000);
    timeline.finish(None);
    assert!(timeline.rows().map(Row::pieces).sum::<usize>() < 100, "what fills is not there yet");
    assert!(timeline.waiting() < 1_000, "{} bytes", timeline.waiting());
    let (mut ends, mut counts, mut keys) = ([Timestamp::ZERO; 2], [0_i64; 2], 0);
    while timeline.has_samples() {
        let samples = timeline.take(2_048);
        assert!(samples.len() <= 2_048);
        for sample in samples {
            let end = &mut ends[sample.kind as usize];
            assert_eq!(sample.dts, *end, "one behind the other");
            *end = sample.dts + sample.duration;
            counts[sample.kind as usize] += 1;
            keys += i64::from(sample.kind == MediaKind::Video && sample.keyframe);
        }
        // Each piece has both: a player reads the file from its beginning.
        assert!((ends[0] - ends[1]).abs() <= STEP, "{ends:?}");
    }
    assert_eq!(ends, [at(HOURS + 1_000); 2]);
    assert_eq!(counts, [(HOURS + 1_000) / 20, (HOURS + 1_000) / 40]);
    assert_eq!(keys, HOURS / 2_000 + 1);
}

proptest! {
    /// However it is cut into pieces, a fill is the same.
    #[test]
    fn pieces_are_the_whole(most in 1_usize..50, pause in 0_i64..20_000) {
        let made = |most: usize| {
            let mut timeline = timeline(Alignment::Full, 0);
            play(&mut timeline, 0, 500);
            timeline.absent(Cause::Reconnect);
            timeline.advance(at(500 + pause / 2));
            play(&mut timeline, 500 + pause, 1_500 + pause);
            timeline.finish(Some(at(4_000 + pause)));
            let mut samples = Vec::new();
            while timeline.has_samples() {
                samples.extend(timeline.take(most));
            }
            samples
        };
        let describe = |sample: &Sample| {
            (sample.kind, sample.dts, sample.duration, sample.keyframe, sample.payload.clone())
        };
        let (pieces, whole) = (made(most), made(usize::MAX));
        prop_assert_eq!(
            pieces.iter().map(describe).collect::<Vec<_>>(),
            whole.iter().map(describe).collect::<Vec<_>>()
        );
    }

    /// Whatever comes, samples follow each other without overlap, and a filled file ends where it should.
    #[test]
    fn files_are_whole(
        parts in prop::collection::vec((0i64..20_000, 100i64..3_000, any::<bool>()), 1..6),
        tail in 0i64..5_000,
    ) {
        let mut timeline = timeline(Alignment::Full, 0);
        let mut now = 0;
        for (pause, length, told) in parts {
            if told {
                timeline.absent(Cause::Reconnect);
            }
            for step in (now..now + pause).step_by(250) {
                timeline.advance(at(step));
            }
            play(&mut timeline, now + pause, now + pause + length);
            now += pause + length;
        }
        timeline.finish(Some(at(now + tail)));
        let samples = timeline.take(usize::MAX);
        for kind in [MediaKind::Audio, MediaKind::Video] {
            let samples = of(&samples, kind);
            prop_assert_eq!(samples[0].dts, Timestamp::ZERO);
            for pair in samples.windows(2) {
                prop_assert_eq!(pair[0].dts + pair[0].duration, pair[1].dts);
                prop_assert!(pair[0].duration > MediaDuration::ZERO);
            }
            let last = samples[samples.len() - 1];
            let end = last.dts + last.duration;
            let away = ms(end - at(now + tail)).abs();
            prop_assert!(away <= 40, "{:?} ends {} ms off", kind, away);
            // Those who count samples alone are never off by more than half a packet, and what pulled.
            if kind == MediaKind::Audio {
                let counted = samples.len() as i64 * 20;
                let truth = ms(end.since_origin());
                prop_assert!((counted - truth).abs() <= 10 * 12 + 20, "{} for {}", counted, truth);
            }
        }
    }
}

#[test]
fn black_under_its_own_parameters_is_followed_by_the_streams() {
    let mut timeline = timeline(Alignment::LeadIn, 0);
    timeline.set_black(Some(Arc::new(Coded(true))), STEP, Bytes::new());
    play(&mut timeline, 400, 600);
    timeline.video(at(600), at(600), true, Bytes::from_static(b"picture"));
    timeline.finish(None);
    let samples = timeline.take(usize::MAX);
    let keys: Vec<_> = of(&samples, MediaKind::Video).into_iter().filter(|sample| sample.keyframe).collect();
    let (black, live): (Vec<_>, Vec<_>) = keys.into_iter().partition(|sample| sample.payload == "black");
    assert_eq!((black.len(), live.len()), (10, 2), "each black one is a key picture");
    assert!(black.iter().all(|sample| sample.prefix.is_empty()));
    assert!(live.iter().all(|sample| sample.prefix == "sets"));
}

#[test]
fn where_no_black_has_been_made_the_picture_begins_late() {
    let mut timeline = timeline(Alignment::LeadIn, 0);
    timeline.set_black(Some(Arc::new(Coded(false))), STEP, Bytes::new());
    play(&mut timeline, 400, 600);
    timeline.finish(None);
    let samples = timeline.take(usize::MAX);
    assert_eq!(runs(&samples, MediaKind::Video), [("picture".to_owned(), 400, 600)]);
    assert!(of(&samples, MediaKind::Video).iter().all(|sample| sample.prefix.is_empty()));
    let gap = timeline.gaps().iter().find(|gap| gap.track == Track::Video).expect("it is told");
    assert_eq!((gap.start, gap.end, gap.filled), (0.0, 0.4, false));
}
