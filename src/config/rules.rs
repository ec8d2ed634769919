//! What values of the right kind must also keep to, so that what `check` calls valid can run.

use super::units::{ByteSize, Span};
use super::{Config, Rtmp};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Bounds of everything of which there are so and so many.
const COUNT: RangeInclusive<usize> = 1..=1_000_000;
/// A thread and its sockets are worth having for a core, and no machine has more.
const SHARDS: RangeInclusive<usize> = 0..=256;
/// Below, a network that is slow for a moment looks broken.
const TIMEOUT: RangeInclusive<Span> = Span(Duration::from_millis(100))..=LONGEST;
const LONGEST: Span = Span(Duration::from_hours(24));
/// A picture must fit.
const QUEUE: RangeInclusive<ByteSize> = ByteSize(64 << 10)..=ByteSize(1 << 30);

/// No disk is larger.
const DISK: RangeInclusive<ByteSize> = ByteSize(0)..=ByteSize(1 << 60);
/// A hundred years.
const KEPT: RangeInclusive<Span> = Span(Duration::ZERO)..=Span(Duration::from_hours(876_600));

/// Streams of one participant.
const STREAMS: RangeInclusive<usize> = 1..=100;
/// A person writes less, a program that writes more is a flood.
const RATE: RangeInclusive<u32> = 1..=1_000;
/// In characters, of which each may take twelve bytes in the JSON of a message.
const MESSAGE: RangeInclusive<usize> = 1..=8_000;
/// All of them go to everybody who comes.
const HISTORY: RangeInclusive<usize> = 0..=10_000;
/// Streams that are transcoded at the same time.
const TRANSCODES: RangeInclusive<usize> = 0..=1_000;
/// Of a picture that is transcoded, in thousands of bits a second.
const KBPS: RangeInclusive<u32> = 100..=1_000_000;
/// Of a picture that is decoded: from 128 x 128 to 16K.
const PIXELS: RangeInclusive<u32> = 16_384..=132_710_400;

/// What is wrong with values that can be read.
#[derive(Debug)]
pub(super) struct Fault {
    /// The keys that it is about, with their sections.
    pub(super) keys: Vec<&'static str>,
    /// What is wrong and what to write, beginning with a key.
    pub(super) message: String,
}

impl Config {
    /// The first fault there is.
    pub(super) fn fault(&self) -> Option<Fault> {
        let Self { rtmp, http, webrtc, rooms, bridge, recording, hooks, log: _, .. } = self;
        let mut listen = vec![
            ("rtmp.listen", rtmp.listen),
            ("http.listen", http.listen),
            ("webrtc.listen", webrtc.listen),
        ];
        if http.tls.source().is_some() {
            listen.push(("http.tls.listen", http.tls.listen));
        }
        let Rtmp { setup_timeout, idle_timeout, publisher_timeout, write_timeout, player_delay, .. } = *rtmp;
        None.or_else(|| listen.iter().find_map(|(key, address)| unusable(key, *address)))
            .or_else(|| shared(&listen))
            .or_else(|| outside("rtmp.max_connections", rtmp.max_connections, &COUNT))
            .or_else(|| outside("rtmp.setup_timeout", setup_timeout, &TIMEOUT))
            .or_else(|| outside("rtmp.idle_timeout", idle_timeout, &TIMEOUT))
            .or_else(|| outside("rtmp.publisher_timeout", publisher_timeout, &TIMEOUT))
            .or_else(|| outside("rtmp.write_timeout", write_timeout, &TIMEOUT))
            .or_else(|| outside("rtmp.player_queue", rtmp.player_queue, &QUEUE))
            .or_else(|| outside("rtmp.player_delay", player_delay, &TIMEOUT))
            .or_else(|| outside("http.max_connections", http.max_connections, &COUNT))
            .or_else(|| outside("http.request_timeout", http.request_timeout, &TIMEOUT))
            .or_else(|| http.tls.fault())
            .or_else(|| outside("webrtc.max_sessions", webrtc.max_sessions, &COUNT))
            .or_else(|| outside("webrtc.shards", webrtc.shards, &SHARDS))
            .or_else(|| outside("rooms.max_rooms", rooms.max_rooms, &COUNT))
            .or_else(|| outside("rooms.max_participants", rooms.max_participants, &COUNT))
            .or_else(|| outside("rooms.max_streams", rooms.max_streams, &STREAMS))
            .or_else(|| outside("rooms.messages_per_second", rooms.messages_per_second, &RATE))
            .or_else(|| outside("rooms.message_length", rooms.message_length, &MESSAGE))
            .or_else(|| outside("rooms.history", rooms.history, &HISTORY))
            .or_else(|| outside("rooms.linger", rooms.linger, &(Span(Duration::ZERO)..=LONGEST)))
            .or_else(|| outside("bridge.linger", bridge.linger, &(Span(Duration::ZERO)..=LONGEST)))
            .or_else(|| outside("bridge.max_video_transcodes", bridge.max_video_transcodes, &TRANSCODES))
            .or_else(|| outside("bridge.max_video_kbps", bridge.max_video_kbps, &KBPS))
            .or_else(|| outside("bridge.max_pixels", bridge.max_pixels, &PIXELS))
            .or_else(|| outside("recording.grace", recording.grace, &(Span(Duration::ZERO)..=LONGEST)))
            .or_else(|| outside("recording.sync", recording.sync, &(Span(Duration::ZERO)..=LONGEST)))
            .or_else(|| outside("recording.min_free", recording.min_free, &DISK))
            .or_else(|| outside("recording.max_age", recording.max_age, &KEPT))
            .or_else(|| recording.upload.fault())
            .or_else(|| hooks.fault())
            .or_else(|| outside("recording.max_size", recording.max_size, &DISK))
    }
}

