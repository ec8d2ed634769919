//! Publications and playbacks: from an offer to a final status, which each of them gets exactly once.

use super::close::Close;
use super::quality::Figures;
use super::refuse;
use super::session::{News, Session};
use crate::codec::{Codec, MediaKind};
use crate::protocol::room_api::{
    self as api, Adapt, Available, Info, Label, Layer, LayerLimit, MuteState, Notice, Play, Publish,
    ServerMessage, Status, StreamEvent, StreamNotice, StreamStatus,
};
use crate::room::{Media, Name, PublishedName, Refusal, StreamKind, Wish};
use crate::server::webrtc::{
    Adaptation, Answer, End, Limit, Options, Picture, Progress, SessionId, Transport,
};
use crate::stream;
use crate::time::NtpTime;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::debug;

/// Publications and playbacks of one session at the same time.
const MAX_STREAMS: usize = 200;
/// Those of them that have yet to connect: three for each other one in a room of sixteen.
const MAX_CONNECTING: usize = 45;
/// A stream that is to be played and whose tracks are not known by then is played with what it has.
const SETTLE: Duration = Duration::from_secs(3);

/// A publication or a playback.
pub(super) struct Stream {
    serial: u64,
    room: Name,
    /// As its client calls it.
    name: Label,
    role: Role,
    /// What it is called by who carries its media, once there is an answer.
    session: Option<SessionId>,
    /// Media has begun to flow.
    connected: bool,
    /// Why it is being stopped, if it is.
    stopping: Option<Info>,
    /// What it has.
    media: Media,
    /// Of a playback, how it is shown.
    shown: Adaptation,
    /// Of a playback, when it was last looked at.
    pub(super) figures: Option<Figures>,
}

enum Role {
    Publication {
        name: PublishedName,
        source: stream::Stream,
    },
    /// With the offer that waits until it can be answered.
    Playback {
        source: stream::Stream,
        offer: Option<Box<Play>>,
    },
}

impl Session {
    /// `publishStream`.
    pub(super) fn publish(&mut self, request: Publish) {
        let id = request.media_session_id.clone();
        if let Err(info) = self.try_publish(request) {
            self.refuse_stream(id, true, info);
        }
    }

    fn try_publish(&mut self, request: Publish) -> Result<(), Info> {
        self.check_place(&request.media_session_id)?;
        let name: PublishedName = request
            .name
            .as_str()
            .parse()
            .map_err(|error: crate::room::InvalidPublishedName| Info::sentence(error.to_string()))?;
        let seat = match &request.custom.name {
            Some(room) => room.parse().ok().and_then(|room: Name| self.seats.get_key_value(&room)),
            // A client in one room need not say which.
            None => self.seats.iter().next().filter(|_| self.seats.len() == 1),
        };
        let Some((room, seat)) = seat else {
            return Err(Info::sentence("a stream belongs to a room; join it first"));
        };
        let room = room.clone();
        #[expect(clippy::disallowed_methods, reason = "the publication's wall-clock anchor, read once")]
        let origin = NtpTime::from(SystemTime::now());
        let kind = if request.is_screen() { StreamKind::Screen } else { StreamKind::Camera };
        let publication = seat
            .membership
            .publish_as(name.clone(), kind, origin)
            .map_err(|refusal| refuse::no_place(&refusal))?;
        let source = publication.publisher().stream();
        source.set_client_id(request.media_session_id.as_str());
        if request.record {
            // A wish: policy grants it or not.
            drop(seat.membership.record(Wish::Stream(name.clone())));
        }
        let options = Options { transport: transport(request.transport.as_deref()), ..Options::default() };
        let answer = self
            .conference
            .webrtc
            .publish(publication, &request.sdp, &options)
            .map_err(|error| refuse::no_answer(&error))?;
        let stream = Stream {
            serial: self.number(),
            room,
            name: request.name,
            role: Role::Publication { name, source },
            session: None,
            connected: false,
            stopping: None,
            media: Media { audio: request.has_audio, video: request.has_video },
            shown: Adaptation::default(),
            figures: None,
        };
        self.streams.insert(request.media_session_id.clone(), stream);
        self.answered(request.media_session_id, answer);
        Ok(())
    }

