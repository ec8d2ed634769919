//! A report for people.

use super::report::{Report, Stream};
use std::fmt::{self, Display, Formatter};

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", printable(&self.filename))?;
        let mut general = vec![self.format_name.clone()];
        let read = if self.live { "read for " } else { "" };
        general.extend(self.duration.map(|seconds| format!("{read}{seconds:.3} s")));
        general.extend(self.bit_rate.map(bits));
        general.extend(self.size.map(|bytes| format!("{bytes} bytes")));
        general.extend(self.index_at_front.map(|front| {
            if front { "index at the front".to_owned() } else { "index at the end".to_owned() }
        }));
        general.extend(
            self.fragments
                .filter(|fragments| *fragments > 0)
                .map(|fragments| format!("{fragments} fragments")),
        );
        row(f, "container", &general)?;
        for stream in &self.streams {
            row(f, &format!("{} {}", stream.codec_type, stream.index), &codec(stream))?;
            row(f, "", &times(stream))?;
            row(f, "  keyframes", &keyframes(stream))?;
            for gap in &stream.gaps {
                row(f, "  gap", &[format!("{:.3} s at {:.3} s", gap.duration, gap.start)])?;
            }
            if stream.gaps_left_out > 0 {
                row(f, "  gaps", &[format!("{} more", stream.gaps_left_out)])?;
            }
        }
        if let Some(offset) = self.av_offset {
            let mut words = vec![format!("{:+.3} s at the start", offset.start)];
            words.extend(offset.end.map(|end| format!("{end:+.3} s at the end")));
            words.push("(+: sound later than picture)".into());
            row(f, "A/V offset", &words)?;
        }
        for note in &self.notes {
            row(f, "note", &[note])?;
        }
        Ok(())
    }
}

fn codec(stream: &Stream) -> Vec<String> {
    let mut words = vec![stream.codec_name.clone().unwrap_or_else(|| "unknown".into())];
    words.extend(stream.profile.clone());
    words.extend(stream.level.filter(|level| *level > 0).map(|level| match stream.codec_name.as_deref() {
        Some("h264") => format!("level {}.{}", level / 10, level % 10),
        _ => format!("level {level}"),
    }));
    words.extend(stream.width.zip(stream.height).map(|(width, height)| format!("{width}x{height}")));
    words.extend(stream.pix_fmt.clone());
    words.extend(stream.frame_rate.map(|rate| format!("{rate:.3} fps")));
    if stream.codec_type == "video" {
        words.extend(stream.r_frame_rate.as_ref().map(|rate| format!("nominal {rate}")));
        words.extend(stream.frame_rate_varies.filter(|varies| *varies).map(|_| "varying".to_owned()));
    }
    words.extend(stream.sample_rate.map(|rate| format!("{rate} Hz")));
    words.extend(stream.channels.map(|channels| match channels {
        1 => "mono".to_owned(),
        2 => "stereo".to_owned(),
        more => format!("{more} channels"),
    }));
    words.extend(stream.bit_rate.map(bits));
    words
}

fn times(stream: &Stream) -> Vec<String> {
    let mut words = Vec::new();
    words.extend(
        stream.start_time.zip(stream.end_time).map(|(start, end)| format!("from {start:.3} s to {end:.3} s")),
    );
    words.push(format!("{} packets", stream.packets));
    if stream.backward > 0 {
        words.push(format!("times go back {} times", stream.backward));
    }
    words
}

fn keyframes(stream: &Stream) -> Vec<String> {
    let mut words = Vec::new();
    words.extend(stream.gop.map(|gop| {
        format!("every {:.2} s (from {:.2} to {:.2}, {} GOPs)", gop.median, gop.min, gop.max, gop.count)
    }));
    words.extend(stream.b_frames.map(|row| match row {
        0 => "no B-frames".to_owned(),
        row => format!("B-frames, up to {row} in a row"),
    }));
    words
}

/// Empty ones are left out.
fn row(f: &mut Formatter<'_>, name: &str, words: &[impl AsRef<str>]) -> fmt::Result {
    let words: Vec<String> = words.iter().map(|word| printable(word.as_ref())).collect();
    if words.is_empty() { Ok(()) } else { writeln!(f, "  {name:<12} {}", words.join(", ")) }
}

/// Without what would move the cursor of a terminal; files say of themselves what they like.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

fn bits(rate: u64) -> String {
    let kilobits = rate as f64 / 1000.0;
    if kilobits >= 10_000.0 {
        format!("{:.1} Mbit/s", kilobits / 1000.0)
    } else {
        format!("{kilobits:.0} kbit/s")
    }
}
