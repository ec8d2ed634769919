//! Files as the recorder writes them: black under the stream's own parameters, then the stream, growing and finished, read
//! by ffmpeg and Chromium.

use crate::boxes;
use crate::browser::Browser;
use crate::ffmpeg::{AAC, heights, probe, run, scratch};
use bytes::Bytes;
use commonroom::codec::aac::AudioSpecificConfig;
use commonroom::codec::h264::{AvcConfig, Black};
use commonroom::codec::{Codec, MediaKind};
use commonroom::container::Sample;
use commonroom::container::mp4::{AudioEntry, State, VideoEntry, Writer, faststart, finalise, scan};
use commonroom::protocol::flv::{AudioTag, VideoTag};
use commonroom::time::{ClockRate, MediaDuration, Timestamp};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

/// How long a recording is black and silent before its stream comes: no multiple of any picture or packet.
const LEAD_IN: i64 = 1_217;
/// Pictures a second of the black.
const BLACK_RATE: i64 = 5;
/// After so many black pictures comes another key picture.
const BLACK_GROUP: i64 = 4;

/// What an encoder sends, from its first picture on.
struct Encoded {
    config: AvcConfig,
    audio: Option<AudioSpecificConfig>,
    samples: Vec<Sample>,
}

impl Encoded {
    /// A test picture of this size and these x264 arguments, as FLV.
    fn make(name: &str, size: &str, arguments: &[&str]) -> (PathBuf, Self) {
        let file = scratch(&format!("recorded-{name}.flv"));
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-y", "-f", "lavfi", "-i", &format!("testsrc2=s={size}:r=25:d=2")]);
        ffmpeg.args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=2"]);
        ffmpeg.args(["-c:v", "libx264", "-preset", "veryfast", "-g", "20", "-pix_fmt", "yuv420p"]);
        run(ffmpeg.args(arguments).args(AAC).arg(&file));
        let encoded = Self::read(&file);
        (file, encoded)
    }

    fn read(flv: &Path) -> Self {
        let bytes = Bytes::from(fs::read(flv).expect("ffmpeg wrote it"));
        let (mut config, mut audio, mut samples) = (None, None, Vec::new());
        // Behind the header of the file, each tag stands between its own header and a length.
        let mut at = 13;
        while let Some(head) = bytes.get(at..at + 11) {
            let length = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
            let time = i64::from(u32::from_be_bytes([head[7], head[4], head[5], head[6]]));
            let body = bytes.slice(at + 11..at + 11 + length);
            let dts = Timestamp::from_millis(time);
            let sample = |kind, later, keyframe, payload| Sample {
                kind,
                dts,
                pts: dts + later,
                duration: MediaDuration::from_millis(40),
                keyframe,
                prefix: Bytes::new(),
                payload,
            };
            match head[0] {
                9 => match VideoTag::parse(&body).expect("ffmpeg's") {
                    VideoTag::Config(_, record) => config = AvcConfig::parse(&record).ok(),
                    VideoTag::Frame { keyframe, composition, data, .. } => {
                        samples.push(sample(MediaKind::Video, composition, keyframe, data));
                    }
                    _ => {}
                },
                8 => match AudioTag::parse(&body).expect("ffmpeg's") {
                    AudioTag::Config(Codec::Aac, record) => audio = AudioSpecificConfig::parse(record).ok(),
                    AudioTag::Packet(Codec::Aac, data) => {
                        samples.push(sample(MediaKind::Audio, MediaDuration::ZERO, true, data));
                    }
                    _ => {}
                },
                _ => {}
            }
            at += 11 + length + 4;
        }
        Self { config: config.expect("an AVC header").0, audio, samples }
    }

    /// All of it `by` later; sound on the grid of its own packets.
    fn moved(&self, by: i64) -> Vec<Sample> {
        let rate = self.audio.as_ref().map_or(ClockRate::OPUS, AudioSpecificConfig::sample_rate);
        let mut packets = (by * i64::from(rate.get()) / 1_000 / 1_024)..;
        let moved = |sample: &Sample| {
            let mut sample = sample.clone();
            sample.dts += MediaDuration::from_millis(by);
            sample.pts += MediaDuration::from_millis(by);
            if sample.kind == MediaKind::Audio {
                sample.dts = Timestamp::from_ticks(packets.next().expect("endless") * 1_024, rate);
                sample.pts = sample.dts;
                sample.duration = MediaDuration::from_ticks(1_024, rate);
            }
            sample
        };
        self.samples.iter().map(moved).collect()
    }

