//! Who plays what over RTMP, for the API and the metrics.

use crate::media::Codec;
use crate::stream::StreamName;
use metrics::{Counter, Gauge, counter, gauge};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What players can be sent of sound.
const SOUND: [Codec; 2] = [Codec::Aac, Codec::Opus];
/// What they can be sent of pictures.
const PICTURES: [Codec; 4] = [Codec::H264, Codec::Hevc, Codec::Av1, Codec::Vp9];

/// All players of this server. Cloning gives another handle to the same.
#[derive(Clone)]
pub struct Players {
    shared: Arc<Shared>,
}

/// A player as the API shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlayerInfo {
    /// What it plays.
    pub stream: StreamName,
    /// Time since it began.
    pub age: Duration,
    /// The codecs that it has been sent.
    pub codecs: Vec<Codec>,
    /// Payload bytes sent.
    pub bytes: u64,
    /// Frames sent.
    pub frames: u64,
    /// Frames that it lost because it was too slow.
    pub lost: u64,
}

/// A player's place among all. Dropping it takes the place away.
pub(super) struct Playing {
    shared: Arc<Shared>,
    id: u64,
    figures: Arc<Figures>,
}

struct Shared {
    entries: Mutex<Entries>,
    now: Gauge,
    lost: Counter,
}

#[derive(Default)]
struct Entries {
    next: u64,
    players: HashMap<u64, Arc<Figures>>,
}

/// Written by the player's connection alone.
struct Figures {
    stream: StreamName,
    began: Instant,
    /// One more than the place of its codec among [`SOUND`]; 0: none has been sent.
    audio: AtomicUsize,
    /// Likewise among [`PICTURES`].
    video: AtomicUsize,
    bytes: AtomicU64,
    frames: AtomicU64,
    lost: AtomicU64,
}

impl Default for Players {
    fn default() -> Self {
        let shared = Shared {
            entries: Mutex::default(),
            now: gauge!("commonroom_rtmp_players"),
            lost: counter!("commonroom_rtmp_lost_frames_total"),
        };
        Self { shared: Arc::new(shared) }
    }
}

impl Players {
    /// Somebody begins to play.
    pub(super) fn enter(&self, stream: StreamName, now: Instant) -> Playing {
        let figures = Arc::new(Figures {
            stream,
            began: now,
            audio: AtomicUsize::default(),
            video: AtomicUsize::default(),
            bytes: AtomicU64::default(),
            frames: AtomicU64::default(),
            lost: AtomicU64::default(),
        });
        let mut entries = self.shared.lock();
        let id = entries.next;
        entries.next += 1;
        entries.players.insert(id, figures.clone());
        self.shared.now.increment(1.0);
        Playing { shared: self.shared.clone(), id, figures }
    }

    /// All players, in the order in which they began.
    pub fn list(&self) -> Vec<PlayerInfo> {
        let now = Instant::now();
        let mut players: Vec<_> =
            self.shared.lock().players.iter().map(|(id, player)| (*id, player.clone())).collect();
        players.sort_by_key(|(id, _)| *id);
        players.iter().map(|(_, player)| player.info(now)).collect()
    }
}

impl Playing {
    /// What is played.
    pub(super) fn stream(&self) -> &StreamName {
        &self.figures.stream
    }

    /// A frame has been sent.
    pub(super) fn sent(&self, codec: Codec, bytes: usize) {
        let figures = &self.figures;
        for (codecs, sent) in [(&SOUND[..], &figures.audio), (&PICTURES[..], &figures.video)] {
            if let Some(place) = codecs.iter().position(|known| *known == codec) {
                sent.store(place + 1, Ordering::Relaxed);
            }
        }
        figures.bytes.fetch_add(bytes as u64, Ordering::Relaxed); // usize is at most 64 bits
        figures.frames.fetch_add(1, Ordering::Relaxed);
    }

    /// So many frames have been lost since the start.
    pub(super) fn note_lost(&self, lost: u64) {
        let before = self.figures.lost.swap(lost, Ordering::Relaxed);
        self.shared.lost.increment(lost.saturating_sub(before));
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.shared.lock().players.remove(&self.id);
        self.shared.now.decrement(1.0);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Figures {
    fn info(&self, now: Instant) -> PlayerInfo {
        let sent = [(&SOUND[..], &self.audio), (&PICTURES[..], &self.video)];
        let codecs = sent
            .into_iter()
            .filter_map(|(codecs, sent)| codecs.get(sent.load(Ordering::Relaxed).checked_sub(1)?).copied());
        PlayerInfo {
            stream: self.stream.clone(),
            age: now.saturating_duration_since(self.began),
            codecs: codecs.collect(),
            bytes: self.bytes.load(Ordering::Relaxed),
            frames: self.frames.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;

    #[tokio::test(start_paused = true)]
    async fn players_are_listed_while_they_play() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let players = metrics::with_local_recorder(&recorder, Players::default);
        let shows = |line: &str| recorder.handle().render().lines().any(|shown| shown.ends_with(line));
        let name = |who: &str| StreamName { room: "r".into(), participant: who.into(), stream: who.into() };
        let first = players.enter(name("alice"), Instant::now());
        let second = players.enter(name("bob"), Instant::now());
        tokio::time::advance(Duration::from_secs(3)).await;
        first.sent(Codec::H264, 1_000);
        first.sent(Codec::Hevc, 10);
        first.note_lost(4);
        first.note_lost(7);
        let listed = players.list();
        let alice = PlayerInfo {
            stream: name("alice"),
            age: Duration::from_secs(3),
            codecs: vec![Codec::Hevc],
            bytes: 1_010,
            frames: 2,
            lost: 7,
        };
        assert_eq!((&listed[0], &listed[1].stream, listed.len()), (&alice, &name("bob"), 2));
        assert!(
            shows("_rtmp_players 2") && shows("_rtmp_lost_frames_total 7"),
            "{}",
            recorder.handle().render()
        );
        drop((first, second));
        assert_eq!(players.list(), []);
        assert!(shows("_rtmp_players 0"));
    }
}
