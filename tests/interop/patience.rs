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

/// Measures, and again up to twice where the measurement fails. A browser that captures, codes and plays on two cores
/// stumbles now and then, and what it then sends or shows is late by its own doing; a fault of ours is there every time.
pub(crate) fn in_one_of_three(measure: impl Fn()) {
    for attempt in 1..3 {
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(&measure)) {
            Ok(()) => return,
            Err(_) => println!("attempt {attempt} failed, see above; measuring again"),
        }
    }
    measure();
}
