//! An ICE-lite agent (RFC 8445): answers connectivity checks, never sends any, and knows which path the peer wants.
//!
//! Bytes, a path and the time come in; a response and the selected path come out. What a path is, the owner decides: to
//! the agent it is a name for "this remote address by that transport".

pub(crate) mod probe;

pub use probe::Probe;

use crate::wire::ByteReader;
use rtc_crypto::RTCCryptoProvider;
use rtc_stun::attributes::{ATTR_ICE_CONTROLLED, ATTR_MESSAGE_INTEGRITY, ATTR_USE_CANDIDATE, ATTR_USERNAME};
use rtc_stun::error_code::{ErrorCode, ErrorCodeAttribute};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, Message, Setter};
use rtc_stun::xoraddr::XorMappedAddress;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Paths that a peer may have open at the same time.
pub const MAX_PATHS: usize = 16;
/// A peer that neither checks nor sends for so long has gone. RFC 7675, section 5.1, has checks every 4 to 6 s and takes
/// 30 s: here two checks in a row may be lost at most times, one at any.
pub const CONSENT: Duration = Duration::from_secs(15);
/// Checks answered a second; those of paths that are not valid yet have a budget of their own, so that a forger cannot
/// use up that of the peer.
const MAX_CHECKS: u32 = 50;
const SECOND: Duration = Duration::from_secs(1);
/// A check has some 100 bytes; nothing longer is worth parsing.
const MAX_MESSAGE: usize = 1_024;
/// RFC 8445, section 5.3: letters, digits, `+` and `/`.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What a peer must know to check us.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Names the agent: the first half of USERNAME in checks.
    pub ufrag: String,
    /// The key of MESSAGE-INTEGRITY.
    pub password: String,
}

/// A binding request with a right fingerprint. Nothing in it is authenticated.
pub struct Check {
    message: Message,
    username: String,
    ufrag_len: usize,
}

/// Why a datagram is no connectivity check.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum NotACheck {
    /// Not a STUN message, or one of absurd length.
    #[error("not a STUN message")]
    Malformed,
    /// An indication, a response, or another method.
    #[error("not a binding request")]
    Method,
    /// FINGERPRINT is missing or wrong.
    #[error("no right fingerprint")]
    Fingerprint,
    /// USERNAME is missing or has no two halves.
    #[error("no user name of two halves")]
    Username,
}

/// What became of a check. A response goes back the way the check came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict<P> {
    /// Over the budget: no answer.
    Ignored,
    /// Not accepted; the error response says why.
    Refused(Vec<u8>),
    /// Accepted: the path is valid.
    Accepted {
        /// The success response.
        response: Vec<u8>,
        /// Whether the path was not valid before.
        added: bool,
        /// A path that had to make room.
        evicted: Option<P>,
        /// Whether what is sent now goes by this path and went by another before, or by none.
        selected: bool,
    },
}

/// One end of one peer's ICE session.
pub struct Agent<P> {
    credentials: Credentials,
    crypto: Arc<dyn RTCCryptoProvider>,
    /// The one checked last is at the end.
    paths: Vec<P>,
    selected: Option<P>,
    nominated: bool,
    heard: Instant,
    second: Instant,
    checks: u32,
    strangers: u32,
}

/// Whether a datagram is STUN by its first byte and magic cookie (RFC 7983 and RFC 8489, section 5).
pub fn is_stun(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(0..=3)) && rtc_stun::message::is_stun_message(datagram)
}

/// The ufrag of the agent that a STUN message is for, found without a copy and without checking anything else: enough to
/// see whether the message is worth reading.
pub fn peek_ufrag(datagram: &[u8]) -> Option<&str> {
    let mut attributes = ByteReader::new(datagram.get(20..)?);
    loop {
        let (kind, length) = (attributes.u16().ok()?, attributes.u16().ok()?);
        let value = attributes.bytes(length.into()).ok()?;
        if kind == ATTR_USERNAME.0 {
            let end = value.iter().position(|byte| *byte == b':')?;
            return std::str::from_utf8(value.get(..end)?).ok();
        }
        attributes.bytes(usize::from(length.wrapping_neg() & 3)).ok()?; // values are padded to a word
    }
}

