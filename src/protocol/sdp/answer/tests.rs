//! Offers of real clients, and what they get.

use super::super::{Feedback, HashKind, Rid};
use super::*;

const CHROMIUM_WHIP: &str = include_str!("../../../../tests/data/sdp/chromium-whip.sdp");
const CHROMIUM_WHIP_H264: &str = include_str!("../../../../tests/data/sdp/chromium-whip-h264.sdp");
const CHROMIUM_WHEP: &str = include_str!("../../../../tests/data/sdp/chromium-whep.sdp");
const FIREFOX_WHIP: &str = include_str!("../../../../tests/data/sdp/firefox-whip.sdp");
const FIREFOX_WHEP: &str = include_str!("../../../../tests/data/sdp/firefox-whep.sdp");
const FFMPEG_WHIP: &str = include_str!("../../../../tests/data/sdp/ffmpeg9-whip.sdp");
const GSTREAMER_WHIP: &str = include_str!("../../../../tests/data/sdp/gstreamer-whip.sdp");
const AIORTC_WHIP: &str = include_str!("../../../../tests/data/sdp/aiortc-whip.sdp");
const AIORTC_WHEP: &str = include_str!("../../../../tests/data/sdp/aiortc-whep.sdp");
const STR0M_WHIP: &str = include_str!("../../../../tests/data/sdp/str0m-whip.sdp");
const STR0M_WHEP: &str = include_str!("../../../../tests/data/sdp/str0m-whep.sdp");

const H264_HIGH: Track = Track {
    codec: Codec::H264,
    profile: Some(ProfileLevelId { profile: 0x64, constraints: 0, level: 0x28 }),
    single_nal: false,
};
const OPUS: Track = Track { codec: Codec::Opus, profile: None, single_nal: false };

fn respond(offer: &str, want: &Want<'_>) -> Result<(String, Negotiated), SdpError> {
    let fingerprint = Fingerprint::new(HashKind::Sha256, vec![0xab; 32]).unwrap();
    let candidate = |address: &str, transport| HostCandidate { address: address.parse().unwrap(), transport };
    let candidates = [
        candidate("192.0.2.7:8189", TransportKind::Udp),
        candidate("[fd00::7]:8189", TransportKind::Udp),
        candidate("192.0.2.7:8189", TransportKind::Tcp),
    ];
    let local = Local {
        ufrag: "ours",
        password: "ourpasswordourpassword",
        fingerprint: &fingerprint,
        candidates: &candidates,
        session_id: 42,
    };
    answer(&Offer::parse(offer)?, &local, want)
}

fn receive(offer: &str) -> (String, Negotiated) {
    respond(offer, &Want::Receive).unwrap()
}

fn send(offer: &str, tracks: &[Track]) -> Result<(String, Negotiated), SdpError> {
    let sending = Sending {
        tracks,
        lacks: &[],
        stream_id: "room-ann",
        cname: "commonroom",
        audio: Ssrc(1),
        video: Ssrc(2),
        video_rtx: Ssrc(3),
    };
    respond(offer, &Want::Send(sending))
}

/// Payload type, retransmissions and codec, per codec.
fn codecs(negotiated: &Negotiated, kind: MediaKind) -> Vec<(u8, Option<u8>, Codec)> {
    let section = negotiated.section(kind).unwrap();
    section.codecs.iter().map(|c| (c.payload_type, c.rtx, c.codec)).collect()
}

/// The lines of one section, the `m=` line included.
fn section(text: &str, index: usize) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().collect();
    let starts: Vec<usize> = (0..lines.len()).filter(|i| lines[*i].starts_with("m=")).collect();
    lines[starts[index]..starts.get(index + 1).copied().unwrap_or(lines.len())].to_vec()
}

