//! A server of HTTP with all that stands behind it, on ports of its own.

use commonroom::bridge::Bridge;
use commonroom::config::{Http, Webrtc};
use commonroom::recording::Store;
use commonroom::room::{Limits, Rooms};
use commonroom::server::conference::{Conference, Services};
use commonroom::server::{http, rtmp, webrtc};
use commonroom::time::NtpTime;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A server that runs.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) rooms: Rooms,
    /// The whole program goes down.
    pub(crate) stop: CancellationToken,
    /// HTTP goes down.
    pub(crate) http_stop: CancellationToken,
    pub(crate) running: JoinHandle<()>,
    _webrtc: DropGuard,
}

impl Site {
    /// Serves these recordings, if there are any.
    pub(crate) fn start(limits: Limits, http: Http, webrtc: Webrtc, recordings: Option<Store>) -> Self {
        Self::start_with(limits, http, webrtc, recordings, false)
    }

    /// The same; `record_control`: whether whoever asks may start and stop recordings.
    pub(crate) fn start_with(
        limits: Limits,
        http: Http,
        webrtc: Webrtc,
        recordings: Option<Store>,
        record_control: bool,
    ) -> Self {
        let (rooms, bridge) = (Rooms::new(limits, NtpTime::default()), Bridge::default());
        let (stop, http_stop, media_stop) =
            (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let webrtc = Webrtc { listen: any_port(), shards: 1, ..webrtc };
        let webrtc = webrtc::Server::bind(webrtc, bridge.clone(), media_stop.clone())
            .expect("loopback has free ports");
        let services = Services {
            rooms: rooms.clone(),
            bridge: bridge.clone(),
            webrtc: webrtc.clone(),
            rtmp_port: 1935,
            stop: stop.clone(),
        };
        let parts = http::Parts {
            conference: Conference::new(services),
            rooms: rooms.clone(),
            bridge,
            webrtc,
            players: rtmp::Players::default(),
            rtmp_port: 1935,
            recordings,
            record_control,
            names: vec!["Room.example".to_owned()],
            tls: None,
            stop: stop.clone(),
        };
        let server =
            http::Server::bind(Http { listen: any_port(), ..http }, parts).expect("loopback has free ports");
        let address = server.local_addr().expect("it is bound");
        let running = tokio::spawn({
            let http_stop = http_stop.clone();
            async move { server.run(http_stop).await }
        });
        Self { address, rooms, stop, http_stop, running, _webrtc: media_stop.drop_guard() }
    }
}

/// One that the system chooses, on loopback.
pub(crate) fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}
