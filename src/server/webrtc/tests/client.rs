//! A small WebRTC client over real sockets: full ICE as far as one check goes, DTLS client, SRTP.

use super::super::dtls::{Dtls, Identity, Progress};
use crate::codec::MediaKind;
use crate::protocol::ice::probe::answer;
use crate::protocol::ice::{Agent, Check, Credentials, Verdict, is_stun};
use crate::protocol::rtp::{Extension, ExtensionIds, Header, Ssrc, Values};
use crate::protocol::sdp::{DtlsRole, Offer};
use crate::protocol::srtp::{Keys, Opener, Sealer};
use crate::time::RtpTime;
use rtc_crypto::RTCCryptoProvider;
use rtc_stun::attributes::{
    ATTR_ICE_CONTROLLED, ATTR_ICE_CONTROLLING, ATTR_USE_CANDIDATE, ATTR_USERNAME, AttrType,
};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_REQUEST, Message, Setter, TransactionId};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// Nothing on loopback takes longer, even on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
pub(super) const OPUS: u8 = 111;
pub(super) const H264: u8 = 96;
pub(super) const RTX: u8 = 97;

pub(super) struct Client {
    crypto: Arc<dyn RTCCryptoProvider>,
    identity: Identity,
    server: SocketAddr,
    io: Io,
    username: String,
    password: String,
    dtls: Option<Dtls>,
    media: Option<(Sealer, Opener)>,
    pub(super) profile: &'static str,
}

