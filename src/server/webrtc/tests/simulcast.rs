//! A picture in several encodings, from the publisher's packets to viewers and feeds.

use super::client::{Client, H264 as VIDEO, PATIENCE, RTX, header};
use super::{World, sequence};
use crate::codec::MediaKind;
use crate::protocol::rtcp::{Packet, packets};
use crate::protocol::rtp::vp8::Descriptor;
use crate::protocol::rtp::{Header, PacketView, Ssrc, Values};
use crate::stream::{Layer, QueueLimits, Start, Stream};
use crate::time::RtpTime;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// One of the publisher's encodings. Each has timestamps from a start of its own.
struct Sender {
    rid: &'static str,
    ssrc: u32,
    /// 0: its keyframes do not tell.
    height: u16,
    sequence: u16,
    picture: u16,
    start: u32,
    /// Packets still to be named.
    named: u32,
}

impl Sender {
    fn all() -> [Self; 3] {
        [("l", 11, 180, 1_000), ("m", 12, 360, 5_000), ("h", 13, 720, 40_000)].map(
            |(rid, ssrc, height, start)| Self {
                rid,
                ssrc,
                height,
                sequence: start as u16,
                picture: start as u16 & 0x7fff,
                start: start * 100_000,
                named: 2,
            },
        )
    }

    /// The payload of its next picture.
    fn payload(&mut self, keyframe: bool) -> Vec<u8> {
        self.picture = (self.picture + 1) & 0x7fff;
        let [high, low] = (self.picture | 0x8000).to_be_bytes();
        let [low_height, high_height] = self.height.to_le_bytes();
        let tag = if keyframe { 0x50 } else { 0x51 };
        let code = if self.height > 0 { 0x2a } else { 0 };
        vec![0x90, 0x80, high, low, tag, 0, 0, 0x9d, 1, code, 0, 1, low_height, high_height, self.ssrc as u8]
    }

    fn header(&mut self, millis: u32) -> Header {
        self.sequence = self.sequence.wrapping_add(1);
        let timestamp = RtpTime(self.start.wrapping_add(millis * 90));
        Header { timestamp, ssrc: Ssrc(self.ssrc), ..header(VIDEO, self.sequence, true) }
    }

    /// Sends the picture of an instant in a packet.
    async fn send(&mut self, client: &mut Client, millis: u32, keyframe: bool) {
        let (payload, header) = (self.payload(keyframe), self.header(millis));
        let rid = (self.named > 0).then_some(self.rid.as_bytes());
        self.named = self.named.saturating_sub(1);
        client.send_with(header, Values { mid: Some(b"1"), rid, ..Values::default() }, &payload).await;
    }
}

const NAMES: &str = "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n\
    a=extmap:5 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r\n\
    a=rid:l send\r\na=rid:m send\r\na=rid:h send\r\na=simulcast:send l;m;h\r\na=rtpmap:96 ";

fn offer(client: &Client, direction: &str, names: &str) -> String {
    client.offer(direction).replace("H264/90000", "VP8/90000").replace("a=rtpmap:96 ", names)
}

/// Waits until the picture's feeds are these, from the best on: a feed's height is told right behind the feed itself.
async fn has_heights(stream: &Stream, heights: &[u32]) {
    let mut changes = stream.changes();
    let mut seen = Vec::new();
    let same = async {
        loop {
            changes.mark_unchanged();
            seen = stream.feeds().iter().map(|feed| (feed.key.layer.steps(), feed.height)).collect();
            if seen.iter().copied().eq(heights.iter().map(|height| Some(*height)).enumerate()) {
                return;
            }
            changes.changed().await.expect("the stream goes on");
        }
    };
    let in_time = timeout(PATIENCE, same).await;
    assert!(in_time.is_ok(), "{seen:?}");
}

/// Waits until the publisher is asked for a key picture of a source.
async fn asked(publisher: &mut Client, ssrc: u32) {
    let is_it = |datagram: &[u8]| {
        packets(datagram).any(|packet| matches!(packet, Ok(Packet::Pli { media }) if media == Ssrc(ssrc)))
    };
    publisher.next_rtcp(is_it).await;
}

/// The next picture that a viewer gets: who has sent it, and its number, timestamp and picture id.
async fn shown(viewer: &mut Client) -> (u8, u16, u32, u16) {
    let packet = viewer.next_rtp(VIDEO).await;
    let view = PacketView::parse(&packet).unwrap();
    let id = Descriptor::parse(view.payload()).unwrap().picture_id.unwrap();
    (*view.payload().last().unwrap(), sequence(&packet), view.header().timestamp.0, id)
}

