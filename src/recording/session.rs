//! One session of a room: recordings that lie on one clock, and the manifest that tells of them.

use super::attempts::Attempts;
use super::clock::SessionClock;
use super::file::{News, Order, Setting};
use super::manifest::{self, Alignment, Event, Manifest, SessionState, TimedEvent};
use super::scribe::Scribe;
use super::service::Service;
use super::store::SessionFolder;
use super::take::{Take, TakeState, tell_nothing};
use super::template::{Elements, Template};
use crate::config;
use crate::room::{Name, StreamKind};
use crate::stream::{EndReason, Start, Stream};
use crate::time::{NtpTime, Timestamp};
use ::time::format_description::BorrowedFormatItem;
use ::time::format_description::well_known::Rfc3339;
use ::time::macros::format_description;
use ::time::{OffsetDateTime, PrimitiveDateTime};
use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

/// Joins, leaves and lines of a session that are told.
const MAX_EVENTS: usize = 10_000;
/// Bytes that they may have in the manifest, which is written every few seconds and must be read again.
const MAX_EVENTS_SIZE: usize = 1 << 20;
/// Bytes that stand around each of them there.
const EVENT_FRAME: usize = 100;
/// News of all recordings that wait for the session.
const NEWS: usize = 64;
/// The manifest is written this often at most.
const MANIFEST_INTERVAL: Duration = Duration::from_secs(2);
/// How long the folder of a session may take to be there.
const BEGINNING: Duration = Duration::from_secs(5);
/// How long recordings may take to stop reading, so that they end together.
const STOPPING: Duration = Duration::from_secs(2);
/// How folders are called, and `{start}`.
const STAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]-[minute]-[second]Z");
/// Bytes of that.
const STAMP_LENGTH: usize = "2026-11-21T21-31-57Z".len();
/// RFC 3339 with milliseconds.
const RFC_3339: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A session that goes on.
pub(super) struct Session {
    service: Arc<Service>,
    config: config::Recording,
    template: Template,
    folder: SessionFolder,
    clock: Arc<SessionClock>,
    align: Alignment,
    takes: Vec<Take>,
    /// Recordings so far, for their numbers.
    begun: u64,
    events: Vec<(Timestamp, Event)>,
    /// Bytes of these.
    events_size: usize,
    events_left_out: u64,
    /// Nothing more is written into its files but their index.
    is_over: bool,
    news: mpsc::Receiver<(u64, News)>,
    /// What each recording gets a copy of.
    teller: mpsc::Sender<(u64, News)>,
    scribe: Scribe,
    written: Option<Instant>,
    is_dirty: bool,
    /// Since when nobody who is recorded publishes.
    quiet_since: Option<Instant>,
}

/// What news mean for the room.
pub(super) enum Change {
    /// A file is there.
    Begun(Name, StreamKind),
    /// Nothing came of a recording, for what its file says.
    Failed(Name, StreamKind, Box<manifest::File>),
    /// One ended, though its stream may go on: it is recorded anew then.
    Left,
}

impl Session {
    /// A session that begins now, in a folder of its own.
    /// `align`: how its files lie, if not as the configuration says.
    pub(super) async fn begin(
        service: Arc<Service>,
        room: &Name,
        wall: NtpTime,
        align: Option<Alignment>,
    ) -> io::Result<Self> {
        let (store, name) = (service.store.clone(), (room.to_string(), stamp(wall)));
        let folder = tokio::task::spawn_blocking(move || store.create(&name.0, &name.1));
        let folder = timeout(BEGINNING, folder).await?.map_err(io::Error::other)??;
        let config = service.config(room).clone();
        // Looked at when the recorder was opened.
        let template = config.file.parse().unwrap_or_default();
        tracing::info!(%room, session = folder.session(), "session is recorded");
        let (teller, news) = mpsc::channel(NEWS);
        let mut session = Self {
            scribe: Scribe::new(folder.clone(), service.clone()),
            folder,
            clock: Arc::new(SessionClock::new(Instant::now(), wall)),
            align: align.unwrap_or_else(|| config.align.into()),
            config,
            template,
            takes: Vec::new(),
            begun: 0,
            events: Vec::new(),
            events_size: 0,
            events_left_out: 0,
            is_over: false,
            news,
            teller,
            written: None,
            is_dirty: true,
            quiet_since: Some(Instant::now()),
            service,
        };
        // A folder without one would be nobody's after a crash.
        session.write(SessionState::Recording);
        let manifest = session.manifest(SessionState::Recording);
        session.service.notices.tell_session(session.service.rooms.wall(), &manifest);
        Ok(session)
    }

