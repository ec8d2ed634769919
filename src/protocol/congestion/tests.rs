//! The whole of it on simulated lines, and against a peer that lies.

use super::simulation::{LAYERS, Line, Second, Simulation, start};
use super::{Controller, Filler, Report, Signal, Transport};
use crate::protocol::rtp::twcc::Feedback;
use crate::time::BitRate;
use proptest::prelude::*;
use std::time::Duration;

const NONE: usize = LAYERS.len();

/// Seconds at whose end each layer was sent, the best first; the last is none.
fn layers(seconds: &[Second]) -> [usize; NONE + 1] {
    [0, 1, 2, NONE].map(|layer| seconds.iter().filter(|second| second.layer == layer).count())
}

/// In per cent.
fn sound_lost(seconds: &[Second]) -> f64 {
    let sum = |of: fn(&Second) -> u32| f64::from(seconds.iter().map(of).sum::<u32>());
    100.0 * sum(|second| second.sound_lost) / sum(|second| second.sound_sent)
}

fn sound_delay(seconds: &[Second]) -> Duration {
    seconds.iter().map(|second| second.sound_delay).max().unwrap()
}

fn run(line: Line, seconds: u64) -> Vec<Second> {
    let seconds = Simulation::new(line).run(seconds);
    for (index, second) in seconds.iter().enumerate() {
        let (delay, estimate) =
            (second.sound_delay.as_millis(), second.estimate.map(|rate| rate.to_string()));
        println!("{index}: layer {} sound -{} +{delay} ms, {estimate:?}", second.layer, second.sound_lost);
    }
    seconds
}

#[test]
fn a_wide_line_is_never_estimated() {
    let seconds = run(Line::default(), 60);
    assert_eq!((layers(&seconds), sound_lost(&seconds)), ([60, 0, 0, 0], 0.0));
    assert!(seconds.iter().all(|second| second.estimate.is_none()));
}

#[test]
fn a_narrow_line_gets_the_layer_that_fits() {
    let seconds = run(Line { capacity: vec![(0, 300)], ..Line::default() }, 120);
    assert_eq!(layers(&seconds), [0, 0, 120, 0]);
    // It takes a few hundred milliseconds to find out; then no probe may cost any sound.
    assert!(seconds[0].sound_lost <= 6 && sound_lost(&seconds[1..]) == 0.0);
    assert!(sound_delay(&seconds[1..]) < Duration::from_millis(100), "{:?}", sound_delay(&seconds[1..]));
}

#[test]
fn a_line_too_narrow_for_any_picture_carries_the_sound() {
    let seconds = run(Line { capacity: vec![(0, 100)], ..Line::default() }, 60);
    assert!(layers(&seconds[2..])[NONE] >= 56, "{:?}", layers(&seconds));
    assert!(sound_lost(&seconds[2..]) < 0.5, "{}", sound_lost(&seconds[2..]));
}

#[test]
fn a_line_that_narrows_and_opens_again() {
    let capacity = vec![(0, 3_000), (10_000, 300), (40_000, 3_000)];
    let seconds = run(Line { capacity, ..Line::default() }, 70);
    assert_eq!(layers(&seconds[..10]), [10, 0, 0, 0]);
    assert_eq!(layers(&seconds[10..40]), [0, 0, 30, 0]);
    assert!(seconds[10].sound_lost <= 6 && sound_lost(&seconds[11..]) == 0.0);
    assert_eq!(layers(&seconds[52..]), [18, 0, 0, 0], "at the best within twelve seconds");
}

#[test]
fn a_line_of_middling_width_does_not_flap() {
    let seconds = run(Line { capacity: vec![(0, 900)], ..Line::default() }, 120);
    assert!(layers(&seconds[5..])[1] >= 110, "{:?}", layers(&seconds));
    assert!(sound_lost(&seconds[2..]) < 0.5);
}

#[test]
fn losses_that_are_nobodys_fault_change_nothing() {
    let seconds = run(Line { lost: 20, ..Line::default() }, 120);
    assert_eq!(layers(&seconds), [120, 0, 0, 0]);
}

