//! Waiting for processes that give no other sign.

use std::thread;
use std::time::{Duration, Instant};

/// Waits until `done`, and fails when that takes longer than `limit`. Gives the time it took.
#[track_caller]
pub(crate) fn wait(what: &str, limit: Duration, mut done: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < limit, "{what}: not within {limit:?}");
        thread::sleep(Duration::from_millis(10));
    }
    began.elapsed()
}

/// Lets real time pass while clients record.
pub(crate) fn pass(time: Duration) {
    thread::sleep(time);
}