#[tokio::test]
async fn the_track_is_the_best_that_lives_and_the_others_are_there_for_who_asks() {
    let world = World::new();
    let mut publisher = Client::udp(world.server.local_addr()).await;
    let answer = world.publish("alice", &offer(&publisher, "sendonly", NAMES)).unwrap();
    assert!(
        answer.sdp.contains("a=rid:l recv\r\na=rid:m recv\r\na=rid:h recv\r\na=simulcast:recv l;m;h\r\n")
    );
    publisher.connect(&answer.sdp).await;
    let [mut low, mut middle, mut high] = Sender::all();
    for sender in [&mut low, &mut middle, &mut high] {
        sender.send(&mut publisher, 0, true).await;
    }
    for sender in [&mut low, &mut middle, &mut high] {
        sender.send(&mut publisher, 16, true).await;
    }
    // Now that their order is known, each has its place with what comes next.
    for sender in [&mut low, &mut middle, &mut high] {
        sender.send(&mut publisher, 33, false).await;
    }
    world.tracks(3).await;
    let stream = world.stream("alice").unwrap();
    has_heights(&stream, &[720, 360, 180]).await;
    assert_eq!(stream.track(MediaKind::Video).unwrap().height, Some(720));

    // Whoever reads a lower layer gets that, and what it asks for goes to its source.
    let lowest = Layer::below_best(2).unwrap();
    let reader = stream.subscriber(QueueLimits::default());
    reader.attach(&[stream.feeds()[2].key], Start::Anywhere);
    stream.request_keyframe_of(lowest);
    asked(&mut publisher, low.ssrc).await;

    let mut viewer = Client::udp(world.server.local_addr()).await;
    let played = world.play(&offer(&viewer, "recvonly", "a=rtpmap:96 ")).unwrap();
    viewer.connect(&played.sdp).await;
    asked(&mut publisher, high.ssrc).await;
    high.send(&mut publisher, 66, true).await;
    middle.send(&mut publisher, 66, false).await;
    low.send(&mut publisher, 66, true).await;
    high.send(&mut publisher, 100, false).await;
    let first = shown(&mut viewer).await;
    let (who, number, timestamp, id) = shown(&mut viewer).await;
    assert_eq!((first.0, who, number), (13, 13, first.1.wrapping_add(1)));
    assert_eq!((timestamp.wrapping_sub(first.2), id), (34 * 90, first.3 + 1));

    // The largest stops: the next one goes on as the same picture, from a keyframe on.
    let mut millis = 133;
    let stops = async {
        loop {
            middle.send(&mut publisher, millis, false).await;
            low.send(&mut publisher, millis, false).await;
            let next = timeout(Duration::from_millis(33), asked(&mut publisher, middle.ssrc));
            if next.await.is_ok() {
                return;
            }
            millis += 33;
        }
    };
    timeout(Duration::from_secs(1), stops).await.expect("the next is asked for within a second");
    middle.send(&mut publisher, millis + 33, true).await;
    let (who, next, later, next_id) = shown(&mut viewer).await;
    assert_eq!((who, next, next_id), (12, number.wrapping_add(1), id.wrapping_add(1)));
    assert!((90..90_000 * 3).contains(&later.wrapping_sub(timestamp)), "{later} after {timestamp}");

    // A loss of the one that is shown is mended under its name.
    let lost = (middle.payload(false), middle.header(millis + 66));
    middle.send(&mut publisher, millis + 99, false).await;
    let is_nack = |datagram: &[u8]| {
        packets(datagram).any(|packet| matches!(packet, Ok(Packet::Nack { media: Ssrc(12), .. })))
    };
    publisher.next_rtcp(is_nack).await;
    let repeated = [&lost.1.sequence.to_be_bytes()[..], &lost.0].concat();
    let again = Header { ssrc: Ssrc(22), payload_type: RTX, sequence: 1, ..lost.1 };
    let values = Values { mid: Some(b"1"), repaired_rid: Some(b"m"), ..Values::default() };
    publisher.send_with(again, values, &repeated).await;
    let mut numbers =
        [shown(&mut viewer).await, shown(&mut viewer).await].map(|shown| shown.1.wrapping_sub(next));
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2]);

    // It comes back: once it has gone on for a second, a keyframe of it is asked for, and with that the track is large again.
    millis += 99;
    let returns = async {
        loop {
            for sender in [&mut high, &mut middle, &mut low] {
                sender.send(&mut publisher, millis, false).await;
            }
            millis += 33;
            let next = timeout(Duration::from_millis(33), asked(&mut publisher, high.ssrc));
            if next.await.is_ok() {
                return;
            }
        }
    };
    let began = Instant::now();
    timeout(Duration::from_secs(3), returns).await.expect("it is asked for");
    assert!(began.elapsed() >= Duration::from_secs(1), "it might stop again");
    high.send(&mut publisher, millis, true).await;
    let mut number = next.wrapping_add(2);
    loop {
        let (who, back, ..) = shown(&mut viewer).await;
        assert_eq!(back, number.wrapping_add(1));
        if who == 13 {
            break;
        }
        assert_eq!(who, 12);
        number = back;
    }
    has_heights(&stream, &[720, 360, 180]).await;
    assert!(timeout(PATIENCE, reader.next()).await.is_ok(), "the lowest layer was read all the while");
}

