//! `onMetaData`: what a publisher says of its stream, and what we say of one that says nothing.

use super::{audio_fourcc, video_fourcc};
use crate::codec::Codec;
use crate::protocol::amf0::{Object, Value, encode_all};
use crate::time::ClockRate;

/// H.264.
const AVC: u32 = 7;
/// AAC.
const AAC: u32 = 10;
/// What is kept of a publisher's properties, in bytes as they are sent on: real ones have a kilobyte, unless an index of
/// a file's keyframes is among them, of which nobody has any use here.
const MAX_LEN: usize = 64 << 10;

/// What is said of sound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SoundFacts {
    /// AAC, or one with a FourCC.
    pub codec: Codec,
    /// Samples a second.
    pub rate: ClockRate,
    /// At least 1.
    pub channels: u8,
}

/// The properties of `onMetaData`, as the publisher named them.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Metadata(pub Object);

impl Metadata {
    /// Reads the values of a data message behind `@setDataFrame`, or of a bare `onMetaData`: a name that may be
    /// missing, and an object that may be missing. `None` if the message is about something else.
    pub fn from_values(values: &[Value]) -> Option<Self> {
        let object = |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
        match values {
            [] => Some(Self::default()),
            [Value::String(name), rest @ ..] if name == "onMetaData" => Some(Self(object(rest.first()))),
            [Value::String(_), ..] => None,
            [first, ..] => Some(Self(object(Some(first)))),
        }
    }

    /// What can be said of the tracks without a publisher's help. Codecs beyond FLV's own have their FourCC as a number.
    pub fn describe(video: Option<Codec>, audio: Option<SoundFacts>) -> Self {
        let mut properties = Vec::new();
        if let Some(codec) = video {
            let code = video_fourcc(codec).filter(|_| codec != Codec::H264);
            properties.push(("videocodecid".to_owned(), Value::Number(number(code, AVC))));
        }
        properties.extend(audio.into_iter().flat_map(sound));
        Self(Object(properties))
    }

    /// Puts right what the publisher says of its sound, where players get it in another codec.
    pub fn correct(&mut self, audio: SoundFacts) {
        let facts = sound(audio);
        let [codec, ..] = &facts;
        if self.0.get("audiocodecid").is_some_and(|said| *said != codec.1) {
            self.0.0.retain(|(name, _)| facts.iter().all(|(fact, _)| fact != name));
            self.0.0.extend(facts);
        }
    }

    /// Leaves out the properties that do not fit within 64 KB. Whether there are any.
    pub fn limit(&mut self) -> bool {
        let (mut room, before) = (MAX_LEN, self.0.0.len());
        self.0.0.retain(|(name, value)| {
            let rest = room.checked_sub(2 + name.len() + encode_all([value]).len());
            room = rest.unwrap_or(room);
            rest.is_some()
        });
        self.0.0.len() < before
    }

    /// Whether nothing is said.
    pub const fn is_empty(&self) -> bool {
        self.0.0.is_empty()
    }

    /// The data message for players.
    pub fn to_message(&self) -> Vec<u8> {
        encode_all(&[Value::text("onMetaData"), Value::EcmaArray(self.0.clone())])
    }
}

/// The number of a codec: its FourCC, or FLV's own.
fn number(code: Option<&str>, own: u32) -> f64 {
    code.map_or(own, |code| code.bytes().fold(0, |n, byte| n << 8 | u32::from(byte))).into()
}