#[test]
fn a_browser_publishes() {
    let (text, agreed) = receive(CHROMIUM_WHIP);
    assert_eq!(codecs(&agreed, MediaKind::Video), [(102, Some(103), Codec::H264)], "what RTMP can carry");
    assert_eq!(codecs(&agreed, MediaKind::Audio), [(111, None, Codec::Opus)]);
    let video = agreed.section(MediaKind::Video).unwrap();
    let all = Feedback { nack: true, pli: true, fir: true, transport_cc: true };
    assert_eq!((video.codecs[0].feedback, video.direction), (all, Direction::RecvOnly));
    assert!(video.extensions.get(Extension::TransportCc).is_some() && video.local.is_none());
    assert!(video.remote.media.is_some() && video.remote.rtx.is_some());
    assert!(text.contains("\r\na=group:BUNDLE 0 1\r\n") && text.ends_with("\r\n"));
    assert_eq!(agreed.dtls, DtlsRole::Server);
    let ids = agreed.extensions();
    let audio = agreed.section(MediaKind::Audio).unwrap();
    assert!(audio.extensions.get(Extension::AudioLevel).is_some());
    assert_eq!(ids.get(Extension::AudioLevel), audio.extensions.get(Extension::AudioLevel));
    assert_eq!(ids.get(Extension::TransportCc), video.extensions.get(Extension::TransportCc));
    let reread = Offer::parse(&text).unwrap();
    assert!(reread.ice_lite && reread.sections.iter().all(|s| s.setup == Some(Setup::Passive)));

    let (_, agreed) = receive(CHROMIUM_WHIP_H264);
    assert_eq!(codecs(&agreed, MediaKind::Video), [(108, Some(109), Codec::H264)]);
    let (_, agreed) = receive(FIREFOX_WHIP);
    assert_eq!(codecs(&agreed, MediaKind::Video), [(120, Some(124), Codec::Vp8)]);
    assert!(!agreed.section(MediaKind::Audio).unwrap().reduced_size_rtcp);
}

/// An offer made from one of a browser, as a page makes it that does not wait for candidates.
fn without_candidates(offer: &str) -> String {
    let is_kept = |line: &&str| !line.starts_with("a=candidate:") && *line != "a=end-of-candidates";
    offer.lines().filter(is_kept).flat_map(|line| [line, "\r\n"]).collect()
}

#[test]
fn a_page_that_does_not_wait_for_candidates() {
    let bare = without_candidates(CHROMIUM_WHIP);
    assert!(bare.len() < CHROMIUM_WHIP.len());
    assert_eq!(receive(&bare).0, receive(CHROMIUM_WHIP).0, "candidates are of no use to us");
    let (text, _) = send(&without_candidates(CHROMIUM_WHEP), &[H264_HIGH, OPUS]).unwrap();
    assert_eq!(section(&text, 0).iter().filter(|line| line.starts_with("a=candidate:")).count(), 3);
}

#[test]
fn what_a_stream_lacks_is_inactive() {
    let lacking = |kind, tracks: &[Track]| {
        let sending = Sending {
            tracks,
            lacks: &[kind],
            stream_id: "room-ann",
            cname: "commonroom",
            audio: Ssrc(1),
            video: Ssrc(2),
            video_rtx: Ssrc(3),
        };
        respond(CHROMIUM_WHEP, &Want::Send(sending))
    };
    let (text, agreed) = lacking(MediaKind::Video, &[OPUS]).unwrap();
    assert!(agreed.section(MediaKind::Video).is_none());
    assert!(section(&text, 0).contains(&"a=inactive") && section(&text, 1).contains(&"a=sendonly"));
    assert!(section(&text, 0).iter().any(|line| line.starts_with("a=candidate:")), "first of the bundle");
    assert!(text.contains("\r\na=group:BUNDLE 0 1\r\n") && text.matches("a=msid:").count() == 1);
    let (text, _) = lacking(MediaKind::Audio, &[]).unwrap();
    assert!(section(&text, 1).contains(&"a=inactive"));
    assert!(section(&text, 0).contains(&"a=sendonly"), "the picture is not there yet, and may come");
}

#[test]
fn what_a_client_cannot_decode_is_inactive() {
    let vp8 = Track { codec: Codec::Vp8, profile: None, single_nal: false };
    let h264_alone = CHROMIUM_WHEP.replace("VP8/90000", "VP7/90000");
    let (text, agreed) = send(&h264_alone, &[vp8, OPUS]).unwrap();
    assert!(agreed.section(MediaKind::Video).is_none() && section(&text, 0).contains(&"a=inactive"));
    let error = send(&h264_alone, &[vp8]).unwrap_err();
    assert!(matches!(error, SdpError::NoCommonCodec { .. }), "{error}");
}