    /// Black and silence until the stream comes.
    fn lead_in(&self, black: &Black) -> Vec<Sample> {
        let pictures =
            (0..).map(|index| (index, index * 1_000 / BLACK_RATE)).take_while(|(_, ms)| *ms < LEAD_IN);
        let pictures = pictures.map(|(index, ms)| {
            let (group, place) = ((index / BLACK_GROUP) as u64, (index % BLACK_GROUP) as u64);
            let time = Timestamp::from_millis(ms);
            Sample {
                kind: MediaKind::Video,
                dts: time,
                pts: time,
                duration: MediaDuration::ZERO,
                keyframe: place == 0,
                prefix: Bytes::new(),
                payload: if place == 0 { black.key(group) } else { black.repeat(place) },
            }
        });
        let mut samples: Vec<_> = pictures.collect();
        if let Some(audio) = &self.audio {
            let rate = audio.sample_rate();
            let silence = audio.silence().expect("AAC-LC");
            samples.extend((0..LEAD_IN * i64::from(rate.get()) / 1_000 / 1_024).map(|packet| {
                let time = Timestamp::from_ticks(packet * 1_024, rate);
                Sample {
                    kind: MediaKind::Audio,
                    dts: time,
                    pts: time,
                    duration: MediaDuration::from_ticks(1_024, rate),
                    keyframe: true,
                    prefix: Bytes::new(),
                    payload: silence.clone(),
                }
            }));
        }
        samples
    }
}

/// Writes a growing file of these samples, in fragments of a second.
fn write(path: &Path, config: &AvcConfig, audio: Option<&AudioSpecificConfig>, samples: &[Sample]) {
    let video = VideoEntry::H264(config.clone());
    let audio = audio.cloned().map(AudioEntry::Aac);
    let (mut writer, head) = Writer::new(Some(&video), audio.as_ref(), UNIX_EPOCH).expect("a head");
    let mut bytes = head.concat();
    let end = samples.iter().map(|sample| sample.dts).max().expect("some");
    for second in 0..=(end - Timestamp::ZERO).as_millis() / 1_000 {
        let times = Timestamp::from_millis(second * 1_000)..Timestamp::from_millis((second + 1) * 1_000);
        let mut due: Vec<_> = samples.iter().filter(|sample| times.contains(&sample.dts)).cloned().collect();
        // The last of a fragment lasts until the first of the next.
        for kind in [MediaKind::Video, MediaKind::Audio] {
            let next = samples.iter().find(|sample| sample.kind == kind && sample.dts >= times.end);
            let last = due.iter_mut().rfind(|sample| sample.kind == kind);
            if let (Some(last), Some(next)) = (last, next) {
                last.duration = next.dts - last.dts;
            }
        }
        bytes.extend(writer.fragment(&due).expect("a fragment").concat());
    }
    fs::write(path, bytes).expect("the scratch folder is writable");
}

/// The growing file, the finished one and the copy with its index in front.
fn all_forms(growing: &Path) -> [PathBuf; 3] {
    let (finished, fast) = (growing.with_extension("finished.mp4"), growing.with_extension("fast.mp4"));
    fs::copy(growing, &finished).expect("the disk has room");
    let mut file = File::options().read(true).write(true).open(&finished).expect("just made");
    finalise(&mut file).expect("whole");
    assert_eq!(scan(&mut file).expect("ours").state, State::Finalised);
    let mut target = File::create(&fast).expect("the scratch folder is writable");
    faststart(&mut file, &mut target).expect("finished");
    [growing.to_owned(), finished, fast]
}