#[test]
fn jitter_is_no_congestion() {
    for jitter in [5, 20, 40].map(Duration::from_millis) {
        let seconds = run(Line { jitter, ..Line::default() }, 60);
        assert_eq!(layers(&seconds), [60, 0, 0, 0], "{jitter:?}");
    }
    let capacity = vec![(0, 300), (30_000, 3_000)];
    let seconds = run(Line { capacity, jitter: Duration::from_millis(15), ..Line::default() }, 60);
    assert!(layers(&seconds[1..30])[2] >= 27, "{:?}", layers(&seconds));
    assert!(layers(&seconds[45..])[0] >= 14, "{:?}", layers(&seconds));
}

#[test]
fn others_on_the_line_are_given_way_to() {
    let cross = vec![(0, 0), (10_000, 2_200), (30_000, 0)];
    let seconds = run(Line { cross, ..Line::default() }, 60);
    assert!(layers(&seconds[12..30])[1] >= 15, "{:?}", layers(&seconds));
    assert!(sound_lost(&seconds[12..]) < 1.0, "{}", sound_lost(&seconds[12..]));
    assert!(layers(&seconds[45..])[0] >= 14);
}

#[test]
fn lost_feedback_does_no_harm() {
    let capacity = vec![(0, 3_000), (10_000, 300), (30_000, 3_000)];
    let seconds = run(Line { capacity, lost_feedback: 300, ..Line::default() }, 60);
    assert_eq!(layers(&seconds[..10]), [10, 0, 0, 0]);
    assert!(layers(&seconds[11..30])[2] >= 18, "{:?}", layers(&seconds));
    assert!(layers(&seconds[45..])[0] >= 14);
}

#[test]
fn a_line_that_is_cut_gets_no_picture_and_then_one_again() {
    // One kbit/s: nothing gets through.
    let capacity = vec![(0, 3_000), (10_000, 1), (16_000, 3_000)];
    let seconds = run(Line { capacity, ..Line::default() }, 60);
    assert_eq!(seconds[15].layer, NONE);
    assert!(layers(&seconds[45..])[0] >= 14, "{:?}", layers(&seconds));
}

#[test]
fn long_ways_are_probed_slowly() {
    let capacity = vec![(0, 300), (30_000, 3_000)];
    let seconds = run(Line { capacity, delay: Duration::from_millis(150), ..Line::default() }, 60);
    assert!(layers(&seconds[3..30])[2] >= 26, "{:?}", layers(&seconds));
    assert!(sound_lost(&seconds[3..]) < 0.5, "{}", sound_lost(&seconds[3..]));
    assert!(layers(&seconds[47..])[0] >= 12);
}

#[test]
fn receiver_reports_alone_find_the_way_down_and_slowly_up() {
    let mut controller = Controller::new();
    let report = |controller: &mut Controller, second, lost, sent| {
        let sent = BitRate::from_kbps(sent);
        controller.receiver_report(start() + Duration::from_secs(second), lost, sent);
        controller.estimate()
    };
    assert_eq!(report(&mut controller, 1, 0.05, 2_000), None, "some loss is no reason");
    let low = report(&mut controller, 2, 0.85, 2_000).unwrap();
    assert_eq!(low, BitRate::from_kbps(255), "what has arrived, and a little less");
    for second in 3..30 {
        report(&mut controller, second, 0.0, 200);
    }
    let high = controller.estimate().unwrap();
    assert!(high > BitRate::from_kbps(1_000), "{high}");
    assert!(report(&mut controller, 30, f64::NAN, 200).is_some());
}

#[test]
fn padding_brings_media_up_to_the_rate() {
    let mut filler = Filler::default();
    let (rate, mut sent) = (BitRate::from_kbps(800), 0);
    for step in 0..200 {
        let media = if step % 4 == 0 { 2_000 } else { 0 };
        sent += media;
        let padding = filler.due(start() + Duration::from_millis(10 * step), rate, sent);
        sent += padding as u64;
    }
    let bytes = rate.bytes_in(Duration::from_secs(2));
    assert!(sent.abs_diff(bytes) < bytes / 20, "{sent} of {bytes}");
    let late = filler.due(start() + Duration::from_secs(60), rate, sent);
    assert!(late <= 10_000, "a pause is not made up for");
}

