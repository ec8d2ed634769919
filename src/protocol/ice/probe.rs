//! Asking a silent peer for a sign of life.
//!
//! A lite agent sends no connectivity checks (RFC 8445, section 2.5), and this is none: it finds no path and nominates
//! none. But whoever checks also answers binding requests that have its own password, so one of ours on the path in use
//! tells within a round trip whether the peer is there, whatever the pace of its own checks.

use super::message;
use rtc_crypto::RTCCryptoProvider;
use rtc_stun::attributes::{ATTR_ICE_CONTROLLED, ATTR_PRIORITY, ATTR_USERNAME, AttrType};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Message, Setter, TransactionId};
use std::sync::Arc;

/// That of a peer-reflexive candidate (RFC 8445, section 5.1.2): type preference 110, component 1. It moves nothing.
const PRIORITY: u32 = 110 << 24 | 0x00ff_ffff;

/// Requests of one peer, and their answers.
pub struct Probe {
    username: String,
    password: String,
    crypto: Arc<dyn RTCCryptoProvider>,
    /// Of the requests that wait for an answer.
    transaction: Option<TransactionId>,
}

struct Attribute<'a>(AttrType, &'a [u8]);

impl Setter for Attribute<'_> {
    fn add_to(&self, message: &mut Message) -> rtc_shared::error::Result<()> {
        message.add(self.0, self.1);
        Ok(())
    }
}

impl Probe {
    /// To a peer of this user name fragment and password, from the agent of fragment `ours`.
    pub fn new(peer: &str, password: &str, ours: &str, crypto: Arc<dyn RTCCryptoProvider>) -> Self {
        let username = format!("{peer}:{ours}");
        Self { username, password: password.to_owned(), crypto, transaction: None }
    }

    /// A binding request: the same again until it is answered.
    pub fn request(&mut self) -> Vec<u8> {
        let transaction = *self.transaction.get_or_insert_with(TransactionId::new);
        let username = Attribute(ATTR_USERNAME, self.username.as_bytes());
        let priority = PRIORITY.to_be_bytes();
        // The tie-breaker of a role that never changes.
        let (priority, role) = (Attribute(ATTR_PRIORITY, &priority), Attribute(ATTR_ICE_CONTROLLED, &[0; 8]));
        let integrity = self.integrity();
        message(&[&BINDING_REQUEST, &transaction, &username, &priority, &role, &integrity, &FINGERPRINT])
    }

    /// Whether a datagram answers the request; only the peer can write such a one.
    pub fn is_answered_by(&mut self, datagram: &[u8]) -> bool {
        let Some(transaction) = self.transaction else { return false };
        let mut answer = Message::new();
        if datagram.len() > super::MAX_MESSAGE || answer.unmarshal_binary(datagram).is_err() {
            return false;
        }
        let answered = answer.typ == BINDING_SUCCESS
            && answer.transaction_id == transaction
            && MessageIntegrity::check(&mut answer, self.password.as_bytes(), self.crypto.crypto()).is_ok();
        if answered {
            self.transaction = None;
        }
        answered
    }

    fn integrity(&self) -> MessageIntegrity<'_> {
        MessageIntegrity::new_short_term_integrity_with_provider(self.password.clone(), self.crypto.crypto())
    }
}

/// The answer of a peer with this password to a request of the transaction.
#[cfg(test)]
pub(crate) fn answer(transaction: [u8; 12], password: &str) -> Vec<u8> {
    let crypto = rtc_crypto::default_provider().unwrap();
    let integrity =
        MessageIntegrity::new_short_term_integrity_with_provider(password.to_owned(), crypto.crypto());
    message(&[&BINDING_SUCCESS, &TransactionId(transaction), &integrity, &FINGERPRINT])
}

#[cfg(test)]
mod tests {
    use super::super::Check;
    use super::*;

    const PASSWORD: &str = "theirsecrettheirsecret22";

    fn probe() -> Probe {
        Probe::new("theirs", PASSWORD, "ours", rtc_crypto::default_provider().unwrap())
    }

    #[test]
    fn the_peer_takes_the_request_for_authentic() {
        let mut probe = probe();
        let check = Check::parse(&probe.request()).unwrap();
        assert!((check.ufrag(), check.nominates()) == ("theirs", false));
        assert!(check.is_authentic(PASSWORD, &*probe.crypto));
        assert_eq!(check.message.get(ATTR_USERNAME).unwrap(), b"theirs:ours");
        assert!(check.message.contains(ATTR_ICE_CONTROLLED), "a peer of the controlling role answers it");
    }

    #[test]
    fn only_the_peers_answer_to_the_open_request_counts() {
        let mut probe = probe();
        assert!(!probe.is_answered_by(&answer([0; 12], PASSWORD)), "nothing was asked");
        let request = probe.request();
        assert_eq!(probe.request(), request, "the same until it is answered");
        let id = probe.transaction.unwrap().0;
        let (forged, other) = (answer(id, "guessguessguessguess1234"), answer([0; 12], PASSWORD));
        for wrong in [&forged, &other, &request, &vec![0; 20], &vec![]] {
            assert!(!probe.is_answered_by(wrong));
        }
        let right = answer(id, PASSWORD);
        assert!(probe.is_answered_by(&right) && !probe.is_answered_by(&right), "once");
        assert_ne!(probe.request(), request);
    }
}