    /// Its room and name.
    pub(super) fn at(&self) -> (&str, &str) {
        (self.folder.room(), self.folder.session())
    }

    /// Records a stream in the file of its participant, where that waits for it. Whether it does.
    pub(super) fn go_on(&mut self, login: &Name, kind: StreamKind, stream: &Stream) -> bool {
        let mut takes = self.takes.iter_mut();
        let waiting = takes.find(|take| take.login == *login && take.kind == kind && take.is_waiting());
        let goes_on = waiting.is_some_and(|take| take.go_on(stream));
        if goes_on {
            (self.quiet_since, self.is_dirty) = (None, true);
        }
        goes_on
    }

    /// Records a stream in a new file.
    pub(super) fn record(&mut self, login: &Name, kind: StreamKind, stream: Stream, start: Start) {
        self.quiet_since = None;
        self.is_dirty = true;
        let start_stamp = stamp(self.clock.wall(self.clock.now()));
        let name = self.template.fill(&Elements {
            room: self.folder.room(),
            participant: login.as_str(),
            stream: &stream.name().stream,
            kind: kind.as_str(),
            start: &start_stamp,
            media_session_id: stream.client_id(),
        });
        let config = &self.config;
        let setting = Setting {
            bridge: self.service.bridge.clone(),
            clock: self.clock.clone(),
            folder: self.folder.clone(),
            align: self.align,
            as_published: config.audio == config::RecordedAudio::Source,
            sync: config.sync_every(),
            faststart: self.service.faststart(config),
            name,
        };
        let news = (self.begun, self.teller.clone());
        self.begun += 1;
        self.takes.push(Take::begin(&self.service, setting, (login, kind), (stream, start), news));
    }

    /// A stream is not to be recorded any more.
    pub(super) fn stop(&mut self, stream: &str) {
        let full = self.align == Alignment::Full;
        let live = self.takes.iter_mut().filter(|take| take.is_live());
        for take in live.filter(|take| *take.stream.name().stream == *stream) {
            if full && take.has_file() && take.order(Order::Rest { is_last: true }) {
                take.state = TakeState::Spent;
            } else {
                take.close(None);
            }
        }
    }

    /// What is recorded cannot go on.
    pub(super) fn fail(&mut self, error: &str) {
        self.takes.iter_mut().for_each(|take| take.fail(error));
    }

    /// The name of its folder.
    pub(super) fn name(&self) -> &str {
        self.folder.session()
    }

    /// How its files lie.
    pub(super) const fn align(&self) -> Alignment {
        self.align
    }

    /// Whether a stream is being recorded: this one, not one that was called so before.
    pub(super) fn records(&self, stream: &Stream) -> bool {
        self.takes.iter().any(|take| take.is_live() && take.stream.is(stream))
    }

    /// Whether anything is.
    pub(super) fn is_live(&self) -> bool {
        self.takes.iter().any(Take::is_live)
    }

    /// Whether anything is, or will be in the same file if its publisher comes back in time.
    pub(super) fn is_under_way(&self) -> bool {
        self.takes.iter().any(|take| matches!(take.state, TakeState::Live | TakeState::Idle(_)))
    }

    /// Something of a stream is muted, or no longer.
    pub(super) fn mute(&self, stream: &str, medium: crate::media::MediaKind, muted: bool) {
        let mut takes = self.takes.iter().rev().filter(|take| take.is_live());
        if let Some(take) = takes.find(|take| *take.stream.name().stream == *stream) {
            take.mute(medium, muted);
        }
    }

    /// Something happened in the room.
    pub(super) fn note(&mut self, event: Event) {
        let size = serde_json::to_string(&event).map_or(0, |text| text.len()) + EVENT_FRAME;
        if self.events.len() < MAX_EVENTS && self.events_size + size <= MAX_EVENTS_SIZE {
            self.events_size += size;
            self.events.push((self.clock.now(), event));
        } else {
            self.events_left_out += 1;
        }
        self.is_dirty = true;
    }

    /// Waits for news of a recording. Cancel-safe.
    pub(super) async fn next(&mut self) -> (u64, News) {
        match self.news.recv().await {
            Some(news) => news,
            None => std::future::pending().await, // never: a sender is kept
        }
    }