#[test]
fn silence_is_noticed_where_something_was_sent() {
    let mut transport = Transport::new();
    let silence = |transport: &mut Transport, ms| transport.take_silence(start() + Duration::from_millis(ms));
    let send = |transport: &mut Transport, from: u64| {
        (from..from + 30).map(|ms| transport.send(start() + Duration::from_millis(ms), 1_000)).last().unwrap()
    };
    assert!(!silence(&mut transport, 60_000), "nothing was sent");
    let first = send(&mut transport, 60_000);
    assert!(!silence(&mut transport, 65_900), "it may be one that gives none");
    assert!(silence(&mut transport, 66_100));
    let feedback = body(first, 1, 1, 0x2001, &[0]);
    assert!(transport.feedback(start(), &Feedback::parse(&feedback).unwrap()).is_some());

    send(&mut transport, 70_000);
    assert!(!silence(&mut transport, 70_900));
    assert!(silence(&mut transport, 71_100));
    assert!(!silence(&mut transport, 80_000), "no more was sent");
    send(&mut transport, 80_000);
    assert!(!silence(&mut transport, 80_400));
    assert!(silence(&mut transport, 80_600), "it goes on");
}

#[test]
fn a_picture_without_sound_comes_back() {
    let capacity = vec![(0, 3_000), (10_000, 100), (40_000, 3_000)];
    let seconds = run(Line { capacity, is_soundless: true, ..Line::default() }, 70);
    assert!(layers(&seconds[20..40])[NONE] >= 15, "{:?}", layers(&seconds[20..40]));
    assert_eq!(layers(&seconds[55..]), [15, 0, 0, 0]);
    // The same where nothing gets through at all.
    let capacity = vec![(0, 3_000), (10_000, 1), (20_000, 3_000)];
    let seconds = run(Line { capacity, is_soundless: true, ..Line::default() }, 60);
    assert_eq!(seconds[18].layer, NONE);
    assert_eq!(layers(&seconds[40..]), [20, 0, 0, 0]);
}

/// A wide line whose numbers are left out while all is calm, which changes after half a minute and so many milliseconds.
fn spared(kbps: u64, phase: u64, line: Line) -> Vec<Second> {
    let capacity = vec![(0, 3_000), (30_000 + phase, kbps), (60_000, 3_000)];
    let seconds = run(Line { capacity, is_spared: true, ..line }, 90);
    assert_eq!(layers(&seconds[..30]), [30, 0, 0, 0]);
    seconds
}

#[test]
fn a_calm_line_is_glanced_at_and_no_more() {
    let seconds = run(Line { is_spared: true, ..Line::default() }, 60);
    assert_eq!((layers(&seconds), sound_lost(&seconds)), ([60, 0, 0, 0], 0.0));
    assert!(seconds.iter().all(|second| second.estimate.is_none()));
    assert!(seconds[..10].iter().all(|second| second.numbered == second.packets && second.feedbacks >= 9));
    for (index, second) in seconds.iter().enumerate().skip(11) {
        assert!(second.numbered * 10 < second.packets && second.feedbacks <= 2, "{index}: {second:?}");
    }
}

#[test]
fn a_calm_line_that_narrows_is_on_the_small_layer_within_a_second() {
    // Glances come each half second.
    for phase in [0, 100, 200, 300, 400] {
        let seconds = spared(300, phase, Line::default());
        assert_eq!(layers(&seconds[31..60]), [0, 0, 29, 0], "{phase}");
        assert!(phase > 0 || seconds[30].layer == 2);
        let lost = seconds[30].sound_lost + seconds[31].sound_lost;
        assert!(lost <= 6 && sound_lost(&seconds[32..60]) == 0.0, "{phase}: {lost}");
        assert_eq!(layers(&seconds[72..]), [18, 0, 0, 0], "{phase}");
        assert!(seconds[72..].iter().all(|second| second.numbered == second.packets), "it has shown a bound");
    }
}

