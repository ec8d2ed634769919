//! Greets TLS clients, within bounds, and tells them from those who speak something else.

use super::challenges::Challenges;
use super::served::Served;
use metrics::counter;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::server::{Acceptor, ResolvesServerCert};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

/// From the first byte of a handshake to its end.
const LIMIT: Duration = Duration::from_secs(10);
/// The first byte of a TLS connection: a record that holds a handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 0x16;
/// The protocol of a client that is an ACME authority with a question (RFC 8737, section 3).
const ACME: &[u8] = b"acme-tls/1";

/// Which server a client came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::server) enum Port {
    /// HTTP/1.1, which clients may ask for by name.
    Http,
    /// RTMP, which has no name.
    Rtmp,
}

/// How a connection turned out to begin.
pub(in crate::server) enum Greeting {
    /// It is encrypted from here on.
    Tls(Box<TlsStream<TcpStream>>),
    /// The client speaks something else, of which nothing has been read.
    Plain(TcpStream),
}

/// What handshakes go by, for each port.
pub(super) struct Handshakes {
    http: Arc<ServerConfig>,
    rtmp: Arc<ServerConfig>,
    challenge: Arc<ServerConfig>,
}

/// Why a client was not greeted.
#[derive(Debug, Error)]
pub(in crate::server) enum HandshakeError {
    /// It took too long.
    #[error("the client did not begin or finish its TLS handshake in time")]
    Timeout,
    /// Without a word.
    #[error("the client closed the connection before it sent anything")]
    Closed,
    /// It was an authority, and has what it wanted.
    #[error("an ACME authority asked its question")]
    Question,
    /// By the client, or by what it said.
    #[error(transparent)]
    Failed(#[from] io::Error),
}

impl Handshakes {
    pub(super) fn new(served: Served, challenges: Challenges) -> Result<Self, rustls::Error> {
        let served: Arc<dyn ResolvesServerCert> = Arc::new(served);
        // One for both, so that either port resumes what the other began.
        let mut rtmp = config(served)?;
        rtmp.ticketer = Ticketer::new()?;
        let mut http = rtmp.clone();
        http.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut challenge = config(Arc::new(challenges))?;
        challenge.alpn_protocols = vec![ACME.to_vec()];
        Ok(Self { http: Arc::new(http), rtmp: Arc::new(rtmp), challenge: Arc::new(challenge) })
    }

    /// `first`: how long the client may take for its first byte.
    pub(super) async fn accept(
        &self,
        port: Port,
        socket: TcpStream,
        first: Duration,
    ) -> Result<Greeting, HandshakeError> {
        let greeted = match timeout(first, speaks_tls(&socket)).await {
            Ok(Ok(Some(false))) if port == Port::Rtmp => return Ok(Greeting::Plain(socket)),
            Ok(Ok(None)) => return Err(HandshakeError::Closed),
            Ok(Ok(Some(false))) => Ok(Greeting::Plain(socket)),
            Ok(Ok(Some(true))) => {
                timeout(LIMIT, self.greet(port, socket)).await.unwrap_or(Err(HandshakeError::Timeout))
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(HandshakeError::Timeout),
        };
        let result = match &greeted {
            Ok(Greeting::Tls(_)) => "done",
            Ok(Greeting::Plain(_)) => "plain",
            Err(HandshakeError::Timeout) => "timeout",
            Err(HandshakeError::Question) => "acme",
            Err(HandshakeError::Closed | HandshakeError::Failed(_)) => "failed",
        };
        let port = match port {
            Port::Http => "http",
            Port::Rtmp => "rtmp",
        };
        counter!("commonroom_tls_handshakes_total", "port" => port, "result" => result).increment(1);
        greeted
    }

    async fn greet(&self, port: Port, socket: TcpStream) -> Result<Greeting, HandshakeError> {
        let begun = LazyConfigAcceptor::new(Acceptor::default(), socket).await?;
        let wanted = begun.client_hello().alpn().map(|protocols| protocols.eq([ACME]));
        if wanted == Some(true) {
            // All there is to see is in the handshake.
            begun.into_stream(self.challenge.clone()).await?;
            return Err(HandshakeError::Question);
        }
        let config = match port {
            Port::Http => &self.http,
            Port::Rtmp => &self.rtmp,
        };
        Ok(Greeting::Tls(Box::new(begun.into_stream(config.clone()).await?)))
    }
}

/// TLS 1.2 and 1.3 with the library's choice of ciphers; no client certificates.
fn config(resolver: Arc<dyn ResolvesServerCert>) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_no_client_auth().with_cert_resolver(resolver))
}

/// Whether a client begins as TLS does, from the first byte that it sends, which stays to be read. `None`: it has closed.
async fn speaks_tls(socket: &TcpStream) -> io::Result<Option<bool>> {
    let mut first = [0];
    let length = socket.peek(&mut first).await?;
    Ok((length > 0).then_some(first == [HANDSHAKE]))
}
