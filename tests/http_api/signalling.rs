//! Signalling over HTTP: offers, answers, candidates, and who is refused.

use crate::client::{SDP, WHEP, WHIP};
use crate::site::Site;
use commonroom::config::{Http, Webrtc};
use commonroom::room::{Entry, Moderation, Name, Protocol};

const FRAGMENT: (&str, &str) = ("Content-Type", "application/trickle-ice-sdpfrag");

#[tokio::test]
async fn a_publisher_gets_an_answer_and_a_session_of_its_own() {
    let site = Site::new();
    let created = site.ask("POST", "/whip/demo/alice", &[SDP], WHIP).await;
    assert_eq!((created.status, created.header("content-type")), (201, "application/sdp"), "{created:?}");
    assert!(created.body.starts_with("v=0\r\n") && created.body.contains("a=recvonly"), "{created:?}");
    assert!(created.header("etag").starts_with('"'), "{created:?}");
    assert_eq!(created.header("accept-patch"), "application/trickle-ice-sdpfrag");
    let session = created.header("location");
    assert!(session.starts_with("/session/") && session.len() > 30, "{session}");

    site.ask("POST", "/whip/demo/alice", &[SDP], WHIP).await.is_problem(409, "in_use");
    site.ask("POST", "/whep/demo/alice", &[SDP], WHEP).await.is_problem(404, "no_stream");
    let _bob = site.publish("demo", "bob");
    let watched = site.ask("POST", "/whep/demo/bob", &[SDP], WHEP).await;
    assert_eq!(watched.status, 201, "{watched:?}");
    assert_ne!(watched.header("location"), session);
    assert_eq!(site.ask("DELETE", watched.header("location"), &[], "").await.status, 200);

    let ended = site.ask("DELETE", session, &[], "").await;
    assert_eq!(ended.status, 200);
    assert!(
        !ended.json()["message"].as_str().unwrap().is_empty(),
        "an empty body is a failure to some clients"
    );
    site.ask("DELETE", session, &[], "").await.is_problem(404, "no_session");
    assert_eq!(
        site.ask("POST", "/whip/demo/alice", &[SDP], WHIP).await.status,
        201,
        "the name is free again"
    );
}

#[tokio::test]
async fn names_of_all_scripts_come_by_addresses() {
    let site = Site::new();
    // As a browser sends "зал" and "Zoë", the latter also with its dots apart.
    let created = site.ask("POST", "/whip/%D0%B7%D0%B0%D0%BB/Zo%C3%AB", &[SDP], WHIP).await;
    assert_eq!(created.status, 201, "{created:?}");
    assert!(created.header("location").is_ascii());
    let again = site.ask("POST", "/whip/%d0%b7%d0%b0%d0%bb/Zoe%CC%88", &[SDP], WHIP).await;
    again.is_problem(409, "in_use");
    let _obs = site.publish("зал", "Алиса");
    let room = site.get("/api/v1/rooms/%D0%B7%D0%B0%D0%BB").await.json();
    assert_eq!((&room["name"], &room["participants"][0]["name"]), (&"зал".into(), &"Алиса".into()));
    let watched = "/whep/%D0%B7%D0%B0%D0%BB/%D0%90%D0%BB%D0%B8%D1%81%D0%B0";
    assert_eq!(site.ask("POST", watched, &[SDP], WHEP).await.status, 201);
    assert_eq!(site.get("/r/%D0%B7%D0%B0%D0%BB").await.status, 200);
    for bad in ["%D0", "%E2%80%AEa", "a%2Fb", "a%20b", "a%00b", "%EF%BB%BFa"] {
        assert_eq!(site.ask("POST", &format!("/whip/demo/{bad}"), &[SDP], WHIP).await.status, 400, "{bad}");
        assert_eq!(site.get(&format!("/r/{bad}")).await.status, 400, "{bad}");
    }
    let metrics = site.get("/metrics").await.body;
    assert!(metrics.is_ascii() && !metrics.contains("demo"), "names are no labels");
}

#[tokio::test]
async fn what_is_wrong_with_an_offer_is_said() {
    let site = Site::new();
    let post = async |path: &str, kind: &str, body: &str| {
        site.ask("POST", path, &[("Content-Type", kind)], body).await
    };
    let sdp = "application/sdp";
    post("/whep/demo/nobody", sdp, WHEP).await.is_problem(404, "no_stream");
    post("/whip/demo/alice", "text/plain", WHIP).await.is_problem(415, "unsupported_media_type");
    site.ask("POST", "/whip/demo/alice", &[], WHIP).await.is_problem(415, "unsupported_media_type");
    post("/whip/demo/alice", sdp, "").await.is_problem(400, "bad_offer");
    post("/whip/demo/alice", sdp, "v=0\r\nnonsense").await.is_problem(400, "bad_offer");
    let foreign = WHIP.replace(" H264/", " H265/").replace(" opus/", " iLBC/").replace(" PCM", " L16-");
    post("/whip/demo/alice", sdp, &foreign).await.is_problem(406, "no_common_codec");
    post("/whip/demo/alice", sdp, &"a".repeat(64 * 1024 + 1)).await.is_problem(413, "too_large");
    post("/whip/.demo/alice", sdp, WHIP).await.is_problem(400, "invalid_name");
    post("/whip/demo/a%20b", sdp, WHIP).await.is_problem(400, "invalid_name");
    assert!(site.rooms.list().is_empty(), "no refusal leaves anything behind");
    assert_eq!(post("/whip/demo/alice", "Application/SDP; charset=utf-8", WHIP).await.status, 201);
}

