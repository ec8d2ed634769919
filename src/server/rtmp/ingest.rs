//! FLV tag bodies from a publisher, made into frames on the bus.

mod pictures;
mod sounds;

use super::directory::Listing;
use super::reordering::Reordering;
use crate::media::{Codec, CodecParams, Frame, MediaKind, Payload, PictureTimes, StampedClock};
use crate::protocol::flv::{AudioTag, Metadata, VideoTag};
use crate::protocol::rtmp::message::MessageError;
use crate::room::{Publication, Revocation};
use crate::stream::{
    EndReason, FeedKey, FeedWriter, Form, Recorded, Stream, StreamName, Warning, WarningMark, Warnings,
};
use crate::time::{MediaDuration, RtmpTime};
use bytes::Bytes;
use pictures::{Pictures, Taken};
use sounds::{Heard, Sounds};
use std::fmt;
use tokio::sync::watch;
use tokio::time::Instant;

/// One publication.
pub(super) struct Ingest {
    publication: Publication,
    listing: Listing,
    warnings: Warnings,
    recorded: watch::Receiver<Option<Recorded>>,
    /// What has come and is still to be told.
    notice: Option<Notice>,
    opened: Instant,
    clock: StampedClock,
    audio: Option<FeedWriter>,
    video: Option<FeedWriter>,
    sounds: Sounds,
    pictures: Pictures,
    reordering: Reordering,
    /// What was found here; it holds until the end.
    found: Vec<(Warning, WarningMark)>,
}

/// What a publisher should know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Notice {
    /// Somebody gets less than it sends.
    Warning(Warning),
    /// It is recorded, or no longer.
    Recorded(Recorded),
}

/// Why a publication cannot go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Refusal(pub(super) String);

impl Ingest {
    /// Begins a publication at `now`, which is the stream's origin.
    pub(super) fn new(publication: Publication, listing: Listing, now: Instant) -> Self {
        Self {
            recorded: publication.publisher().stream().recorded(),
            warnings: publication.publisher().stream().all_warnings(),
            publication,
            listing,
            notice: None,
            opened: now,
            clock: StampedClock::new(),
            audio: None,
            video: None,
            sounds: Sounds::default(),
            pictures: Pictures::new(Codec::H264),
            reordering: Reordering::default(),
            found: Vec::new(),
        }
    }

    /// What is published.
    pub(super) fn stream(&self) -> Stream {
        self.publication.publisher().stream()
    }

    /// Ends the publication.
    pub(super) fn end(self, reason: EndReason) {
        self.publication.end(reason);
    }

    /// Waits until there is something that the publisher should know. Cancel-safe.
    pub(super) async fn notice(&mut self) {
        if self.notice.is_some() {
            return;
        }
        tokio::select! {
            biased;
            () = self.publication.revoked().cancelled() => {}
            warning = self.warnings.next() => self.notice = Some(Notice::Warning(warning)),
            // The stream is ours, and so its end of this is there.
            Ok(()) = self.recorded.changed() => {
                self.notice = self.recorded.borrow_and_update().clone().map(Notice::Recorded);
            }
        }
    }

    /// Why the room has ended the publication, if it has.
    pub(super) fn revocation(&self) -> Option<Revocation> {
        self.publication.revocation()
    }

    /// What was waited for.
    pub(super) fn take_notice(&mut self) -> Option<Notice> {
        self.notice.take()
    }

    /// Whether anybody reads what is published.
    pub(super) fn is_watched(&self) -> bool {
        [&self.audio, &self.video].into_iter().flatten().any(|track| track.subscriber_count() > 0)
    }

    /// What the publisher says of its stream. Whether that was too much to be kept whole.
    pub(super) fn metadata(&mut self, mut metadata: Metadata) -> bool {
        let is_too_large = metadata.limit();
        if is_too_large {
            self.warn(Warning::MetadataTooLarge, &"properties that do not fit");
        }
        self.listing.set_metadata(metadata);
        is_too_large
    }

    /// A data message that cannot be read.
    pub(super) fn bad_data(&mut self, error: MessageError) {
        self.warn(Warning::DataUnreadable, &error);
    }

