//! Mute by the server: what viewers get when a publisher's picture or sound is kept back.

use super::client::{Client, H264, Incoming, OPUS, PATIENCE, header};
use super::{KEY_PICTURE, PICTURE, SOUND, World, is_pli, send_wanted_key_picture, sequence};
use crate::codec::MediaKind;
use crate::protocol::rtp::PacketView;
use tokio::time::timeout;

/// Sends sound, and gives all packets that the viewer gets up to it: payload types and numbers.
async fn until_sound(publisher: &mut Client, viewer: &mut Client, number: u16) -> Vec<(u8, u16)> {
    publisher.send_rtp(header(OPUS, number, false), None, SOUND).await;
    let mut got = Vec::new();
    while got.last().is_none_or(|(payload_type, _)| *payload_type != OPUS) {
        match viewer.next().await {
            Incoming::Rtp(packet) => got.push((packet[1] & 0x7f, sequence(&packet))),
            Incoming::Closed => panic!("closed"),
            _ => {}
        }
    }
    got
}

#[tokio::test]
async fn a_picture_that_was_muted_goes_on_at_a_key_picture_as_if_nothing_had_been() {
    let world = World::new();
    let mut publisher = world.publisher().await;
    let stream = world.stream("alice").unwrap();
    let mut viewer = world.udp_viewer().await;
    send_wanted_key_picture(&mut publisher, 101).await;
    let first = sequence(&viewer.next_rtp(H264).await);

    stream.set_muted(MediaKind::Video, true);
    // More than a viewer's ring remembers, and more than the server asks a publisher for.
    for number in 102..1_800 {
        publisher.send_rtp(header(H264, number, true), None, PICTURE).await;
        if number % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    publisher.send_rtp(header(H264, 1_800, true), None, KEY_PICTURE).await;
    let got = until_sound(&mut publisher, &mut viewer, 101).await;
    assert!(matches!(&got[..], [(OPUS, _)]), "{got:?}");

    stream.set_muted(MediaKind::Video, false);
    timeout(PATIENCE, publisher.next_rtcp(is_pli)).await.expect("the next key picture is asked for");
    publisher.send_rtp(header(H264, 1_801, true), None, PICTURE).await;
    publisher.send_rtp(header(H264, 1_802, true), None, KEY_PICTURE).await;
    publisher.send_rtp(header(H264, 1_803, true), None, PICTURE).await;
    let packets = [viewer.next_rtp(H264).await, viewer.next_rtp(H264).await];
    let payloads = packets.each_ref().map(|packet| PacketView::parse(packet).unwrap().payload().to_vec());
    assert_eq!(payloads, [KEY_PICTURE, PICTURE]);
    let numbers = packets.each_ref().map(|packet| sequence(packet).wrapping_sub(first));
    assert_eq!(numbers, [1, 2], "a viewer sees nothing missing that it would ask for");
}

#[tokio::test]
async fn sound_that_was_muted_goes_on_with_the_next_packet() {
    let world = World::new();
    let mut publisher = world.publisher().await;
    let stream = world.stream("alice").unwrap();
    let mut viewer = world.udp_viewer().await;
    let first = until_sound(&mut publisher, &mut viewer, 101).await[0].1;
    stream.set_muted(MediaKind::Audio, true);
    for number in 102..110 {
        publisher.send_rtp(header(OPUS, number, false), None, SOUND).await;
    }
    send_wanted_key_picture(&mut publisher, 101).await;
    let mut between = Vec::new();
    while between.last() != Some(&H264) {
        if let Incoming::Rtp(packet) = viewer.next().await {
            between.push(packet[1] & 0x7f);
        }
    }
    assert_eq!(between, [H264], "the picture goes on, the sound does not");
    stream.set_muted(MediaKind::Audio, false);
    let got = until_sound(&mut publisher, &mut viewer, 110).await;
    assert_eq!(got, [(OPUS, first.wrapping_add(1))]);
}