impl Credentials {
    /// Fresh ones: 48 bits name the agent, 144 bits are secret.
    pub fn generate() -> Self {
        Self { ufrag: random_text(8), password: random_text(24) }
    }
}

/// `length` random characters of 6 bits each, all of them legal in SDP and, but for `+` and `/`, in URLs.
fn random_text(length: usize) -> String {
    let mut bytes = vec![0; length];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random generator cannot fail once it has started");
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 63)])).collect()
}

impl Check {
    /// Reads a binding request.
    pub fn parse(datagram: &[u8]) -> Result<Self, NotACheck> {
        if datagram.len() > MAX_MESSAGE || !is_stun(datagram) {
            return Err(NotACheck::Malformed);
        }
        let mut message = Message::new();
        message.unmarshal_binary(datagram).map_err(|_| NotACheck::Malformed)?;
        if message.typ != BINDING_REQUEST {
            return Err(NotACheck::Method);
        }
        FINGERPRINT.check(&message).map_err(|_| NotACheck::Fingerprint)?;
        let username = message.get(ATTR_USERNAME).map_err(|_| NotACheck::Username)?;
        let username = String::from_utf8(username).map_err(|_| NotACheck::Username)?;
        let ufrag_len = username.find(':').ok_or(NotACheck::Username)?;
        Ok(Self { message, username, ufrag_len })
    }

    /// The ufrag of the agent that is meant: ours.
    pub fn ufrag(&self) -> &str {
        self.username.split_at(self.ufrag_len).0
    }

    /// Whether it nominates its path.
    pub fn nominates(&self) -> bool {
        self.message.contains(ATTR_USE_CANDIDATE)
    }

    /// Whether MESSAGE-INTEGRITY is right under `password`; compared in constant time.
    pub fn is_authentic(&self, password: &str, crypto: &dyn RTCCryptoProvider) -> bool {
        // The check writes the length it needs into the header and then puts it back, hence the copy.
        let mut message = self.message.clone();
        MessageIntegrity::check(&mut message, password.as_bytes(), crypto.crypto()).is_ok()
    }
}

/// A STUN message of the given parts. Nothing of ours is too long for one.
fn message(parts: &[&dyn Setter]) -> Vec<u8> {
    let mut message = Message::new();
    message.write_header();
    for part in parts {
        let _ = part.add_to(&mut message);
    }
    message.raw
}

impl<P: Copy + PartialEq> Agent<P> {
    /// An agent that waits for its first check.
    pub const fn new(credentials: Credentials, crypto: Arc<dyn RTCCryptoProvider>, now: Instant) -> Self {
        Self {
            credentials,
            crypto,
            paths: Vec::new(),
            selected: None,
            nominated: false,
            heard: now,
            second: now,
            checks: 0,
            strangers: 0,
        }
    }

    /// Takes a check that came by `path` from `source`.
    pub fn handle_check(&mut self, now: Instant, path: P, source: SocketAddr, check: &Check) -> Verdict<P> {
        if !self.within_budget(now, path) {
            return Verdict::Ignored;
        }
        if check.ufrag() != self.credentials.ufrag
            || !check.is_authentic(&self.credentials.password, &*self.crypto)
        {
            let code = if check.message.contains(ATTR_MESSAGE_INTEGRITY) { 401 } else { 400 };
            return Verdict::Refused(self.error(check, code, false));
        }
        // The lite side is always controlled (RFC 8445, section 6.1.1); a peer that thinks it is must think again.
        if check.message.contains(ATTR_ICE_CONTROLLED) {
            return Verdict::Refused(self.error(check, 487, true));
        }
        self.heard = now;
        let (added, evicted) = self.touch(path);
        let selected = self.select(path, check.nominates());
        Verdict::Accepted { response: self.success(check, source), added, evicted, selected }
    }

    /// Notes that something authentic came from the peer.
    pub fn note_traffic(&mut self, now: Instant) {
        self.heard = self.heard.max(now);
    }

