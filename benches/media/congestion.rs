//! What it costs a viewer to be steered: a second of 720p30 at 2 Mbit/s with sound, 260 packets in 80 bursts, and the
//! feedback of every 50 ms.

use commonroom::protocol::congestion::{Controller, Transport};
use commonroom::protocol::rtcp::{Packet, packets};
use commonroom::protocol::rtp::Ssrc;
use commonroom::protocol::rtp::twcc::Recorder;
use divan::{Bencher, black_box};
use std::time::{Duration, Instant};

/// Milliseconds at which packets of the picture and of the sound leave, and how many at once.
fn second() -> impl Iterator<Item = (u64, usize)> {
    (0..1_000).filter_map(|ms| {
        let picture = if ms % 33 == 0 { 7 } else { 0 };
        let sound = usize::from(ms % 20 == 0);
        (picture + sound > 0).then_some((ms, picture + sound))
    })
}

/// Numbering and remembering what is sent.
#[divan::bench]
fn send(bencher: Bencher<'_, '_>) {
    let mut transport = Transport::new();
    let mut now = start();
    bencher.bench_local(|| {
        for (ms, count) in second() {
            (0..count).for_each(|_| {
                black_box(transport.send(now + Duration::from_millis(ms), 1_250));
            });
        }
        now += Duration::from_secs(1);
    });
}

/// The same, and reading what comes back. The receiver's part, which makes the feedback, is not counted.
#[divan::bench]
fn feedback(bencher: Bencher<'_, '_>) {
    let made = || {
        let (mut transport, mut recorder) = (Transport::new(), Recorder::new());
        let mut reports = Vec::new();
        for (ms, count) in second() {
            let now = start() + Duration::from_millis(ms);
            for _ in 0..count {
                recorder.packet(transport.send(now, 1_250), now + Duration::from_millis(20));
            }
            if recorder.deadline().is_some_and(|at| at <= now) {
                let mut out = Vec::new();
                recorder.feedback(Ssrc(1), Ssrc(2), &mut out);
                reports.push((now + Duration::from_millis(40), out));
            }
        }
        (transport, Controller::new(), reports)
    };
    bencher.with_inputs(made).bench_local_refs(|(transport, controller, reports)| {
        for (now, bytes) in reports {
            let Some(Ok(Packet::TransportFeedback(feedback))) = packets(bytes).next() else { continue };
            if let Some(report) = transport.feedback(*now, &feedback) {
                controller.report(*now, &report, report.throughput.unwrap_or_default());
            }
        }
        controller.estimate()
    });
}

#[expect(clippy::disallowed_methods, reason = "an Instant comes from the clock alone; this only adds to it")]
fn start() -> Instant {
    Instant::now()
}
