//! One recording, as its session knows it.

use super::attempts::Attempts;
use super::file::{self, News, Order, Setting};
use super::manifest::{self, FileState};
use super::service::{Service, count_closed};
use super::store::SessionFolder;
use crate::room::{Name, StreamKind};
use crate::stream::{Start, Stream};
use crate::time::Timestamp;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Orders that wait for a recording: it takes them at once.
const ORDERS: usize = 16;

/// One recording.
pub(super) struct Take {
    pub(super) number: u64,
    pub(super) login: Name,
    pub(super) kind: StreamKind,
    /// What is recorded now, or was last.
    pub(super) stream: Stream,
    orders: mpsc::Sender<Order>,
    pub(super) told: watch::Receiver<manifest::File>,
    /// It has been told that it has begun.
    is_announced: bool,
    /// It has been told how it has ended.
    is_end_told: bool,
    pub(super) state: TakeState,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TakeState {
    /// Something comes.
    Live,
    /// Its stream has ended; another one of the participant goes on in the same file.
    Idle(Instant),
    /// The same, for so long that nothing is filled until somebody comes or the session ends.
    Resting,
    /// Nothing more goes into it, but what fills it to the end of the session.
    Spent,
    /// It was told to close, or does by itself.
    Closing,
    /// It has its index, as far as it can have one.
    Closed,
    /// All is done.
    Done,
}

impl Take {
    /// Begins to record a stream. Who is told of it gets the number with each of its news.
    pub(super) fn begin(
        service: &Arc<Service>,
        setting: Setting,
        (login, kind): (&Name, StreamKind),
        (stream, start): (Stream, Start),
        (number, news): (u64, mpsc::Sender<(u64, News)>),
    ) -> Self {
        let (orders, for_file) = mpsc::channel(ORDERS);
        let (teller, told) = watch::channel(manifest::File::of(login.as_str(), kind.into()));
        let recorded = stream.clone();
        let service = service.clone();
        let counted = Counted::new();
        service.clone().tasks.spawn(async move {
            let told = teller.clone();
            let recording =
                tokio::spawn(file::record(setting, recorded, start, for_file, told, (number, news.clone())));
            let indexed = recording.await.unwrap_or_else(|panic| {
                // What is there of it the next start completes.
                teller.send_modify(|told| {
                    told.state = if told.name.is_empty() { FileState::Lost } else { FileState::Recording };
                    told.error = Some(panic.to_string());
                });
                None
            });
            drop(counted);
            // A session that is gone needs no news.
            drop(news.send((number, News::Closed)).await);
            if let Some(indexed) = indexed {
                service.seal(indexed).await;
            }
            drop(news.send((number, News::Done)).await);
        });
        let (login, state) = (login.clone(), TakeState::Live);
        Self { number, login, kind, stream, orders, told, is_announced: false, is_end_told: false, state }
    }

    /// Whether something of it comes.
    pub(super) fn is_live(&self) -> bool {
        self.state == TakeState::Live
    }

    /// Whether it can be told when the session ends.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, TakeState::Live | TakeState::Idle(_) | TakeState::Resting | TakeState::Spent)
    }

    /// Whether another stream of its participant goes on in it. The end of the one before may not have been read yet: it has ended
    /// all the same.
    pub(super) fn is_waiting(&self) -> bool {
        match self.state {
            TakeState::Idle(_) | TakeState::Resting => true,
            TakeState::Live => self.stream.ended().is_some(),
            TakeState::Spent | TakeState::Closing | TakeState::Closed | TakeState::Done => false,
        }
    }

    /// Goes on with another stream. Whether it does.
    pub(super) fn go_on(&mut self, stream: &Stream) -> bool {
        let goes_on = self.order(Order::Continue(stream.clone()));
        if goes_on {
            (self.stream, self.state) = (stream.clone(), TakeState::Live);
        }
        goes_on
    }

    /// Tells it something, if it listens. There is always room for the orders that count.
    pub(super) fn order(&self, order: Order) -> bool {
        self.orders.try_send(order).is_ok()
    }

    /// Something is muted, or no longer.
    pub(super) fn mute(&self, medium: crate::media::MediaKind, muted: bool) {
        // One that has too much to do tells the gap with another cause.
        if self.orders.capacity() > ORDERS / 2 {
            self.order(Order::Muted(medium, muted));
        }
    }

    /// Nothing more comes. `Some`: the session ends there.
    pub(super) fn close(&mut self, end: Option<Timestamp>) {
        if self.is_open() {
            // One that does not take orders any more is closing by itself.
            self.order(Order::Close(end));
            self.state = TakeState::Closing;
        }
    }

    /// It cannot go on.
    pub(super) fn fail(&mut self, error: &str) {
        if self.is_live() {
            self.order(Order::Fail(error.to_owned()));
            self.state = TakeState::Closing;
        }
    }

    /// Tells once that there is a file.
    pub(super) fn announce(&mut self, service: &Service, folder: &SessionFolder) {
        let told = self.told.borrow();
        if !self.is_announced && !told.name.is_empty() {
            self.is_announced = true;
            let begun = manifest::File { state: FileState::Recording, ..told.clone() };
            service.notices.tell(service.rooms.wall(), (folder.room(), folder.session()), &begun);
        }
    }

    /// Whether there is a file.
    pub(super) fn has_file(&self) -> bool {
        !self.told.borrow().name.is_empty()
    }

    /// It has its index, as far as it can have one.
    pub(super) fn closed(&mut self, service: &Service, folder: &SessionFolder) {
        self.announce(service, folder);
        self.state = TakeState::Closed;
    }

    /// Once: how it has ended.
    pub(super) fn end_to_tell(&mut self) -> Option<manifest::File> {
        let told = self.told.borrow();
        if self.is_end_told || !matches!(self.state, TakeState::Closed | TakeState::Done) {
            return None;
        }
        let end = match (told.state, self.state) {
            // It is not complete, and will not be before the next start, which tells how it goes on.
            (FileState::Recording, _) => manifest::File { state: FileState::Failed, ..told.clone() },
            // What has no hash by now is told of with the next start, too.
            (_, TakeState::Done) if told.sha256.is_some() => told.clone(),
            _ => return None,
        };
        self.is_end_told = true;
        Some(end)
    }
}

/// One of those that operators see.
struct Counted(metrics::Gauge);

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

/// A recording has come to its end.
pub(super) fn tell(service: &Service, session: (&str, &str), file: &manifest::File) {
    count_closed(file.state);
    service.notices.tell(service.rooms.wall(), session, file);
}

/// Nothing came of a recording, which is told once for as long as nothing does.
pub(super) fn tell_nothing(
    service: &Service,
    attempts: &mut Attempts,
    session: (&str, &str),
    file: &manifest::File,
) {
    if attempts.failed() {
        tell(service, session, &manifest::File { state: FileState::Lost, ..file.clone() });
    }
}
