//! Sessions that are complete go to a store of objects, one after the other, until all of it is there and verified.
//!
//! The files of a session first and `session.json` last, so that whoever finds that finds all. What fails is tried again for as
//! long as it takes, by this run of the server or a later one: how far a session has come stands in its folder ([`Upload`]).
//! The recorder waits for none of it, and nothing that is recorded is deleted before it is known to be in the store.

mod destination;
mod object;
mod queue;
mod session;
mod state;
#[cfg(test)]
mod tests;

pub use destination::{Destination, Objects};
pub(super) use queue::Queue;
pub use state::{Object, Upload, UploadState, Verified};

use super::manifest::SessionState;
use super::notice::Uploaded;
use super::service::Service;
use super::store::{SessionFolder, Store};
use queue::Next;
use session::Step;
use std::io;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// What is left to tell the store when the server goes down may take this long.
const FAREWELL: Duration = Duration::from_secs(1);

/// Uploads until it is stopped.
pub(super) async fn run(service: &Service, to: &Destination, stop: &CancellationToken) {
    let queue = &service.uploads;
    let mut was_short = false;
    let mut shortage = service.space.changes();
    loop {
        let next = queue.next();
        metrics::gauge!("commonroom_recording_upload_waiting_sessions").set(queue.len() as f64); // exact below 2^53
        let (room, session) = match next {
            Next::Due(session) => session,
            Next::At(time) => {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = queue.changed() => {}
                    () = sleep_until(time.unwrap_or_else(|| Instant::now() + Duration::from_hours(1))) => {}
                    Ok(()) = shortage.changed() => {
                        let is_short = service.space.is_short();
                        if is_short && !was_short && queue.len() > 0 {
                            let waiting = queue.len();
                            tracing::error!(waiting, "the disk is nearly full, and sessions on it wait for their upload");
                        }
                        was_short = is_short;
                    }
                }
                continue;
            }
        };
        if service.store.is_recorded(&room, &session) {
            // Its last file has been closed, and the last handle is about to be.
            queue.later(&room, &session, Duration::from_millis(200));
            continue;
        }
        if !one(service, to, &room, &session, stop).await {
            return;
        }
    }
}

/// Takes one session as far as it comes. Whether to go on.
async fn one(
    service: &Service,
    to: &Destination,
    room: &str,
    session: &str,
    stop: &CancellationToken,
) -> bool {
    let queue = &service.uploads;
    let mut steps = match Step::begin(&service.store, room, session).await {
        Ok(steps) => steps,
        // Somebody has deleted it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            queue.done(room, session);
            return true;
        }
        Err(error) => {
            tracing::warn!(room, session, %error, "the session cannot be uploaded");
            queue.failed(room, session, false);
            return true;
        }
    };
    let outcome = tokio::select! {
        biased;
        () = stop.cancelled() => None,
        outcome = steps.run(to) => Some(outcome),
    };
    match outcome {
        None => {
            // What was begun is begun anew by the next run, which would find the pieces as well.
            drop(timeout(FAREWELL, steps.give_up(to)).await);
            return false;
        }
        Some(Ok(())) => {
            queue.done(room, session);
            count("uploaded");
            let uploaded = steps.uploaded(to);
            let (files, size) = (uploaded.files.len(), uploaded.size);
            tracing::info!(room, session, files, size, url = uploaded.url, "session uploaded");
            service.notices.tell_upload(service.rooms.wall(), (room, session), uploaded);
            if to.delete_local {
                delete(service, &steps, room, session).await;
            }
        }
        Some(Err(error)) => {
            let is_first = steps.failed(&error).await;
            let pause = queue.failed(room, session, error.is_general());
            count("failed");
            tracing::warn!(room, session, %error, again_in = ?pause, "the session is not uploaded");
            if is_first {
                let failed = Uploaded { error: Some(error.to_string()), ..steps.uploaded(to) };
                service.notices.tell_upload(service.rooms.wall(), (room, session), failed);
            }
        }
    }
    true
}

