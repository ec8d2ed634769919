//! Work on the disk for requests: some of it at a time, so that however many ask, recordings find a thread to be written by.

use std::io;
use tokio::sync::Semaphore;

/// So much of it at a time. The runtime has 512 threads for all that blocks, and a disk gains nothing by more.
const AT_A_TIME: usize = 16;

/// Fair: who has waited for longest is next.
static TURNS: Semaphore = Semaphore::const_new(AT_A_TIME);

/// Does it when it is its turn.
pub(super) async fn work<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let turn = TURNS.acquire().await.map_err(io::Error::other)?;
    let done = tokio::task::spawn_blocking(move || {
        // What has begun goes on when nobody waits for it any more.
        let _turn = turn;
        work()
    });
    done.await.map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Condvar, Mutex};
    use tokio::task::JoinSet;

    #[tokio::test]
    async fn it_never_takes_all_threads() {
        let (busy, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let mut tasks = JoinSet::new();
        for _ in 0..3 * AT_A_TIME {
            let (busy, most, gate) = (busy.clone(), most.clone(), gate.clone());
            tasks.spawn(work(move || {
                most.fetch_max(busy.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let opened = gate.1.wait_while(gate.0.lock().unwrap(), |open| !*open).unwrap();
                drop(opened);
                busy.fetch_sub(1, Ordering::SeqCst);
            }));
        }
        while busy.load(Ordering::SeqCst) < AT_A_TIME {
            tokio::task::yield_now().await;
        }
        // Others have their threads meanwhile.
        assert_eq!(tokio::task::spawn_blocking(|| 1).await.unwrap(), 1);
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        while let Some(done) = tasks.join_next().await {
            done.unwrap().unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), AT_A_TIME);
    }
}
