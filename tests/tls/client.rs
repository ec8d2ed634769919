//! A TLS client that takes any certificate and remembers it, and the gateway that it speaks to.

use commonroom::config::Config;
use commonroom::gateway::{Addresses, Gateway};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

/// Nothing here takes longer; whatever does has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls");

/// A gateway that runs until it is stopped.
pub(crate) struct Site {
    pub(crate) at: Addresses,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Site {
    /// On ports that the system chooses, with these options besides.
    pub(crate) fn start(options: &[String]) -> Self {
        let listen = ["rtmp", "http", "http.tls", "webrtc"].map(|key| format!("{key}.listen=127.0.0.1:0"));
        let options = [&listen[..], &["webrtc.shards=1".to_owned()], options].concat();
        let config = Config::parse("", Path::new("none"), &options).unwrap_or_else(|error| panic!("{error}"));
        let gateway = Gateway::start(config).unwrap_or_else(|error| panic!("{error}"));
        let (at, stop) = (gateway.addresses(), CancellationToken::new());
        let running = tokio::spawn(gateway.run(stop.clone()));
        Self { at, stop, running }
    }

    pub(crate) fn https(&self) -> SocketAddr {
        self.at.https.expect("TLS is on")
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.running).await.expect("it stops").expect("in order");
    }
}

/// An empty folder of this test's own.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tls-{name}-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder).expect("the folder for tests is writable");
    folder
}

/// Options that serve the certificate and key of a folder.
pub(crate) fn files(folder: &Path, name: &str) -> [String; 2] {
    [
        format!("http.tls.certificate={}/{name}.pem", folder.display()),
        format!("http.tls.key={}/{name}.key", folder.display()),
    ]
}

/// Connects, offering these protocols.
pub(crate) async fn try_connect(
    address: SocketAddr,
    name: &str,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions that the provider has")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let socket = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, socket);
    tokio::time::timeout(PATIENCE, connecting).await.expect("the server answers")
}

pub(crate) async fn connect(address: SocketAddr) -> TlsStream<TcpStream> {
    try_connect(address, "localhost", &["h2", "http/1.1"]).await.expect("the server greets")
}

/// The first certificate that the server has shown.
pub(crate) fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().expect("a server shows one")[0].clone().into_owned()
}

/// One request; the whole answer, up to its announced length.
pub(crate) async fn get(
    stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin),
    path: &str,
) -> std::io::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: room.example:8443\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    loop {
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.expect("an answer")?;
        text += &String::from_utf8_lossy(&buffer[..read]);
        let complete = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            body.len() >= length.unwrap_or(0)
        });
        if read == 0 || complete {
            return Ok(text);
        }
    }
}

/// Trusts everybody: what is tested is what is shown.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
