//! What a codec says of itself: parameter sets, slice headers and configurations, whose sender may write what it likes.

use bytes::Bytes;
use commonroom::codec::aac::AudioSpecificConfig;
use commonroom::codec::av1::{self, Av1Config};
use commonroom::codec::h264::{
    AvcConfig, References, SliceHeader, Sps, allow_gaps, is_recovery_point, length_prefixed,
};
use commonroom::codec::hevc::HevcConfig;
use commonroom::codec::vp9::{KeyHeader, Vp9Config};

/// An SPS, and the same with a bit changed.
pub(crate) fn sps(input: &[u8]) {
    let Ok(sps) = Sps::parse(input) else { return };
    assert!(sps.width > 0 && sps.height > 0);
    if let Some(changed) = allow_gaps(input) {
        let changed = Sps::parse(&changed).expect("what we write we can read");
        assert!(changed.gaps_in_frame_num_allowed);
        assert_eq!((changed.width, changed.height), (sps.width, sps.height));
    }
}

/// A configuration record, its length before it, and then pictures, each one NAL unit with its length before it.
pub(crate) fn slices(input: &[u8]) {
    let (record, mut rest) = cut(input);
    let mut references = References::default();
    if let Ok((config, _)) = AvcConfig::parse(record) {
        assert!(AvcConfig::parse(&config.to_record()).is_ok(), "what we write we can read");
        references.configure(&config);
    }
    let mut left_out = false;
    while !rest.is_empty() {
        let (unit, after) = cut(rest);
        rest = after;
        let _ = (SliceHeader::peek(unit), is_recovery_point(unit));
        if let Some(picture) = references.read([unit]) {
            left_out = !left_out && picture.info().bidirectional;
            references.decide(picture, left_out);
        }
    }
}

/// An hvcC record, and the same bytes as a picture with parameter sets in it.
pub(crate) fn hevc_config(input: &[u8]) {
    let known = HevcConfig::parse(input).ok();
    if let Some((config, _)) = &known {
        assert_eq!(
            HevcConfig::parse(&config.to_record()),
            Ok((config.clone(), 4)),
            "what we write we can read"
        );
        assert!(config.said().width > 0 && config.said().codec_string().starts_with("hvc1."));
    }
    let known = known.as_ref().map(|(config, _)| config);
    let _ = HevcConfig::updated_by(known, length_prefixed(input, 4));
}

/// An av1C record, its length before it, and a temporal unit.
pub(crate) fn av1_unit(input: &[u8]) {
    let (record, unit) = cut(input);
    let of_record = Av1Config::parse(record).ok().flatten();
    let of_unit = av1::sequence_header(unit).and_then(|header| Av1Config::new(header).ok());
    for config in [of_record, of_unit].into_iter().flatten() {
        assert_eq!(
            Av1Config::parse(&config.to_record()),
            Ok(Some(config.clone())),
            "what we write we can read"
        );
        let _ = av1::is_keyframe(unit, config.said());
    }
    let unit = Bytes::copy_from_slice(unit);
    let bare = av1::without_delimiter(&unit);
    assert_eq!(av1::without_delimiter(&bare), bare);
}

/// A vpcC record, its length before it, and a frame.
pub(crate) fn vp9_key(input: &[u8]) {
    let (record, frame) = cut(input);
    let Ok(Some(key)) = KeyHeader::parse(frame) else { return };
    let Ok(config) = Vp9Config::new(Some(record), key) else { return };
    assert_eq!(Vp9Config::new(Some(&config.to_record()), key), Ok(config), "what we write we can read");
}

/// An AudioSpecificConfig.
pub(crate) fn aac_config(input: &[u8]) {
    let Ok(config) = AudioSpecificConfig::parse(Bytes::copy_from_slice(input)) else { return };
    assert!(config.sample_rate().get() > 0 && config.bytes() == input);
}

fn cut(input: &[u8]) -> (&[u8], &[u8]) {
    match input.split_first() {
        Some((length, rest)) => rest.split_at(usize::from(*length).min(rest.len())),
        None => (&[], &[]),
    }
}

/// Streams of x264, of which the unit tests have the same.
const STREAMS: [&str; 3] = [
    include_str!("../../data/h264/no_b_frames.txt"),
    include_str!("../../data/h264/pyramid.txt"),
    include_str!("../../data/h264/pyramid_leaky.txt"),
];

fn hex(text: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("a hexadecimal number");
    (0..text.len()).step_by(2).map(byte).collect()
}

fn sets(stream: &str) -> (Vec<u8>, Vec<u8>) {
    let (sets, _) = stream.split_once('\n').expect("a line of parameter sets");
    let (sps, pps) = sets.split_once(';').expect("an SPS and a PPS");
    (hex(sps), hex(pps))
}

pub(crate) fn sps_seeds() -> Vec<Vec<u8>> {
    // The last has cropping, aspect ratio and timing; 1920x1080, High.
    let full: &[u8] = &[
        0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00,
        0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58,
    ];
    STREAMS.iter().map(|stream| sets(stream).0).chain([full.to_vec()]).collect()
}

pub(crate) fn slice_seeds() -> Vec<Vec<u8>> {
    let seed = |stream: &&str| {
        let (sps, pps) = sets(stream);
        let config = AvcConfig::new(vec![sps.into()], vec![pps.into()]).expect("a good configuration");
        let pictures = stream.lines().skip(1).filter_map(|line| line.split(' ').nth(3));
        let units = pictures.flat_map(|units| units.split(',').map(hex));
        let with_length = |unit: Vec<u8>| {
            let unit = &unit[..unit.len().min(255)];
            [&[unit.len() as u8], unit].concat()
        };
        let units: Vec<u8> = units.take(40).flat_map(with_length).collect();
        [with_length(config.to_record().to_vec()), units].concat()
    };
    STREAMS.iter().map(seed).collect()
}

/// x265 in Main, 320x180.
pub(crate) fn hevc_seeds() -> Vec<Vec<u8>> {
    vec![hex(concat!(
        "0101600000009000000000003cf000fcfdf8f800000f03",
        "200001001840010c01ffff01600000030090000003000003003c959409",
        "210001002b42010101600000030090000003000003003ca00a080c1f3e595952930bc05a020000030002000003003c10",
        "22000100064401c073c189"
    ))]
}

/// libaom, 320x180.
pub(crate) fn av1_seeds() -> Vec<Vec<u8>> {
    let (record, unit) = ("81000c000a0b000000043cfeccda990040", "12000a0b000000043cfeccda99004032021001");
    vec![[&[17], &hex(record)[..], &hex(unit)[..]].concat(), hex("0012003202300a")]
}

/// libvpx, 320x180.
pub(crate) fn vp9_seeds() -> Vec<Vec<u8>> {
    vec![hex("0c01000000000b820202020000824983420013f00b36"), hex("00824983420013f00b36")]
}

pub(crate) fn aac_seeds() -> Vec<Vec<u8>> {
    // LC in stereo and mono, with an explicit rate, HE-AAC in both ways of saying so, a program config element.
    let configs: [&[u8]; 6] = [
        &[0x11, 0x90],
        &[0x12, 0x08],
        &[0x17, 0x80, 0x5d, 0xc0, 0x10],
        &[0x2b, 0x11, 0x88, 0x00],
        &[0x13, 0x90, 0x56, 0xe5, 0xa5, 0x48],
        &[0x11, 0x80, 0x04, 0xc8, 0x44, 0x00, 0x20, 0x00],
    ];
    configs.map(<[u8]>::to_vec).to_vec()
}
