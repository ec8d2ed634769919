//! Sessions as a kill leaves them, on a real disk.

use super::*;
use crate::codec::MediaKind;
use crate::codec::opus::OpusConfig;
use crate::container::{Sample, mp4, webm};
use crate::recording::lock::{self, Lock};
use crate::recording::manifest;
use crate::time::{MediaDuration, Timestamp};
use bytes::Bytes;
use std::fs;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

const SESSION: &str = "2026-11-21T21-31-57Z";

/// Fifty packets of sound, of 20 ms each.
fn second(number: i64) -> Vec<Sample> {
    let packet = |index: i64| {
        let time = Timestamp::from_millis(number * 1_000 + index * 20);
        Sample {
            kind: MediaKind::Audio,
            dts: time,
            pts: time,
            duration: MediaDuration::from_millis(20),
            keyframe: true,
            prefix: Bytes::new(),
            payload: vec![index as u8; 60].into(),
        }
    };
    (0..50).map(packet).collect()
}

/// Three seconds of stereo, as they stand on the disk while they are recorded.
fn growing(container: Container) -> Vec<u8> {
    let config = OpusConfig { channels: 2 };
    match container {
        Container::Mp4 => {
            let entry = mp4::AudioEntry::Opus(config);
            let (mut writer, head) = mp4::Writer::new(None, Some(&entry), UNIX_EPOCH).unwrap();
            let mut bytes = head.concat();
            (0..3).for_each(|number| bytes.extend(writer.fragment(&second(number)).unwrap().concat()));
            bytes
        }
        Container::WebM => {
            let entry = webm::AudioEntry::Opus(config);
            let (mut writer, head) = webm::Writer::new(None, Some(&entry), UNIX_EPOCH).unwrap();
            let mut bytes = head.to_vec();
            (0..3).for_each(|number| bytes.extend(writer.clusters(&second(number)).unwrap().concat()));
            bytes
        }
    }
}

/// A folder of recordings with one session of room `r`.
struct Place {
    root: tempfile::TempDir,
    session: PathBuf,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let session = root.path().canonicalize().unwrap().join("r").join(SESSION);
        fs::create_dir_all(&session).unwrap();
        Self { root, session }
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.session.join(name), bytes).unwrap();
    }

    fn folder(&self) -> SessionFolder {
        SessionFolder::at(&self.session).unwrap()
    }

    /// The manifest of a session that goes on, with one file that begins at two seconds.
    fn manifest(&self, name: &str) -> Manifest {
        let file = File {
            name: name.to_owned(),
            state: FileState::Recording,
            participant: "Anna".to_owned(),
            start: 2.0,
            end: 2.5,
            size: 0,
            sha256: None,
            error: None,
            ..salvage::file(
                name,
                Completed {
                    seconds: 0.5,
                    size: 0,
                    sha256: String::new(),
                    contents: salvage::Contents::default(),
                },
            )
        };
        let manifest = Manifest { files: vec![file], ..salvage::manifest(&self.folder()) };
        self.folder().write_manifest(&manifest).unwrap();
        manifest
    }

    fn recover(&self) -> Vec<Report> {
        recover(self.root.path()).unwrap()
    }
}

fn recovered(mut reports: Vec<Report>) -> Recovered {
    assert_eq!(reports.len(), 1);
    reports.remove(0).outcome.unwrap().expect("there was something to do")
}

#[test]
fn a_session_that_was_cut_is_completed_once() {
    let place = Place::new();
    let bytes = growing(Container::Mp4);
    place.put("alice-camera.mp4", &bytes[..bytes.len() - 700]);
    place.manifest("alice-camera.mp4");
    let reports = place.recover();
    assert!(!reports[0].is_bad());
    assert!(reports[0].to_string().contains("alice-camera.mp4: 2.0 s, "), "{}", reports[0]);
    let manifest = recovered(reports).manifest;
    let file = &manifest.files[0];
    assert_eq!((file.state, file.start, file.end), (FileState::Recovered, 2.0, 4.0));
    assert_eq!(file.participant, "Anna");
    assert_eq!((manifest.state, manifest.duration), (SessionState::Recovered, 4.0));
    let mut opened = fs::File::open(place.session.join("alice-camera.mp4")).unwrap();
    assert_eq!(
        hash(&mut opened, &CancellationToken::new()).unwrap(),
        (file.size, file.sha256.clone().unwrap())
    );
    assert_eq!(mp4::scan(&mut opened).unwrap().state, mp4::State::Finalised);
    assert_eq!(place.folder().read_manifest().unwrap(), manifest);

    let reports = place.recover();
    assert!(matches!(reports[0].outcome, Ok(None)) && !reports[0].is_bad());
    assert!(reports[0].to_string().ends_with(": nothing to do\n"));
}

