//! The DTLS library behind one small type: a server for one peer, made for its ClientHello, or the
//! client where the offer leaves us that part.

use crate::protocol::dtls::{HelloReader, records_from};
use crate::protocol::sdp::{DtlsRole, Fingerprint, HashKind};
use crate::protocol::srtp::{Keys, Profile};
use aws_lc_rs::digest;
use bytes::{Bytes, BytesMut};
use rtc_crypto::RTCCryptoProvider;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::TransportProtocol;
use rtc_shared::error::Error as LibraryError;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;

/// The library knows associations by address; ours has a made-up one, and lives on when ICE moves to another path.
const REMOTE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1));
/// Datagrams that may come before the ClientHello is complete.
const MAX_HELD: usize = 8;
/// Flights are repeated after this, not after the library's second.
const FLIGHT_INTERVAL: Duration = Duration::from_millis(100);
const EXPORTER_LABEL: &str = "EXTRACTOR-dtls_srtp";

/// What all peers share: the certificate and the cryptography.
#[derive(Clone)]
pub struct Identity {
    crypto: Arc<dyn RTCCryptoProvider>,
    certificate: Certificate,
    fingerprint: Fingerprint,
}

/// The DTLS side of one peer.
pub struct Dtls {
    identity: Identity,
    expected: Vec<Fingerprint>,
    role: DtlsRole,
    stage: Stage,
    outgoing: Vec<Bytes>,
}

enum Stage {
    /// As the client: there is no way to send the ClientHello yet.
    Idle,
    /// As the server: the ClientHello is not complete.
    Waiting { hello: HelloReader, held: Vec<BytesMut> },
    /// The library is at work.
    Running(Box<Endpoint>),
    /// The handshake is done.
    Connected(Box<Endpoint>),
    /// Nothing more comes.
    Ended,
}

/// What a datagram led to.
pub enum Progress {
    /// Nothing to note.
    None,
    /// The handshake is done.
    Connected(Connected),
    /// The peer has said goodbye.
    Closed,
}

/// The outcome of a handshake.
pub struct Connected {
    /// Media keys.
    pub keys: Keys,
    /// The cipher suite's name.
    pub cipher_suite: Option<String>,
}

/// Why there is no DTLS with the peer.
#[derive(Debug, Error)]
pub enum DtlsError {
    /// `use_srtp` lacks AES-128-GCM and AES-CM with SHA1-80.
    #[error("the client offers no SRTP profile that is known here: {0:?}")]
    NoProfile(Vec<u16>),
    /// Too many datagrams before the end of the ClientHello.
    #[error("no ClientHello in {MAX_HELD} datagrams")]
    NoHello,
    /// The library gives up.
    #[error("{0}")]
    Library(#[from] LibraryError),
    /// The library has panicked; the peer ends, nothing else does.
    #[error("the DTLS library panicked")]
    Panicked,
    /// The keys cannot be used.
    #[error("no usable media keys")]
    Keys,
}

impl DtlsError {
    /// Whether the peer's certificate is another than the one announced.
    pub const fn is_fingerprint(&self) -> bool {
        matches!(self, Self::Library(LibraryError::ErrNoMatchingCertificateFingerprint))
    }
}

impl Identity {
    /// A fresh self-signed certificate.
    pub fn generate() -> Result<Self, DtlsError> {
        let crypto =
            rtc_crypto::default_provider().map_err(|error| LibraryError::Crypto(error.to_string()))?;
        let certificate = Certificate::generate_self_signed(vec!["commonroom".to_owned()], crypto.crypto())?;
        let der = certificate.certificate.first().ok_or(DtlsError::Keys)?;
        let fingerprint = hash(HashKind::Sha256, der).ok_or(DtlsError::Keys)?;
        Ok(Self { crypto, certificate, fingerprint })
    }

    /// What stands in our answers.
    pub const fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The cryptography, for the other parts of a peer.
    pub fn crypto(&self) -> Arc<dyn RTCCryptoProvider> {
        self.crypto.clone()
    }