    /// `playStream`.
    pub(super) fn play(&mut self, request: Play) {
        let id = request.media_session_id.clone();
        if let Err(info) = self.try_play(request) {
            self.refuse_stream(id, false, info);
        }
    }

    fn try_play(&mut self, request: Play) -> Result<(), Info> {
        self.check_place(&request.media_session_id)?;
        let source = self.find(request.custom.name.as_deref(), &request.name)?;
        let room: Name = source.name().room.parse().map_err(|_| Info::StreamNotFound)?;
        let (id, serial) = (request.media_session_id.clone(), self.number());
        // A page shows nothing before each medium of the answer has come, so what there is has to be known first.
        let waited = source.clone();
        self.news.push(Box::pin({
            let id = id.clone();
            async move {
                let _late = timeout(SETTLE, waited.settled()).await;
                News::Settled { id, serial }
            }
        }));
        let height = request.height;
        let stream = Stream {
            serial,
            room,
            name: request.name.clone(),
            role: Role::Playback { source, offer: Some(Box::new(request)) },
            session: None,
            connected: false,
            stopping: None,
            media: Media::default(),
            shown: Adaptation { max_height: (height > 0).then_some(height), paused: false },
            figures: None,
        };
        self.streams.insert(id, stream);
        Ok(())
    }