#[test]
fn a_manifest_is_made_from_what_is_there() {
    for damaged in [None, Some("{\"version\": 1, \"room"), Some("[1]"), Some("\u{0}\u{0}")] {
        let place = Place::new();
        place.put("alice-camera.mp4", &growing(Container::Mp4));
        let bytes = growing(Container::WebM);
        place.put("bob-screen-2.webm", &bytes[..bytes.len() - 1]);
        // A film that was composed, and notes.
        place.put("composed.mp4", b"\0\0\0\x18ftypisom and so on");
        place.put("notes.txt", b"nothing");
        if let Some(damaged) = damaged {
            place.put(manifest::FILE_NAME, damaged.as_bytes());
        }
        let Recovered { manifest, strange, .. } = recovered(place.recover());
        assert_eq!((manifest.room.as_str(), manifest.session.as_str()), ("r", SESSION));
        assert_eq!(manifest.start, "2026-11-21T21:31:57.000Z");
        let [alice, bob] = &manifest.files[..] else { panic!("{:?}", manifest.files) };
        assert_eq!((alice.participant.as_str(), bob.participant.as_str()), ("alice", "bob"));
        assert_eq!((alice.kind, bob.kind), (manifest::Kind::Camera, manifest::Kind::Screen));
        assert!(alice.end == 3.0 && (2.0..3.0).contains(&bob.end), "{} {}", alice.end, bob.end);
        for file in [alice, bob] {
            let audio = file.audio.as_ref().unwrap();
            assert_eq!((audio.codec.as_str(), audio.sample_rate, audio.channels), ("opus", 48_000, 2));
            assert!(file.video.is_none() && file.state == FileState::Recovered && file.size > 0);
        }
        assert_eq!(strange.len(), 1);
        assert_eq!(strange[0].0, "composed.mp4");
        assert_eq!(place.folder().read_manifest().unwrap(), manifest);
        let kept = fs::read(place.session.join("session.json.damaged")).ok();
        assert_eq!(kept.as_deref(), damaged.map(str::as_bytes));
        assert!(matches!(place.recover()[0].outcome, Ok(None)));
    }
}

#[test]
fn what_cannot_be_kept_is_said() {
    let place = Place::new();
    let bytes = growing(Container::Mp4);
    place.put("empty.mp4", &bytes[..bytes.len() / 5]);
    let manifest = place.manifest("empty.mp4");
    let gone = File { name: "gone.mp4".to_owned(), ..manifest.files[0].clone() };
    let files = vec![manifest.files[0].clone(), gone];
    place.folder().write_manifest(&Manifest { files, ..manifest }).unwrap();
    let reports = place.recover();
    assert!(reports[0].is_bad());
    let text = reports[0].to_string();
    assert!(text.contains(&format!("  empty.mp4: lost: {EMPTY}\n")), "{text}");
    assert!(text.contains("  gone.mp4: lost: the file is not there\n"), "{text}");
}

#[test]
fn nothing_is_touched_while_a_server_writes() {
    let place = Place::new();
    let bytes = growing(Container::WebM);
    place.put("alice-camera.webm", &bytes);
    place.manifest("alice-camera.webm");
    let store = Store::open(place.root.path()).unwrap();
    let lock = store.lock().unwrap();
    assert!(lock.is_some() && store.lock().unwrap().is_none(), "two servers do not share it");
    for path in [place.root.path(), &place.session, place.session.parent().unwrap()] {
        assert!(matches!(recover(path), Err(RecoverError::InUse(_))));
    }
    assert_eq!(fs::read(place.session.join("alice-camera.webm")).unwrap(), bytes);
    drop::<Option<Lock>>(lock);
    assert!(place.root.path().join(lock::FILE_NAME).exists(), "the file stays, the lock does not");
    assert_eq!(recovered(recover(&place.session).unwrap()).files().count(), 1);
    // What is complete is so whoever runs.
    let _lock = store.lock().unwrap().unwrap();
    assert!(matches!(place.recover()[0].outcome, Ok(None)));
}

#[test]
fn a_folder_without_sessions_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    assert!(matches!(recover(folder.path()), Err(RecoverError::NoSession(_))));
    let missing = folder.path().join("missing");
    assert!(matches!(recover(&missing), Err(RecoverError::Folder { .. })));
}

