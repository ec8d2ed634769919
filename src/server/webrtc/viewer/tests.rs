//! One viewer, from what happens in its feed to the packets that it can open.

use super::super::batch::Wire;
use super::super::line::Lines;
use super::super::path::Via;
use super::super::session::SessionKind;
use super::super::tcp::Connections;
use super::*;
use crate::media::Extensions;
use crate::protocol::ice::Credentials;
use crate::protocol::rtcp;
use crate::protocol::rtp::PacketView;
use crate::protocol::rtp::twcc::Recorder;
use crate::protocol::sdp::{DtlsRole, Fingerprint, HashKind, Local, Offer, Sending, Want, answer};
use crate::protocol::srtp::{Keys, Opener, Profile};
use crate::stream::StreamName;
use bytes::Bytes;
use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use tokio::sync::watch;

/// A viewer of Opus and VP8, and what it gets.
pub(in super::super) struct Seat {
    pub(in super::super) viewer: Rc<RefCell<Viewer>>,
    pub(in super::super) negotiated: Negotiated,
    pub(in super::super) batch: Batch,
    pub(in super::super) now: Instant,
    pub(in super::super) share: Arc<Share>,
    pub(in super::super) picture: watch::Receiver<Picture>,
    sent: Rc<Sent>,
    opener: Opener,
}

#[derive(Default)]
struct Sent(RefCell<Vec<Vec<u8>>>);

impl Wire for Sent {
    fn send(&self, _: SocketAddr, _: Option<IpAddr>, bytes: &[u8], segment: usize) -> io::Result<()> {
        self.0.borrow_mut().extend(bytes.chunks(segment).map(<[u8]>::to_vec));
        Ok(())
    }

    fn max_segments(&self) -> usize {
        64
    }
}

/// An RTP packet in short: payload type, sequence number, timestamp, first byte of the payload.
pub(in super::super) type Got = (u8, u16, u32, u8);

impl Seat {
    /// One whose packets carry no transport-wide numbers.
    pub(in super::super) fn new() -> Self {
        Self::with("")
    }

    /// One whose packets are numbered.
    pub(in super::super) fn numbered() -> Self {
        Self::with(
            "a=rtcp-fb:* transport-cc\na=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\n",
        )
    }

    fn with(lines: &str) -> Self {
        let map = "a=rtpmap:96 VP8/90000\na=rtcp-fb:96 nack\na=rtpmap:97 rtx/90000\na=fmtp:97 apt=96\n";
        Self::offering(lines, "96 97", map)
    }

    /// One whose picture may come in these formats.
    fn offering(lines: &str, formats: &str, map: &str) -> Self {
        let fingerprint = Fingerprint::new(HashKind::Sha256, vec![1; 32]).unwrap();
        let section = |kind: &str, mid: u8, formats: &str, map: &str| {
            format!(
                "m={kind} 9 UDP/TLS/RTP/SAVPF {formats}\na=mid:{mid}\na=recvonly\na=rtcp-mux\na=ice-ufrag:them\n\
                 a=ice-pwd:passwordpasswordpassword\na=fingerprint:{fingerprint}\na=setup:actpass\n\
                 a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\n{lines}{map}"
            )
        };
        let audio = section("audio", 0, "111", "a=rtpmap:111 opus/48000/2\n");
        let video = section("video", 1, formats, map);
        let offer = Offer::parse(&format!("v=0\na=group:BUNDLE 0 1\n{audio}{video}")).unwrap();
        let [audio, video, video_rtx] = [1, 2, 3].map(Ssrc);
        let sending =
            Sending { tracks: &[], lacks: &[], stream_id: "s", cname: "c", audio, video, video_rtx };
        let local = Local {
            ufrag: "ours",
            password: "ourpasswordourpassword",
            fingerprint: &fingerprint,
            candidates: &[],
            session_id: 1,
        };
        let (_, negotiated) = answer(&offer, &local, &Want::Send(sending)).unwrap();
        let profile = Profile::AeadAes128Gcm;
        let keys = |role| Keys::from_material(profile, &vec![7; profile.material_len()], role).unwrap();
        let share = Arc::new(Lines::default().join(None));
        let wall = Wall::read();
        let now = wall.instant();
        let name = StreamName { room: "r".into(), participant: "p".into(), stream: "s".into() };
        let session = Session::new(
            Credentials::generate(),
            "theirs".into(),
            SessionKind::Viewer,
            name,
            now,
            Some(share.clone()),
        );
        let sender = Sender { cname: "c".into(), wall, origin: wall.at(now) };
        let path = Path { remote: SocketAddr::from(([192, 0, 2, 1], 9)), via: Via::Udp { local: None } };
        let sealer = Sealer::new(profile, &keys(DtlsRole::Server).local);
        let sent = Rc::new(Sent::default());
        let session = Arc::new(session);
        let viewer = Viewer::new(session.clone(), &negotiated, sender, path, sealer, share.clone());
        Self {
            picture: session.picture(),
            viewer: Rc::new(RefCell::new(viewer)),
            share,
            batch: Batch::new(sent.clone(), Rc::new(Connections::new())),
            negotiated,
            now,
            sent,
            opener: Opener::new(&keys(DtlsRole::Client)).unwrap(),
        }
    }

