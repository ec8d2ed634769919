//! Publications and playbacks: each ends in exactly one final status, whatever becomes of it.

use crate::client::{Client, ROOM, label, leave, publish, stream};
use crate::site::Site;
use commonroom::media::{Codec, MediaKind};
use commonroom::protocol::room_api::{
    Adapt, ClientMessage, Event, Info, Left, LeftReason, Notice, ServerMessage, Status, Stream, StreamEvent,
};
use commonroom::room::Limits;
use commonroom::stream::{EndReason, FeedKey, Form};
use serde_json::Value;
use tokio::time::Instant;

const NAME: &str = "r1-alice-eb8c";

async fn available(client: &mut Client, name: &str) -> (String, Option<Info>) {
    let asked = Stream { media_session_id: label("q1"), name: Some(label(name)) };
    client.say(&ClientMessage::AvailableStream((asked,))).await;
    match client.hear().await {
        ServerMessage::AvailableStream((said,)) => {
            assert_eq!(said.id.as_str(), "q1");
            (said.status, said.info)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_has_no_tracks_in_time_is_not_ready() {
    let site = Site::new();
    let mut alice = site.sdk("alice").await;
    alice.join(ROOM).await;
    let obs = site.encoder(ROOM, "obs");
    for _ in ["joined", "published"] {
        alice.event().await;
    }
    alice.want("a1", obs.name().as_str()).await;
    alice.finished("a1", Status::Failed, "Publish stream is not ready").await;
    // The id is free, and the stream may be asked for again.
    let _sound = obs.publisher().track(FeedKey::new(Codec::Opus, Form::Packets)).expect("it is the first");
    alice.want("a1", obs.name().as_str()).await;
    alice.answer("a1").await;
    site.end().await;
}

#[tokio::test]
async fn what_never_connects_fails_within_ten_seconds() {
    let site = Site::new();
    let (mut alice, mut bob) = (site.member("alice").await, site.member("bob").await);
    alice.event().await;
    let began = Instant::now();
    alice.offer("a1", NAME).await;
    let answer = alice.answer("a1").await;
    assert!(answer.contains("a=candidate:") && answer.contains("a=recvonly"), "{answer}");
    let publication = site.rooms.publication(&ROOM.parse().unwrap(), &NAME.parse().unwrap());
    assert_eq!(publication.unwrap().client_id(), "a1", "for the names of recordings");
    assert!(answer.contains("H264") && !answer.contains("VP8"), "what RTMP and MP4 carry: {answer}");

    let encoder = site.encoder(ROOM, "obs");
    encoder.publisher().declare(&[MediaKind::Audio]);
    let _audio = encoder.publisher().track(FeedKey::new(Codec::Opus, Form::Packets));
    for _ in 0..2 {
        bob.event().await;
        alice.event().await;
    }
    bob.want("b1", encoder.name().as_str()).await;
    let answer = bob.answer("b1").await;
    let video = answer.split("m=video").nth(1).expect("a section");
    assert!(
        video.contains("a=inactive"),
        "a picture that never comes keeps the sound from being heard: {answer}"
    );
    bob.hears_nothing().await;

    let info = "Failed by ICE timeout";
    tokio::join!(alice.finished("a1", Status::Failed, info), bob.finished("b1", Status::Failed, info));
    assert!(began.elapsed().as_secs() < 11, "{:?}", began.elapsed());
    // The name and the ids are free.
    alice.offer("a1", NAME).await;
    alice.answer("a1").await;
    site.end().await;
}

#[tokio::test]
async fn offers_are_refused_in_the_words_of_the_sdk() {
    let site = Site::with(Limits { streams: 2, ..Limits::default() }, Default::default());
    let mut stranger = site.stranger().await;
    stranger.offer("s1", NAME).await;
    stranger.finished("s1", Status::Failed, "Session not ready").await;

    let mut alice = site.declared("alice", None).await;
    alice.offer("a1", NAME).await;
    alice.finished("a1", Status::Failed, "a stream belongs to a room; join it first").await;
    alice.join(ROOM).await;
    alice.offer("a1", NAME).await;
    alice.answer("a1").await;
    alice.offer("a1", "r1-alice-0002").await;
    alice.finished("a1", Status::Failed, "MediaSessionId is already in use").await;
    alice.offer("a2", NAME).await;
    alice.finished("a2", Status::Failed, "Stream name is already in use").await;
    alice.offer("a3", "no name").await;
    let refused = alice.status().await;
    assert_eq!((refused.status, refused.published), (Status::Failed, true));
    alice.offer("a4", "r1-alice-0004-screenShare").await;
    alice.answer("a4").await;
    alice.offer("a5", "r1-alice-0005").await;
    let refused = alice.status().await;
    assert!(refused.info.expect("why").as_str().contains("rooms.max_streams"), "a third one");

    let mut bob = site.member("bob").await;
    alice.event().await;
    let mut broken = publish("b1", "r1-bob-0001");
    broken.sdp = "v=0\r\nnonsense".into();
    bob.say(&ClientMessage::PublishStream((Box::new(broken),))).await;
    assert_eq!(bob.status().await.status, Status::Failed);
    let mut foreign = publish("b2", "r1-bob-0002");
    let known = [("H264/90000", "H266/90000"), ("opus/48000", "codec2/8000"), (" PCM", " L16-")];
    foreign.sdp = known.iter().fold(foreign.sdp, |sdp, (known, other)| sdp.replace(known, other));
    bob.say(&ClientMessage::PublishStream((Box::new(foreign),))).await;
    bob.finished("b2", Status::Failed, "No common codecs").await;
    bob.send(r#"{"message":"publishStream","data":[{"mediaSessionId":"b3","name":"r1-bob-3"}]}"#).await;
    let refused = bob.status().await;
    assert!(refused.info.expect("why").as_str().contains("missing field `sdp`"));
    bob.offer("b4", NAME).await;
    bob.finished("b4", Status::Failed, "the name of a stream begins with r1-bob").await;

    bob.want("b5", "r1-nobody-0000").await;
    bob.finished("b5", Status::Failed, "Stream not found").await;
    bob.want("b6", NAME).await;
    bob.finished("b6", Status::Failed, "Stream not found").await;
    site.end().await;
}

#[tokio::test]
async fn a_publisher_hears_where_its_recording_is() {
    let site = Site::new();
    let mut alice = site.member("alice").await;
    let record = async |alice: &mut Client, id: &str, is_recorded: bool| {
        alice.offer(id, NAME).await;
        alice.answer(id).await;
        let (room, name) = (ROOM.parse().expect("a name"), NAME.parse().expect("a name"));
        let published = site.rooms.publication(&room, &name).expect("it is there");
        if is_recorded {
            published.begin_recording("r1/2026-11-21T21-31-57Z/alice-camera.mp4");
            // What the recorder has given up is there all the same.
            published.end_recording("r1/2026-11-21T21-31-57Z/alice-camera.mp4");
        }
        alice.say(&ClientMessage::UnPublishStream((stream(id),))).await;
        let told = alice.status().await;
        assert_eq!((told.media_session_id.as_str(), told.status), (id, Status::Unpublished), "{told:?}");
        (told.record, told.record_name)
    };
    let name = Some("r1/2026-11-21T21-31-57Z/alice-camera.mp4".to_owned());
    assert_eq!(record(&mut alice, "a1", true).await, (true, name));
    assert_eq!(
        record(&mut alice, "a2", false).await,
        (false, None),
        "that was another stream of the same name"
    );
    site.end().await;
}

#[tokio::test]
async fn a_stopped_stream_ends_as_its_client_wanted() {
    let site = Site::new();
    let mut alice = site.member("alice").await;
    let encoder = site.encoder(ROOM, "obs");
    for _ in 0..2 {
        alice.event().await;
    }
    alice.offer("a1", NAME).await;
    alice.answer("a1").await;
    alice.say(&ClientMessage::UnPublishStream((stream("a1"),))).await;
    alice.finished("a1", Status::Unpublished, "Stopped by user").await;
    // By what the address of an encoder is made of.
    encoder.publisher().declare(&[MediaKind::Audio, MediaKind::Video]);
    let _audio = encoder.publisher().track(FeedKey::new(Codec::Opus, Form::Packets));
    alice.want("a2", "r1/obs").await;
    alice.answer("a2").await;
    alice.say(&ClientMessage::StopStream((stream("a2"),))).await;
    alice.finished("a2", Status::Stopped, "Stopped by user").await;

    alice.want("a3", encoder.name().as_str()).await;
    alice.answer("a3").await;
    encoder.end(EndReason::Unpublished);
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(match alice.hear().await {
            ServerMessage::OnData((data,)) => match data.payload.event {
                Event::Unpublished { info, .. } => format!("unpublished {}", info.login),
                Event::Left { info, .. } => format!("left {info}"),
                other => panic!("{other:?}"),
            },
            ServerMessage::NotifyStreamStatusEvent((status,)) => {
                assert_eq!((status.media_session_id.as_str(), status.published), ("a3", false));
                format!("{:?} {}", status.status, status.info.expect("why"))
            }
            other => panic!("{other:?}"),
        });
    }
    told.sort();
    assert_eq!(told, ["Stopped Stopped by publisher stop", "left obs", "unpublished obs"]);
    site.end().await;
}

#[tokio::test]
async fn stream_commands_after_leaving_are_honoured() {
    let site = Site::new();
    let mut alice = site.sdk("alice").await;
    alice.join(ROOM).await;
    let encoder = site.encoder(ROOM, "obs");
    let _audio = encoder.publisher().track(FeedKey::new(Codec::Opus, Form::Packets));
    for _ in 0..2 {
        alice.event().await;
    }
    alice.offer("a1", NAME).await;
    alice.answer("a1").await;
    alice.want("a2", encoder.name().as_str()).await;
    alice.answer("a2").await;
    alice.accepted(leave(ROOM)).await;
    // As the SDK does, once it has the acknowledgement.
    alice.say(&ClientMessage::UnPublishStream((stream("a1"),))).await;
    alice.say(&ClientMessage::StopStream((stream("a2"),))).await;
    let mut ends = [alice.status().await, alice.status().await]
        .map(|status| (status.media_session_id.as_str().to_owned(), status.status));
    ends.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(ends, [("a1".to_owned(), Status::Unpublished), ("a2".to_owned(), Status::Stopped)]);
    alice.hears_nothing().await;
    assert_eq!(available(&mut alice, NAME).await, ("false".into(), Some(Info::StreamNotFound)));
    site.end().await;
}

#[tokio::test]
async fn other_peoples_streams_are_nobodys_business() {
    let site = Site::new();
    let (mut alice, mut bob) = (site.member("alice").await, site.member("bob").await);
    alice.event().await;
    alice.offer("a1", NAME).await;
    alice.answer("a1").await;
    let muted =
        StreamEvent { media_session_id: label("a1"), kind: "audioMuted".into(), payload: Value::Null };
    let adapt = Adapt { media_session_id: label("a1"), max_height: Some(1), paused: true };
    for message in [
        ClientMessage::UnPublishStream((stream("a1"),)),
        ClientMessage::StopStream((stream("a1"),)),
        ClientMessage::SendStreamEvent((muted,)),
        ClientMessage::AdaptStream((adapt,)),
    ] {
        bob.say(&message).await;
    }
    bob.hears_nothing().await;
    alice.hears_nothing().await;
    // The id is the client's own: the same one is another stream.
    bob.offer("a1", "r1-bob-0001").await;
    bob.answer("a1").await;
    site.end().await;
}

#[tokio::test]
async fn a_stream_can_be_asked_about() {
    let site = Site::new();
    let mut alice = site.sdk("alice").await;
    let encoder = site.encoder(ROOM, "obs");
    for name in [encoder.name().as_str(), "r1/obs"] {
        assert_eq!(available(&mut alice, name).await, ("true".into(), None), "{name}");
    }
    for name in ["r1/alice", "r2/obs", "nothing", "/", "a/b/c"] {
        assert_eq!(available(&mut alice, name).await, ("false".into(), Some(Info::StreamNotFound)), "{name}");
    }
    alice.say(&ClientMessage::Snapshot((stream("a1"),))).await;
    match alice.hear().await {
        ServerMessage::NotifyStreamEvent((notice,)) => {
            assert!(matches!(notice.notice, Notice::SnapshotFailed { .. }), "{notice:?}");
        }
        other => panic!("{other:?}"),
    }
    site.end().await;
}

#[tokio::test]
async fn a_connection_that_breaks_takes_its_streams_with_it() {
    let site = Site::new();
    let (mut alice, mut bob) = (site.member("alice").await, site.member("bob").await);
    alice.event().await;
    alice.offer("a1", NAME).await;
    alice.answer("a1").await;
    drop(alice);
    let left = Left { login: "alice".into(), reason: LeftReason::Vanished };
    assert_eq!(bob.event().await, Event::Left { info: "alice".into(), commonroom: Some(left) });
    // Its name is free: nothing of the publication is left behind.
    let mut alice = site.member("alice").await;
    alice.offer("a1", NAME).await;
    alice.answer("a1").await;
    site.end().await;
}

#[tokio::test]
async fn a_picture_that_cannot_be_had_is_refused_with_the_reason() {
    let site = Site::new();
    let mut alice = site.member("alice").await;
    let encoder = site.encoder(ROOM, "obs");
    encoder.publisher().declare(&[MediaKind::Audio]);
    let _audio = encoder.publisher().track(FeedKey::new(Codec::Opus, Form::Packets));
    for _ in 0..2 {
        alice.event().await;
    }
    for (name, reason) in [
        (Some("obs"), "the stream has no picture"),
        (Some("nobody"), "there is no such stream"),
        (None, "of which stream?"),
    ] {
        let asked =
            Stream { media_session_id: label("s1"), name: name.map(|name| label(&format!("{ROOM}/{name}"))) };
        alice.say(&ClientMessage::Snapshot((asked,))).await;
        let ServerMessage::NotifyStreamEvent((notice,)) = alice.hear().await else { panic!("no answer") };
        assert_eq!(notice.media_session_id.as_str(), "s1");
        assert_eq!(notice.notice, Notice::SnapshotFailed { info: reason.to_owned() });
    }
    site.end().await;
}
