//! Whether the disk has space for recordings.

use std::io;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// The disk is asked this often: at 100 MB/s that is a third of a gigabyte.
const LOOK: Duration = Duration::from_secs(3);

/// Whether there is space, for all who want to know.
#[derive(Debug)]
pub(super) struct Space {
    least: u64,
    is_short: watch::Sender<bool>,
}

impl Space {
    /// Below `least` bytes there is none; 0: there always is.
    pub(super) fn new(least: u64) -> Self {
        Self { least, is_short: watch::Sender::new(false) }
    }

    /// Whether nothing should be recorded.
    pub(super) fn is_short(&self) -> bool {
        *self.is_short.borrow()
    }

    /// Hears of it whenever that changes.
    pub(super) fn changes(&self) -> watch::Receiver<bool> {
        self.is_short.subscribe()
    }

    /// Why a recording ends for it.
    pub(super) fn reason(&self) -> String {
        format!("less than {} is free on the disk (recording.min_free)", crate::config::ByteSize(self.least))
    }

    /// So much is free. There must be a tenth more for there to be enough again, so that recordings do not end and
    /// begin in turn.
    fn see(&self, free: u64) {
        metrics::gauge!("commonroom_recording_free_bytes").set(free as f64); // exact up to 8 PiB
        let was_short = self.is_short();
        let enough = if was_short { self.least.saturating_add(self.least / 10) } else { self.least };
        let is_short = free < enough;
        if is_short == was_short {
            return;
        }
        self.is_short.send_replace(is_short);
        if is_short {
            tracing::error!(free, least = self.least, "the disk is nearly full; nothing more is recorded");
        } else {
            tracing::info!(free, "the disk has space for recordings again");
        }
    }

    /// Takes what was found out. A disk that does not say so has space until a write fails.
    pub(super) fn take(&self, free: io::Result<u64>) {
        match free {
            Ok(free) => self.see(free),
            Err(error) => tracing::debug!(%error, "the disk does not say how much is free"),
        }
    }

    /// Asks again and again.
    pub(super) async fn watch(&self, free: impl Fn() -> io::Result<u64> + Clone + Send + 'static) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // A disk that hangs holds one thread, and recordings have limits of their own.
            let asked = tokio::task::spawn_blocking(free.clone()).await;
            self.take(asked.unwrap_or_else(|panic| Err(io::Error::other(panic))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enough_again_is_a_tenth_more() {
        let space = Space::new(1_000);
        let seen = [1_000, 999, 1_000, 1_099, 1_100, 1_000, 0].map(|free| {
            space.see(free);
            space.is_short()
        });
        assert_eq!(seen, [false, true, true, true, false, false, true]);
        space.take(Err(io::ErrorKind::Unsupported.into()));
        assert!(space.is_short(), "what is not known changes nothing");
    }

    #[test]
    fn without_a_bound_there_is_space() {
        let space = Space::new(0);
        space.see(0);
        assert!(!space.is_short());
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_told_when_it_changes() {
        let space = Space::new(1);
        let mut changes = space.changes();
        let free = || Ok(0);
        tokio::select! {
            () = space.watch(free) => {}
            changed = changes.changed() => changed.unwrap(),
        }
        assert!(*changes.borrow());
    }
}