    fn take(&mut self, steps: &[Step]) -> Vec<Got> {
        self.viewer.borrow_mut().take(self.now, Layer::BEST, steps, &mut self.batch);
        self.rtp()
    }

    /// What has been sent since the last call: RTP alone.
    pub(in super::super) fn rtp(&mut self) -> Vec<Got> {
        let packets = self.packets().into_iter().filter(|packet| !is_rtcp(packet));
        let got = |packet: Vec<u8>| {
            let view = PacketView::parse(&packet).unwrap();
            let header = view.header();
            (header.payload_type, header.sequence, header.timestamp.0, view.payload()[0])
        };
        packets.map(got).collect()
    }

    /// What has been sent since the last call: payload types, and whether it is nothing but padding.
    pub(in super::super) fn padding(&mut self) -> Vec<(u8, bool)> {
        let rtp = self.packets().into_iter().filter(|packet| !is_rtcp(packet));
        let read = |packet: Vec<u8>| {
            let view = PacketView::parse(&packet).unwrap();
            (view.header().payload_type, view.payload().is_empty())
        };
        rtp.map(read).collect()
    }

    /// How many RTP packets have been sent since the last call, whosever they are.
    pub(in super::super) fn count(&mut self) -> usize {
        self.batch.flush();
        self.sent.0.take().iter().filter(|datagram| !is_rtcp(datagram)).count()
    }

    /// The same as [`rtp`](Self::rtp), RTCP among it, without protection.
    fn packets(&mut self) -> Vec<Vec<u8>> {
        self.batch.flush();
        let open = |datagram: Vec<u8>| {
            let opened = if is_rtcp(&datagram) {
                self.opener.open_rtcp(&datagram)
            } else {
                self.opener.open_rtp(&datagram)
            };
            opened.unwrap().to_vec()
        };
        self.sent.0.take().into_iter().map(open).collect()
    }
}

fn is_rtcp(packet: &[u8]) -> bool {
    matches!(packet[1], 192..=223)
}

/// The packet `sequence` of a source that sends thirty of a kind a second; its payload begins with its number.
pub(in super::super) fn packet(sequence: i64, keyframe: bool) -> Packet {
    Packet {
        sequence,
        ticks: sequence * 3_000,
        time: Timestamp::from_millis(sequence * 1_000 / 30),
        marker: true,
        keyframe,
        extensions: Extensions::default(),
        payload: Bytes::from(vec![sequence as u8; 20]),
    }
}

fn video(sequence: i64, keyframe: bool) -> Step {
    Step::Packet(MediaKind::Video, packet(sequence, keyframe))
}

const VP8: Step = Step::Codec(Codec::Vp8, None);

#[test]
fn the_picture_begins_with_a_key_picture_and_goes_on_with_one() {
    let mut seat = Seat::new();
    assert_eq!(seat.viewer.borrow().waits_for_keyframe_of(), Some(Layer::BEST));
    let got = seat.take(&[VP8, video(10, false), video(11, true), video(12, false)]);
    let [(96, first, _, 11), (96, second, _, 12)] = got[..] else { panic!("{got:?}") };
    assert_eq!(second, first.wrapping_add(1));
    assert_eq!(seat.viewer.borrow().waits_for_keyframe_of(), None);
    let got = seat.take(&[Step::Gap(MediaKind::Video), video(15, false), video(17, true)]);
    let [(96, third, _, 17)] = got[..] else { panic!("{got:?}") };
    assert_eq!(third, second.wrapping_add(1), "what was left out leaves no hole, so nobody asks for it");
}