    /// Takes a path away, for instance a closed TCP connection. Another valid one is used instead.
    pub fn remove_path(&mut self, path: P) {
        self.paths.retain(|other| *other != path);
        if self.selected == Some(path) {
            self.selected = self.paths.last().copied();
        }
    }

    /// Where to send.
    pub const fn selected(&self) -> Option<P> {
        self.selected
    }

    /// Whether a check has come by this path.
    pub fn is_valid(&self, path: P) -> bool {
        self.paths.contains(&path)
    }

    /// All valid paths.
    pub fn paths(&self) -> &[P] {
        &self.paths
    }

    /// When the peer counts as gone, unless it is heard before.
    pub fn expires(&self) -> Instant {
        self.heard + CONSENT
    }

    /// When something authentic came last.
    pub const fn heard(&self) -> Instant {
        self.heard
    }

    /// What can ask the peer of this user name fragment and password for a sign of life.
    pub fn probe(&self, ufrag: &str, password: &str) -> Probe {
        Probe::new(ufrag, password, &self.credentials.ufrag, self.crypto.clone())
    }

    fn within_budget(&mut self, now: Instant, path: P) -> bool {
        if now.saturating_duration_since(self.second) >= SECOND {
            (self.second, self.checks, self.strangers) = (now, 0, 0);
        }
        let used = if self.is_valid(path) { &mut self.checks } else { &mut self.strangers };
        *used += 1;
        *used <= MAX_CHECKS
    }

    fn touch(&mut self, path: P) -> (bool, Option<P>) {
        let known = self.paths.iter().position(|other| *other == path);
        let mut evicted = None;
        if let Some(at) = known {
            self.paths.remove(at);
        } else if self.paths.len() >= MAX_PATHS {
            let idle = self.paths.iter().position(|other| Some(*other) != self.selected);
            evicted = idle.map(|at| self.paths.remove(at));
        }
        self.paths.push(path);
        (known.is_none(), evicted)
    }

    fn select(&mut self, path: P, nominates: bool) -> bool {
        // The latest nomination counts whatever was nominated before: a phone that changes networks nominates anew.
        // Until the first one, the first valid path serves: DTLS need not wait for the nomination.
        if !nominates && (self.nominated || self.selected.is_some()) {
            return false;
        }
        self.nominated |= nominates;
        self.selected.replace(path) != Some(path)
    }

    fn success(&self, check: &Check, source: SocketAddr) -> Vec<u8> {
        let address = XorMappedAddress { ip: source.ip(), port: source.port() };
        let integrity = self.integrity();
        message(&[&BINDING_SUCCESS, &check.message.transaction_id, &address, &integrity, &FINGERPRINT])
    }

    fn error(&self, check: &Check, code: u16, authenticated: bool) -> Vec<u8> {
        let reason = match code {
            400 => "Bad Request",
            401 => "Unauthorized",
            _ => "Role Conflict",
        };
        let error = ErrorCodeAttribute { code: ErrorCode(code), reason: reason.as_bytes().to_vec() };
        let transaction = &check.message.transaction_id;
        if authenticated {
            message(&[&BINDING_ERROR, transaction, &error, &self.integrity(), &FINGERPRINT])
        } else {
            message(&[&BINDING_ERROR, transaction, &error, &FINGERPRINT])
        }
    }

    fn integrity(&self) -> MessageIntegrity<'_> {
        let password = self.credentials.password.clone();
        MessageIntegrity::new_short_term_integrity_with_provider(password, self.crypto.crypto())
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({})", self.ufrag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtc_stun::attributes::{ATTR_ICE_CONTROLLING, ATTR_XORMAPPED_ADDRESS, AttrType};
    use rtc_stun::message::{Getter, TransactionId};
    use rtc_stun::textattrs::TextAttribute;

    struct Client {
        crypto: Arc<dyn RTCCryptoProvider>,
        agent: Agent<u8>,
        began: Instant,
    }

