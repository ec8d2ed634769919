//! Frames from the bus, made into FLV tag bodies for a player.

use super::players::Playing;
use crate::bridge::{Accepts, Bridge, Subscription};
use crate::media::{Codec, CodecParams, Frame, MediaKind};
use crate::protocol::flv::{
    Metadata, SoundFacts, audio_frame_header, audio_sequence_header, video_frame_header,
    video_sequence_header,
};
use crate::protocol::rtmp::{ServerSession, StreamId};
use crate::stream::{EndReason, Event, FeedKey, Form, QueueLimits, Start, Stream, StreamName};
use crate::time::{ClockRate, MediaDuration, RtmpTime, Timestamp};
use bytes::Bytes;
use tokio::sync::watch;

/// One player.
pub(super) struct Egress {
    subscription: Subscription,
    playing: Playing,
    id: StreamId,
    /// What the publisher says of its stream, if it speaks RTMP.
    metadata: Option<watch::Receiver<Metadata>>,
    metadata_changed: bool,
    /// Whether the player has been told something that the publisher did not say.
    described: bool,
    /// Where the player's time begins: its first frame.
    base: Option<Timestamp>,
    video: Track<CodecParams>,
    audio: Track<CodecParams>,
    paused: bool,
    /// After a pause video goes on at a keyframe.
    needs_keyframe: bool,
}

struct Track<C> {
    config: Option<C>,
    /// Whether the player knows `config`.
    sent: bool,
}

impl Egress {
    /// For a player that takes any of these codecs. Begins with the frames since the stream's last keyframe.
    pub(super) fn new(
        bridge: &Bridge,
        stream: &Stream,
        id: StreamId,
        limits: QueueLimits,
        metadata: Option<watch::Receiver<Metadata>>,
        playing: Playing,
        codecs: &[Codec],
    ) -> Self {
        let of = |kind| {
            let codecs = codecs.iter().filter(|codec| codec.kind() == kind);
            codecs.map(|codec| FeedKey::new(*codec, Form::Frames)).collect()
        };
        let accepts = Accepts { audio: of(MediaKind::Audio), video: of(MediaKind::Video) };
        Self {
            subscription: bridge.subscribe(stream, accepts, Start::CachedGop, limits),
            playing,
            id,
            metadata,
            metadata_changed: false,
            described: false,
            base: None,
            video: Track { config: None, sent: false },
            audio: Track { config: None, sent: false },
            paused: false,
            needs_keyframe: false,
        }
    }

    /// Waits until there is something to [`forward`](Self::forward). Cancel-safe.
    pub(super) async fn ready(&mut self) {
        let metadata_changed = &mut self.metadata_changed;
        let changed = async {
            if let Some(metadata) = &mut self.metadata
                && metadata.changed().await.is_ok()
            {
                *metadata_changed = true;
                return;
            }
            std::future::pending().await
        };
        tokio::select! {
            biased;
            () = self.subscription.ready() => {}
            () = changed => {}
        }
    }

    /// Gives the session what waits until that is `enough` bytes: the rest stays in the queue, where it can still be
    /// lost. Says so when the stream has ended.
    pub(super) fn forward(&mut self, session: &mut ServerSession, enough: usize) -> Option<EndReason> {
        let unheard = |metadata: &watch::Receiver<Metadata>| metadata.has_changed().unwrap_or(false);
        self.metadata_changed |= self.metadata.as_ref().is_some_and(unheard);
        if self.base.is_some() && self.metadata_changed {
            self.send_metadata(session);
        }
        self.note_lost();
        let mut given = 0;
        while given < enough {
            match self.subscription.try_next()? {
                Event::Params(params) => match params.codec().kind() {
                    MediaKind::Audio => self.audio.set(params),
                    MediaKind::Video => self.video.set(params),
                },
                Event::Frame(frame) if !self.paused => given += self.frame(session, &frame),
                Event::Ended(reason) => return Some(reason),
                _ => {}
            }
        }
        None
    }

    /// What is played.
    pub(super) fn stream(&self) -> &StreamName {
        self.playing.stream()
    }

    /// Stops or goes on.
    pub(super) fn pause(&mut self, paused: bool) {
        if self.paused && !paused {
            self.needs_keyframe = true;
            self.subscription.request_keyframe();
        }
        self.paused = paused;
    }

    /// Counts what was lost because this player was too slow.
    pub(super) fn note_lost(&self) {
        self.playing.note_lost(self.subscription.subscriber().lost());
    }