#[test]
fn what_is_lost_on_the_way_here_leaves_a_hole() {
    let mut seat = Seat::new();
    let got = seat.take(&[VP8, video(1, true), video(4, false), video(2, false)]);
    let numbers: Vec<_> = got.iter().map(|packet| packet.1.wrapping_sub(got[0].1)).collect();
    assert_eq!(numbers, [0, 3, 1]);
}

#[test]
fn timestamps_follow_the_timeline_over_a_change_of_source() {
    let mut seat = Seat::new();
    let before = seat.take(&[VP8, video(1, true), video(2, false)])[1];
    let other =
        Packet { ticks: 5_000_000, sequence: 60_000, time: Timestamp::from_millis(1_066), ..packet(0, true) };
    let step = Step::Packet(MediaKind::Video, other);
    let after = seat.take(&[Step::Restart(MediaKind::Video), video(3, false), step])[0];
    assert_eq!(after.1, before.1.wrapping_add(1));
    assert_eq!(after.2.wrapping_sub(before.2), 90_000, "a second later than number 2");
}

#[test]
fn a_codec_that_the_viewer_does_not_take_is_not_sent() {
    let mut seat = Seat::new();
    assert_eq!(seat.take(&[Step::Codec(Codec::H264, None), video(1, true)]), []);
    assert_eq!(seat.take(&[VP8, video(2, true)]).len(), 1);
}

#[test]
fn the_first_packets_bring_a_report_and_the_sections_name() {
    let mut seat = Seat::new();
    seat.viewer.borrow_mut().take(seat.now, Layer::BEST, &[VP8, video(1, true)], &mut seat.batch);
    let packets = seat.packets();
    let ids = seat.negotiated.extensions();
    let named = PacketView::parse(&packets[0]).unwrap();
    assert_eq!(named.values(&ids).mid, Some(&b"1"[..]));
    let reports: Vec<_> = packets.iter().filter(|packet| is_rtcp(packet)).collect();
    let [report] = reports[..] else { panic!("{packets:02x?}") };
    let report = rtcp::packets(report).next().unwrap();
    let Ok(rtcp::Packet::SenderReport { ssrc: Ssrc(2), info, .. }) = report else { panic!("{report:?}") };
    assert_eq!((info.packets, info.octets), (1, 20));
    let many: Vec<_> = (2..=102).map(|sequence| video(sequence, false)).collect();
    seat.viewer.borrow_mut().take(seat.now, Layer::BEST, &many, &mut seat.batch);
    let packets = seat.packets();
    let last = PacketView::parse(packets.last().unwrap()).unwrap();
    assert_eq!(last.values(&ids).mid, None, "by then it is known");
}

#[test]
fn what_is_asked_for_comes_as_a_retransmission() {
    let mut seat = Seat::new();
    let number = seat.take(&[VP8, video(1, true)])[0].1;
    let mut rings = Rings::default();
    rings.of(MediaKind::Video, Layer::BEST).insert(&packet(1, true));
    let ask = |seat: &mut Seat, media| {
        let lost = [number, number.wrapping_add(1)].into_iter();
        seat.viewer.borrow_mut().retransmit(seat.now, media, lost, &rings, &mut seat.batch);
        seat.packets()
    };
    assert!(ask(&mut seat, Ssrc(77)).is_empty(), "no source of ours");
    let again = ask(&mut seat, Ssrc(2));
    let [again] = &again[..] else { panic!("{again:02x?}") };
    let view = PacketView::parse(again).unwrap();
    assert_eq!((view.header().payload_type, view.header().ssrc), (97, Ssrc(3)));
    assert_eq!(view.payload(), [&number.to_be_bytes()[..], &[1; 20]].concat());
    assert!(ask(&mut seat, Ssrc(2)).is_empty(), "it is on its way");
}