/// One hash for each decoded picture, and its time in ticks of 90,000; any word of complaint fails.
fn pictures(file: &Path) -> Vec<(i64, String)> {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "warning", "-xerror", "-copyts", "-i"]).arg(file);
    ffmpeg.args([
        "-map",
        "0:v",
        "-fps_mode",
        "passthrough",
        "-enc_time_base",
        "1:90000",
        "-f",
        "framemd5",
        "-",
    ]);
    let output = run(&mut ffmpeg);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(complaints.is_empty(), "{}: {complaints}", file.display());
    let text = String::from_utf8(output.stdout).expect("ffmpeg prints text");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let fields = lines.map(|line| line.split(',').map(str::trim).collect::<Vec<_>>());
    fields.map(|fields| (fields[2].parse().expect("a time"), fields[5].to_owned())).collect()
}

/// The lightest and the darkest luma, and whether all chroma is grey, of the first pictures.
fn assert_black(file: &Path, count: usize, luma: u8) {
    let size = probe(file, "stream=width,height");
    let sides: Vec<usize> = size.split_whitespace().filter_map(|side| side.parse().ok()).collect();
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-xerror", "-i"]).arg(file).args(["-map", "0:v", "-fps_mode", "passthrough"]);
    ffmpeg.args(["-frames:v", &count.to_string(), "-f", "rawvideo", "-"]);
    let planes = run(&mut ffmpeg).stdout;
    let (luma_size, chroma_size) = (sides[0] * sides[1], sides[0].div_ceil(2) * sides[1].div_ceil(2) * 2);
    assert_eq!(planes.len(), count * (luma_size + chroma_size));
    for picture in planes.chunks(luma_size + chroma_size) {
        let (y, uv) = picture.split_at(luma_size);
        assert!(y.iter().all(|value| *value == luma) && uv.iter().all(|value| *value == 128));
    }
}

#[test]
fn black_before_every_kind_of_stream() {
    let kinds: [(&str, &str, &[&str]); 16] = [
        ("baseline", "320x240", &["-profile:v", "baseline"]),
        ("main", "640x360", &["-profile:v", "main", "-bf", "2"]),
        ("high", "1280x720", &["-profile:v", "high", "-bf", "3", "-x264-params", "b-pyramid=normal"]),
        ("crop", "1918x1078", &["-profile:v", "high"]),
        ("one", "16x16", &["-profile:v", "baseline"]),
        ("two-across", "32x16", &["-profile:v", "main"]),
        ("two-down", "16x32", &["-profile:v", "main"]),
        ("odd", "178x98", &["-profile:v", "high"]),
        ("interlaced", "720x576", &["-x264-params", "tff=1"]),
        ("interlaced-narrow", "16x64", &["-x264-params", "bff=1"]),
        ("interlaced-crop", "322x180", &["-x264-params", "tff=1", "-bf", "2"]),
        ("fake-interlaced", "320x240", &["-x264-params", "fake-interlaced=1"]),
        ("full-range", "320x240", &["-color_range", "pc", "-vf", "scale=out_range=full"]),
        ("matrices", "320x240", &["-x264-params", "cqm=jvt"]),
        ("one-reference", "320x240", &["-refs", "1", "-bf", "0"]),
        ("in-order", "320x240", &["-tune", "zerolatency", "-x264-params", "slices=4"]),
    ];
    for (name, size, arguments) in kinds {
        let (flv, encoded) = Encoded::make(name, size, arguments);
        let black = Black::new(&encoded.config).expect("8 bits and 4:2:0");
        let growing = scratch(&format!("recorded-{name}.mp4"));
        let lead_in = encoded.lead_in(&black);
        let count = lead_in.iter().filter(|sample| sample.kind == MediaKind::Video).count();
        let samples = [lead_in, encoded.moved(LEAD_IN)].concat();
        write(&growing, black.config(), encoded.audio.as_ref(), &samples);
        let alone = pictures(&flv);
        for file in all_forms(&growing) {
            let shown = pictures(&file);
            let times: Vec<_> = shown.iter().map(|(time, _)| *time).collect();
            let mut wanted: Vec<_> =
                samples.iter().filter(|sample| sample.kind == MediaKind::Video).collect();
            wanted.sort_by_key(|sample| sample.pts);
            let wanted: Vec<_> = wanted.iter().map(|sample| sample.pts.to_ticks(ClockRate::VIDEO)).collect();
            assert_eq!(times, wanted, "{}", file.display());
            let hashes =
                |list: &[(i64, String)]| list.iter().map(|(_, hash)| hash.clone()).collect::<Vec<_>>();
            assert_eq!(hashes(&shown[count..]), hashes(&alone), "{name}: the stream is untouched");
            assert_black(&file, count, if name == "full-range" { 0 } else { 16 });
        }
    }
}

