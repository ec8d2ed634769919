//! Rooms with a publisher that really sends, recorded into a folder that is really there.

use super::*;
use crate::codec::opus::{OpusConfig, silence};
use crate::media::{Codec, CodecParams, Frame};
use crate::recording::manifest::{Alignment, File, Manifest, SessionState};
use crate::recording::notice::{Notice, NoticeKind, Subject};
use crate::room::{Limits, Protocol, Publication, RecordingPolicy};
use crate::stream::{FeedKey, FeedWriter, Form};
use crate::time::{NtpTime, Timestamp};
use bytes::Bytes;
use std::time::UNIX_EPOCH;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A room that is recorded.
struct Place {
    root: tempfile::TempDir,
    rooms: Rooms,
    recorder: Arc<Recorder>,
    notices: mpsc::Receiver<Notice>,
    stop: CancellationToken,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let limits = Limits { recording: RecordingPolicy::Always, ..Limits::default() };
        let wall = NtpTime::from(UNIX_EPOCH + Duration::from_secs(1_795_296_717));
        let rooms = Rooms::new(limits, wall);
        let config = config::Recording {
            dir: root.path().to_owned(),
            policy: config::Policy::Always,
            audio: config::RecordedAudio::Source,
            ..Default::default()
        };
        let bridge = Bridge::new(config::Bridge::default());
        let rules = config::RoomRules::default();
        let (teller, notices) = Notices::channel();
        let recorder = Recorder::open(config, rules, rooms.clone(), bridge, teller, None).unwrap();
        let stop = CancellationToken::new();
        Self { root, rooms, recorder: Arc::new(recorder), notices, stop }
    }

    fn run(&self) -> JoinHandle<()> {
        let (recorder, stop) = (self.recorder.clone(), self.stop.clone());
        tokio::spawn(async move { recorder.serve(stop).await })
    }

    fn manifests(&self) -> Vec<Manifest> {
        let store = Store::open(self.root.path()).unwrap();
        let sessions = store.sessions().unwrap();
        let read = |(room, session): (String, String)| store.session(&room, &session)?.read_manifest();
        sessions.into_iter().filter_map(|session| read(session).ok()).collect()
    }

    /// Waits until the manifests are as they should be.
    async fn until(&self, what: impl Fn(&[Manifest]) -> bool) -> Vec<Manifest> {
        let begun = Instant::now();
        loop {
            let manifests = self.manifests();
            if what(&manifests) {
                return manifests;
            }
            assert!(begun.elapsed() < PATIENCE, "{manifests:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Somebody who is silent, in Opus, until the handle goes.
struct Alice {
    _publication: Arc<Publication>,
    sending: JoinHandle<()>,
}

impl Alice {
    fn publish(rooms: &Rooms) -> Self {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let publication = rooms.publish(name("room"), name("alice"), Protocol::Rtmp, rooms.wall()).unwrap();
        let publication = Arc::new(publication);
        let track: FeedWriter =
            publication.publisher().track(FeedKey::new(Codec::Opus, Form::Frames)).unwrap();
        let config = OpusConfig { channels: 2 };
        track.set_params(CodecParams::Opus(config));
        let sending = tokio::spawn(async move {
            let mut ticks = interval(Duration::from_millis(20));
            for number in 0.. {
                ticks.tick().await;
                let time = Timestamp::from_millis(number * 20);
                track.write(Frame::audio(time, Bytes::from_static(silence(config))));
            }
        });
        Self { _publication: publication, sending }
    }
}

impl Drop for Alice {
    fn drop(&mut self) {
        self.sending.abort();
    }
}

fn has_file(manifest: &Manifest) -> bool {
    manifest.files.first().is_some_and(|file: &File| file.end - file.start > 1.0)
}

#[tokio::test]
async fn a_full_disk_ends_recordings_in_order_and_no_room() {
    let mut place = Place::new();
    let running = place.run();
    let alice = Alice::publish(&place.rooms);
    place.until(|manifests| manifests.iter().any(has_file)).await;

    let space = &place.recorder.service.space;
    space.take(Ok(1 << 20));
    let manifests =
        place.until(|manifests| manifests.iter().all(|one| one.state == SessionState::Finished)).await;
    let [Manifest { files, .. }] = &manifests[..] else { panic!("{manifests:?}") };
    let [file] = &files[..] else { panic!("{files:?}") };
    assert_eq!(file.state, FileState::Failed);
    assert_eq!(file.error.as_deref(), Some("less than 1GiB is free on the disk (recording.min_free)"));
    assert!(file.sha256.is_some() && file.end > 1.0, "it is complete: {file:?}");
    let room = |rooms: &Rooms| rooms.list().pop().unwrap();
    assert_eq!(room(&place.rooms).participants.len(), 1, "the room goes on");

    // Not enough yet, though more than before; then there is.
    space.take(Ok((1 << 30) + 1));
    sleep(Duration::from_millis(700)).await;
    assert_eq!(place.manifests().len(), 1);
    space.take(Ok(2 << 30));
    let manifests = place.until(|manifests| manifests.iter().filter(|one| has_file(one)).count() == 2).await;
    assert_eq!(manifests[1].files[0].state, FileState::Recording);

    drop(alice);
    place.stop.cancel();
    timeout(PATIENCE, running).await.expect("it ends").unwrap();
    let states: Vec<_> = place.manifests().iter().map(|one| one.files[0].state).collect();
    assert_eq!(states, [FileState::Failed, FileState::Finished]);

    let told = || match place.notices.try_recv().ok()? {
        Notice { kind, session, subject: Subject::File(file), .. } => Some((kind, session, file.state)),
        other => panic!("{other:?}"),
    };
    let told: Vec<_> = std::iter::from_fn(told).collect();
    let (first, second) = (manifests[0].session.clone(), manifests[1].session.clone());
    assert_eq!(
        told,
        [
            (NoticeKind::Started, first.clone(), FileState::Recording),
            (NoticeKind::Failed, first, FileState::Failed),
            (NoticeKind::Started, second.clone(), FileState::Recording),
            (NoticeKind::Finished, second, FileState::Finished),
        ]
    );
}

#[tokio::test]
async fn files_that_are_to_lie_otherwise_are_of_another_session() {
    let place = Place::new();
    let running = place.run();
    let _alice = Alice::publish(&place.rooms);
    let room = "room".parse().unwrap();
    place.until(|manifests| manifests.iter().any(has_file)).await;
    // As it is, and then in another way.
    place.rooms.align(&room, Alignment::Off).unwrap();
    sleep(Duration::from_millis(200)).await;
    assert_eq!(place.manifests().len(), 1);
    place.rooms.align(&room, Alignment::Full).unwrap();
    let manifests = place.until(|manifests| manifests.iter().filter(|one| has_file(one)).count() == 2).await;
    let told: Vec<_> = manifests.iter().map(|one| (one.align, one.state)).collect();
    assert_eq!(
        told,
        [(Alignment::Off, SessionState::Finished), (Alignment::Full, SessionState::Recording)],
        "{manifests:?}"
    );
    place.stop.cancel();
    timeout(PATIENCE, running).await.expect("it ends").unwrap();
}

#[tokio::test]
async fn two_servers_do_not_share_a_folder() {
    let place = Place::new();
    let config = config::Recording { dir: place.root.path().to_owned(), ..Default::default() };
    let second = || {
        let bridge = Bridge::new(config::Bridge::default());
        let rules = config::RoomRules::default();
        Recorder::open(config.clone(), rules, place.rooms.clone(), bridge, Notices::default(), None)
    };
    assert!(matches!(second().err(), Some(RecorderError::InUse { .. })));
    drop(place.recorder);
    assert!(second().is_ok());
}
