//! What of a room is to be recorded, and where the recorder hears of it.

use super::event::{Event, Participant};
use super::name::Name;
use super::published::PublishedName;
use super::refusal::Refusal;
use super::registry::{Rooms, State};
use super::state::{Command, Wish};
use crate::stream::Stream;
use crate::time::NtpTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// News that wait for an observer; one that has taken none of so many looks anew.
const OUTBOX: usize = 1_024;

/// Who decides whether a room is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RecordingPolicy {
    /// The operator: it is not.
    #[default]
    Never,
    /// Its hosts, and each publisher for its own streams.
    OnRequest,
    /// The operator: everything is.
    Always,
}

/// Where the files of a recorded session begin and end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Alignment {
    /// Each where its stream does.
    #[default]
    Off,
    /// All at zero, with black picture and silence until the stream begins.
    LeadIn,
    /// The same, with all gaps and the end filled, too: all files last equally long.
    Full,
}

/// What of a room is to be recorded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    /// Everything.
    pub room: bool,
    /// These streams, whatever becomes of the others.
    pub streams: BTreeSet<PublishedName>,
    /// How its files are to lie; `None`: as the configuration says.
    pub align: Option<Alignment>,
}

/// A room as an observer finds it, and what happens from then on.
#[derive(Debug)]
pub struct Observed {
    /// Who is in.
    pub participants: Vec<Participant>,
    /// What is to be recorded.
    pub wanted: Wanted,
    /// Everything that all members are told, and [`Event::Wanted`]. It ends with the room, or where it is not read: then
    /// one has to look anew.
    pub events: mpsc::Receiver<Arc<Event>>,
}

impl Wanted {
    /// Whether a stream is.
    pub fn has(&self, stream: &PublishedName) -> bool {
        self.room || self.streams.contains(stream)
    }

    /// Whether nothing is.
    pub fn is_nothing(&self) -> bool {
        !self.room && self.streams.is_empty()
    }
}

impl Rooms {
    /// A counter that moves whenever a room comes into being.
    pub fn arrivals(&self) -> watch::Receiver<u64> {
        self.shared.arrivals.subscribe()
    }

    /// The rooms there are, empty ones too.
    pub fn names(&self) -> Vec<Name> {
        self.shared.lock().names()
    }

    /// Looks at a room without being in it.
    pub fn observe(&self, room: &Name) -> Option<Observed> {
        let (outbox, events) = mpsc::channel(OUTBOX);
        self.shared.lock().observe(room, outbox, events)
    }

    /// The time of day, as rooms have it.
    pub fn wall(&self) -> NtpTime {
        self.shared.now().wall
    }

    /// A publication, whether others may play it or not.
    pub fn publication(&self, room: &Name, stream: &PublishedName) -> Option<Stream> {
        self.shared.lock().publication(room, stream)
    }

    /// The operator wants a room recorded, or no longer.
    pub fn record(&self, room: &Name, recorded: bool) -> Result<(), Refusal> {
        self.shared.act(room, Command::Want { by: None, wish: Wish::Room(recorded) }).map(drop)
    }

    /// The operator wants the files of a room to lie like this, for as long as there is the room.
    pub fn align(&self, room: &Name, align: Alignment) -> Result<(), Refusal> {
        self.shared.act(room, Command::Want { by: None, wish: Wish::Align(align) }).map(drop)
    }
}

impl State {
    fn names(&self) -> Vec<Name> {
        self.rooms.keys().cloned().collect()
    }

    fn observe(
        &mut self,
        room: &Name,
        outbox: mpsc::Sender<Arc<Event>>,
        events: mpsc::Receiver<Arc<Event>>,
    ) -> Option<Observed> {
        let hall = self.rooms.get_mut(room)?;
        hall.observers.push(outbox);
        let participants =
            hall.room.members().filter(|(_, present)| *present).map(|(participant, _)| participant).collect();
        Some(Observed { participants, wanted: hall.room.wanted(), events })
    }

    fn publication(&self, room: &Name, stream: &PublishedName) -> Option<Stream> {
        self.rooms.get(room)?.streams.get(stream).map(|handle| handle.stream.clone())
    }
}
