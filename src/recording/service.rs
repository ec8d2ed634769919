//! What all recordings of a server share: one task for each room that may be recorded, and what goes on beside them.

use super::faststart::Faststart;
use super::file::close::Indexed;
use super::lock::Lock;
use super::manifest::{FileState, SessionState};
use super::notice::Notices;
use super::recover;
use super::retention::{self, Bounds};
use super::session::date;
use super::space::Space;
use super::store::Store;
use super::template::Template;
use super::upload::{self, Destination};
use super::watch::Watch;
use crate::bridge::Bridge;
use crate::config;
use crate::room::{Name, Rooms};
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// So many files get their hash at a time.
const SEALING: usize = 2;
/// How long they may take when the server goes down.
const LAST_SEALS: Duration = Duration::from_millis(1_500);

/// Records rooms.
pub struct Recorder {
    service: Arc<Service>,
    /// The sessions that were there when it was opened, by room and name.
    earlier: Arc<[(String, String)]>,
}

/// Why nothing can be recorded.
#[derive(Debug, Error)]
pub enum RecorderError {
    /// The folder cannot be used.
    #[error("recordings cannot be written to {} (recording.dir): {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process writes there.
    #[error("another server records to {} (recording.dir); give this one a folder of its own", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The names of files are not to be had.
    #[error("recording.file: {0}")]
    Template(#[from] super::template::InvalidTemplate),
}

/// What all sessions share.
pub(super) struct Service {
    config: config::Recording,
    rules: config::RoomRules,
    pub(super) store: Store,
    pub(super) bridge: Bridge,
    pub(super) tasks: TaskTracker,
    pub(super) rooms: Rooms,
    pub(super) space: Space,
    /// Who hears what becomes of recordings.
    pub(super) notices: Notices,
    /// What waits to be uploaded.
    pub(super) uploads: upload::Queue,
    /// Where to.
    pub(super) destination: Option<Destination>,
    /// Files that are read once more for their hash at a time.
    sealing: Semaphore,
    /// The server goes down: what has no hash by now gets it at the next start.
    farewell: CancellationToken,
    /// Nobody else writes there.
    _lock: Lock,
}

impl Recorder {
    /// Opens the folder of recordings. `rules` are those of rooms that are recorded in another way; `destination` is where
    /// sessions are uploaded to, if they are.
    pub fn open(
        config: config::Recording,
        rules: config::RoomRules,
        rooms: Rooms,
        bridge: Bridge,
        notices: Notices,
        destination: Option<Destination>,
    ) -> Result<Self, RecorderError> {
        for config in rules.iter().map(|rule| &rule.recording).chain([&config]) {
            config.file.parse::<Template>()?;
        }
        let failed = |source| RecorderError::Folder { path: config.dir.clone(), source };
        let store = Store::open(&config.dir).map_err(failed)?;
        let lock = store.lock().map_err(failed)?;
        let lock = lock.ok_or_else(|| RecorderError::InUse { path: config.dir.clone() })?;
        let earlier = store.sessions().map_err(failed)?.into();
        let tasks = TaskTracker::new();
        let space = Space::new(config.min_free.0);
        // The first recording must know.
        space.take(store.free());
        let uploads = upload::Queue::default();
        let service = Service {
            config,
            rules,
            store,
            bridge,
            tasks,
            rooms,
            space,
            notices,
            uploads,
            destination,
            sealing: Semaphore::new(SEALING),
            farewell: CancellationToken::new(),
            _lock: lock,
        };
        Ok(Self { service: Arc::new(service), earlier })
    }

    /// Completes these, as far as an earlier run of the server could not. Nobody may write to them.
    fn recover(service: &Service, sessions: &[(String, String)]) {
        for (room, session) in sessions {
            let config = room.parse().map_or(&service.config, |room| service.config(&room));
            match recover::session(&service.store, room, session, service.faststart(config)) {
                Ok(None) => {}
                Ok(Some(recovered)) => {
                    let count = |lost| {
                        recovered.files().filter(|file| (file.state == FileState::Lost) == lost).count()
                    };
                    let (files, lost) = (count(false), count(true));
                    if recovered.manifest.state == SessionState::Recovered {
                        tracing::warn!(
                            room,
                            session,
                            files,
                            lost,
                            "session was interrupted; completed what is there"
                        );
                    } else {
                        tracing::info!(room, session, files, "completed what the last run had no time for");
                    }
                    for file in recovered.files() {
                        count_closed(file.state);
                        service.notices.tell(service.rooms.wall(), (room, session), file);
                    }
                    if recovered.manifest.state == SessionState::Finished {
                        service.notices.tell_session(service.rooms.wall(), &recovered.manifest);
                    }
                }
                Err(error) => tracing::error!(room, session, %error, "session was interrupted, and stays so"),
            }
        }
    }

    /// The folder of recordings.
    pub fn store(&self) -> &Store {
        &self.service.store
    }