#[test]
fn where_nothing_is_asked_for_again_glances_tell() {
    let seconds = spared(300, 0, Line { is_unasked: true, ..Line::default() });
    assert_eq!(layers(&seconds[32..60])[2], 28, "within two seconds: {:?}", layers(&seconds[30..60]));
    assert!(sound_lost(&seconds[32..60]) == 0.0);
}

#[test]
fn a_long_queue_is_seen_before_it_loses_anything() {
    // At 300 kbit/s a second of queue is full soon, and hides for as long what is at its end, so this takes three seconds;
    // at 1,500 kbit/s it would take several to fill.
    for phase in [0, 100, 200, 300, 400] {
        for (kbps, layer) in [(300, 2), (1_500, 1)] {
            let seconds = spared(kbps, phase, Line { queue: Duration::from_secs(1), ..Line::default() });
            assert_eq!(layers(&seconds[32..50])[layer], 18, "{kbps} {phase}: {:?}", layers(&seconds[30..60]));
            assert!(sound_lost(&seconds[33..60]) == 0.0, "{kbps} {phase}");
        }
    }
}

#[test]
fn a_calm_line_that_is_cut_or_loses_its_feedback_is_noticed() {
    let seconds = spared(1, 0, Line::default());
    assert_eq!(seconds[32].layer, NONE);
    assert!(layers(&seconds[75..])[0] >= 14, "{:?}", layers(&seconds));
    let lost_feedback = 300;
    let seconds = spared(300, 0, Line { lost_feedback, ..Line::default() });
    assert!(layers(&seconds[32..60])[2] >= 27, "{:?}", layers(&seconds));
}

#[test]
fn jitter_and_stray_losses_of_a_calm_line_change_nothing() {
    for (jitter, lost) in [(20, 0), (40, 0), (0, 20), (15, 5)] {
        let jitter = Duration::from_millis(jitter);
        let seconds = run(Line { jitter, lost, is_spared: true, ..Line::default() }, 120);
        assert_eq!(layers(&seconds), [120, 0, 0, 0], "{jitter:?} {lost}");
        assert!(seconds.iter().all(|second| second.estimate.is_none()), "{jitter:?} {lost}");
    }
}

#[test]
fn what_arrives_is_counted_anew_once_everything_is_numbered_again() {
    let mut transport = Transport::new();
    let at = |ms: u64| start() + Duration::from_millis(ms);
    let tell = |transport: &mut Transport, ms: u64, count: u16| {
        let numbers: Vec<_> = (0..count).map(|_| transport.send(at(ms), 1_000)).collect();
        let body = body(numbers[0], count, (ms / 64) as u32, 0x2000 | count, &vec![0; count.into()]);
        transport.feedback(at(ms + 20), &Feedback::parse(&body).unwrap()).unwrap().throughput
    };
    assert!(transport.numbers(at(0), true), "nothing is heard yet");
    for glance in 0..20 {
        let ms = glance * 512;
        assert!(transport.numbers(at(ms), true));
        let throughput = tell(&mut transport, ms, 2);
        assert_eq!(throughput.filter(|_| glance > 0), None);
        assert!(!transport.numbers(at(ms + 10), true) && !transport.take_missed(at(ms + 511)));
    }
    let unheard = transport.send(at(10_048), 1_000);
    assert!(transport.take_missed(at(10_400)));
    assert!(transport.numbers(at(10_432), false));
    // 8,000 bits each 64 ms; what is heard of those before does not make it less or more.
    let mut last = None;
    for step in 0..8 {
        last = tell(&mut transport, 10_432 + 64 * step, 1);
        if step == 2 {
            let body = body(unheard, 1, 157, 0x2001, &[0]);
            transport.feedback(at(10_600), &Feedback::parse(&body).unwrap()).unwrap();
        }
    }
    let rate = last.unwrap();
    assert!(rate > BitRate::from_kbps(100) && rate < BitRate::from_kbps(150), "{rate}");
}

