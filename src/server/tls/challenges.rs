//! What an ACME authority finds here when it looks whether this server answers for a name: over HTTP a text (RFC 8555, section
//! 8.3), over TLS a certificate that says it (RFC 8737).

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Answers that are expected now: one for each name of an order. Cloning gives another handle to the same.
#[derive(Clone, Default)]
pub(super) struct Challenges(Arc<Mutex<Answers>>);

#[derive(Default)]
struct Answers {
    /// By token.
    http: HashMap<String, String>,
    /// By host name.
    tls: HashMap<String, Arc<CertifiedKey>>,
}

impl Challenges {
    /// Lets `token` be answered over HTTP.
    pub(super) fn expect_http(&self, token: &str, key_authorization: &str) {
        self.with(|answers| answers.http.insert(token.to_owned(), key_authorization.to_owned()));
    }

    /// Lets the question for `name` be answered over TLS.
    pub(super) fn expect_tls(&self, name: &str, key_authorization: &str) -> Result<(), rcgen::Error> {
        let mut params = CertificateParams::new([name.to_owned()])?;
        let digest = digest(&SHA256, key_authorization.as_bytes());
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest.as_ref())];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).ok();
        let key = key
            .and_then(|key| any_supported_type(&key).ok())
            .ok_or(rcgen::Error::KeyGenerationUnavailable)?;
        let certified = Arc::new(CertifiedKey::new(vec![certificate], key));
        self.with(|answers| answers.tls.insert(name.to_ascii_lowercase(), certified));
        Ok(())
    }

    /// Forgets all of them.
    pub(super) fn clear(&self) {
        self.with(|answers| *answers = Answers::default());
    }

    /// The answer over HTTP.
    pub(super) fn http(&self, token: &str) -> Option<String> {
        self.with(|answers| answers.http.get(token).cloned())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Answers) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Challenges {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?.to_ascii_lowercase();
        self.with(|answers| answers.tls.get(&name).cloned())
    }
}

impl fmt::Debug for Challenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenges").finish_non_exhaustive()
    }
}
