//! Recordings on their way to a store that speaks S3: whole, verified, and not forgotten, whatever happens in between.

mod program;
mod store;

use commonroom::bridge::Bridge;
use commonroom::codec::opus::{OpusConfig, silence};
use commonroom::config::{Config, RoomRules};
use commonroom::container::mp4;
use commonroom::media::{Codec, CodecParams, Frame};
use commonroom::recording::manifest::{Alignment, File, FileState, Kind, Manifest, SessionState, VERSION};
use commonroom::recording::{
    Notice, NoticeKind, Notices, Recorder, SessionFolder, Subject, Upload, UploadState, Verified,
};
use commonroom::room::{Limits, Name, Protocol, RecordingPolicy, Rooms};
use commonroom::server::s3;
use commonroom::stream::{FeedKey, Form};
use commonroom::time::{NtpTime, Timestamp};
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};
use store::{ACCESS_KEY, BUCKET, SECRET_KEY, Store};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(120);
const SESSION: &str = "2026-11-21T21-31-57Z";
const LATER: &str = "2026-11-21T21-41-57Z";

/// A recorder that uploads.
struct Place {
    dir: tempfile::TempDir,
    recorder: Arc<Recorder>,
    rooms: Rooms,
    notices: mpsc::Receiver<Notice>,
    stop: CancellationToken,
    running: Option<JoinHandle<()>>,
}

impl Place {
    fn start(store: &Store, dir: tempfile::TempDir, more: &[&str]) -> Self {
        let config = config(store, dir.path(), more);
        #[expect(clippy::disallowed_methods, reason = "stores refuse signatures of another day")]
        let wall = NtpTime::from(SystemTime::now());
        let rooms = Rooms::new(Limits { recording: RecordingPolicy::Always, ..Limits::default() }, wall);
        let (bridge, (teller, notices)) = (Bridge::default(), Notices::channel());
        let to = s3::destination(&config.recording.upload).expect("it can be used");
        let recorder =
            Recorder::open(config.recording, RoomRules::default(), rooms.clone(), bridge, teller, to);
        let (recorder, stop) =
            (Arc::new(recorder.expect("the folder can be used")), CancellationToken::new());
        let running = tokio::spawn({
            let (recorder, stop) = (recorder.clone(), stop.clone());
            async move { recorder.run(stop).await }
        });
        Self { dir, recorder, rooms, notices, stop, running: Some(running) }
    }

    fn folder(&self) -> Option<SessionFolder> {
        let store = self.recorder.store();
        let (room, session) = store.sessions().expect("readable").pop()?;
        store.session(&room, &session).ok()
    }

    fn upload(&self) -> Upload {
        self.folder().and_then(|folder| Upload::read(&folder).ok().flatten()).unwrap_or_default()
    }

    /// The next notice of this kind.
    async fn told(&mut self, kind: NoticeKind) -> Notice {
        let told = async {
            loop {
                let notice = self.notices.recv().await.expect("the recorder runs");
                if notice.kind == kind {
                    return notice;
                }
            }
        };
        timeout(PATIENCE, told).await.unwrap_or_else(|_| panic!("{} is not told", kind.as_str()))
    }

    async fn stop(mut self) -> tempfile::TempDir {
        self.stop.cancel();
        timeout(PATIENCE, self.running.take().expect("once")).await.expect("it ends").expect("in order");
        self.dir
    }
}

/// What an operator writes; `more` are further lines of `[recording.upload]`.
fn config(store: &Store, dir: &Path, more: &[&str]) -> Config {
    let mut text = format!(
        "[recording]\ndir = {dir:?}\npolicy = \"always\"\naudio = \"source\"\ngrace = \"0s\"\nmin_free = \"0B\"\nfaststart = true\n\
         [recording.upload]\nendpoint = \"http://{}\"\nbucket = \"{BUCKET}\"\naccess_key = \"{ACCESS_KEY}\"\n",
        store.address
    );
    if !more.iter().any(|line| line.starts_with("secret_key")) {
        text += &format!("secret_key = \"{SECRET_KEY}\"\n");
    }
    text += &more.join("\n");
    Config::parse(&text, Path::new("c.toml"), &[]).unwrap_or_else(|error| panic!("{error}"))
}