    /// Takes news. `Some`: what they mean for the room.
    pub(super) fn take(&mut self, (number, news): (u64, News)) -> Option<Change> {
        self.is_dirty = true;
        let full = self.align == Alignment::Full;
        let at = self.takes.iter().position(|take| take.number == number)?;
        let take = self.takes.get_mut(at)?;
        let change = match news {
            News::Open => {
                let change = Change::Begun(take.login.clone(), take.kind);
                // After a crash nobody knows whose a file is that the manifest does not have.
                self.write(SessionState::Recording);
                Some(change)
            }
            // It goes on with another one already.
            News::Idle(stream, _) if !stream.is(&take.stream) => None,
            // Of a session that ends alone, which hears it itself.
            News::Stopped(_) => None,
            News::Idle(_, reason) => {
                if take.is_live() {
                    take.state = TakeState::Idle(Instant::now());
                }
                // Who has stopped has stopped, unless the file goes on to the end of the session anyway.
                let vanished = matches!(reason, EndReason::Vanished);
                if !full && !vanished {
                    take.close(None);
                }
                None
            }
            News::Left => {
                take.state = TakeState::Closing;
                Some(Change::Left)
            }
            News::Spent => {
                take.state = TakeState::Spent;
                Some(Change::Left)
            }
            News::Closed if !take.has_file() => {
                let take = self.takes.remove(at);
                let told = take.told.borrow().clone();
                Some(Change::Failed(take.login.clone(), take.kind, Box::new(told)))
            }
            News::Closed => {
                take.closed(&self.service, &self.folder);
                Some(Change::Left)
            }
            News::Done => {
                take.state = TakeState::Done;
                None
            }
        };
        if !self.is_live() {
            self.quiet_since.get_or_insert_with(Instant::now);
        }
        change
    }

    /// Time passes. Whether the session is over: nobody has published for long, and nobody is waited for.
    pub(super) fn tick(&mut self) -> bool {
        let grace = self.config.grace.0;
        let full = self.align == Alignment::Full;
        for take in &mut self.takes {
            if let TakeState::Idle(since) = take.state
                && since.elapsed() >= grace
            {
                // What is filled to the end of the session is filled then, and costs nothing until it is.
                if full && take.order(Order::Rest { is_last: false }) {
                    take.state = TakeState::Resting;
                } else {
                    take.close(None);
                }
            }
            self.is_dirty |= take.told.has_changed().unwrap_or(false);
            take.announce(&self.service, &self.folder);
        }
        if self.is_dirty && self.written.is_none_or(|written| written.elapsed() >= MANIFEST_INTERVAL) {
            self.write(SessionState::Recording);
        }
        !self.is_live() && self.quiet_since.is_some_and(|since| since.elapsed() >= grace)
    }

    /// Closes all that is open and completes the manifest, however long that takes: nobody waits for it but a server that goes down,
    /// and what is not complete by then will be at the next start.
    pub(super) async fn end(mut self) {
        let end = self.stop_all().await;
        for take in &mut self.takes {
            take.close(Some(end));
        }
        while self.takes.iter().any(|take| take.state != TakeState::Done) {
            let news = self.next().await;
            self.take_last(news);
            self.is_over = self.takes.iter().all(|take| !take.is_open() && take.state != TakeState::Closing);
            self.write(SessionState::Recording);
        }
        self.is_over = true;
        let is_complete = self.takes.iter().all(|take| take.told.borrow().is_done());
        let state = if is_complete { SessionState::Finished } else { SessionState::Recording };
        self.write(state);
        let manifest = self.manifest(state);
        let Self { scribe, folder, service, .. } = self;
        scribe.finish().await;
        tracing::info!(room = folder.room(), session = folder.session(), is_complete, "session has ended");
        if is_complete {
            service.notices.tell_session(service.rooms.wall(), &manifest);
            service.is_complete(folder.room(), folder.session()).await;
        }
    }

    /// Takes news once the session is over: nothing is begun any more.
    fn take_last(&mut self, news: (u64, News)) {
        if let Some(Change::Failed(.., file)) = self.take(news) {
            tell_nothing(&self.service, &mut Attempts::default(), self.at(), &file);
        }
    }

    /// Stops all that is recorded, and says where the session ends: nowhere before the end of any of its files. What they tell
    /// meanwhile is up to a second old, and what has come by now may lie a little ahead of the clock.
    async fn stop_all(&mut self) -> Timestamp {
        let mut end = if self.is_live() { self.clock.now() } else { self.last_told() };
        if self.align != Alignment::Full {
            return end;
        }
        let open = self.takes.iter().filter(|take| take.is_open());
        let mut asked: HashSet<u64> =
            open.filter(|take| take.order(Order::Stop)).map(|take| take.number).collect();
        let deadline = Instant::now() + STOPPING;
        while !asked.is_empty() {
            let Ok((number, news)) = timeout_at(deadline, self.next()).await else { break };
            match news {
                News::Stopped(at) => end = at.map_or(end, |at| at.max(end)),
                News::Open | News::Idle(..) => continue,
                News::Left | News::Spent | News::Closed | News::Done => self.take_last((number, news)),
            }
            asked.remove(&number);
        }
        end.max(self.last_told())
    }

