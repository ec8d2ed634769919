//! One session of a room: recordings that lie on one clock, and the manifest that tells of them.

use super::clock::SessionClock;
use super::file::{self, News, Order, Setting};
use super::manifest::{self, Alignment, Event, FileState, Manifest, SessionState, TimedEvent};
use super::service::Service;
use super::store::SessionFolder;
use super::template::{Elements, Template};
use crate::config;
use crate::room::{Name, StreamKind};
use crate::stream::{EndReason, Start, Stream};
use crate::time::{NtpTime, Timestamp};
use ::time::format_description::BorrowedFormatItem;
use ::time::macros::format_description;
use ::time::{OffsetDateTime, PrimitiveDateTime};
use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};

/// Joins, leaves and lines of a session that are told.
const MAX_EVENTS: usize = 10_000;
/// Orders that wait for a recording: it takes them at once.
const ORDERS: usize = 16;
/// News of all recordings that wait for the session.
const NEWS: usize = 64;
/// The manifest is written this often at most.
const MANIFEST_INTERVAL: Duration = Duration::from_secs(2);
/// How long files may take to be completed when the session ends.
const COMPLETION: Duration = Duration::from_mins(5);
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
    events: Vec<(Timestamp, Event)>,
    events_left_out: u64,
    news: mpsc::Receiver<(usize, News)>,
    /// What each recording gets a copy of.
    teller: mpsc::Sender<(usize, News)>,
    written: Option<Instant>,
    is_dirty: bool,
    /// Since when nobody who is recorded publishes.
    quiet_since: Option<Instant>,
}

/// One recording, as the session knows it.
struct Take {
    login: Name,
    kind: StreamKind,
    stream: Stream,
    orders: mpsc::Sender<Order>,
    told: watch::Receiver<manifest::File>,
    /// It has been told that it has begun.
    is_announced: bool,
    /// It has been told how it has ended.
    is_end_told: bool,
    state: TakeState,
}

