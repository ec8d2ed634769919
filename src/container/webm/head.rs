//! What stands before the first cluster: what kind of file it is, its tracks, and room for what only its end tells.

use super::ebml::{self, Malformed, put, put_head, put_uint, uint};
use super::id;
use crate::codec::opus::OpusConfig;
use crate::codec::vp8::Size;
use crate::codec::{Codec, MediaKind};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Pictures of a file. Other codecs come here with their own entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum VideoEntry {
    /// `V_VP8`, with the size of the first picture; key frames say when it changes.
    Vp8(Size),
}

/// Sound of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AudioEntry {
    /// `A_OPUS`, from the first sample on: what a decoder gives of a packet is heard at the packet's time.
    Opus(OpusConfig),
}

impl VideoEntry {
    /// The codec.
    pub const fn codec(&self) -> Codec {
        match self {
            Self::Vp8(_) => Codec::Vp8,
        }
    }
}

impl AudioEntry {
    /// The codec.
    pub const fn codec(&self) -> Codec {
        match self {
            Self::Opus(_) => Codec::Opus,
        }
    }
}

/// Of pictures whose first has not come: the [finished](super::finalise()) file tells the true one.
pub const UNKNOWN_SIZE: Size = match Size::new(640, 480) {
    Some(size) => size,
    None => unreachable!(),
};

/// The number of a track in its blocks.
pub(super) const fn track_number(kind: MediaKind) -> u8 {
    match kind {
        MediaKind::Video => 1,
        MediaKind::Audio => 2,
    }
}

/// Nanoseconds in the unit of all times: 1 ms.
pub(super) const TIMESTAMP_SCALE: u64 = 1_000_000;
/// How much sound a decoder of Opus needs before a place for that place to be right, in nanoseconds (RFC 7845, section 4.6).
const SEEK_PRE_ROLL: u64 = 80_000_000;
/// 2001-01-01T00:00:00Z, from which dates count, in seconds since 1970.
const DATE_ORIGIN: Duration = Duration::from_secs(978_307_200);
const SAMPLING_FREQUENCY: f32 = 48_000.0;

/// The length of a `Seek` element, as all are written here.
pub(super) const SEEK_LEN: usize = 21;
/// The length of a `Duration` element, as it is written here.
pub(super) const DURATION_LEN: usize = 11;
/// The length of the list of what stands where: three entries behind a head of five bytes.
const SEEK_HEAD_LEN: u64 = 5 + 3 * SEEK_LEN as u64;

/// All of it, up to the first cluster.
pub(super) fn write(video: Option<&VideoEntry>, audio: Option<&AudioEntry>, created: SystemTime) -> Vec<u8> {
    let (info, tracks) = (info(created), tracks(video, audio));
    let mut out = ebml_head();
    put_head_of_unknown_size(&mut out);
    put_head(&mut out, id::SEEK_HEAD, 3 * SEEK_LEN as u64);
    out.extend(seek(id::INFO, SEEK_HEAD_LEN));
    out.extend(seek(id::TRACKS, SEEK_HEAD_LEN + info.len() as u64));
    out.extend(ebml::void(SEEK_LEN)); // for the index
    out.extend(info);
    out.extend(tracks);
    out
}

/// Where in the segment an element stands.
pub(super) fn seek(id: u32, position: u64) -> Vec<u8> {
    let mut data = Vec::with_capacity(SEEK_LEN);
    put(&mut data, id::SEEK_ID, &id.to_be_bytes());
    put(&mut data, id::SEEK_POSITION, &position.to_be_bytes());
    element(id::SEEK, &data)
}

/// The duration of the file, in milliseconds.
pub(super) fn duration(ms: f64) -> Vec<u8> {
    element(id::DURATION, &ms.to_be_bytes())
}

fn ebml_head() -> Vec<u8> {
    let mut data = Vec::new();
    put_uint(&mut data, 0x4286, 1); // EBMLVersion
    put_uint(&mut data, 0x42f7, 1); // EBMLReadVersion
    put_uint(&mut data, 0x42f2, 4); // EBMLMaxIDLength
    put_uint(&mut data, 0x42f3, 8); // EBMLMaxSizeLength
    put(&mut data, id::DOC_TYPE, b"webm");
    put_uint(&mut data, 0x4287, 4); // DocTypeVersion: CodecDelay is of the fourth
    put_uint(&mut data, 0x4285, 2); // DocTypeReadVersion: who knows the second can play it
    element(id::EBML, &data)
}

fn put_head_of_unknown_size(out: &mut Vec<u8>) {
    out.extend(id::SEGMENT.to_be_bytes());
    out.extend(ebml::UNKNOWN_SIZE);
}

