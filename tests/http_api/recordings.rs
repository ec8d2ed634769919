//! Recordings over HTTP: lists, files and pieces of them, and who may do what.

use crate::client::Response;
use crate::site::Site;
use commonroom::config::{Config, Http, Webrtc};
use commonroom::recording::Store;
use commonroom::recording::manifest::{Alignment, File, FileState, Kind, Manifest, SessionState, VERSION};
use commonroom::room::RecordingPolicy;
use serde_json::json;
use std::io::Write;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

const BYTES: &str = "0123456789abcdefghij";
const HASH: &str = "8d7f4b6a";

fn site(policy: RecordingPolicy) -> (Site, Store, TempDir) {
    let dir = tempfile::tempdir().expect("there is room for a folder");
    let store = Store::open(&dir.path().join("recordings")).expect("it can be made");
    (Site::of(Http::default(), Webrtc::default(), policy, Some(store.clone())), store, dir)
}

/// A session with one file of each name.
fn record(store: &Store, room: &str, session: &str, files: &[&str]) {
    let folder = store.create(room, session).expect("it can be made");
    let file = |name: &&str| {
        let (stem, extension) = name.split_once('.').expect("an ending");
        let (name, mut file) = folder.create(stem, extension).expect("it can be made");
        file.write_all(BYTES.as_bytes()).expect("it can be written");
        File {
            name,
            state: FileState::Finished,
            error: None,
            participant: stem.to_owned(),
            kind: Kind::Camera,
            streams: Vec::new(),
            start: 0.5,
            end: 2.0,
            audio: None,
            video: None,
            gaps: Vec::new(),
            size: BYTES.len() as u64,
            sha256: Some(HASH.to_owned()),
        }
    };
    let manifest = Manifest {
        version: VERSION,
        room: room.to_owned(),
        session: folder.session().to_owned(),
        state: SessionState::Finished,
        align: Alignment::Off,
        start: "2026-11-21T21:31:57.500Z".to_owned(),
        end: None,
        duration: 2.0,
        files: files.iter().map(file).collect(),
        events: Vec::new(),
        events_left_out: 0,
    };
    folder.write_manifest(&manifest).expect("it can be written");
}

#[tokio::test]
async fn nothing_is_served_unless_the_operator_says_so() {
    let site = Site::new();
    for path in ["/api/v1/recordings", "/api/v1/recordings/r/s", "/api/v1/recordings/r/s/f.mp4"] {
        let refused = site.get(path).await;
        refused.is_problem(404, "not_browsed");
        assert!(refused.body.contains("recording.browse"), "{refused:?}");
    }
    site.get("/client/records/r/s/f.mp4").await.is_problem(404, "not_browsed");
    for path in ["/recordings", "/recordings/r/s"] {
        let page = site.get(path).await;
        assert_eq!((page.status, page.header("content-type")), (404, "text/html; charset=utf-8"), "{path}");
        assert!(page.body.contains("recording.browse"), "{page:?}");
    }
    for path in ["/api/v1/recordings/r/s", "/api/v1/recordings/r/s/f.mp4"] {
        site.ask("DELETE", path, &[], "").await.is_problem(404, "not_browsed");
    }
}