#[test]
fn encodings_are_agreed_to_where_packets_name_them() {
    let encodings =
        "a=rid:h send\r\na=rid:l send max-width=320\r\na=simulcast:send h;l\r\na=rtpmap:96 VP8/90000";
    let offer = CHROMIUM_WHIP.replace("a=rtpmap:96 VP8/90000", encodings);
    let (text, agreed) = receive(&offer);
    let video = agreed.section(MediaKind::Video).unwrap();
    assert_eq!(video.encodings.iter().map(Rid::as_str).collect::<Vec<_>>(), ["h", "l"]);
    assert!(
        video.extensions.get(Extension::Rid).is_some()
            && video.extensions.get(Extension::RepairedRid).is_some()
    );
    assert!(text.contains("a=rid:h recv\r\na=rid:l recv\r\na=simulcast:recv h;l\r\n"));
    assert!(text.contains(Extension::Rid.uri()) && text.contains(Extension::RepairedRid.uri()));
    let (text, agreed) = receive(&offer.replace(Extension::Rid.uri(), "urn:example:other"));
    assert!(agreed.section(MediaKind::Video).unwrap().encodings.is_empty() && !text.contains("simulcast"));
    let (text, agreed) = receive(CHROMIUM_WHIP);
    assert_eq!(agreed.extensions().get(Extension::Rid), None, "nobody would look at it");
    assert!(!text.contains("rid:"));
}

#[test]
fn sound_is_not_numbered_where_the_picture_cannot_be() {
    let numbered = |offer: &str| {
        let (text, agreed) = send(offer, &[]).unwrap();
        assert_eq!(
            agreed.extensions().get(Extension::TransportCc).is_some(),
            text.contains("transport-wide-cc")
        );
        let kinds = [MediaKind::Audio, MediaKind::Video].map(|kind| agreed.section(kind).unwrap());
        (kinds.map(Accepted::is_numbered), text.contains("transport-cc"))
    };
    assert_eq!(numbered(CHROMIUM_WHEP), ([true; 2], true));
    assert_eq!(numbered(&CHROMIUM_WHEP.replace(" rtx/", " xyz/")), ([false; 2], false));
    let (text, agreed) = receive(&CHROMIUM_WHIP.replace(" rtx/", " xyz/"));
    assert!(agreed.sections.iter().all(Accepted::is_numbered) && text.contains("transport-cc"), "they send");
}

#[test]
fn other_publishers() {
    let (text, agreed) = receive(FFMPEG_WHIP);
    assert_eq!(codecs(&agreed, MediaKind::Video), [(106, Some(105), Codec::H264)]);
    assert_eq!(agreed.dtls, DtlsRole::Client, "it offers to be passive");
    assert_eq!(text.matches("a=setup:active\r\n").count(), 2);

    let (text, agreed) = receive(GSTREAMER_WHIP);
    assert_eq!(codecs(&agreed, MediaKind::Video), [(96, None, Codec::H264)]);
    assert_eq!(codecs(&agreed, MediaKind::Audio), [(97, None, Codec::Opus)], "bundle-only");
    let feedback = agreed.section(MediaKind::Video).unwrap().codecs[0].feedback;
    assert_eq!(feedback, Feedback { nack: false, pli: true, fir: true, transport_cc: false });
    assert!(text.contains("a=group:BUNDLE video0 audio1\r\n") && !text.contains("sprop"));
    let sets = &agreed.section(MediaKind::Video).unwrap().parameter_sets;
    assert_eq!(sets.iter().map(|set| (set[0], set.len())).collect::<Vec<_>>(), [(0x67, 28), (0x68, 4)]);

    let (_, agreed) = receive(AIORTC_WHIP);
    assert_eq!(codecs(&agreed, MediaKind::Video), [(99, Some(100), Codec::H264)]);
    assert_eq!(agreed.remote.fingerprints.len(), 3);
    let (_, agreed) = receive(STR0M_WHIP);
    assert_eq!(codecs(&agreed, MediaKind::Video), [(127, Some(121), Codec::H264)]);
}

