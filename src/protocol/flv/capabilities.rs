//! Which codecs of enhanced RTMP a client takes, as it says with `connect`, and what it is answered (Enhanced RTMP v2,
//! "Enhancing NetConnection connect Command").

use super::{audio_fourcc, video_fourcc};
use crate::codec::Codec;
use crate::protocol::amf0::{Object, Value};

/// What has a FourCC of its own, beside H.264, which every client takes in FLV's own form.
const ENHANCED: [Codec; 3] = [Codec::Hevc, Codec::Av1, Codec::Vp9];
/// Sound that has one, beside AAC.
const SOUND: [Codec; 5] = [Codec::Opus, Codec::Ac3, Codec::Eac3, Codec::Flac, Codec::Mp3];
/// `FourCcInfoMask`: whoever can decode takes it, and so does whoever hands it on.
const CAN_DECODE: u32 = 1;
const CAN_FORWARD: u32 = 4;
/// `CapsExMask`: modifiers of packets are understood.
const MOD_EX: f64 = 4.0;
/// For all codecs.
const ANY: &str = "*";

/// The codecs of pictures that a client takes, of those that FLV carries here. H.264 is always among them.
pub fn accepted_video(connect: &Object) -> Vec<Codec> {
    let mapped = |code: &str| is_mapped(connect, "videoFourCcInfoMap", code);
    let is_taken =
        |code: &str| is_listed(connect, code) || is_listed(connect, ANY) || mapped(code) || mapped(ANY);
    let enhanced = ENHANCED.into_iter().filter(|codec| video_fourcc(*codec).is_some_and(is_taken));
    [Codec::H264].into_iter().chain(enhanced).collect()
}

/// The codecs of sound that a client is sent. AAC, which every client takes, and Opus, which saves coding what WebRTC publishes
/// anew: for a client that names it. The list's asterisk does not count, as its first readers meant pictures alone by it.
pub fn accepted_audio(connect: &Object) -> Vec<Codec> {
    let mapped = |code: &str| is_mapped(connect, "audioFourCcInfoMap", code);
    let is_taken = |code: &str| is_listed(connect, code) || mapped(code) || mapped(ANY);
    let opus = [Codec::Opus].into_iter().filter(|codec| audio_fourcc(*codec).is_some_and(is_taken));
    [Codec::Aac].into_iter().chain(opus).collect()
}

fn is_listed(connect: &Object, code: &str) -> bool {
    matches!(connect.get("fourCcList"), Some(Value::StrictArray(list)) if list.iter().any(|listed| listed.as_str() == Some(code)))
}

fn is_mapped(connect: &Object, map: &str, code: &str) -> bool {
    let map = connect.get(map).and_then(Value::as_object);
    let mask = map.and_then(|map| map.get(code)).and_then(Value::as_number).unwrap_or_default();
    mask as u32 & (CAN_DECODE | CAN_FORWARD) != 0 // saturates
}

/// What is said of this server, to a client that has said it of itself.
pub fn capabilities(connect: &Object) -> Vec<(String, Value)> {
    const QUESTIONS: [&str; 4] = ["fourCcList", "videoFourCcInfoMap", "audioFourCcInfoMap", "capsEx"];
    if !QUESTIONS.iter().any(|name| connect.get(name).is_some()) {
        return Vec::new();
    }
    let sound = || [Codec::Aac].into_iter().chain(SOUND).filter_map(audio_fourcc);
    let codes = || [Codec::H264].into_iter().chain(ENHANCED).filter_map(video_fourcc);
    let map = |code| (code, Value::Number(CAN_FORWARD.into()));
    vec![
        ("fourCcList".to_owned(), Value::StrictArray(codes().chain(sound()).map(Value::text).collect())),
        ("videoFourCcInfoMap".to_owned(), Value::Object(Object::from_iter(codes().map(map)))),
        ("audioFourCcInfoMap".to_owned(), Value::Object(Object::from_iter(sound().map(map)))),
        ("capsEx".to_owned(), Value::Number(MOD_EX)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(pairs: impl IntoIterator<Item = (&'static str, Value)>) -> Vec<Codec> {
        accepted_video(&Object::from_iter(pairs))
    }

    fn list<const N: usize>(codes: [&str; N]) -> Value {
        Value::StrictArray(codes.map(Value::text).to_vec())
    }

    #[test]
    fn clients_say_it_in_two_ways() {
        use Codec::{Av1, H264, Hevc, Vp9};
        assert_eq!(accepted([]), [H264]);
        assert_eq!(accepted([("fourCcList", list(["av01", "vvc1", "hvc1"]))]), [H264, Hevc, Av1], "ffmpeg");
        assert_eq!(accepted([("fourCcList", list(["*"]))]), [H264, Hevc, Av1, Vp9]);
        let map = |code, mask| {
            let map = Object::from_iter([(code, Value::Number(mask))]);
            accepted([("videoFourCcInfoMap", Value::Object(map))])
        };
        assert_eq!([map("vp09", 1.0), map("vp09", 4.0)], [[H264, Vp9], [H264, Vp9]]);
        assert_eq!(map("vp09", 2.0), [H264], "it can only send it");
        assert_eq!(map("*", 7.0).len(), 4);
        assert_eq!([map("hvc1", f64::NAN), map("hvc1", -1.0)], [[H264], [H264]]);
        assert_eq!(accepted([("fourCcList", Value::text("hvc1"))]), [H264], "no list");
    }

    #[test]
    fn opus_is_for_those_who_name_it() {
        use Codec::{Aac, Opus};
        let accepted = |name, value| accepted_audio(&Object::from_iter([(name, value)]));
        let map = |code, mask| Value::Object(Object::from_iter([(code, Value::Number(mask))]));
        assert_eq!(accepted_audio(&Object::default()), [Aac]);
        assert_eq!(accepted("audioFourCcInfoMap", map("Opus", 1.0)), [Aac, Opus]);
        assert_eq!(accepted("audioFourCcInfoMap", map("*", 4.0)), [Aac, Opus]);
        assert_eq!(accepted("audioFourCcInfoMap", map("Opus", 2.0)), [Aac], "it can only send it");
        assert_eq!(accepted("videoFourCcInfoMap", map("*", 7.0)), [Aac]);
        assert_eq!(accepted("fourCcList", list(["hvc1", "Opus"])), [Aac, Opus]);
        assert_eq!(accepted("fourCcList", list(["*"])), [Aac]);
        let told = Object(capabilities(&Object::from_iter([("audioFourCcInfoMap", map("Opus", 1.0))])));
        assert_eq!(accepted_audio(&told), [Aac, Opus]);
        let sound = told.get("audioFourCcInfoMap").and_then(Value::as_object).unwrap();
        assert_eq!(sound.0.len(), 6);
    }

    #[test]
    fn who_does_not_ask_is_told_nothing() {
        assert_eq!(capabilities(&Object::default()), []);
        let told = Object(capabilities(&Object::from_iter([("fourCcList", list([]))])));
        assert_eq!(accepted_video(&told).len(), 4);
    }
}