#[tokio::test]
async fn what_a_host_decides_holds_over_http_too() {
    let site = Site::new();
    let name = |text: &str| text.parse::<Name>().expect("a valid name");
    let entry = Entry { login: name("host"), protocol: Protocol::WebSocket, key: None, listens: true };
    let (host, _events) = site.rooms.join(name("demo"), entry).expect("nothing speaks against it");
    let bob = site.publish("demo", "bob");
    let own = bob.name().to_string();
    let refused = async |status, error| {
        for watched in ["bob", own.as_str()] {
            let whep = format!("/whep/demo/{watched}");
            site.ask("POST", &whep, &[SDP], WHEP).await.is_problem(status, error);
            for kind in ["jpg", "png"] {
                let path = format!("/api/v1/rooms/demo/{watched}/snapshot.{kind}");
                site.get(&path).await.is_problem(status, error);
            }
        }
    };
    host.moderate(Moderation::Lock(true)).unwrap();
    refused(403, "room_locked").await;
    site.ask("POST", "/whip/demo/carol", &[SDP], WHIP).await.is_problem(403, "room_locked");
    host.moderate(Moderation::Lock(false)).unwrap();
    assert_eq!(site.ask("POST", "/whep/demo/bob", &[SDP], WHEP).await.status, 201);

    host.moderate(Moderation::Kick(name("bob"))).unwrap();
    refused(404, "no_stream").await;
    site.ask("POST", "/whip/demo/bob", &[SDP], WHIP).await.is_problem(403, "kicked");
    let carol = site.ask("POST", "/whip/demo/carol", &[SDP], WHIP).await;
    assert_eq!(carol.status, 201, "{carol:?}");
    host.moderate(Moderation::Kick(name("carol"))).unwrap();
    site.ask("POST", "/whip/demo/carol", &[SDP], WHIP).await.is_problem(403, "kicked");
    drop(bob);
}

#[tokio::test]
async fn limits_and_the_end_refuse_for_now() {
    let site = Site::with(Http::default(), Webrtc { max_sessions: 1, ..Webrtc::default() });
    assert_eq!(site.ask("POST", "/whip/demo/alice", &[SDP], WHIP).await.status, 201);
    site.ask("POST", "/whip/demo/bob", &[SDP], WHIP).await.is_problem(503, "unavailable");
    site.rooms.close();
    site.ask("POST", "/whip/demo/bob", &[SDP], WHIP).await.is_problem(503, "unavailable");
    let unresolvable = vec!["no-such-host.invalid".parse().unwrap()];
    let site = Site::with(Http::default(), Webrtc { announce: unresolvable, ..Webrtc::default() });
    let refused = site.ask("POST", "/whip/demo/alice", &[SDP], WHIP).await;
    assert!(refused.body.contains("webrtc.announce"), "{refused:?}");
    refused.is_problem(503, "unavailable");
}

#[tokio::test]
async fn candidates_are_taken_for_the_session_they_are_for() {
    let site = Site::new();
    let created = site.ask("POST", "/whip/demo/alice", &[SDP], WHIP).await;
    let (session, etag) = (created.header("location"), created.header("etag"));
    let patch =
        async |path: &str, headers: &[(&str, &str)], body: &str| site.ask("PATCH", path, headers, body).await;
    let fragment = "a=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n";
    let taken = patch(session, &[FRAGMENT, ("If-Match", etag)], fragment).await;
    assert_eq!((taken.status, taken.body.as_str()), (204, ""), "{taken:?}");
    assert_eq!(patch(session, &[FRAGMENT], fragment).await.status, 204, "simple clients name no session");
    patch(session, &[FRAGMENT, ("If-Match", "\"other\"")], fragment).await.is_problem(412, "etag_mismatch");
    patch(session, &[FRAGMENT, ("If-Match", "*")], fragment).await.is_problem(422, "no_ice_restart");
    let ufrag = WHIP.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).unwrap();
    let of = |ufrag: &str| format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:{}\r\n{fragment}", "x".repeat(24));
    assert_eq!(patch(session, &[FRAGMENT, ("If-Match", etag)], &of(ufrag)).await.status, 204);
    let restart = patch(session, &[FRAGMENT, ("If-Match", etag)], &of("other")).await;
    restart.is_problem(422, "no_ice_restart");
    patch(session, &[FRAGMENT], "nonsense").await.is_problem(400, "bad_fragment");
    patch(session, &[SDP], fragment).await.is_problem(415, "unsupported_media_type");
    patch("/session/0123", &[FRAGMENT], fragment).await.is_problem(404, "no_session");
}