    fn config(
        &self,
        role: DtlsRole,
        profiles: &[Profile],
        expected: Vec<Fingerprint>,
    ) -> Result<HandshakeConfig, DtlsError> {
        let profiles = profiles.iter().map(|profile| match profile {
            Profile::AeadAes128Gcm => SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
            Profile::Aes128CmSha1_80 => SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
        });
        Ok(ConfigBuilder::default()
            .with_crypto_provider(self.crypto.clone())
            .with_certificates(vec![self.certificate.clone()])
            .with_srtp_protection_profiles(profiles.collect())
            .with_extended_master_secret(ExtendedMasterSecretType::Request)
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            // There is no authority to ask: the certificate must have the fingerprint of the offer.
            .with_insecure_skip_verify(true)
            .with_verify_peer_certificate(Some(Arc::new(move |chain, _| {
                let der = chain.first().ok_or(LibraryError::ErrNoMatchingCertificateFingerprint)?;
                let matches = expected.iter().any(|one| hash(one.kind(), der).as_ref() == Some(one));
                matches.then_some(()).ok_or(LibraryError::ErrNoMatchingCertificateFingerprint)
            })))
            .with_flight_interval(FLIGHT_INTERVAL)
            .build(role == DtlsRole::Client, None)?)
    }
}

impl Dtls {
    /// Waits for a peer whose certificate has one of the fingerprints.
    pub fn new(identity: Identity, role: DtlsRole, expected: Vec<Fingerprint>) -> Self {
        let stage = match role {
            DtlsRole::Client => Stage::Idle,
            DtlsRole::Server => Stage::Waiting { hello: HelloReader::default(), held: Vec::new() },
        };
        Self { identity, expected, role, stage, outgoing: Vec::new() }
    }

    /// Begins, if that is this side's part and has not been done: there is a way to the peer now.
    pub fn begin(&mut self, now: Instant) -> Result<(), DtlsError> {
        if !matches!(self.stage, Stage::Idle) {
            return Ok(());
        }
        let profiles = [Profile::AeadAes128Gcm, Profile::Aes128CmSha1_80];
        let config = Arc::new(self.identity.config(self.role, &profiles, self.expected.clone())?);
        let mut endpoint = Box::new(Endpoint::new(REMOTE, TransportProtocol::UDP, None));
        let result = guarded(|| endpoint.connect(now, REMOTE, config, None));
        drain(&mut endpoint, &mut self.outgoing);
        self.stage = if result.is_ok() { Stage::Running(endpoint) } else { Stage::Ended };
        result
    }

    /// Takes a DTLS datagram. After an error there is nothing more to come from here, except for what
    /// [`poll_transmit`](Self::poll_transmit) has left: it may be an alert.
    pub fn handle(&mut self, now: Instant, datagram: &[u8]) -> Result<Progress, DtlsError> {
        let result = self.advance(now, datagram);
        if result.is_err() {
            self.stage = Stage::Ended;
        }
        result
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        (!self.outgoing.is_empty()).then(|| self.outgoing.remove(0))
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Running(endpoint) | Stage::Connected(endpoint) => endpoint.poll_timeout(&REMOTE),
            Stage::Idle | Stage::Waiting { .. } | Stage::Ended => None,
        }
    }