#[test]
fn the_whole_answer_to_ffmpeg() {
    let (text, _) = receive(FFMPEG_WHIP);
    let transport = "a=rtcp-mux|a=ice-ufrag:ours|a=ice-pwd:ourpasswordourpassword|a=fingerprint:sha-256 HASH|\
                     a=setup:active|";
    let expected = [
        "v=0|o=- 42 1 IN IP4 0.0.0.0|s=-|t=0 0|a=group:BUNDLE 0 1|a=ice-lite|",
        "m=audio 8189 UDP/TLS/RTP/SAVPF 111|c=IN IP4 192.0.2.7|a=mid:0|",
        transport,
        "a=candidate:1 1 udp 2130706431 192.0.2.7 8189 typ host|",
        "a=candidate:2 1 udp 2130706175 fd00::7 8189 typ host|",
        "a=candidate:3 1 tcp 1520434687 192.0.2.7 8189 typ host tcptype passive|a=end-of-candidates|",
        "a=recvonly|a=rtpmap:111 opus/48000/2|a=fmtp:111 minptime=10;stereo=1;useinbandfec=1|",
        "m=video 8189 UDP/TLS/RTP/SAVPF 106 105|c=IN IP4 192.0.2.7|a=mid:1|",
        transport,
        "a=recvonly|a=rtcp-rsize|a=rtpmap:106 H264/90000|",
        "a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001e|a=rtcp-fb:106 nack|",
        "a=rtpmap:105 rtx/90000|a=fmtp:105 apt=106|",
    ];
    let text = text.replace(&["AB"; 32].join(":"), "HASH").replace("\r\n", "|");
    assert_eq!(text, expected.concat());
}

#[test]
fn browsers_watch() {
    let (text, agreed) = send(CHROMIUM_WHEP, &[OPUS, H264_HIGH]).unwrap();
    let video = codecs(&agreed, MediaKind::Video);
    assert_eq!(video[0], (41, Some(42), Codec::H264), "4:4:4 is the one offered profile that contains High");
    assert_eq!(video.last(), Some(&(96, Some(97), Codec::Vp8)), "kept for later");
    let section_ = agreed.section(MediaKind::Video).unwrap();
    assert_eq!(section_.local, Some(LocalSources { media: Ssrc(2), rtx: Some(Ssrc(3)) }));
    assert_eq!(section_.best(Codec::Vp8, None).unwrap().payload_type, 96);
    let baseline = ProfileLevelId { profile: 0x42, constraints: 0xc0, level: 0x1e };
    assert_eq!(section_.best(Codec::H264, Some(baseline)).unwrap().payload_type, 108);
    assert!(agreed.sections.iter().all(Accepted::is_numbered), "feedback and numbers for both");
    let lines = section(&text, 0);
    for line in [
        "a=sendonly",
        "a=msid:room-ann video",
        "a=ssrc-group:FID 2 3",
        "a=ssrc:2 cname:commonroom",
        "a=ssrc:3 msid:room-ann video",
    ] {
        assert!(lines.contains(&line), "{line}");
    }
    assert!(section(&text, 1).contains(&"a=msid:room-ann audio"));
    assert!(!text.contains("packetization-mode=0"), "mode 1 is there");

    let (_, agreed) = send(CHROMIUM_WHEP, &[Track { codec: Codec::Vp8, ..OPUS }]).unwrap();
    assert_eq!(codecs(&agreed, MediaKind::Video)[0].2, Codec::Vp8);
    for offer in [FIREFOX_WHEP, AIORTC_WHEP, STR0M_WHEP] {
        let (_, agreed) = send(offer, &[H264_HIGH]).unwrap();
        assert_eq!(codecs(&agreed, MediaKind::Video)[0].2, Codec::H264);
        assert_eq!(codecs(&agreed, MediaKind::Audio)[0].2, Codec::Opus);
        assert_eq!(agreed.section(MediaKind::Video).unwrap().is_numbered(), offer != AIORTC_WHEP);
    }
}

const AUDIO: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111\na=mid:a\na=rtcp-mux\na=rtpmap:111 opus/48000/2\n";
const VIDEO: &str = "m=video 9 UDP/TLS/RTP/SAVPF 96\na=mid:v\na=rtcp-mux\na=rtpmap:96 VP8/90000\n";

