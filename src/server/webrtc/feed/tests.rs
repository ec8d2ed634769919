//! One feed, from the events of the bus to what each viewer gets.

use super::super::viewer::tests::{Seat, packet};
use super::*;
use crate::media::Packet;
use crate::protocol::congestion::{Report, Signal};
use crate::protocol::rtcp::{self, packets};
use crate::protocol::rtp::Ssrc;
use crate::protocol::rtp::twcc::Recorder;
use crate::server::webrtc::picture::{Adaptation, Limit};
use crate::stream::{FeedWriter, KeyframeRequests, Publisher, StreamName};
use crate::time::{BitRate, NtpTime};

fn feed(seat: &mut Seat) -> Feed {
    let name = StreamName { room: "room".into(), participant: "alice".into(), stream: "s".into() };
    let (stream, _) = Stream::publish(name, NtpTime::default());
    let mut feed = Feed::new(stream, Takes::new(&seat.negotiated));
    feed.join(seat.now, seat.viewer.clone(), &mut seat.batch);
    feed
}

/// Numbers of the pictures that the viewer gets of these events, and why the feed ended.
fn pictures(feed: &mut Feed, seat: &mut Seat, mut events: Vec<Event>) -> (Vec<u8>, Option<EndReason>) {
    let end = feed.distribute(seat.now, Layer::BEST, &mut events, &mut seat.batch);
    (seat.rtp().into_iter().map(|packet| packet.3).collect(), end)
}

fn video(sequence: i64, keyframe: bool) -> Event {
    Event::Packets(MediaKind::Video, packet(sequence, keyframe).into())
}

const VP8: Event = Event::Params(CodecParams::Vp8);

#[test]
fn takes_are_feeds_of_the_bus() {
    let takes = Takes::new(&Seat::new().negotiated);
    assert_eq!(takes.audio, [FeedKey::new(Codec::Opus, Form::Packets)]);
    assert_eq!(takes.video, [FeedKey::new(Codec::Vp8, Form::Packets)]);
}

#[test]
fn each_packet_goes_out_once_and_late_ones_in_their_place() {
    let mut seat = Seat::new();
    let mut feed = feed(&mut seat);
    let events = vec![VP8, video(1, true), video(3, false), video(1, true), video(2, false)];
    assert_eq!(pictures(&mut feed, &mut seat, events), (vec![1, 3, 2], None));
}

#[test]
fn who_joins_later_knows_the_codec_and_waits_for_a_key_picture() {
    let mut first = Seat::new();
    let mut feed = feed(&mut first);
    pictures(&mut feed, &mut first, vec![VP8, video(1, true)]);
    let mut late = Seat::new();
    feed.join(late.now, late.viewer.clone(), &mut late.batch);
    let mut events = vec![video(2, false), video(3, true)];
    feed.distribute(first.now, Layer::BEST, &mut events, &mut first.batch);
    assert_eq!(first.count(), 3, "both to the one, the key picture to the other");
    assert_eq!(late.viewer.borrow().waits_for_keyframe_of(), None);
    assert!(!feed.leave(&first.viewer) && feed.leave(&late.viewer));
}

#[test]
fn gaps_and_ends_of_tracks_wait_for_a_key_picture() {
    let mut seat = Seat::new();
    let mut feed = feed(&mut seat);
    let skipped = Event::Skipped { kind: MediaKind::Video, frames: 3 };
    let ended = Event::TrackEnded(FeedKey::new(Codec::Vp8, Form::Packets));
    for gap in [skipped, ended] {
        let events = vec![VP8, video(1, true), gap, video(5, false), video(6, true)];
        assert_eq!(pictures(&mut feed, &mut seat, events).0, [1, 6]);
        pictures(&mut feed, &mut seat, vec![Event::TrackEnded(FeedKey::new(Codec::Vp8, Form::Packets))]);
    }
    let end = vec![video(7, true), Event::Ended(EndReason::Vanished)];
    assert_eq!(pictures(&mut feed, &mut seat, end), (vec![7], Some(EndReason::Vanished)));
}

/// A stream with a picture in three sizes, and who watches it.
struct World {
    stream: Stream,
    writers: Vec<FeedWriter>,
    feed: Feed,
    seat: Seat,
    _publisher: Publisher,
}

