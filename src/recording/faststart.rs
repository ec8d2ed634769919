//! The index of a complete MP4, moved to its front.
//!
//! A copy is made beside the file, under a name that no program looks for, and takes its place once it is on the disk. So at each
//! moment the file is whole, with its index behind or in front; what is left of a copy when the server is killed is removed
//! with the next start.

use super::format::Container;
use super::store::SessionFolder;
use crate::container::mp4;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use tokio_util::sync::CancellationToken;

/// Copied at a time.
const BUFFER: usize = 1 << 20;

/// Files that are to begin with their index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Faststart {
    /// So many bytes must stay free on the disk beside the copy.
    pub(super) keep: u64,
}

impl Faststart {
    /// Puts the index of a complete file first, where that can be had: gives the file that has it, or else the one that was
    /// given. Whatever goes wrong leaves that as it is.
    pub(super) fn apply(
        self,
        container: Container,
        folder: &SessionFolder,
        name: &str,
        file: File,
        farewell: &CancellationToken,
    ) -> File {
        if container != Container::Mp4 {
            return file;
        }
        match self.copy(folder, name, &file, farewell) {
            Ok(copy) => copy,
            Err(error) => {
                let (room, session) = (folder.room(), folder.session());
                tracing::warn!(room, session, file = name, %error, "the index stays at the end of the file");
                file
            }
        }
    }

    fn copy(
        self,
        folder: &SessionFolder,
        name: &str,
        mut file: &File,
        farewell: &CancellationToken,
    ) -> io::Result<File> {
        let (size, free) = (file.metadata()?.len(), folder.free()?);
        if free < size.saturating_add(self.keep) {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                format!(
                    "a copy of {size} bytes and recording.min_free are more than the {free} that are free"
                ),
            ));
        }
        let copy = folder.replace(name)?;
        let mut writer = BufWriter::with_capacity(BUFFER, Hasty { file: copy.file()?, farewell });
        file.rewind()?;
        mp4::faststart(&mut file, &mut writer).map_err(io::Error::other)?;
        writer.flush()?;
        drop(writer);
        copy.commit()
    }
}

/// A file that is written until the server goes down.
struct Hasty<'a> {
    file: File,
    farewell: &'a CancellationToken,
}

impl Write for Hasty<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.farewell.is_cancelled() {
            return Err(io::Error::other("the server goes down"));
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::opus::OpusConfig;
    use crate::container::{Sample, mp4::AudioEntry};
    use crate::recording::Store;
    use crate::time::{ClockRate, MediaDuration, Timestamp};
    use bytes::Bytes;
    use std::io::Read;
    use std::time::UNIX_EPOCH;

    /// A complete file of half a second of sound, in a session.
    fn place() -> (tempfile::TempDir, SessionFolder, String, File) {
        let root = tempfile::tempdir().unwrap();
        let folder = Store::open(root.path()).unwrap().create("room", "session").unwrap();
        let (name, mut file) = folder.create("a-camera", "mp4").unwrap();
        let sound = AudioEntry::Opus(OpusConfig { channels: 2 });
        let (mut writer, head) = mp4::Writer::new(None, Some(&sound), UNIX_EPOCH).unwrap();
        let rate = ClockRate::new(48_000).unwrap();
        let packet = |index: i64| Sample {
            kind: crate::media::MediaKind::Audio,
            dts: Timestamp::from_ticks(index * 960, rate),
            pts: Timestamp::from_ticks(index * 960, rate),
            duration: MediaDuration::from_ticks(960, rate),
            keyframe: true,
            prefix: Bytes::new(),
            payload: Bytes::from(vec![index as u8; 100]),
        };
        let packets: Vec<_> = (0..25).map(packet).collect();
        for piece in head.into_iter().chain(writer.fragment(&packets).unwrap()) {
            file.write_all(&piece).unwrap();
        }
        mp4::finalise(&mut file).unwrap();
        (root, folder, name, file)
    }

    #[test]
    fn the_file_begins_with_its_index() {
        let (_root, folder, name, file) = place();
        let mut file =
            Faststart { keep: 0 }.apply(Container::Mp4, &folder, &name, file, &CancellationToken::new());
        let length = mp4::fronted(&mut file).unwrap().unwrap();
        assert_eq!(length, MediaDuration::from_ticks(500, ClockRate::MILLISECONDS));
        let (mut held, mut found) = (Vec::new(), Vec::new());
        file.rewind().unwrap();
        file.read_to_end(&mut held).unwrap();
        folder.open(&name).unwrap().read_to_end(&mut found).unwrap();
        assert_eq!(held, found, "what is hashed is what lies there");
        assert_eq!(folder.files().unwrap(), [name]);
    }

    #[test]
    fn without_space_it_stays_behind() {
        let (_root, folder, name, file) = place();
        let mut file = Faststart { keep: u64::MAX }.apply(
            Container::Mp4,
            &folder,
            &name,
            file,
            &CancellationToken::new(),
        );
        assert_eq!(mp4::scan(&mut file).unwrap().state, mp4::State::Finalised);
        assert_eq!(folder.files().unwrap(), [name]);
    }

    #[test]
    fn what_cannot_be_copied_stays_as_it_is() {
        let (_root, folder, name, _) = place();
        let (other, mut broken) = folder.create("b", "mp4").unwrap();
        broken.write_all(b"no file of ours").unwrap();
        Faststart { keep: 0 }.apply(Container::Mp4, &folder, &other, broken, &CancellationToken::new());
        assert_eq!(io::read_to_string(folder.open(&other).unwrap()).unwrap(), "no file of ours");
        assert_eq!(folder.files().unwrap(), [name, other]);
    }
}