#[test]
fn without_a_source_of_retransmissions_the_very_same_bytes_come_again() {
    let h264 = |payload_type: u8, profile: &str| {
        format!(
            "a=rtpmap:{payload_type} H264/90000\na=rtcp-fb:{payload_type} nack\n\
             a=fmtp:{payload_type} packetization-mode=1;profile-level-id={profile};level-asymmetry-allowed=1\n"
        )
    };
    let map = h264(102, "42e01f") + &h264(104, "640c1f");
    let mut seat = Seat::offering("", "102 104", &map);
    let [baseline, high] = [[0x42, 0xe0, 0x1f], [0x64, 0x0c, 0x1f]]
        .map(|[profile, constraints, level]| ProfileLevelId { profile, constraints, level })
        .map(|profile| Step::Codec(Codec::H264, Some(profile)));
    let mut rings = Rings::default();
    (1..=3).for_each(|sequence| {
        rings.of(MediaKind::Video, Layer::BEST).insert(&packet(sequence, sequence == 1));
    });
    let steps = [baseline.clone(), video(1, true), video(2, false), baseline, video(3, false)];
    seat.viewer.borrow_mut().take(seat.now, Layer::BEST, &steps, &mut seat.batch);
    let sent = |seat: &Seat| -> Vec<Vec<u8>> {
        seat.sent.0.take().into_iter().filter(|datagram| !is_rtcp(datagram)).collect()
    };
    seat.batch.flush();
    let before = sent(&seat);
    let numbers = before.iter().map(|packet| PacketView::parse(packet).unwrap().header().sequence);
    let numbers: Vec<_> = numbers.collect();
    assert_eq!(numbers.len(), 3, "the same said again changes nothing");
    // The publisher's profile changes; some of what went before is asked for only now.
    seat.take(std::slice::from_ref(&high));
    let lost = numbers.iter().copied();
    seat.viewer.borrow_mut().retransmit(seat.now, Ssrc(2), lost, &rings, &mut seat.batch);
    seat.batch.flush();
    assert_eq!(sent(&seat), before);
    let got = seat.take(&[video(4, false), video(5, true), video(6, false)]);
    let got: Vec<_> =
        got.iter().map(|packet| (packet.0, packet.1.wrapping_sub(numbers[2]), packet.3)).collect();
    assert_eq!(got, [(104, 1, 5), (104, 2, 6)], "from a key picture on, without a hole");
}

#[test]
fn counts_of_vp8_go_on_from_layer_to_layer() {
    let counted = |sequence: i64, picture: u16, layer: u8| {
        let [high, low] = (picture | 0x8000).to_be_bytes();
        let payload = Bytes::from(vec![0x90, 0xc0, high, low, layer, sequence as u8]);
        Packet { payload, ..packet(sequence, sequence % 10 == 0) }
    };
    let low = Layer::below_best(1).unwrap();
    let mut rings = Rings::default();
    let mut seat = Seat::new();
    seat.take(&[VP8]);
    let mut shown = |seat: &mut Seat, layer, packet: Packet| {
        rings.of(MediaKind::Video, layer).insert(&packet);
        let steps = [Step::Packet(MediaKind::Video, packet)];
        seat.viewer.borrow_mut().take(seat.now, layer, &steps, &mut seat.batch);
        let sent = seat.packets().into_iter().find(|packet| !is_rtcp(packet)).unwrap();
        let view = PacketView::parse(&sent).unwrap();
        let numbers = [view.header().sequence].into_iter();
        seat.viewer.borrow_mut().retransmit(seat.now, Ssrc(2), numbers, &rings, &mut seat.batch);
        let again = seat.packets().remove(0);
        assert_eq!(PacketView::parse(&again).unwrap().payload()[2..], *view.payload(), "the same again");
        let payload = view.payload();
        assert_eq!((&payload[..2], payload.len()), (&[0x90, 0xc0][..], 6));
        (u16::from_be_bytes([payload[2], payload[3]]) & 0x7fff, payload[4], payload[5])
    };
    assert_eq!(shown(&mut seat, Layer::BEST, counted(10, 0x7ffe, 7)), (0x7ffe, 7, 10));
    assert_eq!(shown(&mut seat, Layer::BEST, counted(12, 0, 9)), (0, 9, 12));
    assert_eq!(shown(&mut seat, Layer::BEST, counted(11, 0x7fff, 8)), (0x7fff, 8, 11), "it comes late");
    seat.viewer.borrow_mut().wanted = Some(low);
    assert_eq!(shown(&mut seat, low, counted(40, 9_000, 255)), (1, 10, 40));
    assert_eq!(shown(&mut seat, low, counted(41, 9_001, 0)), (2, 11, 41));
    seat.viewer.borrow_mut().wanted = Some(Layer::BEST);
    assert_eq!(shown(&mut seat, Layer::BEST, counted(50, 38, 5)), (3, 12, 50));
}

