//! Section `[http]`.

use super::tls::Tls;
use super::units::Span;
use super::written;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;

/// The HTTP server: pages, signalling, API, metrics.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// The TCP address it listens on.
    #[serde(deserialize_with = "written::address")]
    pub listen: SocketAddr,
    /// Web origins besides its own whose pages may use this server.
    pub allowed_origins: Origins,
    /// Connections at the same time; beyond, the one that has asked for nothing for longest is closed.
    pub max_connections: usize,
    /// A request that has not been answered by then is given up.
    pub request_timeout: Span,
    /// The same over TLS.
    pub tls: Tls,
}

/// Which foreign pages a browser lets in (CORS).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Origins(#[serde(deserialize_with = "written::list")] Vec<Origin>);

/// A web origin (RFC 6454) in its one spelling, `https://example.org:8443`; or `*`, which is every one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(String);

/// Why a text is not an [`Origin`].
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error(
    "{0:?} is not a web origin; write \"https://example.org\", with a port if it is not the usual one, or \"*\""
)]
pub struct InvalidOrigin(String);

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::UNSPECIFIED, 8080).into(),
            allowed_origins: Origins::default(),
            max_connections: 2000,
            request_timeout: Span(Duration::from_secs(15)),
            tls: Tls::default(),
        }
    }
}

impl Origins {
    /// Whether every origin is let in.
    pub fn any(&self) -> bool {
        self.0.iter().any(|origin| origin.0 == "*")
    }

    /// Whether an `Origin` header's value is listed by name.
    pub fn list(&self, origin: &str) -> bool {
        origin != "*" && self.0.iter().any(|listed| listed.0 == origin)
    }

    /// The hosts of those that are listed, with their ports.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|origin| origin.0.split_once("://")).map(|(_, host)| host)
    }

    /// Whether an `Origin` header's value is let in.
    pub fn allow(&self, origin: &str) -> bool {
        self.0.iter().any(|allowed| allowed.0 == "*" || allowed.0 == origin)
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let lower = text.to_ascii_lowercase();
        let host = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://"));
        let is_host = |host: &str| {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':' | b'[' | b']'))
        };
        if lower == "*" || host.is_some_and(is_host) {
            Ok(Self(lower))
        } else {
            Err(InvalidOrigin(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Origin {
    type Error = InvalidOrigin;
    fn try_from(text: String) -> Result<Self, InvalidOrigin> {
        text.parse()
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(list: &[&str]) -> Origins {
        Origins(list.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn only_listed_origins_are_let_in() {
        assert!(!Origins::default().allow("https://a.example"));
        let listed = origins(&["https://A.example", "http://b:8000"]);
        assert!(listed.allow("https://a.example") && listed.allow("http://b:8000") && !listed.any());
        assert!(!listed.allow("http://a.example") && !listed.allow("http://b") && !listed.allow("*"));
        assert!(origins(&["*"]).allow("null") && origins(&["*"]).any());
        assert!(listed.list("http://b:8000") && !listed.list("http://b") && !origins(&["*"]).list("*"));
        assert_eq!(listed.hosts().collect::<Vec<_>>(), ["a.example", "b:8000"]);
    }

    #[test]
    fn an_origin_has_a_scheme_and_a_host_and_no_path() {
        for bad in ["", "a.example", "https://", "https://a/", "ftp://a", "https://*.a"] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }
}