/// One of those that operators see.
struct Counted(metrics::Gauge);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum TakeState {
    /// Something comes.
    Live,
    /// Its stream has ended; another one of the participant goes on in the same file.
    Idle(Instant),
    /// It was told to close.
    Closing,
    Closed,
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
        let folder = folder.await.map_err(io::Error::other)??;
        let config = service.config(room).clone();
        // Looked at when the recorder was opened.
        let template = config.file.parse().unwrap_or_default();
        tracing::info!(%room, session = folder.session(), "session is recorded");
        let (teller, news) = mpsc::channel(NEWS);
        let mut session = Self {
            folder,
            clock: Arc::new(SessionClock::new(Instant::now(), wall)),
            align: align.unwrap_or_else(|| config.align.into()),
            config,
            template,
            takes: Vec::new(),
            events: Vec::new(),
            events_left_out: 0,
            news,
            teller,
            written: None,
            is_dirty: true,
            quiet_since: None,
            service,
        };
        // A folder without one would be nobody's after a crash.
        session.write(SessionState::Recording).await;
        session.tell(SessionState::Recording);
        Ok(session)
    }

    /// Records a stream: in the file of its participant, where that waits for it, or in a new one.
    pub(super) fn record(&mut self, login: &Name, kind: StreamKind, stream: Stream, start: Start) {
        self.quiet_since = None;
        self.is_dirty = true;
        // The end of the stream before may not have been read yet: it has ended all the same.
        let is_waiting = |take: &Take| match take.state {
            TakeState::Idle(_) => true,
            TakeState::Live => take.stream.ended().is_some(),
            TakeState::Closing | TakeState::Closed => false,
        };
        let mut takes = self.takes.iter_mut();
        let waiting = takes.find(|take| take.login == *login && take.kind == kind && is_waiting(take));
        if let Some(take) = waiting
            && take.orders.try_send(Order::Continue(stream.clone())).is_ok()
        {
            (take.stream, take.state) = (stream, TakeState::Live);
            return;
        }
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
        let told = manifest::File {
            name: String::new(),
            state: FileState::Recording,
            error: None,
            participant: login.to_string(),
            kind: kind.into(),
            streams: Vec::new(),
            start: 0.0,
            end: 0.0,
            audio: None,
            video: None,
            gaps: Vec::new(),
            size: 0,
            sha256: None,
        };
        let (orders, for_file) = mpsc::channel(ORDERS);
        let (teller, told) = watch::channel(told);
        let (number, news) = (self.takes.len(), self.teller.clone());
        let recorded = stream.clone();
        let counted = Counted::new();
        self.service.tasks.spawn(async move {
            let _counted = counted;
            let told = teller.clone();
            let recording =
                tokio::spawn(file::record(setting, recorded, start, for_file, told, (number, news.clone())));
            let left = recording.await.unwrap_or_else(|panic| {
                teller.send_modify(|told| {
                    told.state = FileState::Failed;
                    told.error = Some(panic.to_string());
                });
                None
            });
            // A session that is gone needs no news.
            drop(news.send((number, News::Closed(left))).await);
        });
        let login = login.clone();
        self.takes.push(Take {
            login,
            kind,
            stream,
            orders,
            told,
            is_announced: false,
            is_end_told: false,
            state: TakeState::Live,
        });
    }

    /// A stream is not to be recorded any more.
    pub(super) fn stop(&mut self, stream: &str) {
        for take in self.takes.iter_mut().filter(|take| *take.stream.name().stream == *stream) {
            take.close(None);
        }
    }

    /// What is recorded cannot go on.
    pub(super) fn fail(&mut self, error: &str) {
        for take in self.takes.iter_mut().filter(|take| take.state == TakeState::Live) {
            drop(take.orders.try_send(Order::Fail(error.to_owned())));
            take.state = TakeState::Closing;
        }
    }

    /// The name of its folder.
    pub(super) fn name(&self) -> &str {
        self.folder.session()
    }

    /// How its files lie.
    pub(super) const fn align(&self) -> Alignment {
        self.align
    }

    /// Whether a stream is being recorded.
    pub(super) fn records(&self, stream: &str) -> bool {
        self.takes.iter().any(|take| take.state == TakeState::Live && *take.stream.name().stream == *stream)
    }

    /// Whether anything is.
    pub(super) fn is_live(&self) -> bool {
        self.takes.iter().any(|take| take.state == TakeState::Live)
    }

    /// Whether anything is, or will be in the same file if its publisher comes back in time.
    pub(super) fn is_under_way(&self) -> bool {
        self.takes.iter().any(|take| matches!(take.state, TakeState::Live | TakeState::Idle(_)))
    }

    /// Something of a stream is muted, or no longer.
    pub(super) fn mute(&self, stream: &str, medium: crate::media::MediaKind, muted: bool) {
        let take = self
            .takes
            .iter()
            .find(|take| take.state == TakeState::Live && *take.stream.name().stream == *stream);
        if let Some(take) = take {
            // One that has too much to do tells the gap with another cause. There is always room for the orders that count.
            if take.orders.capacity() > ORDERS / 2 {
                drop(take.orders.try_send(Order::Muted(medium, muted)));
            }
        }
    }

    /// Something happened in the room.
    pub(super) fn note(&mut self, event: Event) {
        if self.events.len() < MAX_EVENTS {
            self.events.push((self.clock.now(), event));
        } else {
            self.events_left_out += 1;
        }
        self.is_dirty = true;
    }

    /// Waits for news of a recording. Cancel-safe.
    pub(super) async fn next(&mut self) -> (usize, News) {
        match self.news.recv().await {
            Some(news) => news,
            None => std::future::pending().await, // never: a sender is kept
        }
    }

    /// Takes news; what is to be recorded in another file is from now on.
    pub(super) async fn take(&mut self, (number, news): (usize, News)) {
        self.is_dirty = true;
        let full = self.align == Alignment::Full;
        let Some(take) = self.takes.get_mut(number) else { return };
        match news {
            // After a crash nobody knows whose a file is that the manifest does not have.
            News::Open => return self.write(SessionState::Recording).await,
            // It goes on with another one already.
            News::Idle(stream, _) if !stream.is(&take.stream) => {}
            // Of a session that ends alone, which hears it itself.
            News::Stopped(_) => {}
            News::Idle(_, reason) => {
                if take.state == TakeState::Live {
                    take.state = TakeState::Idle(Instant::now());
                }
                // Who has stopped has stopped, unless the file goes on to the end of the session anyway.
                let vanished = matches!(reason, EndReason::Vanished);
                if !full && !vanished {
                    take.close(None);
                }
            }
            News::Closed(left) => {
                let was_told = take.state == TakeState::Closing;
                take.closed(&self.service, &self.folder);
                if let Some(stream) = left.filter(|_| !was_told) {
                    let (login, kind) = (take.login.clone(), take.kind);
                    self.record(&login, kind, stream, Start::CachedGop);
                }
            }
        }
        if !self.is_live() {
            self.quiet_since.get_or_insert_with(Instant::now);
        }
    }

    /// Time passes. Whether the session is over: nobody has published for long, and nobody is waited for.
    pub(super) async fn tick(&mut self) -> bool {
        let grace = self.config.grace.0;
        let full = self.align == Alignment::Full;
        for take in &mut self.takes {
            if let TakeState::Idle(since) = take.state
                && !full
                && since.elapsed() >= grace
            {
                take.close(None);
            }
            self.is_dirty |= take.told.has_changed().unwrap_or(false);
            take.announce(&self.service, &self.folder);
        }
        if self.is_dirty && self.written.is_none_or(|written| written.elapsed() >= MANIFEST_INTERVAL) {
            self.write(SessionState::Recording).await;
        }
        !self.is_live() && self.quiet_since.is_some_and(|since| since.elapsed() >= grace)
    }

    /// Closes all that is open and completes the manifest.
    pub(super) async fn end(mut self) {
        let end = self.stop_all().await;
        for take in &mut self.takes {
            take.close(Some(end));
        }
        let deadline = Instant::now() + COMPLETION;
        while self.takes.iter().any(|take| take.state != TakeState::Closed) {
            let Ok(news) = timeout_at(deadline, self.next()).await else { break };
            if let (number, News::Closed(_)) = news
                && let Some(take) = self.takes.get_mut(number)
            {
                take.closed(&self.service, &self.folder);
            }
        }
        let is_complete = self.takes.iter().all(|take| take.state == TakeState::Closed);
        // What is not complete by now will be at the next start.
        self.write(if is_complete { SessionState::Finished } else { SessionState::Recording }).await;
        tracing::info!(room = self.folder.room(), session = self.folder.session(), "session has ended");
        if is_complete {
            self.tell(SessionState::Finished);
            self.service.is_complete(self.folder.room(), self.folder.session()).await;
        }
    }

    /// Stops all that is recorded, and says where the session ends: nowhere before the end of any of its files. What they tell
    /// meanwhile is up to a second old, and what has come by now may lie a little ahead of the clock.
    async fn stop_all(&mut self) -> Timestamp {
        let mut end = if self.is_live() { self.clock.now() } else { self.last_told() };
        if self.align != Alignment::Full {
            return end;
        }
        let is_open = |take: &Take| matches!(take.state, TakeState::Live | TakeState::Idle(_));
        let open = self.takes.iter().enumerate().filter(|(_, take)| is_open(take));
        let mut asked: HashSet<usize> =
            open.filter(|(_, take)| take.orders.try_send(Order::Stop).is_ok()).map(|(at, _)| at).collect();
        let deadline = Instant::now() + STOPPING;
        while !asked.is_empty() {
            let Ok((number, news)) = timeout_at(deadline, self.next()).await else { break };
            match news {
                News::Stopped(at) => {
                    end = at.map_or(end, |at| at.max(end));
                    asked.remove(&number);
                }
                News::Closed(_) => {
                    if let Some(take) = self.takes.get_mut(number) {
                        take.closed(&self.service, &self.folder);
                    }
                    asked.remove(&number);
                }
                News::Open | News::Idle(..) => {}
            }
        }
        end.max(self.last_told())
    }

    /// The latest end of its files, by what they have told.
    fn last_told(&self) -> Timestamp {
        let last = self.takes.iter().map(|take| take.told.borrow().end).fold(0.0, f64::max);
        let span = Duration::try_from_secs_f64(last).unwrap_or_default();
        self.clock.zero().unwrap_or_default() + span.into()
    }

    /// Tells those who want to know how the session is.
    fn tell(&mut self, state: SessionState) {
        let manifest = self.manifest(state);
        self.service.notices.tell_session(self.service.rooms.wall(), &manifest);
    }

    async fn write(&mut self, state: SessionState) {
        self.is_dirty = false;
        self.written = Some(Instant::now());
        let (folder, manifest) = (self.folder.clone(), self.manifest(state));
        let written = tokio::task::spawn_blocking(move || folder.write_manifest(&manifest));
        let outcome = match timeout(COMPLETION, written).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => Err(io::Error::other(panic)),
            Err(late) => Err(late.into()),
        };
        if let Err(error) = outcome {
            tracing::error!(room = self.folder.room(), session = self.folder.session(), %error, "manifest");
        }
        // Whoever hears of a file finds it in the manifest as he heard of it.
        for take in &mut self.takes {
            take.tell_end(&self.service, &self.folder);
        }
    }

    fn manifest(&mut self, state: SessionState) -> Manifest {
        let clock = &self.clock;
        let files: Vec<_> = self
            .takes
            .iter_mut()
            .map(|take| take.told.borrow_and_update().clone())
            .filter(|file| !file.name.is_empty() || file.error.is_some())
            .collect();
        let duration = files.iter().map(|file| file.end).fold(0.0, f64::max);
        let zero = clock.zero().unwrap_or_default();
        let ended = (state != SessionState::Recording).then(|| {
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

impl Counted {
    fn new() -> Self {
        let recordings = metrics::gauge!("commonroom_recordings");
        recordings.increment(1.0);
        Self(recordings)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl Take {
    /// Tells once that there is a file.
    fn announce(&mut self, service: &Service, folder: &SessionFolder) {
        let told = self.told.borrow();
        if !self.is_announced && !told.name.is_empty() {
            self.is_announced = true;
            let begun = manifest::File { state: FileState::Recording, ..told.clone() };
            service.notices.tell(service.rooms.wall(), (folder.room(), folder.session()), &begun);
        }
    }

    /// Its recording has come to its end.
    fn closed(&mut self, service: &Service, folder: &SessionFolder) {
        self.announce(service, folder);
        self.state = TakeState::Closed;
        super::service::count_closed(self.told.borrow().state);
    }

    /// Tells that once, when the manifest has it.
    fn tell_end(&mut self, service: &Service, folder: &SessionFolder) {
        if self.state == TakeState::Closed && !self.is_end_told {
            self.is_end_told = true;
            let told = self.told.borrow();
            service.notices.tell(service.rooms.wall(), (folder.room(), folder.session()), &told);
        }
    }

    fn close(&mut self, end: Option<Timestamp>) {
        if matches!(self.state, TakeState::Live | TakeState::Idle(_)) {
            // One that does not take orders any more is closing by itself.
            drop(self.orders.try_send(Order::Close(end)));
            self.state = TakeState::Closing;
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
