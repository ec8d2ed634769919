//! Which rooms are recorded: one task for each room that may be.

use super::attempts::Attempts;
use super::faststart::Faststart;
use super::file::News;
use super::file::close::Indexed;
use super::lock::Lock;
use super::manifest::{Event, File, FileState, SessionState};
use super::notice::Notices;
use super::recover;
use super::retention::{self, Bounds};
use super::session::{Change, Session, date};
use super::space::Space;
use super::store::Store;
use super::take::tell_nothing;
use super::template::Template;
use super::upload::{self, Destination};
use crate::bridge::Bridge;
use crate::config;
use crate::room::{self, Name, Observed, PublishedName, Rooms, StreamKind, Wanted};
use crate::stream::Start;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Time passes in steps of this.
const TICK: Duration = Duration::from_millis(500);

/// What is wanted and not recorded is tried again this often, if it may be.
const RETRY: Duration = Duration::from_secs(1);
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

/// What is known of one room.
struct Watch {
    service: Arc<Service>,
    room: Name,
    /// Who is in, and by which protocol.
    present: BTreeMap<Name, String>,
    /// What is published.
    streams: BTreeMap<PublishedName, (Name, StreamKind)>,
    wanted: Wanted,
    session: Option<Session>,
    /// New files of each participant.
    attempts: BTreeMap<(Name, StreamKind), Attempts>,
    /// New sessions.
    beginnings: Attempts,
    /// When it was last looked for what is not recorded.
    looked: Instant,
}

impl Watch {
    fn new(service: Arc<Service>, room: Name) -> Self {
        let (present, streams, wanted, attempts, beginnings) = Default::default();
        let looked = Instant::now();
        Self { service, room, present, streams, wanted, session: None, attempts, beginnings, looked }
    }

    /// Records what is wanted of the room until it is no more. Its session may outlive it: somebody may come again.
    async fn run(mut self, stop: CancellationToken) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut shortage = self.service.space.changes();
        let mut events = None;
        loop {
            if events.is_none() {
                match self.service.rooms.observe(&self.room) {
                    Some(observed) => events = Some(self.begin(observed).await),
                    None if self.session.is_none() => break,
                    None => self.empty(),
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                event = async {
                    match &mut events {
                        Some(events) => events.recv().await,
                        None => std::future::pending().await,
                    }
                } => match event {
                    Some(event) => self.handle(&event).await,
                    None => events = None,
                },
                Ok(()) = shortage.changed() => self.take_shortage().await,
                news = next(&mut self.session) => self.take(news).await,
                _ = ticks.tick() => self.tick().await,
            }
        }
        self.end_session();
    }

    /// Something has become of a recording.
    async fn take(&mut self, news: (u64, News)) {
        let Some(session) = &mut self.session else { return };
        match session.take(news) {
            Some(Change::Begun(login, kind)) => {
                self.attempts.entry((login, kind)).or_default().succeeded();
            }
            Some(Change::Failed(login, kind, file)) => {
                let attempts = self.attempts.entry((login, kind)).or_default();
                tell_nothing(&self.service, attempts, session.at(), &file);
            }
            // What comes meanwhile belongs to it.
            Some(Change::Left) => return self.follow(Start::CachedGop).await,
            None => {}
        }
        self.show();
    }

    async fn tick(&mut self) {
        if self.session.as_mut().is_some_and(Session::tick) {
            self.end_session();
        }
        if self.looked.elapsed() >= RETRY {
            self.looked = Instant::now();
            self.attempts.retain(|_, attempts| !attempts.is_new());
            self.follow(Start::NextKeyframe).await;
        }
        self.show();
    }

    /// There is no more space on the disk, or some again.
    async fn take_shortage(&mut self) {
        if self.service.space.is_short() {
            if let Some(session) = &mut self.session {
                session.fail(&self.service.space.reason());
            }
            self.end_session();
        } else {
            self.follow(Start::NextKeyframe).await;
        }
    }

    /// The room is no more.
    fn empty(&mut self) {
        let present: Vec<_> = self.present.keys().cloned().collect();
        for login in present {
            self.left(&login, "ended");
        }
        self.streams.clear();
    }

    /// Takes over what there is: at first, and where too much happened to be followed.
    async fn begin(&mut self, observed: Observed) -> tokio::sync::mpsc::Receiver<Arc<room::Event>> {
        let Observed { participants, wanted, events } = observed;
        let gone: Vec<_> = self
            .present
            .keys()
            .filter(|login| !participants.iter().any(|participant| participant.login == **login))
            .cloned()
            .collect();
        for login in gone {
            self.left(&login, "vanished");
        }
        self.streams.clear();
        self.wanted = wanted;
        for participant in participants {
            self.joined(&participant);
            for stream in &participant.streams {
                self.streams.insert(stream.name.clone(), (participant.login.clone(), stream.kind));
            }
        }
        self.meet_wishes();
        self.follow(Start::Beginning).await;
        events
    }

