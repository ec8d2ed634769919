//! The whole program: binds every server, runs them, and takes them down in order.

use crate::bridge::Bridge;
use crate::config::{self, Config};
use crate::metrics;
use crate::recording::{Notices, Recorder, RecorderError, Store};
use crate::room::{Limits, Name, RecordingPolicy, Rooms};
use crate::server::conference::{Conference, Services};
use crate::server::hooks::{Hooks, HooksError};
use crate::server::s3::{self, StoreError};
use crate::server::tls::{Tls, TlsError};
use crate::server::{http, rtmp, webrtc};
use crate::time::NtpTime;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How long clients have to take the news that the server goes down; what is left then is cut off.
const FAREWELL: Duration = Duration::from_millis(4_500);

/// All servers, bound and not yet running.
pub struct Gateway {
    rooms: Rooms,
    bridge: Bridge,
    /// Where anything may be recorded.
    recorder: Option<Recorder>,
    /// Where anybody is told.
    hooks: Option<Hooks>,
    rtmp: rtmp::Server,
    conference: Conference,
    webrtc: webrtc::Server,
    http: http::Server,
    tls: Option<Tls>,
    addresses: Addresses,
    /// Ends the media servers; HTTP ends after them.
    stop: CancellationToken,
}

/// Where it listens, with the ports that were found where the configuration says 0.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// RTMP, over TCP.
    pub rtmp: SocketAddr,
    /// WebRTC media, over UDP and TCP.
    pub webrtc: SocketAddr,
    /// HTTP.
    pub http: SocketAddr,
    /// HTTP over TLS, if that is on.
    pub https: Option<SocketAddr>,
}

