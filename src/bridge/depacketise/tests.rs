//! From packets of whole streams, in and out of order, to frames.

use super::*;
use crate::bridge::converter::{Converter, Output};
use crate::bridge::packetise;
use crate::codec::h264::AvcConfig;
use crate::media::{AccessUnit, CodecParams, Extensions, Frame, MediaKind, Packet, PacketGroup, Payload};
use crate::stream::Event;
use crate::time::Timestamp;
use bytes::Bytes;
use std::time::{Duration, Instant};

const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1e, 0x95];
const PPS: &[u8] = &[0x68, 0xce];

#[expect(clippy::disallowed_methods, reason = "any instant will do; none can be made otherwise")]
fn some_instant() -> Instant {
    Instant::now()
}

fn picture(index: i64, keyframe: bool) -> Frame {
    let body = [&[if keyframe { 0x65 } else { 0x41 }, 0x88][..], &[index as u8; 2_500]].concat();
    let time = Timestamp::from_millis(index * 40);
    let payload = Payload::Nalus(AccessUnit::from_nals([&body[..]]));
    Frame { kind: MediaKind::Video, dts: time, pts: time, keyframe, payload }
}

/// A stream of pictures 40 ms apart, each of three packets behind the first, a keyframe every tenth.
fn packets(pictures: i64) -> Vec<Packet> {
    let set = Bytes::from_static;
    let config = AvcConfig::new(vec![set(SPS)], vec![set(PPS)]).unwrap();
    let (mut packetiser, mut out) = (packetise::H264::new(), Vec::new());
    packetiser.handle(Event::Params(CodecParams::H264(config)), some_instant(), &mut out);
    for index in 0..pictures {
        packetiser.handle(Event::Frame(picture(index, index % 10 == 0)), some_instant(), &mut out);
    }
    let groups = out.into_iter().filter_map(|output| match output {
        Output::Packets(packets) => Some(packets.to_vec()),
        _ => None,
    });
    groups.flatten().collect()
}

/// Feeds packets one by one, each at the time it is stamped with, and shows what comes out.
fn run(converter: &mut dyn Converter, packets: impl IntoIterator<Item = (Duration, Packet)>) -> Vec<String> {
    let (origin, mut out) = (some_instant(), Vec::new());
    for (late, packet) in packets {
        let now = origin + Duration::from(packet.time - Timestamp::ZERO) + late;
        while let Some(due) = converter.deadline().filter(|due| *due <= now) {
            converter.poll(due, &mut out);
        }
        converter.handle(Event::Packets(MediaKind::Video, PacketGroup::from(packet)), now, &mut out);
    }
    out.iter().map(show).collect()
}

fn show(output: &Output) -> String {
    match output {
        Output::Params(_) => "params".into(),
        Output::Frame(f) => {
            format!("{}{}", (f.pts - Timestamp::ZERO).as_millis(), if f.keyframe { "k" } else { "" })
        }
        Output::Gap(frames) => format!("-{frames}"),
        Output::KeyframeWanted => "pli".into(),
        other => format!("{other:?}"),
    }
}

fn on_time(packets: Vec<Packet>) -> impl Iterator<Item = (Duration, Packet)> {
    packets.into_iter().map(|packet| (Duration::ZERO, packet))
}

#[test]
fn pictures_survive_the_way_over_packets() {
    let (mut converter, mut out) = (H264::new(), Vec::new());
    for packet in packets(3) {
        converter.handle(Event::Packets(MediaKind::Video, packet.into()), some_instant(), &mut out);
    }
    let Output::Params(CodecParams::H264(config)) = &out[0] else { panic!("{out:?}") };
    assert_eq!((&config.sps()[0][..], &config.pps()[0][..]), (SPS, PPS));
    for (index, output) in (0..).zip(&out[1..]) {
        let Output::Frame(frame) = output else { panic!("{output:?}") };
        assert_eq!(frame.payload.bytes(), picture(index, index == 0).payload.bytes());
    }
    assert_eq!(out.len(), 4);
}

#[test]
fn it_starts_at_a_keyframe_and_says_parameters_only_on_change() {
    let late = packets(23).into_iter().filter(|packet| packet.sequence >= 8).collect();
    let out = run(&mut H264::new(), on_time(late));
    let from = out.iter().position(|line| line == "params").unwrap();
    assert!(out[..from].iter().all(|line| line == "pli" || line.starts_with('-')), "{out:?}");
    assert_eq!(out[from + 1], "400k");
    assert_eq!(out.iter().filter(|line| *line == "params").count(), 1);
}

