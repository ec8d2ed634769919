//! Sessions on a real disk, sent to a store in memory. Its ETags are numbers, so all of it is read back.

use super::session::SessionError;
use super::*;
use crate::config::Prefix;
use crate::recording::file::close::hash;
use crate::recording::manifest::{self, Alignment, File, FileState, Kind, Manifest};
use futures_util::StreamExt;
use object::SendError;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::io::Write;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const SESSION: &str = "2026-11-21T21-31-57Z";

struct Place {
    _root: tempfile::TempDir,
    store: Store,
    objects: Arc<InMemory>,
    to: Destination,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        let objects = Arc::new(InMemory::new());
        let to = Destination {
            store: objects.clone(),
            bucket: "b".to_owned(),
            url: "https://s3.example/b".to_owned(),
            prefix: Prefix::default(),
            parallelism: 3,
            timeout: Duration::from_secs(10),
            read_back: false,
            delete_local: false,
        };
        Self { _root: root, store, objects, to }
    }

    /// A session of room `зал` with a file of so many bytes.
    fn session(&self, size: usize) -> Vec<u8> {
        let folder = self.store.create("зал", SESSION).unwrap();
        let bytes: Vec<u8> = (0..size).map(|at| (at * 31 + at / 251) as u8).collect();
        let (name, mut file) = folder.create("a-camera", "mp4").unwrap();
        file.write_all(&bytes).unwrap();
        let (size, sha256) = hash(&mut file, &CancellationToken::new()).unwrap();
        let file = File {
            name,
            state: FileState::Finished,
            end: 2.0,
            size,
            sha256: Some(sha256),
            ..File::of("a", Kind::Camera)
        };
        let manifest = Manifest {
            version: manifest::VERSION,
            room: "зал".to_owned(),
            session: SESSION.to_owned(),
            state: SessionState::Finished,
            align: Alignment::Off,
            start: String::new(),
            end: None,
            duration: 2.0,
            files: vec![file],
            events: Vec::new(),
            events_left_out: 0,
        };
        folder.write_manifest(&manifest).unwrap();
        bytes
    }

    fn folder(&self) -> SessionFolder {
        self.store.session("зал", SESSION).unwrap()
    }

    async fn step(&self) -> Step {
        Step::begin(&self.store, "зал", SESSION).await.unwrap()
    }

    async fn object(&self, name: &str) -> Option<Vec<u8>> {
        let key = Path::parse(format!("зал/{SESSION}/{name}")).unwrap();
        Some(self.objects.get(&key).await.ok()?.bytes().await.unwrap().to_vec())
    }
}

#[tokio::test]
async fn a_session_arrives_whole() {
    // A piece and a bit, a whole number of pieces, less than one, nothing.
    for size in [9_000_000, 2 * (8 << 20), 1_000, 0] {
        let place = Place::new();
        let bytes = place.session(size);
        place.folder().create(".hidden", "new").unwrap();
        assert!(awaits(&place.folder()));
        let mut step = place.step().await;
        step.run(&place.to).await.unwrap();
        assert!(place.object("a-camera.mp4").await.unwrap() == bytes, "{size}");
        let manifest: Manifest =
            serde_json::from_slice(&place.object("session.json").await.unwrap()).unwrap();
        assert_eq!(manifest, place.folder().read_manifest().unwrap());
        let objects: Vec<_> = place.objects.list(None).collect().await;
        assert_eq!(objects.len(), 2, "nothing else");
        let upload = Upload::read(&place.folder()).unwrap().unwrap();
        assert_eq!((upload.state, upload.error, upload.begun), (UploadState::Uploaded, None, None));
        let [file, last] = &upload.files[..] else { panic!("{:?}", upload.files) };
        assert_eq!((file.size, last.name.as_str()), (size as u64, "session.json"));
        assert_eq!(Some(&file.sha256), manifest.files[0].sha256.as_ref());
        assert_eq!(file.verified, Verified::Read, "an ETag that says nothing is not believed");
        assert_eq!(file.url, format!("https://s3.example/b/%D0%B7%D0%B0%D0%BB/{SESSION}/a-camera.mp4"));
        assert!(!awaits(&place.folder()));
        let told = step.uploaded(&place.to);
        assert_eq!((told.files.len(), told.size), (2, size as u64 + last.size));
        assert!(told.url.ends_with("/session.json"));
    }
}