enum Io {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

/// What the server sent.
#[derive(Debug)]
pub(super) enum Incoming {
    /// STUN or DTLS.
    Other,
    /// A request for a sign of life, which has been answered.
    Asked,
    Rtp(Vec<u8>),
    Rtcp(Vec<u8>),
    Closed,
}

struct Raw(AttrType, Vec<u8>);

impl Setter for Raw {
    fn add_to(&self, message: &mut Message) -> rtc_shared::error::Result<()> {
        message.add(self.0, &self.1);
        Ok(())
    }
}

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Client {
    pub(super) async fn udp(server: SocketAddr) -> Self {
        Self::new(server, Io::Udp(udp(server).await))
    }

    pub(super) async fn tcp(server: SocketAddr) -> Self {
        Self::new(server, Io::Tcp(TcpStream::connect(server).await.unwrap()))
    }

    fn new(server: SocketAddr, io: Io) -> Self {
        let identity = Identity::generate().unwrap();
        Self {
            crypto: identity.crypto(),
            identity,
            server,
            io,
            username: String::new(),
            password: String::new(),
            dtls: None,
            media: None,
            profile: "",
        }
    }

    /// An offer of Opus and H.264 with retransmissions; `direction` as seen from here.
    pub(super) fn offer(&self, direction: &str) -> String {
        self.offer_of(direction, &[MediaKind::Audio, MediaKind::Video])
    }

    /// The same with sections of these kinds, named 0 and so on. It has no candidates, as those of browsers that do not
    /// wait for any.
    pub(super) fn offer_of(&self, direction: &str, kinds: &[MediaKind]) -> String {
        let fingerprint = self.identity.fingerprint();
        let section = |kind: &str, mid: usize, formats: &str, lines: &str| {
            format!(
                "m={kind} 9 UDP/TLS/RTP/SAVPF {formats}\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na={direction}\r\na=rtcp-mux\r\n\
                 a=rtcp-rsize\r\na=ice-ufrag:test\r\na=ice-pwd:passwordpasswordpassword\r\na=fingerprint:{fingerprint}\r\n\
                 a=setup:actpass\r\na=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
                 a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n{lines}"
            )
        };
        let audio =
            |mid| section("audio", mid, "111", "a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\n");
        let video = |mid| {
            section(
                "video",
                mid,
                "96 97",
                "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;profile-level-id=42e01f\r\na=rtcp-fb:96 nack\r\n\
             a=rtcp-fb:96 nack pli\r\na=rtcp-fb:96 transport-cc\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n",
            )
        };
        let mids: String = (0..kinds.len()).map(|mid| format!(" {mid}")).collect();
        let sections = kinds.iter().enumerate().map(|(mid, kind)| match kind {
            MediaKind::Audio => audio(mid),
            MediaKind::Video => video(mid),
        });
        let sections: String = sections.collect();
        format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE{mids}\r\n{sections}")
    }

    /// Checks, shakes hands, has keys.
    pub(super) async fn connect(&mut self, answer: &str) {
        self.take_answer(answer);
        self.check(true).await;
        assert!(matches!(self.next().await, Incoming::Other), "the response comes first");
        self.begin_dtls().await;
        while self.media.is_none() {
            assert!(!matches!(self.next().await, Incoming::Closed), "the handshake failed");
        }
    }

    /// Sends the ClientHello.
    pub(super) async fn begin_dtls(&mut self) {
        self.dtls.as_mut().unwrap().begin(now()).unwrap();
        self.flush().await;
    }

    pub(super) fn take_answer(&mut self, answer: &str) {
        let answer = Offer::parse(answer).unwrap();
        let section = &answer.sections[0];
        let credentials = section.credentials.clone().unwrap();
        self.username = format!("{}:test", credentials.ufrag);
        self.password = credentials.password;
        self.dtls = Some(Dtls::new(self.identity.clone(), DtlsRole::Client, section.fingerprints.clone()));
    }

    /// Sends a check.
    pub(super) async fn check(&mut self, nominates: bool) {
        let request = self.check_bytes(nominates, &self.password);
        self.send(&request).await;
    }

    pub(super) fn check_bytes(&self, nominates: bool, password: &str) -> Vec<u8> {
        self.check_as(ATTR_ICE_CONTROLLING, nominates, password)
    }

    /// An authentic check that is refused, as the server never takes the other role.
    pub(super) fn controlled_check(&self) -> Vec<u8> {
        self.check_as(ATTR_ICE_CONTROLLED, false, &self.password)
    }

    fn check_as(&self, role: AttrType, nominates: bool, password: &str) -> Vec<u8> {
        let integrity = MessageIntegrity::new_short_term_integrity_with_provider(
            password.to_owned(),
            self.crypto.crypto(),
        );
        let (username, role) =
            (Raw(ATTR_USERNAME, self.username.clone().into_bytes()), Raw(role, vec![1; 8]));
        let (nominate, id) = (Raw(ATTR_USE_CANDIDATE, Vec::new()), TransactionId::new());
        let mut parts: Vec<&dyn Setter> = vec![&BINDING_REQUEST, &id, &username, &role];
        parts.extend(nominates.then_some(&nominate as &dyn Setter));
        parts.extend([&integrity as &dyn Setter, &FINGERPRINT]);
        let mut message = Message::new();
        message.write_header();
        parts.iter().for_each(|part| part.add_to(&mut message).unwrap());
        message.raw
    }

    /// Goes on from another address, as a phone does that changes networks.
    pub(super) async fn move_to_another_address(&mut self) {
        self.io = Io::Udp(udp(self.server).await);
    }

    /// What comes next; DTLS is answered on the way.
    pub(super) async fn next(&mut self) -> Incoming {
        timeout(PATIENCE, self.receive()).await.expect("nothing has come")
    }

    /// The next RTP packet of a payload type, and whatever RTCP came before it is lost.
    pub(super) async fn next_rtp(&mut self, payload_type: u8) -> Vec<u8> {
        loop {
            match self.next().await {
                Incoming::Rtp(packet) if packet[1] & 0x7f == payload_type => return packet,
                Incoming::Closed => panic!("closed"),
                _ => {}
            }
        }
    }

    /// The first RTCP datagram that `wanted` says yes to.
    pub(super) async fn next_rtcp(&mut self, mut wanted: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
        loop {
            match self.next().await {
                Incoming::Rtcp(packet) if wanted(&packet) => return packet,
                Incoming::Closed => panic!("closed"),
                _ => {}
            }
        }
    }

    pub(super) async fn send_rtp(&mut self, header: Header, transport_cc: Option<u16>, payload: &[u8]) {
        self.send_with(header, Values { transport_cc, ..Values::default() }, payload).await;
    }

    /// Sends a packet with these header extensions, of those that have an id in offers here.
    pub(super) async fn send_with(&mut self, header: Header, values: Values<'_>, payload: &[u8]) {
        let mut ids = ExtensionIds::default();
        for (extension, id) in [
            (Extension::Mid, 1),
            (Extension::TransportCc, 3),
            (Extension::Rid, 4),
            (Extension::RepairedRid, 5),
        ] {
            ids.insert(extension, id);
        }
        let header_len = Header::written_len(&values, &ids);
        let (sealer, _) = self.media.as_ref().unwrap();
        let mut packet = Vec::new();
        header.write(&values, &ids, &mut packet);
        packet.resize(header_len + payload.len() + sealer.overhead(), 0);
        assert!(sealer.seal_rtp(
            &mut packet,
            header_len,
            header.ssrc.0,
            header.sequence.into(),
            &[],
            payload
        ));
        self.send(&packet).await;
    }

    pub(super) async fn send_rtcp(&mut self, plain: &[u8]) {
        let (sealer, _) = self.media.as_mut().unwrap();
        let mut packet = Vec::new();
        assert!(sealer.seal_rtcp(&mut packet, plain));
        self.send(&packet).await;
    }

    /// Says goodbye by DTLS.
    pub(super) async fn close(&mut self) {
        self.dtls.as_mut().unwrap().close(now());
        self.flush().await;
    }

    pub(super) async fn send(&mut self, datagram: &[u8]) {
        match &mut self.io {
            Io::Udp(socket) => {
                socket.send(datagram).await.unwrap();
            }
            Io::Tcp(stream) => {
                stream.write_u16(datagram.len() as u16).await.unwrap();
                stream.write_all(datagram).await.unwrap();
            }
        }
    }

    async fn flush(&mut self) {
        while let Some(datagram) = self.dtls.as_mut().and_then(Dtls::poll_transmit) {
            self.send(&datagram).await;
        }
    }

    async fn receive(&mut self) -> Incoming {
        let datagram = match &mut self.io {
            Io::Udp(socket) => {
                let mut buffer = vec![0; 2_048];
                let length = socket.recv(&mut buffer).await.unwrap();
                buffer.truncate(length);
                buffer
            }
            Io::Tcp(stream) => {
                let Ok(length) = stream.read_u16().await else { return Incoming::Closed };
                let mut buffer = vec![0; length.into()];
                stream.read_exact(&mut buffer).await.unwrap();
                buffer
            }
        };
        match datagram[0] {
            _ if is_stun(&datagram) => {
                // A request for a sign of life, which has to come with our password.
                if let Ok(request) = Check::parse(&datagram) {
                    assert!(request.is_authentic("passwordpasswordpassword", &*self.crypto));
                    let transaction = datagram[8..20].try_into().unwrap();
                    self.send(&answer(transaction, "passwordpasswordpassword")).await;
                    return Incoming::Asked;
                }
                Incoming::Other
            }
            20..=63 => {
                let progress = self.dtls.as_mut().unwrap().handle(now(), &datagram);
                self.flush().await;
                match progress {
                    Ok(Progress::Connected(connected)) => self.use_keys(&connected.keys),
                    Ok(Progress::None) => {}
                    Ok(Progress::Closed) | Err(_) => return Incoming::Closed,
                }
                // The handshake may have led to keys: the caller looks.
                Incoming::Other
            }
            _ => {
                let (_, opener) = self.media.as_mut().unwrap();
                if matches!(datagram[1], 192..=223) {
                    return Incoming::Rtcp(opener.open_rtcp(&datagram).unwrap().to_vec());
                }
                Incoming::Rtp(opener.open_rtp(&datagram).unwrap().to_vec())
            }
        }
    }

    fn use_keys(&mut self, keys: &Keys) {
        self.profile = keys.profile.as_str();
        self.media = Some((Sealer::new(keys.profile, &keys.local), Opener::new(keys).unwrap()));
    }
}

async fn udp(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server).await.unwrap();
    socket
}

/// The header of the test publisher's packets.
pub(super) fn header(payload_type: u8, sequence: u16, marker: bool) -> Header {
    let (ssrc, ticks) = if payload_type == OPUS { (Ssrc(1), 960) } else { (Ssrc(2), 3_000) };
    let timestamp = RtpTime(u32::from(sequence) * ticks);
    Header { marker, payload_type, sequence, timestamp, ssrc }
}

#[test]
fn the_client_and_an_agent_understand_each_other() {
    let identity = Identity::generate().unwrap();
    let credentials =
        Credentials { ufrag: "ours".to_owned(), password: "passwordpasswordpassword".to_owned() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let mut client = Client::udp(server).await;
        client.username = "ours:test".to_owned();
        client.password = credentials.password.clone();
        let check = Check::parse(&client.check_bytes(true, &client.password)).unwrap();
        let mut agent = Agent::new(credentials, identity.crypto(), now());
        assert!(matches!(agent.handle_check(now(), 0, server, &check), Verdict::Accepted { .. }));
    });
}
