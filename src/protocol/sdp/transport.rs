//! The attributes of SDP that describe a transport: ICE (RFC 8839) and DTLS (RFC 8842, RFC 8122).

use super::is_token;
use std::fmt;

/// Bounds of RFC 8839, section 5.4.
const UFRAG_LEN: std::ops::RangeInclusive<usize> = 4..=256;
const PASSWORD_LEN: std::ops::RangeInclusive<usize> = 22..=256;

/// The user name fragment and password of one ICE agent.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`.
    pub password: String,
}

impl fmt::Debug for Credentials {
    /// Without the password, so that it gets into no log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// Whether the text is a user name fragment of legal length and letters.
pub(in crate::protocol) fn is_ufrag(text: &str) -> bool {
    UFRAG_LEN.contains(&text.len()) && text.bytes().all(is_ice_char)
}

/// Whether the text is a password of legal length and letters.
pub(in crate::protocol) fn is_password(text: &str) -> bool {
    PASSWORD_LEN.contains(&text.len()) && text.bytes().all(is_ice_char)
}

/// RFC 8839's `ice-char`, and `-`, `_` and `=`, which clients in the field use as well.
const fn is_ice_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=')
}

/// The hash function of a [`Fingerprint`]. MD5, SHA-1 and the truncated ones are not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HashKind {
    /// `sha-256`, 32 bytes.
    Sha256,
    /// `sha-384`, 48 bytes.
    Sha384,
    /// `sha-512`, 64 bytes.
    Sha512,
}

impl HashKind {
    /// The name in SDP.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// Size of the hash in bytes.
    pub const fn hash_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// The hash of a certificate (RFC 8122, section 5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fingerprint {
    kind: HashKind,
    hash: Vec<u8>,
}

/// What an `a=fingerprint` value turned out to be.
pub(super) enum FingerprintValue {
    Known(Fingerprint),
    /// A hash function that is not taken here.
    OtherHash,
    Malformed,
}

impl Fingerprint {
    /// `None` when the hash has not the length of its kind.
    pub fn new(kind: HashKind, hash: Vec<u8>) -> Option<Self> {
        (hash.len() == kind.hash_len()).then_some(Self { kind, hash })
    }

    /// The hash function.
    pub const fn kind(&self) -> HashKind {
        self.kind
    }

    /// The hash.
    pub fn hash(&self) -> &[u8] {
        &self.hash
    }

    pub(super) fn parse(value: &str) -> FingerprintValue {
        let Some((name, digits)) = value.split_once(' ') else { return FingerprintValue::Malformed };
        let kinds = [HashKind::Sha256, HashKind::Sha384, HashKind::Sha512];
        let Some(kind) = kinds.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(name)) else {
            return if is_token(name) { FingerprintValue::OtherHash } else { FingerprintValue::Malformed };
        };
        let byte = |pair: &str| match pair.as_bytes() {
            [high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                u8::from_str_radix(pair, 16).ok()
            }
            _ => None,
        };
        let hash: Option<Vec<u8>> = digits.trim().split(':').take(kind.hash_len() + 1).map(byte).collect();
        match hash.and_then(|hash| Self::new(kind, hash)) {
            Some(fingerprint) => FingerprintValue::Known(fingerprint),
            None => FingerprintValue::Malformed,
        }
    }
}

impl fmt::Display for Fingerprint {
    /// As `a=fingerprint` has it: `sha-256 AB:CD:...`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())?;
        for (i, byte) in self.hash.iter().enumerate() {
            write!(f, "{}{byte:02X}", if i == 0 { ' ' } else { ':' })?;
        }
        Ok(())
    }
}

/// Which side of DTLS the offerer takes (RFC 8842, section 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Setup {
    /// Either.
    ActPass,
    /// The client's.
    Active,
    /// The server's.
    Passive,
    /// None for now.
    HoldConn,
}

impl Setup {
    pub(super) fn parse(value: &str) -> Option<Self> {
        match value {
            "actpass" => Some(Self::ActPass),
            "active" => Some(Self::Active),
            "passive" => Some(Self::Passive),
            "holdconn" => Some(Self::HoldConn),
            _ => None,
        }
    }
}