/// 720, 360 and 180 lines; packets of 1,000 bytes a second.
const SIZES: [(u32, u64); 3] = [(720, 200), (360, 60), (180, 15)];

impl World {
    /// The layers are measured already, so that their rates are known.
    async fn new() -> Self {
        let name = StreamName { room: "room".into(), participant: "alice".into(), stream: "s".into() };
        let (stream, publisher) = Stream::publish(name, NtpTime::default());
        let writers: Vec<_> = SIZES
            .iter()
            .enumerate()
            .map(|(steps, (height, _))| {
                let key = FeedKey::new(Codec::Vp8, Form::Packets).in_layer(layer(steps));
                let writer = publisher.track(key).unwrap();
                writer.set_height(*height);
                writer.write_packets(packet(0, true).into());
                writer
            })
            .collect();
        let mut seat = Seat::numbered();
        let mut feed = Feed::new(stream.clone(), Takes::new(&seat.negotiated));
        feed.join(seat.now, seat.viewer.clone(), &mut seat.batch);
        tokio::time::advance(Duration::from_secs(1)).await;
        for (writer, (_, packets)) in writers.iter().zip(SIZES) {
            let packet = Packet { payload: vec![0; 1_000 * packets as usize].into(), ..packet(0, true) };
            writer.write_packets(packet.into());
        }
        seat.now += Duration::from_secs(1);
        let mut world = Self { stream, writers, feed, seat, _publisher: publisher };
        world.give(0, vec![VP8]);
        world
    }

    /// Numbers of the pictures that the viewer gets of these events of a layer.
    fn give(&mut self, steps: usize, mut events: Vec<Event>) -> Vec<(u16, u32, u8)> {
        let seat = &mut self.seat;
        self.feed.distribute(seat.now, layer(steps), &mut events, &mut seat.batch);
        seat.rtp().into_iter().map(|(_, number, time, first)| (number, time, first)).collect()
    }

    /// A queue has built up while so much arrived.
    fn congest(&mut self, kbps: u64) {
        let report = Report {
            arrived: 50,
            throughput: Some(BitRate::from_kbps(kbps)),
            signal: Signal::Over,
            queue: Some(Duration::from_millis(80)),
            ..Report::default()
        };
        self.seat.share.report(self.seat.now, &report);
        let is_changed = self.seat.viewer.borrow_mut().choose(self.seat.now);
        assert!(is_changed);
        self.feed.follow(self.seat.now);
    }

    /// The viewer gives its first feedback.
    fn answer(&self) {
        let (mut recorder, mut out) = (Recorder::new(), Vec::new());
        recorder.packet(0, self.seat.now);
        assert!(recorder.feedback(Ssrc(9), Ssrc(2), &mut out));
        let Some(Ok(rtcp::Packet::TransportFeedback(feedback))) = packets(&out).next() else {
            panic!("{out:?}")
        };
        assert!(!self.seat.viewer.borrow_mut().feedback(self.seat.now, &feedback));
    }

    fn picture(&self) -> (Option<u32>, Limit, bool) {
        let picture = *self.seat.picture.borrow();
        (picture.height, picture.limit, picture.audio_only)
    }
}

/// A picture of a layer whose numbers begin elsewhere, at the same time as the others of its number.
fn lower(sequence: i64, keyframe: bool) -> Event {
    let packet = packet(sequence, keyframe);
    let packet = Packet { sequence: packet.sequence + 50_000, ticks: packet.ticks + 777_777, ..packet };
    Event::Packets(MediaKind::Video, packet.into())
}

