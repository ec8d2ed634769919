//! All sessions of this server by the names that peers use, and where each lives.

use super::mailbox::ShardId;
use super::peer::Seed;
use super::progress::End;
use super::session::{Session, SessionId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Sessions whose peer never came are looked for this often.
const EXPIRY_INTERVAL: Duration = Duration::from_millis(250);

/// Sessions by ufrag and by id. A peer waits here until a shard adopts it with its first valid check.
pub(super) struct Registry {
    sessions: Mutex<Sessions>,
    max_sessions: usize,
}

#[derive(Default)]
struct Sessions {
    by_ufrag: HashMap<String, Entry>,
    by_id: HashMap<SessionId, String>,
}

struct Entry {
    session: Arc<Session>,
    place: Place,
}

enum Place {
    /// No check has come; given up at the instant.
    Pending(Box<Seed>, Instant),
    /// A shard has it.
    Owned(ShardId),
    /// A shard has it and was told to end it.
    Closing(ShardId),
}

/// Where a check is to go.
pub(super) enum Lookup {
    /// No such session.
    Unknown,
    /// To another shard.
    Owned(ShardId),
    /// The peer is the caller's from now on.
    Adopted(Box<Seed>),
    /// The check is not authentic, so the peer stays where it is.
    Refused,
}

/// What became of a session that was asked to end.
pub(super) enum Closing {
    /// There is none of that name.
    Unknown,
    /// It had no peer yet and is gone, or its shard knows already.
    Gone,
    /// Its shard must end it.
    Owned(ShardId),
}

impl Registry {
    pub(super) fn new(max_sessions: usize) -> Self {
        Self { sessions: Mutex::default(), max_sessions }
    }

    /// Adds a peer that waits for its first check until `deadline`. False if there are too many sessions.
    pub(super) fn insert(&self, session: Arc<Session>, seed: Box<Seed>, deadline: Instant) -> bool {
        let mut sessions = self.lock();
        if sessions.by_ufrag.len() >= self.max_sessions {
            return false;
        }
        session.totals.enter();
        let ufrag = session.credentials.ufrag.clone();
        sessions.by_id.insert(session.id.clone(), ufrag.clone());
        sessions.by_ufrag.insert(ufrag, Entry { place: Place::Pending(seed, deadline), session });
        true
    }

    /// How many sessions fit.
    pub(super) const fn max_sessions(&self) -> usize {
        self.max_sessions
    }

    /// The session that a check may be for.
    pub(super) fn find(&self, ufrag: &str) -> Option<Arc<Session>> {
        self.lock().by_ufrag.get(ufrag).map(|entry| entry.session.clone())
    }

    /// Finds the peer of a check; a waiting one is given to `shard` if `is_authentic` says yes to its seed.
    pub(super) fn look_up(
        &self,
        ufrag: &str,
        shard: ShardId,
        is_authentic: impl FnOnce(&Session) -> bool,
    ) -> Lookup {
        let mut sessions = self.lock();
        let Some(entry) = sessions.by_ufrag.get_mut(ufrag) else { return Lookup::Unknown };
        match &entry.place {
            Place::Owned(shard) | Place::Closing(shard) => Lookup::Owned(*shard),
            Place::Pending(..) if !is_authentic(&entry.session) => Lookup::Refused,
            Place::Pending(..) => match std::mem::replace(&mut entry.place, Place::Owned(shard)) {
                Place::Pending(seed, _) => Lookup::Adopted(seed),
                Place::Owned(owner) | Place::Closing(owner) => Lookup::Owned(owner),
            },
        }
    }

    /// Ends a session that waits, or says who must.
    pub(super) fn close(&self, id: &SessionId) -> Closing {
        let mut sessions = self.lock();
        let Some(ufrag) = sessions.by_id.get(id).cloned() else { return Closing::Unknown };
        let Some(entry) = sessions.by_ufrag.get_mut(&ufrag) else { return Closing::Unknown };
        match entry.place {
            Place::Owned(shard) => {
                entry.place = Place::Closing(shard);
                Closing::Owned(shard)
            }
            Place::Closing(_) => Closing::Gone,
            Place::Pending(..) => {
                let removed = sessions.remove(&ufrag);
                // Dropping a publication takes the lock of the rooms: not under ours.
                drop(sessions);
                removed.into_iter().for_each(|entry| entry.end(End::Closed));
                Closing::Gone
            }
        }
    }

    /// Forgets a session whose peer is gone.
    pub(super) fn remove(&self, ufrag: &str) {
        let removed = self.lock().remove(ufrag);
        drop(removed);
    }

    /// Forgets those whose peer never came; gives them for the logs.
    pub(super) fn expire(&self, now: Instant) -> Vec<Arc<Session>> {
        self.take(End::NoCheck, |place| matches!(place, Place::Pending(_, deadline) if *deadline <= now))
    }

    /// Forgets all that wait: the server is going down.
    pub(super) fn clear_pending(&self) {
        self.take(End::Shutdown, |place| matches!(place, Place::Pending(..)));
    }

    /// Forgets those of a shard that is no more, and whose peers are gone with it.
    pub(super) fn abandon(&self, shard: ShardId) -> Vec<Arc<Session>> {
        self.take(
            End::Failed,
            |place| matches!(place, Place::Owned(owner) | Place::Closing(owner) if *owner == shard),
        )
    }

    /// The session of an id, and which shard has it.
    pub(super) fn locate(&self, id: &SessionId) -> Option<(Arc<Session>, Option<ShardId>)> {
        let sessions = self.lock();
        let entry = sessions.by_ufrag.get(sessions.by_id.get(id)?)?;
        let shard = match entry.place {
            Place::Owned(shard) => Some(shard),
            Place::Pending(..) | Place::Closing(_) => None,
        };
        Some((entry.session.clone(), shard))
    }

    /// The session of an id.
    pub(super) fn get(&self, id: &SessionId) -> Option<Arc<Session>> {
        let sessions = self.lock();
        let entry = sessions.by_ufrag.get(sessions.by_id.get(id)?)?;
        Some(entry.session.clone())
    }

    /// All sessions.
    pub(super) fn list(&self) -> Vec<Arc<Session>> {
        self.lock().by_ufrag.values().map(|entry| entry.session.clone()).collect()
    }

    fn take(&self, end: End, which: impl Fn(&Place) -> bool) -> Vec<Arc<Session>> {
        let mut sessions = self.lock();
        let ufrags: Vec<_> = sessions
            .by_ufrag
            .values()
            .filter(|entry| which(&entry.place))
            .map(|entry| entry.session.clone())
            .collect();
        let removed: Vec<_> =
            ufrags.iter().filter_map(|session| sessions.remove(&session.credentials.ufrag)).collect();
        drop(sessions);
        removed.into_iter().for_each(|entry| entry.end(end));
        ufrags
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends sessions whose peer does not come, and all that wait when the server stops.
pub(super) async fn expire(registry: Arc<Registry>, stop: CancellationToken) {
    let mut interval = tokio::time::interval(EXPIRY_INTERVAL);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = interval.tick() => {}
        }
        for session in registry.expire(tokio::time::Instant::now().into_std()) {
            tracing::info!(
                session = ?session.id,
                kind = session.kind.as_str(),
                room = %session.stream.room,
                participant = %session.stream.participant,
                "no ICE check has come: the client has gone, or cannot reach the announced addresses"
            );
        }
    }
    registry.clear_pending();
}

impl Entry {
    /// What waited is let go, a publisher's name with it; then the session is told to be over.
    fn end(self, end: End) {
        drop(self.place);
        self.session.end(end);
    }
}

impl Sessions {
    fn remove(&mut self, ufrag: &str) -> Option<Entry> {
        let entry = self.by_ufrag.remove(ufrag)?;
        self.by_id.remove(&entry.session.id);
        Some(entry)
    }
}
