//! Which of a section's codecs and header extensions are agreed to.

use super::answer::Sending;
use super::format::{Feedback, Format, PayloadFormat};
use super::negotiated::AcceptedCodec;
use super::section::{Direction, OfferedSection};
use crate::codec::{Codec, MediaKind};
use crate::protocol::rtp::{Extension, ExtensionIds};

/// The one codec to receive. H.264 comes first, as RTMP and MP4 carry no other picture: a payload type that all browsers
/// decode, and rather one that may be fragmented (packetization mode 1).
pub(super) fn to_receive(section: &OfferedSection, kind: MediaKind) -> Option<AcceptedCodec> {
    let accepted = section.formats.iter().filter_map(|format| accept(section, format, kind, false));
    // Of equals the first counts.
    accepted.min_by_key(|accepted| match accepted.format {
        Format::H264(h264) if h264.profile.is_common() => (0, h264.is_single_nal()),
        Format::Vp8 => (1, false),
        Format::H264(h264) => (2, h264.is_single_nal()),
        _ => (0, false),
    })
}

/// All known codecs: those of the stream's tracks first, of H.264 the payload type that suits the stream best; then in
/// the offer's order. Packetization mode 0 only where there is no mode 1, and not for a stream that needs fragments: its
/// NAL units do not fit a packet each.
pub(super) fn to_send(
    section: &OfferedSection,
    kind: MediaKind,
    sending: &Sending<'_>,
) -> Vec<AcceptedCodec> {
    let single_nal = |codec: &AcceptedCodec| match codec.format {
        Format::H264(h264) => Some(h264.is_single_nal()),
        _ => None,
    };
    let fragments = sending.tracks.iter().any(|track| track.codec == Codec::H264 && !track.single_nal);
    let mut codecs: Vec<AcceptedCodec> =
        section.formats.iter().filter_map(|format| accept(section, format, kind, true)).collect();
    if fragments || codecs.iter().any(|codec| single_nal(codec) == Some(false)) {
        codecs.retain(|codec| single_nal(codec) != Some(true));
    }
    // Packets are numbered or not, whichever codec they are of.
    if !codecs.iter().all(|codec| codec.feedback.transport_cc) {
        codecs.iter_mut().for_each(|codec| codec.feedback.transport_cc = false);
    }
    let at = |codec: &AcceptedCodec| sending.tracks.iter().position(|track| track.codec == codec.codec);
    // A stable sort keeps the offer's order among equals.
    codecs.sort_by_key(|codec| match at(codec).and_then(|at| Some((at, sending.tracks.get(at)?))) {
        Some((at, track)) => (at, codec.misfit(track.profile)),
        None => (usize::MAX, 0),
    });
    codecs
}

fn accept(
    section: &OfferedSection,
    format: &PayloadFormat,
    kind: MediaKind,
    sends: bool,
) -> Option<AcceptedCodec> {
    let codec = format.format.codec().filter(|codec| codec.kind() == kind)?;
    // Whoever has Opus has no use for the sound of a telephone.
    let has_opus = || section.formats.iter().any(|format| matches!(format.format, Format::Opus(_)));
    if matches!(format.format, Format::G711(_)) && has_opus() {
        return None;
    }
    let is_video = kind == MediaKind::Video;
    // Feedback of arrivals would be empty without the sequence numbers that it speaks of.
    let numbered = section.extensions.iter().any(|offered| offered.extension == Extension::TransportCc);
    let ours = Feedback { nack: true, pli: is_video, fir: is_video, transport_cc: numbered };
    let mut feedback = format.feedback.and(ours);
    let rtx = section.rtx_for(format.payload_type).filter(|_| is_video && feedback.nack);
    // A packet that is sent again on the same source must be the same to the last bit, and a number makes it another.
    if sends && rtx.is_none() && feedback.nack && feedback.transport_cc {
        (feedback.nack, feedback.transport_cc) = (is_video, !is_video);
    }
    Some(AcceptedCodec { codec, payload_type: format.payload_type, rtx, format: format.format, feedback })
}