    /// The latest end of its files, by what they have told.
    fn last_told(&self) -> Timestamp {
        let last = self.takes.iter().map(|take| take.told.borrow().end).fold(0.0, f64::max);
        let span = Duration::try_from_secs_f64(last).unwrap_or_default();
        self.clock.zero().unwrap_or_default() + span.into()
    }

    fn write(&mut self, state: SessionState) {
        self.is_dirty = false;
        self.written = Some(Instant::now());
        let manifest = self.manifest(state);
        // Whoever hears of a file finds it in the manifest as he heard of it.
        let ends = self.takes.iter_mut().filter_map(Take::end_to_tell).collect();
        self.scribe.write(manifest, ends);
    }

    fn manifest(&mut self, state: SessionState) -> Manifest {
        let clock = &self.clock;
        let files: Vec<_> = self
            .takes
            .iter_mut()
            .map(|take| take.told.borrow_and_update().clone())
            .filter(|file| !file.name.is_empty())
            .collect();
        let duration = files.iter().map(|file| file.end).fold(0.0, f64::max);
        let zero = clock.zero().unwrap_or_default();
        let ended = self.is_over.then(|| {
            let span = Duration::try_from_secs_f64(duration).unwrap_or_default();
            rfc_3339(clock.wall(zero + span.into()))
        });
        let event =
            |(at, event): &(Timestamp, Event)| TimedEvent { time: clock.seconds(*at), event: event.clone() };
        Manifest {
            version: manifest::VERSION,
            room: self.folder.room().to_owned(),
            session: self.folder.session().to_owned(),
            state,
            align: self.align,
            start: rfc_3339(clock.wall(zero)),
            end: ended,
            duration,
            files,
            events: self.events.iter().map(event).collect(),
            events_left_out: self.events_left_out,
        }
    }
}

impl From<StreamKind> for manifest::Kind {
    fn from(kind: StreamKind) -> Self {
        match kind {
            StreamKind::Camera => Self::Camera,
            StreamKind::Screen => Self::Screen,
        }
    }
}

/// A time of day for the names of folders and files: `2026-11-21T21-31-57Z`.
fn stamp(time: NtpTime) -> String {
    format(time, STAMP)
}

pub(super) fn rfc_3339(time: NtpTime) -> String {
    format(time, RFC_3339)
}

fn format(time: NtpTime, description: &[BorrowedFormatItem<'_>]) -> String {
    let text = date(time).and_then(|time| time.format(description).ok());
    text.unwrap_or_default() // of no time between 1968 and 2104
}

/// The same for calculations; there is one for each time.
pub(super) fn date(time: NtpTime) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(time.unix_millis()) * 1_000_000).ok()
}

/// So many seconds behind a time of day, as manifests have both.
pub(super) fn after(start: &str, seconds: f64) -> Option<String> {
    let start = OffsetDateTime::parse(start, &Rfc3339).ok()?;
    start
        .checked_add(::time::Duration::try_from(Duration::try_from_secs_f64(seconds).ok()?).ok()?)?
        .format(RFC_3339)
        .ok()
}

/// When a session began, by the name of its folder; `None` for a folder with another name.
pub(super) fn began(session: &str) -> Option<OffsetDateTime> {
    let (stamp, _number) = session.split_at_checked(STAMP_LENGTH)?;
    PrimitiveDateTime::parse(stamp, STAMP).ok().map(PrimitiveDateTime::assume_utc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn times_of_day() {
        let time = NtpTime::from(UNIX_EPOCH + Duration::from_millis(1_795_296_717_500));
        assert_eq!(stamp(time), "2026-11-21T21-31-57Z");
        assert_eq!(rfc_3339(time), "2026-11-21T21:31:57.500Z");
        let second = |session| began(session).map(|began| began.unix_timestamp());
        assert_eq!(second("2026-11-21T21-31-57Z"), Some(1_795_296_717));
        assert_eq!(second("2026-11-21T21-31-57Z-12"), Some(1_795_296_717));
        for other in [
            "",
            "2026-11-21T21-31-57",
            "2026-13-21T21-31-57Z",
            "a meeting on Monday",
            "ä2026-11-21T21-31-57Z",
        ] {
            assert_eq!(second(other), None, "{other}");
        }
    }
}
