//! What an offer lacks when no session comes about, in words for whoever made it.

use super::answer::{Verdict, Want};
use super::format::Format;
use super::negotiated::Accepted;
use super::offer::Offer;
use super::{Refusal, SdpError};
use crate::codec::Codec;
use std::borrow::Cow;

/// What can be received and sent, and the needs named when an offer has none of them.
const CODECS: [Codec; 3] = [Codec::Opus, Codec::H264, Codec::Vp8];

/// Whether what was accepted makes a session.
pub(super) fn check(
    offer: &Offer,
    want: &Want<'_>,
    accepted: &[Accepted],
    verdicts: &[Verdict],
) -> Result<(), SdpError> {
    let tracks = match want {
        Want::Receive => &[][..],
        Want::Send(sending) => sending.tracks,
    };
    let has = |codec| accepted.iter().any(|section| section.codecs.iter().any(|c| c.codec == codec));
    if !accepted.is_empty() && (tracks.is_empty() || tracks.iter().any(|track| has(track.codec))) {
        return Ok(());
    }
    if accepted.is_empty() && verdicts.iter().any(|verdict| matches!(verdict, Verdict::Idle(_))) {
        return Err(Refusal::Direction.into());
    }
    let sections = offer.sections.iter().filter(|section| section.media_kind().is_some());
    // Who offers H.264 is to learn what is wrong with it.
    let mut single_nal_alone = false;
    let mut offered: Vec<Cow<'_, str>> = sections
        .flat_map(|section| &section.formats)
        .map(|format| match format.format {
            Format::H264(h264) if h264.is_single_nal() && !tracks.is_empty() => {
                single_nal_alone = true;
                "H264 in packetization-mode 0".into()
            }
            _ if format.name.is_empty() => unnamed(format.payload_type),
            _ => format.name.as_str().into(),
        })
        .collect();
    offered.retain(|name| !name.eq_ignore_ascii_case("rtx"));
    offered.dedup();
    let needed: Vec<&str> = match tracks {
        [] => CODECS.map(Codec::as_str).to_vec(),
        tracks => tracks
            .iter()
            .map(|track| match track.codec {
                Codec::H264 if single_nal_alone => "H264 in packetization-mode 1",
                codec => codec.as_str(),
            })
            .collect(),
    };
    Err(SdpError::NoCommonCodec { offered: offered.join(", "), needed: needed.join(", ") })
}

/// What a payload type without `a=rtpmap` stands for (RFC 3551, section 6).
fn unnamed(payload_type: u8) -> Cow<'static, str> {
    let name = match payload_type {
        0 => "PCMU",
        3 => "GSM",
        8 => "PCMA",
        9 => "G722",
        13 => "CN",
        18 => "G729",
        26 => "JPEG",
        34 => "H263",
        other => return format!("payload type {other}").into(),
    };
    name.into()
}
