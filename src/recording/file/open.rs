//! Until it is known what a stream has.

use super::{Order, PATIENCE, Recording, Setting, known, next, ticks};
use crate::media::{CodecParams, MediaKind};
use crate::recording::disk::Disk;
use crate::recording::format::{self, Container, FormatError, Tracks, Writer};
use crate::recording::intake::{Intake, Item};
use crate::recording::manifest::{self, Alignment, FileState};
use crate::recording::timeline::Timeline;
use crate::stream::{Start, Stream};
use std::time::{Duration, UNIX_EPOCH};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// What is held meanwhile, in events: after this it is not waited for either.
const MAX_EARLY: usize = 4_096;

/// What has been seen of a stream before its file is open.
#[derive(Default)]
struct Seen {
    tracks: Tracks,
    items: Vec<Item>,
    orders: Vec<Order>,
    first: Option<Instant>,
    has_sound: bool,
    is_over: bool,
}

impl Recording {
    /// Begins a file as soon as it is known what is to go into it. `None`: nothing is; why is told.
    pub(super) async fn open(
        setting: Setting,
        stream: Stream,
        start: Start,
        orders: &mut mpsc::Receiver<Order>,
        told: watch::Sender<manifest::File>,
    ) -> Option<Self> {
        known(&stream).await;
        let container = Container::of(&stream);
        let clock = setting.clock.clone();
        let mut intake =
            Some(Intake::new(&setting.bridge, &stream, container, setting.as_published, start, &clock));
        let mut seen = Seen::default();
        let mut ticks = ticks();
        while !seen.is_enough(&stream) {
            tokio::select! {
                biased;
                order = orders.recv() => {
                    let order = order.unwrap_or(Order::Close(None));
                    if matches!(order, Order::Stop | Order::Close(_) | Order::Fail(_)) {
                        seen.is_over = true;
                        intake.iter_mut().for_each(|intake| intake.release(&clock));
                    }
                    seen.orders.push(order);
                }
                () = next(&mut intake, &clock) => {}
                _ = ticks.tick() => if let Some(intake) = &intake
                    && seen.lacks_picture(&stream)
                {
                    intake.request_keyframe();
                },
            }
            let items = intake.as_mut().map(|intake| intake.take(clock.now())).unwrap_or_default();
            // The session begins with what comes first, whichever file is there first.
            if let Some(first) = items.iter().filter_map(Item::decoded).min() {
                clock.zero_at(first);
            }
            seen.take(items);
        }
        match Self::begin(setting, container, &stream, seen, intake, told.clone()).await {
            Ok(recording) => Some(recording),
            Err(error) => {
                tracing::warn!(stream = %stream.name(), %error, "not recorded");
                told.send_modify(|told| {
                    told.state = FileState::Lost;
                    told.error = Some(error.to_string());
                });
                None
            }
        }
    }

    async fn begin(
        setting: Setting,
        container: Container,
        stream: &Stream,
        seen: Seen,
        intake: Option<Intake>,
        told: watch::Sender<manifest::File>,
    ) -> Result<Self, OpenError> {
        let Seen { tracks, items, orders, .. } = seen;
        let first = items.iter().filter_map(Item::decoded).min().ok_or(FormatError::Nothing)?;
        let clock = &setting.clock;
        let zero = clock.zero_at(first);
        let start = if setting.align == Alignment::Off { first } else { zero };
        let created = UNIX_EPOCH + Duration::from_millis(clock.wall(start).unix_millis());
        let (writer, head) = Writer::new(container, &tracks, created)?;
        let (folder, name) = (setting.folder.clone(), setting.name.clone());
        let created = tokio::task::spawn_blocking(move || folder.create(&name, container.extension())).await;
        let (name, file) = created.map_err(std::io::Error::other)??;
        let mut disk = Disk::new(file, setting.sync);
        disk.write(head);
        let audio = tracks.audio.as_ref().map(format::silence);
        let mut timeline = Timeline::new(setting.align, start, zero, audio, tracks.video.is_some());
        if container == Container::WebM && tracks.size.is_none() {
            timeline.begin_without_picture();
        }
        timeline.set_lossless(intake.as_ref().is_some_and(Intake::is_stamped));
        let published = |kind| stream.track(kind).map(|feed| feed.key.codec.to_string().to_lowercase());
        let (file_start, told_audio, told_video) =
            (clock.seconds(start), tracks.audio.as_ref().and_then(told_audio), tracks.video.as_ref());
        told.send_modify(|told| {
            told.name = name;
            told.start = file_start;
            told.end = file_start;
            told.audio = told_audio.map(|audio| manifest::Audio {
                source_codec: published(MediaKind::Audio).filter(|codec| *codec != audio.codec),
                ..audio
            });
            told.video = told_video.map(|params| manifest::Video {
                codec: params.codec().to_string().to_lowercase(),
                codec_string: Some(params.codec_string()),
                sizes: Vec::new(),
            });
        });
        tracing::info!(stream = %stream.name(), file = told.borrow().name, "recording");
        let mut recording = Self {
            setting,
            container,
            stream: stream.clone(),
            intake,
            successor: None,
            early: (items, orders),
            tracks,
            painter: None,
            writer,
            timeline,
            disk,
            samples: Vec::new(),
            flushed: Instant::now(),
            asked: Instant::now(),
            is_stopped: false,
            is_resting: false,
            is_spent: false,
            has_part: false,
            is_behind: false,
            told,
        };
        recording.show(false);
        // What stands before the stream's start is made at once.
        if let Some(painter) = recording.painter.take() {
            drop(painter.await);
        }
        recording.announce();
        Ok(recording)
    }
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error("the file cannot be made: {0}")]
    File(#[from] std::io::Error),
}