pub(super) fn outside<T: PartialOrd + Shown>(
    key: &'static str,
    value: T,
    range: &RangeInclusive<T>,
) -> Option<Fault> {
    let (least, most) = (range.start().shown(), range.end().shown());
    (!range.contains(&value)).then(|| Fault {
        keys: vec![key],
        message: format!("{key} is {}; write a value from {least} to {most}", value.shown()),
    })
}

/// An address that nobody can connect to.
fn unusable(key: &'static str, address: SocketAddr) -> Option<Fault> {
    let is_broadcast = matches!(address.ip(), IpAddr::V4(ip) if ip.is_broadcast());
    (is_broadcast || address.ip().is_multicast()).then(|| Fault {
        keys: vec![key],
        message: format!(
            "{key} is {address}, which belongs to no single machine; write an address of this one, or \
             \"0.0.0.0:{}\" for all of them",
            address.port()
        ),
    })
}

/// Two servers on one TCP address; WebRTC's port is one of TCP, too.
fn shared(listen: &[(&'static str, SocketAddr)]) -> Option<Fault> {
    let pairs = listen
        .iter()
        .enumerate()
        .flat_map(|(at, first)| listen.iter().skip(at + 1).map(move |second| (first, second)));
    let ((first, address), (second, other)) = pairs.into_iter().find(|((_, a), (_, b))| overlap(*a, *b))?;
    Some(Fault {
        keys: vec![second, first],
        message: format!(
            "{second} is {other} and {first} is {address}, which is the same TCP port; give one of them another port"
        ),
    })
}

fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    // 0: the system finds one that is free.
    if a.port() != b.port() || a.port() == 0 {
        return false;
    }
    let (a, b) = (a.ip(), b.ip());
    // Who listens on [::] has the IPv4 addresses, too.
    let is_all = |ip: IpAddr| ip.is_ipv6() && ip.is_unspecified();
    let same_family = a.is_ipv4() == b.is_ipv4();
    a.to_canonical() == b.to_canonical()
        || is_all(a)
        || is_all(b)
        || (same_family && (a.is_unspecified() || b.is_unspecified()))
}

/// A value as it stands in the file.
pub(super) trait Shown {
    fn shown(&self) -> String;
}

impl Shown for u32 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for usize {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for Span {
    fn shown(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Shown for ByteSize {
    fn shown(&self) -> String {
        format!("\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn error(text: &str, flags: &[&str]) -> Option<String> {
        let flags: Vec<_> = flags.iter().map(|&flag| flag.to_owned()).collect();
        Config::parse(text, Path::new("c.toml"), &flags).err().map(|error| error.to_string())
    }

    #[test]
    fn what_is_built_in_keeps_the_rules() {
        assert!(Config::default().fault().is_none());
    }

    #[test]
    fn a_value_out_of_bounds_is_placed_with_what_to_write() {
        let said = |text| error(text, &[]).unwrap_or_default();
        assert_eq!(
            said("[webrtc]\nshards = 100000"),
            "c.toml:2:10: webrtc.shards is 100000; write a value from 0 to 256"
        );
        assert_eq!(
            said("[rtmp]\n\nsetup_timeout = \"0s\""),
            "c.toml:3:17: rtmp.setup_timeout is \"0ms\"; write a value from \"100ms\" to \"24h\""
        );
        assert_eq!(
            said("rtmp.player_queue = \"0B\""),
            "c.toml:1:21: rtmp.player_queue is \"0B\"; write a value from \"64KiB\" to \"1GiB\""
        );
        for (key, bad) in [
            ("rtmp.max_connections", "0"),
            ("rtmp.max_connections", "9223372036854775807"),
            ("rtmp.idle_timeout", "\"99ms\""),
            ("rtmp.publisher_timeout", "\"0s\""),
            ("rtmp.write_timeout", "\"25h\""),
            ("http.max_connections", "0"),
            ("http.request_timeout", "\"0s\""),
            ("webrtc.max_sessions", "0"),
            ("webrtc.shards", "257"),
            ("rooms.max_rooms", "0"),
            ("rooms.max_participants", "0"),
            ("rooms.max_streams", "0"),
            ("rooms.messages_per_second", "0"),
            ("rooms.message_length", "8001"),
            ("rooms.history", "10001"),
            ("rooms.linger", "\"25h\""),
            ("bridge.linger", "\"1000h\""),
            ("recording.min_free", "\"1073741825GiB\""),
            ("recording.max_age", "\"876601h\""),
            ("recording.max_size", "\"1152921504606846977B\""),
            ("hooks.url", "\"example.org/events\""),
        ] {
            let said = error(&format!("{key} = {bad}"), &[]).unwrap_or_default();
            assert!(said.starts_with("c.toml:1:") && said.contains(&format!(": {key} is ")), "{key}: {said}");
        }
        assert_eq!(error("bridge.linger = \"0s\"\nwebrtc.shards = 256", &[]), None, "the bounds are within");
    }

    #[test]
    fn a_flag_is_to_blame_for_what_it_sets_and_mends_what_the_file_says() {
        assert_eq!(
            error("webrtc.shards = 1", &["webrtc.shards=2", "webrtc.shards=20000"]).unwrap_or_default(),
            "--set webrtc.shards=20000: webrtc.shards is 20000; write a value from 0 to 256"
        );
        assert_eq!(error("webrtc.shards = 1000", &["webrtc.shards=2"]), None);
    }

    #[test]
    fn two_servers_do_not_share_a_port() {
        let said = error("[rtmp]\nlisten = \"0.0.0.0:9000\"\n[http]\nlisten = \"127.0.0.1:9000\"", &[]);
        assert_eq!(
            said.unwrap_or_default(),
            "c.toml:4:10: http.listen is 127.0.0.1:9000 and rtmp.listen is 0.0.0.0:9000, which is the same TCP port; \
             give one of them another port"
        );
        // One of the two is not in the file.
        let said = error("rtmp.listen = \"0.0.0.0:8080\"", &[]).unwrap_or_default();
        assert!(said.starts_with("c.toml:1:15: http.listen is 0.0.0.0:8080 and rtmp.listen"), "{said}");
        let said = error("", &["webrtc.listen=[::]:1935"]).unwrap_or_default();
        assert!(
            said.starts_with("--set webrtc.listen=[::]:1935: webrtc.listen is [::]:1935 and rtmp"),
            "{said}"
        );
        for fine in ["[::1]:1935", "0.0.0.0:0"] {
            assert_eq!(error("", &[&format!("http.listen={fine}")]), None);
        }
        assert_eq!(error("", &["http.listen=127.0.0.1:9", "rtmp.listen=127.0.0.2:9"]), None);
        assert_eq!(error("", &["http.listen=127.0.0.1:0", "rtmp.listen=127.0.0.1:0"]), None);
    }

    #[test]
    fn nobody_listens_on_an_address_of_many() {
        for bad in ["224.0.0.1:8000", "255.255.255.255:8000", "[ff02::1]:8000"] {
            let said = error("", &[&format!("webrtc.listen={bad}")]).unwrap_or_default();
            assert!(
                said.contains(&format!("webrtc.listen is {bad}, which belongs to no single machine")),
                "{said}"
            );
        }
    }
}
