//! Section `[webrtc]`.

use super::written;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use thiserror::Error;

/// The WebRTC media port.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webrtc {
    /// The address all peers share: UDP, and the same number over TCP.
    #[serde(deserialize_with = "written::address")]
    pub listen: SocketAddr,
    /// Addresses, or names to resolve, that peers are told to send to. Empty: every local address but container bridges.
    #[serde(deserialize_with = "written::list")]
    pub announce: Vec<Host>,
    /// Peers, publishers and viewers together, at the same time.
    pub max_sessions: usize,
    /// Threads that carry media, each with a socket of its own on the port. 0: one for each core.
    pub shards: usize,
}

/// An IP address or a DNS name, without a port.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Host {
    /// An address as it is.
    Address(IpAddr),
    /// A name that is resolved when the server starts, and again every minute.
    Name(String),
}

/// Why a text is not a [`Host`].
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum InvalidHost {
    /// It is no host at all.
    #[error(
        "{0:?} is neither an IP address nor a host name; write \"203.0.113.5\" or \"media.example.org\", without port and scheme"
    )]
    Syntax(String),
    /// An address that no single machine has.
    #[error(
        "nobody can send to {0}; write the address under which peers reach this machine, or [] for every local address"
    )]
    Nobody(IpAddr),
}

impl Default for Webrtc {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::UNSPECIFIED, 8189).into(),
            announce: Vec::new(),
            max_sessions: 5000,
            shards: 0,
        }
    }
}

impl FromStr for Host {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return match address.to_canonical() {
                IpAddr::V4(ip) if ip.is_broadcast() => Err(InvalidHost::Nobody(address)),
                ip if ip.is_unspecified() || ip.is_multicast() => Err(InvalidHost::Nobody(address)),
                _ => Ok(Self::Address(address)),
            };
        }
        // RFC 1123, section 2.1: letters, digits and hyphens, up to 63 a label. All digits would be a broken address.
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let name = text.strip_suffix('.').unwrap_or(text);
        let numeric = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        if name.len() <= 253 && !numeric && name.split('.').all(is_label) {
            Ok(Self::Name(text.to_owned()))
        } else {
            Err(InvalidHost::Syntax(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Host {
    type Error = InvalidHost;
    fn try_from(text: String) -> Result<Self, InvalidHost> {
        text.parse()
    }
}

impl From<Host> for String {
    fn from(host: Host) -> Self {
        host.to_string()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_addresses_or_names() {
        for good in ["203.0.113.5", "2001:db8::1", "media.example.org", "localhost", "a-1.b."] {
            assert_eq!(good.parse::<Host>().unwrap().to_string(), good);
        }
        let long = "x".repeat(64);
        for bad in ["", "203.0.113.5:8189", "https://a", "a..b", "-a", "256.1.1.1", "a_b", &long] {
            assert_eq!(bad.parse::<Host>(), Err(InvalidHost::Syntax(bad.to_owned())));
        }
        for nobody in ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:0.0.0.0"] {
            assert!(matches!(nobody.parse::<Host>(), Err(InvalidHost::Nobody(_))), "{nobody}");
        }
    }
}
