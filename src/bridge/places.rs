//! Places for those who transcode pictures: as many as the operator allows.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// All there are. Cloning gives another handle to the same.
#[derive(Clone)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    /// Moves whenever one becomes free.
    freed: watch::Sender<u64>,
}

/// One of them, until this is dropped.
pub(super) struct Place {
    permit: Option<OwnedSemaphorePermit>,
    freed: watch::Sender<u64>,
}

impl Places {
    pub(super) fn new(count: usize) -> Self {
        let free = Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self { free, freed: watch::Sender::new(0) }
    }

    /// One, if there is one.
    pub(super) fn take(&self) -> Option<Place> {
        let permit = self.free.clone().try_acquire_owned().ok()?;
        Some(Place { permit: Some(permit), freed: self.freed.clone() })
    }

    /// Where it is heard that one has become free.
    pub(super) fn freed(&self) -> watch::Receiver<u64> {
        self.freed.subscribe()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Whoever hears of it finds it.
        self.permit = None;
        self.freed.send_modify(|count| *count += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_and_who_waits_hears_of_one() {
        let places = Places::new(1);
        let freed = places.freed();
        let place = places.take().unwrap();
        assert!(places.take().is_none() && !freed.has_changed().unwrap());
        drop(place);
        assert!(freed.has_changed().unwrap());
        assert!(places.take().is_some());
        assert!(Places::new(0).take().is_none());
    }
}
