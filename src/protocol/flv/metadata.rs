//! `onMetaData`: what a publisher says of its stream, and what we say of one that says nothing.

use super::video_fourcc;
use crate::codec::Codec;
use crate::codec::aac::AudioSpecificConfig;
use crate::protocol::amf0::{Object, Value, encode_all};

/// H.264.
const AVC: u32 = 7;
/// What is kept of a publisher's properties, in bytes as they are sent on: real ones have a kilobyte, unless an index of
/// a file's keyframes is among them, of which nobody has any use here.
const MAX_LEN: usize = 64 << 10;

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
    pub fn describe(video: Option<Codec>, audio: Option<&AudioSpecificConfig>) -> Self {
        let mut properties = Vec::new();
        let mut put = |name: &str, value| properties.push((name.to_owned(), value));
        if let Some(codec) = video {
            let code = video_fourcc(codec).filter(|_| codec != Codec::H264);
            let number = code.map_or(AVC, |code| code.bytes().fold(0, |n, byte| n << 8 | u32::from(byte)));
            put("videocodecid", Value::Number(number.into()));
        }
        if let Some(config) = audio {
            put("audiocodecid", Value::Number(10.0));
            put("audiosamplerate", Value::Number(config.sample_rate().get().into()));
            put("audiosamplesize", Value::Number(16.0));
            put("stereo", Value::Boolean(config.channels() > 1));
        }
        Self(Object(properties))
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
    fn describes_what_it_knows() {
        let mono = AudioSpecificConfig::aac_lc(44_100, 1).unwrap();
        let metadata = Metadata::describe(Some(Codec::H264), Some(&mono));
        let values = decode_all(&metadata.to_message()).unwrap();
        assert_eq!(Metadata::from_values(&values), Some(metadata.clone()));
        assert_eq!(metadata.0.get("audiosamplerate"), Some(&Value::Number(44_100.0)));
        assert_eq!(metadata.0.get("stereo"), Some(&Value::Boolean(false)));
        assert!(Metadata::describe(None, None).is_empty());
        let number = |codec| Metadata::describe(Some(codec), None).0.get("videocodecid").cloned();
        assert_eq!(number(Codec::H264), Some(Value::Number(7.0)));
        assert_eq!(number(Codec::Hevc), Some(Value::Number(f64::from(0x6876_6331))), "hvc1");
    }
}
