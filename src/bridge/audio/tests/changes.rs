//! Sound whose rate, channels or codec change while it plays.

use super::{Heard, START, Source, aac, frames, listen, opus, some_instant, tone, transcode};
use crate::bridge::audio::Transcoder;
use crate::bridge::converter::{Converter, Output};
use crate::media::{Codec, Frame};
use crate::stream::Event;
use crate::time::{MediaDuration, Timestamp};
use std::time::Duration;

/// Plays sources one after another through one transcoder; each begins `gap` later than the end of the one before.
fn one_after_another(mut transcoder: Transcoder, sources: &[Source], gap: MediaDuration) -> Vec<Output> {
    let (origin, mut out, mut end) = (some_instant(), Vec::new(), None);
    for source in sources {
        let first = source.frames[0].pts;
        let shift = end.map_or(MediaDuration::ZERO, |end: Timestamp| end + gap - first);
        transcoder.handle(Event::Params(source.params.clone()), origin, &mut out);
        for frame in &source.frames {
            let time = frame.pts + shift;
            let now = origin + Duration::from(time - Timestamp::ZERO);
            transcoder.handle(Event::Frame(Frame { dts: time, pts: time, ..frame.clone() }), now, &mut out);
        }
        end = Some(end_of(source) + shift);
    }
    out
}

fn end_of(source: &Source) -> Timestamp {
    let (rate, frames) = (source.params.clock_rate(), source.frames.len() as i64);
    let samples = if source.params.codec() == Codec::Opus { 960 } else { 1_024 };
    source.frames[0].pts + MediaDuration::from_ticks(frames * samples, rate)
}

/// A sine of 1 kHz, whatever its phase.
fn is_clean(heard: &Heard, from: f64, to: f64) -> bool {
    heard.snr(from, to, 0) > 30.0 && (heard.rms(from, to) - 0.3535).abs() < 0.02
}

#[test]
fn another_rate_and_other_channels_go_on_without_a_stop() {
    for transcoder in [Transcoder::to_opus, Transcoder::rtmp_to_aac] {
        let sources = [(44_100, 2), (48_000, 1), (32_000, 2), (24_000, 1)]
            .map(|(rate, channels)| aac(rate, channels, &tone(rate, 1.5)));
        // Insists on packet following packet, under parameters that are told once.
        let out = one_after_another(transcoder(), &sources, MediaDuration::ZERO);
        assert_eq!(out.iter().filter(|output| matches!(output, Output::Params(_))).count(), 1);
        let heard = listen(&out);
        assert_eq!(heard.channels, 2);
        for part in 0..4 {
            let from = f64::from(part) * 1.48;
            assert!(
                is_clean(&heard, from + 0.2, from + 1.2),
                "part {part}: {:.1} dB",
                heard.snr(from + 0.2, from + 1.2, 0)
            );
        }
    }
}

#[test]
fn what_follows_a_change_stands_at_its_time() {
    // 44.1 kHz, then 48 kHz with a burst: where it stands is where it was put, to a millisecond, and so at every distance.
    for gap in [-30, 0, 35, 400, 3_000] {
        let before = aac(44_100, 2, &tone(44_100, 1.0));
        let after = aac(48_000, 1, &super::burst(48_000, 2.0, 1.25));
        let gap = MediaDuration::from_millis(gap);
        let begin = end_of(&before) + gap - after.frames[0].pts;
        let out = one_after_another(Transcoder::to_opus(), &[before, after], gap);
        let packets = frames(&out);
        assert!(packets.windows(2).all(|pair| pair[0].pts < pair[1].pts), "times never go back");
        let heard = behind_gaps(&out);
        let at = (START + begin + MediaDuration::from_millis(1_250) - heard.start).as_secs_f64();
        let found = (heard.start - START).as_secs_f64();
        let late = heard.peak() - found - at;
        assert!(late.abs() < 0.002, "{gap:?}: {late}");
    }
}

/// What is heard behind the last place where packets do not follow one another.
fn behind_gaps(out: &[Output]) -> Heard {
    let packets = frames(out);
    let step = MediaDuration::from_millis(20);
    let begin = packets.windows(2).rposition(|pair| pair[1].pts - pair[0].pts > step + step / 2);
    let from = packets[begin.map_or(0, |at| at + 1)].pts;
    let is_kept = |output: &&Output| !matches!(output, Output::Frame(frame) if frame.pts < from);
    let kept: Vec<Output> = out.iter().filter(is_kept).map(clone).collect();
    listen(&kept)
}

fn clone(output: &Output) -> Output {
    match output {
        Output::Params(params) => Output::Params(params.clone()),
        Output::Frame(frame) => Output::Frame(frame.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_decoder_alone_changes_nothing() {
    let sources = [opus(1, &tone(48_000, 1.0)), opus(2, &tone(48_000, 1.0))];
    let heard = listen(&one_after_another(Transcoder::to_aac(), &sources, MediaDuration::ZERO));
    assert_eq!(heard.channels, 1, "as it began");
    assert!(is_clean(&heard, 0.2, 0.8) && is_clean(&heard, 1.2, 1.8));
    let once = transcode(Transcoder::to_aac(), &sources[0], |_| false);
    assert_eq!(listen(&once).channels, 1);
}
