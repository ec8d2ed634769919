//! Writes the manifest of a session: one version at a time, always the latest, and nobody waits for it. What has become of its files
//! is told when it stands there.

use super::manifest::{File, Manifest};
use super::service::Service;
use super::store::SessionFolder;
use super::take::tell;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Who writes.
pub(super) struct Scribe {
    next: Arc<Mutex<Version>>,
    wake: watch::Sender<()>,
    writing: JoinHandle<()>,
}

/// What is to be written, and told then.
#[derive(Default)]
struct Version {
    manifest: Option<Manifest>,
    ends: Vec<File>,
}

impl Scribe {
    /// One for a session.
    pub(super) fn new(folder: SessionFolder, service: Arc<Service>) -> Self {
        let (wake, mut woken) = watch::channel(());
        let next = Arc::new(Mutex::new(Version::default()));
        let latest = next.clone();
        let writing = service.clone().tasks.spawn(async move {
            while woken.changed().await.is_ok() {
                let version = std::mem::take(&mut *latest.lock().unwrap_or_else(PoisonError::into_inner));
                let Some(manifest) = version.manifest else { continue };
                let to = folder.clone();
                let written = tokio::task::spawn_blocking(move || to.write_manifest(&manifest)).await;
                if let Err(error) = written.map_err(std::io::Error::other).flatten() {
                    tracing::error!(room = folder.room(), session = folder.session(), %error, "manifest");
                }
                for file in version.ends {
                    tell(&service, (folder.room(), folder.session()), &file);
                }
            }
        });
        Self { next, wake, writing }
    }

    /// Has a version written, once the one before is, and these told that have come to their end.
    pub(super) fn write(&self, manifest: Manifest, ends: Vec<File>) {
        {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            next.manifest = Some(manifest);
            next.ends.extend(ends);
        }
        self.wake.send_replace(());
    }

    /// Waits until all is written.
    pub(super) async fn finish(self) {
        drop(self.wake);
        // A panic was told where it happened.
        drop(self.writing.await);
    }
}
