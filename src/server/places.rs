//! Places for connections, in a number that is bounded. When all are taken, the connection that has done nothing for longest
//! gives way to the newcomer: clients who connect and do nothing keep nobody out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The places of one port.
#[derive(Clone)]
pub(super) struct Places(Arc<Shared>);

struct Shared {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    next: u64,
    holders: HashMap<u64, Holder>,
}

struct Holder {
    /// When it came or was last of use.
    active: Instant,
    leave: CancellationToken,
}

/// One connection's place, until it is dropped or lost.
pub(super) struct Place {
    places: Places,
    number: u64,
    leave: CancellationToken,
}

impl Places {
    /// So many, at least one.
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Shared { most: most.max(1), taken: Mutex::default() }))
    }

    /// Gives a place to a new connection, and whether another one had to give way.
    pub(super) fn take(&self, now: Instant) -> (Place, bool) {
        let leave = CancellationToken::new();
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let full = taken.holders.len() >= self.0.most;
        if full && let Some(longest) = taken.longest_inactive() {
            // Its place is free at once, though its task has yet to end.
            if let Some(holder) = taken.holders.remove(&longest) {
                holder.leave.cancel();
            }
        }
        let number = taken.next;
        taken.next += 1;
        taken.holders.insert(number, Holder { active: now, leave: leave.clone() });
        (Place { places: self.clone(), number, leave }, full)
    }

    fn with(&self, number: u64, change: impl FnOnce(&mut Holder)) {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(holder) = taken.holders.get_mut(&number) {
            change(holder);
        }
    }
}

impl Taken {
    fn longest_inactive(&self) -> Option<u64> {
        self.holders
            .iter()
            .min_by_key(|(number, holder)| (holder.active, **number))
            .map(|(number, _)| *number)
    }
}

impl Place {
    /// The connection has just been of use.
    pub(super) fn active(&self, now: Instant) {
        self.places.with(self.number, |holder| holder.active = now);
    }

    /// Returns when the place was needed for somebody else.
    pub(super) async fn lost(&self) {
        self.leave.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.holders.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn who_did_nothing_for_longest_gives_way() {
        let (places, start) = (Places::new(2), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let ((first, none), (second, _)) = (places.take(at(0)), places.take(at(1)));
        assert!(!none);
        first.active(at(2));
        let (third, gave_way) = places.take(at(3));
        assert!(gave_way && second.leave.is_cancelled());
        assert!(!first.leave.is_cancelled() && !third.leave.is_cancelled());
        // What has lost its place gives back nothing when it goes.
        drop(second);
        assert_eq!(places.0.taken.lock().unwrap().holders.len(), 2);
    }

    #[test]
    fn a_place_given_back_is_free() {
        let places = Places::new(1);
        for _ in 0..3 {
            let (place, gave_way) = places.take(Instant::now());
            assert!(!gave_way);
            drop(place);
        }
        assert!(places.0.taken.lock().unwrap().holders.is_empty());
    }
}
