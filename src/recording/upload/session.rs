//! The upload of one session, step by step, each of which is on the disk before the next.

use super::destination::Destination;
use super::object::{self, SendError, Source};
use super::state::{Begun, FILE_NAME, Upload, UploadState};
use crate::recording::manifest::{self, Manifest};
use crate::recording::notice::Uploaded;
use crate::recording::store::{SessionFolder, Store};
use object_store::path::Path;
use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use thiserror::Error;
use tokio::time::Instant;

/// Why a session is not in the store.
#[derive(Debug, Error)]
pub(super) enum SessionError {
    /// One of its files is not.
    #[error(transparent)]
    Send(#[from] SendError),
    /// Its folder cannot be read or written.
    #[error("its folder cannot be used: {0}")]
    Folder(#[from] io::Error),
    /// It cannot be called so.
    #[error("its key cannot be used: {0}")]
    Key(#[from] object_store::path::Error),
}

impl SessionError {
    /// Whether other sessions would fare no better.
    pub(super) const fn is_general(&self) -> bool {
        matches!(self, Self::Send(error) if error.is_general())
    }
}

/// One session on its way.
pub(super) struct Step {
    folder: SessionFolder,
    manifest: Manifest,
    upload: Upload,
}

impl Step {
    /// Reads how far it has come.
    pub(super) async fn begin(store: &Store, room: &str, session: &str) -> io::Result<Self> {
        let (store, room, session) = (store.clone(), room.to_owned(), session.to_owned());
        blocking(move || {
            let folder = store.session(&room, &session)?;
            let manifest = folder.read_manifest()?;
            let upload = Upload::read(&folder)?.unwrap_or_default();
            Ok(Self { folder, manifest, upload })
        })
        .await
    }

    /// Sends what the store does not have yet.
    pub(super) async fn run(&mut self, to: &Destination) -> Result<(), SessionError> {
        // Of a run that was killed.
        self.give_up(to).await;
        self.upload.state = UploadState::Uploading;
        self.write().await?;
        let (folder, manifest) = (self.folder.clone(), self.manifest.clone());
        let files = blocking(move || files(&folder, &manifest)).await?;
        let (room, session) = (self.folder.room().to_owned(), self.folder.session().to_owned());
        let size: u64 = files.iter().map(|(_, size)| size).sum();
        tracing::info!(room, session, files = files.len(), size, "session is uploaded");
        for (name, size) in files {
            if self.has(to, &name, size).await? {
                continue;
            }
            let (key, began) = (to.key(&room, &session, &name)?, Instant::now());
            let source = self.source(&name).await?;
            let sent = {
                let Self { folder, upload, .. } = &mut *self;
                object::send(to, &source, &key, async |id| {
                    upload.begun = Some(Begun { key: key.to_string(), id: id.clone() });
                    // What is not written may stay in the store in pieces, and no more.
                    drop(write(folder, upload).await);
                })
                .await
            };
            self.upload.begun = None;
            let sent = sent?;
            let (seconds, verified) = (began.elapsed().as_secs_f64(), sent.verified);
            tracing::info!(room, session, file = name, size = sent.size, seconds, ?verified, "file uploaded");
            self.upload.files.retain(|object| object.name != name);
            self.upload.files.push(sent);
            self.write().await?;
        }
        self.upload.state = UploadState::Uploaded;
        self.upload.error = None;
        Ok(self.write().await?)
    }

    /// Whether the store has a file, by an earlier attempt, as it is now.
    async fn has(&self, to: &Destination, name: &str, size: u64) -> Result<bool, SendError> {
        // The manifest may have changed without becoming longer.
        if name == manifest::FILE_NAME {
            return Ok(false);
        }
        let sent = self.upload.files.iter().find(|object| object.name == name && object.size == size);
        let is_it = |sha256: &String| sent.is_some_and(|object| object.sha256 == *sha256);
        match sent {
            Some(sent) if self.recorded(name).is_none_or(is_it) => object::is_there(to, sent).await,
            _ => Ok(false),
        }
    }

    /// The hash of a file, by the manifest.
    fn recorded(&self, name: &str) -> Option<&String> {
        self.manifest.files.iter().find(|file| file.name == name)?.sha256.as_ref()
    }

    /// Gives up what was begun in pieces.
    pub(super) async fn give_up(&mut self, to: &Destination) {
        if let Some(Begun { key, id }) = self.upload.begun.take()
            && let Ok(key) = Path::parse(&key)
        {
            object::give_up(to, &key, &id).await;
        }
    }

    /// It has failed, which is written down. Whether it has not before.
    pub(super) async fn failed(&mut self, error: &SessionError) -> bool {
        let is_first = self.upload.failures == 0;
        self.upload.state = UploadState::Waiting;
        self.upload.error = Some(error.to_string());
        self.upload.failures = self.upload.failures.saturating_add(1);
        if let Err(error) = self.write().await {
            let (room, session) = (self.folder.room(), self.folder.session());
            tracing::warn!(room, session, %error, "how far the upload has come cannot be written down");
        }
        is_first
    }

    /// What is told of it.
    pub(super) fn uploaded(&self, to: &Destination) -> Uploaded {
        let key = to.key(self.folder.room(), self.folder.session(), manifest::FILE_NAME);
        Uploaded {
            bucket: to.bucket.clone(),
            url: key.map(|key| to.url_of(&key)).unwrap_or_default(),
            size: self.upload.files.iter().map(|object| object.size).sum(),
            duration: self.manifest.duration,
            files: self.upload.files.clone(),
            error: None,
        }
    }

    /// The files that the store has.
    pub(super) fn names(&self) -> HashSet<String> {
        self.upload.files.iter().map(|object| object.name.clone()).collect()
    }

    async fn source(&self, name: &str) -> Result<Source, SendError> {
        let sha256 = self.recorded(name).cloned();
        let (folder, name) = (self.folder.clone(), name.to_owned());
        let opened = blocking({
            let name = name.clone();
            move || {
                let file = folder.open(&name)?;
                let size = file.metadata()?.len();
                Ok((Arc::new(file), size))
            }
        });
        match opened.await {
            Ok((file, size)) => Ok(Source { name, file, size, sha256 }),
            Err(source) => Err(SendError::Local { name, source }),
        }
    }

    async fn write(&self) -> io::Result<()> {
        write(&self.folder, &self.upload).await
    }
}

/// The files of a session that belong into the store, and their sizes: those that the manifest names and that are there, and
/// then the manifest. What else there is somebody has made of them, or is still making.
fn files(folder: &SessionFolder, manifest: &Manifest) -> io::Result<Vec<(String, u64)>> {
    let names = manifest.files.iter().map(|file| file.name.as_str()).filter(|name| !name.is_empty());
    let size = |name: &str| match folder.open(name).and_then(|file| file.metadata()) {
        Ok(found) => Some(Ok((name.to_owned(), found.len()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(Err(error)),
    };
    names.chain([manifest::FILE_NAME]).filter_map(size).collect()
}

/// What there is that is not in the store, whoever has put it there.
pub(super) fn others(folder: &SessionFolder, known: &HashSet<String>) -> io::Result<Vec<String>> {
    let is_other = |name: &String| !name.starts_with('.') && name != FILE_NAME && !known.contains(name);
    Ok(folder.files()?.into_iter().filter(is_other).collect())
}

async fn write(folder: &SessionFolder, upload: &Upload) -> io::Result<()> {
    let (folder, upload) = (folder.clone(), upload.clone());
    blocking(move || upload.write(&folder)).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}
