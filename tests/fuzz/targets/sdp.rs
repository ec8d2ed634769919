//! Offers and trickled candidates, which anybody may post.

use commonroom::codec::Codec;
use commonroom::protocol::rtp::Ssrc;
use commonroom::protocol::sdp::{
    Fingerprint, HashKind, HostCandidate, Local, Offer, Sending, Track, TransportKind, Want, answer,
};
use commonroom::protocol::whip::Fragment;
use std::net::{Ipv4Addr, SocketAddr};

/// An offer, answered for a publisher and for viewers of both codecs.
pub(crate) fn offer(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(offer) = Offer::parse(&text) else { return };
    let fingerprint = Fingerprint::new(HashKind::Sha256, vec![7; 32]).expect("32 bytes");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 8189));
    let local = Local {
        ufrag: "ours",
        password: "secretsecretsecretsecret",
        fingerprint: &fingerprint,
        candidates: &[HostCandidate { address, transport: TransportKind::Udp }],
        session_id: 1,
    };
    let respond = |want: &Want<'_>| {
        let Ok((text, negotiated)) = answer(&offer, &local, want) else { return };
        // Nothing of an offer may become a line of its own in the answer.
        let again = Offer::parse(&text).expect("what we write we can read");
        assert_eq!(again.sections.len(), offer.sections.len(), "section by section");
        assert!(again.ice_lite && !negotiated.sections.is_empty() && negotiated.sections.len() <= 2);
        assert!(text.lines().all(|line| line.as_bytes().get(1) == Some(&b'=')));
    };
    respond(&Want::Receive);
    for (codec, single_nal) in [(Codec::H264, false), (Codec::H264, true), (Codec::Vp8, false)] {
        let sending = Sending {
            lacks: &[],
            tracks: &[
                Track { codec, profile: None, single_nal },
                Track { codec: Codec::Opus, profile: None, single_nal: false },
            ],
            stream_id: "stream",
            cname: "commonroom",
            audio: Ssrc(1),
            video: Ssrc(2),
            video_rtx: Ssrc(3),
        };
        respond(&Want::Send(sending));
    }
}

/// The body of a PATCH.
pub(crate) fn fragment(input: &[u8]) {
    if let Ok(fragment) = Fragment::parse(&String::from_utf8_lossy(input)) {
        assert!(fragment.candidates.len() <= input.len() / 30, "each takes a line");
    }
}

pub(crate) fn fragment_seeds() -> Vec<Vec<u8>> {
    let whole = "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:EsAw\r\n\
                 a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n\
                 a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw\r\n\
                 a=candidate:2 1 tcp 1518280447 fd00::1 9 typ srflx raddr 0.0.0.0 rport 0 tcptype active\r\n\
                 a=end-of-candidates\r\n";
    vec![whole.into(), whole.replace("\r\n", "\n").into()]
}

/// Offers of real clients.
const OFFERS: &[&[u8]] = &[
    include_bytes!("../../data/sdp/aiortc-whep.sdp"),
    include_bytes!("../../data/sdp/aiortc-whip.sdp"),
    include_bytes!("../../data/sdp/chromium-whep.sdp"),
    include_bytes!("../../data/sdp/chromium-whip-h264.sdp"),
    include_bytes!("../../data/sdp/chromium-whip.sdp"),
    include_bytes!("../../data/sdp/ffmpeg9-whip.sdp"),
    include_bytes!("../../data/sdp/firefox-whep.sdp"),
    include_bytes!("../../data/sdp/firefox-whip.sdp"),
    include_bytes!("../../data/sdp/gstreamer-whip.sdp"),
    include_bytes!("../../data/sdp/str0m-whep.sdp"),
    include_bytes!("../../data/sdp/str0m-whip.sdp"),
];

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    OFFERS.iter().map(|offer| offer.to_vec()).collect()
}
