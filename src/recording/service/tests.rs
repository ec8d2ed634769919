//! Rooms with a publisher that really sends, recorded into a folder that is really there.

use super::*;
use crate::codec::opus::{OpusConfig, silence};
use crate::media::{Codec, CodecParams, Frame};
use crate::recording::manifest::{Alignment, Event, File, Manifest};
use crate::recording::notice::{Notice, NoticeKind, Subject};
use crate::recording::session::Session;
use crate::room::{self, Entry, Limits, Membership, Protocol, Publication, RecordingPolicy};
use crate::stream::{FeedKey, FeedWriter, Form};
use crate::time::{NtpTime, Timestamp};
use bytes::Bytes;
use std::time::UNIX_EPOCH;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// 2026-11-21T21:31:57Z.
const SECOND: u64 = 1_795_296_717;

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
        Self::with(config::Align::default())
    }

    fn with(align: config::Align) -> Self {
        Self::at(tempfile::tempdir().unwrap(), align, SECOND)
    }

    /// A server that starts at this second of the time of day.
    fn at(root: tempfile::TempDir, align: config::Align, second: u64) -> Self {
        let limits = Limits { recording: RecordingPolicy::Always, ..Limits::default() };
        let wall = NtpTime::from(UNIX_EPOCH + Duration::from_secs(second));
        let rooms = Rooms::new(limits, wall);
        let config = config::Recording {
            dir: root.path().to_owned(),
            policy: config::Policy::Always,
            audio: config::RecordedAudio::Source,
            align,
            grace: config::Span(Duration::from_secs(5)),
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
        Self::publish_as("alice", rooms, Duration::ZERO, Duration::MAX)
    }

    /// Somebody whose first packets come so late, all at once, and who sends nothing any more after so long.
    fn publish_as(login: &str, rooms: &Rooms, late: Duration, until: Duration) -> Self {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let publication = rooms.publish(name("room"), name(login), Protocol::Rtmp, rooms.wall()).unwrap();
        Self::send(publication, late, until)
    }

    /// Somebody who calls each stream as the client likes.
    fn named(member: &Membership, stream: &str) -> Self {
        let publication = member.publish(Some(stream.parse().unwrap()), NtpTime::default()).unwrap();
        publication.open();
        publication.begin();
        Self::send(publication, Duration::ZERO, Duration::MAX)
    }

    fn send(publication: Publication, late: Duration, until: Duration) -> Self {
        let publication = Arc::new(publication);
        let track: FeedWriter =
            publication.publisher().track(FeedKey::new(Codec::Opus, Form::Frames)).unwrap();
        let config = OpusConfig { channels: 2 };
        track.set_params(CodecParams::Opus(config));
        let sending = tokio::spawn(async move {
            let begun = Instant::now();
            let mut number: i64 = 0;
            while begun.elapsed() < until {
                let at = Duration::from_millis(number.unsigned_abs() * 20);
                // What is held up at first is on time from its second second on.
                let held = if at < Duration::from_secs(1) { late } else { Duration::ZERO };
                tokio::time::sleep_until(begun + at + held).await;
                let time = Timestamp::from_millis(number * 20);
                track.write(Frame::audio(time, Bytes::from_static(silence(config))));
                number += 1;
            }
            // The track stays as long as the publisher is there.
            std::future::pending::<()>().await;
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
        Notice { kind, session, subject: Subject::File(file), .. } => Some((kind, session, Some(file.state))),
        Notice { kind, session, subject: Subject::Summary(_), .. } => Some((kind, session, None)),
        other => panic!("{other:?}"),
    };
    let told: Vec<_> = std::iter::from_fn(told).collect();
    let (first, second) = (manifests[0].session.clone(), manifests[1].session.clone());
    assert_eq!(
        told,
        [
            (NoticeKind::SessionStarted, first.clone(), None),
            (NoticeKind::Started, first.clone(), Some(FileState::Recording)),
            (NoticeKind::Failed, first.clone(), Some(FileState::Failed)),
            (NoticeKind::SessionFinished, first, None),
            (NoticeKind::SessionStarted, second.clone(), None),
            (NoticeKind::Started, second.clone(), Some(FileState::Recording)),
            (NoticeKind::Finished, second.clone(), Some(FileState::Finished)),
            (NoticeKind::SessionFinished, second, None),
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

#[tokio::test(start_paused = true)]
async fn who_comes_back_in_time_was_recorded_all_the_while() {
    let place = Place::new();
    let running = place.run();
    let alice = Alice::publish(&place.rooms);
    place.until(|manifests| manifests.first().is_some_and(has_file)).await;
    let mut events = place.rooms.observe(&"room".parse().unwrap()).unwrap().events;
    let mut told = || {
        let mut told = Vec::new();
        while let Ok(event) = events.try_recv() {
            if let room::Event::Recording { recording, .. } = *event {
                told.push(recording);
            }
        }
        told
    };
    drop(alice);
    sleep(Duration::from_secs(2)).await;
    let alice = Alice::publish(&place.rooms);
    sleep(Duration::from_secs(2)).await;
    assert!(told().is_empty(), "one file goes on");
    drop(alice);
    sleep(Duration::from_secs(8)).await;
    assert_eq!(told(), [false]);
    let manifests = place.until(|manifests| manifests[0].state == SessionState::Finished).await;
    assert_eq!((manifests.len(), manifests[0].files.len()), (1, 1), "{manifests:?}");
    place.stop.cancel();
    timeout(PATIENCE, running).await.expect("it ends").unwrap();
}

/// However its publishers begin and end, all files of a session that is filled end together.
#[tokio::test(start_paused = true)]
async fn files_that_are_filled_end_together() {
    const MS: fn(u64) -> Duration = Duration::from_millis;
    let forever = Duration::MAX;
    // Of each: how late its packets begin to come, how long it sends, and when it goes.
    let cases = [
        [(MS(0), forever, MS(9_000)), (MS(0), forever, MS(6_000)), (MS(0), forever, MS(7_500))],
        // Ahead of the clock at the end, while it is not yet seen that the start was late.
        [(MS(900), forever, MS(3_000)), (MS(0), forever, MS(3_010)), (MS(0), forever, MS(2_990))],
        [(MS(900), forever, MS(60_000)), (MS(0), forever, MS(2_000)), (MS(0), forever, MS(60_000))],
        // Silent for long before it is found to be gone, while another one's file is filled on.
        [(MS(0), MS(2_000), MS(11_000)), (MS(0), forever, MS(2_400)), (MS(300), MS(2_700), MS(8_000))],
        [(MS(700), MS(2_500), MS(11_700)), (MS(0), forever, MS(3_400)), (MS(0), MS(1_100), MS(11_500))],
    ];
    for (number, case) in cases.into_iter().enumerate() {
        let place = Place::with(config::Align::Full);
        let running = place.run();
        let people: Vec<_> = ["alice", "bob", "carol"]
            .into_iter()
            .zip(case)
            .map(|(login, (late, until, goes))| {
                let rooms = place.rooms.clone();
                tokio::spawn(async move {
                    let _here = Alice::publish_as(login, &rooms, late, until);
                    sleep(goes).await;
                })
            })
            .collect();
        if case.iter().any(|(_, _, goes)| *goes >= MS(60_000)) {
            // The server goes down before they do.
            sleep(MS(3_333)).await;
            place.stop.cancel();
        }
        let is_done = |manifests: &[Manifest]| {
            !manifests.is_empty() && manifests.iter().all(|one| one.state == SessionState::Finished)
        };
        let manifests = place.until(is_done).await;
        place.stop.cancel();
        timeout(PATIENCE, running).await.expect("it ends").unwrap();
        people.iter().for_each(JoinHandle::abort);
        let [Manifest { files, room, session, duration, .. }] = &manifests[..] else {
            panic!("{manifests:?}")
        };
        assert_eq!(files.len(), 3, "{files:?}");
        let store = Store::open(place.root.path()).unwrap();
        let folder = store.session(room, session).unwrap();
        for file in files {
            let mut opened = folder.open(&file.name).unwrap();
            let scan = crate::container::mp4::scan(&mut opened).unwrap();
            let end = scan.tracks[0].end.since_origin().as_secs_f64();
            assert!((end - duration).abs() <= 0.02, "{number}: {} ends at {end} of {duration}", file.name);
            assert!(
                (file.end - end).abs() <= 0.001,
                "{number}: {} is told to end at {}",
                file.name,
                file.end
            );
        }
    }
}

/// Within a run of the server the time of day is that of its start and what has passed since; between two anybody may set it.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_overwrites_nothing() {
    let mut root = tempfile::tempdir().unwrap();
    for (count, second) in [SECOND, SECOND, SECOND - 3_600, SECOND + 3_600, SECOND].into_iter().enumerate() {
        let place = Place::at(root, config::Align::Full, second);
        let running = place.run();
        let alice = Alice::publish(&place.rooms);
        sleep(Duration::from_secs(3)).await;
        drop(alice);
        let is_done = |manifests: &[Manifest]| {
            manifests.len() == count + 1 && manifests.iter().all(|one| one.state == SessionState::Finished)
        };
        place.until(is_done).await;
        place.stop.cancel();
        timeout(PATIENCE, running).await.expect("it ends").unwrap();
        root = place.root;
    }
    let place = Place::at(root, config::Align::Full, SECOND);
    let found: Vec<_> = place.manifests().into_iter().map(|one| (one.session, one.start)).collect();
    let expected = [
        ("2026-11-21T20-31-57Z", "2026-11-21T20:31:57.000Z"),
        ("2026-11-21T21-31-57Z", "2026-11-21T21:31:57.000Z"),
        ("2026-11-21T21-31-57Z-2", "2026-11-21T21:31:57.000Z"),
        ("2026-11-21T21-31-57Z-3", "2026-11-21T21:31:57.000Z"),
        ("2026-11-21T22-31-57Z", "2026-11-21T22:31:57.000Z"),
    ];
    assert_eq!(found, expected.map(|(session, start)| (session.to_owned(), start.to_owned())));
    for manifest in place.manifests() {
        assert!((manifest.duration - 3.0).abs() < 0.1, "{manifest:?}");
        assert_eq!(manifest.files.len(), 1);
    }
}

/// What a test waits for is there or not, whatever is being completed meanwhile.
fn waiting(manifests: &[Manifest]) -> usize {
    manifests.iter().filter(|one| has_file(one)).count()
}

#[tokio::test]
async fn the_next_session_waits_for_no_end() {
    let place = Place::new();
    // Nothing gets its hash.
    let held = place.recorder.service.sealing.acquire_many(SEALING as u32).await.unwrap();
    let running = place.run();
    let _alice = Alice::publish(&place.rooms);
    let room = "room".parse().unwrap();
    place.until(|manifests| waiting(manifests) == 1).await;
    place.rooms.align(&room, Alignment::Full).unwrap();
    let manifests = place.until(|manifests| waiting(manifests) == 2).await;
    let told: Vec<_> = manifests.iter().map(|one| (one.state, one.end.is_some())).collect();
    assert_eq!(told, [(SessionState::Recording, true), (SessionState::Recording, false)]);
    let file = &manifests[0].files[0];
    assert_eq!((file.state, file.sha256.as_ref()), (FileState::Finished, None), "it is complete");
    drop(held);
    place.until(|manifests| manifests[0].state == SessionState::Finished).await;
    place.stop.cancel();
    timeout(PATIENCE, running).await.expect("it ends").unwrap();
}

#[tokio::test]
async fn a_server_that_goes_down_leaves_hashes_to_the_next() {
    let mut place = Place::new();
    let held = place.recorder.service.sealing.acquire_many(SEALING as u32).await.unwrap();
    let running = place.run();
    let alice = Alice::publish(&place.rooms);
    place.until(|manifests| waiting(manifests) == 1).await;
    let begun = Instant::now();
    place.stop.cancel();
    timeout(PATIENCE, running).await.expect("it ends").unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "the server does not wait for it: {:?}",
        begun.elapsed()
    );
    drop((held, alice));
    let [before] = &place.manifests()[..] else { panic!() };
    assert_eq!(before.files[0].state, FileState::Finished);
    assert!(before.state == SessionState::Recording && before.end.is_some(), "{before:?}");
    while place.notices.try_recv().is_ok() {}

    let Place { root, recorder, .. } = place;
    drop(recorder);
    let mut place = Place::at(root, config::Align::default(), SECOND + 60);
    Recorder::recover(&place.recorder.service, &place.recorder.earlier);
    let [after] = &place.manifests()[..] else { panic!() };
    assert_eq!(
        (after.state, &after.end, after.duration),
        (SessionState::Finished, &before.end, before.duration)
    );
    assert!(after.files[0].sha256.is_some(), "{after:?}");
    let told = [(); 2].map(|()| place.notices.try_recv().unwrap().kind);
    assert!(told.contains(&NoticeKind::Finished) && told.contains(&NoticeKind::SessionFinished), "{told:?}");
}

/// Names are the clients' to choose: some give each of their streams the same.
#[tokio::test(start_paused = true)]
async fn a_stream_of_the_same_name_is_another_one() {
    let place = Place::new();
    let running = place.run();
    let login = "alice".parse().unwrap();
    let entry = Entry { login, protocol: Protocol::WebSocket, key: None, listens: true };
    let (member, _events) = place.rooms.join("room".parse().unwrap(), entry).unwrap();
    let publish = || Alice::named(&member, "room-alice");
    let first = publish();
    place.until(|manifests| waiting(manifests) == 1).await;
    // Before anybody has read that the first one has ended.
    drop(first);
    let _second = publish();
    sleep(Duration::from_secs(5)).await;
    let manifests = place.manifests();
    let [Manifest { files, .. }] = &manifests[..] else { panic!("{manifests:?}") };
    let parts: Vec<_> = files.iter().flat_map(|file| &file.streams).collect();
    assert_eq!(parts.len(), 2, "{files:?}");
    assert!(parts[1].start > parts[0].end - 0.1 && parts[1].end - parts[1].start > 3.0, "{parts:?}");
    assert!(parts.iter().all(|part| part.stream == "room-alice" && !part.clock.is_empty()), "{parts:?}");
    place.stop.cancel();
    timeout(PATIENCE, running).await.expect("it ends").unwrap();
}

#[tokio::test]
async fn what_cannot_begin_is_told_and_tried_again() {
    let mut place = Place::new();
    // In place of the folder of the room.
    let folder = place.root.path().join("room");
    std::fs::write(&folder, "").unwrap();
    let running = place.run();
    let _alice = Alice::publish(&place.rooms);
    let notice = timeout(PATIENCE, place.notices.recv()).await.unwrap().unwrap();
    let Subject::File(file) = notice.subject else { panic!() };
    assert_eq!((notice.kind, notice.session.as_str(), file.state), (NoticeKind::Failed, "", FileState::Lost));
    assert!(file.error.unwrap().starts_with("the session cannot begin: "));
    std::fs::remove_file(&folder).unwrap();
    place.until(|manifests| waiting(manifests) == 1).await;
    place.stop.cancel();
    timeout(PATIENCE, running).await.expect("it ends").unwrap();
}

#[tokio::test]
async fn a_manifest_can_be_read_whatever_is_said() {
    let place = Place::new();
    let room = "room".parse().unwrap();
    let wall = place.rooms.wall();
    let mut session = Session::begin(place.recorder.service.clone(), &room, wall, None).await.unwrap();
    for id in 0..10_000 {
        // Each of these takes six bytes as JSON has it.
        session.note(Event::Message { id, from: "alice".to_owned(), text: "\u{1}".repeat(4_000) });
    }
    session.end().await;
    let [manifest] = &place.manifests()[..] else { panic!() };
    assert!(manifest.events.len() > 20, "{}", manifest.events.len());
    assert_eq!(manifest.events.len() as u64 + manifest.events_left_out, 10_000);
}

/// What does not fit into a file goes into another one at once, and a file that is filled is filled to the end of the session.
#[tokio::test(start_paused = true)]
async fn a_file_that_is_replaced_holds_up_nothing() {
    for align in [config::Align::Off, config::Align::Full] {
        let place = Place::with(align);
        let held = place.recorder.service.sealing.acquire_many(SEALING as u32).await.unwrap();
        let running = place.run();
        let name = |text: &str| text.parse::<Name>().unwrap();
        let publication =
            place.rooms.publish(name("room"), name("alice"), Protocol::Rtmp, place.rooms.wall()).unwrap();
        let track = publication.publisher().track(FeedKey::new(Codec::Opus, Form::Frames)).unwrap();
        for number in 0..300 {
            let config = OpusConfig { channels: if number < 150 { 2 } else { 1 } };
            if number % 150 == 0 {
                track.set_params(CodecParams::Opus(config));
            }
            let time = Timestamp::from_millis(number * 20);
            track.write(Frame::audio(time, Bytes::from_static(silence(config))));
            sleep(Duration::from_millis(20)).await;
        }
        drop((held, track, publication));
        let is_done = |manifests: &[Manifest]| {
            !manifests.is_empty() && manifests.iter().all(|one| one.state == SessionState::Finished)
        };
        let manifests = place.until(is_done).await;
        let [Manifest { files, .. }] = &manifests[..] else { panic!("{manifests:?}") };
        let [first, second] = &files[..] else { panic!("{files:?}") };
        assert!(second.end >= 5.9, "{files:?}");
        if align == config::Align::Full {
            assert!((first.end - second.end).abs() < 0.03, "{files:?}");
        } else {
            assert!((2.9..3.1).contains(&first.end) && (2.9..3.1).contains(&second.start), "{files:?}");
        }
        place.stop.cancel();
        timeout(PATIENCE, running).await.expect("it ends").unwrap();
    }
}

/// Whatever a publisher does, there are no files without end.
#[tokio::test(start_paused = true)]
async fn who_comes_and_goes_has_few_files() {
    let place = Place::new();
    let running = place.run();
    let _stays = Alice::publish_as("bob", &place.rooms, Duration::ZERO, Duration::MAX);
    let name = |text: &str| text.parse::<Name>().unwrap();
    let publication =
        place.rooms.publish(name("room"), name("alice"), Protocol::Rtmp, place.rooms.wall()).unwrap();
    let track = publication.publisher().track(FeedKey::new(Codec::Opus, Form::Frames)).unwrap();
    for number in 0..1_000 {
        let config = OpusConfig { channels: 1 + (number / 10 % 2) as u8 };
        if number % 10 == 0 {
            track.set_params(CodecParams::Opus(config));
        }
        let time = Timestamp::from_millis(number * 20);
        track.write(Frame::audio(time, Bytes::from_static(silence(config))));
        sleep(Duration::from_millis(20)).await;
    }
    place.stop.cancel();
    timeout(PATIENCE, running).await.expect("it ends").unwrap();
    let manifests = place.manifests();
    let files = manifests[0].files.iter().filter(|file| file.participant == "alice").count();
    assert!((8..=11).contains(&files), "{files}");
}
