//! One peer without sockets, for tests that feed it hostile datagrams, or hostile packets which have passed authentication.

use super::batch::{Batch, Wire};
use super::dtls::Identity;
use super::feed::{Feed, Takes};
use super::leave::Leave;
use super::line::Lines;
use super::path::{Path, Via};
use super::peer::{self, Hands, Peer, Place, Purpose, Seed};
use super::session::{Session, SessionKind};
use super::tcp::Connections;
use super::viewer::{Sender, Viewer};
use super::wall::Wall;
use crate::codec::{Codec, MediaKind};
use crate::media::{CodecParams, Extensions, Packet, PacketGroup};
use crate::protocol::ice::Credentials;
use crate::protocol::rtp::Ssrc;
use crate::protocol::sdp::{Fingerprint, Local, Negotiated, Offer, Sending, Want, answer};
use crate::protocol::srtp::{Keys, Profile, Sealer};
use crate::room::{Limits, Name, Protocol, Rooms};
use crate::stream::{EndReason, Event, Layer, Stream};
use crate::time::Timestamp;
use bytes::Bytes;
use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// The source numbers that a viewer of the harness knows.
pub const SOURCES: [u32; 3] = [1, 2, 3];
/// The peer's ICE user name, on our side.
pub const UFRAG: &str = "ours";
/// And its password.
pub const PASSWORD: &str = "secretsecretsecretsecret";

/// Making a certificate takes longer than all the rest.
static IDENTITY: LazyLock<Identity> =
    LazyLock::new(|| Identity::generate().expect("the system has random numbers"));

/// The peer and what it needs.
pub struct Harness {
    peer: Peer,
    batch: Batch,
    sent: Rc<Sink>,
    now: Instant,
    wall: Wall,
    stream: Stream,
    negotiated: Negotiated,
    connected: bool,
    gone: bool,
}

/// The datagrams sent.
#[derive(Default)]
struct Sink(RefCell<Vec<Vec<u8>>>);

impl Wire for Sink {
    fn send(&self, _: SocketAddr, _: Option<IpAddr>, bytes: &[u8], segment: usize) -> io::Result<()> {
        self.0.borrow_mut().extend(bytes.chunks(segment.max(1)).map(<[u8]>::to_vec));
        Ok(())
    }

    fn max_segments(&self) -> usize {
        64
    }
}

impl Harness {
    /// A publisher with this offer; `None` if the offer is refused.
    pub fn publisher(offer: &str) -> Option<Self> {
        let wall = Wall::read();
        let origin = wall.at(wall.instant());
        let rooms = Rooms::new(Limits::default(), origin);
        let name: Name = "harness".parse().ok()?;
        let publication = rooms.publish(name.clone(), name, Protocol::Whip, origin).ok()?;
        let stream = publication.publisher().stream();
        Self::new(offer, &Want::Receive, Purpose::Publish(publication), stream, wall)
    }

    /// A viewer with this offer that has got a few packets of the first codec of each kind; `None` if the offer is refused.
    pub fn viewer(offer: &str) -> Option<Self> {
        let mut harness = Self::waiting_viewer(offer)?;
        let profile = Profile::AeadAes128Gcm;
        let negotiated = &harness.negotiated;
        let keys = Keys::from_material(profile, &vec![7; profile.material_len()], negotiated.dtls)?;
        let path = Path { remote: SocketAddr::from(([192, 0, 2, 1], 9)), via: Via::Udp { local: None } };
        let sender = Sender { cname: "c".into(), wall: harness.wall, origin: harness.stream.origin() };
        let session = harness.peer.session().clone();
        let share = session.share.clone()?;
        let sealer = Sealer::new(profile, &keys.local);
        let viewer = Viewer::new(session, negotiated, sender, path, sealer, share);
        harness.seat(viewer);
        Some(harness)
    }

    /// A viewer with this offer that has no keys yet; `None` if the offer is refused.
    pub fn waiting_viewer(offer: &str) -> Option<Self> {
        let wall = Wall::read();
        let origin = wall.at(wall.instant());
        let rooms = Rooms::new(Limits::default(), origin);
        let name: Name = "harness".parse().ok()?;
        let publication = rooms.publish(name.clone(), name, Protocol::Whip, origin).ok()?;
        let stream = publication.publisher().stream();
        let [audio, video, video_rtx] = SOURCES.map(Ssrc);
        let sending =
            Sending { tracks: &[], lacks: &[], stream_id: "s", cname: "c", audio, video, video_rtx };
        let purpose = Purpose::Watch {
            stream: stream.clone(),
            cname: "c".into(),
            share: Arc::new(Lines::default().join(None)),
            refused: None,
        };
        Self::new(offer, &Want::Send(sending), purpose, stream, wall)
    }

    fn new(offer: &str, want: &Want<'_>, purpose: Purpose, stream: Stream, wall: Wall) -> Option<Self> {
        let credentials = Credentials { ufrag: UFRAG.to_owned(), password: PASSWORD.to_owned() };
        let local = Local {
            ufrag: &credentials.ufrag,
            password: &credentials.password,
            fingerprint: IDENTITY.fingerprint(),
            candidates: &[],
            session_id: 1,
        };
        let (_, negotiated) = answer(&Offer::parse(offer).ok()?, &local, want).ok()?;
        let kind = SessionKind::from(&purpose);
        let peer_ufrag = negotiated.remote.credentials.ufrag.clone();
        let share = purpose.share().cloned();
        let name = stream.name().clone();
        let session = Session::new(credentials, peer_ufrag, kind, name, wall.instant(), share);
        let session = Arc::new(session);
        let sent = Rc::new(Sink::default());
        Some(Self {
            batch: Batch::new(sent.clone(), Rc::new(Connections::new())),
            sent,
            now: wall.instant(),
            wall,
            stream,
            peer: Peer::new(
                Seed { session, negotiated: negotiated.clone(), purpose, wall },
                &IDENTITY,
                wall.instant(),
            ),
            negotiated,
            connected: false,
            gone: false,
        })
    }

