//! The end of a file: an index, and then a hash.

use super::{Recording, Setting};
use crate::container::mp4;
use crate::recording::faststart::Faststart;
use crate::recording::format::{Container, FinaliseError};
use crate::recording::manifest::{self, FileState};
use crate::recording::store::SessionFolder;
use crate::time::MediaDuration;
use aws_lc_rs::digest::{Context, SHA256};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Read at a time for the hash.
const READ: usize = 1 << 20;

/// A file that has its index, and is complete but for what needs it to be read once more.
pub(in crate::recording) struct Indexed {
    container: Container,
    file: File,
    folder: SessionFolder,
    faststart: Option<Faststart>,
    told: watch::Sender<manifest::File>,
}

impl Recording {
    /// Writes what is left, and gives the file its index. `None`: it has none, and the next start tries again.
    pub(super) async fn close(mut self) -> Option<Indexed> {
        metrics::counter!("commonroom_recording_left_out_frames_total").increment(self.timeline.left_out());
        if let Err(error) = self.drain().await {
            self.fail(&error.to_string());
        }
        self.tell();
        let (container, stream, told) = (self.container, self.stream.name().clone(), self.told);
        let (file, whole, written) = self.disk.finish().await;
        let Setting { folder, faststart, .. } = self.setting;
        if let Err(error) = written {
            told.send_modify(|told| {
                told.state = FileState::Failed;
                told.error.get_or_insert_with(|| error.to_string());
            });
        }
        let indexed = tokio::task::spawn_blocking(move || index(container, file, whole)).await;
        let outcome = match indexed {
            Err(panic) => Err(panic.to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Ok(Ok(indexed)) => Ok(indexed),
        };
        told.send_modify(|told| match &outcome {
            Ok((length, size, _)) => {
                told.size = *size;
                if told.state == FileState::Recording {
                    told.state = FileState::Finished;
                } else {
                    // Not all of it has been written.
                    told.end = told.start + length.as_secs_f64();
                    told.streams.iter_mut().for_each(|part| part.end = part.end.min(told.end));
                }
            }
            Err(error) => {
                told.state = FileState::Recording;
                told.error.get_or_insert_with(|| error.clone());
            }
        });
        let name = told.borrow().name.clone();
        match outcome {
            Ok((_, size, file)) => {
                tracing::info!(%stream, file = name, size, "recorded");
                Some(Indexed { container, file, folder, faststart, told })
            }
            Err(error) => {
                tracing::error!(%stream, file = name, error, "the file has no index before the next start");
                None
            }
        }
    }
}

impl Indexed {
    /// Puts the index in front, where that is wanted, and hashes the file; both end early when the server goes down.
    pub(in crate::recording) async fn seal(self, farewell: CancellationToken) {
        let Self { container, file, folder, faststart, told } = self;
        let name = told.borrow().name.clone();
        let (at, file_name) = (folder.clone(), name.clone());
        let sealed = tokio::task::spawn_blocking(move || {
            let mut file = match faststart {
                Some(faststart) => faststart.apply(container, &at, &file_name, file, &farewell),
                None => file,
            };
            hash(&mut file, &farewell)
        });
        match sealed.await.map_err(io::Error::other).flatten() {
            Ok((size, sha256)) => told.send_modify(|told| (told.size, told.sha256) = (size, Some(sha256))),
            Err(error) => {
                let (room, session) = (folder.room(), folder.session());
                tracing::warn!(room, session, file = name, %error, "the file has no hash before the next start");
            }
        }
    }
}

/// Gives a file its index behind what of it was written. Its length and its size in bytes then, and itself.
fn index(
    container: Container,
    file: Arc<File>,
    whole: u64,
) -> Result<(MediaDuration, u64, File), FinaliseError> {
    // Nobody else has it by now.
    let mut file = Arc::try_unwrap(file).or_else(|file| file.try_clone())?;
    if file.metadata()?.len() > whole {
        // A piece of what could not be written.
        file.set_len(whole)?;
    }
    let length = container.finalise(&mut file).inspect_err(|error| {
        // A piece of an index is of no use, and takes what is left of a disk. Without it the file is as good as it was.
        let is_io = matches!(error, FinaliseError::Io(_) | FinaliseError::Mp4(mp4::ReadError::Io(_)));
        if is_io && container == Container::Mp4 {
            drop(mp4::cut(&mut file));
        }
    })?;
    let size = file.metadata()?.len();
    Ok((length, size, file))
}

/// The size of a file in bytes, and its SHA-256 in hexadecimal.
pub(in crate::recording) fn hash(file: &mut File, farewell: &CancellationToken) -> io::Result<(u64, String)> {
    file.rewind()?;
    let (mut context, mut buffer, mut size) = (Context::new(&SHA256), vec![0; READ], 0);
    loop {
        if farewell.is_cancelled() {
            return Err(io::Error::other("the server goes down"));
        }
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        context.update(&buffer[..read]);
        size += read as u64; // usize is at most 64 bits
    }
    let digest = context.finish();
    Ok((size, digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()))
}