/// A session in the manner of libdatachannel: transport attributes at the session level alone.
fn offer(session: &str, sections: &[&str]) -> String {
    let hash = ["01"; 32].join(":");
    let sections = sections.concat();
    format!(
        "v=0\no=rtc 1 0 IN IP4 127.0.0.1\ns=-\nt=0 0\na=msid-semantic:WMS *\na=ice-ufrag:abcd\n\
         a=ice-pwd:0123456789012345678901\na=fingerprint:sha-256 {hash}\na=setup:actpass\n{session}{sections}"
    )
}

#[test]
fn a_lone_section_needs_no_bundle() {
    let text = offer("", &[AUDIO]).replace("a=mid:a\n", "");
    let (text, agreed) = receive(&text);
    assert_eq!((agreed.sections.len(), agreed.sections[0].mid.clone()), (1, None));
    assert!(!text.contains("BUNDLE") && !text.contains("a=mid"));
    let both = offer("", &[AUDIO, VIDEO]);
    assert_eq!(respond(&both, &Want::Receive).unwrap_err(), Refusal::NotBundled.into());
}

#[test]
fn what_is_not_used_is_refused_or_idle() {
    let second = VIDEO.replace("a=mid:v", "a=mid:w");
    let unknown = "m=video 9 UDP/TLS/RTP/SAVPF 98\na=mid:x\na=rtpmap:98 VP9/90000\n";
    let data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\na=mid:d\na=sctp-port:5000\n";
    let outside = AUDIO.replace("a=mid:a", "a=mid:o");
    let bundle = "a=group:BUNDLE v w x d a\n";
    let (text, agreed) = receive(&offer(bundle, &[VIDEO, &second, unknown, data, AUDIO, &outside]));
    let kinds: Vec<_> = agreed.sections.iter().map(|s| s.mid.as_ref().unwrap().as_str()).collect();
    assert_eq!(kinds, ["v", "a"]);
    assert!(text.contains("a=group:BUNDLE v w a\r\n"), "{text}");
    let first_lines: Vec<_> = (0..6).map(|i| section(&text, i)[0].to_owned()).collect();
    assert_eq!(
        first_lines,
        [
            "m=video 8189 UDP/TLS/RTP/SAVPF 96",
            "m=video 8189 UDP/TLS/RTP/SAVPF 96",
            "m=video 0 UDP/TLS/RTP/SAVPF 98",
            "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
            "m=audio 8189 UDP/TLS/RTP/SAVPF 111",
            "m=audio 0 UDP/TLS/RTP/SAVPF 111",
        ]
    );
    assert!(section(&text, 1).contains(&"a=inactive") && !section(&text, 1).contains(&"a=recvonly"));
    assert_eq!(text.matches("a=end-of-candidates").count(), 1, "candidates of a bundle stand in one section");
}

#[test]
fn directions() {
    let recvonly = format!("{AUDIO}a=recvonly\n");
    assert_eq!(respond(&offer("", &[&recvonly]), &Want::Receive).unwrap_err(), Refusal::Direction.into());
    assert!(send(&offer("", &[&recvonly]), &[]).is_ok());
    let sendonly = format!("{VIDEO}a=sendonly\n");
    assert_eq!(send(&offer("", &[&sendonly]), &[]).unwrap_err(), Refusal::Direction.into());
    let (text, agreed) = receive(&offer("a=group:BUNDLE a v\n", &[&recvonly, VIDEO]));
    assert_eq!(agreed.sections.len(), 1);
    assert!(section(&text, 0).contains(&"a=inactive"));
}