#[tokio::test(start_paused = true)]
async fn a_narrow_line_gets_a_lower_layer_from_its_next_key_picture_on() {
    let mut world = World::new().await;
    let before = world.give(0, vec![video(1, true), video(2, false)]);
    assert_eq!(before.iter().map(|got| got.2).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(world.picture(), (Some(720), Limit::None, false));
    let mut requests = world._publisher.keyframe_requests();
    requests.next().await;

    world.congest(300);
    assert_eq!(requests.next().await, Layers::of([layer(2)]), "a key picture of the layer that fits");
    assert!(world.feed.wanted.contains(layer(2)) && !world.feed.wanted.contains(layer(1)));
    assert!(world.give(0, vec![video(3, true)]).is_empty(), "the line is relieved at once");
    assert!(world.give(2, vec![lower(3, false)]).is_empty());
    let after = world.give(2, vec![lower(4, true), lower(5, false)]);
    let [(number, time, 4), (_, _, 5)] = after[..] else { panic!("{after:?}") };
    assert_eq!((number, time), (before[1].0.wrapping_add(1), before[1].1.wrapping_add(67 * 90)));
    assert_eq!(world.picture(), (Some(180), Limit::Bandwidth, false));
    assert!(world.give(0, vec![video(5, true)]).is_empty(), "one layer at a time");
}

#[tokio::test(start_paused = true)]
async fn a_small_tile_goes_on_with_what_there_is_until_the_other_comes() {
    let mut world = World::new().await;
    world.give(0, vec![video(1, true)]);
    world.seat.share.adapt(Adaptation { max_height: Some(360), paused: false });
    assert!(world.seat.viewer.borrow_mut().choose(world.seat.now));
    assert_eq!(world.give(0, vec![video(2, false)]).len(), 1);
    assert_eq!(world.give(1, vec![lower(3, true)]).len(), 1);
    assert!(world.give(0, vec![video(3, false)]).is_empty());
    assert_eq!(world.picture(), (Some(360), Limit::Size, false));

    world.seat.share.adapt(Adaptation { max_height: None, paused: true });
    assert!(world.seat.viewer.borrow_mut().choose(world.seat.now));
    assert!(world.give(1, vec![lower(4, true)]).is_empty());
    assert_eq!(world.picture(), (None, Limit::Paused, true));

    world.seat.share.adapt(Adaptation::default());
    assert!(world.seat.viewer.borrow_mut().choose(world.seat.now));
    assert_eq!(world.give(0, vec![video(5, false), video(6, true)]).len(), 1);
    assert_eq!(world.picture(), (Some(720), Limit::None, false));
}

#[tokio::test(start_paused = true)]
async fn whoever_shows_it_otherwise_again_and_again_asks_for_a_key_picture_once_a_second() {
    let mut world = World::new().await;
    world.give(0, vec![video(1, true)]);
    let mut requests = world._publisher.keyframe_requests();
    requests.next().await;
    let toggle = async |world: &mut World, requests: &mut KeyframeRequests| {
        for paused in [true, false] {
            world.seat.share.adapt(Adaptation { max_height: None, paused });
            assert!(world.seat.viewer.borrow_mut().choose(world.seat.now));
            world.feed.follow(world.seat.now);
        }
        tokio::time::timeout(Duration::from_secs(5), requests.next()).await.ok()
    };
    world.seat.now += Duration::from_secs(1);
    assert_eq!(toggle(&mut world, &mut requests).await, Some(Layers::of([Layer::BEST])));
    assert_eq!(toggle(&mut world, &mut requests).await, None);
    // Another layer has a turn of its own.
    world.seat.share.adapt(Adaptation { max_height: Some(180), paused: false });
    assert!(world.seat.viewer.borrow_mut().choose(world.seat.now));
    world.feed.follow(world.seat.now);
    assert_eq!(requests.next().await, Layers::of([layer(2)]));
}

#[tokio::test(start_paused = true)]
async fn a_line_too_narrow_for_any_layer_carries_no_picture() {
    let mut world = World::new().await;
    world.give(0, vec![video(1, true)]);
    world.congest(60);
    assert_eq!(world.seat.viewer.borrow().waits_for_keyframe_of(), None);
    assert!(world.give(2, vec![lower(2, true)]).is_empty() && world.give(0, vec![video(2, true)]).is_empty());
    assert_eq!(world.picture(), (None, Limit::Bandwidth, true));
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_to_a_line_that_is_known_begins_with_what_fits() {
    let world = World::new().await;
    let mut seat = Seat::numbered();
    let report = Report {
        arrived: 50,
        throughput: Some(BitRate::from_kbps(300)),
        signal: Signal::Over,
        queue: Some(Duration::from_millis(80)),
        ..Report::default()
    };
    seat.share.report(seat.now, &report);
    // The first on this shard.
    let mut feed = Feed::new(world.stream, Takes::new(&seat.negotiated));
    feed.join(seat.now, seat.viewer.clone(), &mut seat.batch);
    assert_eq!(seat.viewer.borrow().waits_for_keyframe_of(), Some(layer(2)));
    assert!(feed.wanted.contains(layer(2)));
    let mut events = vec![VP8, video(1, true)];
    feed.distribute(seat.now, Layer::BEST, &mut events, &mut seat.batch);
    assert!(seat.rtp().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_given_up_is_not_sent_again() {
    let mut world = World::new().await;
    let number = world.give(0, vec![video(1, true)])[0].0;
    let ask = |world: &mut World| {
        world.seat.now += Duration::from_secs(1);
        let (mut viewer, rings) = (world.seat.viewer.borrow_mut(), world.feed.rings());
        viewer.retransmit(world.seat.now, Ssrc(2), [number].into_iter(), rings, &mut world.seat.batch);
        drop(viewer);
        world.seat.count()
    };
    assert_eq!(ask(&mut world), 1);
    world.congest(300);
    assert_eq!(ask(&mut world), 0);
    world.give(2, vec![lower(4, true)]);
    assert_eq!(ask(&mut world), 0, "it is of a layer that is not sent any more");
}

#[tokio::test(start_paused = true)]
async fn a_probe_sends_padding_that_repeats_nothing() {
    let mut world = World::new().await;
    world.give(0, vec![video(1, true)]);
    world.congest(300);
    world.give(2, vec![lower(4, true)]);
    world.seat.now += Duration::from_secs(5);
    let calm = Report { throughput: Some(BitRate::from_kbps(165)), arrived: 20, ..Report::default() };
    world.seat.share.report(world.seat.now, &calm);
    assert!(!world.seat.viewer.borrow_mut().choose(world.seat.now));
    assert_eq!(world.seat.viewer.borrow().deadline(), None, "nobody would set a timer");
    assert!(!world.seat.viewer.borrow_mut().tick(world.seat.now));
    assert_eq!(world.seat.viewer.borrow().deadline(), None, "who has never given feedback is not probed");
    world.answer();
    assert_eq!(world.seat.viewer.borrow().deadline(), Some(world.seat.now));
    let mut padding = 0;
    for _ in 0..10 {
        world.seat.now += Duration::from_millis(10);
        world.seat.viewer.borrow_mut().pad(world.seat.now, &mut world.seat.batch);
        for (payload_type, is_empty) in world.seat.padding() {
            assert!(payload_type == 97 && is_empty);
            padding += 1;
        }
    }
    // A tenth of a second at some 200 kbit/s.
    assert!((5..=12).contains(&padding), "{padding}");
}

#[tokio::test(start_paused = true)]
async fn lower_layers_are_read_while_somebody_wants_them() {
    let world = World::new().await;
    let World { stream, writers, feed, seat, _publisher: publisher } = world;
    let (feed, batch) = (Rc::new(RefCell::new(feed)), Rc::new(RefCell::new(seat.batch)));
    let bridge = Bridge::default();
    let subscription = subscribe(&bridge, &feed.borrow());
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let task = tokio::task::spawn_local(run(feed.clone(), subscription, batch));
            let readers = |steps: usize| {
                let key = FeedKey::new(Codec::Vp8, Form::Packets).in_layer(layer(steps));
                stream.feeds().into_iter().find(|info| info.key == key).map(|info| info.subscribers)
            };
            let settle = || tokio::time::sleep(Duration::from_millis(1));
            settle().await;
            assert_eq!([0, 1, 2].map(readers), [1, 0, 0].map(Some));
            for (tile, expected) in [(180, [1, 0, 1]), (360, [1, 1, 0]), (720, [1, 0, 0])] {
                seat.share.adapt(Adaptation { max_height: Some(tile), paused: false });
                // What is sent goes on until a key picture of the other comes; here none is.
                assert_eq!(seat.viewer.borrow_mut().choose(seat.now), tile != 720 || expected[0] == 1);
                feed.borrow_mut().follow(seat.now);
                settle().await;
                assert_eq!([0, 1, 2].map(readers), expected.map(Some), "{tile}");
            }
            drop(writers);
            publisher.end(EndReason::Unpublished);
            assert_eq!(task.await.unwrap(), EndReason::Unpublished);
        })
        .await;
}