#[test]
fn a_stream_that_changes_its_size_plays_on() {
    let (_, small) = Encoded::make("small", "320x240", &["-bf", "2"]);
    let (_, large) = Encoded::make("large", "640x480", &["-profile:v", "main"]);
    let mut samples = small.moved(0);
    for (encoded, from) in [(&large, 2_000), (&small, 4_000)] {
        let sets = encoded.config.length_prefixed();
        samples.extend(encoded.moved(from).into_iter().filter(|sample| sample.kind == MediaKind::Video).map(
            |sample| {
                let prefix = if sample.keyframe { sets.clone() } else { Bytes::new() };
                Sample { prefix, ..sample }
            },
        ));
    }
    let growing = scratch("recorded-sizes.mp4");
    write(&growing, &small.config, small.audio.as_ref(), &samples);
    for file in all_forms(&growing) {
        boxes::assert_right(&file);
        assert_eq!(heights(&file), [240, 480, 240], "{}", file.display());
        assert_eq!(pictures(&file).len(), 150);
        assert!(probe(&file, "stream=codec_tag_string").contains("avc3"), "{}", file.display());
    }
}

#[test]
fn other_tools_agree() {
    let (_, encoded) = Encoded::make("agreed", "640x360", &["-profile:v", "main", "-bf", "2"]);
    let black = Black::new(&encoded.config).expect("8 bits and 4:2:0");
    let growing = scratch("recorded-agreed.mp4");
    let samples = [encoded.lead_in(&black), encoded.moved(LEAD_IN)].concat();
    write(&growing, black.config(), encoded.audio.as_ref(), &samples);
    let [growing, finished, fast] = all_forms(&growing);
    for file in [&growing, &finished, &fast] {
        boxes::assert_right(file);
    }
    for file in [&finished, &fast] {
        let told = run(Command::new("mediainfo").arg("--Output=JSON").arg(file)).stdout;
        let told: serde_json::Value = serde_json::from_slice(&told).expect("JSON");
        let text = told.to_string();
        assert!(!text.contains("Conformance") && !text.contains("IsTruncated"), "{text}");
        let pictures = samples.iter().filter(|sample| sample.kind == MediaKind::Video).count();
        let track = told["media"]["track"]
            .as_array()
            .and_then(|tracks| tracks.iter().find(|t| t["@type"] == "Video"));
        assert_eq!(track.expect("pictures")["FrameCount"], pictures.to_string());
    }
    // Chromium: from the first picture to the end, at the pace of the file.
    let browser = Browser::start();
    for file in [&growing, &finished, &fast] {
        browser.go(&format!("file://{}", file.display()));
        let played = browser.evaluate(PLAY);
        println!("{}: {played}", file.display());
        let number = |name: &str| played[name].as_f64().unwrap_or(f64::NAN);
        let end = (LEAD_IN + 2_000) as f64 / 1_000.0;
        assert!((number("duration") - end).abs() < 0.06, "{played}");
        assert!(number("ended") > end - 0.06 && number("pictures") > 20.0, "{played}");
        assert_eq!((number("width"), number("height")), (640.0, 360.0));
    }
}

/// Plays the file that is opened, from its beginning.
const PLAY: &str = "(async () => {
    const video = document.querySelector('video');
    video.muted = true;
    await new Promise((done, failed) => {
        video.onended = done;
        video.onerror = () => failed(video.error.message);
        video.currentTime = 0;
        video.play().catch(failed);
        setTimeout(() => failed(`stands at ${video.currentTime}`), 15000);
    });
    return {
        duration: video.duration, ended: video.currentTime, width: video.videoWidth, height: video.videoHeight,
        pictures: video.getVideoPlaybackQuality().totalVideoFrames,
    };
})()";
