//! One room, as the recorder sees it: who is in, what is published, what of it is wanted, and the session that comes of it.

use super::attempts::Attempts;
use super::file::News;
use super::manifest::{Event, File};
use super::service::Service;
use super::session::{Change, Session};
use super::take::tell_nothing;
use crate::room::{self, Name, Observed, PublishedName, StreamKind, Wanted};
use crate::stream::Start;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Time passes in steps of this.
const TICK: Duration = Duration::from_millis(500);
/// What is wanted and not recorded is tried again this often, if it may be.
const RETRY: Duration = Duration::from_secs(1);

/// What is known of one room.
pub(super) struct Watch {
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
    pub(super) fn new(service: Arc<Service>, room: Name) -> Self {
        let (present, streams, wanted, attempts, beginnings) = Default::default();
        let looked = Instant::now();
        Self { service, room, present, streams, wanted, session: None, attempts, beginnings, looked }
    }

    /// Records what is wanted of the room until it is no more. Its session may outlive it: somebody may come again.
    pub(super) async fn run(mut self, stop: CancellationToken) {
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
