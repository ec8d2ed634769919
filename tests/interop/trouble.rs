//! Bytes that mean nothing or harm, and clients that come and go without end: nobody else notices.

use crate::browser::Browser;
use crate::client::Client;
use crate::ffmpeg::{self, scratch};
use crate::gateway::Gateway;
use crate::{http, patience};
use commonroom::protocol::amf0::{Object, Value};
use commonroom::protocol::rtmp::Command;
use commonroom::protocol::rtmp::chunk::Encoder;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

#[test]
fn garbage_on_every_port_disturbs_nobody() {
    let gateway = Gateway::start();
    let url = gateway.url("studio", "camera");
    let _publisher = Client::publish(&ffmpeg::baseline_clip(20), &url);
    gateway.wait_for("studio", "camera", &["h264", "aac"]);
    let file = scratch("beside-garbage.flv");
    let player = Client::play(&url, 8, &file);
    let mut random = 1u32;
    for round in 0..60 {
        let garbage: Vec<u8> = (0..1 + round * 150)
            .map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 24) as u8
            })
            .collect();
        for port in [gateway.rtmp, gateway.http, gateway.webrtc] {
            let mut stream = TcpStream::connect(port).expect("the port is open");
            // What looks like the start of something gets further than noise: RTMP, HTTP, a framed STUN message.
            let start: &[u8] =
                [&[][..], &[3], b"POST /whip/a/b HTTP/1.1\r\n", &[0, 28, 0, 1, 0, 8]][round % 4];
            // The gateway may have closed before all was written.
            drop(stream.write_all(start).and_then(|()| stream.write_all(&garbage)));
        }
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("there are free ports");
        for first in [0, 1, 20, 22, 64, 128, 200] {
            let mut datagram = garbage.clone();
            datagram.truncate(1400);
            datagram[0] = first;
            socket.send_to(&datagram, gateway.webrtc).expect("loopback takes it");
        }
    }
    player.finish(Duration::from_secs(15));
    let report = ffmpeg::read(&file).analyse();
    assert!(report.picture().dropped == 0 && report.sound().gaps.is_empty(), "{report:#?}");
    let ready = http::request(gateway.http, "GET", "/readyz", "", "").expect("it still answers");
    assert_eq!(ready.status, 200);
}

#[test]
fn joining_and_leaving_costs_nothing_that_stays() {
    join_and_leave(200);
}

/// The same for longer; a minute or ten, by hand.
#[test]
#[ignore = "takes many minutes"]
fn joining_and_leaving_ten_thousand_times_costs_nothing_that_stays() {
    join_and_leave(10_000);
}

fn join_and_leave(times: usize) {
    let gateway = Gateway::start();
    let url = gateway.url("studio", "camera");
    let clip = ffmpeg::baseline_clip(20);
    let _publisher = Client::publish_without_end(&clip, &url);
    gateway.wait_for("studio", "camera", &["h264", "aac"]);
    let mut browser = Browser::start();
    browser.open(&gateway.page("/healthz"));
    let whep = gateway.page("/whep/studio/camera");
    let join = |times: usize| {
        for round in 0..times {
            play_briefly(gateway.rtmp);
            post_and_delete(gateway.http);
            // A whole connection, with ICE, DTLS and media, costs a browser a hundred times as much.
            if round % 20 == 0 {
                browser.evaluate(&format!("rig.join('{whep}')"));
            }
            if round % 1_000 == 0 {
                let (memory, files) = gateway.footprint();
                println!("after {round} of {times}: {memory} bytes, {files} files");
            }
        }
        // Conversions linger for a while, and dead peers are found dead.
        patience::wait("all are gone", Duration::from_secs(30), || gateway.footprint().1 < 64);
        patience::pass(Duration::from_secs(2));
    };
    join(times / 4);
    let (memory, files) = gateway.footprint();
    join(times);
    let (memory_after, files_after) = gateway.footprint();
    println!("memory {memory} then {memory_after} bytes, files {files} then {files_after}");
    assert!(files_after <= files + 2, "{files} files were open, then {files_after}");
    // Allocators keep some of what they are given back; a leak of a peer or a session each time is far above this.
    assert!(memory_after < memory + (4 << 20), "{memory} bytes were in use, then {memory_after}");
}

/// An RTMP player that goes as soon as something plays.
fn play_briefly(rtmp: SocketAddr) {
    let mut stream = TcpStream::connect(rtmp).expect("the port is open");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket can");
    let mut said = vec![3];
    said.resize(1 + 2 * 1536, 0);
    let mut encoder = Encoder::new();
    let properties = Object::from_iter([("app", Value::text("studio"))]);
    for (name, stream, object, arguments) in [
        ("connect", 0, Value::Object(properties), vec![]),
        ("createStream", 0, Value::Null, vec![]),
        ("play", 1, Value::Null, vec![Value::text("camera")]),
    ] {
        let command = Command { name: name.into(), transaction: 1.0, object, arguments };
        said.extend_from_slice(&encoder.message(command.to_message(stream)));
    }
    stream.write_all(&said).expect("the gateway reads");
    // Handshake, answers, and so much of the picture.
    let mut heard = vec![0; 8 << 10];
    stream.read_exact(&mut heard).expect("the stream plays");
}

/// A viewer that posts an offer and changes its mind.
fn post_and_delete(http: SocketAddr) {
    let offer = include_str!("../data/sdp/chromium-whep.sdp");
    let created =
        http::request(http, "POST", "/whep/studio/camera", "application/sdp", offer).expect("it answers");
    assert_eq!(created.status, 201, "{created:?}");
    let location = created.location.as_deref().expect("WHEP has a location");
    let path = location.find("/whep").map_or(location, |at| &location[at..]);
    let deleted = http::request(http, "DELETE", path, "", "").expect("it answers");
    assert!(matches!(deleted.status, 200 | 204), "{deleted:?}");
}
