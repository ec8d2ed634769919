//! The program itself, as a process: what signals do to it, and with which code it ends.

#[path = "common/rtmp.rs"]
mod rtmp;

use commonroom::protocol::amf0::{Object, Value};
use commonroom::protocol::rtmp::chunk::kind;
use rtmp::{Client, show};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long anything may take that has no limit of its own.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the program promises for its whole farewell.
const FAREWELL: Duration = Duration::from_secs(5);

/// A running program on ports that the system chose. It is killed when this value goes.
struct Program {
    process: Child,
    /// Its log, line by line; closed when it has ended.
    log: Receiver<String>,
    rtmp: SocketAddr,
    http: SocketAddr,
}

impl Program {
    fn start() -> Self {
        let mut process =
            command(&[("rtmp", "127.0.0.1:0"), ("http", "127.0.0.1:0")]).spawn().expect("it was built");
        let (sender, log) = channel();
        let lines = BufReader::new(process.stderr.take().expect("it is piped")).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let ready = std::iter::from_fn(|| log.recv_timeout(PATIENCE).ok())
            .find_map(|line| {
                let line: serde_json::Value = serde_json::from_str(&line).ok()?;
                (line["message"] == "ready").then_some(line)
            })
            .expect("it is ready");
        let address = |key: &str| ready[key].as_str().and_then(|text| text.parse().ok()).expect("an address");
        let (rtmp, http) = (address("rtmp"), address("http"));
        Self { process, log, rtmp, http }
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -s {name} {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("there is a shell").success());
    }

    /// Waits for the end.
    fn ended(&mut self, limit: Duration) -> ExitStatus {
        let until = now() + limit;
        loop {
            match self.log.recv_timeout(until.saturating_duration_since(now())) {
                Ok(_) => {}
                // The log closes when the process ends.
                Err(RecvTimeoutError::Disconnected) => return self.process.wait().expect("it is a child"),
                Err(RecvTimeoutError::Timeout) => panic!("it still runs after {limit:?}"),
            }
        }
    }

