//! Places for connections, in a number that is bounded. When all are taken, the connection that has done nothing for longest
//! gives way to the newcomer: clients who connect and do nothing keep nobody out. Those that are in use keep their place.

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
    /// When it came or was last of use; `None` while it is.
    idle_since: Option<Instant>,
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

    /// Gives a place to a new connection, and says whether another one had to give way. `None`: all are in use.
    pub(super) fn take(&self, now: Instant) -> Option<(Place, bool)> {
        let leave = CancellationToken::new();
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let full = taken.holders.len() >= self.0.most;
        if full {
            // Its place is free at once, though its task has yet to end.
            let longest = taken.longest_idle()?;
            taken.holders.remove(&longest)?.leave.cancel();
        }
        let number = taken.next;
        taken.next += 1;
        taken.holders.insert(number, Holder { idle_since: Some(now), leave: leave.clone() });
        Some((Place { places: self.clone(), number, leave }, full))
    }

    fn with(&self, number: u64, change: impl FnOnce(&mut Holder)) {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(holder) = taken.holders.get_mut(&number) {
            change(holder);
        }
    }
}

impl Taken {
    fn longest_idle(&self) -> Option<u64> {
        let idle = self.holders.iter().filter_map(|(number, holder)| Some((holder.idle_since?, *number)));
        idle.min().map(|(_, number)| number)
    }
}

impl Place {
    /// The connection is in use from now on.
    pub(super) fn keep(&self) {
        self.places.with(self.number, |holder| holder.idle_since = None);
    }

    /// The connection has been of use until now.
    pub(super) fn idle(&self, now: Instant) {
        self.places.with(self.number, |holder| holder.idle_since = Some(now));
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
        let ((first, none), (second, _)) = (places.take(at(0)).unwrap(), places.take(at(1)).unwrap());
        assert!(!none);
        first.idle(at(2));
        let (third, gave_way) = places.take(at(3)).unwrap();
        assert!(gave_way && second.leave.is_cancelled());
        assert!(!first.leave.is_cancelled() && !third.leave.is_cancelled());
        // What has lost its place gives back nothing when it goes.
        drop(second);
        assert_eq!(places.0.taken.lock().unwrap().holders.len(), 2);
    }

    #[test]
    fn who_is_in_use_stays() {
        let (places, now) = (Places::new(1), Instant::now());
        let (place, _) = places.take(now).unwrap();
        place.keep();
        assert!(places.take(now).is_none() && !place.leave.is_cancelled());
        place.idle(now);
        assert!(places.take(now).is_some() && place.leave.is_cancelled());
    }

    #[test]
    fn a_place_given_back_is_free() {
        let places = Places::new(1);
        for _ in 0..3 {
            let (place, gave_way) = places.take(Instant::now()).unwrap();
            assert!(!gave_way);
            drop(place);
        }
        assert!(places.0.taken.lock().unwrap().holders.is_empty());
    }
}