    /// An audio message.
    pub(super) fn audio(&mut self, now: Instant, time: RtmpTime, body: &Bytes) {
        let Heard { params, packet, complaint } = match AudioTag::parse(body) {
            Ok(tag) => self.sounds.read(tag),
            Err(error) => return self.warn(Warning::AudioUnreadable, &error),
        };
        if let Some((warning, why)) = complaint {
            self.warn(warning, &why);
        }
        if let Some(params) = params {
            self.set_audio(params);
        }
        let Some(packet) = packet else { return };
        // While what was made of the codec before is still called so, there is no place for its own.
        if self.audio.is_none()
            && let Some(params) = self.sounds.params().cloned()
        {
            self.set_audio(params);
        }
        let Some(track) = &self.audio else { return };
        let elapsed = now.duration_since(self.opened).into();
        let time = self.clock.sound(time, elapsed);
        track.write(Frame::audio(time, packet));
        self.count_repairs();
    }

    /// A video message.
    pub(super) fn video(&mut self, now: Instant, time: RtmpTime, body: &Bytes) -> Result<(), Refusal> {
        match VideoTag::parse(body) {
            Ok(VideoTag::Frame { codec, keyframe, composition, data }) => {
                self.expect(codec);
                let taken = self.pictures.read(keyframe, data);
                self.take(now, time, composition, taken);
            }
            Ok(VideoTag::Config(codec, record)) => {
                self.expect(codec);
                let taken = self.pictures.configure(&record);
                self.take(now, time, MediaDuration::ZERO, taken);
            }
            Ok(VideoTag::End | VideoTag::Empty) => {}
            Ok(VideoTag::OtherTrack) => self.warn(Warning::OtherTracks, &"several tracks of video"),
            Ok(VideoTag::Unsupported(codec)) => {
                return Err(Refusal(format!("{codec} is not supported; choose H.264, HEVC, AV1 or VP9")));
            }
            Err(error) => self.warn(Warning::VideoUnreadable, &error),
        }
        Ok(())
    }

    /// A publisher that goes over to another codec has another track.
    fn expect(&mut self, codec: Codec) {
        if self.pictures.codec() != codec {
            self.pictures = Pictures::new(codec);
            self.video = None;
        }
    }

    fn take(&mut self, now: Instant, time: RtmpTime, composition: MediaDuration, taken: Taken) {
        let Taken { params, picture, complaint } = taken;
        if let Some((warning, why)) = complaint {
            self.warn(warning, &why);
        }
        if let Some(params) = params {
            self.set_video(params);
        }
        let Some((keyframe, payload)) = picture else { return };
        if self.video.is_none()
            && let Some(params) = self.pictures.params().cloned()
        {
            self.set_video(params);
        }
        let Some(track) = &self.video else { return };
        let elapsed = now.duration_since(self.opened).into();
        let PictureTimes { dts, pts } = self.clock.picture(time, composition, elapsed);
        let found = match (&payload, self.pictures.params()) {
            (Payload::Nalus(unit), Some(CodecParams::H264(config))) => {
                self.reordering.look(pts, keyframe, unit, config)
            }
            _ => None,
        };
        track.write(Frame { kind: MediaKind::Video, dts, pts, keyframe, payload });
        self.count_repairs();
        match found {
            Some(Warning::BFrameReferences) => {
                // It says all that the other does, and worse.
                self.found.retain(|(found, _)| *found != Warning::BFrames);
                self.warn(Warning::BFrameReferences, &"P pictures that refer to B pictures");
            }
            Some(warning) => self.warn(warning, &"times that go back"),
            None => {}
        }
    }

    fn count_repairs(&mut self) {
        let repairs = self.clock.take_repairs();
        if !repairs.is_empty() {
            self.stream().note_repairs(repairs);
        }
    }

    fn set_audio(&mut self, params: CodecParams) {
        let key = FeedKey::new(params.codec(), Form::Frames);
        if self.audio.as_ref().is_some_and(|track| track.key() != key) {
            // A publisher that goes over to another codec has another track.
            self.audio = None;
        }
        if self.audio.is_none() {
            self.audio = self.publication.publisher().track(key);
        }
        if let Some(track) = &self.audio {
            track.set_params(params);
        }
    }