#[tokio::test]
async fn what_is_there_is_not_sent_again_and_what_is_not_is() {
    let place = Place::new();
    let bytes = place.session(1_000);
    place.step().await.run(&place.to).await.unwrap();
    let key = Path::parse(format!("зал/{SESSION}/a-camera.mp4")).unwrap();
    let before = place.objects.head(&key).await.unwrap().e_tag;
    place.step().await.run(&place.to).await.unwrap();
    assert_eq!(place.objects.head(&key).await.unwrap().e_tag, before);
    // Somebody has deleted it, and somebody has put something else there.
    place.objects.delete(&key).await.unwrap();
    place.step().await.run(&place.to).await.unwrap();
    assert!(place.object("a-camera.mp4").await.unwrap() == bytes);
    place.objects.put(&key, vec![1; 1_000].into()).await.unwrap();
    place.step().await.run(&place.to).await.unwrap();
    assert!(place.object("a-camera.mp4").await.unwrap() == bytes);
}

#[tokio::test]
async fn what_has_changed_on_the_disk_is_not_uploaded() {
    for size in [1_000, 9_000_000] {
        let place = Place::new();
        place.session(size);
        let mut file = place.folder().open_to_mend("a-camera.mp4").unwrap();
        file.write_all(b"X").unwrap();
        let mut step = place.step().await;
        let error = step.run(&place.to).await.unwrap_err();
        assert!(matches!(&error, SessionError::Send(SendError::Changed(name)) if name == "a-camera.mp4"));
        assert!(!error.is_general(), "other sessions are well");
        assert!(step.failed(&error).await && !step.failed(&error).await, "told once");
        assert_eq!(place.object("a-camera.mp4").await, None);
        assert_eq!(place.object("session.json").await, None, "it is the last");
        let upload = Upload::read(&place.folder()).unwrap().unwrap();
        assert_eq!((upload.state, upload.failures), (UploadState::Waiting, 2));
        assert!(upload.error.unwrap().contains("not what was recorded"));
        assert!(awaits(&place.folder()));
    }
}

#[tokio::test]
async fn earlier_sessions_are_found() {
    let place = Place::new();
    place.session(10);
    let found = |to: &Destination, is_meant: bool| unfinished(&place.store, to, |_| is_meant).unwrap();
    assert_eq!(found(&place.to, true), [("зал".to_owned(), SESSION.to_owned())]);
    assert_eq!(found(&place.to, false), []);
    // A run that was killed has left it so.
    Upload { state: UploadState::Uploading, ..Upload::default() }.write(&place.folder()).unwrap();
    assert_eq!(found(&place.to, true).len(), 1);
    place.step().await.run(&place.to).await.unwrap();
    assert_eq!(found(&place.to, true), []);
    let deleting = Destination { delete_local: true, ..place.to.clone() };
    assert_eq!(found(&deleting, true).len(), 1, "it has still to go");
    // One that goes on is nobody's business yet.
    let manifest = place.folder().read_manifest().unwrap();
    place.folder().write_manifest(&Manifest { state: SessionState::Recording, ..manifest }).unwrap();
    assert_eq!(found(&deleting, true), []);
}

#[test]
fn a_refusal_is_explained() {
    let said = |text: &str| {
        let source = text.to_owned().into();
        SendError::Store(object_store::Error::Generic { store: "S3", source }).to_string()
    };
    let xml = |code: &str| {
        format!(
            "Error performing PUT http://h/b - status code: 403: <Error><Code>{code}</Code><Message>No.</Message></Error>"
        )
    };
    let advice = |code: &str| said(&xml(code));
    assert_eq!(advice("NoSuchBucket"), "the store says NoSuchBucket (No.); look at recording.upload.bucket");
    assert!(advice("SignatureDoesNotMatch").contains("look at recording.upload.access_key and secret_key"));
    assert_eq!(advice("SlowDown"), "the store says SlowDown (No.)");
    let away = "Error performing PUT http://h/b in 3ms, after 3 retries - HTTP error: Connection refused (os error 111)";
    assert_eq!(said(away), "the store cannot be used: Connection refused (os error 111)");
    assert_eq!(said("odd"), "the store cannot be used: Generic S3 error: odd");
}

#[tokio::test]
async fn a_damaged_state_is_none() {
    let place = Place::new();
    place.session(10);
    let (_, mut file) = place.folder().create("upload", "json").unwrap();
    file.write_all(b"{\"state\":\"up").unwrap();
    assert_eq!(Upload::read(&place.folder()).unwrap(), None);
    place.step().await.run(&place.to).await.unwrap();
    assert!(!awaits(&place.folder()));
}