    /// How many bytes that makes.
    fn frame(&mut self, session: &mut ServerSession, frame: &Frame) -> usize {
        if frame.kind == MediaKind::Video && self.needs_keyframe {
            if !frame.keyframe {
                return 0;
            }
            self.needs_keyframe = false;
        }
        let first = self.base.is_none();
        let base = *self.base.get_or_insert(frame.dts);
        let (dts, pts) = (milliseconds(frame.dts - base), milliseconds(frame.pts - base));
        // Sound that lies before the picture that came first has no place on the wire: put at zero, it would make all that
        // follows late for a player that counts samples.
        if dts < 0 && frame.kind == MediaKind::Audio {
            return 0;
        }
        // The clock on the wire wraps at 2^32.
        let time = RtmpTime(dts.max(0) as u32);
        if first || (self.described && !(self.video.is_known() && self.audio.is_known())) {
            self.send_metadata(session);
        }
        let configs = self.send_configs(session, time);
        let payload = frame.payload.bytes();
        match frame.kind {
            MediaKind::Video => {
                // No frame comes before its parameters.
                let Some(codec) = self.video.config.as_ref().map(CodecParams::codec) else { return configs };
                let composition = MediaDuration::from_millis(pts - dts);
                let head = video_frame_header(codec, frame.keyframe, composition);
                session.send_video(self.id, time, head.as_ref(), payload);
                self.playing.sent(codec, payload.len());
            }
            MediaKind::Audio => {
                let Some(codec) = self.audio.config.as_ref().map(CodecParams::codec) else { return configs };
                session.send_audio(self.id, time, audio_frame_header(codec).as_ref(), payload);
                self.playing.sent(codec, payload.len());
            }
        }
        configs + payload.len()
    }

    /// Sequence headers that the player does not know yet; how many bytes that makes.
    fn send_configs(&mut self, session: &mut ServerSession, time: RtmpTime) -> usize {
        let mut sent = 0;
        if let Some(params) = self.video.take_unsent()
            && let Some(record) = params.record()
        {
            session.send_video(self.id, time, &video_sequence_header(params.codec()), &record);
            sent += record.len();
        }
        if let Some(params) = self.audio.take_unsent() {
            let record = match params {
                CodecParams::Aac(config) => config.bytes().clone(),
                CodecParams::Opus(config) => Bytes::copy_from_slice(&config.to_header()),
                _ => return sent, // no player is sent any other sound
            };
            session.send_audio(self.id, time, audio_sequence_header(params.codec()).as_ref(), &record);
            sent += record.len();
        }
        sent
    }

    /// What the publisher says of its stream, or what can be seen of it.
    fn send_metadata(&mut self, session: &mut ServerSession) {
        self.metadata_changed = false;
        let said = self.metadata.as_mut().map(|metadata| metadata.borrow_and_update().clone());
        let audio = self.audio.config.as_ref().and_then(facts);
        let metadata = match said.filter(|said| !said.is_empty()) {
            Some(mut said) => {
                audio.into_iter().for_each(|audio| said.correct(audio));
                said
            }
            None => {
                self.described = true;
                Metadata::describe(self.video.config.as_ref().map(CodecParams::codec), audio)
            }
        };
        if !metadata.is_empty() {
            session.send_data(self.id, RtmpTime(0), metadata.to_message().into());
        }
    }
}

impl<C: PartialEq> Track<C> {
    fn set(&mut self, config: C) {
        if self.config.as_ref() != Some(&config) {
            (self.config, self.sent) = (Some(config), false);
        }
    }

    /// Whether there is nothing to be told of it.
    const fn is_known(&self) -> bool {
        self.sent || self.config.is_none()
    }

    fn take_unsent(&mut self) -> Option<&C> {
        if std::mem::replace(&mut self.sent, self.config.is_some()) {
            return None;
        }
        self.config.as_ref()
    }
}

/// What a player is told of its sound.
const fn facts(params: &CodecParams) -> Option<SoundFacts> {
    let (rate, channels) = match params {
        CodecParams::Aac(config) => (config.sample_rate(), config.channels()),
        CodecParams::Opus(config) => (ClockRate::OPUS, config.channels),
        _ => return None,
    };
    Some(SoundFacts { codec: params.codec(), rate, channels })
}

fn milliseconds(span: MediaDuration) -> i64 {
    span.to_ticks(ClockRate::MILLISECONDS)
}