    /// What is to be played is known.
    pub(super) fn settled(&mut self, id: Label, serial: u64) {
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| stream.serial == serial) else { return };
        let Role::Playback { source, offer } = &mut stream.role else { return };
        let Some(request) = offer.take() else { return };
        let sends = |kind| source.sends(kind) == Some(true);
        if source.ended().is_none() && !sends(MediaKind::Audio) && !sends(MediaKind::Video) {
            return self.finish(&id, Status::Failed, Info::PublishStreamNotReady);
        }
        let options = Options {
            transport: transport(request.transport.as_deref()),
            stream_id: None,
            only_present: true,
            line: Some(self.line.clone()),
        };
        match self.conference.webrtc.play(source.clone(), &request.sdp, &options) {
            Ok(answer) => self.answered(id, answer),
            Err(error) => self.finish(&id, Status::Failed, refuse::no_answer(&error)),
        }
    }

    fn answered(&mut self, id: Label, answer: Answer) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let serial = stream.serial;
        let is_playback = matches!(stream.role, Role::Playback { .. });
        if stream.shown != Adaptation::default() {
            self.conference.webrtc.adapt(&answer.session, stream.shown);
        }
        stream.session = Some(answer.session);
        self.say(ServerMessage::SetRemoteSdp(id.clone(), answer.sdp, true));
        self.follow(id.clone(), serial, answer.progress);
        if is_playback && self.is_declared() {
            self.watch(id, serial, answer.picture);
        }
    }

    /// Waits until a stream goes on.
    fn follow(&self, id: Label, serial: u64, mut watched: watch::Receiver<Progress>) {
        self.news.push(Box::pin(async move {
            let progress = match watched.changed().await {
                Ok(()) => Some(*watched.borrow_and_update()),
                // Who says how it goes is gone; the last word may have been said.
                Err(_) => watched.borrow().end().map(Progress::Ended),
            };
            News::Stream { id, serial, progress, watched }
        }));
    }

    /// Waits until the picture of a playback changes.
    fn watch(&self, id: Label, serial: u64, mut watched: watch::Receiver<Picture>) {
        self.news.push(Box::pin(async move {
            let picture = watched.changed().await.ok().map(|()| *watched.borrow_and_update());
            News::Picture { id, serial, picture, watched }
        }));
    }

    pub(super) fn picture_news(
        &mut self,
        id: Label,
        serial: u64,
        picture: Option<Picture>,
        watched: watch::Receiver<Picture>,
    ) {
        let is_there = self.streams.get(&id).is_some_and(|stream| stream.serial == serial);
        let Some(Picture { height, limit, audio_only }) = picture.filter(|_| is_there) else { return };
        let limited_by = match limit {
            Limit::None => LayerLimit::None,
            Limit::Size => LayerLimit::Size,
            Limit::Bandwidth => LayerLimit::Bandwidth,
            Limit::Paused => LayerLimit::Paused,
        };
        let notice = Notice::Layer(Layer { height: height.unwrap_or(0), limited_by, audio_only });
        let notice = StreamNotice { media_session_id: id.clone(), notice };
        self.say(ServerMessage::NotifyStreamEvent((notice,)));
        self.watch(id, serial, watched);
    }

    pub(super) fn stream_news(
        &mut self,
        id: Label,
        serial: u64,
        progress: Option<Progress>,
        watched: watch::Receiver<Progress>,
    ) {
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| stream.serial == serial) else { return };
        match progress.unwrap_or(Progress::Ended(End::Failed)) {
            Progress::Waiting => self.follow(id, serial, watched),
            Progress::Connected { audio, video } => {
                stream.connected = true;
                stream.media = Media { audio: audio.is_some(), video: video.is_some() };
                self.runs(&id, audio, video);
                self.follow(id, serial, watched);
            }
            Progress::Ended(end) => {
                let is_publication = matches!(stream.role, Role::Publication { .. });
                let (as_wanted, info) = refuse::ended(end, is_publication);
                let stopped = stream.stopping.take();
                let status = match (as_wanted || stopped.is_some(), is_publication) {
                    (false, _) => Status::Failed,
                    (true, true) => Status::Unpublished,
                    (true, false) => Status::Stopped,
                };
                self.finish(&id, status, stopped.unwrap_or(info));
            }
        }
    }

    /// `unPublishStream` and `stopStream`, or as if. The final status comes when the media has ended.
    pub(super) fn stop(&mut self, id: &Label, info: Info) {
        let Some(stream) = self.streams.get_mut(id) else {
            debug!(%id, "no such stream");
            return;
        };
        let is_carried = stream.session.as_ref().is_some_and(|session| self.conference.webrtc.close(session));
        if is_carried {
            stream.stopping.get_or_insert(info);
        } else if stream.session.is_none() {
            self.finish(id, Status::Stopped, info);
        }
        // Otherwise it is at its end already, and the status is on its way.
    }

    /// Stops what the session publishes and plays in a room.
    pub(super) fn stop_all_of(&mut self, room: &Name, info: &Info) {
        for id in self.ids(|stream| stream.room == *room) {
            self.stop(&id, info.clone());
        }
    }

    /// Nobody is left to be told.
    pub(super) fn end_streams(&mut self) {
        for (_, stream) in self.streams.drain() {
            // A publication ends with its membership, and so it is known whether its publisher wanted that.
            if let (Role::Playback { .. }, Some(session)) = (&stream.role, &stream.session) {
                self.conference.webrtc.close(session);
            }
        }
    }

    /// `sendStreamEvent`: to all who play a publication.
    pub(super) fn stream_event(&mut self, event: StreamEvent) {
        let Some(stream) = self.streams.get(&event.media_session_id) else { return };
        let (Role::Publication { name, .. }, Some(seat)) = (&stream.role, self.seats.get(&stream.room))
        else {
            return;
        };
        let told = match event.kind.as_str() {
            "audioMuted" => seat.membership.mute(name.clone(), MediaKind::Audio, true),
            "audioUnmuted" => seat.membership.mute(name.clone(), MediaKind::Audio, false),
            "videoMuted" => seat.membership.mute(name.clone(), MediaKind::Video, true),
            "videoUnmuted" => seat.membership.mute(name.clone(), MediaKind::Video, false),
            "data" => seat.membership.send_data(name.clone(), &event.payload.to_string()),
            _ => return,
        };
        match told {
            Ok(()) => {}
            // There is no answer to it, and what the others are shown must not be wrong for good.
            Err(Refusal::RateLimited) if event.kind != "data" => self.close(Close::Flood),
            Err(refusal) => debug!(%refusal, "event of a stream"),
        }
    }

    /// A publisher has muted something, or does no longer.
    pub(super) fn muted(&mut self, name: &PublishedName, medium: MediaKind, muted: bool) {
        let notice = match (medium, muted) {
            (MediaKind::Audio, true) => Notice::AudioMuted {},
            (MediaKind::Audio, false) => Notice::AudioUnmuted {},
            (MediaKind::Video, true) => Notice::VideoMuted {},
            (MediaKind::Video, false) => Notice::VideoUnmuted {},
        };
        self.tell_playbacks(name, &notice);
    }

    /// A stream is no more. Who plays it is told when its end has come by the same way as its media; who is yet to connect,
    /// now.
    pub(super) fn unpublished(&mut self, name: &PublishedName) {
        for id in self.ids(|stream| !stream.connected && stream.plays(name)) {
            self.stop(&id, Info::StoppedByPublisherStop);
        }
    }

    /// A publisher's application says something.
    pub(super) fn published_data(&mut self, name: &PublishedName, payload: &str) {
        if let Ok(payload) = serde_json::from_str(payload) {
            self.tell_playbacks(name, &Notice::Data(payload));
        }
    }

    fn tell_playbacks(&mut self, name: &PublishedName, notice: &Notice) {
        for media_session_id in self.ids(|stream| stream.plays(name)) {
            let notice = StreamNotice { media_session_id, notice: notice.clone() };
            self.say(ServerMessage::NotifyStreamEvent((notice,)));
        }
    }

    /// `availableStream`.
    pub(super) fn available(&mut self, stream: api::Stream) {
        let info = match &stream.name {
            Some(name) => self.find(None, name).err(),
            None => Some(Info::StreamNotFound),
        };
        let status = if info.is_none() { "true" } else { "false" }.to_owned();
        let available = Available { id: stream.media_session_id, status, info };
        self.say(ServerMessage::AvailableStream((available,)));
    }

    /// `adaptStream`.
    pub(super) fn adapt(&mut self, adapt: &Adapt) {
        let Some(stream) = self.streams.get_mut(&adapt.media_session_id) else { return };
        // A tile without a height is one that is being laid out.
        let max_height = adapt.max_height.filter(|height| *height > 0);
        stream.shown = Adaptation { max_height, paused: adapt.paused };
        if let Some(session) = &stream.session {
            self.conference.webrtc.adapt(session, stream.shown);
        }
    }

    /// A stream to be played: `<room>/<participant or stream>`, a stream of a room, or a stream by its name alone.
    pub(super) fn find(&self, room: Option<&str>, name: &Label) -> Result<stream::Stream, Info> {
        let rooms = &self.conference.rooms;
        let (room, wanted) = match name.as_str().split_once('/') {
            Some((room, wanted)) => (Some(room), wanted),
            None => (room, name.as_str()),
        };
        let room = match room {
            Some(room) => room.parse().ok(),
            None => wanted.parse().ok().and_then(|name| rooms.room_of(&name)),
        };
        let room: Name = room.ok_or(Info::StreamNotFound)?;
        self.look_up(&room, wanted).map_err(|refusal| refuse::no_place(&refusal))
    }

    fn ids(&self, which: impl Fn(&Stream) -> bool) -> Vec<Label> {
        self.streams.iter().filter(|(_, stream)| which(stream)).map(|(id, _)| id.clone()).collect()
    }

    fn check_place(&self, id: &Label) -> Result<(), Info> {
        if self.client.is_none() {
            return Err(Info::SessionNotReady);
        }
        if self.streams.contains_key(id) {
            return Err(Info::MediaSessionIdInUse);
        }
        if self.streams.len() >= MAX_STREAMS {
            return Err(Info::sentence(format!("a session has {MAX_STREAMS} streams at most")));
        }
        if self.streams.values().filter(|stream| !stream.connected).count() >= MAX_CONNECTING {
            return Err(Info::sentence(format!(
                "{MAX_CONNECTING} streams of this session are connecting; wait"
            )));
        }
        Ok(())
    }

    /// `PUBLISHING` or `PLAYING`.
    fn runs(&mut self, id: &Label, audio: Option<Codec>, video: Option<Codec>) {
        let Some(stream) = self.streams.get(id) else { return };
        let mut status = stream.status(id.clone());
        if let Role::Playback { source, .. } = &stream.role {
            let muted = self
                .seats
                .get(&stream.room)
                .and_then(|seat| seat.muted.get(&source.name().stream.parse().ok()?));
            let muted = muted.copied().unwrap_or_default();
            status.audio_state = Some(MuteState { muted: muted.audio });
            status.video_state = Some(MuteState { muted: muted.video });
        }
        let named = |codec: Option<Codec>| codec.map(|codec| codec.as_str().to_owned());
        (status.audio_codec, status.video_codec) = (named(audio), named(video));
        debug!(%id, stream = %stream.name, status = ?status.status, "stream");
        self.say(ServerMessage::NotifyStreamStatusEvent((Box::new(status),)));
    }

    /// The final status; the id is free.
    fn finish(&mut self, id: &Label, status: Status, info: Info) {
        let Some(stream) = self.streams.remove(id) else { return };
        debug!(%id, stream = %stream.name, ?status, %info, "stream");
        let status = StreamStatus { status, info: Some(info), ..stream.status(id.clone()) };
        self.say(ServerMessage::NotifyStreamStatusEvent((Box::new(status),)));
    }

    /// The final status of a stream that never was.
    pub(super) fn refuse_stream(&mut self, media_session_id: Label, published: bool, info: Info) {
        debug!(id = %media_session_id, published, %info, "stream refused");
        let status = StreamStatus {
            media_session_id,
            name: None,
            published,
            has_audio: false,
            has_video: false,
            status: Status::Failed,
            info: Some(info),
            audio_codec: None,
            video_codec: None,
            media_provider: PROVIDER.to_owned(),
            record: false,
            record_name: None,
            audio_state: None,
            video_state: None,
        };
        self.say(ServerMessage::NotifyStreamStatusEvent((Box::new(status),)));
    }
}

