//! A certificate chain with its private key, from PEM to what TLS serves. A leaf: it reads the files it is given, and neither
//! opens a socket nor asks the time.

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error as TlsError, InconsistentKeys};
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::time::ASN1Time;

/// A chain of a hundred certificates fits; what is larger is some other file.
const MAX_FILE: u64 = 1 << 20;

/// A chain and the key of its first certificate, which belong together.
#[derive(Clone, Debug)]
pub struct Pair {
    /// As TLS takes it.
    pub certified: Arc<CertifiedKey>,
    /// What the first certificate says.
    pub facts: Facts,
}

/// What a certificate says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// The names and addresses that it is for.
    pub names: Vec<String>,
    /// When it begins to be valid.
    pub not_before: Moment,
    /// When it ends to be valid.
    pub not_after: Moment,
}

/// A moment of a certificate, in whole seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Moment(ASN1Time);

/// Why there is no [`Pair`].
#[derive(Debug, Error)]
pub enum PairError {
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The certificate is at fault.
    #[error("{0}")]
    Certificate(CertificateFault),
    /// The key is at fault.
    #[error("{0}")]
    Key(KeyFault),
}

/// What is wrong with a text that should be a certificate chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum CertificateFault {
    /// There is none.
    #[error("it holds no certificate (-----BEGIN CERTIFICATE-----)")]
    None,
    /// Its PEM or DER is broken.
    #[error("its certificate is damaged")]
    Damaged,
}

/// What is wrong with a text that should be a private key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum KeyFault {
    /// There is none.
    #[error("it holds no private key (-----BEGIN PRIVATE KEY-----)")]
    None,
    /// There is one behind a password.
    #[error("its private key is encrypted; write it without a password: openssl pkey -in FILE -out NEW")]
    Encrypted,
    /// Its PEM is broken, or it is of a kind that TLS here does not have.
    #[error("its private key is damaged or of an unknown kind; RSA, ECDSA and Ed25519 keys will do")]
    Unusable,
    /// It belongs to another certificate.
    #[error("its private key belongs to another certificate")]
    Mismatch,
}

impl Pair {
    /// Reads both files, which may be one and the same.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, PairError> {
        Self::parse(&read(certificate)?, &read(key)?)
    }

    /// The same from the files' contents.
    pub fn parse(certificate: &[u8], key: &[u8]) -> Result<Self, PairError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
        let chain = chain.map_err(|_| PairError::Certificate(CertificateFault::Damaged))?;
        let first = chain.first().ok_or(PairError::Certificate(CertificateFault::None))?;
        let facts = Facts::new(first).ok_or(PairError::Certificate(CertificateFault::Damaged))?;
        let key =
            PrivateKeyDer::from_pem_slice(key).map_err(|error| PairError::Key(key_fault(&error, key)))?;
        let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
        let certified = certified.map_err(|error| match error {
            TlsError::InvalidCertificate(_) => PairError::Certificate(CertificateFault::Damaged),
            TlsError::InconsistentKeys(InconsistentKeys::KeyMismatch) => PairError::Key(KeyFault::Mismatch),
            _ => PairError::Key(KeyFault::Unusable),
        })?;
        Ok(Self { certified: Arc::new(certified), facts })
    }
}

impl Facts {
    fn new(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let validity = certificate.validity();
        Some(Self {
            names: names(&certificate),
            not_before: Moment(validity.not_before),
            not_after: Moment(validity.not_after),
        })
    }
}

impl Moment {
    /// Seconds since 1970, UTC.
    pub fn unix(self) -> i64 {
        self.0.timestamp()
    }
}

impl std::fmt::Display for Moment {
    /// The day, `2026-11-21`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.to_datetime().date().fmt(f)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, PairError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|source| PairError::Read { path: path.to_owned(), source })
}

fn key_fault(error: &pem::Error, text: &[u8]) -> KeyFault {
    let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    match error {
        pem::Error::NoItemsFound if text.windows(encrypted.len()).any(|at| at == encrypted) => {
            KeyFault::Encrypted
        }
        pem::Error::NoItemsFound => KeyFault::None,
        _ => KeyFault::Unusable,
    }
}

/// Its alternative names, or failing those its common name (RFC 6125, section 6.4.4).
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let names: Vec<_> = alternatives
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        })
        .collect();
    if !names.is_empty() {
        return names;
    }
    certificate
        .subject()
        .iter_common_name()
        .filter_map(|name| name.as_str().ok())
        .map(ToOwned::to_owned)
        .collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    let v4 = || <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from);
    v4().or_else(v6).map(|address| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECDSA: (&[u8], &[u8]) =
        (include_bytes!("../tests/data/tls/ecdsa.pem"), include_bytes!("../tests/data/tls/ecdsa.key"));
    const RSA: (&[u8], &[u8]) =
        (include_bytes!("../tests/data/tls/rsa.pem"), include_bytes!("../tests/data/tls/rsa.key"));

    fn error(certificate: &[u8], key: &[u8]) -> String {
        Pair::parse(certificate, key).expect_err("they make no pair").to_string()
    }

    #[test]
    fn a_pair_says_for_whom_and_until_when() {
        let pair = Pair::parse(ECDSA.0, ECDSA.1).unwrap();
        assert_eq!(pair.facts.names, ["ecdsa.example", "127.0.0.1", "::1"]);
        assert_eq!(pair.facts.not_after.to_string(), "2126-10-28");
        assert!(pair.facts.not_before < pair.facts.not_after && pair.facts.not_after.unix() > 4_000_000_000);
        let pair = Pair::parse(RSA.0, RSA.1).unwrap();
        assert_eq!(pair.facts.names, ["rsa.example"], "of a certificate that has a common name alone");
        assert_eq!(pair.certified.cert.len(), 2, "the chain is served whole");
    }

    #[test]
    fn one_file_may_hold_both() {
        let both = [ECDSA.1, ECDSA.0].concat();
        Pair::parse(&both, &both).unwrap();
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(error(ECDSA.0, RSA.1), "its private key belongs to another certificate");
        assert_eq!(error(ECDSA.1, ECDSA.1), "it holds no certificate (-----BEGIN CERTIFICATE-----)");
        assert_eq!(error(ECDSA.0, ECDSA.0), "it holds no private key (-----BEGIN PRIVATE KEY-----)");
        assert_eq!(error(b"", b""), "it holds no certificate (-----BEGIN CERTIFICATE-----)");
        let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert!(error(ECDSA.0, encrypted).contains("is encrypted"));
        let short = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(error(short, ECDSA.1), "its certificate is damaged");
        let cut = &ECDSA.0[..ECDSA.0.len() / 2];
        assert_eq!(error(cut, ECDSA.1), "its certificate is damaged");
        let short = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert!(error(ECDSA.0, short).contains("damaged or of an unknown kind"));
        let missing = Pair::read(Path::new("/nowhere/a.pem"), Path::new("/nowhere/a.key")).unwrap_err();
        assert!(missing.to_string().starts_with("/nowhere/a.pem cannot be read: "), "{missing}");
    }
}
