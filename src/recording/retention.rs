//! Sessions that have been kept for long enough, or take more than they may, are deleted: as a whole, the oldest first, and
//! never one that is not complete.

use super::manifest::SessionState;
use super::session::began;
use super::store::Store;
use crate::config;
use std::io;
use std::time::Duration;
use time::OffsetDateTime;

/// Sessions are looked through this often.
pub(super) const PASS: Duration = Duration::from_mins(1);

/// What may be kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// After its end. `None`: for ever.
    age: Option<Duration>,
    /// All sessions together, in bytes.
    size: Option<u64>,
}

/// What one look through the sessions came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Passed {
    /// Sessions that were deleted.
    pub(super) deleted: u64,
    /// Bytes of those that would have been, and are not uploaded yet.
    pub(super) held: u64,
}

/// A session that one could do without.
struct Kept {
    began: OffsetDateTime,
    room: String,
    session: String,
    size: u64,
}

impl Bounds {
    /// `None`: there are none.
    pub(super) fn of(config: &config::Recording) -> Option<Self> {
        let age = (config.max_age.0 > Duration::ZERO).then_some(config.max_age.0);
        let size = (config.max_size.0 > 0).then_some(config.max_size.0);
        (age.is_some() || size.is_some()).then_some(Self { age, size })
    }

    /// Deletes what is beyond them at this time of day, but for what waits for its upload. What cannot be looked at or deleted
    /// stays, and is told.
    pub(super) fn pass(
        self,
        store: &Store,
        now: OffsetDateTime,
        awaits_upload: impl Fn(&str, &str) -> bool,
    ) -> io::Result<Passed> {
        let (mut kept, mut total) = (Vec::new(), 0_u64);
        for (room, session) in store.sessions()? {
            let size = match store.session(&room, &session).and_then(|folder| folder.size()) {
                Ok(size) => size,
                // Somebody has just deleted it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    tracing::warn!(room, session, %error, "this session cannot be looked at");
                    continue;
                }
            };
            total = total.saturating_add(size);
            // A folder with another name is none of ours to delete.
            if let Some(began) = began(&session) {
                kept.push(Kept { began, room, session, size });
            }
        }
        kept.sort_by_key(|kept| kept.began);
        let mut passed = Passed::default();
        for Kept { began, room, session, size } in kept {
            let is_much = self.size.is_some_and(|most| total > most);
            // It ended later than it began: what has not begun long ago need not be read.
            let may_be_old = |since| self.age.is_some_and(|age| now - since > age);
            if !is_much && !may_be_old(began) {
                if self.size.is_none() {
                    break;
                }
                continue;
            }
            let Some(duration) = complete(store, &room, &session) else { continue };
            let is_old = may_be_old(began.saturating_add(duration));
            if !is_much && !is_old {
                continue;
            }
            if awaits_upload(&room, &session) {
                passed.held = passed.held.saturating_add(size);
                continue;
            }
            match store.remove(&room, &session) {
                Ok(()) => {
                    let reason = if is_old { "age" } else { "size" };
                    tracing::info!(room, session, size, reason, "session deleted");
                    metrics::counter!("commonroom_recording_deleted_sessions_total", "reason" => reason)
                        .increment(1);
                    total = total.saturating_sub(size);
                    passed.deleted += 1;
                }
                Err(error) => tracing::warn!(room, session, %error, "the session cannot be deleted"),
            }
        }
        Ok(passed)
    }
}

