//! Offers, which anybody may post.

use commonroom::codec::Codec;
use commonroom::protocol::rtp::Ssrc;
use commonroom::protocol::sdp::{
    Fingerprint, HashKind, HostCandidate, Local, Offer, Sending, Track, TransportKind, Want, answer,
};
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
    let _ = answer(&offer, &local, &Want::Receive);
    for codec in [Codec::H264, Codec::Vp8] {
        let sending = Sending {
            tracks: &[Track { codec, profile: None }, Track { codec: Codec::Opus, profile: None }],
            stream_id: "stream",
            cname: "commonroom",
            audio: Ssrc(1),
            video: Ssrc(2),
            video_rtx: Ssrc(3),
        };
        let _ = answer(&offer, &local, &Want::Send(sending));
    }
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
