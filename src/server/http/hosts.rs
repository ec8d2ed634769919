//! Names that this server is known by.
//!
//! A page of anybody's may give its own name the address of a server in a private network (DNS rebinding): to a browser both are one
//! origin then. The name gives it away, so what is nobody else's business is served under known names alone. Over TLS any
//! will do: nobody has a certificate for such a name that this server could show.

use crate::config::Origins;
use axum::http::uri::Authority;
use std::net::IpAddr;

/// The names.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts(Vec<String>);

impl Hosts {
    /// Those of these origins, and these.
    pub(super) fn new(origins: &Origins, names: impl IntoIterator<Item = String>) -> Self {
        let listed = origins.hosts().filter_map(name).collect::<Vec<_>>();
        Self(listed.into_iter().chain(names.into_iter().map(|name| name.to_ascii_lowercase())).collect())
    }

    /// Whether a `Host` header's value is known, or of a kind that nobody can give an address of his choice: an address, a
    /// name of this machine or one of the local network.
    pub(super) fn know(&self, host: &str) -> bool {
        let Some(name) = name(host) else { return false };
        let is_local = !name.contains('.') || name.ends_with(".localhost") || name.ends_with(".local");
        is_local || name.parse::<IpAddr>().is_ok() || self.0.contains(&name)
    }
}

/// The name without the port, in small letters.
fn name(host: &str) -> Option<String> {
    let authority: Authority = host.parse().ok()?;
    let name = authority.host().trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    (!name.is_empty() && !host.contains('@')).then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    #[test]
    fn names_of_strangers_are_not_known() {
        let text = "[http]\nallowed_origins = [\"https://Rooms.example\", \"http://b.example:8000\", \"*\"]";
        let config = Config::parse(text, Path::new("c.toml"), &[]).unwrap();
        let hosts = Hosts::new(&config.http.allowed_origins, ["Media.example".to_owned()]);
        for known in [
            "127.0.0.1:8080",
            "192.168.1.5",
            "[::1]:8080",
            "[fd00::1]",
            "localhost:8080",
            "a.localhost",
            "gateway:8080",
            "studio.local",
            "rooms.example",
            "ROOMS.example:8080",
            "b.example",
            "media.example.:80",
        ] {
            assert!(hosts.know(known), "{known}");
        }
        for unknown in [
            "evil.example:18081",
            "127.0.0.1.evil.example",
            "x@localhost",
            "",
            "a b",
            "localhost.evil.example",
        ] {
            assert!(!hosts.know(unknown), "{unknown}");
        }
    }
}