impl Seen {
    fn take(&mut self, items: Vec<Item>) {
        for item in items {
            match &item {
                Item::Params(params) => match params.codec().kind() {
                    // Others than what has come already is of are for another file.
                    MediaKind::Audio if self.has_sound => {}
                    MediaKind::Audio => {
                        let is_of_sound = |item: &Item| matches!(item, Item::Params(before) if before.codec().kind() == MediaKind::Audio);
                        self.items.retain(|item| !is_of_sound(item));
                        self.tracks.audio = Some(params.clone());
                    }
                    MediaKind::Video => self.tracks.video = Some(params.clone()),
                },
                Item::Frame(frame) => {
                    self.has_sound |= frame.kind == MediaKind::Audio;
                    self.first.get_or_insert_with(Instant::now);
                    if let Some(size) = format::size_of(frame) {
                        self.tracks.size.get_or_insert(size);
                    }
                }
                Item::Ended(_) => self.is_over = true,
                Item::Torn(_) => {}
            }
            self.items.push(item);
        }
        if self.items.len() >= MAX_EARLY && !self.knows_any() {
            // Pictures that none can be decoded before.
            self.items.retain(|item| !matches!(item, Item::Frame(_)));
        }
    }

    /// Whether the file can be opened, or need not be waited for.
    fn is_enough(&self, stream: &Stream) -> bool {
        let is_complete = [MediaKind::Audio, MediaKind::Video]
            .into_iter()
            .all(|kind| stream.sends(kind) != Some(true) || self.knows(kind));
        let is_late =
            self.items.len() >= MAX_EARLY || self.first.is_some_and(|first| first.elapsed() >= PATIENCE);
        self.is_over || self.first.is_some() && is_complete || is_late && self.knows_any()
    }

    fn knows_any(&self) -> bool {
        self.knows(MediaKind::Audio) || self.knows(MediaKind::Video)
    }

    /// Whether there are pictures that cannot be decoded so far.
    fn lacks_picture(&self, stream: &Stream) -> bool {
        stream.sends(MediaKind::Video) == Some(true) && !self.knows(MediaKind::Video)
    }

    fn knows(&self, kind: MediaKind) -> bool {
        match (kind, &self.tracks.audio, &self.tracks.video) {
            (MediaKind::Audio, audio, _) => audio.is_some(),
            (MediaKind::Video, _, Some(CodecParams::Vp8)) => self.tracks.size.is_some(),
            (MediaKind::Video, _, video) => video.is_some(),
        }
    }
}

fn told_audio(params: &CodecParams) -> Option<manifest::Audio> {
    let (sample_rate, channels) = match params {
        CodecParams::Aac(config) => (config.sample_rate().get(), config.channels()),
        CodecParams::Opus(config) => (48_000, config.channels),
        _ => return None,
    };
    let codec = params.codec().to_string().to_lowercase();
    Some(manifest::Audio { codec, source_codec: None, sample_rate, channels })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::aac::AudioSpecificConfig;
    use crate::media::Frame;
    use crate::time::Timestamp;
    use bytes::Bytes;

    #[test]
    fn the_file_is_for_the_sound_that_comes_first() {
        let params = |rate| CodecParams::Aac(AudioSpecificConfig::aac_lc(rate, 2).unwrap());
        let sound = |ms| Item::Frame(Frame::audio(Timestamp::from_millis(ms), Bytes::from_static(b"a")));
        let mut seen = Seen::default();
        seen.take(vec![Item::Params(params(44_100)), Item::Params(params(48_000)), sound(0)]);
        seen.take(vec![Item::Params(params(32_000)), sound(20)]);
        assert_eq!(seen.tracks.audio, Some(params(48_000)), "none was of the first, and others follow");
        let told = seen.items.iter().filter(|item| matches!(item, Item::Params(_))).count();
        assert_eq!(told, 2, "of the first nothing is said again");
        assert!(seen.tracks.continues_with(&params(48_000)) && !seen.tracks.continues_with(&params(32_000)));
    }
}