/// Deletes a session that is in the store, unless there is something in its folder that is not.
async fn delete(service: &Service, steps: &Step, room: &str, session: &str) {
    let (store, known) = (service.store.clone(), steps.names());
    let (to_remove, in_session) = (room.to_owned(), session.to_owned());
    let removing = tokio::task::spawn_blocking(move || {
        let folder = store.session(&to_remove, &in_session)?;
        let others = session::others(&folder, &known)?;
        if !others.is_empty() {
            return Err(io::Error::other(format!("{} is not in the store", others.join(", "))));
        }
        store.remove(&to_remove, &in_session)
    });
    match removing.await.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
        Ok(()) => {
            tracing::info!(room, session, reason = "uploaded", "session deleted");
            metrics::counter!("commonroom_recording_deleted_sessions_total", "reason" => "uploaded")
                .increment(1);
        }
        Err(error) => tracing::warn!(room, session, %error, "the uploaded session is not deleted"),
    }
}

impl Service {
    /// Whether sessions of a room are to be uploaded.
    fn uploads(&self, room: &str) -> bool {
        self.destination.is_some() && room.parse().is_ok_and(|room| self.config(&room).upload.enabled)
    }

    /// A session is complete.
    pub(super) async fn is_complete(&self, room: &str, session: &str) {
        if !self.uploads(room) {
            return;
        }
        let (store, to_wait) = (self.store.clone(), (room.to_owned(), session.to_owned()));
        // A panic of its was told where it happened.
        drop(tokio::task::spawn_blocking(move || wait(&store, &to_wait.0, &to_wait.1)).await);
        self.uploads.add(room, session);
    }

    /// Whether a session must stay because it is not uploaded yet.
    pub(super) fn awaits_upload(&self, room: &str, session: &str) -> bool {
        self.uploads(room) && self.store.session(room, session).is_ok_and(|folder| awaits(&folder))
    }

    /// Looks for what earlier runs have left.
    pub(super) fn find_uploads(&self) {
        let Some(destination) = &self.destination else { return };
        match unfinished(&self.store, destination, |room| self.uploads(room)) {
            Ok(found) => {
                for (room, session) in &found {
                    wait(&self.store, room, session);
                    self.uploads.add(room, session);
                }
            }
            Err(error) => tracing::error!(%error, "what is to be uploaded cannot be looked for"),
        }
    }
}

/// All sessions that are complete and with which the upload is not done. `is_meant`: whether those of a room are to be uploaded.
fn unfinished(
    store: &Store,
    to: &Destination,
    is_meant: impl Fn(&str) -> bool,
) -> io::Result<Vec<(String, String)>> {
    let mut found = store.sessions()?;
    // One that is uploaded and is not to stay has still to go.
    let is_left = |folder: SessionFolder| (to.delete_local || awaits(&folder)) && is_complete(&folder);
    found.retain(|(room, session)| is_meant(room) && store.session(room, session).is_ok_and(is_left));
    Ok(found)
}

/// Writes down that a session waits, for all who want to know.
fn wait(store: &Store, room: &str, session: &str) {
    let written = store.session(room, session).and_then(|folder| match Upload::read(&folder)? {
        Some(_) => Ok(()),
        None => Upload::default().write(&folder),
    });
    if let Err(error) = written {
        tracing::warn!(room, session, %error, "that the session waits for its upload cannot be written down");
    }
}

/// Whether a session is still to be uploaded, if sessions of its room are.
fn awaits(folder: &SessionFolder) -> bool {
    !matches!(Upload::read(folder), Ok(Some(Upload { state: UploadState::Uploaded, .. })))
}

fn is_complete(folder: &SessionFolder) -> bool {
    folder.read_manifest().is_ok_and(|manifest| manifest.state != SessionState::Recording)
}

fn count(outcome: &'static str) {
    metrics::counter!("commonroom_recording_upload_sessions_total", "outcome" => outcome).increment(1);
}