/// A feedback with one chunk and as many deltas as it needs.
fn body(base: u16, count: u16, reference: u32, chunk: u16, deltas: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = reference.to_be_bytes();
    [&base.to_be_bytes()[..], &count.to_be_bytes(), &[a, b, c, 0], &chunk.to_be_bytes(), deltas].concat()
}

#[test]
fn no_more_feedback_is_read_than_was_sent_for() {
    let mut transport = Transport::new();
    let feed = |transport: &mut Transport, base, count| {
        let body = body(base, count, 1, 0x2000 | count, &vec![0; count.into()]);
        transport.feedback(start(), &Feedback::parse(&body).unwrap()).is_some()
    };
    let first = transport.send(start(), 100);
    for _ in 0..4 {
        assert!(!feed(&mut transport, 30_000, 2_048), "nothing that was sent");
    }
    assert!(!feed(&mut transport, first, 1), "there was enough of it");
    transport.send(start(), 100);
    assert!(feed(&mut transport, first, 1));
    // What an honest peer says is always read: each packet twenty times over would be too much, ten times is not.
    for _ in 0..5_000 {
        let number = transport.send(start(), 100);
        assert!(feed(&mut transport, number.wrapping_sub(9), 10));
    }
}

proptest! {
    /// Whatever a peer says of its arrivals: the estimate stays a number within bounds, and the memory small.
    #[test]
    fn lies_are_survived(lies in prop::collection::vec(
        (any::<u16>(), 0u16..300, any::<u32>(), any::<u16>(), prop::collection::vec(any::<u8>(), 0..600), 0u64..3_000, 0usize..40),
        1..60,
    )) {
        let (mut transport, mut controller) = (Transport::new(), Controller::new());
        controller.set_aim(Some(BitRate::from_bps(u64::MAX)));
        let mut now = start();
        let mut next = 0u16;
        for (base, count, reference, chunk, deltas, pause, sent) in lies {
            now += Duration::from_millis(pause);
            for _ in 0..sent {
                next = transport.send(now, usize::from(base));
            }
            // Half of them speak of what was sent.
            let base = if base % 2 == 0 { base } else { next.wrapping_sub(base % 64) };
            if let Ok(feedback) = Feedback::parse(&body(base, count, reference, chunk, &deltas))
                && let Some(report) = transport.feedback(now, &feedback)
            {
                prop_assert!(report.arrived <= u32::from(count) && report.lost.unsigned_abs() <= u32::from(count));
                controller.report(now, &report, report.throughput.unwrap_or_default());
            }
            controller.probe(now);
            if transport.take_silence(now) {
                controller.silent(now);
            }
            prop_assert!(transport.remembered() <= 2_048);
            prop_assert!(controller.estimate().is_none_or(|estimate| estimate >= BitRate::from_kbps(20)));
        }
    }

    /// Reports of any content leave an estimate that is one.
    #[test]
    fn any_reports_leave_an_estimate(reports in prop::collection::vec(
        (any::<u32>(), any::<i32>(), any::<u64>(), any::<u64>(), 0u8..3, 0u64..5_000), 1..100,
    )) {
        let mut controller = Controller::new();
        controller.set_aim(Some(BitRate::from_kbps(5_000)));
        let mut now = start();
        for (arrived, lost, throughput, queue, signal, pause) in reports {
            now += Duration::from_millis(pause);
            let signal = [Signal::Normal, Signal::Over, Signal::Under][usize::from(signal)];
            let time = Some(Duration::from_micros(queue));
            let throughput = BitRate::from_bps(throughput);
            let report = Report { arrived, lost, throughput: Some(throughput), signal, queue: time, round_trip: time };
            controller.report(now, &report, throughput);
            if let Some(rate) = controller.probe(now) {
                prop_assert!(rate <= BitRate::from_kbps(5_000));
            }
            prop_assert!(controller.estimate().is_none_or(|estimate| estimate >= BitRate::from_kbps(20)));
        }
    }
}
