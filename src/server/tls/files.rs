//! An operator's files: read at the start, and again whenever they change. What cannot be served is told, and the certificate
//! that is served stays.

use super::served::Served;
use super::{LOOK_AGAIN, TlsError};
use crate::certificate::Pair;
use crate::config::Tls as Config;
use metrics::counter;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tracing::error;

/// How often the files are looked at. A change counts once it has stood for one such time: certificate and key are two files,
/// and are not replaced in one instant.
const LOOK: Duration = Duration::from_secs(1);
const SOURCE: &str = "files";

/// The two files and what was last seen of them.
pub(super) struct Files {
    certificate: PathBuf,
    key: PathBuf,
    served: Served,
    /// As they were when they were last read.
    read: Stamps,
}

/// By what a change shows, of both files.
type Stamps = [Option<Stamp>; 2];

/// A file's device, number, size, and times of the last changes of contents and of its entry, in seconds and nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp(u64, u64, u64, (i64, i64), (i64, i64));

impl Files {
    pub(super) fn start(config: &Config, served: Served) -> Result<Self, TlsError> {
        let (certificate, key) = (config.certificate.clone(), config.key.clone());
        // Before they are read: a change in between is then seen later.
        let read = stamps(&certificate, &key);
        served.put(Pair::read(&certificate, &key)?, SOURCE);
        Ok(Self { certificate, key, served, read })
    }

    pub(super) async fn run(&mut self) {
        let mut seen = self.read;
        let mut warn_at = Instant::now();
        loop {
            if Instant::now() >= warn_at {
                self.served.warn_of_the_end();
                warn_at = Instant::now() + LOOK_AGAIN;
            }
            sleep(LOOK).await;
            let now = self.blocking(stamps).await;
            if now == self.read || std::mem::replace(&mut seen, now) != now {
                continue;
            }
            self.read = now;
            match self.blocking(Pair::read).await {
                Ok(pair) => {
                    self.served.put(pair, SOURCE);
                    counter!("commonroom_tls_reloads_total", "result" => "done").increment(1);
                }
                Err(error) => {
                    let (certificate, key) = (self.certificate.display(), self.key.display());
                    error!(%certificate, %key, %error, "the new TLS certificate cannot be used; the old one stays");
                    counter!("commonroom_tls_reloads_total", "result" => "failed").increment(1);
                }
            }
        }
    }

    /// Disks may be slow, and far away.
    async fn blocking<T: Send + 'static>(&self, act: impl FnOnce(&Path, &Path) -> T + Send + 'static) -> T {
        let (certificate, key) = (self.certificate.clone(), self.key.clone());
        match spawn_blocking(move || act(&certificate, &key)).await {
            Ok(done) => done,
            // It is never cancelled but by the runtime's own end, with which this task ends too.
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        }
    }
}

fn stamps(certificate: &Path, key: &Path) -> Stamps {
    [certificate, key].map(|path| {
        let data = fs::metadata(path).ok()?;
        let (contents, entry) = ((data.mtime(), data.mtime_nsec()), (data.ctime(), data.ctime_nsec()));
        Some(Stamp(data.dev(), data.ino(), data.size(), contents, entry))
    })
}