/// Why it does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A port cannot be opened.
    #[error("cannot listen on {address} ({key}){}", advice(source))]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The configuration's name for it.
        key: &'static str,
        /// Why.
        source: io::Error,
    },
    /// There is no certificate to be had.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Nothing can be recorded, though it may be asked for.
    #[error(transparent)]
    Recorder(#[from] RecorderError),
    /// Nobody could be told.
    #[error(transparent)]
    Hooks(#[from] HooksError),
    /// Nothing could be uploaded.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Gateway {
    /// Binds everything; nothing is served yet. Must be called within a tokio runtime.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let Config { rtmp, http, webrtc, rooms, bridge, recording, hooks, room: rules, .. } = config;
        // Before any counter is looked up.
        metrics::handle();
        let stop = CancellationToken::new();
        #[expect(clippy::disallowed_methods, reason = "the time of day for all rooms, read once")]
        let wall = NtpTime::from(SystemTime::now());
        let limits_of = {
            let (rules, all) = (rules.clone(), limits(&rooms, recording.policy));
            move |room: &Name| {
                rules.of(room.as_str()).map_or(all, |rule| limits(&rule.rooms, rule.recording.policy))
            }
        };
        let rooms = Rooms::with_limits(rooms.max_rooms, wall, limits_of);
        let bridge = Bridge::new(bridge);
        let (rtmp_listen, webrtc_listen) = (rtmp.listen, webrtc.listen);
        let (http_listen, https_listen) = (http.listen, http.tls.listen);
        let failed = |address, key| move |source| StartError::Listen { address, key, source };
        let tls = Tls::start(&http.tls)?;
        let (browse, dir) = (recording.browse, recording.dir.clone());
        let names = webrtc.announce.iter().map(ToString::to_string).collect();
        let record_control = recording.control;
        let mut policies = rules.iter().map(|rule| rule.recording.policy).chain([recording.policy]);
        let records = policies.any(|policy| policy != config::Policy::Never);
        drop(policies);
        let (hooks, notices) = match Hooks::new(hooks)? {
            Some((hooks, notices)) => (Some(hooks), notices),
            None => (None, Notices::default()),
        };
        let destination = s3::destination(&recording.upload)?;
        // What was recorded is uploaded even where nothing is recorded any more.
        let recorder = (records || destination.is_some())
            .then(|| Recorder::open(recording, rules, rooms.clone(), bridge.clone(), notices, destination))
            .transpose()?;
        // What was recorded may be browsed even where nothing is recorded any more.
        let recordings = match (&recorder, browse) {
            (_, false) => None,
            (Some(recorder), true) => Some(recorder.store().clone()),
            (None, true) => Some(
                Store::open(&dir).map_err(|source| RecorderError::Folder { path: dir.clone(), source })?,
            ),
        };

        let rtmp = rtmp::Server::bind(rtmp, rooms.clone(), bridge.clone(), tls.clone(), stop.clone())
            .map_err(failed(rtmp_listen, "rtmp.listen"))?;
        let webrtc = webrtc::Server::bind(webrtc, bridge.clone(), stop.clone())
            .map_err(failed(webrtc_listen, "webrtc.listen"))?;
        let rtmp_address = rtmp.local_addr().map_err(failed(rtmp_listen, "rtmp.listen"))?;
        let conference = Conference::new(Services {
            rooms: rooms.clone(),
            bridge: bridge.clone(),
            webrtc: webrtc.clone(),
            rtmp_port: rtmp_address.port(),
            stop: stop.clone(),
        });
        let parts = http::Parts {
            conference: conference.clone(),
            rooms: rooms.clone(),
            bridge: bridge.clone(),
            webrtc: webrtc.clone(),
            players: rtmp.players(),
            rtmp_port: rtmp_address.port(),
            recordings,
            record_control,
            names,
            tls: tls.clone(),
            stop: stop.clone(),
        };
        let http = http::Server::bind(http, parts).map_err(|http::BindError { key, source }| {
            let address = if key == "http.listen" { http_listen } else { https_listen };
            StartError::Listen { address, key, source }
        })?;
        let https = http.secure_addr().transpose().map_err(failed(https_listen, "http.tls.listen"))?;
        let addresses = Addresses {
            rtmp: rtmp_address,
            webrtc: webrtc.local_addr(),
            http: http.local_addr().map_err(failed(http_listen, "http.listen"))?,
            https,
        };
        Ok(Self { rooms, bridge, recorder, hooks, rtmp, conference, webrtc, http, tls, addresses, stop })
    }

    /// Where it listens.
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Serves until `stop` is cancelled; then admits nobody more, tells publishers and viewers, and returns within 5 s.
    pub async fn run(self, stop: CancellationToken) {
        let Addresses { rtmp, webrtc, http, https } = self.addresses;
        info!(%rtmp, %webrtc, %http, https = https.map(tracing::field::display), "ready");
        let (media_ended, http_stop) = (CancellationToken::new(), CancellationToken::new());
        let recorder = async {
            if let Some(recorder) = &self.recorder {
                recorder.run(self.stop.clone()).await;
            }
        };
        let told = CancellationToken::new();
        let hooks = async {
            if let Some(hooks) = self.hooks {
                hooks.run(told.clone()).await;
            }
        };
        let media = async {
            let media = async {
                tokio::join!(self.rtmp.run(&self.conference), self.webrtc.closed(), recorder);
                self.bridge.shutdown().await;
                // What became of the recordings is the last news.
                told.cancel();
            };
            tokio::join!(media, hooks);
            media_ended.cancel();
        };
        let order = async {
            stop.cancelled().await;
            self.rooms.close();
            self.stop.cancel();
            // Health and metrics answer for as long as there is somebody to be told.
            if tokio::time::timeout(FAREWELL, media_ended.cancelled()).await.is_err() {
                warn!("not everybody took the news in time");
            }
            http_stop.cancel();
        };
        let certificate = async {
            if let Some(tls) = &self.tls {
                tls.run().await;
            }
        };
        tokio::select! {
            // Whatever did not take the news in time is dropped with its future.
            ((), ()) = async { tokio::join!(order, self.http.run(http_stop.clone())) } => {}
            () = async { tokio::join!(media, certificate, self.rooms.tidy()); std::future::pending().await } => {}
        }
        info!("stopped");
    }
}

fn limits(rooms: &config::Rooms, policy: config::Policy) -> Limits {
    Limits {
        rooms: rooms.max_rooms,
        participants: rooms.max_participants,
        streams: rooms.max_streams,
        messages_per_second: rooms.messages_per_second,
        message_length: rooms.message_length,
        history: rooms.history,
        linger: rooms.linger.0,
        recording: match policy {
            config::Policy::Never => RecordingPolicy::Never,
            config::Policy::OnRequest => RecordingPolicy::OnRequest,
            config::Policy::Always => RecordingPolicy::Always,
        },
    }
}

fn advice(error: &io::Error) -> &'static str {
    if error.raw_os_error() == Some(libc::EMFILE) {
        return "; allow the process more of them (ulimit -n, or LimitNOFILE of a systemd unit)";
    }
    match error.kind() {
        io::ErrorKind::AddrInUse => "; stop the program that does, or set another port",
        io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege: set another port",
        _ => "",
    }
}