/// How long a session went on; `None`: it is not complete, or nobody knows.
fn complete(store: &Store, room: &str, session: &str) -> Option<time::Duration> {
    if store.is_recorded(room, session) {
        return None;
    }
    let manifest = store.session(room, session).and_then(|folder| folder.read_manifest()).ok()?;
    let is_complete = manifest.state != SessionState::Recording;
    let duration = Duration::try_from_secs_f64(manifest.duration.max(0.0)).ok()?;
    is_complete.then_some(duration.try_into().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::manifest::{self, Alignment, Manifest};
    use std::io::Write;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

    struct Place {
        _root: tempfile::TempDir,
        store: Store,
    }

    impl Place {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let store = Store::open(root.path()).unwrap();
            Self { _root: root, store }
        }

        /// A session with a file of a megabyte.
        fn add(&self, room: &str, session: &str, state: SessionState, duration: f64) {
            let folder = self.store.create(room, session).unwrap();
            folder.create("a-camera", "mp4").unwrap().1.write_all(&[0; 1_000_000]).unwrap();
            let manifest = Manifest {
                version: manifest::VERSION,
                room: room.to_owned(),
                session: session.to_owned(),
                state,
                align: Alignment::Off,
                start: String::new(),
                end: None,
                duration,
                files: Vec::new(),
                events: Vec::new(),
                events_left_out: 0,
            };
            folder.write_manifest(&manifest).unwrap();
        }

        fn pass(&self, age: u64, size: u64) -> u64 {
            let config = config::Recording {
                max_age: config::Span(Duration::from_hours(age)),
                max_size: config::ByteSize(size),
                ..Default::default()
            };
            Bounds::of(&config).unwrap().pass(&self.store, NOW, |_, _| false).unwrap().deleted
        }

        fn left(&self) -> Vec<String> {
            self.store.sessions().unwrap().into_iter().map(|(room, session)| room + "/" + &session).collect()
        }
    }

    #[test]
    fn without_bounds_nothing_is_deleted() {
        assert!(Bounds::of(&config::Recording::default()).is_none());
    }

    #[test]
    fn age_counts_from_the_end() {
        let place = Place::new();
        let finished = SessionState::Finished;
        place.add("r", "2026-11-21T09-30-00Z", finished, 60.0);
        // Began before that, and ended two hours ago.
        place.add("r", "2026-11-21T09-00-00Z-2", SessionState::Recovered, 3_600.0);
        place.add("r", "2026-11-20T00-00-00Z", SessionState::Recording, 60.0);
        place.add("r", "2026-11-21T11-00-00Z", finished, 60.0);
        place.add("r", "by hand", finished, 60.0);
        place.add("gone", "2026-11-20T00-00-00Z", finished, 60.0);
        assert_eq!(place.pass(2, 0), 2);
        let left = ["2026-11-20T00-00-00Z", "2026-11-21T09-00-00Z-2", "2026-11-21T11-00-00Z", "by hand"];
        assert_eq!(place.left(), left.map(|session| format!("r/{session}")), "nor the room without sessions");
        assert_eq!(place.pass(2, 0), 0);
    }

    #[test]
    fn what_waits_for_its_upload_stays() {
        let place = Place::new();
        for hour in [1, 2, 3] {
            place.add("a", &format!("2026-11-21T0{hour}-00-00Z"), SessionState::Finished, 60.0);
        }
        let waiting = |_: &str, session: &str| session.starts_with("2026-11-21T01");
        let config = config::Recording { max_size: config::ByteSize(1_100_000), ..Default::default() };
        let passed = Bounds::of(&config).unwrap().pass(&place.store, NOW, waiting).unwrap();
        assert_eq!(passed.deleted, 2, "newer ones make place instead");
        assert!(passed.held > 1_000_000, "{passed:?}");
        assert_eq!(place.left(), ["a/2026-11-21T01-00-00Z"]);
    }

    #[test]
    fn the_oldest_make_place() {
        let place = Place::new();
        for (room, hour) in [("b", 1), ("a", 2), ("b", 3), ("a", 4)] {
            place.add(room, &format!("2026-11-21T0{hour}-00-00Z"), SessionState::Finished, 60.0);
        }
        // One that goes on counts, and stays.
        let live = place.store.create("a", "2026-11-21T00-30-00Z").unwrap();
        live.create("a-camera", "mp4").unwrap().1.write_all(&[0; 1_000_000]).unwrap();
        assert_eq!(place.pass(0, 6_000_000), 0);
        assert_eq!(place.pass(0, 3_100_000), 2);
        assert_eq!(
            place.left(),
            ["a/2026-11-21T00-30-00Z", "a/2026-11-21T04-00-00Z", "b/2026-11-21T03-00-00Z"]
        );
        assert_eq!(place.pass(0, 1), 2);
        assert_eq!(place.left(), ["a/2026-11-21T00-30-00Z"]);
        // The same without a manifest that says it is complete, by whoever holds it.
        drop(live);
        assert_eq!(place.pass(0, 1), 0);
    }

    #[test]
    fn what_is_being_completed_stays() {
        let place = Place::new();
        place.add("r", "2026-11-20T00-00-00Z", SessionState::Recovered, 60.0);
        let mended = place.store.session_to_mend("r", "2026-11-20T00-00-00Z").unwrap();
        let busy = place.store.remove("r", "2026-11-20T00-00-00Z").unwrap_err();
        assert_eq!(busy.kind(), io::ErrorKind::ResourceBusy);
        assert_eq!(place.pass(2, 0), 0, "its files are being hashed");
        drop(mended);
        assert_eq!(place.pass(2, 0), 1);
    }
}