/// The header extensions that somebody here reads or writes.
pub(super) fn extensions(
    section: &OfferedSection,
    kind: MediaKind,
    direction: Direction,
    codecs: &[AcceptedCodec],
) -> ExtensionIds {
    let is_numbered = codecs.iter().all(|codec| codec.feedback.transport_cc);
    let mut ids = ExtensionIds::default();
    for offered in &section.extensions {
        let useful = match offered.extension {
            Extension::Mid => true,
            Extension::TransportCc => direction.receives() || is_numbered,
            Extension::AudioLevel => kind == MediaKind::Audio,
            Extension::Rid | Extension::RepairedRid => direction.receives() && !section.encodings.is_empty(),
            Extension::AbsSendTime | Extension::Orientation => false,
        };
        let flows = if direction.sends() { offered.direction.receives() } else { offered.direction.sends() };
        if useful && flows && ids.get(offered.extension).is_none() && ids.extension(offered.id).is_none() {
            ids.insert(offered.extension, offered.id);
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::super::{Offer, ProfileLevelId, Track};
    use super::*;
    use crate::protocol::rtp::Ssrc;

    const H264_HIGH: Track = Track {
        codec: Codec::H264,
        profile: Some(ProfileLevelId { profile: 0x64, constraints: 0, level: 0x28 }),
        single_nal: false,
    };

    fn section(lines: &str) -> OfferedSection {
        Offer::parse(&format!("v=0\n{lines}")).unwrap().sections.remove(0)
    }

    /// A section of pictures: payload types with their `a=rtpmap` and `a=fmtp`.
    fn video(formats: &[(u8, &str, &str)]) -> OfferedSection {
        let list: String = formats.iter().map(|(pt, ..)| format!(" {pt}")).collect();
        let lines = formats
            .iter()
            .map(|(pt, name, fmtp)| format!("a=rtpmap:{pt} {name}/90000\na=fmtp:{pt} {fmtp}\n"));
        section(&format!("m=video 9 UDP/TLS/RTP/SAVPF{list}\n{}", lines.collect::<String>()))
    }

    fn received(formats: &[(u8, &str, &str)]) -> u8 {
        to_receive(&video(formats), MediaKind::Video).unwrap().payload_type
    }

    fn sent(formats: &[(u8, &str, &str)], tracks: &[Track]) -> Vec<u8> {
        let [audio, video_, video_rtx] = [1, 2, 3].map(Ssrc);
        let sending =
            Sending { tracks, lacks: &[], stream_id: "s", cname: "c", audio, video: video_, video_rtx };
        to_send(&video(formats), MediaKind::Video, &sending).iter().map(|codec| codec.payload_type).collect()
    }

    const MODE_0: &str = "profile-level-id=42e01f";
    const MODE_1: &str = "profile-level-id=42e01f;packetization-mode=1";

    #[test]
    fn the_h264_payload_type_to_receive() {
        let strange = "profile-level-id=f4001f;packetization-mode=1";
        assert_eq!(received(&[(100, "H264", MODE_0), (101, "H264", MODE_1)]), 101);
        assert_eq!(received(&[(100, "H264", MODE_0)]), 100);
        assert_eq!(received(&[(100, "H264", strange), (101, "H264", MODE_0)]), 101);
        assert_eq!(received(&[(100, "H264", strange)]), 100);
        assert_eq!(received(&[(99, "VP8", ""), (100, "H264", MODE_0)]), 100, "what RTMP can carry");
        assert_eq!(received(&[(100, "H264", strange), (99, "VP8", "")]), 99, "what all browsers decode");
        assert_eq!(received(&[(99, "VP8", ""), (98, "VP8", "")]), 99, "the first of equals");
    }

    #[test]
    fn the_h264_payload_type_to_send() {
        let tracks = [H264_HIGH];
        assert_eq!(sent(&[(100, "H264", MODE_0), (101, "H264", MODE_1)], &tracks), [101]);
        let single = [Track { single_nal: true, ..H264_HIGH }];
        assert_eq!(sent(&[(100, "H264", MODE_0), (101, "H264", MODE_1)], &single), [101]);
        assert_eq!(sent(&[(100, "H264", MODE_0)], &single), [100]);
        assert_eq!(sent(&[(100, "H264", MODE_0)], &[]), [100], "nothing is known of the stream yet");
        assert!(sent(&[(100, "H264", MODE_0)], &tracks).is_empty(), "mode 0 has no fragments");
        assert_eq!(sent(&[(100, "H264", MODE_0), (99, "VP8", "")], &tracks), [99]);
    }

    #[test]
    fn g711_is_for_those_who_have_nothing_better() {
        let of = |lines: &str| section(&format!("m=audio 9 UDP/TLS/RTP/SAVPF {lines}"));
        let received = |lines| to_receive(&of(lines), MediaKind::Audio).map(|codec| codec.payload_type);
        assert_eq!(received("0 8\n"), Some(0), "static, and the first of equals");
        assert_eq!(received("101 8\na=rtpmap:8 PCMA/8000\na=rtpmap:101 telephone-event/8000\n"), Some(8));
        assert_eq!(received("0 8 111\na=rtpmap:111 opus/48000/2\n"), Some(111));
        assert_eq!(received("9\na=rtpmap:9 G722/8000\n"), None);
    }

    #[test]
    fn extensions_go_the_way_the_offer_lets_them() {
        let (mid, level) = (Extension::Mid.uri(), Extension::AudioLevel.uri());
        let audio = section(&format!(
            "m=audio 9 UDP/TLS/RTP/SAVPF 111\na=extmap:1/recvonly {mid}\na=extmap:2 {level}\na=extmap:15 {mid}\n"
        ));
        let ids = extensions(&audio, MediaKind::Audio, Direction::RecvOnly, &[]);
        assert_eq!((ids.get(Extension::Mid), ids.get(Extension::AudioLevel)), (None, Some(2)));
        let ids = extensions(&audio, MediaKind::Audio, Direction::SendOnly, &[]);
        assert_eq!(ids.get(Extension::Mid), Some(1));
    }
}
