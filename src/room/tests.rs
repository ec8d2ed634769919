use super::*;
use crate::media::Codec;
use crate::stream::{EndReason, FeedKey, Form, Stream};
use crate::time::NtpTime;
use std::time::Duration;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn rooms(limits: Limits) -> Rooms {
    Rooms::new(limits, NtpTime::default())
}

fn join(rooms: &Rooms, room: &str, login: &str) -> Result<(Membership, Events), Refusal> {
    let entry = Entry { login: name(login), protocol: Protocol::WebSocket, key: None, listens: true };
    rooms.join(name(room), entry)
}

fn publish(rooms: &Rooms, room: &str, who: &str) -> Result<Publication, Refusal> {
    rooms.publish(name(room), name(who), Protocol::Rtmp, NtpTime::default())
}

fn refused<T>(result: Result<T, Refusal>) -> Refusal {
    result.err().expect("it is refused")
}

fn heard(events: &mut Events) -> Vec<String> {
    std::iter::from_fn(|| events.try_next())
        .map(|event| match &*event {
            Event::State(state) => format!("state {}", state.participants.len()),
            Event::Joined(other) => format!("joined {}", other.login),
            Event::Left { login, .. } => format!("left {login}"),
            Event::Published { login, .. } => format!("published {login}"),
            Event::Unpublished { login, failed, .. } => format!("unpublished {login} {failed}"),
            Event::Message(line) => format!("{}: {}", line.from, line.text),
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_name_is_taken_until_its_publication_ends() {
    let rooms = rooms(Limits { rooms: 1, participants: 1, ..Limits::default() });
    let first = publish(&rooms, "r", "alice").unwrap_or_else(|e| panic!("{e}"));
    let stream = rooms.find(&name("r"), "alice").unwrap();
    assert!(rooms.find(&name("r"), first.name().as_str()).is_some_and(|found| found.is(&stream)));
    assert!(refused(publish(&rooms, "r", "alice")).is_name_in_use());
    assert!(matches!(refused(publish(&rooms, "r", "bob")), Refusal::RoomFull { .. }));
    assert!(matches!(refused(publish(&rooms, "s", "bob")), Refusal::TooManyRooms(1)));
    first.end(EndReason::Unpublished);
    assert_eq!(stream.ended(), Some(EndReason::Unpublished));
    assert!(rooms.list().is_empty());
    drop(publish(&rooms, "s", "bob").unwrap_or_else(|e| panic!("{e}")));
    rooms.close();
    assert_eq!(refused(publish(&rooms, "s", "bob")), Refusal::ShuttingDown);
    assert_eq!(refused(join(&rooms, "s", "bob")), Refusal::ShuttingDown);
}

#[test]
fn what_is_reserved_is_found_when_it_is_open_and_told_when_it_begins() {
    let rooms = rooms(Limits::default());
    let (_alice, mut events) = join(&rooms, "r", "alice").unwrap();
    let reserved = rooms.reserve(name("r"), name("eve"), Protocol::Whip, NtpTime::default()).unwrap();
    assert!(refused(publish(&rooms, "r", "eve")).is_name_in_use());
    assert!(rooms.find(&name("r"), "eve").is_none());
    assert_eq!(rooms.room(&name("r")).unwrap().participants.len(), 1);
    reserved.open();
    assert!(rooms.find(&name("r"), "eve").is_some());
    assert_eq!(rooms.room(&name("r")).unwrap().participants.len(), 2);
    assert_eq!(heard(&mut events), ["state 0"]);
    reserved.begin();
    reserved.begin();
    assert_eq!(heard(&mut events), ["joined eve", "published eve"]);
    drop(reserved);
    assert_eq!(heard(&mut events), ["unpublished eve true", "left eve"]);
}

#[test]
fn a_member_that_goes_takes_its_streams_along() {
    let rooms = rooms(Limits::default());
    let (_alice, mut events) = join(&rooms, "r", "alice").unwrap();
    let (bob, _bobs) = join(&rooms, "r", "bob").unwrap();
    let camera = bob.publish(None, NtpTime::default()).unwrap();
    let screen: PublishedName = "r-bob-screenShare".parse().unwrap();
    let screen = bob.publish(Some(screen), NtpTime::default()).unwrap();
    screen.begin();
    camera.begin();
    let found = rooms.find(&name("r"), "bob").unwrap();
    assert_eq!(&*found.name().stream, camera.name().as_str(), "the camera comes first");
    let taken = bob.publish(Some(screen.name().clone()), NtpTime::default());
    assert_eq!(refused(taken), Refusal::StreamNameInUse(screen.name().clone()));
    bob.leave();
    assert_eq!(found.ended(), Some(EndReason::Revoked));
    assert!(camera.revoked().is_cancelled() && screen.revoked().is_cancelled());
    assert_eq!(camera.revocation(), Some(Revocation::Left));
    assert_eq!(
        heard(&mut events),
        [
            "state 0",
            "joined bob",
            "published bob",
            "published bob",
            "unpublished bob false",
            "unpublished bob false",
            "left bob"
        ]
    );
    // The name may belong to somebody else by the time the old connection lets go.
    let (bob, _his) = join(&rooms, "r", "bob").unwrap();
    let again = bob.publish(Some(screen.name().clone()), NtpTime::default()).unwrap();
    again.begin();
    heard(&mut events);
    drop(screen);
    assert!(rooms.find(&name("r"), again.name().as_str()).is_some());
    assert_eq!(heard(&mut events), [""; 0]);
}

#[test]
fn stream_names_are_unique_on_the_server() {
    let rooms = rooms(Limits::default());
    let ((alice, _a), (bob, _b)) = (join(&rooms, "r", "s-bob").unwrap(), join(&rooms, "r-s", "bob").unwrap());
    let wanted: PublishedName = "r-s-bob-1".parse().unwrap();
    let publication = alice.publish(Some(wanted.clone()), NtpTime::default()).unwrap();
    assert!(bob.publish(Some(wanted.clone()), NtpTime::default()).is_err());
    drop(publication);
    assert!(bob.publish(Some(wanted), NtpTime::default()).is_ok());
}

#[tokio::test]
async fn a_member_that_takes_no_news_is_out() {
    let rooms = rooms(Limits { messages_per_second: 1_000_000, ..Limits::default() });
    let (alice, mut hers) = join(&rooms, "r", "alice").unwrap();
    let (_bob, mut his) = join(&rooms, "r", "bob").unwrap();
    for n in 0..3_000 {
        alice.say(None, false, &n.to_string()).unwrap();
        if n % 100 == 0 {
            heard(&mut hers);
        }
    }
    assert_eq!(heard(&mut hers).iter().filter(|line| *line == "left bob").count(), 0, "told in the loop");
    assert_eq!(rooms.room(&name("r")).unwrap().participants.len(), 1);
    let mut last = None;
    while let Some(event) = his.next().await {
        last = Some(event);
    }
    assert!(matches!(last.as_deref(), Some(Event::Expelled(Expulsion::TooSlow))));
}

#[test]
fn strangers_are_kept_out_of_a_locked_room() {
    let rooms = rooms(Limits::default());
    let (alice, _events) = join(&rooms, "r", "alice").unwrap();
    let publication = alice.publish(None, NtpTime::default()).unwrap();
    publication.begin();
    assert!(rooms.watch(&name("r"), "alice", None).is_ok());
    alice.moderate(Moderation::Lock(true)).unwrap();
    assert_eq!(rooms.watch(&name("r"), "alice", None).unwrap_err(), Refusal::Locked(name("r")));
    assert!(rooms.find(&name("r"), "alice").is_some(), "members may");
    assert_eq!(rooms.watch(&name("s"), "alice", None).unwrap_err(), Refusal::UnknownStream);
}

#[tokio::test(start_paused = true)]
async fn empty_rooms_linger_and_give_way() {
    let rooms = rooms(Limits { rooms: 2, linger: Duration::from_secs(30), ..Limits::default() });
    for room in ["r", "s"] {
        let (alice, _) = join(&rooms, room, "alice").unwrap();
        alice.say(None, false, room).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let history = |room: &str| {
        let (_, mut events) = join(&rooms, room, "bob").unwrap();
        let Some(Event::State(state)) = events.try_next().as_deref().cloned() else { panic!() };
        state.messages.len()
    };
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(history("r"), 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(history("t"), 0, "s was empty for longest");
    assert_eq!(history("r"), 1);
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(history("r"), 0);
}

#[test]
fn streams_of_unlike_rooms_are_not_mixed_up() {
    let rooms = rooms(Limits::default());
    let (first, second) = (publish(&rooms, "r", "a").unwrap(), publish(&rooms, "s", "a").unwrap());
    let found = |room: &str| -> Stream { rooms.find(&name(room), "a").unwrap() };
    assert!(found("r").is(&first.publisher().stream()) && found("s").is(&second.publisher().stream()));
    assert!(rooms.find(&name("r"), second.name().as_str()).is_none());
}

#[tokio::test(start_paused = true)]
async fn an_encoder_is_told_of_once_its_tracks_are_known() {
    let rooms = rooms(Limits::default());
    let (_alice, mut events) = join(&rooms, "r", "alice").unwrap();
    let obs = rooms.reserve(name("r"), name("obs"), Protocol::Rtmp, NtpTime::default()).unwrap();
    obs.open();
    let begun = tokio::spawn(obs.begin_when_settled());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(heard(&mut events), ["state 0"]);
    let _sound = obs.publisher().track(FeedKey::new(Codec::Opus, Form::Frames)).unwrap();
    begun.await.unwrap();
    assert_eq!(heard(&mut events), ["joined obs", "published obs"]);
    let participant = &rooms.room(&name("r")).unwrap().participants[1].seen;
    assert_eq!(participant.streams[0].media, Media { audio: true, video: false });
}

#[tokio::test]
async fn the_names_of_whoever_is_put_out_are_free_whatever_filled_its_outbox() {
    let rooms = rooms(Limits::default());
    let (alice, mut hers) = join(&rooms, "r", "alice").unwrap();
    let (bob, _not_read) = join(&rooms, "r", "bob").unwrap();
    let stream: PublishedName = "r-bob".parse().unwrap();
    let publication = bob.publish(Some(stream.clone()), NtpTime::default()).unwrap();
    publication.begin();
    let mut out = false;
    for _ in 0..1_000 {
        let stream = alice.publish(None, NtpTime::default()).unwrap();
        stream.begin();
        drop(stream);
        out |= heard(&mut hers).iter().any(|line| line == "left bob");
    }
    assert!(out, "bob has taken nothing");
    drop((publication, bob));
    let (bob, _events) = join(&rooms, "r", "bob").unwrap();
    assert!(bob.publish(Some(stream), NtpTime::default()).is_ok());
}

#[test]
fn a_stream_is_called_by_its_room_and_its_publisher() {
    let rooms = rooms(Limits::default());
    let (bob, _events) = join(&rooms, "r", "bob").unwrap();
    for other in ["obs", "r-obs-1", "r-bobby-1", "s-bob-1", "rbob"] {
        let refused = bob.publish(Some(other.parse().unwrap()), NtpTime::default()).map(drop);
        let (room, login) = (name("r"), name("bob"));
        assert_eq!(refused, Err(Refusal::ForeignStreamName { room, login }), "{other}");
    }
    for own in ["r-bob", "r-bob-eb8c", "r-bob-91d0-screenShare"] {
        assert!(bob.publish(Some(own.parse().unwrap()), NtpTime::default()).is_ok(), "{own}");
    }
}

#[test]
fn those_who_were_removed_do_not_watch_by_their_name() {
    let rooms = rooms(Limits::default());
    let (alice, _events) = join(&rooms, "r", "alice").unwrap();
    alice.publish(None, NtpTime::default()).unwrap().begin();
    let publication = alice.publish(None, NtpTime::default()).unwrap();
    publication.begin();
    let (_bob, _his) = join(&rooms, "r", "bob").unwrap();
    alice.moderate(Moderation::Kick(name("bob"))).unwrap();
    let watch = |login: &str| rooms.watch(&name("r"), "alice", Some((&name(login), None))).map(drop);
    assert_eq!(watch("bob"), Err(Refusal::Kicked(name("r"))));
    assert_eq!(watch("carol"), Ok(()));
}