#[test]
fn who_gives_no_feedback_is_judged_by_its_reports() {
    let mut seat = Seat::numbered();
    seat.take(&[VP8]);
    let mut next = 0;
    let mut second = |seat: &mut Seat, fraction_lost: Option<u8>| {
        let pictures: Vec<_> = (next..next + 30).map(|sequence| video(sequence, sequence == 0)).collect();
        next += 30;
        seat.take(&pictures);
        seat.share.note_sent(100_000);
        seat.now += Duration::from_secs(1);
        let mut viewer = seat.viewer.borrow_mut();
        if let Some(fraction_lost) = fraction_lost {
            let (ssrc, lost, highest, jitter) = (Ssrc(2), 0, 0, 0);
            let block = ReportBlock { ssrc, fraction_lost, lost, highest, jitter, last_report: 0, delay: 0 };
            viewer.note_report(seat.now, &block);
        }
        viewer.tick(seat.now);
        seat.share.estimate()
    };
    for number in 1..=20 {
        assert_eq!(second(&mut seat, (number % 5 == 0).then_some(0)), None, "{number}");
    }
    let lossy = second(&mut seat, Some(64));
    assert!(lossy.is_some());
    for _ in 0..9 {
        assert_eq!(second(&mut seat, None), lossy, "the next report may be on its way");
    }
    second(&mut seat, None);
    assert!(seat.share.estimate() < lossy, "there are no reports any more either");
}

/// A numbered seat whose receiver gives feedback.
struct Heard {
    seat: Seat,
    recorder: Recorder,
    next: i64,
}

impl Heard {
    fn new() -> Self {
        let mut seat = Seat::numbered();
        seat.take(&[VP8]);
        Self { seat, recorder: Recorder::new(), next: 0 }
    }

    /// Three pictures in one burst, and the feedback on them if they have numbers; says whether they have.
    fn tenth(&mut self) -> bool {
        let Self { seat, recorder, next } = self;
        seat.now += Duration::from_millis(100);
        let pictures: Vec<_> = (*next..*next + 3).map(|sequence| video(sequence, sequence == 0)).collect();
        *next += 3;
        seat.viewer.borrow_mut().take(seat.now, Layer::BEST, &pictures, &mut seat.batch);
        let ids = seat.negotiated.extensions();
        let rtp = seat.packets().into_iter().filter(|packet| !is_rtcp(packet));
        let numbers: Vec<_> =
            rtp.map(|packet| PacketView::parse(&packet).unwrap().values(&ids).transport_cc).collect();
        let mut viewer = seat.viewer.borrow_mut();
        if *next % 30 == 0 {
            viewer.tick(seat.now);
        }
        let [Some(_), Some(_), Some(_)] = numbers[..] else {
            assert_eq!(numbers, [None; 3], "a burst is of one kind");
            return false;
        };
        numbers.into_iter().flatten().for_each(|number| recorder.packet(number, seat.now));
        let mut feedback = Vec::new();
        assert!(recorder.feedback(Ssrc(9), Ssrc(2), &mut feedback));
        let Some(Ok(rtcp::Packet::TransportFeedback(feedback))) = rtcp::packets(&feedback).next() else {
            panic!()
        };
        viewer.feedback(seat.now + Duration::from_millis(20), &feedback);
        true
    }

    /// Of so many tenths of a second, those that were numbered.
    fn numbered(&mut self, tenths: usize) -> usize {
        (0..tenths).filter(|_| self.tenth()).count()
    }

    /// All is numbered for ten seconds, and then hardly anything.
    #[track_caller]
    fn calms_down(&mut self) {
        assert_eq!(self.numbered(100), 100);
        self.numbered(12);
        assert_eq!(self.numbered(100), 20, "two glances a second");
    }
}

#[test]
fn numbers_are_left_out_while_a_line_is_calm() {
    let mut heard = Heard::new();
    heard.calms_down();
    heard.seat.share.alarm(heard.seat.now);
    heard.calms_down();
    let path = heard.seat.viewer.borrow().path;
    heard.seat.viewer.borrow_mut().set_path(path);
    heard.calms_down();
    let ask = |heard: &mut Heard, lost: std::ops::Range<u16>| {
        let Seat { viewer, batch, now, .. } = &mut heard.seat;
        viewer.borrow_mut().retransmit(*now, Ssrc(2), lost, &Rings::default(), batch);
    };
    ask(&mut heard, 0..2);
    heard.seat.now += Duration::from_secs(2);
    assert_eq!(heard.numbered(10), 2, "stray packets");
    ask(&mut heard, 0..9);
    heard.calms_down();
    assert_eq!(heard.seat.share.estimate(), None);
}
