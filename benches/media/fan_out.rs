//! One picture of 8 kB, in seven packets, to many.

use crate::noise;
use bytes::Bytes;
use commonroom::media::{Codec, Extensions, Packet, PacketGroup};
use commonroom::protocol::rtp::{ExtensionIds, Header, Ssrc, Values};
use commonroom::protocol::srtp::{MasterKey, Profile, Sealer};
use commonroom::stream::{FeedKey, Form, QueueLimits, Start, Stream, StreamName, Subscriber};
use commonroom::time::{NtpTime, RtpTime, Timestamp};
use divan::Bencher;
use divan::counter::ItemsCount;

const VIEWERS: [usize; 4] = [1, 10, 100, 1_000];
const PACKETS: usize = 7;
const PAYLOAD: usize = 1_180;
/// Fixed header; these viewers have agreed on no extensions.
const HEADER: usize = 12;

fn picture(first: i64) -> PacketGroup {
    let payload = Bytes::from(noise(PAYLOAD));
    let packet = |number: i64| Packet {
        sequence: first + number,
        ticks: first * 3_000,
        time: Timestamp::ZERO,
        marker: number + 1 == PACKETS as i64,
        keyframe: number == 0,
        extensions: Extensions::default(),
        payload: payload.clone(),
    };
    PacketGroup::new((0..PACKETS as i64).map(packet).collect()).expect("not empty")
}

/// The bus: a picture into the queue of each subscriber, and out again.
#[divan::bench(args = VIEWERS)]
fn bus(bencher: Bencher<'_, '_>, viewers: usize) {
    let name = StreamName { room: "room".into(), participant: "publisher".into(), stream: "s".into() };
    let (stream, publisher) = Stream::publish(name, NtpTime::default());
    let key = FeedKey::new(Codec::H264, Form::Packets);
    let writer = publisher.track(key).expect("a track");
    let subscribe = |_| {
        let subscriber = stream.subscriber(QueueLimits::default());
        subscriber.attach(&[key], Start::Anywhere);
        subscriber
    };
    let subscribers: Vec<Subscriber> = (0..viewers).map(subscribe).collect();
    let group = picture(0);
    bencher.counter(ItemsCount::new(viewers)).bench_local(|| {
        writer.write_packets(group.clone());
        subscribers.iter().filter_map(Subscriber::try_next).count()
    });
}

/// SRTP: a picture with headers and keys of each viewer's own, sealed out of place into a buffer for one system call.
#[divan::bench(args = VIEWERS, consts = [true, false])]
fn srtp<const GCM: bool>(bencher: Bencher<'_, '_>, viewers: usize) {
    let profile = if GCM { Profile::AeadAes128Gcm } else { Profile::Aes128CmSha1_80 };
    let sealer = |viewer: usize| {
        let salt = if GCM { 12 } else { 14 };
        let master = MasterKey::new(&[viewer as u8; 16], &[7; 14][..salt]).expect("the right lengths");
        Sealer::new(profile, &master)
    };
    let sealers: Vec<_> = (0..viewers).map(sealer).collect();
    let group = picture(0);
    let len = HEADER + PAYLOAD + sealers[0].overhead();
    let mut buffer = vec![0; PACKETS * len];
    let mut index = 0;
    bencher.counter(ItemsCount::new(viewers)).bench_local(|| {
        index += PACKETS as u64;
        for (viewer, sealer) in sealers.iter().enumerate() {
            for (packet, place) in group.iter().zip(buffer.chunks_exact_mut(len)) {
                let index = index + packet.sequence as u64;
                let header = Header {
                    marker: packet.marker,
                    payload_type: 102,
                    sequence: index as u16,
                    timestamp: RtpTime(packet.ticks as u32),
                    ssrc: Ssrc(viewer as u32),
                };
                header.write(&Values::default(), &ExtensionIds::default(), &mut &mut place[..HEADER]);
                let sealed = sealer.seal_rtp(place, HEADER, viewer as u32, index, &[], &packet.payload);
                assert!(sealed);
            }
        }
        divan::black_box(&mut buffer);
    });
}
