//! The targets: plain functions of bytes, each with seeds that reach deep into what it reads.

mod codec;
mod dtls;
mod ice;
mod member;
mod mp4;
mod payload;
mod peer;
mod room_api;
mod rtmp;
mod rtp;
mod sdp;
mod srtp;
mod webm;

/// One thing that reads bytes from the network, or from a file.
pub(crate) struct Target {
    /// Its name.
    pub(crate) name: &'static str,
    /// Reads an input; it must return.
    pub(crate) run: fn(&[u8]),
    /// Inputs to begin with, valid ones among them.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub(crate) const ALL: &[Target] = &[
    Target { name: "rtmp_chunks", run: rtmp::chunks, seeds: rtmp::chunk_seeds },
    Target { name: "rtmp_session", run: rtmp::session, seeds: rtmp::session_seeds },
    Target { name: "rtmp_member", run: member::calls, seeds: member::seeds },
    Target { name: "amf0", run: rtmp::amf0, seeds: rtmp::amf0_seeds },
    Target { name: "amf3", run: rtmp::amf3, seeds: rtmp::amf3_seeds },
    Target { name: "flv_audio", run: rtmp::flv_audio, seeds: rtmp::flv_seeds },
    Target { name: "flv_video", run: rtmp::flv_video, seeds: rtmp::flv_seeds },
    Target { name: "stun", run: ice::stun, seeds: ice::stun_seeds },
    Target { name: "stun_authentic", run: ice::stun_authentic, seeds: ice::attribute_seeds },
    Target { name: "dtls_hello", run: ice::dtls_hello, seeds: ice::hello_seeds },
    Target { name: "dtls_handshake", run: dtls::handshake, seeds: dtls::handshake_seeds },
    Target { name: "dtls_established", run: dtls::established, seeds: dtls::established_seeds },
    Target { name: "srtp", run: srtp::forged, seeds: srtp::seeds },
    Target { name: "srtp_authentic", run: srtp::authentic, seeds: srtp::seeds },
    Target { name: "rtp_packet", run: rtp::packet, seeds: rtp::packet_seeds },
    Target { name: "rtp_reception", run: rtp::reception, seeds: rtp::reception_seeds },
    Target { name: "rtcp", run: rtp::rtcp, seeds: rtp::rtcp_seeds },
    Target { name: "rtp_h264", run: payload::h264, seeds: payload::h264_seeds },
    Target { name: "rtp_vp8", run: payload::vp8, seeds: payload::vp8_seeds },
    Target { name: "h264_sps", run: codec::sps, seeds: codec::sps_seeds },
    Target { name: "h264_slices", run: codec::slices, seeds: codec::slice_seeds },
    Target { name: "hevc_config", run: codec::hevc_config, seeds: codec::hevc_seeds },
    Target { name: "av1_unit", run: codec::av1_unit, seeds: codec::av1_seeds },
    Target { name: "vp9_key", run: codec::vp9_key, seeds: codec::vp9_seeds },
    Target { name: "aac_config", run: codec::aac_config, seeds: codec::aac_seeds },
    Target { name: "mp4_file", run: mp4::file, seeds: mp4::file_seeds },
    Target { name: "webm_file", run: webm::file, seeds: webm::file_seeds },
    Target { name: "webrtc_publisher", run: peer::publisher, seeds: peer::publisher_seeds },
    Target { name: "webrtc_viewer", run: peer::viewer, seeds: peer::viewer_seeds },
    Target { name: "room_api_json", run: room_api::json, seeds: room_api::json_seeds },
    Target { name: "room_api_call", run: room_api::call, seeds: room_api::call_seeds },
    Target { name: "sdp_offer", run: sdp::offer, seeds: sdp::seeds },
    Target { name: "sdp_fragment", run: sdp::fragment, seeds: sdp::fragment_seeds },
];

/// The target of a name.
pub(crate) fn find(name: &str) -> &'static Target {
    ALL.iter().find(|target| target.name == name).unwrap_or_else(|| panic!("no target is called {name}"))
}

/// Cuts `input` where its own first bytes say: a stream comes in any pieces.
fn pieces(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (cut, mut rest) = input.split_first().map_or((0, input), |(cut, rest)| (usize::from(*cut), rest));
    std::iter::from_fn(move || {
        let length = if cut == 0 { rest.len() } else { cut.min(rest.len()) };
        let (piece, after) = rest.split_at(length);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}