fn info(created: SystemTime) -> Vec<u8> {
    let program = concat!("Commonroom ", env!("CARGO_PKG_VERSION")).as_bytes();
    let mut data = Vec::new();
    put_uint(&mut data, id::TIMESTAMP_SCALE, TIMESTAMP_SCALE);
    data.extend(ebml::void(DURATION_LEN));
    let since = created.duration_since(UNIX_EPOCH + DATE_ORIGIN).unwrap_or_default().as_nanos();
    put(&mut data, id::DATE_UTC, &i64::try_from(since).unwrap_or(i64::MAX).to_be_bytes());
    put(&mut data, id::MUXING_APP, program);
    put(&mut data, id::WRITING_APP, program);
    element(id::INFO, &data)
}

/// The tracks; equally long whatever the size of the pictures is.
pub(super) fn tracks(video: Option<&VideoEntry>, audio: Option<&AudioEntry>) -> Vec<u8> {
    let mut data = Vec::new();
    if let Some(VideoEntry::Vp8(size)) = video {
        let mut entry = track(MediaKind::Video, 1, b"V_VP8");
        let mut settings = Vec::new();
        put(&mut settings, id::PIXEL_WIDTH, &size.width().to_be_bytes());
        put(&mut settings, id::PIXEL_HEIGHT, &size.height().to_be_bytes());
        put(&mut entry, id::VIDEO, &settings);
        put(&mut data, id::TRACK_ENTRY, &entry);
    }
    if let Some(AudioEntry::Opus(config)) = audio {
        let mut entry = track(MediaKind::Audio, 2, b"A_OPUS");
        put(&mut entry, id::CODEC_PRIVATE, &opus_head(*config));
        put_uint(&mut entry, id::CODEC_DELAY, 0);
        put_uint(&mut entry, id::SEEK_PRE_ROLL, SEEK_PRE_ROLL);
        let mut settings = Vec::new();
        put(&mut settings, id::SAMPLING_FREQUENCY, &SAMPLING_FREQUENCY.to_be_bytes());
        put_uint(&mut settings, id::CHANNELS, config.channels.into());
        put(&mut entry, id::AUDIO, &settings);
        put(&mut data, id::TRACK_ENTRY, &entry);
    }
    element(id::TRACKS, &data)
}

/// What every kind of track says of itself; `kind` by Matroska's numbers.
fn track(number: MediaKind, kind: u64, codec: &[u8]) -> Vec<u8> {
    let number = track_number(number).into();
    let mut entry = Vec::new();
    put_uint(&mut entry, id::TRACK_NUMBER, number);
    put_uint(&mut entry, id::TRACK_UID, number);
    put_uint(&mut entry, id::TRACK_TYPE, kind);
    put_uint(&mut entry, id::FLAG_LACING, 0);
    put(&mut entry, id::LANGUAGE, b"und"); // left out it would be English
    put(&mut entry, id::CODEC_ID, codec);
    entry
}

/// The identification header (RFC 7845, section 5.1), without pre-skip and gain.
fn opus_head(config: OpusConfig) -> Vec<u8> {
    let mut head = b"OpusHead\x01".to_vec();
    head.push(config.channels);
    head.extend(0u16.to_le_bytes());
    head.extend(48_000u32.to_le_bytes());
    head.extend([0, 0, 0]); // gain; channels as mono or stereo has them
    head
}

/// The tracks that the data of `Tracks` describes, if they are such as are written here.
pub(super) fn read_tracks(data: &[u8]) -> Result<(Option<VideoEntry>, Option<AudioEntry>), Malformed> {
    let (mut video, mut audio) = (None, None);
    for entry in ebml::children(data) {
        let (id::TRACK_ENTRY, entry) = entry? else { continue };
        let find =
            |wanted| ebml::children(entry).flatten().find(|(id, _)| *id == wanted).map(|(_, data)| data);
        let number = find(id::TRACK_NUMBER).ok_or(Malformed).and_then(uint)?;
        let settings = |of, wanted| {
            let value = ebml::children(find(of)?).flatten().find(|(id, _)| *id == wanted)?.1;
            uint(value).ok()
        };
        match find(id::CODEC_ID) {
            Some(b"V_VP8") if number == u64::from(track_number(MediaKind::Video)) && video.is_none() => {
                let side = |wanted| u16::try_from(settings(id::VIDEO, wanted)?).ok();
                let size = side(id::PIXEL_WIDTH).zip(side(id::PIXEL_HEIGHT));
                let size = size.and_then(|(width, height)| Size::new(width, height)).ok_or(Malformed)?;
                video = Some(VideoEntry::Vp8(size));
            }
            Some(b"A_OPUS") if number == u64::from(track_number(MediaKind::Audio)) && audio.is_none() => {
                let channels = match settings(id::AUDIO, id::CHANNELS) {
                    Some(1) => 1,
                    Some(2) => 2,
                    _ => return Err(Malformed),
                };
                audio = Some(AudioEntry::Opus(OpusConfig { channels }));
            }
            _ => return Err(Malformed),
        }
    }
    if video.is_none() && audio.is_none() {
        return Err(Malformed);
    }
    Ok((video, audio))
}

fn element(id: u32, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(ebml::MAX_HEAD + data.len());
    put(&mut out, id, data);
    out
}