    fn set_video(&mut self, params: CodecParams) {
        if self.video.is_none() {
            let key = FeedKey::new(params.codec(), Form::Frames);
            self.video = self.publication.publisher().track(key);
        }
        if let Some(track) = &self.video {
            track.set_params(params);
        }
    }

    /// Raises a warning, once. What led to it goes to the log alone.
    fn warn(&mut self, warning: Warning, cause: &dyn fmt::Display) {
        if self.found.iter().all(|(found, _)| *found != warning) {
            let stream = self.stream();
            let StreamName { room, participant, .. } = stream.name();
            tracing::info!(%room, %participant, reason = warning.as_str(), %cause, "the publisher is warned");
            self.found.push((warning, stream.warn(warning)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::directory::Directory;
    use super::*;
    use crate::room::{Limits, Protocol, Rooms};
    use crate::stream::{Event, QueueLimits, Start, Subscriber};
    use crate::time::{NtpTime, Timestamp};

    const AUDIO: FeedKey = FeedKey::new(Codec::Aac, Form::Frames);
    const VIDEO: FeedKey = FeedKey::new(Codec::H264, Form::Frames);
    const AVC: &[u8] =
        &[0x17, 0, 0, 0, 0, 1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 4, 0x67, 0x42, 0xc0, 0x1e, 1, 0, 2, 0x68, 1];
    const IDR: &[u8] = &[0, 0, 0, 2, 0x65, 7];
    const SLICE: &[u8] = &[0, 0, 0, 2, 0x41, 7];

    fn ingest() -> Ingest {
        let rooms = Rooms::new(Limits { rooms: 1, participants: 1, ..Limits::default() }, NtpTime::default());
        let [room, participant] = ["r", "p"].map(|name| name.parse().unwrap());
        let publication = rooms
            .publish(room, participant, Protocol::Rtmp, NtpTime::default())
            .unwrap_or_else(|e| panic!("{e}"));
        let listing = Directory::default().enter(publication.publisher().stream().name().clone());
        Ingest::new(publication, listing, Instant::now())
    }

    impl Ingest {
        fn video_at(&mut self, ms: u32, body: &[u8]) -> Result<(), Refusal> {
            self.video(self.opened, RtmpTime(ms), &Bytes::copy_from_slice(body))
        }

        fn picture_at(&mut self, ms: u32, flag: u8, composition: u8, units: &[u8]) {
            self.video_at(ms, &[&[flag << 4 | 7, 1, 0, 0, composition][..], units].concat()).unwrap();
        }

        fn audio_at(&mut self, ms: u32, body: &[u8]) {
            self.audio(self.opened, RtmpTime(ms), &Bytes::copy_from_slice(body));
        }

        fn warnings(&self) -> Vec<Warning> {
            self.publication.publisher().stream().warnings()
        }

        fn subscribe(&self) -> Subscriber {
            let subscriber = self.publication.publisher().stream().subscriber(QueueLimits::default());
            subscriber.attach(&[AUDIO, VIDEO], Start::CachedGop);
            subscriber
        }
    }

    /// Frames in one line each: kind, decode time, distance to presentation, whether key, bytes.
    fn frames(subscriber: &Subscriber) -> Vec<(MediaKind, i64, i64, bool, Bytes)> {
        std::iter::from_fn(|| subscriber.try_next())
            .filter_map(|event| match event {
                Event::Frame(f) => {
                    let dts = (f.dts - Timestamp::ZERO).as_millis();
                    let bytes = f.payload.bytes().clone();
                    Some((f.kind, dts, (f.pts - f.dts).as_millis(), f.keyframe, bytes))
                }
                _ => None,
            })
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn tags_become_frames_on_the_streams_time() {
        let mut ingest = ingest();
        ingest.picture_at(0, 1, 0, IDR); // before its configuration it is nothing
        ingest.video_at(0, AVC).unwrap();
        ingest.audio_at(0, &[0xaf, 0, 0x11, 0x90]);
        ingest.picture_at(70_000, 1, 67, IDR);
        ingest.audio_at(70_010, &[0xaf, 1, 9]);
        let subscriber = ingest.subscribe();
        assert_eq!(
            frames(&subscriber),
            [
                (MediaKind::Video, 0, 67, true, Bytes::from_static(IDR)),
                (MediaKind::Audio, 10, 0, true, Bytes::from_static(&[9]))
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn another_codec_of_sound_is_another_track() {
        let mut ingest = ingest();
        let tracks = |ingest: &Ingest| -> Vec<FeedKey> {
            ingest.stream().feeds().into_iter().map(|feed| feed.key).collect()
        };
        ingest.audio_at(0, &[0xb6, 1, 2]);
        assert_eq!(tracks(&ingest), [FeedKey::new(Codec::Speex, Form::Frames)]);
        ingest.audio_at(20, &[0x52, 1, 2]);
        assert_eq!(tracks(&ingest), [FeedKey::new(Codec::Nellymoser, Form::Frames)]);
        ingest.audio_at(40, &[0xaf, 0, 0x11, 0x90]);
        assert_eq!(tracks(&ingest), [AUDIO]);
        let subscriber = ingest.subscribe();
        ingest.audio_at(60, &[0xaf, 1, 9]);
        assert_eq!(frames(&subscriber), [(MediaKind::Audio, 60, 0, true, Bytes::from_static(&[9]))]);
        assert_eq!(ingest.warnings(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_codec_that_was_made_of_the_one_before_is_taken_over() {
        let mut ingest = ingest();
        ingest.audio_at(0, &[0xb6, 1, 2]);
        let made = [AUDIO, VIDEO].map(|key| ingest.stream().derive(key).unwrap());
        ingest.audio_at(20, &[0xaf, 0, 0x11, 0x90]);
        ingest.audio_at(40, &[0xaf, 1, 9]);
        ingest.video_at(40, &[0x12, 9]).unwrap();
        ingest.video_at(80, AVC).unwrap();
        ingest.picture_at(80, 1, 0, &[0, 0, 0, 2, 0x65, 1]);
        let own = |ingest: &Ingest| -> Vec<FeedKey> {
            ingest.stream().feeds().into_iter().filter(|feed| feed.native).map(|feed| feed.key).collect()
        };
        assert_eq!(own(&ingest), [], "their places are taken");
        drop(made);
        ingest.audio_at(60, &[0xaf, 1, 9]);
        ingest.picture_at(120, 1, 0, &[0, 0, 0, 2, 0x65, 1]);
        let mut tracks = own(&ingest);
        tracks.sort();
        assert_eq!(tracks, [VIDEO, AUDIO]);
        assert!(ingest.stream().feeds().iter().all(|feed| feed.params.is_some() && feed.items == 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_frame_is_where_a_decoder_can_start() {
        let mut ingest = ingest();
        ingest.video_at(0, AVC).unwrap();
        let keys = |ingest: &mut Ingest, pictures: &[(u8, &[u8])]| -> Vec<bool> {
            let subscriber = ingest.publication.publisher().stream().subscriber(QueueLimits::default());
            subscriber.attach(&[VIDEO], Start::Anywhere);
            for (flag, units) in pictures {
                ingest.picture_at(0, *flag, 0, units);
            }
            frames(&subscriber).into_iter().map(|frame| frame.3).collect()
        };
        let recovery = [&[0, 0, 0, 4, 6, 6, 1, 0xc4], SLICE].concat();
        // Without any IDR the publisher's word counts; with one, what GStreamer calls a key frame does not.
        assert_eq!(keys(&mut ingest, &[(1, SLICE), (2, SLICE), (2, IDR)]), [true, false, true]);
        assert_eq!(keys(&mut ingest, &[(1, SLICE), (1, &recovery), (2, &recovery)]), [false, true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn parameter_sets_within_pictures_become_the_tracks() {
        let mut ingest = ingest();
        ingest.video_at(0, AVC).unwrap();
        let sets = [0, 0, 0, 4, 0x67, 0x42, 0xc0, 0x1f, 0, 0, 0, 2, 0x68, 2];
        ingest.picture_at(0, 1, 0, &[&sets, IDR].concat());
        ingest.picture_at(40, 2, 0, &sets); // nothing else in it
        let subscriber = ingest.subscribe();
        assert!(matches!(
            subscriber.try_next(),
            Some(Event::Params(CodecParams::H264(config))) if config.profile_level_id() == [0x42, 0xc0, 0x1f]
        ));
        assert_eq!(frames(&subscriber), [(MediaKind::Video, 0, 0, true, Bytes::from_static(IDR))]);
    }

    #[tokio::test(start_paused = true)]
    async fn new_parameters_hold_from_the_key_frame_on() {
        let mut ingest = ingest();
        ingest.video_at(0, AVC).unwrap();
        ingest.picture_at(0, 1, 0, IDR);
        let subscriber = ingest.subscribe();
        let mut other = AVC.to_vec();
        other[8] = 0x28; // the level
        other[16] = 0x28;
        ingest.video_at(40, &other).unwrap();
        ingest.picture_at(40, 2, 0, SLICE); // it was on its way
        ingest.picture_at(80, 1, 0, IDR);
        ingest.video_at(120, &other).unwrap(); // says nothing new
        ingest.picture_at(120, 1, 0, IDR);
        let told = |event| match event {
            Event::Params(CodecParams::H264(config)) => format!("{:x}", config.profile_level_id()[2]),
            Event::Frame(frame) if frame.keyframe => "key".into(),
            Event::Frame(_) => "frame".into(),
            other => panic!("{other:?}"),
        };
        let events: Vec<_> = std::iter::from_fn(|| subscriber.try_next()).map(told).collect();
        assert_eq!(events, ["1e", "key", "frame", "28", "key", "key"]);
    }

    #[tokio::test(start_paused = true)]
    async fn b_frames_are_noticed_once_and_offsets_alone_are_none() {
        let mut ingest = ingest();
        ingest.video_at(0, AVC).unwrap();
        ingest.picture_at(0, 1, 66, IDR);
        ingest.picture_at(33, 2, 66, SLICE);
        ingest.picture_at(66, 2, 120, SLICE);
        assert_eq!(ingest.warnings(), [], "each later than the one before");
        ingest.picture_at(99, 2, 33, SLICE);
        ingest.picture_at(132, 2, 0, SLICE);
        assert_eq!(ingest.warnings(), [Warning::BFrames]);
        assert_eq!(ingest.found.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn parameter_sets_of_absurd_length_are_refused_wherever_they_stand() {
        let pps = [&[0x68][..], &[1; 5_000]].concat();
        let length = (pps.len() as u32).to_be_bytes();
        let in_band = [&length, &pps[..], IDR].concat();
        let record = [&AVC[..AVC.len() - 4], &length[2..], &pps].concat();
        for (record, units) in [(AVC, &in_band[..]), (&record, IDR)] {
            let mut ingest = ingest();
            ingest.video_at(0, record).unwrap();
            ingest.picture_at(0, 1, 0, units);
            assert_eq!(ingest.warnings(), [Warning::VideoConfig]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_carried_is_told() {
        let mut ingest = ingest();
        ingest.audio_at(0, &[0xcf, 1]); // a number that is reserved
        ingest.audio_at(0, &[0xcf, 1]);
        assert!(ingest.video_at(0, b"\x90vvc1").is_err_and(|Refusal(text)| text.contains("VVC")));
        ingest.video_at(0, &[0x17, 0, 0, 0, 0, 9]).unwrap();
        ingest.video_at(0, AVC).unwrap();
        ingest.picture_at(0, 1, 0, &[0, 0, 0, 9, 0x65]);
        ingest.audio_at(0, &[0xaf, 0, 0xff]);
        let expected =
            [Warning::AudioCodec, Warning::VideoConfig, Warning::VideoUnreadable, Warning::AudioConfig];
        assert_eq!(ingest.warnings(), expected);
        ingest.notice().await;
        assert_eq!(ingest.take_notice(), Some(Notice::Warning(Warning::AudioCodec)));
        ingest.notice().await;
        assert_eq!(ingest.take_notice(), Some(Notice::Warning(Warning::VideoConfig)), "each once");
    }
}
