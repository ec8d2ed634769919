//! FLV tag bodies from a publisher, made into frames on the bus.

use super::directory::Listing;
use super::timeline::Timeline;
use crate::codec::aac::AudioSpecificConfig;
use crate::codec::h264::{AvcConfig, NalKind, is_recovery_point};
use crate::media::{AccessUnit, Codec, CodecParams, Frame, MediaKind, Payload};
use crate::protocol::flv::{AudioTag, Metadata, VideoTag};
use crate::room::Publication;
use crate::stream::{EndReason, FeedKey, FeedWriter, Form};
use crate::time::{MediaDuration, RtmpTime, Timestamp};
use bytes::Bytes;
use tokio::time::Instant;

const AUDIO: FeedKey = FeedKey::new(Codec::Aac, Form::Frames);
const VIDEO: FeedKey = FeedKey::new(Codec::H264, Form::Frames);

/// One publication.
pub(super) struct Ingest {
    publication: Publication,
    listing: Listing,
    /// A warning that has come and is still to be told.
    notice: Option<String>,
    opened: Instant,
    timeline: Timeline,
    audio: Option<Track<AudioSpecificConfig>>,
    video: Option<Track<AvcConfig>>,
    length_size: usize,
    seen_idr: bool,
    /// The latest presentation time since the last key frame: a picture before it was reordered.
    shown: Option<Timestamp>,
    said: Said,
}

/// Something to be told to the publisher.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Remark {
    /// The publication goes on.
    Warning(String),
    /// It cannot.
    Refusal(String),
}

struct Track<C> {
    writer: FeedWriter,
    config: C,
}

/// What the publisher has been told already.
#[derive(Default)]
struct Said {
    audio: bool,
    video: bool,
    reordering: bool,
}

impl Ingest {
    /// Begins a publication at `now`, which is the stream's origin.
    pub(super) fn new(publication: Publication, listing: Listing, now: Instant) -> Self {
        Self {
            publication,
            listing,
            notice: None,
            opened: now,
            timeline: Timeline::default(),
            audio: None,
            video: None,
            length_size: 4,
            seen_idr: false,
            shown: None,
            said: Said::default(),
        }
    }

    /// Ends the publication.
    pub(super) fn end(self, reason: EndReason) {
        self.publication.end(reason);
    }

    /// Waits until there is a warning from elsewhere. Cancel-safe.
    pub(super) async fn notice(&mut self) {
        if self.notice.is_none() {
            self.notice = Some(self.listing.notice().await);
        }
    }

    /// The warning that was waited for.
    pub(super) const fn take_notice(&mut self) -> Option<String> {
        self.notice.take()
    }

    /// How often the publisher's clock has jumped.
    pub(super) const fn jumps(&self) -> u64 {
        self.timeline.jumps()
    }

    /// What the publisher says of its stream.
    pub(super) fn metadata(&self, metadata: Metadata) {
        self.listing.set_metadata(metadata);
    }

    /// An audio message.
    pub(super) fn audio(&mut self, now: Instant, time: RtmpTime, body: &Bytes) -> Option<Remark> {
        match AudioTag::parse(body) {
            Ok(AudioTag::Aac(packet)) => {
                // Before its configuration a packet cannot be decoded.
                let track = self.audio.as_ref()?;
                let elapsed = now.duration_since(self.opened).into();
                let time = self.timeline.map(MediaKind::Audio, time, elapsed);
                track.writer.write(Frame::audio(time, packet));
                None
            }
            Ok(AudioTag::AacConfig(record)) => {
                if self.audio.as_ref().is_some_and(|track| track.config.bytes() == &record) {
                    return None;
                }
                match AudioSpecificConfig::parse(Bytes::copy_from_slice(&record)) {
                    Ok(config) => self.set_audio(config),
                    Err(error) => {
                        self.warn_audio(format!("the sound is not carried: AAC configuration: {error}"))
                    }
                }
            }
            Ok(AudioTag::Empty) => None,
            Ok(AudioTag::Unsupported(codec)) => {
                self.warn_audio(format!("the sound is not carried: {codec} is not supported, choose AAC"))
            }
            Err(error) => self.warn_audio(format!("audio that cannot be read is left out: {error}")),
        }
    }

    /// A video message.
    pub(super) fn video(&mut self, now: Instant, time: RtmpTime, body: &Bytes) -> Option<Remark> {
        match VideoTag::parse(body) {
            Ok(VideoTag::AvcFrame { keyframe, composition, data }) => {
                self.picture(now, time, keyframe, composition, data)
            }
            Ok(VideoTag::AvcConfig(record)) => match AvcConfig::parse(&record) {
                Ok((config, length_size)) => {
                    self.length_size = length_size;
                    self.set_video(config)
                }
                Err(error) => self.warn_video(format!("H.264 configuration that cannot be used: {error}")),
            },
            Ok(VideoTag::AvcEnd | VideoTag::Empty) => None,
            Ok(VideoTag::Unsupported(codec)) => {
                Some(Remark::Refusal(format!("{codec} is not supported, choose H.264")))
            }
            Err(error) => self.warn_video(format!("video that cannot be read is left out: {error}")),
        }
    }

