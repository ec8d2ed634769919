//! The control API: what is going on, as JSON.

use super::problem::Problem;
use super::router::App;
use crate::codec::h264::Sps;
use crate::media::{CodecParams, MediaKind};
use crate::room::{InvalidName, Name, ParticipantInfo, RoomInfo};
use crate::server::rtmp::PlayerInfo;
use crate::server::webrtc::{SessionInfo, SessionKind};
use crate::stream::{FeedInfo, FeedKey, Form, Stream, StreamName, Warning};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// `GET /api/v1/server`.
#[derive(Serialize)]
pub(super) struct ServerReport {
    version: &'static str,
    uptime_seconds: u64,
    rtmp_port: u16,
    webrtc_port: u16,
    /// Where the same is served over TLS, and RTMP's port takes `rtmps://`; absent while TLS is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    https_port: Option<u16>,
    /// Whether recordings may be browsed.
    recordings: bool,
}

/// `GET /api/v1/rooms`.
#[derive(Serialize)]
pub(super) struct RoomsReport {
    rooms: Vec<RoomReport>,
}

/// `GET /api/v1/rooms/{room}`.
#[derive(Serialize)]
pub(super) struct RoomReport {
    name: String,
    locked: bool,
    recording: bool,
    /// The session that it is recorded in.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    participants: Vec<ParticipantReport>,
}

#[derive(Serialize)]
struct ParticipantReport {
    name: String,
    protocol: &'static str,
    role: &'static str,
    streams: Vec<StreamReport>,
}

#[derive(Serialize)]
struct StreamReport {
    name: String,
    /// The file that it is, or was, recorded in: `ROOM/SESSION/FILE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    recording: Option<String>,
    tracks: Vec<TrackReport>,
    renditions: Vec<RenditionReport>,
    warnings: Vec<Remark>,
    /// How often the publisher's times were mended, by kind; those that were not are left out.
    repairs: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    publisher: Option<SessionReport>,
    /// Everybody who watches, by whatever protocol.
    viewers: Vec<ViewerReport>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ViewerReport {
    Webrtc(SessionReport),
    Rtmp(PlayerReport),
}

/// Somebody who plays over RTMP.
#[derive(Serialize)]
struct PlayerReport {
    protocol: &'static str,
    age_seconds: f64,
    codecs: Vec<&'static str>,
    bytes: u64,
    frames: u64,
    /// Frames that it did not get because it was too slow.
    lost_frames: u64,
}

/// What the publisher itself sends.
#[derive(Serialize)]
struct TrackReport {
    #[serde(flatten)]
    feed: FeedReport,
    #[serde(flatten)]
    params: ParamsReport,
    /// Frames a second, where the feed is made of frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    fps: Option<f64>,
}

/// What the bridge makes of it.
#[derive(Serialize)]
struct RenditionReport {
    #[serde(flatten)]
    feed: FeedReport,
    from: FeedName,
    #[serde(flatten)]
    remark: Remark,
}

#[derive(Serialize)]
struct FeedReport {
    kind: &'static str,
    #[serde(flatten)]
    name: FeedName,
    /// Payload bits a second over the last seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    bitrate: Option<u64>,
    /// Who reads this feed as it is: RTMP players one each, the WebRTC viewers of one thread together, and conversions. How
    /// many people watch is the length of `viewers`.
    subscribers: usize,
}

#[derive(Serialize)]
struct FeedName {
    codec: &'static str,
    form: &'static str,
}

/// A reason for programs and for people.
#[derive(Serialize)]
struct Remark {
    reason: &'static str,
    message: String,
}

#[derive(Serialize, Default)]
struct ParamsReport {
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_rate: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<u8>,
}

/// A WebRTC session.
#[derive(Serialize)]
struct SessionReport {
    protocol: &'static str,
    age_seconds: f64,
    transport: Option<&'static str>,
    dtls: Option<String>,
    srtp: Option<&'static str>,
    connect_ms: Option<f64>,
    codecs: Vec<&'static str>,
    bitrate: u64,
    bytes: u64,
    packets: u64,
    lost: u64,
    retransmitted: u64,
    nacks: u64,
    keyframe_requests: u64,
    round_trip_ms: Option<f64>,
    /// What the line to a viewer is estimated to carry, in bits a second; `null` while nothing has shown a bound.
    estimate: Option<u64>,
    /// Lines of the picture that a viewer gets, and why it is not the best.
    height: Option<u32>,
    limited_by: &'static str,
    padding_bytes: u64,
}

/// `GET /api/v1/server`.
pub(super) async fn server(State(app): State<App>) -> Json<ServerReport> {
    Json(ServerReport {
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: app.started.elapsed().as_secs(),
        rtmp_port: app.rtmp_port,
        webrtc_port: app.webrtc.local_addr().port(),
        https_port: app.https_port,
        recordings: app.recordings.is_some(),
    })
}

/// `GET /api/v1/rooms`.
pub(super) async fn rooms(State(app): State<App>) -> Json<RoomsReport> {
    let present = Present::of(&app);
    let rooms = app.rooms.list().iter().map(|room| RoomReport::new(&app, room, &present)).collect();
    Json(RoomsReport { rooms })
}

/// `GET /api/v1/rooms/{room}`.
pub(super) async fn room(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<RoomReport>, Problem> {
    let name: Name = name.parse().map_err(|error: InvalidName| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_name", format!("room: {error}"))
    })?;
    let Some(room) = app.rooms.room(&name) else {
        return Err(Problem::not_found(format!("nobody is in room {name}")));
    };
    Ok(Json(RoomReport::new(&app, &room, &Present::of(&app))))
}

/// All who publish over WebRTC, and all who watch.
struct Present {
    sessions: Vec<SessionInfo>,
    players: Vec<PlayerInfo>,
}

impl Present {
    fn of(app: &App) -> Self {
        Self { sessions: app.webrtc.sessions(), players: app.players.list() }
    }