/// What a candidate runs over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransportKind {
    /// UDP.
    Udp,
    /// TCP (RFC 6544).
    Tcp,
}

/// Where a candidate comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CandidateKind {
    /// An address of the client's own.
    Host,
    /// Its address as seen by a server.
    ServerReflexive,
    /// Its address as seen by the other peer.
    PeerReflexive,
    /// An address of a relay.
    Relayed,
}

/// A candidate of the client. An ICE-lite agent sends no checks, so these serve diagnostics only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// What it runs over.
    pub transport: TransportKind,
    /// An IP address, or an mDNS name that hides one.
    pub address: String,
    /// Port; 9 for an active TCP candidate.
    pub port: u16,
    /// Where it comes from.
    pub kind: CandidateKind,
}

impl Candidate {
    /// The value of `a=candidate` (RFC 8839, section 5.1), with or without `candidate:` in front; `None` when it is not one.
    pub fn parse(value: &str) -> Option<Self> {
        let mut words = value.strip_prefix("candidate:").unwrap_or(value).split_ascii_whitespace();
        let _foundation = words.next()?;
        let _component: u16 = words.next()?.parse().ok()?;
        let transport = match words.next()? {
            word if word.eq_ignore_ascii_case("udp") => TransportKind::Udp,
            word if word.eq_ignore_ascii_case("tcp") => TransportKind::Tcp,
            _ => return None,
        };
        let _priority: u32 = words.next()?.parse().ok()?;
        let address = words.next()?.to_owned();
        let port = words.next()?.parse().ok()?;
        let kind = match (words.next()?, words.next()?) {
            ("typ", "host") => CandidateKind::Host,
            ("typ", "srflx") => CandidateKind::ServerReflexive,
            ("typ", "prflx") => CandidateKind::PeerReflexive,
            ("typ", "relay") => CandidateKind::Relayed,
            _ => return None,
        };
        Some(Self { transport, address, port, kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_read_and_write() {
        let text = format!("sha-256 {}", ["AB"; 32].join(":"));
        let FingerprintValue::Known(known) = Fingerprint::parse(&text) else { panic!("{text}") };
        assert_eq!(
            (known.kind(), known.hash(), known.to_string()),
            (HashKind::Sha256, &[0xab; 32][..], text)
        );
        assert!(matches!(Fingerprint::parse("sha-1 AB:CD"), FingerprintValue::OtherHash));
        for bad in ["sha-256", "sha-256 AB", "sha-256 +1:02", "sha-256 ", "\u{1} AB"] {
            assert!(matches!(Fingerprint::parse(bad), FingerprintValue::Malformed), "{bad}");
        }
        let long = format!("sha-256 {}", ["AB"; 33].join(":"));
        assert!(matches!(Fingerprint::parse(&long), FingerprintValue::Malformed));
    }

    #[test]
    fn candidates() {
        let text = "candidate:1 1 udp 2122194687 fd00::2 50382 typ host generation 0 network-id 3";
        let candidate = Candidate::parse(text).unwrap();
        assert_eq!((candidate.address.as_str(), candidate.port), ("fd00::2", 50_382));
        let text = "2 1 TCP 2105458943 a-b.local 9 typ srflx raddr 0.0.0.0 rport 0 tcptype active";
        let candidate = Candidate::parse(text).unwrap();
        assert_eq!(
            (candidate.transport, candidate.kind),
            (TransportKind::Tcp, CandidateKind::ServerReflexive)
        );
        for bad in ["", "1 1 udp 1 ::1 9 typ", "1 1 sctp 1 ::1 9 typ host", "1 1 udp 1 ::1 70000 typ host"] {
            assert_eq!(Candidate::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_password_gets_into_no_log() {
        let credentials = Credentials { ufrag: "abcd".into(), password: "secretsecretsecretsecret".into() };
        assert_eq!(format!("{credentials:?}"), "Credentials { ufrag: \"abcd\", .. }");
    }
}