const PROVIDER: &str = "WebRTC";

impl Stream {
    pub(super) const fn room(&self) -> &Name {
        &self.room
    }

    fn plays(&self, name: &PublishedName) -> bool {
        match &self.role {
            Role::Playback { source, .. } => *source.name().stream == *name.as_str(),
            Role::Publication { .. } => false,
        }
    }

    /// What is played, and what carries it.
    pub(super) const fn playing(&self) -> Option<(&stream::Stream, &SessionId)> {
        match (&self.role, &self.session) {
            (Role::Playback { source, .. }, Some(session)) => Some((source, session)),
            _ => None,
        }
    }

    /// That it runs.
    fn status(&self, media_session_id: Label) -> StreamStatus {
        let (published, recorded) = match &self.role {
            Role::Publication { source, .. } => (true, source.recorded().borrow().clone()),
            Role::Playback { .. } => (false, None),
        };
        StreamStatus {
            media_session_id,
            name: Some(self.name.clone()),
            published,
            has_audio: self.media.audio,
            has_video: self.media.video,
            status: if published { Status::Publishing } else { Status::Playing },
            info: None,
            audio_codec: None,
            video_codec: None,
            media_provider: PROVIDER.to_owned(),
            record: recorded.is_some(),
            record_name: recorded.map(|recorded| recorded.name.to_string()),
            audio_state: None,
            video_state: None,
        }
    }
}

fn transport(wanted: Option<&str>) -> Transport {
    match wanted {
        Some("TCP") => Transport::Tcp,
        Some("UDP") => Transport::Udp,
        _ => Transport::Any,
    }
}