    /// Repeats what got no answer.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsError> {
        // Not without a deadline: once the peer has closed, the library takes the address for unknown.
        if self.poll_timeout().is_none_or(|deadline| deadline > now) {
            return Ok(());
        }
        let (Stage::Running(endpoint) | Stage::Connected(endpoint)) = &mut self.stage else { return Ok(()) };
        let result = guarded(|| endpoint.handle_timeout(REMOTE, now));
        drain(endpoint, &mut self.outgoing);
        result
    }

    /// Says goodbye.
    pub fn close(&mut self, now: Instant) {
        if let Stage::Running(endpoint) | Stage::Connected(endpoint) = &mut self.stage {
            // Whether it can still be said or not, this is the end.
            let _ = guarded(|| endpoint.close(now));
            drain(endpoint, &mut self.outgoing);
        }
        self.stage = Stage::Ended;
    }

    fn advance(&mut self, now: Instant, datagram: &[u8]) -> Result<Progress, DtlsError> {
        let mut held = match &mut self.stage {
            Stage::Idle | Stage::Ended => return Ok(Progress::None),
            Stage::Running(_) | Stage::Connected(_) => vec![BytesMut::from(datagram)],
            Stage::Waiting { hello, held } => {
                held.push(BytesMut::from(datagram));
                let Some(offered) = hello.push(datagram) else {
                    return if held.len() < MAX_HELD { Ok(Progress::None) } else { Err(DtlsError::NoHello) };
                };
                let held = std::mem::take(held);
                self.start(&offered)?;
                held
            }
        };
        let mut progress = Progress::None;
        for datagram in held.drain(..) {
            match self.feed(now, datagram)? {
                Progress::None => {}
                other => progress = other,
            }
        }
        Ok(progress)
    }

    fn start(&mut self, offered: &[u16]) -> Result<(), DtlsError> {
        let profile = Profile::choose(offered).ok_or_else(|| DtlsError::NoProfile(offered.to_vec()))?;
        let config = Arc::new(self.identity.config(self.role, &[profile], self.expected.clone())?);
        self.stage = Stage::Running(Box::new(Endpoint::new(REMOTE, TransportProtocol::UDP, Some(config))));
        Ok(())
    }

    fn feed(&mut self, now: Instant, datagram: BytesMut) -> Result<Progress, DtlsError> {
        let (endpoint, epoch) = match &mut self.stage {
            Stage::Running(endpoint) => (endpoint, 0),
            Stage::Connected(endpoint) => (endpoint, 1),
            Stage::Idle | Stage::Waiting { .. } | Stage::Ended => return Ok(Progress::None),
        };
        let records = records_from(epoch, &datagram);
        if records.is_empty() {
            return Ok(Progress::None);
        }
        let result = guarded(|| endpoint.read(now, REMOTE, None, BytesMut::from(&records[..])));
        drain(endpoint, &mut self.outgoing);
        let events = match result {
            // Records that are not authentic are passed over (RFC 6347, section 4.1.2.7): anybody can send them.
            Err(DtlsError::Library(_)) if epoch > 0 => return Ok(Progress::None),
            result => result?,
        };
        let mut progress = Progress::None;
        for event in events {
            match event {
                EndpointEvent::HandshakeComplete => {
                    progress = Progress::Connected(connected(endpoint, self.role)?);
                }
                EndpointEvent::PeerClosed => {
                    self.stage = Stage::Ended;
                    return Ok(Progress::Closed);
                }
                // Data channels are refused in the answer.
                EndpointEvent::ApplicationData(_) => {}
                _ => {}
            }
        }
        if matches!(progress, Progress::Connected(_))
            && let Stage::Running(endpoint) = std::mem::replace(&mut self.stage, Stage::Ended)
        {
            self.stage = Stage::Connected(endpoint);
        }
        Ok(progress)
    }
}

/// Calls the library; a panic of its ends this peer and no other.
fn guarded<T>(call: impl FnOnce() -> Result<T, LibraryError>) -> Result<T, DtlsError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => Ok(result?),
        Err(_) => {
            metrics::counter!("commonroom_webrtc_library_panics_total", "kind" => "dtls").increment(1);
            Err(DtlsError::Panicked)
        }
    }
}

fn drain(endpoint: &mut Endpoint, outgoing: &mut Vec<Bytes>) {
    outgoing
        .extend(std::iter::from_fn(|| endpoint.poll_transmit()).map(|transmit| transmit.message.freeze()));
}

fn connected(endpoint: &Endpoint, role: DtlsRole) -> Result<Connected, DtlsError> {
    let state = endpoint.get_connection_state(REMOTE).ok_or(DtlsError::Keys)?;
    let profile = match state.srtp_protection_profile() {
        SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => Profile::AeadAes128Gcm,
        SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80 => Profile::Aes128CmSha1_80,
        _ => return Err(DtlsError::Keys),
    };
    let material = state.export_keying_material(EXPORTER_LABEL, &[], profile.material_len())?;
    let keys = Keys::from_material(profile, material.as_ref(), role).ok_or(DtlsError::Keys)?;
    Ok(Connected { keys, cipher_suite: state.cipher_suite().map(|suite| suite.to_string()) })
}

fn hash(kind: HashKind, der: &[u8]) -> Option<Fingerprint> {
    let algorithm = match kind {
        HashKind::Sha256 => &digest::SHA256,
        HashKind::Sha384 => &digest::SHA384,
        HashKind::Sha512 => &digest::SHA512,
    };
    Fingerprint::new(kind, digest::digest(algorithm, der).as_ref().to_vec())
}