#[tokio::test]
async fn what_nobody_reads_is_not_mended() {
    let world = World::new();
    let mut publisher = Client::udp(world.server.local_addr()).await;
    let answer = world.publish("alice", &offer(&publisher, "sendonly", NAMES)).unwrap();
    publisher.connect(&answer.sdp).await;
    let [mut low, mut middle, mut high] = Sender::all();
    for millis in [0, 33, 66] {
        for sender in [&mut low, &mut middle, &mut high] {
            sender.send(&mut publisher, millis, true).await;
        }
    }
    world.tracks(3).await;
    // Of each something is lost, and seen to be of the one that is read last.
    for sender in [&mut low, &mut middle, &mut high] {
        sender.header(100);
    }
    for millis in [133, 166, 200, 233] {
        for sender in [&mut low, &mut middle, &mut high] {
            sender.send(&mut publisher, millis, false).await;
        }
    }
    let mut asked_of = Vec::new();
    let is_of_high = |datagram: &[u8]| {
        asked_of.extend(packets(datagram).filter_map(|packet| match packet {
            Ok(Packet::Nack { media, .. }) => Some(media),
            _ => None,
        }));
        asked_of.contains(&Ssrc(13))
    };
    publisher.next_rtcp(is_of_high).await;
    assert_eq!(asked_of, [Ssrc(13)]);
}

/// Whom the track is of, picture by picture, while encodings of these heights send keyframes alone, the last one first.
async fn shown_of(heights: [u16; 3]) -> Vec<u8> {
    let world = World::new();
    let mut publisher = Client::udp(world.server.local_addr()).await;
    let answer = world.publish("alice", &offer(&publisher, "sendonly", NAMES)).unwrap();
    publisher.connect(&answer.sdp).await;
    let mut senders = Sender::all();
    for (sender, height) in senders.iter_mut().zip(heights) {
        sender.height = height;
    }
    let mut viewer = None;
    for millis in (0..400).step_by(33) {
        for sender in senders.iter_mut().rev() {
            sender.send(&mut publisher, millis, true).await;
        }
        // By then all have been seen.
        if millis == 99 {
            world.tracks(1).await;
            let client = Client::udp(world.server.local_addr()).await;
            let played = world.play(&offer(&client, "recvonly", "a=rtpmap:96 ")).unwrap();
            viewer.insert(client).connect(&played.sdp).await;
        }
    }
    let mut viewer = viewer.unwrap();
    let mut all = Vec::new();
    for _ in 0..6 {
        all.push(shown(&mut viewer).await.0);
    }
    all
}

#[tokio::test]
async fn of_equal_encodings_the_track_is_the_one_offered_first() {
    assert_eq!(shown_of([360, 360, 360]).await, [11; 6]);
    assert_eq!(shown_of([180, 360, 360]).await, [13; 6], "from the largest down, it is the last");
}

#[tokio::test]
async fn an_encoding_whose_size_cannot_be_read_is_not_gone_over_to() {
    assert_eq!(shown_of([360, 0, 0]).await, [11; 6]);
    assert_eq!(shown_of([180, 0, 360]).await, [13; 6]);
    assert_eq!(shown_of([0, 0, 0]).await, [11; 6], "there must be one");
}

#[tokio::test]
async fn packets_that_name_nothing_known_are_passed_over() {
    let world = World::new();
    let mut publisher = Client::udp(world.server.local_addr()).await;
    let answer = world.publish("alice", &offer(&publisher, "sendonly", NAMES)).unwrap();
    publisher.connect(&answer.sdp).await;
    let [mut low, ..] = Sender::all();
    for ssrc in 100..120 {
        let payload = low.payload(true);
        let header = Header { ssrc: Ssrc(ssrc), ..header(VIDEO, 1, true) };
        for rid in [None, Some(&b"x"[..]), Some(b""), Some(&[0xff; 16])] {
            publisher.send_with(header, Values { mid: Some(b"1"), rid, ..Values::default() }, &payload).await;
        }
        // As many sources as one likes may claim to be one encoding.
        let values = Values { mid: Some(b"1"), rid: Some(b"h"), ..Values::default() };
        publisher.send_with(header, values, &[0x90]).await;
    }
    low.send(&mut publisher, 0, true).await;
    world.tracks(1).await;
    has_heights(&world.stream("alice").unwrap(), &[180]).await;
}