#[test]
fn a_move_of_the_index_that_was_cut_short_is_mended() {
    let place = Place::new();
    let mut complete = io::Cursor::new(growing(Container::Mp4));
    mp4::finalise(&mut complete).unwrap();
    let mut copy = Vec::new();
    mp4::faststart(&mut complete, &mut copy).unwrap();
    // Killed before the copy was whole, and before the manifest told of it.
    place.put("alice-camera.mp4", complete.get_ref());
    place.put(".alice-camera.mp4.new", &copy[..copy.len() / 2]);
    place.manifest("alice-camera.mp4");
    let file = recovered(place.recover()).manifest.files.remove(0);
    assert_eq!((file.state, file.end), (FileState::Recovered, 5.0));
    assert_eq!(place.folder().files().unwrap(), ["alice-camera.mp4", manifest::FILE_NAME]);
    // Killed between the two.
    place.put("alice-camera.mp4", &copy);
    place.manifest("alice-camera.mp4");
    let file = recovered(place.recover()).manifest.files.remove(0);
    assert_eq!((file.state, file.end, file.size), (FileState::Recovered, 5.0, copy.len() as u64));
    assert_eq!(fs::read(place.session.join("alice-camera.mp4")).unwrap(), copy);
}

#[test]
fn what_is_recovered_can_get_its_index_in_front() {
    let place = Place::new();
    let bytes = growing(Container::Mp4);
    place.put("alice-camera.mp4", &bytes[..bytes.len() - 700]);
    place.manifest("alice-camera.mp4");
    let recovered = one(&place.folder(), Some(Faststart { keep: 0 })).unwrap().unwrap();
    let file = &recovered.manifest.files[0];
    let mut opened = fs::File::open(place.session.join("alice-camera.mp4")).unwrap();
    assert_eq!(mp4::fronted(&mut opened).unwrap(), Some(MediaDuration::from_millis(2_000)));
    assert_eq!(
        hash(&mut opened, &CancellationToken::new()).unwrap(),
        (file.size, file.sha256.clone().unwrap())
    );
}

#[test]
fn what_was_told_of_later_times_is_cut_off() {
    let place = Place::new();
    let bytes = growing(Container::Mp4);
    place.put("alice-camera.mp4", &bytes[..bytes.len() - 700]);
    let mut manifest = place.manifest("alice-camera.mp4");
    let gap = |start, end| manifest::Gap {
        track: manifest::Track::Audio,
        start,
        end,
        cause: manifest::Cause::Loss,
        filled: true,
    };
    manifest.files[0].gaps = vec![gap(2.5, 3.0), gap(3.5, 4.5), gap(4.5, 5.0)];
    place.folder().write_manifest(&manifest).unwrap();
    let manifest = recovered(place.recover()).manifest;
    assert_eq!(manifest.files[0].gaps, [gap(2.5, 3.0), gap(3.5, 4.0)]);
    assert_eq!(manifest.end.as_deref(), Some("2026-11-21T21:32:01.000Z"), "four seconds later");
}

#[test]
fn a_file_without_a_hash_gets_it_and_stays_what_it_is() {
    for state in [SessionState::Recording, SessionState::Finished] {
        let place = Place::new();
        let mut complete = io::Cursor::new(growing(Container::Mp4));
        mp4::finalise(&mut complete).unwrap();
        place.put("alice-camera.mp4", complete.get_ref());
        let mut manifest = place.manifest("alice-camera.mp4");
        (manifest.state, manifest.end) = (state, Some("2026-11-21T21:32:02.000Z".to_owned()));
        (manifest.files[0].state, manifest.files[0].end) = (FileState::Finished, 5.0);
        place.folder().write_manifest(&manifest).unwrap();
        let after = recovered(place.recover()).manifest;
        assert!(after.files[0].sha256.is_some());
        assert_eq!((after.state, after.files[0].state), (SessionState::Finished, FileState::Finished));
        assert_eq!((after.end, after.files[0].end), (manifest.end, 5.0));
        assert!(matches!(place.recover()[0].outcome, Ok(None)));
    }
}

#[test]
fn what_cannot_be_read_now_is_not_lost() {
    let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
    let errors = [
        FinaliseError::Io(denied()),
        FinaliseError::Mp4(mp4::ReadError::Io(denied())),
        FinaliseError::WebM(webm::ScanError::Io(denied())),
    ];
    for error in errors {
        assert!(matches!(CompleteError::from(error), CompleteError::Io(_)));
    }
    let short = FinaliseError::Io(io::ErrorKind::UnexpectedEof.into());
    assert!(matches!(CompleteError::from(short), CompleteError::Hopeless(_)));
}

#[test]
fn a_manifest_that_is_too_large_is_not_damaged() {
    let place = Place::new();
    place.put("alice-camera.mp4", &growing(Container::Mp4));
    let file = fs::File::create(place.session.join(manifest::FILE_NAME)).unwrap();
    file.set_len((64 << 20) + 1).unwrap();
    let error = one(&place.folder(), None).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    assert!(place.session.join(manifest::FILE_NAME).exists() && place.folder().files().unwrap().len() == 2);
}
