//! The certificate that handshakes take: put in by whoever keeps it up to date, read by every connection.

use super::{ENDS_SOON, unix_now};
use crate::certificate::{Facts, Pair};
use metrics::{Gauge, gauge};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use tracing::{info, warn};

/// Cloning gives another handle to the same.
#[derive(Clone)]
pub(super) struct Served {
    pair: Arc<RwLock<Option<Pair>>>,
    expiry: Gauge,
}

impl Default for Served {
    fn default() -> Self {
        Self { pair: Arc::default(), expiry: gauge!("commonroom_tls_certificate_expiry_timestamp_seconds") }
    }
}

impl Served {
    /// From now on handshakes take this one. Connections that are up keep what they have.
    pub(super) fn put(&self, pair: Pair, source: &'static str) {
        let Facts { names, not_after, .. } = &pair.facts;
        info!(source, names = names.join(", "), until = %not_after, "TLS certificate");
        // 2^53 seconds are enough.
        self.expiry.set(not_after.unix() as f64);
        *self.pair.write().unwrap_or_else(PoisonError::into_inner) = Some(pair);
    }

    /// What the certificate says, if there is one.
    pub(super) fn facts(&self) -> Option<Facts> {
        let pair = self.pair.read().unwrap_or_else(PoisonError::into_inner);
        pair.as_ref().map(|pair| pair.facts.clone())
    }

    /// Warns of a certificate that clients refuse, or soon will.
    pub(super) fn warn_of_the_end(&self) {
        let Some(Facts { not_before, not_after, .. }) = self.facts() else { return };
        let left = not_after.unix().saturating_sub(unix_now());
        if left <= 0 {
            warn!(until = %not_after, "the TLS certificate has expired: clients refuse it");
        } else if left < ENDS_SOON.as_secs() as i64 {
            warn!(until = %not_after, "the TLS certificate expires within a week");
        }
        if not_before.unix() > unix_now() {
            warn!(from = %not_before, "the TLS certificate is not valid yet: clients refuse it");
        }
    }
}

impl ResolvesServerCert for Served {
    /// The same whatever name the client asks for: many ask for none, or for an address.
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let pair = self.pair.read().unwrap_or_else(PoisonError::into_inner);
        pair.as_ref().map(|pair| pair.certified.clone())
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").field("facts", &self.facts()).finish_non_exhaustive()
    }
}