    /// Records until it is stopped; then completes what is open.
    pub async fn run(&self, stop: CancellationToken) {
        // While these are completed new ones begin in folders of their own.
        let recovery = tokio::task::spawn_blocking({
            let (service, sessions) = (self.service.clone(), self.earlier.clone());
            move || {
                Self::recover(&service, &sessions);
                service.find_uploads();
            }
        });
        let serving = async { tokio::join!(self.serve(stop.clone()), self.upload(&stop)) };
        tokio::select! {
            ((), ()) = serving => {}
            () = self.watch_disk() => {}
            () = self.delete_old() => {}
        }
        // A panic of its was told where it happened.
        drop(recovery.await);
    }

    /// Uploads what is complete.
    async fn upload(&self, stop: &CancellationToken) {
        if let Some(destination) = &self.service.destination {
            upload::run(&self.service, destination, stop).await;
        }
    }

    /// Looks for ever how much is free.
    async fn watch_disk(&self) {
        let store = self.service.store.clone();
        self.service.space.watch(move || store.free()).await;
    }

    /// Deletes for ever what need not be kept.
    async fn delete_old(&self) {
        let Some(bounds) = Bounds::of(&self.service.config) else { return std::future::pending().await };
        let mut passes = interval(retention::PASS);
        passes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut held_bytes = 0;
        loop {
            passes.tick().await;
            let Some(now) = date(self.service.rooms.wall()) else { continue };
            let service = self.service.clone();
            let pass = tokio::task::spawn_blocking(move || {
                let waits = |room: &str, session: &str| service.awaits_upload(room, session);
                bounds.pass(&service.store, now, waits)
            });
            match pass.await {
                Ok(Ok(passed)) => held_bytes = tell_held(passed.held, held_bytes),
                Ok(Err(error)) => tracing::error!(%error, "old sessions cannot be deleted"),
                // A panic was told where it happened.
                Err(_) => {}
            }
        }
    }

    async fn serve(&self, stop: CancellationToken) {
        let mut arrivals = self.service.rooms.arrivals();
        let (mut tasks, mut watched) = (JoinSet::new(), HashMap::new());
        let mut rooms = HashSet::new();
        loop {
            arrivals.mark_unchanged();
            for room in self.service.rooms.names() {
                if rooms.insert(room.clone()) {
                    let watch = Watch::new(self.service.clone(), room.clone());
                    watched.insert(tasks.spawn(watch.run(stop.clone())).id(), room);
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                changed = arrivals.changed() => if changed.is_err() { break },
                // One that panicked has said so, and is begun anew.
                Some(ended) = tasks.join_next_with_id() => {
                    let id = ended.map_or_else(|panic| panic.id(), |(id, ())| id);
                    if let Some(room) = watched.remove(&id) {
                        rooms.remove(&room);
                    }
                }
            }
        }
        while tasks.join_next().await.is_some() {}
        self.service.tasks.close();
        if timeout(LAST_SEALS, self.service.tasks.wait()).await.is_err() {
            self.service.farewell.cancel();
            self.service.tasks.wait().await;
        }
    }
}

impl Service {
    /// Whether files that are recorded in this way get their index in front.
    pub(super) fn faststart(&self, config: &config::Recording) -> Option<Faststart> {
        // What is to stay free is the server's to say.
        config.faststart.then_some(Faststart { keep: self.config.min_free.0 })
    }

    /// Makes the last of a file that has its index, once it is its turn.
    pub(super) async fn seal(&self, indexed: Indexed) {
        let turn = async {
            let Ok(_turn) = self.sealing.acquire().await else { return };
            indexed.seal(self.farewell.clone()).await;
        };
        // One that is under way sees by itself that it is late, and leaves its file whole.
        tokio::select! {
            () = turn => {}
            () = self.farewell.cancelled() => {}
        }
    }

    /// How a room is recorded.
    pub(super) fn config(&self, room: &Name) -> &config::Recording {
        self.rules.of(room.as_str()).map_or(&self.config, |rule| &rule.recording)
    }
}

/// Tells once that sessions which may be deleted wait for their upload. Gives how many bytes they have.
fn tell_held(held: u64, before: u64) -> u64 {
    metrics::gauge!("commonroom_recording_upload_held_bytes").set(held as f64); // exact up to 8 PiB
    if held > 0 && before == 0 {
        tracing::warn!(bytes = held, "sessions that are to be deleted stay, as they are not uploaded yet");
    }
    held
}

/// One recording has come to its end.
pub(super) fn count_closed(outcome: FileState) {
    let outcome = match outcome {
        FileState::Recording | FileState::Finished => "finished",
        FileState::Failed => "failed",
        FileState::Recovered => "recovered",
        FileState::Lost => "lost",
    };
    metrics::counter!("commonroom_recordings_total", "outcome" => outcome).increment(1);
}

impl From<config::Align> for super::manifest::Alignment {
    fn from(align: config::Align) -> Self {
        match align {
            config::Align::Off => Self::Off,
            config::Align::LeadIn => Self::LeadIn,
            config::Align::Full => Self::Full,
        }
    }
}

#[cfg(test)]
mod tests;
