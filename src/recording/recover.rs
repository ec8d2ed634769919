//! Sessions that were interrupted: what is there is completed, once nobody writes to it any more.

use super::file::close::hash;
use super::format::Container;
use super::manifest::{FileState, Manifest, SessionState};
use super::store::{SessionFolder, Store};
use std::io;
use std::path::Path;

/// What became of one session.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recovered {
    /// Files that were completed.
    pub files: u64,
    /// Files of which nothing could be kept.
    pub lost: u64,
}

/// Completes a session of a folder of recordings. `None`: there was nothing to do.
pub(super) fn session(store: &Store, room: &str, session: &str) -> io::Result<Option<Recovered>> {
    one(&store.session(room, session)?)
}

/// Completes the recordings of one folder, whatever its manifest says of it. `None`: there was nothing to do.
pub fn recover(folder: &Path) -> io::Result<Option<Recovered>> {
    one(&SessionFolder::at(folder)?)
}

fn one(folder: &SessionFolder) -> io::Result<Option<Recovered>> {
    let manifest = folder.read_manifest();
    if manifest.as_ref().is_ok_and(|manifest| manifest.state != SessionState::Recording) {
        return Ok(None);
    }
    let mut recovered = Recovered::default();
    let mut manifest = manifest.ok();
    for name in folder.files()? {
        let Some(container) =
            Path::new(&name).extension().and_then(|extension| Container::by_extension(extension.to_str()?))
        else {
            continue;
        };
        // Before the first manifest was written there may be a file already; it is completed like the others.
        let file =
            manifest.as_mut().and_then(|manifest| manifest.files.iter_mut().find(|file| file.name == name));
        if file.as_ref().is_some_and(|file| file.state == FileState::Finished && file.sha256.is_some()) {
            continue;
        }
        let outcome = folder.open_to_mend(&name).map_err(|error| error.to_string()).and_then(|mut opened| {
            let length = container.finalise(&mut opened).map_err(|error| error.to_string())?;
            Ok((length, hash(&mut opened).map_err(|error| error.to_string())?))
        });
        match &outcome {
            Ok(_) => recovered.files += 1,
            Err(_) => recovered.lost += 1,
        }
        let Some(file) = file else { continue };
        match outcome {
            Ok((length, (size, sha256))) => {
                (file.size, file.sha256) = (size, Some(sha256));
                file.end = file.start + length.as_secs_f64();
                if file.state == FileState::Recording {
                    file.state = FileState::Recovered;
                }
                file.streams.iter_mut().for_each(|part| part.end = part.end.min(file.end));
                if let Some(last) = file.streams.last_mut() {
                    last.end = file.end;
                }
            }
            Err(error) => (file.state, file.error) = (FileState::Lost, Some(error)),
        }
    }
    if let Some(manifest) = &mut manifest {
        complete(manifest);
        folder.write_manifest(manifest)?;
    }
    Ok(Some(recovered))
}

fn complete(manifest: &mut Manifest) {
    manifest.state = SessionState::Recovered;
    manifest.duration = manifest.files.iter().map(|file| file.end).fold(0.0, f64::max);
    for file in manifest.files.iter_mut().filter(|file| file.state == FileState::Recording) {
        file.state = FileState::Lost;
        file.error.get_or_insert_with(|| "the file is not there".to_owned());
    }
}