/// The properties of sound, the codec first.
fn sound(facts: SoundFacts) -> [(String, Value); 4] {
    let code = audio_fourcc(facts.codec).filter(|_| facts.codec != Codec::Aac);
    [
        ("audiocodecid", Value::Number(number(code, AAC))),
        ("audiosamplerate", Value::Number(facts.rate.get().into())),
        ("audiosamplesize", Value::Number(16.0)),
        ("stereo", Value::Boolean(facts.channels > 1)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::amf0::decode_all;

    #[test]
    fn every_shape_that_publishers_send() {
        let width = Object::from_iter([("width", Value::Number(640.0))]);
        let name = Value::text("onMetaData");
        let read = |values: &[Value]| Metadata::from_values(values).map(|metadata| metadata.0);
        assert_eq!(read(&[name.clone(), Value::EcmaArray(width.clone())]), Some(width.clone()));
        assert_eq!(read(&[Value::Object(width.clone())]), Some(width.clone()), "without a name");
        assert_eq!(
            [read(&[]), read(std::slice::from_ref(&name))],
            [Some(Object::default()), Some(Object::default())]
        );
        assert_eq!(read(&[name, Value::Null]), Some(Object::default()));
        assert_eq!(read(&[Value::text("onTextData"), Value::Object(width)]), None);
    }

    #[test]
    fn what_is_too_large_is_left_out_alone() {
        let index = Value::StrictArray(vec![Value::Number(0.0); MAX_LEN / 9]);
        let pairs = [("width", Value::Number(640.0)), ("keyframes", index), ("height", Value::Number(360.0))];
        let mut metadata = Metadata(Object::from_iter(pairs));
        assert!(metadata.limit() && !metadata.limit());
        let left: Vec<_> = metadata.0.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(left, ["width", "height"]);
        let mut many = Metadata(Object((0..9_000).map(|n| (n.to_string(), Value::Null)).collect()));
        many.0.0.push(("last".into(), Value::text("x".repeat(MAX_LEN))));
        assert!(many.limit());
        assert!(many.to_message().len() <= MAX_LEN + 100, "the name and the frame of the array besides");
    }

    #[test]
    fn sound_that_players_get_in_another_codec_is_put_right() {
        let aac = SoundFacts { codec: Codec::Aac, rate: ClockRate::OPUS, channels: 1 };
        let of = |codec: f64, rate: f64| {
            let pairs = [("width", 640.0), ("audiocodecid", codec), ("audiosamplerate", rate)];
            Metadata(Object::from_iter(pairs.map(|(name, value)| (name, Value::Number(value)))))
        };
        let (mut speex, mut same, mut silent) = (of(11.0, 16_000.0), of(10.0, 44_100.0), Metadata::default());
        for metadata in [&mut speex, &mut same, &mut silent] {
            metadata.correct(aac);
        }
        assert_eq!(speex.0.get("audiocodecid"), Some(&Value::Number(10.0)));
        assert_eq!(speex.0.get("audiosamplerate"), Some(&Value::Number(48_000.0)));
        assert_eq!(speex.0.get("width"), Some(&Value::Number(640.0)));
        assert_eq!((same, silent), (of(10.0, 44_100.0), Metadata::default()));
    }

    #[test]
    fn describes_what_it_knows() {
        let rate = ClockRate::new(44_100).unwrap();
        let mono = SoundFacts { codec: Codec::Aac, rate, channels: 1 };
        let metadata = Metadata::describe(Some(Codec::H264), Some(mono));
        let values = decode_all(&metadata.to_message()).unwrap();
        assert_eq!(Metadata::from_values(&values), Some(metadata.clone()));
        assert_eq!(metadata.0.get("audiosamplerate"), Some(&Value::Number(44_100.0)));
        assert_eq!(metadata.0.get("stereo"), Some(&Value::Boolean(false)));
        assert!(Metadata::describe(None, None).is_empty());
        let number = |codec| Metadata::describe(Some(codec), None).0.get("videocodecid").cloned();
        assert_eq!(number(Codec::H264), Some(Value::Number(7.0)));
        let opus = SoundFacts { codec: Codec::Opus, rate: ClockRate::OPUS, channels: 2 };
        let said = Metadata::describe(None, Some(opus));
        assert_eq!(said.0.get("audiocodecid"), Some(&Value::Number(f64::from(0x4f70_7573))));
        assert_eq!(number(Codec::Hevc), Some(Value::Number(f64::from(0x6876_6331))), "hvc1");
    }
}
