//! The end of a file: an index, and a hash.

use super::{Recording, Setting};
use crate::recording::faststart::Faststart;
use crate::recording::format::{Container, FinaliseError};
use crate::recording::manifest::FileState;
use crate::recording::store::SessionFolder;
use crate::time::MediaDuration;
use aws_lc_rs::digest::{Context, SHA256};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::sync::Arc;

/// Read at a time for the hash.
const READ: usize = 1 << 20;

impl Recording {
    /// Writes what is left, and makes a complete file of it.
    pub(super) async fn close(mut self) {
        self.leave();
        metrics::counter!("commonroom_recording_left_out_frames_total").increment(self.timeline.left_out());
        if let Err(error) = self.drain().await {
            self.fail(&error.to_string());
        }
        self.tell();
        let (container, stream, told) = (self.container, self.stream.name().clone(), self.told);
        let (file, written) = self.disk.finish().await;
        let Setting { folder, faststart, .. } = self.setting;
        let name = told.borrow().name.clone();
        let completed =
            tokio::task::spawn_blocking(move || complete(container, file, faststart, (&folder, &name))).await;
        let outcome = match completed {
            Err(panic) => Err(panic.to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Ok(Ok(complete)) => Ok(complete),
        };
        if let Err(error) = written {
            told.send_modify(|told| {
                told.state = FileState::Failed;
                told.error.get_or_insert_with(|| error.to_string());
            });
        }
        told.send_modify(|told| match &outcome {
            Ok((length, size, sha256)) => {
                told.size = *size;
                told.sha256 = Some(sha256.clone());
                if told.state == FileState::Recording {
                    told.state = FileState::Finished;
                } else {
                    // Not all of it has been written.
                    told.end = told.start + length.as_secs_f64();
                    told.streams.iter_mut().for_each(|part| part.end = part.end.min(told.end));
                }
            }
            Err(error) => {
                told.state = FileState::Failed;
                told.error.get_or_insert_with(|| error.clone());
            }
        });
        match outcome {
            Ok((_, size, _)) => tracing::info!(%stream, file = told.borrow().name, size, "recorded"),
            Err(error) => {
                tracing::error!(%stream, file = told.borrow().name, error, "the file is not complete")
            }
        }
    }
}

/// Gives a file its index. Its length, its size in bytes and its hash then.
fn complete(
    container: Container,
    file: Arc<File>,
    faststart: Option<Faststart>,
    (folder, name): (&SessionFolder, &str),
) -> Result<(MediaDuration, u64, String), FinaliseError> {
    // Nobody else has it by now.
    let mut file = Arc::try_unwrap(file).or_else(|file| file.try_clone())?;
    let length = container.finalise(&mut file)?;
    if let Some(faststart) = faststart {
        file = faststart.apply(container, folder, name, file);
    }
    let (size, sha256) = hash(&mut file)?;
    Ok((length, size, sha256))
}

/// The size of a file in bytes, and its SHA-256 in hexadecimal.
pub(in crate::recording) fn hash(file: &mut File) -> io::Result<(u64, String)> {
    file.rewind()?;
    let (mut context, mut buffer, mut size) = (Context::new(&SHA256), vec![0; READ], 0);
    loop {
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