#[test]
fn refusals() {
    let whole = offer("", &[AUDIO]);
    for (from, to, refusal) in [
        ("a=rtcp-mux\n", "", Refusal::NoRtcpMux),
        ("a=setup:actpass", "a=setup:holdconn", Refusal::HoldConn),
        ("a=ice-ufrag:abcd\n", "", Refusal::NoIce),
        ("a=fingerprint:sha-256", "a=fingerprint:sha-1", Refusal::NoFingerprint),
        ("t=0 0\n", "t=0 0\na=ice-lite\n", Refusal::IceLite),
        ("m=audio 9", "m=audio 0", Refusal::NoMedia),
        ("UDP/TLS/RTP/SAVPF", "RTP/XAVP", Refusal::Profile),
        ("m=audio", "m=text", Refusal::NoMedia),
        ("t=0 0\n", "t=0 0\na=group:BUNDLE z\n", Refusal::NotBundled),
    ] {
        let offer = whole.replace(from, to);
        assert_ne!(offer, whole, "{from}");
        assert_eq!(respond(&offer, &Want::Receive).unwrap_err(), refusal.into(), "{from}");
    }
    let plain = whole.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP");
    let (text, _) = receive(&plain);
    assert!(text.contains("m=audio 8189 RTP/AVP 111"), "the offer's own words (RFC 9429, section 5.1.2)");
    let open = plain.replace("a=fingerprint", "a=x");
    assert_eq!(respond(&open, &Want::Receive).unwrap_err(), Refusal::NoFingerprint.into(), "never in clear");
    let mixed = offer("a=group:BUNDLE a v\n", &[AUDIO, &VIDEO.replace("UDP/TLS/RTP/SAVPF", "RTP/XAVP")]);
    let (text, agreed) = receive(&mixed);
    assert!(agreed.sections.len() == 1 && text.contains("m=video 0 RTP/XAVP 96"));
    for (formats, offered) in [("3", "GSM"), ("9 18", "G722, G729"), ("35", "payload type 35")] {
        let unnamed = whole.replace(" 111\n", &format!(" {formats}\n"));
        let error = SdpError::NoCommonCodec { offered: offered.into(), needed: "opus, H264, VP8".into() };
        assert_eq!(respond(&unnamed, &Want::Receive).unwrap_err(), error, "{formats}");
    }
    let telephone = whole.replace(" 111\n", " 8 0\n");
    let (text, agreed) = receive(&telephone);
    assert!(text.contains("m=audio 8189 UDP/TLS/RTP/SAVPF 8\r\n") && text.contains("a=rtpmap:8 PCMA/8000"));
    assert_eq!(
        (codecs(&agreed, MediaKind::Audio)[0].2, agreed.sections[0].clock_rate().get()),
        (Codec::Pcma, 8_000)
    );
    let alien = whole.replace("opus/48000/2", "G722/8000");
    let error = SdpError::NoCommonCodec { offered: "G722".into(), needed: "opus, H264, VP8".into() };
    assert_eq!(respond(&alien, &Want::Receive).unwrap_err(), error);
    let error = SdpError::NoCommonCodec { offered: "opus".into(), needed: "H264".into() };
    assert_eq!(send(&whole, &[H264_HIGH]).unwrap_err(), error, "nothing that the stream has");
    assert!(send(&whole, &[H264_HIGH, OPUS]).is_ok());
}

#[test]
fn a_viewer_without_fragments_hears_instead_of_seeing() {
    let video = "m=video 9 UDP/TLS/RTP/SAVPF 96\na=mid:v\na=rtcp-mux\na=rtpmap:96 H264/90000\n";
    let both = offer("a=group:BUNDLE a v\n", &[AUDIO, video]);
    let (text, agreed) = send(&both, &[OPUS, H264_HIGH]).unwrap();
    assert!(agreed.section(MediaKind::Video).is_none() && agreed.section(MediaKind::Audio).is_some());
    assert!(section(&text, 1)[0].starts_with("m=video 0 ") && text.contains("a=group:BUNDLE a\r\n"));
    let (text, agreed) = send(&both, &[OPUS, Track { single_nal: true, ..H264_HIGH }]).unwrap();
    assert_eq!(codecs(&agreed, MediaKind::Video), [(96, None, Codec::H264)]);
    assert!(text.contains("a=fmtp:96 packetization-mode=0;"));
    let error = SdpError::NoCommonCodec {
        offered: "H264 in packetization-mode 0".into(),
        needed: "H264 in packetization-mode 1".into(),
    };
    assert_eq!(send(&offer("", &[video]), &[H264_HIGH]).unwrap_err(), error);
}

#[test]
fn extensions_are_answered_with_their_direction() {
    let (mid, level) = (Extension::Mid.uri(), Extension::AudioLevel.uri());
    let audio = format!("{AUDIO}a=extmap:1/recvonly {mid}\na=extmap:2 {level}\n");
    let (text, _) = receive(&offer("", &[&audio]));
    assert!(!text.contains(mid) && text.contains(&format!("a=extmap:2 {level}\r\n")));
    let (text, _) = send(&offer("", &[&audio]), &[]).unwrap();
    assert!(text.contains(&format!("a=extmap:1/sendonly {mid}\r\n")));
}