/// A folder of recordings in which an earlier run has left a session with a file of so many bytes.
fn left(size: usize) -> (tempfile::TempDir, Vec<u8>) {
    let dir = tempfile::tempdir().expect("there is room for a folder");
    let bytes: Vec<u8> = (0..size).map(|at| (at * 31 + at / 251) as u8).collect();
    let store = commonroom::recording::Store::open(dir.path()).expect("it can be made");
    let folder = store.create("room", SESSION).expect("it can be made");
    let (name, mut file) = folder.create("a-camera", "mp4").expect("it can be made");
    file.write_all(&bytes).expect("it can be written");
    let file = File {
        name,
        state: FileState::Finished,
        error: None,
        participant: "a".to_owned(),
        kind: Kind::Camera,
        streams: Vec::new(),
        start: 0.0,
        end: 2.0,
        audio: None,
        video: None,
        gaps: Vec::new(),
        size: bytes.len() as u64,
        sha256: Some(sha256(&bytes)),
    };
    let manifest = Manifest {
        version: VERSION,
        room: "room".to_owned(),
        session: SESSION.to_owned(),
        state: SessionState::Finished,
        align: Alignment::Off,
        start: "2026-11-21T21:31:57.500Z".to_owned(),
        end: None,
        duration: 2.0,
        files: vec![file],
        events: Vec::new(),
        events_left_out: 0,
    };
    folder.write_manifest(&manifest).expect("it can be written");
    (dir, bytes)
}

fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key(file: &str) -> String {
    format!("room/{SESSION}/{file}")
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_is_recorded_arrives_and_is_deleted_only_then() {
    let store = Store::start().await;
    let dir = tempfile::tempdir().expect("there is room for a folder");
    let mut place = Place::start(&store, dir, &["delete_local = true"]);
    let name = |text: &str| text.parse::<Name>().expect("a name");
    let publication = place.rooms.publish(name("room"), name("alice"), Protocol::Rtmp, place.rooms.wall());
    let publication = publication.expect("it may be published");
    let track = publication.publisher().track(FeedKey::new(Codec::Opus, Form::Frames)).expect("a new one");
    let opus = OpusConfig { channels: 2 };
    track.set_params(CodecParams::Opus(opus));
    let mut ticks = interval(Duration::from_millis(20));
    for number in 0..75 {
        ticks.tick().await;
        track.write(Frame::audio(Timestamp::from_millis(number * 20), silence(opus).into()));
    }
    drop((track, publication));
    let finished = place.told(NoticeKind::Finished).await;
    let Subject::File(recorded) = finished.subject else { panic!("{finished:?}") };
    let uploaded = place.told(NoticeKind::Uploaded).await;
    let Subject::Upload(upload) = uploaded.subject else { panic!("{uploaded:?}") };
    let [file, manifest] = &upload.files[..] else { panic!("{upload:?}") };
    assert_eq!((file.name.as_str(), manifest.name.as_str()), ("alice-camera.mp4", "session.json"));
    assert_eq!((file.verified, manifest.verified), (Verified::Etag, Verified::Etag));
    assert_eq!((Some(&file.sha256), file.size), (recorded.sha256.as_ref(), recorded.size));
    let bytes = store.object(&file.key).expect("it is there");
    assert_eq!(sha256(&bytes), file.sha256);
    let length = mp4::fronted(&mut Cursor::new(bytes)).expect("readable").expect("the index is in front");
    assert!((length.as_secs_f64() - 1.5).abs() < 0.1, "{length:?}");
    assert_eq!(sha256(&store.object(&manifest.key).expect("it is there")), manifest.sha256);
    assert_eq!(
        upload.url,
        format!("http://{}/{BUCKET}/room/{}/session.json", store.address, uploaded.session)
    );
    let stored: Manifest =
        serde_json::from_slice(&store.object(&manifest.key).expect("it is there")).expect("JSON");
    assert_eq!((stored.state, &stored.files), (SessionState::Finished, &vec![recorded]));
    until("it is deleted", || place.folder().is_none()).await;
    assert_eq!(store.trouble.reads.load(Relaxed), 0, "nothing had to be read back");
    place.stop().await;
}

#[tokio::test]
async fn a_store_that_is_away_is_waited_for() {
    let mut store = Store::start().await;
    store.stop().await;
    let (dir, bytes) = left(1_000_000);
    let sessions = dir.path().join("room");
    std::fs::create_dir(sessions.join(LATER)).expect("it can be made");
    for name in ["a-camera.mp4", "session.json"] {
        std::fs::copy(sessions.join(SESSION).join(name), sessions.join(LATER).join(name))
            .expect("it can be copied");
    }
    let mut place = Place::start(&store, dir, &["delete_local = true"]);
    let failed = place.told(NoticeKind::UploadFailed).await;
    let Subject::Upload(upload) = &failed.subject else { panic!("{failed:?}") };
    assert!(upload.error.as_ref().is_some_and(|error| error.contains("refused")), "{upload:?}");
    assert_eq!(place.upload().state, UploadState::Waiting);
    let upload = |session: &str| {
        let folder = place.recorder.store().session("room", session).expect("it is there");
        Upload::read(&folder).expect("readable").expect("it is written down")
    };
    assert_eq!((upload(SESSION).failures, upload(LATER)), (1, Upload::default()), "only one was tried");
    store.resume().await;
    place.told(NoticeKind::Uploaded).await;
    place.told(NoticeKind::Uploaded).await;
    assert!(store.object(&key("a-camera.mp4")).expect("it is there") == bytes);
    until("it is deleted", || place.folder().is_none()).await;
    place.stop().await;
}

#[tokio::test]
async fn a_wrong_key_is_told_and_costs_nothing() {
    let store = Store::start().await;
    let (dir, bytes) = left(1_000);
    let mut place = Place::start(&store, dir, &["delete_local = true", "secret_key = \"wrong\""]);
    let failed = place.told(NoticeKind::UploadFailed).await;
    let Subject::Upload(upload) = &failed.subject else { panic!("{failed:?}") };
    let error = upload.error.as_deref().expect("why");
    assert!(
        error.contains("SignatureDoesNotMatch") && error.contains("recording.upload.access_key"),
        "{error}"
    );
    assert!(!error.contains("wrong"), "{error}");
    assert!(place.folder().is_some() && store.keys().is_empty());
    // With the right one all is well.
    let dir = place.stop().await;
    let mut place = Place::start(&store, dir, &[]);
    place.told(NoticeKind::Uploaded).await;
    assert!(store.object(&key("a-camera.mp4")).expect("it is there") == bytes);
    assert_eq!(store.keys(), [key("a-camera.mp4"), key("session.json")]);
    assert!(place.folder().is_some(), "nobody has asked to delete it");
    place.stop().await;
}

#[tokio::test]
async fn an_object_that_is_too_short_is_noticed() {
    for size in [1_000, 20_000_000] {
        let store = Store::start().await;
        store.trouble.shortens.store(true, Relaxed);
        let (dir, bytes) = left(size);
        let mut place = Place::start(&store, dir, &["delete_local = true"]);
        let failed = place.told(NoticeKind::UploadFailed).await;
        let Subject::Upload(upload) = &failed.subject else { panic!("{failed:?}") };
        assert!(upload.error.as_ref().is_some_and(|error| error.contains("something else than was sent")));
        assert!(place.folder().is_some() && store.object(&key("session.json")).is_none());
        store.trouble.shortens.store(false, Relaxed);
        place.told(NoticeKind::Uploaded).await;
        assert!(store.object(&key("a-camera.mp4")).expect("it is there") == bytes);
        place.stop().await;
    }
}

#[tokio::test]
async fn a_bit_that_has_fallen_over_is_noticed_by_reading_back() {
    let store = Store::start().await;
    store.trouble.flips.store(true, Relaxed);
    let (dir, bytes) = left(20_000_000);
    let mut place = Place::start(&store, dir, &["delete_local = true"]);
    place.told(NoticeKind::UploadFailed).await;
    assert!(place.folder().is_some());
    assert!(store.object(&key("a-camera.mp4")).expect("it is there") != bytes);
    store.trouble.flips.store(false, Relaxed);
    place.told(NoticeKind::Uploaded).await;
    assert!(store.object(&key("a-camera.mp4")).expect("it is there") == bytes);
    place.stop().await;
}

#[tokio::test]
async fn a_store_with_etags_of_its_own_is_read() {
    let store = Store::start().await;
    store.trouble.has_own_etags.store(true, Relaxed);
    let (dir, bytes) = left(20_000_000);
    let mut place = Place::start(&store, dir, &[]);
    place.told(NoticeKind::Uploaded).await;
    assert!(place.upload().files.iter().all(|file| file.verified == Verified::Read));
    assert!(store.object(&key("a-camera.mp4")).expect("it is there") == bytes);
    assert_eq!(store.trouble.reads.load(Relaxed), 2);
    place.stop().await;

    // Or it is asked for.
    let store = Store::start().await;
    let (dir, _) = left(1_000);
    let mut place = Place::start(&store, dir, &["verify = \"read\""]);
    place.told(NoticeKind::Uploaded).await;
    assert_eq!(store.trouble.reads.load(Relaxed), 2);
    place.stop().await;
}

#[tokio::test]
async fn a_farewell_leaves_no_pieces_behind() {
    let store = Store::start().await;
    store.trouble.piece_ms.store(500, Relaxed);
    let (dir, bytes) = left(60_000_000);
    let place = Place::start(&store, dir, &["parallelism = 1"]);
    until("pieces come", || store.pieces() > 1).await;
    let begun = Instant::now();
    let dir = place.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    until("the pieces are given up", || store.pieces() == 0).await;
    store.trouble.piece_ms.store(0, Relaxed);
    let mut place = Place::start(&store, dir, &[]);
    place.told(NoticeKind::Uploaded).await;
    assert!(store.object(&key("a-camera.mp4")).expect("it is there") == bytes);
    place.stop().await;
}
