//! What RTMP players know of RTMP publishers beyond the bus: their metadata.

use crate::protocol::flv::Metadata;
use crate::stream::StreamName;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

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
}

struct Entry {
    metadata: Arc<watch::Sender<Metadata>>,
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
        self.lock().insert(Key(name.clone()), Entry { metadata: metadata.clone() });
        Listing { directory: self.clone(), name, metadata }
    }

    /// What the publisher says of its stream, now and later; `None` if it is no RTMP publisher.
    pub(super) fn metadata(&self, name: &StreamName) -> Option<watch::Receiver<Metadata>> {
        self.lock().get(&Key(name.clone())).map(|entry| entry.metadata.subscribe())
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

    #[test]
    fn a_place_outlives_a_predecessor() {
        let directory = Directory::default();
        let name = StreamName { room: "r".into(), participant: "p".into(), stream: "s".into() };
        let first = directory.enter(name.clone());
        let second = directory.enter(name.clone());
        drop(first);
        assert!(directory.metadata(&name).is_some());
        drop(second);
        assert!(directory.metadata(&name).is_none());
    }
}