    /// Status and body of an answer.
    fn get(&self, path: &str) -> (u16, String) {
        let mut socket = connect(self.http);
        write!(socket, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("it answers and closes");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        (head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status"), body.to_owned())
    }

    /// A client in the room that has a stream and does nothing on it.
    fn enter(&self) -> Peer {
        let mut peer = Peer { socket: connect(self.rtmp), client: Client::new(), heard: vec![] };
        while !peer.client.is_open() {
            peer.exchange();
        }
        peer.client.set_chunk_size();
        peer.client.connect("room");
        peer.client.call(0, "createStream", 2.0, &[]);
        peer
    }

    fn publish(&self) -> Peer {
        let mut publisher = self.enter();
        publisher.client.call(1, "publish", 3.0, &[Value::text("alice"), Value::text("live")]);
        publisher.client.data(&[Value::text("onMetaData"), Value::Object(Object::default())]);
        publisher.client.send(kind::AUDIO, 1, 0, &[0xaf, 0, 0x11, 0x90]);
        publisher.until("onStatus NetStream.Publish.Start");
        publisher
    }

    fn play(&self) -> Peer {
        let mut player = self.enter();
        player.client.call(1, "play", 3.0, &[Value::text("alice")]);
        player.until("onStatus NetStream.Play.Start");
        player
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A client that never closes by itself.
struct Peer {
    socket: TcpStream,
    client: Client,
    heard: Vec<String>,
}

impl Peer {
    /// Says what there is to say and reads once.
    fn exchange(&mut self) {
        self.socket.write_all(&self.client.take_output()).expect("it reads");
        let mut input = [0; 4096];
        let read = self.socket.read(&mut input).expect("it answers");
        assert!(read > 0, "closed after {:?}", self.heard);
        self.heard.extend(self.client.receive(&input[..read]).iter().map(show));
    }

    fn until(&mut self, last: &str) {
        while !self.heard.iter().any(|heard| heard == last) {
            self.exchange();
        }
    }
}

fn command(listen: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_commonroom"));
    command.args(["--set", "log.format=json", "--set", "webrtc.listen=127.0.0.1:0"]);
    for (section, address) in listen {
        command.arg("--set").arg(format!("{section}.listen={address}"));
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket can");
    socket
}

#[expect(clippy::disallowed_methods, reason = "another process is measured in real time")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn one_signal_lets_everybody_take_their_leave() {
    for signal in ["TERM", "INT"] {
        let mut program = Program::start();
        assert_eq!(program.get("/readyz").0, 200);
        let mut publisher = program.publish();
        program.signal(signal);
        publisher.until("onStatus NetConnection.Connect.AppShutdown");
        // Nobody is to be sent here any more, but the process is well: load balancers and supervisors ask for these.
        let (status, body) = program.get("/readyz");
        assert!(status == 503 && body.contains("shutting down"), "{status} {body}");
        assert_eq!(program.get("/healthz").0, 200);
        drop(publisher);
        assert_eq!(program.ended(FAREWELL).code(), Some(0), "{signal}");
    }
}

#[test]
fn a_client_that_does_not_leave_cannot_hold_it() {
    let mut program = Program::start();
    let publisher = program.publish();
    program.signal("TERM");
    assert_eq!(program.ended(FAREWELL).code(), Some(0));
    drop(publisher);
}

#[test]
fn who_plays_is_shown_beside_who_publishes() {
    let program = Program::start();
    let (_publisher, player) = (program.publish(), program.play());
    let shown = || {
        let room: serde_json::Value = serde_json::from_str(&program.get("/api/v1/rooms/room").1).unwrap();
        room["participants"][0]["streams"][0]["viewers"].as_array().unwrap().clone()
    };
    let viewers = shown();
    assert_eq!((viewers.len(), &viewers[0]["protocol"]), (1, &"rtmp".into()), "{viewers:?}");
    for key in ["age_seconds", "bytes", "frames", "lost_frames"] {
        assert!(viewers[0][key].is_number(), "{key} in {viewers:?}");
    }
    assert!(viewers[0]["codecs"].is_array(), "{viewers:?}");
    let metrics = program.get("/metrics").1;
    assert!(metrics.contains("\ncommonroom_rtmp_players 1\n"), "{metrics}");
    drop(player);
    let until = now() + PATIENCE;
    while !shown().is_empty() {
        assert!(now() < until, "it has gone and is shown");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut program = Program::start();
        let mut publisher = program.publish();
        program.signal("TERM");
        publisher.until("onStatus NetConnection.Connect.AppShutdown");
        program.signal(signal);
        // The publisher that stays would hold it for longer.
        assert_eq!(program.ended(Duration::from_secs(3)).code(), Some(code));
    }
}

#[test]
fn a_port_in_use_is_named_with_its_key() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    for section in ["rtmp", "http"] {
        let free = if section == "rtmp" { "http" } else { "rtmp" };
        let output = command(&[(section, &taken), (free, "127.0.0.1:0")]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        for word in [&taken, &format!("{section}.listen"), "another port"] {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
}

#[test]
fn a_wrong_option_is_a_usage_error() {
    let output = command(&[("rtmq", "127.0.0.1:0")]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("rtmp"), "the nearest name is told");
}

#[test]
fn a_folder_that_is_not_there_is_a_usage_error_told_once() {
    for name in ["compose", "recover"] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_commonroom")).args([name, "/nowhere"]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_eq!(said.matches("No such file").count(), 1, "{said}");
    }
}

#[test]
fn interrupted_recordings_are_completed_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let session = folder.path().join("room/2026-11-21T21-31-57Z");
    let recover = |path: &std::path::Path| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_commonroom")).arg("recover").arg(path).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), said)
    };
    let (code, said) = recover(folder.path());
    assert!(code == Some(2) && said.contains("there is no recorded session in "), "{code:?} {said}");
    let (code, said) = recover(&session);
    assert!(code == Some(2) && said.contains("No such file"), "{code:?} {said}");

    std::fs::create_dir_all(&session).unwrap();
    let manifest = r#"{"version":1,"room":"room","session":"s","state":"recording","align":"off",
        "start":"2026-11-21T21:31:57.000Z","duration":2.0,"events":[],"files":[{"name":"bob-camera.mp4","state":"recording",
        "participant":"bob","kind":"camera","streams":[],"start":0.0,"end":2.0,"gaps":[],"size":0}]}"#;
    std::fs::write(session.join("session.json"), manifest).unwrap();
    let (code, said) = recover(folder.path());
    assert!(
        code == Some(1) && said.contains("bob-camera.mp4: lost: the file is not there"),
        "{code:?} {said}"
    );
    let (code, said) = recover(folder.path());
    assert!(code == Some(0) && said.contains("nothing to do"), "{code:?} {said}");
}
