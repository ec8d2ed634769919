//! A file on the disk that grows, written by threads that may wait for it.

use bytes::Bytes;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What may wait for a slow disk.
const MAX_WAITING: usize = 32 << 20;
/// How long it may wait.
const MAX_AGE: Duration = Duration::from_secs(10);
/// Slices of one system call: the kernel takes 1,024.
const SLICES: usize = 512;

/// One file. What is handed to it is written in order; nothing waits here but [`written`](Self::written).
pub(super) struct Disk {
    file: Arc<File>,
    waiting: VecDeque<(Instant, Vec<Bytes>)>,
    /// Bytes that wait, and that are on their way.
    bytes: usize,
    under_way: Option<(usize, JoinHandle<io::Result<()>>)>,
    /// How often what was written is forced onto the disk; `None`: only at the end.
    sync: Option<Duration>,
    synced: Instant,
    total: u64,
    /// Something could not be written.
    is_broken: bool,
}

impl Disk {
    pub(super) fn new(file: File, sync: Option<Duration>) -> Self {
        Self {
            file: Arc::new(file),
            waiting: VecDeque::new(),
            bytes: 0,
            under_way: None,
            sync,
            synced: Instant::now(),
            total: 0,
            is_broken: false,
        }
    }

    /// Writes these behind all before; nothing behind what could not be written. Look at [`is_behind`](Self::is_behind) first.
    pub(super) fn write(&mut self, pieces: Vec<Bytes>) {
        if self.is_broken {
            return;
        }
        let size = size(&pieces);
        self.bytes += size;
        waiting().increment(size as f64);
        self.waiting.push_back((Instant::now(), pieces));
        self.go_on();
    }

    /// Whether so much waits, with so many bytes that are still to be handed over, that no more should come.
    pub(super) fn is_behind(&self, more: usize) -> bool {
        self.bytes + more > MAX_WAITING
            || self.waiting.front().is_some_and(|(since, _)| since.elapsed() > MAX_AGE)
    }

    /// Bytes that wait, and that are on their way.
    pub(super) const fn waiting(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits.
    pub(super) const fn is_idle(&self) -> bool {
        self.under_way.is_none()
    }

    /// Bytes written.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// Waits until something more is written, or cannot be; for ever while nothing is under way. Cancel-safe.
    pub(super) async fn written(&mut self) -> io::Result<()> {
        let Some((size, task)) = &mut self.under_way else { return std::future::pending().await };
        let outcome = task.await;
        let size = *size;
        self.under_way = None;
        self.bytes -= size;
        waiting().decrement(size as f64);
        let outcome = outcome.map_err(io::Error::other).flatten();
        if outcome.is_err() {
            self.is_broken = true;
            self.waiting.clear();
            waiting().decrement(self.bytes as f64);
            self.bytes = 0;
        }
        outcome?;
        self.total += size as u64; // usize is at most 64 bits
        metrics::counter!("commonroom_recording_bytes_total").increment(size as u64);
        self.go_on();
        Ok(())
    }

    /// The file, once all is written, and how many bytes of it are whole; gives up what waits where that cannot be.
    pub(super) async fn finish(mut self) -> (Arc<File>, u64, io::Result<()>) {
        while !self.is_idle() {
            if let Err(error) = self.written().await {
                return (self.file.clone(), self.total, Err(error));
            }
        }
        (self.file.clone(), self.total, Ok(()))
    }

    fn go_on(&mut self) {
        if self.under_way.is_some() {
            return;
        }
        // Whatever waits goes at once: a disk that was slow catches up.
        let pieces: Vec<Bytes> = self.waiting.drain(..).flat_map(|(_, pieces)| pieces).collect();
        if pieces.is_empty() {
            return;
        }
        let syncs = self.sync.is_some_and(|sync| self.synced.elapsed() >= sync);
        if syncs {
            self.synced = Instant::now();
        }
        let (file, size) = (self.file.clone(), size(&pieces));
        let task = tokio::task::spawn_blocking(move || {
            write_all(&file, &pieces)?;
            if syncs { file.sync_data() } else { Ok(()) }
        });
        self.under_way = Some((size, task));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        waiting().decrement(self.bytes as f64);
    }
}

/// Bytes of all files that wait, as operators see them. Exact up to 8 PiB.
fn waiting() -> metrics::Gauge {
    metrics::gauge!("commonroom_recording_waiting_bytes")
}

fn size(pieces: &[Bytes]) -> usize {
    pieces.iter().map(Bytes::len).sum()
}

/// All pieces one behind the other, without putting them together.
fn write_all(mut file: &File, pieces: &[Bytes]) -> io::Result<()> {
    for pieces in pieces.chunks(SLICES) {
        let mut slices: Vec<IoSlice<'_>> =
            pieces.iter().filter(|piece| !piece.is_empty()).map(|piece| IoSlice::new(piece)).collect();
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            match file.write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek};

    #[test]
    fn operators_see_what_waits_and_what_was_written() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let (shown, runtime) =
            (recorder.handle(), tokio::runtime::Builder::new_current_thread().build().unwrap());
        metrics::with_local_recorder(&recorder, || {
            runtime.block_on(async {
                let mut disk = Disk::new(tempfile::tempfile().unwrap(), None);
                disk.write(vec![Bytes::from_static(b"first")]);
                disk.write(vec![Bytes::from_static(b"second")]);
                assert!(shown.render().contains("_recording_waiting_bytes 11"), "{}", shown.render());
                disk.written().await.unwrap();
                assert!(shown.render().contains("_recording_waiting_bytes 6"), "{}", shown.render());
                drop(disk);
            });
        });
        let text = shown.render();
        assert!(text.contains("_recording_waiting_bytes 0"), "{text}");
        assert!(text.contains("_recording_bytes_total 5"), "{text}");
    }

    #[tokio::test]
    async fn pieces_stand_one_behind_the_other() {
        let mut disk = Disk::new(tempfile::tempfile().unwrap(), Some(Duration::ZERO));
        let mut expected: Vec<u8> = Vec::new();
        for round in 0..20_u8 {
            let pieces: Vec<Bytes> = (0..1_500_u16)
                .map(|index| vec![round ^ index as u8; usize::from(index % 7)].into())
                .collect();
            expected.extend(pieces.iter().flat_map(|piece| piece.iter().copied()));
            disk.write(pieces);
        }
        assert!(!disk.is_idle());
        let (file, whole, outcome) = disk.finish().await;
        assert_eq!(whole, expected.len() as u64);
        outcome.unwrap();
        let (mut found, mut file) = (Vec::new(), &*file);
        file.rewind().unwrap();
        file.read_to_end(&mut found).unwrap();
        assert!(found == expected);
    }

    #[tokio::test]
    async fn a_full_disk_is_told() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut disk = Disk::new(full, None);
        disk.write(vec![Bytes::from_static(b"data")]);
        disk.write(vec![Bytes::from_static(b"more")]);
        assert_eq!(disk.written().await.unwrap_err().kind(), io::ErrorKind::StorageFull);
        disk.write(vec![Bytes::from_static(b"and more")]);
        assert!(disk.is_idle() && disk.waiting() == 0, "nothing stands behind a hole");
    }
}