    struct Raw(AttrType, &'static [u8]);
    impl Setter for Raw {
        fn add_to(&self, message: &mut Message) -> rtc_shared::error::Result<()> {
            message.add(self.0, self.1);
            Ok(())
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the agent only compares instants; any one will do as the first"
    )]
    fn client() -> Client {
        let crypto = rtc_crypto::default_provider().unwrap();
        let credentials =
            Credentials { ufrag: "ours".to_owned(), password: "secretsecretsecretsecret".to_owned() };
        let began = Instant::now();
        Client { agent: Agent::new(credentials, crypto.clone(), began), crypto, began }
    }

    impl Client {
        fn request(&self, password: &str, extra: &[&dyn Setter]) -> Vec<u8> {
            let integrity = MessageIntegrity::new_short_term_integrity_with_provider(
                password.to_owned(),
                self.crypto.crypto(),
            );
            let username = TextAttribute::new(ATTR_USERNAME, "ours:theirs".to_owned());
            let id = TransactionId([7; 12]);
            let mut parts: Vec<&dyn Setter> = vec![&BINDING_REQUEST, &id, &username];
            parts.extend(extra);
            parts.extend([&integrity as &dyn Setter, &FINGERPRINT]);
            message(&parts)
        }

        fn check(&mut self, ms: u64, path: u8, extra: &[&dyn Setter]) -> Verdict<u8> {
            let check = Check::parse(&self.request("secretsecretsecretsecret", extra)).unwrap();
            let source = SocketAddr::from(([192, 0, 2, 1], 1000 + u16::from(path)));
            self.agent.handle_check(self.began + Duration::from_millis(ms), path, source, &check)
        }
    }

    const NOMINATE: Raw = Raw(ATTR_USE_CANDIDATE, &[]);

    fn code(response: &[u8]) -> u16 {
        let mut message = Message::new();
        message.unmarshal_binary(response).unwrap();
        FINGERPRINT.check(&message).unwrap();
        assert_eq!((message.typ, message.transaction_id), (BINDING_ERROR, TransactionId([7; 12])));
        let mut error = ErrorCodeAttribute::default();
        error.get_from(&message).unwrap();
        error.code.0
    }

    #[test]
    fn a_good_check_is_answered_with_its_source() {
        let mut client = client();
        let Verdict::Accepted { response, added: true, evicted: None, selected: true } =
            client.check(0, 1, &[])
        else {
            panic!("not accepted")
        };
        let mut message = Message::new();
        message.unmarshal_binary(&response).unwrap();
        FINGERPRINT.check(&message).unwrap();
        MessageIntegrity::check(&mut message, b"secretsecretsecretsecret", client.crypto.crypto()).unwrap();
        let mut address = XorMappedAddress::default();
        address.get_from_as(&message, ATTR_XORMAPPED_ADDRESS).unwrap();
        assert_eq!((address.ip.to_string().as_str(), address.port), ("192.0.2.1", 1001));
    }

    #[test]
    fn forged_checks_change_nothing() {
        let mut client = client();
        let source = SocketAddr::from(([192, 0, 2, 9], 9));
        let forged = Check::parse(&client.request("guessguessguessguess1234", &[])).unwrap();
        let verdict = client.agent.handle_check(client.began, 9, source, &forged);
        assert!(matches!(verdict, Verdict::Refused(response) if code(&response) == 401));
        let username = TextAttribute::new(ATTR_USERNAME, "ours:theirs".to_owned());
        let bare =
            Check::parse(&message(&[&BINDING_REQUEST, &TransactionId([7; 12]), &username, &FINGERPRINT]));
        let verdict = client.agent.handle_check(client.began, 9, source, &bare.unwrap());
        assert!(matches!(verdict, Verdict::Refused(response) if code(&response) == 400));
        assert_eq!((client.agent.selected(), client.agent.paths().len()), (None, 0));
    }

    #[test]
    fn a_peer_that_takes_itself_for_controlled_is_told() {
        let mut client = client();
        let verdict = client.check(0, 1, &[&Raw(ATTR_ICE_CONTROLLED, &[0; 8])]);
        assert!(matches!(verdict, Verdict::Refused(response) if code(&response) == 487));
        assert!(!client.agent.is_valid(1));
        assert!(matches!(
            client.check(0, 1, &[&Raw(ATTR_ICE_CONTROLLING, &[0; 8])]),
            Verdict::Accepted { .. }
        ));
    }

    #[test]
    fn the_latest_nomination_wins_and_until_then_the_first_path() {
        let mut client = client();
        client.check(0, 1, &[]);
        client.check(1, 2, &[]);
        assert_eq!(client.agent.selected(), Some(1));
        client.check(2, 2, &[&NOMINATE]);
        assert_eq!(client.agent.selected(), Some(2));
        client.check(3, 1, &[]);
        assert_eq!(client.agent.selected(), Some(2), "a mere check moves nothing");
        assert!(matches!(client.check(4, 3, &[&NOMINATE]), Verdict::Accepted { selected: true, .. }));
        assert!(matches!(client.check(5, 3, &[&NOMINATE]), Verdict::Accepted { selected: false, .. }));
        client.agent.remove_path(3);
        assert_eq!(client.agent.selected(), Some(1), "the one checked last");
    }

    #[test]
    fn paths_and_checks_are_bounded() {
        let mut client = client();
        client.check(0, 0, &[&NOMINATE]);
        for path in 1..16 {
            client.check(1, path, &[]);
        }
        assert!(
            matches!(client.check(2, 16, &[]), Verdict::Accepted { evicted: Some(1), .. }),
            "not the selected"
        );
        assert_eq!(client.agent.paths().len(), MAX_PATHS);
        let answered = (100..150).filter(|path| client.check(500, *path, &[]) != Verdict::Ignored).count();
        assert_eq!(answered, 50 - 17, "strangers have a budget");
        assert!(matches!(client.check(500, 0, &[]), Verdict::Accepted { .. }), "the peer has its own budget");
        assert!(matches!(client.check(1_001, 100, &[]), Verdict::Accepted { .. }));
    }

    #[test]
    fn consent_lasts_fifteen_seconds() {
        let mut client = client();
        client.check(3_000, 1, &[]);
        assert_eq!(client.agent.expires(), client.began + Duration::from_secs(18));
        client.agent.note_traffic(client.began + Duration::from_secs(5));
        assert_eq!(client.agent.expires(), client.began + Duration::from_secs(20));
        client.agent.note_traffic(client.began);
        assert_eq!(client.agent.expires(), client.began + Duration::from_secs(20));
    }

    #[test]
    fn other_datagrams_are_no_checks() {
        let good = client().request("secretsecretsecretsecret", &[]);
        assert_eq!(Check::parse(&good).map(|check| check.ufrag().to_owned()), Ok("ours".to_owned()));
        assert_eq!((peek_ufrag(&good), peek_ufrag(&good[..30]), peek_ufrag(&[])), (Some("ours"), None, None));
        let error = |datagram: &[u8]| Check::parse(datagram).err();
        assert_eq!(error(&[]), Some(NotACheck::Malformed));
        assert_eq!(error(&good[..good.len() - 1]), Some(NotACheck::Malformed));
        assert_eq!(error(&[&good[..], &[0; 1_024]].concat()), Some(NotACheck::Malformed));
        let mut wrong = good;
        wrong[30] ^= 1;
        assert_eq!(error(&wrong), Some(NotACheck::Fingerprint));
        let id = TransactionId([7; 12]);
        assert_eq!(error(&message(&[&BINDING_SUCCESS, &id, &FINGERPRINT])), Some(NotACheck::Method));
        assert_eq!(error(&message(&[&BINDING_REQUEST, &id])), Some(NotACheck::Fingerprint));
        assert_eq!(error(&message(&[&BINDING_REQUEST, &id, &FINGERPRINT])), Some(NotACheck::Username));
        let username = TextAttribute::new(ATTR_USERNAME, "ours".to_owned());
        assert_eq!(
            error(&message(&[&BINDING_REQUEST, &id, &username, &FINGERPRINT])),
            Some(NotACheck::Username)
        );
    }

    #[test]
    fn credentials_are_fresh_and_legal() {
        let (one, two) = (Credentials::generate(), Credentials::generate());
        assert_ne!(one, two);
        assert_eq!((one.ufrag.len(), one.password.len()), (8, 24));
        assert!(one.password.bytes().all(|byte| ALPHABET.contains(&byte)));
    }
}
