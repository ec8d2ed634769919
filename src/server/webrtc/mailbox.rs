//! What reaches a shard from other threads.

use super::path::{ConnectionId, Path};
use super::session::{Session, SessionId};
use super::tcp::Link;
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Datagrams that may wait for a shard. Over it they are lost, as on any network.
const MAX_DATAGRAMS: usize = 4_096;

/// A message to a shard.
pub(super) enum Mail {
    /// A datagram, or a frame of a TCP connection, for a peer that this shard owns or may adopt.
    Datagram(Path, Bytes),
    /// A TCP connection over which an authentic check has come: now a matter of this shard, once in its life.
    Connected(ConnectionId, Link),
    /// The TCP connection is closed.
    Disconnected(ConnectionId),
    /// Datagrams from the address belong to a peer of another shard.
    Bind(SocketAddr, ShardId),
    /// They do no more.
    Unbind(SocketAddr, ShardId),
    /// The session is to end: its owner has asked for it.
    Close(SessionId),
    /// The session's viewer shows its stream otherwise; once until it has been looked at.
    Adapted(Arc<Session>),
    /// The shard is to come to grief.
    #[cfg(test)]
    Panic,
    /// What the shard holds is to be told.
    #[cfg(test)]
    Count(tokio::sync::oneshot::Sender<super::shard::Held>),
}

/// Which shard.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct ShardId(pub(super) usize);

/// Where a shard gets its mail. Datagrams are bounded here, everything else by what it is about: paths that passed an
/// authentic check, and each connection and each session but once at a time.
#[derive(Default)]
pub(super) struct Mailbox {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Default)]
struct Waiting {
    mail: Vec<Mail>,
    datagrams: usize,
}

impl Mailbox {
    /// Leaves a message. False if it was a datagram and there are too many.
    pub(super) fn post(&self, mail: Mail) -> bool {
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if matches!(mail, Mail::Datagram(..)) {
                if waiting.datagrams >= MAX_DATAGRAMS {
                    return false;
                }
                waiting.datagrams += 1;
            }
            waiting.mail.push(mail);
        }
        self.arrived.notify_one();
        true
    }

    /// Waits until there is mail. Cancel-safe.
    pub(super) async fn wait(&self) {
        self.arrived.notified().await;
    }

    /// Takes all there is, in order, behind the end of `into`.
    pub(super) fn take(&self, into: &mut Vec<Mail>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        into.append(&mut waiting.mail);
        waiting.datagrams = 0;
    }

    /// How many words of viewers that show their streams otherwise wait.
    #[cfg(test)]
    pub(super) fn adapted(&self) -> usize {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.mail.iter().filter(|mail| matches!(mail, Mail::Adapted(_))).count()
    }
}

#[cfg(test)]
mod tests {
    use super::super::path::Via;
    use super::*;

    #[tokio::test]
    async fn datagrams_are_bounded_and_other_mail_is_not_lost() {
        let mailbox = Mailbox::default();
        let remote = SocketAddr::from(([127, 0, 0, 1], 9));
        let path = Path { remote, via: Via::Udp { local: None } };
        let posted =
            (0..MAX_DATAGRAMS + 10).filter(|_| mailbox.post(Mail::Datagram(path, Bytes::new()))).count();
        assert_eq!(posted, MAX_DATAGRAMS);
        assert!(mailbox.post(Mail::Unbind(remote, ShardId(1))));
        mailbox.wait().await;
        let mut mail = Vec::new();
        mailbox.take(&mut mail);
        assert_eq!(mail.len(), MAX_DATAGRAMS + 1);
        assert!(matches!(mail.last(), Some(Mail::Unbind(_, ShardId(1)))));
        assert!(mailbox.post(Mail::Datagram(path, Bytes::new())), "there is room again");
    }
}
