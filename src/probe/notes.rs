//! What the numbers of a report mean, in plain words.

use super::report::{Report, Stream};

/// Sound and picture that begin or end within so many seconds of each other do so together.
const TOGETHER: f64 = 0.2;
/// Who joins waits no longer than this without being annoyed, in seconds.
const LONG_GOP: f64 = 4.0;
/// A file that has so many seconds less than it says, and this part of it, was cut.
const CUT: (f64, f64) = (1.0, 0.02);
/// Gaps that are told one by one.
const TOLD: usize = 3;

/// The notes on a report.
pub(crate) fn notes(report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    if report.streams.iter().all(|stream| stream.packets == 0) {
        notes.push("there is no sound and no picture in it".to_owned());
        return notes;
    }
    for stream in &report.streams {
        match stream.codec_type.as_str() {
            "video" => video(stream, &mut notes),
            "audio" => audio(stream, &mut notes),
            _ => {}
        }
        gaps(stream, &mut notes);
        if stream.backward > 0 {
            notes.push(format!("the times of track {} go back {} times", stream.index, stream.backward));
        }
    }
    match (report.first("video"), report.first("audio")) {
        (Some(_), None) => notes.push("there is no sound".into()),
        (None, Some(_)) => notes.push("there is no picture".into()),
        _ => {}
    }
    if let Some(offset) = report.av_offset {
        if offset.start.abs() > TOGETHER {
            let side = if offset.start > 0.0 { "after" } else { "before" };
            notes.push(format!("sound begins {:.1} s {side} the picture", offset.start.abs()));
        }
        if let Some(end) = offset.end.filter(|end| end.abs() > TOGETHER) {
            let side = if end > 0.0 { "after" } else { "before" };
            notes.push(format!("sound ends {:.1} s {side} the picture", end.abs()));
        }
    }
    match (report.index_at_front, report.fragments) {
        (Some(false), Some(0)) => {
            notes.push("the index is at the end: over HTTP, playing begins after a jump there".into());
        }
        (_, Some(fragments @ 1..)) => notes.push(format!("it is fragmented ({fragments} fragments)")),
        _ => {}
    }
    notes
}

/// Whether there is less in a file than it `said` of itself.
pub(crate) fn cut(said: Option<f64>, there: Option<f64>) -> Option<String> {
    let (said, there) = said.zip(there)?;
    (said - there > CUT.0.max(said * CUT.1)).then(|| {
        format!("the file says that it lasts {said:.1} s, and {there:.1} s are there: it was cut off, or is still being fetched")
    })
}

fn video(stream: &Stream, notes: &mut Vec<String>) {
    if let Some(row @ 1..) = stream.b_frames {
        let row = if row == 1 { "one at a time".to_owned() } else { format!("up to {row} in a row") };
        notes.push(format!("browsers will need B-frames ({row}) transcoded: WebRTC cannot carry them"));
    }
    if let Some(format) = stream.pix_fmt.as_deref()
        && stream.codec_name.as_deref() == Some("h264")
        && !matches!(format, "yuv420p" | "yuvj420p")
    {
        notes.push(format!("many browsers do not show H.264 in {format}"));
    }
    match &stream.gop {
        Some(gop) if gop.max > LONG_GOP => {
            notes.push(format!("keyframes every {:.1} s: viewers who join wait that long", gop.max));
        }
        None if stream.packets > 0 => {
            let seconds = stream.end_time.zip(stream.start_time).map_or(0.0, |(end, start)| end - start);
            if seconds > LONG_GOP {
                notes.push(format!("only one keyframe in {seconds:.1} s: viewers who join wait longer"));
            }
        }
        _ => {}
    }
    if stream.frame_rate_varies == Some(true) {
        notes.push("pictures come at uneven intervals".into());
    }
}

fn audio(stream: &Stream, notes: &mut Vec<String>) {
    if let Some(codec) = stream.codec_name.as_deref()
        && codec != "opus"
    {
        notes.push(format!("browsers will need {codec} transcoded to Opus"));
    }
}

fn gaps(stream: &Stream, notes: &mut Vec<String>) {
    let what = if stream.codec_type == "audio" { "sound" } else { "picture" };
    for gap in stream.gaps.iter().take(TOLD) {
        notes.push(format!("no {what} for {:.2} s at {:.2} s", gap.duration, gap.start));
    }
    let more = stream.gaps.len().saturating_sub(TOLD) as u64 + stream.gaps_left_out;
    if more > 0 {
        notes.push(format!("{more} more gaps in the {what}"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::{Gap, Gop, Offset};
    use super::*;

    fn report() -> Report {
        let video = Stream {
            codec_type: "video".into(),
            codec_name: Some("h264".into()),
            pix_fmt: Some("yuv420p".into()),
            b_frames: Some(2),
            packets: 10,
            gop: Some(Gop { min: 1.0, median: 8.0, max: 8.333, count: 4 }),
            gaps: vec![Gap { start: 1.0, duration: 0.5 }; 5],
            ..Stream::default()
        };
        let audio = Stream {
            codec_type: "audio".into(),
            codec_name: Some("aac".into()),
            packets: 10,
            ..Stream::default()
        };
        Report {
            filename: "a.mp4".into(),
            format_name: "mov".into(),
            live: false,
            duration: Some(10.0),
            size: None,
            bit_rate: None,
            index_at_front: Some(false),
            fragments: Some(0),
            streams: vec![video, audio],
            av_offset: Some(Offset { start: 0.05, end: Some(-2.0) }),
            notes: vec![],
        }
    }

    #[test]
    fn what_is_missing_at_the_end_is_said() {
        let text = cut(Some(300.0), Some(27.0)).unwrap();
        assert!(text.contains("300.0 s") && text.contains("27.0 s"), "{text}");
        for fine in [(Some(300.0), Some(299.5)), (Some(300.0), Some(295.0)), (Some(1.0), Some(0.2))] {
            assert_eq!(cut(fine.0, fine.1), None, "{fine:?}");
        }
        assert_eq!((cut(None, Some(1.0)), cut(Some(9.0), None)), (None, None));
        assert_eq!(cut(Some(27.0), Some(300.0)), None, "more than it says");
    }

    #[test]
    fn what_matters_is_said() {
        assert_eq!(
            notes(&report()),
            [
                "browsers will need B-frames (up to 2 in a row) transcoded: WebRTC cannot carry them",
                "keyframes every 8.3 s: viewers who join wait that long",
                "no picture for 0.50 s at 1.00 s",
                "no picture for 0.50 s at 1.00 s",
                "no picture for 0.50 s at 1.00 s",
                "2 more gaps in the picture",
                "browsers will need aac transcoded to Opus",
                "sound ends 2.0 s before the picture",
                "the index is at the end: over HTTP, playing begins after a jump there",
            ]
        );
    }

    #[test]
    fn what_is_well_needs_no_words() {
        let mut good = report();
        good.streams[0].b_frames = Some(0);
        good.streams[0].gop = Some(Gop { min: 1.0, median: 2.0, max: 2.0, count: 4 });
        good.streams[0].gaps = vec![];
        good.streams[1].codec_name = Some("opus".into());
        good.av_offset = Some(Offset { start: 0.02, end: None });
        good.index_at_front = Some(true);
        assert_eq!(notes(&good), Vec::<String>::new());
        good.streams.pop();
        assert_eq!(notes(&good), ["there is no sound"]);
    }
}