    async fn handle(&mut self, event: &room::Event) {
        match event {
            room::Event::Joined(participant) => self.joined(participant),
            room::Event::Left { login, reason } => self.left(login, reason.as_str()),
            room::Event::Published { login, stream } => {
                self.streams.insert(stream.name.clone(), (login.clone(), stream.kind));
                self.follow(Start::Beginning).await;
            }
            // Its recording hears of it from the stream itself.
            room::Event::Unpublished { stream, .. } => drop(self.streams.remove(stream)),
            room::Event::Muted { stream, medium, silent, .. } => {
                if let Some(session) = &self.session {
                    session.mute(stream.as_str(), *medium, *silent);
                }
            }
            room::Event::Message(line) if line.to.is_none() => {
                let (from, text) = (line.from.to_string(), line.text.to_string());
                self.note(Event::Message { id: line.id.0, from, text });
            }
            room::Event::Wanted(wanted) => {
                self.wanted = wanted.clone();
                // All files of a session lie in one way. What went on before anybody wanted it recorded is nobody's business.
                let other = self.meet_wishes();
                self.follow(if other { Start::CachedGop } else { Start::NextKeyframe }).await;
            }
            _ => {}
        }
    }

    /// Ends a session that is not wanted any more, or not in this way. Whether another one is wanted in its place.
    fn meet_wishes(&mut self) -> bool {
        let align = self.wanted.align;
        let other = |session: &Session| align.is_some_and(|align| align != session.align());
        let is_other = self.session.as_ref().is_some_and(other);
        if is_other || self.wanted.is_nothing() {
            self.end_session();
        }
        is_other
    }

    /// Records what is wanted and not recorded, and stops what is recorded and not wanted.
    async fn follow(&mut self, start: Start) {
        let streams: Vec<_> =
            self.streams.iter().map(|(name, (login, kind))| (name.clone(), login.clone(), *kind)).collect();
        for (name, login, kind) in streams {
            if !self.wanted.has(&name) {
                self.session.iter_mut().for_each(|session| session.stop(name.as_str()));
                continue;
            }
            let stream = self.service.rooms.publication(&self.room, &name);
            let Some(stream) = stream.filter(|stream| stream.ended().is_none()) else { continue };
            let is_recorded =
                |session: &mut Session| session.records(&stream) || session.go_on(&login, kind, &stream);
            if self.service.space.is_short() || self.session.as_mut().is_some_and(is_recorded) {
                continue;
            }
            if self.attempts.entry((login.clone(), kind)).or_default().take()
                && self.begin_session(&login, kind).await
                && let Some(session) = &mut self.session
            {
                session.record(&login, kind, stream, start);
            }
        }
        self.show();
    }

    /// Begins a session if there is none, for somebody who is to be recorded. Whether there is one then.
    async fn begin_session(&mut self, login: &Name, kind: StreamKind) -> bool {
        if self.session.is_some() {
            return true;
        }
        if !self.beginnings.take() {
            return false;
        }
        let wall = self.service.rooms.wall();
        match Session::begin(self.service.clone(), &self.room, wall, self.wanted.align).await {
            Ok(mut session) => {
                self.beginnings.succeeded();
                for (login, protocol) in &self.present {
                    let (login, protocol) = (login.to_string(), protocol.clone());
                    session.note(Event::Joined { login, protocol });
                }
                self.session = Some(session);
                true
            }
            Err(error) => {
                tracing::error!(room = %self.room, %error, "the room cannot be recorded");
                let error = Some(format!("the session cannot begin: {error}"));
                let file = File { error, ..File::of(login.as_str(), kind.into()) };
                tell_nothing(&self.service, &mut self.beginnings, (self.room.as_str(), ""), &file);
                false
            }
        }
    }

    /// What is recorded is complete some time; whatever comes next waits for none of it.
    fn end_session(&mut self) {
        if let Some(session) = self.session.take() {
            self.service.rooms.set_recording(&self.room, false, None);
            self.service.tasks.spawn(session.end());
        }
    }

    /// Tells the room whether it is recorded.
    fn show(&self) {
        let is_recorded = self.session.as_ref().is_some_and(Session::is_under_way);
        let name = self.session.as_ref().map(Session::name);
        self.service.rooms.set_recording(&self.room, is_recorded, name);
    }

    fn joined(&mut self, participant: &room::Participant) {
        let protocol = participant.protocol.as_str().to_owned();
        let (login, before) =
            (participant.login.to_string(), self.present.insert(participant.login.clone(), protocol.clone()));
        if before.is_none() {
            self.note(Event::Joined { login, protocol });
        }
    }

    fn left(&mut self, login: &Name, reason: &str) {
        if self.present.remove(login).is_some() {
            self.note(Event::Left { login: login.to_string(), reason: reason.to_owned() });
        }
    }

    fn note(&mut self, event: Event) {
        if let Some(session) = &mut self.session {
            session.note(event);
        }
    }
}

/// Waits for news of the session; for ever where there is none.
async fn next(session: &mut Option<Session>) -> (u64, News) {
    match session {
        Some(session) => session.next().await,
        None => std::future::pending().await,
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