#[tokio::test]
async fn sessions_are_listed_by_pages_with_the_latest_first() {
    let (site, store, _dir) = site(RecordingPolicy::Never);
    let empty = site.get("/api/v1/recordings").await.json();
    assert_eq!(empty, json!({"sessions": []}));
    for (room, session) in
        [("a", "2026-01-02"), ("зал", "2026-01-03"), ("a", "2026-01-01"), ("b", "2026-01-02")]
    {
        record(&store, room, session, &["zoe.mp4", "alice.webm"]);
    }
    drop(store.create("a", "2025-no-manifest").expect("it can be made"));
    let names = async |query: &str| {
        let list = site.get(&format!("/api/v1/recordings{query}")).await.json();
        let of = |session: &serde_json::Value| {
            format!("{}/{}", session["room"].as_str().unwrap(), session["session"].as_str().unwrap())
        };
        let names: Vec<_> = list["sessions"].as_array().unwrap().iter().map(of).collect();
        (names, list["next"].as_str().map(str::to_owned))
    };
    let all = ["зал/2026-01-03", "b/2026-01-02", "a/2026-01-02", "a/2026-01-01", "a/2025-no-manifest"];
    assert_eq!(names("").await, (all.map(str::to_owned).into(), None));
    let (first, next) = names("?limit=2").await;
    assert_eq!((&first[..], next.as_deref()), (&all.map(str::to_owned)[..2], Some("b/2026-01-02")));
    let (rest, next) = names("?limit=3&before=b/2026-01-02").await;
    assert_eq!((&rest[..], next), (&all.map(str::to_owned)[2..], None));
    assert_eq!(names("?room=a&limit=1").await.0, ["a/2026-01-02"]);
    assert_eq!(names("?room=nobody").await, (Vec::new(), None));
    let one = &site.get("/api/v1/recordings?room=b").await.json()["sessions"][0];
    let told = json!({"room": "b", "session": "2026-01-02", "state": "finished", "start": "2026-11-21T21:31:57.500Z",
        "duration": 2.0, "participants": ["alice", "zoe"], "files": 2, "size": 40});
    assert_eq!(*one, told);
    for bad in ["?room=..", "?limit=x", "?before=x", "?page=2"] {
        assert_eq!(site.get(&format!("/api/v1/recordings{bad}")).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn files_come_whole_and_in_pieces() {
    let (site, store, _dir) = site(RecordingPolicy::Never);
    record(&store, "demo", "one", &["alice.mp4"]);
    let manifest = site.get("/api/v1/recordings/demo/one").await.json();
    assert_eq!((&manifest["files"][0]["name"], &manifest["version"]), (&json!("alice.mp4"), &json!(1)));
    let path = "/api/v1/recordings/demo/one/alice.mp4";
    let tag = format!("\"{HASH}\"");
    let is_whole = |response: &Response| {
        assert_eq!((response.status, &response.body[..]), (200, BYTES), "{response:?}");
        assert_eq!(response.header("content-type"), "video/mp4");
        assert_eq!(response.header("content-disposition"), "attachment; filename*=UTF-8''alice.mp4");
        assert_eq!((response.header("accept-ranges"), response.header("etag")), ("bytes", &tag[..]));
        assert_eq!(response.header("x-content-type-options"), "nosniff");
    };
    is_whole(&site.get(path).await);
    is_whole(&site.get("/client/records/demo/one/alice.mp4").await);
    let piece = async |headers: &[(&str, &str)]| site.ask("GET", path, headers, "").await;
    let part = piece(&[("Range", "bytes=2-4")]).await;
    assert_eq!((part.status, &part.body[..], part.header("content-range")), (206, "234", "bytes 2-4/20"));
    let end = piece(&[("Range", "bytes=-3"), ("If-Range", &tag)]).await;
    assert_eq!((end.status, &end.body[..], end.header("content-range")), (206, "hij", "bytes 17-19/20"));
    is_whole(&piece(&[("Range", "bytes=2-4"), ("If-Range", "\"other\"")]).await);
    let beyond = piece(&[("Range", "bytes=20-")]).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */20"));
    assert_eq!(piece(&[("If-None-Match", &tag)]).await.status, 304);
    is_whole(&piece(&[("If-None-Match", "\"other\"")]).await);
}

#[tokio::test]
async fn no_address_leads_out_of_the_folder() {
    let (site, store, dir) = site(RecordingPolicy::Never);
    record(&store, "demo", "one", &["alice.mp4"]);
    const SECRET: &str = "of nobody's business";
    std::fs::write(dir.path().join("secret"), SECRET).unwrap();
    let folder = dir.path().join("recordings/demo/one");
    std::fs::create_dir(folder.join("folder")).unwrap();
    std::os::unix::fs::symlink("../../../secret", folder.join("link.mp4")).unwrap();
    for path in [
        "demo/one/link.mp4",
        "demo/one/..%2F..%2F..%2Fsecret",
        "demo/..%2F..%2Fsecret/x",
        "demo/../x",
        "demo/%2e%2e/demo",
        "demo/one/folder",
        "demo/one/nothing.mp4",
        "demo/one/%00",
        "demo/one/.session.json.new",
        "demo/two/alice.mp4",
        "demo/one/alice.mp4%2F",
    ] {
        for method in ["GET", "DELETE"] {
            let got = site.ask(method, &format!("/api/v1/recordings/{path}"), &[], "").await;
            assert!([400, 404].contains(&got.status), "{method} {path}: {got:?}");
            assert!(!got.body.contains(SECRET), "{got:?}");
        }
    }
    for room in ["..", "%2e%2e", ".", "%2F"] {
        let got = site.get(&format!("/api/v1/recordings/{room}/one/alice.mp4")).await;
        assert!([400, 404].contains(&got.status), "{room}: {got:?}");
    }
    assert_eq!(std::fs::read_to_string(dir.path().join("secret")).unwrap(), SECRET);
    assert_eq!(site.get("/api/v1/recordings/demo/one/alice.mp4").await.status, 200);
}

#[tokio::test]
async fn what_is_deleted_is_gone_and_what_is_recorded_stays() {
    let (site, store, dir) = site(RecordingPolicy::Never);
    record(&store, "demo", "one", &["alice.mp4", "bob.mp4"]);
    let path = |rest: &str| format!("/api/v1/recordings/demo/{rest}");
    let delete =
        async |rest: &str, headers: &[(&str, &str)]| site.ask("DELETE", &path(rest), headers, "").await;
    delete("one/alice.mp4", &[("Origin", "https://elsewhere.example")])
        .await
        .is_problem(403, "foreign_origin");
    delete("one/session.json", &[]).await.is_problem(400, "bad_request");
    assert_eq!(delete("one/alice.mp4", &[]).await.status, 204);
    delete("one/alice.mp4", &[]).await.is_problem(404, "not_found");
    let manifest = site.get(&path("one")).await.json();
    assert_eq!(manifest["files"].as_array().unwrap().len(), 1, "{manifest}");
    assert_eq!(manifest["files"][0]["name"], "bob.mp4");

    let recorded = store.create("demo", "two").unwrap();
    let (name, mut file) = recorded.create("carol", "mp4").unwrap();
    file.write_all(b"so far").unwrap();
    let so_far = site.get(&path(&format!("two/{name}"))).await;
    assert_eq!((so_far.status, &so_far.body[..], so_far.header("etag")), (200, "so far", ""));
    delete("two", &[]).await.is_problem(409, "recorded");
    delete("two/carol.mp4", &[]).await.is_problem(409, "recorded");
    let another = recorded.clone();
    drop(recorded);
    delete("two", &[]).await.is_problem(409, "recorded");
    drop(another);
    assert_eq!(delete("two", &[]).await.status, 204);
    assert_eq!(delete("one", &[]).await.status, 204);
    assert!(!dir.path().join("recordings/demo").exists(), "the room's folder went with its last session");
}

#[tokio::test]
async fn recordings_are_for_known_names_and_listed_origins() {
    let dir = tempfile::tempdir().expect("there is room for a folder");
    let store = Store::open(dir.path()).expect("it can be made");
    record(&store, "demo", "one", &["alice.mp4"]);
    let options = "[http]\nallowed_origins = [\"*\", \"https://friend.example\"]";
    let http = Config::parse(options, std::path::Path::new("c.toml"), &[]).unwrap().http;
    let site = Site::of(http, Webrtc::default(), RecordingPolicy::Never, Some(store));
    let path = "/api/v1/recordings/demo/one/alice.mp4";
    // A stranger's name that leads here: to a browser it is the same origin.
    let stranger = [("Host", "evil.example:8080"), ("Origin", "http://evil.example:8080")];
    for method in ["GET", "DELETE"] {
        for path in
            [path, "/api/v1/recordings", "/api/v1/recordings/demo/one", "/client/records/demo/one/alice.mp4"]
        {
            let refused = site.ask(method, path, &stranger, "").await;
            refused.is_problem(403, "unknown_host");
            assert!(refused.body.contains("http.allowed_origins"), "{refused:?}");
        }
    }
    site.ask("GET", path, &stranger[..1], "").await.is_problem(403, "unknown_host");
    let order = [stranger[0], ("Content-Type", "application/json")];
    let order = site.ask("POST", "/api/v1/rooms/demo/recording", &order, "{}").await;
    order.is_problem(403, "unknown_host");
    assert_eq!(site.ask("GET", "/api/v1/rooms", &stranger, "").await.status, 200, "rooms are for all");
    // "*" is about rooms.
    let page = ("Origin", "https://embeds.example");
    site.ask("DELETE", path, &[page], "").await.is_problem(403, "foreign_origin");
    let preflight = [page, ("Access-Control-Request-Method", "DELETE")];
    site.ask("OPTIONS", path, &preflight, "").await.is_problem(403, "foreign_origin");
    let read = site.ask("GET", path, &[page], "").await;
    assert_eq!((read.status, read.header("access-control-allow-origin")), (200, ""), "it plays, unread");
    let rooms = site.ask("GET", "/api/v1/rooms", &[page], "").await;
    assert_eq!(rooms.header("access-control-allow-origin"), "*");
    let friend = ("Origin", "https://friend.example");
    let read = site.ask("GET", path, &[friend], "").await;
    assert_eq!(read.header("access-control-allow-origin"), "https://friend.example");
    for host in ["friend.example", "127.0.0.1:8080", "localhost"] {
        assert_eq!(site.ask("GET", path, &[("Host", host)], "").await.status, 200, "{host}");
    }
    assert_eq!(site.ask("DELETE", path, &[friend], "").await.status, 204);
}

#[tokio::test]
async fn a_download_does_not_give_way_to_who_does_nothing() {
    const SIZE: u64 = 64 << 20;
    let dir = tempfile::tempdir().expect("there is room for a folder");
    let store = Store::open(dir.path()).expect("it can be made");
    let (name, file) = store.create("demo", "one").unwrap().create("long", "mp4").unwrap();
    file.set_len(SIZE).unwrap();
    let http = Http { max_connections: 2, ..Http::default() };
    let site = Site::of(http, Webrtc::default(), RecordingPolicy::Never, Some(store));
    let mut download = site.connect().await;
    download.send("GET", &format!("/api/v1/recordings/demo/one/{name}"), &[], "").await;
    let mut taken = vec![0; 1 << 20];
    download.0.read_exact(&mut taken).await.unwrap();
    let mut idle = site.connect().await;
    idle.send("GET", "/healthz", &[], "").await;
    assert_eq!(idle.response().await.status, 200);
    let mut left = SIZE;
    while left > SIZE / 2 {
        download.0.read_exact(&mut taken).await.unwrap();
        left -= taken.len() as u64;
    }
    assert_eq!(site.get("/healthz").await.status, 200);
    assert_eq!(idle.closed().await, "", "it gave way");
    while left > 2 << 20 {
        download.0.read_exact(&mut taken).await.expect("the download goes on");
        left -= taken.len() as u64;
    }
}

#[tokio::test]
async fn a_room_is_recorded_and_no_longer() {
    let order = async |site: &Site, room: &str, order: &str, headers: &[(&str, &str)]| {
        let headers = [&[("Content-Type", "application/json")], headers].concat();
        site.ask("POST", &format!("/api/v1/rooms/{room}/recording"), &headers, order).await
    };
    let (start, stop) = (r#"{"action":"start"}"#, r#"{"action":"stop"}"#);
    let (closed, _store, _dir) = site(RecordingPolicy::OnRequest);
    let _alice = closed.publish("demo", "alice");
    for text in [start, stop, r#"{"action":"start","align":"full"}"#, "{}"] {
        let refused = order(&closed, "demo", text, &[]).await;
        refused.is_problem(403, "not_controlled");
        assert!(refused.body.contains("recording.control"), "{refused:?}");
    }
    assert!(!closed.rooms.observe(&"demo".parse().unwrap()).unwrap().wanted.room);

    let site = Site::told(RecordingPolicy::OnRequest);
    order(&site, "demo", start, &[]).await.is_problem(404, "not_found");
    let _alice = site.publish("demo", "alice");
    let name = "demo".parse().unwrap();
    let wanted = || site.rooms.observe(&name).unwrap().wanted.room;
    assert_eq!(order(&site, "demo", start, &[]).await.json(), json!({"wanted": true}));
    assert!(wanted());
    order(&site, "demo", stop, &[("Origin", "https://elsewhere.example")])
        .await
        .is_problem(403, "foreign_origin");
    assert!(wanted());
    assert_eq!(order(&site, "demo", stop, &[]).await.json(), json!({"wanted": false}));
    assert!(!wanted());
    let room = async || site.get("/api/v1/rooms").await.json()["rooms"][0]["recording"].clone();
    assert_eq!(room().await, false);
    site.rooms.set_recording(&name, true, Some("2026-11-21T21-31-57Z"));
    assert_eq!(room().await, true);
    let report = site.get("/api/v1/rooms/demo").await.json();
    assert_eq!(report["session"], "2026-11-21T21-31-57Z");
    let started = order(&site, "demo", start, &[]).await.json();
    assert_eq!(started, json!({"wanted": true, "session": "2026-11-21T21-31-57Z"}));
    let begins = async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        site.rooms.set_recording(&name, true, Some("another"));
    };
    let lead_in = r#"{"action":"start","align":"lead-in"}"#;
    let (answer, ()) = tokio::join!(order(&site, "demo", lead_in, &[]), begins);
    assert_eq!(answer.json()["session"], "another", "it waits for the one that lies like that");
    site.rooms.set_recording(&name, false, None);
    let align = || site.rooms.observe(&name).unwrap().wanted.align;
    assert_eq!(align(), Some(Alignment::LeadIn));
    let full = order(&site, "demo", r#"{"action":"start","align":"full"}"#, &[]).await;
    assert_eq!((full.json(), align()), (json!({"wanted": true}), Some(Alignment::Full)));
    let bad =
        [r#"{"action":"pause"}"#, r#"{"action":"start","align":"left"}"#, r#"{"action":"start","by":1}"#];
    for bad in bad.into_iter().chain(["", "{}", "start"]) {
        let refused = order(&site, "demo", bad, &[]).await;
        assert!([400, 422].contains(&refused.status), "{bad}: {refused:?}");
        assert_eq!(refused.json()["error"], "bad_request");
    }
    let unmarked =
        site.ask("POST", "/api/v1/rooms/demo/recording", &[("Content-Type", "text/plain")], start).await;
    assert_eq!(unmarked.status, 415, "a form of another page cannot send it: {unmarked:?}");

    let never = Site::told(RecordingPolicy::Never);
    let _alice = never.publish("demo", "alice");
    order(&never, "demo", start, &[]).await.is_problem(403, "not_recorded");
    let always = Site::told(RecordingPolicy::Always);
    let _alice = always.publish("demo", "alice");
    order(&always, "demo", stop, &[]).await.is_problem(403, "always_recorded");
}

#[tokio::test]
async fn how_far_an_upload_has_come_is_told() {
    let (site, store, dir) = site(RecordingPolicy::Never);
    record(&store, "r", "s", &["a.mp4"]);
    let upload = async || {
        let list = site.get("/api/v1/recordings").await.json()["sessions"][0]["upload"].clone();
        let manifest = site.get("/api/v1/recordings/r/s").await.json();
        assert_eq!(manifest["files"][0]["name"], "a.mp4", "the manifest is there as well");
        (list, manifest["upload"].clone())
    };
    assert_eq!(upload().await, (serde_json::Value::Null, serde_json::Value::Null));
    let object = json!({"name": "a.mp4", "key": "r/s/a.mp4", "url": "https://s3.example/b/r/s/a.mp4", "size": 20,
        "sha256": HASH, "e_tag": "\"ab\"", "verified": "etag"});
    let state = json!({"state": "waiting", "error": "the store says SlowDown", "failures": 3, "files": [object],
        "begun": {"key": "r/s/b.mp4", "id": "of nobody's business"}});
    let file = dir.path().join("recordings/r/s/upload.json");
    std::fs::write(file, state.to_string()).expect("it can be written");
    let (list, manifest) = upload().await;
    let short = json!({"state": "waiting", "error": "the store says SlowDown", "failures": 3});
    assert_eq!(list, short);
    assert_eq!((&manifest["files"], &manifest["begun"]), (&json!([object]), &serde_json::Value::Null));
}