    fn picture(
        &mut self,
        now: Instant,
        time: RtmpTime,
        keyframe: bool,
        composition: MediaDuration,
        data: Bytes,
    ) -> Option<Remark> {
        let unit = AccessUnit::from_length_prefixed(data, self.length_size);
        let (mut any, mut idr, mut recovery, mut sets) = (false, false, false, false);
        for nal in unit.nals() {
            any = true;
            match NalKind::of(nal) {
                Some(NalKind::IdrSlice) => idr = true,
                Some(NalKind::Sps | NalKind::Pps) => sets = true,
                Some(NalKind::Sei) if keyframe => recovery |= is_recovery_point(nal),
                _ => {}
            }
        }
        // GStreamer calls every picture of I slices a key frame, though later ones may refer to what was before it.
        self.seen_idr |= idr;
        let keyframe = idr || (keyframe && (recovery || !self.seen_idr));
        if !any {
            return self.warn_video("video that cannot be split into NAL units is left out".into());
        }
        let unit = if sets { self.take_parameter_sets(&unit)? } else { unit };
        let track = self.video.as_ref()?;
        let elapsed = now.duration_since(self.opened).into();
        let dts = self.timeline.map(MediaKind::Video, time, elapsed);
        let pts = dts + composition;
        track.writer.write(Frame {
            kind: MediaKind::Video,
            dts,
            pts,
            keyframe,
            payload: Payload::Nalus(unit),
        });
        self.notice_reordering(pts, keyframe)
    }

    /// Pictures that are sent in another order than shown: B-frames, which browsers cannot show.
    fn notice_reordering(&mut self, pts: Timestamp, keyframe: bool) -> Option<Remark> {
        let shown = self.shown.filter(|_| !keyframe);
        self.shown = Some(shown.map_or(pts, |shown| shown.max(pts)));
        if self.said.reordering || shown.is_none_or(|shown| pts >= shown) {
            return None;
        }
        self.said.reordering = true;
        let text = "the video has B-frames, which WebRTC cannot carry: browsers see it at a lower frame rate; set B-frames to 0";
        Some(Remark::Warning(text.into()))
    }

    /// Frames carry no parameter sets: those within become the track's. `None` if nothing else is there.
    fn take_parameter_sets(&mut self, unit: &AccessUnit) -> Option<AccessUnit> {
        let of_kind = |kind| -> Vec<Bytes> {
            unit.nals().filter(|nal| NalKind::of(nal) == Some(kind)).map(Bytes::copy_from_slice).collect()
        };
        let (mut sps, mut pps) = (of_kind(NalKind::Sps), of_kind(NalKind::Pps));
        let known = self.video.as_ref().map(|track| &track.config);
        let is_known = known.is_some_and(|config| {
            sps.iter().all(|set| config.sps().contains(set))
                && pps.iter().all(|set| config.pps().contains(set))
        });
        if !is_known {
            if let Some(config) = known {
                sps = if sps.is_empty() { config.sps().to_vec() } else { sps };
                pps = if pps.is_empty() { config.pps().to_vec() } else { pps };
            }
            if let Ok(config) = AvcConfig::new(sps, pps) {
                self.set_video(config);
            }
        }
        let is_set = |nal: &&[u8]| matches!(NalKind::of(nal), Some(NalKind::Sps | NalKind::Pps));
        let rest = AccessUnit::from_nals(unit.nals().filter(|nal| !is_set(nal)));
        (!rest.as_length_prefixed().is_empty()).then_some(rest)
    }

    fn set_audio(&mut self, config: AudioSpecificConfig) -> Option<Remark> {
        let params = CodecParams::Aac(config.clone());
        match &mut self.audio {
            Some(track) => track.config = config,
            None => {
                let writer = self.publication.publisher().track(AUDIO)?;
                self.audio = Some(Track { writer, config });
            }
        }
        self.audio.as_ref()?.writer.set_params(params);
        None
    }

    fn set_video(&mut self, config: AvcConfig) -> Option<Remark> {
        let params = CodecParams::H264(config.clone());
        match &mut self.video {
            Some(track) if track.config == config => return None,
            Some(track) => track.config = config,
            None => {
                let writer = self.publication.publisher().track(VIDEO)?;
                self.video = Some(Track { writer, config });
            }
        }
        self.video.as_ref()?.writer.set_params(params);
        None
    }

    fn warn_audio(&mut self, text: String) -> Option<Remark> {
        (!std::mem::replace(&mut self.said.audio, true)).then_some(Remark::Warning(text))
    }

    fn warn_video(&mut self, text: String) -> Option<Remark> {
        (!std::mem::replace(&mut self.said.video, true)).then_some(Remark::Warning(text))
    }
}