    /// The hash of the peer's certificate, on our side.
    pub fn fingerprint() -> Fingerprint {
        IDENTITY.fingerprint().clone()
    }

    /// The peer's clock.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Whether there are keys.
    pub const fn is_connected(&self) -> bool {
        self.connected
    }

    /// Whether the peer is at its end.
    pub const fn is_gone(&self) -> bool {
        self.gone
    }

    /// Takes a datagram as it comes from the network, `after` the one before; gives what was sent upon it.
    pub fn datagram(&mut self, after: Duration, remote: SocketAddr, bytes: &[u8]) -> Vec<Vec<u8>> {
        let path = Path { remote, via: Via::Udp { local: None } };
        self.now += after;
        self.call(|peer, now, hands| {
            peer.handle(now, path, bytes, hands);
            peer.publish(now, hands.batch);
        })
    }

    /// Lets time pass; gives what was sent in it.
    pub fn pass(&mut self, time: Duration) -> Vec<Vec<u8>> {
        self.now += time;
        self.call(|peer, now, hands| {
            if peer.deadline() <= now {
                peer.handle_timeout(now, hands);
            }
        })
    }

    /// Ends the session.
    pub fn end(mut self) {
        self.peer.end(self.now, &Leave::Ended(EndReason::Shutdown), &mut self.batch);
    }

    fn call(&mut self, act: impl FnOnce(&mut Peer, Instant, &mut Hands<'_>)) -> Vec<Vec<u8>> {
        self.sent.0.take();
        let mut events = Vec::new();
        if !self.gone {
            act(&mut self.peer, self.now, &mut Hands { batch: &mut self.batch, events: &mut events });
        }
        for event in events {
            match event {
                peer::Event::PathAdded(_) | peer::Event::PathRemoved(_) => {}
                peer::Event::Connected(viewer) => {
                    self.connected = true;
                    viewer.into_iter().for_each(|viewer| self.seat(*viewer));
                }
                peer::Event::Gone(_) => self.gone = true,
            }
        }
        self.batch.flush();
        self.sent.0.take()
    }

    /// Takes a packet without its protection, `after` the one before; gives how many datagrams were sent upon it.
    pub fn packet(&mut self, after: Duration, is_rtcp: bool, plain: &[u8]) -> usize {
        self.now += after;
        let plain = Bytes::copy_from_slice(plain);
        let sent = self.call(|peer, now, hands| {
            peer.opened(now, is_rtcp, plain, hands.batch);
            peer.publish(now, hands.batch);
        });
        sent.len()
    }

    /// Gives a viewer a place in a feed with some packets.
    fn seat(&mut self, viewer: Viewer) {
        let negotiated = &self.negotiated;
        let mut feed = Feed::new(self.stream.clone(), Takes::new(negotiated));
        let viewer = Rc::new(RefCell::new(viewer));
        feed.join(self.now, viewer.clone(), &mut self.batch);
        let mut events = Vec::new();
        if negotiated
            .section(MediaKind::Video)
            .is_some_and(|s| s.codecs.iter().any(|c| c.codec == Codec::Vp8))
        {
            events.push(Event::Params(CodecParams::Vp8));
        }
        let packets = (0..50).map(|sequence| Packet {
            sequence,
            ticks: sequence * 3_000,
            time: Timestamp::from_millis(sequence * 33),
            marker: true,
            keyframe: sequence == 0,
            extensions: Extensions::default(),
            payload: Bytes::from_static(&[0x10; 1_000]),
        });
        events
            .extend(PacketGroup::new(packets.collect()).map(|group| Event::Packets(MediaKind::Video, group)));
        feed.distribute(self.now, Layer::BEST, &mut events, &mut self.batch);
        self.peer.set_place(Place { viewer, feed: Rc::new(RefCell::new(feed)) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rtcp::write;

    const WHEP: &str = include_str!("../../../tests/data/sdp/chromium-whep.sdp");
    const WHIP: &str = include_str!("../../../tests/data/sdp/chromium-whip.sdp");

    #[test]
    fn retransmissions_are_budgeted() {
        let mut harness = Harness::viewer(WHEP).unwrap();
        let all: Vec<u16> = (0..=u16::MAX).collect();
        // No more than fit into a datagram each.
        let nack = |lost: &[u16]| {
            let mut nack = Vec::new();
            write::nack(&mut nack, Ssrc(9), Ssrc(SOURCES[1]), lost);
            nack
        };
        let nacks: Vec<_> = all.chunks(5_000).map(nack).collect();
        let mut ask = |after: u64| -> usize {
            harness.pass(Duration::from_millis(after));
            nacks.iter().map(|nack| harness.packet(Duration::ZERO, true, nack)).sum()
        };
        // Each of the 50 packets once; asked again at once, none; later, until 256 KiB are used up.
        assert_eq!(ask(0), 50);
        assert_eq!(ask(1), 18, "those that were not remembered");
        let mut sent = 68;
        for _ in 0..20 {
            sent += ask(50);
        }
        assert!((250..=274).contains(&sent), "{sent}");
    }

    #[test]
    fn a_publisher_without_keys_is_sent_nothing() {
        let mut harness = Harness::publisher(WHIP).unwrap();
        assert_eq!(
            harness.packet(Duration::ZERO, false, &[0x80, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xfc]),
            0
        );
    }
}
