//! What RTMP publishers and RTMP players know of each other beyond the bus: metadata one way; and the way back to a
//! publisher for whoever has something to tell it.

use crate::protocol::flv::Metadata;
use crate::stream::StreamName;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, watch};

/// Warnings that wait for a publisher's connection; more are lost, it has been told enough.
const NOTICES: usize = 8;

/// All RTMP publications. Cloning gives another handle to the same.
#[derive(Clone, Default)]
pub(super) struct Directory {
    entries: Arc<Mutex<HashMap<Key, Entry>>>,
}

/// A publication's place in the directory. Dropping it takes the place away.
pub(super) struct Listing {
    directory: Directory,
    name: StreamName,
    metadata: Arc<watch::Sender<Metadata>>,
    notices: mpsc::Receiver<String>,
}

struct Entry {
    metadata: Arc<watch::Sender<Metadata>>,
    notices: mpsc::Sender<String>,
}

#[derive(PartialEq, Eq)]
struct Key(StreamName);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.room.hash(state);
        self.0.participant.hash(state);
    }
}

impl Directory {
    /// Enters a publication.
    pub(super) fn enter(&self, name: StreamName) -> Listing {
        let metadata = Arc::new(watch::Sender::new(Metadata::default()));
        let (sender, notices) = mpsc::channel(NOTICES);
        self.lock().insert(Key(name.clone()), Entry { metadata: metadata.clone(), notices: sender });
        Listing { directory: self.clone(), name, metadata, notices }
    }

    /// What the publisher says of its stream, now and later; `None` if it is no RTMP publisher.
    pub(super) fn metadata(&self, name: &StreamName) -> Option<watch::Receiver<Metadata>> {
        self.lock().get(&Key(name.clone())).map(|entry| entry.metadata.subscribe())
    }

    /// Tells a publisher something. Says whether it is here and had room to be told.
    pub(super) fn warn(&self, name: &StreamName, text: &str) -> bool {
        self.lock()
            .get(&Key(name.clone()))
            .is_some_and(|entry| entry.notices.try_send(text.to_owned()).is_ok())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listing {
    /// Replaces what is said of the stream.
    pub(super) fn set_metadata(&self, metadata: Metadata) {
        self.metadata.send_if_modified(|current| {
            let changed = *current != metadata;
            *current = metadata;
            changed
        });
    }

    /// The next warning. Cancel-safe; waits for ever if there is none.
    pub(super) async fn notice(&mut self) -> String {
        match self.notices.recv().await {
            Some(text) => text,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        let mut entries = self.directory.lock();
        let key = Key(self.name.clone());
        // A successor may have the place already.
        if entries.get(&key).is_some_and(|entry| Arc::ptr_eq(&entry.metadata, &self.metadata)) {
            entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn warnings_arrive_and_are_bounded() {
        let directory = Directory::default();
        let name = StreamName { room: "r".into(), participant: "p".into() };
        assert!(!directory.warn(&name, "nobody"));
        let mut listing = directory.enter(name.clone());
        assert!((0..NOTICES).all(|_| directory.warn(&name, "text")));
        assert!(!directory.warn(&name, "too much"));
        assert_eq!(listing.notice().await, "text");
    }

    #[test]
    fn a_place_outlives_a_predecessor() {
        let directory = Directory::default();
        let name = StreamName { room: "r".into(), participant: "p".into() };
        let first = directory.enter(name.clone());
        let second = directory.enter(name.clone());
        drop(first);
        assert!(directory.metadata(&name).is_some());
        drop(second);
        assert!(directory.metadata(&name).is_none());
    }
}
