//! TLS for the HTTP and the RTMP server: one certificate, wherever it comes from, served on both.
//!
//! `files` watches an operator's files, `self_signed` makes a certificate, `acme` gets one from an authority; each puts
//! what it has into the one place that handshakes take it from (`served`), so a new certificate needs no restart and touches no
//! connection. `handshake` is what the listeners call; `folder` keeps what must survive a restart.

mod acme;
mod challenges;
mod files;
mod folder;
mod handshake;
mod self_signed;
mod served;

pub(super) use handshake::{Greeting, HandshakeError, Port};

use crate::certificate::PairError;
use crate::config::{CertificateSource, Tls as Config};
use acme::Acme;
use challenges::Challenges;
use files::Files;
use folder::Folder;
use handshake::Handshakes;
use self_signed::SelfSigned;
use served::Served;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// Moments of certificates are looked at again this often: clocks are set, and machines sleep.
const LOOK_AGAIN: Duration = Duration::from_hours(12);
/// A certificate that ends within this time, and nobody has renewed, is worth a warning a day.
const ENDS_SOON: Duration = Duration::from_hours(7 * 24);

/// TLS that is on. Cloning gives another handle to the same.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    handshakes: Handshakes,
    challenges: Challenges,
    /// Taken by [`Tls::run`].
    source: Mutex<Source>,
}

/// What keeps the certificate up to date.
enum Source {
    Files(Files),
    SelfSigned(SelfSigned),
    Acme(Box<Acme>),
}

/// Why TLS cannot be had.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The operator's files.
    #[error("the certificate cannot be used (http.tls.certificate, http.tls.key): {0}")]
    Pair(#[from] PairError),
    /// What is kept.
    #[error("{} cannot be used (http.tls.state): {source}", path.display())]
    State {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The cryptography library.
    #[error("no certificate could be made: {0}")]
    Make(#[from] rcgen::Error),
    /// The same.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

impl Tls {
    /// Has a certificate ready where that needs nobody else. `None`: TLS is off.
    pub fn start(config: &Config) -> Result<Option<Self>, TlsError> {
        let Some(kind) = config.source() else { return Ok(None) };
        let (served, challenges) = (Served::default(), Challenges::default());
        let source = match kind {
            CertificateSource::Files => Source::Files(Files::start(config, served.clone())?),
            CertificateSource::SelfSigned => {
                let folder = Folder::open(config.state.clone())?;
                Source::SelfSigned(SelfSigned::start(folder, served.clone())?)
            }
            CertificateSource::Acme => {
                Source::Acme(Box::new(Acme::start(config, served.clone(), challenges.clone())?))
            }
        };
        let handshakes = Handshakes::new(served, challenges.clone())?;
        Ok(Some(Self(Arc::new(Shared { handshakes, challenges, source: Mutex::new(source) }))))
    }

    /// Keeps the certificate up to date for as long as it is polled.
    pub async fn run(&self) {
        match &mut *self.0.source.lock().await {
            Source::Files(files) => files.run().await,
            Source::SelfSigned(own) => own.run().await,
            Source::Acme(acme) => acme.run().await,
        }
    }

    /// Greets a client that has connected, within a bounded time: `first` for its first byte, and some seconds for the rest.
    pub(super) async fn accept(
        &self,
        port: Port,
        socket: TcpStream,
        first: Duration,
    ) -> Result<Greeting, HandshakeError> {
        self.0.handshakes.accept(port, socket, first).await
    }

    /// What an authority expects at `/.well-known/acme-challenge/<token>` (RFC 8555, section 8.3), if anything.
    pub(super) fn http_challenge(&self, token: &str) -> Option<String> {
        self.0.challenges.http(token)
    }
}

/// Now, in seconds since 1970, as certificates count.
fn unix_now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "certificates live in wall time")]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