    fn sessions(&self, stream: &StreamName, kind: SessionKind) -> impl Iterator<Item = SessionReport> {
        let is_own = move |session: &&SessionInfo| session.kind == kind && session.stream == *stream;
        self.sessions.iter().filter(is_own).map(SessionReport::from)
    }

    fn viewers(&self, stream: &StreamName) -> Vec<ViewerReport> {
        let players = self.players.iter().filter(|player| player.stream == *stream).map(PlayerReport::from);
        let sessions = self.sessions(stream, SessionKind::Viewer).map(ViewerReport::Webrtc);
        sessions.chain(players.map(ViewerReport::Rtmp)).collect()
    }
}

impl RoomReport {
    fn new(app: &App, room: &RoomInfo, present: &Present) -> Self {
        let participants =
            room.participants.iter().map(|participant| ParticipantReport::new(app, participant, present));
        Self {
            name: room.name.to_string(),
            locked: room.locked,
            recording: room.recording,
            session: room.session.clone(),
            participants: participants.collect(),
        }
    }
}

impl ParticipantReport {
    fn new(app: &App, participant: &ParticipantInfo, present: &Present) -> Self {
        Self {
            name: participant.seen.login.to_string(),
            protocol: participant.seen.protocol.as_str(),
            role: participant.seen.role.as_str(),
            streams: participant.streams.iter().map(|s| StreamReport::new(app, s, present)).collect(),
        }
    }
}

impl StreamReport {
    fn new(app: &App, stream: &Stream, present: &Present) -> Self {
        let feeds = stream.feeds();
        let rendition = |feed: &FeedInfo, info: &crate::bridge::RenditionInfo| RenditionReport {
            feed: FeedReport::new(app, stream, feed),
            from: info.from.into(),
            remark: Remark { reason: info.reason.as_str(), message: info.reason.to_string() },
        };
        let renditions = app.bridge.renditions(stream);
        let renditions = renditions.iter().filter_map(|info| {
            feeds.iter().find(|feed| feed.key == info.feed).map(|feed| rendition(feed, info))
        });
        let warnings = stream.warnings().into_iter().map(Remark::from).collect();
        Self {
            name: stream.name().stream.to_string(),
            recording: stream.recorded().borrow().as_ref().map(|recorded| recorded.name.to_string()),
            tracks: feeds
                .iter()
                .filter(|feed| feed.native && !feed.key.is_lower())
                .map(|feed| TrackReport::new(app, stream, feed))
                .collect(),
            renditions: renditions.collect(),
            warnings,
            repairs: stream.repairs().iter().map(|(kind, count)| (kind.as_str(), count)).collect(),
            publisher: present.sessions(stream.name(), SessionKind::Publisher).next(),
            viewers: present.viewers(stream.name()),
        }
    }
}

impl TrackReport {
    fn new(app: &App, stream: &Stream, feed: &FeedInfo) -> Self {
        let is_video = feed.key.kind() == MediaKind::Video;
        let rate = app.sampler.rate(stream, feed.key);
        Self {
            feed: FeedReport::new(app, stream, feed),
            params: feed.params.as_ref().map(ParamsReport::from).unwrap_or_default(),
            fps: rate
                .filter(|_| is_video && feed.key.form == Form::Frames)
                .map(|rate| (rate.items * 10.0).round() / 10.0),
        }
    }
}

impl FeedReport {
    fn new(app: &App, stream: &Stream, feed: &FeedInfo) -> Self {
        Self {
            kind: feed.key.kind().as_str(),
            name: feed.key.into(),
            bitrate: app.sampler.rate(stream, feed.key).map(|rate| rate.bits),
            subscribers: feed.subscribers,
        }
    }
}

impl From<FeedKey> for FeedName {
    fn from(key: FeedKey) -> Self {
        Self { codec: key.codec.as_str(), form: key.form.as_str() }
    }
}

impl From<Warning> for Remark {
    fn from(warning: Warning) -> Self {
        Self { reason: warning.as_str(), message: warning.to_string() }
    }
}

impl ParamsReport {
    /// The size alone.
    fn sized(params: &CodecParams) -> Self {
        let (width, height) = params.picture_size().unzip();
        Self { width, height, ..Self::default() }
    }
}

impl From<&CodecParams> for ParamsReport {
    fn from(params: &CodecParams) -> Self {
        match params {
            CodecParams::H264(config) => {
                let [profile, constraints, level] = config.profile_level_id();
                let sps = config.sps().first().and_then(|sps| Sps::parse(sps).ok());
                Self {
                    profile: Some(h264_profile(profile, constraints)),
                    level: Some(format!("{}.{}", level / 10, level % 10)),
                    width: sps.as_ref().map(|sps| sps.width),
                    height: sps.as_ref().map(|sps| sps.height),
                    ..Self::default()
                }
            }
            CodecParams::Vp8 | CodecParams::Sorenson | CodecParams::Vp6 => Self::default(),
            CodecParams::Hevc(config) => {
                let (profile, level) = (config.said().profile & 0x1f, config.said().level);
                // ITU-T H.265, section A.3.
                let profile =
                    ["Main", "Main 10", "Main Still Picture"].get(usize::from(profile).wrapping_sub(1));
                Self {
                    profile: profile.map(|&name| name.to_owned()),
                    level: Some(format!("{}.{}", level / 30, level % 30 / 3)),
                    ..Self::sized(params)
                }
            }
            CodecParams::Av1(config) => {
                let (profile, level) = (config.said().profile, config.said().level);
                Self {
                    profile: ["Main", "High", "Professional"]
                        .get(usize::from(profile))
                        .map(|&name| name.to_owned()),
                    level: Some(format!("{}.{}", 2 + level / 4, level % 4)),
                    ..Self::sized(params)
                }
            }
            CodecParams::Vp9(config) => Self {
                profile: Some(format!("Profile {}", config.key().profile)),
                level: Some(format!("{}.{}", config.level() / 10, config.level() % 10)),
                ..Self::sized(params)
            },
            CodecParams::Aac(config) => Self {
                profile: Some(aac_profile(config.profile())),
                sample_rate: Some(config.output_rate().get()),
                channels: Some(config.output_channels()),
                ..Self::default()
            },
            CodecParams::Opus(config) => Self {
                sample_rate: Some(params.clock_rate().get()),
                channels: Some(config.channels),
                ..Self::default()
            },
            CodecParams::Sound(config) => Self {
                sample_rate: Some(config.rate.get()),
                channels: Some(config.channels),
                ..Self::default()
            },
        }
    }
}

/// Milliseconds, to a tenth.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}

impl From<&PlayerInfo> for PlayerReport {
    fn from(info: &PlayerInfo) -> Self {
        Self {
            protocol: "rtmp",
            age_seconds: millis(info.age) / 1000.0,
            codecs: info.codecs.iter().map(|codec| codec.as_str()).collect(),
            bytes: info.bytes,
            frames: info.frames,
            lost_frames: info.lost,
        }
    }
}

impl From<&SessionInfo> for SessionReport {
    fn from(info: &SessionInfo) -> Self {
        Self {
            protocol: match info.kind {
                SessionKind::Publisher => "whip",
                SessionKind::Viewer => "whep",
            },
            age_seconds: millis(info.age) / 1000.0,
            transport: info.transport,
            dtls: info.dtls.clone(),
            srtp: info.srtp,
            connect_ms: info.connect_time.map(millis),
            codecs: info.codecs.iter().map(|codec| codec.as_str()).collect(),
            bitrate: info.bitrate,
            bytes: info.bytes,
            packets: info.packets,
            lost: info.lost,
            retransmitted: info.retransmitted,
            nacks: info.nacks,
            keyframe_requests: info.keyframe_requests,
            round_trip_ms: info.round_trip.map(millis),
            estimate: info.estimate,
            height: info.picture.height,
            limited_by: info.picture.limit.as_str(),
            padding_bytes: info.padding,
        }
    }
}

/// The name of a `profile_idc` with its constraint flags (ITU-T H.264, annex A.2).
fn h264_profile(profile: u8, constraints: u8) -> String {
    match (profile, constraints & 0x40 != 0) {
        (66, true) => "Constrained Baseline".to_owned(),
        (66, false) => "Baseline".to_owned(),
        (77, _) => "Main".to_owned(),
        (88, _) => "Extended".to_owned(),
        (100, _) => "High".to_owned(),
        (110, _) => "High 10".to_owned(),
        (122, _) => "High 4:2:2".to_owned(),
        (244, _) => "High 4:4:4 Predictive".to_owned(),
        (other, _) => other.to_string(),
    }
}

/// The name of an audio object type (ISO/IEC 14496-3, table 1.17).
fn aac_profile(object_type: u8) -> String {
    match object_type {
        1 => "Main".to_owned(),
        2 => "LC".to_owned(),
        5 => "HE-AAC".to_owned(),
        29 => "HE-AAC v2".to_owned(),
        other => other.to_string(),
    }
}
