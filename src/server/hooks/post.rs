//! One request and its answer.

use super::sign::signature;
use super::{Event, GIVEN_UP, REFUSED};
use crate::config;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::error::Error as _;
use std::io;
use std::time::Duration;
use thiserror::Error;
use tokio::time::timeout;

/// A request and the head of its answer, connecting included.
const PATIENCE: Duration = Duration::from_secs(10);

/// Posts to one address.
pub(super) struct Poster {
    config: config::Hooks,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// Why an event did not arrive.
#[derive(Debug, Error)]
pub(super) enum Problem {
    /// Nobody could be reached.
    #[error("{0}")]
    Connection(String),
    /// Somebody took too long.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
    /// Somebody does not want it.
    #[error("the answer was {0}")]
    Status(StatusCode),
    /// The address is none; the configuration is not taken with such a one.
    #[error(transparent)]
    Request(#[from] hyper::http::Error),
}

impl Problem {
    /// For how long it is worth trying again, from the first attempt on.
    pub(super) fn patience(&self) -> Option<Duration> {
        match *self {
            Self::Connection(_) | Self::Late => Some(GIVEN_UP),
            // The receiver says that it wants no more, or that it is this event that it does not want.
            Self::Status(StatusCode::GONE) | Self::Request(_) => None,
            Self::Status(
                StatusCode::BAD_REQUEST
                | StatusCode::PAYLOAD_TOO_LARGE
                | StatusCode::UNSUPPORTED_MEDIA_TYPE
                | StatusCode::UNPROCESSABLE_ENTITY,
            ) => Some(REFUSED),
            // Whatever stands in front of a receiver while it is set up anew may say anything.
            Self::Status(_) => Some(GIVEN_UP),
        }
    }
}

impl Poster {
    /// Certificates are checked as the system does it.
    pub(super) fn new(config: config::Hooks) -> io::Result<Self> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let builder = HttpsConnectorBuilder::new().with_provider_and_platform_verifier(provider)?;
        let connector = builder.https_or_http().enable_http1().build();
        // Events are rare: no connection is kept for the next.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { config, client })
    }

    /// Posts an event, once. Redirects are answers like others: a signature is for nobody else.
    pub(super) async fn post(&self, event: &Event, moment: u64) -> Result<(), Problem> {
        let mut request = Request::post(self.config.url.as_str())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("commonroom/", env!("CARGO_PKG_VERSION")))
            .header("x-commonroom-event", event.kind)
            .header("x-commonroom-delivery", &event.id);
        if let Some(secret) = self.config.secret.reveal() {
            request = request.header("x-commonroom-signature", signature(secret, moment, &event.body));
        }
        let request = request.body(Full::new(event.body.clone()))?;
        let answer = timeout(PATIENCE, self.client.request(request)).await.map_err(|_| Problem::Late)?;
        let answer = answer.map_err(|error| {
            // Its own words are "client error (Connect)"; why stands behind.
            let cause = error.source().map(ToString::to_string);
            Problem::Connection(cause.unwrap_or_else(|| error.to_string()))
        })?;
        if answer.status().is_success() { Ok(()) } else { Err(Problem::Status(answer.status())) }
    }
}
