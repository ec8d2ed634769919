//! What the log says of connections that carry several streams.

use crate::client::Gateway;
use crate::news::WARNED;
use commonroom::protocol::amf0::Value;
use commonroom::protocol::rtmp::chunk::kind;
use std::io;
use std::sync::{Arc, Mutex};

/// The log is one for all tests of this program, so those of this room are told from the others.
const ROOM: &str = "diary";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics").extend(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The lines that say `what` of [`ROOM`].
    fn of(&self, what: &str) -> Vec<String> {
        let log = String::from_utf8(self.0.lock().expect("nobody panics").clone()).expect("text");
        log.lines().filter(|line| line.contains(what) && line.contains(ROOM)).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn the_log_says_of_which_stream_it_speaks() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).expect("no other test logs");

    let gateway = Gateway::start(|_| {});
    let mut peer = gateway.connect(ROOM).await;
    peer.client.call(1, "publish", 3.0, &[Value::text("alice")]);
    peer.until("onStatus NetStream.Publish.Start").await;
    for (stream, key, code) in
        [(2, "bob", "Publish.Start"), (3, "carol", "Publish.Start"), (4, "alice", "Publish.BadName")]
    {
        peer.client.call(0, "createStream", 4.0, &[]);
        peer.client.call(stream, "publish", 5.0, &[Value::text(key)]);
        peer.until(&format!("{stream}: onStatus NetStream.{code}")).await;
    }
    peer.client.call(4, "play", 6.0, &[Value::text("a b?token=secret")]);
    peer.until("4: onStatus NetStream.Play.Failed").await;
    peer.client.send(kind::AUDIO, 2, 0, &[0xcf, 1]); // a number that FLV reserves
    peer.until(&format!("2: {WARNED}")).await;
    peer.client.call(2, "closeStream", 0.0, &[]);
    peer.until("2: onStatus NetStream.Unpublish.Success").await;
    peer.client.output.extend([2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0]); // chunks of no size
    peer.rest().await;

    for (what, participants) in [
        ("publishing", &["alice", "bob", "carol"][..]),
        ("refused", &["\"alice\"", "\"a b\""]),
        ("the publisher is warned", &["bob"]),
        ("unpublished", &["bob"]),
        ("publisher gone", &["alice", "carol"]),
    ] {
        let lines = log.of(what);
        assert_eq!(lines.len(), participants.len(), "{lines:#?}");
        for (line, participant) in lines.iter().zip(participants) {
            let room = if participant.starts_with('"') { format!("{ROOM:?}") } else { ROOM.into() };
            assert!(
                line.contains(&format!("room={room} "))
                    && line.contains(&format!("participant={participant}")),
                "{line}"
            );
        }
    }
    assert!(log.of("secret").is_empty());
}
