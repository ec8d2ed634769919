//! What is said of a file or a live stream: the JSON that `--json` prints. Fields are named as ffprobe names them where
//! it has them; fields are added, never renamed. `report.schema.json` is the schema.

use super::spread::Spread;
use super::track::rounded;
use serde::Serialize;

/// All of it. Times are seconds.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    /// What was asked for.
    pub filename: String,
    /// FFmpeg's name of the container, or of the several that it reads alike.
    pub format_name: String,
    /// Whether it was read for a while only, as a live stream has no end. Then all numbers are of that while.
    pub live: bool,
    /// From the first to the last time stamp that was read.
    pub duration: Option<f64>,
    /// Bytes of the file.
    pub size: Option<u64>,
    /// Bits a second, of all streams.
    pub bit_rate: Option<u64>,
    /// Whether players find an MP4 file's index before its media ("faststart"); of local files.
    pub index_at_front: Option<bool>,
    /// How many fragments an MP4 file has; of local files.
    pub fragments: Option<u64>,
    /// The tracks.
    pub streams: Vec<Stream>,
    /// How the first sound lies against the first picture track.
    pub av_offset: Option<Offset>,
    /// What that means, in plain words.
    pub notes: Vec<String>,
}

/// One track.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stream {
    /// Its number in the file.
    pub index: usize,
    /// `video`, `audio`, `data`, ...
    pub codec_type: String,
    /// `h264`, `aac`, ...
    pub codec_name: Option<String>,
    /// Such as `High` or `LC`.
    pub profile: Option<String>,
    /// As in the bit stream: 31 is level 3.1 of H.264.
    pub level: Option<i64>,
    /// Columns.
    pub width: Option<u32>,
    /// Lines.
    pub height: Option<u32>,
    /// Such as `yuv420p`.
    pub pix_fmt: Option<String>,
    /// The rate that the file claims, as a fraction.
    pub r_frame_rate: Option<String>,
    /// Pictures a second, as they came.
    pub frame_rate: Option<f64>,
    /// Whether they come at uneven intervals.
    pub frame_rate_varies: Option<bool>,
    /// The most B-frames in a row; 0 without any.
    pub b_frames: Option<u64>,
    /// From keyframe to keyframe.
    pub gop: Option<Gop>,
    /// Samples a second.
    pub sample_rate: Option<u32>,
    /// Channels.
    pub channels: Option<u32>,
    /// Bits a second, as they came.
    pub bit_rate: Option<u64>,
    /// Packets that were read.
    pub packets: u64,
    /// When the first is shown or heard.
    pub start_time: Option<f64>,
    /// When the last has been.
    pub end_time: Option<f64>,
    /// Where nothing is, in order.
    pub gaps: Vec<Gap>,
    /// Gaps that are not listed, as there are too many.
    pub gaps_left_out: u64,
    /// How often the time of decoding goes back.
    pub backward: u64,
}

/// The lengths of groups of pictures, in seconds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Gop {
    /// The shortest.
    pub min: f64,
    /// The middle one, to within 5 ms.
    pub median: f64,
    /// The longest.
    pub max: f64,
    /// How many whole ones there are.
    pub count: u64,
}

/// A hole in the time stamps of a track.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Gap {
    /// Where what is before it ends.
    pub start: f64,
    /// How long it is.
    pub duration: f64,
}

/// How sound lies against picture, in seconds; positive where the sound is later.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Offset {
    /// Where both begin.
    pub start: f64,
    /// Where both end; nothing of live streams, which do not.
    pub end: Option<f64>,
}

impl Gop {
    pub(crate) fn of(lengths: &Spread) -> Option<Self> {
        Some(Self {
            min: rounded(lengths.least()?),
            median: rounded(lengths.median()?),
            max: rounded(lengths.greatest()?),
            count: lengths.total(),
        })
    }
}

impl Report {
    /// The first track of a kind.
    pub(crate) fn first(&self, kind: &str) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.codec_type == kind)
    }

    pub(crate) fn offset(&self) -> Option<Offset> {
        let (sound, picture) = (self.first("audio")?, self.first("video")?);
        let end = sound.end_time.zip(picture.end_time).map(|(sound, picture)| rounded(sound - picture));
        Some(Offset {
            start: rounded(sound.start_time? - picture.start_time?),
            end: end.filter(|_| !self.live),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_schema_is_true() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/probe/report.schema.json");
        let schema = serde_json::to_string_pretty(&schemars::schema_for!(Report)).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(&file, &schema).unwrap();
        }
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(written == schema, "run this test with UPDATE_SCHEMA=1 and look at what it changes");
    }
}