/// A browser that adapts gives its new size a set of its own id, or the one it had.
#[test]
fn another_size_is_told_right_before_its_key_picture_and_alone() {
    let small = [&[0x67, 0x42, 0xc0, 0x1e, 0x95][..], &[0x68, 0xce]];
    for large in [
        [&[0x67, 0x42, 0xc0, 0x28, 0x95][..], &[0x68, 0xce]],
        [&[0x67, 0x42, 0xc0, 0x28, 0x52], &[0x68, 0x4a]],
    ] {
        let (mut packetiser, mut packets) = (packetise::H264::new(), Vec::new());
        for (index, sets) in [(0, Some(small)), (1, None), (2, Some(large)), (3, None)] {
            if let Some(sets) = sets {
                let [sps, pps] = sets.map(|set| vec![Bytes::copy_from_slice(set)]);
                let params = CodecParams::H264(AvcConfig::new(sps, pps).unwrap());
                packetiser.handle(Event::Params(params), some_instant(), &mut packets);
            }
            // The second set's picture names it.
            let pps = if sets == Some(large) && large[1] != small[1] { 0x5f } else { 0xff };
            let time = Timestamp::from_millis(index * 40);
            let nal = [if sets.is_some() { 0x65 } else { 0x41 }, 0x88, pps, 1];
            let payload = Payload::Nalus(AccessUnit::from_nals([&nal[..]]));
            let frame =
                Frame { kind: MediaKind::Video, dts: time, pts: time, keyframe: sets.is_some(), payload };
            packetiser.handle(Event::Frame(frame), some_instant(), &mut packets);
        }
        let (mut converter, mut out) = (H264::new(), Vec::new());
        for output in packets {
            let Output::Packets(group) = output else { continue };
            converter.handle(Event::Packets(MediaKind::Video, group), some_instant(), &mut out);
        }
        let told = |output: &Output| match output {
            Output::Params(CodecParams::H264(config)) => {
                assert_eq!((config.sps().len(), config.pps().len()), (1, 1));
                format!("level {}", config.profile_level_id()[2])
            }
            other => show(other),
        };
        assert_eq!(
            out.iter().map(told).collect::<Vec<_>>(),
            ["level 30", "0k", "40", "level 40", "80k", "120"]
        );
    }
}

#[test]
fn a_packet_sent_again_costs_nothing_and_a_lost_one_the_rest_of_the_gop() {
    let order = |late: Duration| {
        // The second packet of the fourth picture comes late, if at all.
        let mut packets: Vec<_> = on_time(packets(14)).collect();
        let at = packets.iter().position(|(_, p)| p.time == Timestamp::from_millis(120)).unwrap() + 1;
        let mut missing = packets.remove(at);
        missing.0 = late;
        let arrival = missing.1.time + late.into();
        let behind = packets.iter().position(|(_, p)| p.time > arrival).unwrap_or(packets.len());
        packets.insert(behind, missing);
        packets
    };
    let mended = run(&mut H264::new(), order(Duration::from_millis(100)));
    let times: Vec<_> = mended[1..].iter().map(String::as_str).collect();
    assert_eq!(times[..5], ["0k", "40", "80", "120", "160"]);
    assert_eq!(times.len(), 14);
    let lost = run(&mut H264::new(), order(Duration::from_millis(260)));
    assert_eq!(lost[1..5], ["0k", "40", "80", "pli"]);
    let (again, gap) = (lost.iter().position(|line| line == "400k").unwrap(), &lost[4..]);
    assert_eq!(lost[again - 1], "-6", "{gap:?}");
}

#[test]
fn opus_tells_of_losses_and_keeps_order() {
    let packet = |sequence: i64| {
        let time = Timestamp::from_millis(sequence * 20);
        let payload = if sequence == 4 { Bytes::new() } else { Bytes::from_static(&[0xfc, 0]) };
        Packet {
            sequence,
            ticks: sequence * 960,
            time,
            marker: false,
            keyframe: true,
            extensions: Extensions::default(),
            payload,
        }
    };
    let order = [0, 2, 1, 3, 4, 6, 7, 8, 9, 10];
    let packets = order.map(|sequence| (Duration::ZERO, packet(sequence)));
    assert_eq!(
        run(&mut Sound::opus(), packets),
        ["0k", "20k", "40k", "60k", "-1", "120k", "140k", "160k", "180k", "200k"]
    );
}

#[test]
fn vp8_goes_on_at_a_keyframe_after_a_loss() {
    let packet = |sequence: i64, keyframe: bool| Packet {
        sequence,
        ticks: sequence * 3_000,
        time: Timestamp::from_millis(sequence * 100),
        marker: true,
        keyframe,
        extensions: Extensions::default(),
        payload: Bytes::copy_from_slice(&[0x10, u8::from(!keyframe), 0, 0]),
    };
    let packets =
        [(0, false), (1, true), (2, false), (4, false), (5, false), (8, true), (9, false), (12, false)];
    let packets = packets.map(|(sequence, keyframe)| (Duration::ZERO, packet(sequence, keyframe)));
    assert_eq!(
        run(&mut Vp8::new(), packets),
        ["pli", "-1", "100k", "200", "pli", "pli", "-2", "800k", "900"],
        "behind what was left out comes the next keyframe"
    );
}
