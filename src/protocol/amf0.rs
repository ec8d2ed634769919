//! AMF0, the encoding of RTMP commands and metadata ("Action Message Format -- AMF 0", Adobe 2007).
//!
//! Input is whatever a peer sends, so a decoder counts: how deep it is, how many values and how many bytes of text it
//! has made. References and AMF3 can name one value many times; that is counted each time it is made.

use super::amf3;
use crate::wire::{ByteReader, Truncated};
use bytes::Bytes;
use std::borrow::Cow;
use thiserror::Error;

/// Values within values.
pub const MAX_DEPTH: usize = 32;
/// Values in one message. An FLV file's index of key frames, which some publishers send along, has thousands.
pub const MAX_VALUES: usize = 32_768;
/// Bytes of text and byte arrays in one message.
pub const MAX_BYTES: usize = 4 << 20;

/// One value. AMF3 values (see [`amf3`]) are made into these too.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Marker 0; also AMF3's integer.
    Number(f64),
    /// Marker 1.
    Boolean(bool),
    /// Markers 2 and 12. What is not UTF-8 was replaced by U+FFFD.
    String(String),
    /// Marker 3.
    Object(Object),
    /// Marker 5.
    Null,
    /// Marker 6.
    Undefined,
    /// Marker 8: an array whose elements have names.
    EcmaArray(Object),
    /// Marker 10.
    StrictArray(Vec<Self>),
    /// Marker 11: milliseconds since 1970-01-01 UTC. The time zone on the wire is reserved and not kept.
    Date(f64),
    /// Marker 13.
    Unsupported,
    /// Marker 15: the text of an XML document.
    Xml(String),
    /// Marker 16: an object of a named class.
    TypedObject(String, Object),
    /// AMF3's byte array, written behind the switch to AMF3 (marker 17).
    Bytes(Bytes),
}

/// Named values in the order of the wire; a name may come twice, the first counts.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Object(pub Vec<(String, Value)>);

/// Why bytes are no AMF.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum AmfError {
    /// They end too early.
    #[error(transparent)]
    Truncated(#[from] Truncated),
    /// A type marker that does not exist, or is reserved.
    #[error("unknown AMF type marker {0:#04x}")]
    Marker(u8),
    /// More than [`MAX_DEPTH`] levels, or a value that holds itself.
    #[error("AMF values nest deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// More than [`MAX_VALUES`] or [`MAX_BYTES`].
    #[error("AMF message describes too much")]
    TooLarge,
    /// A reference to something that was not there before.
    #[error("AMF reference to nothing")]
    Reference,
}

/// Reads values one after the other until the input ends.
pub fn decode_all(bytes: &[u8]) -> Result<Vec<Value>, AmfError> {
    let mut decoder = Decoder::new(bytes);
    let mut values = Vec::new();
    while let Some(value) = decoder.next()? {
        values.push(value);
    }
    Ok(values)
}

/// Writes values one after the other.
pub fn encode_all<'a>(values: impl IntoIterator<Item = &'a Value>) -> Vec<u8> {
    let mut out = Vec::new();
    values.into_iter().for_each(|value| value.encode(&mut out));
    out
}

impl Value {
    /// A string.
    pub fn text(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// The number, if it is one.
    pub const fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The named values, if it is an object or array of them.
    pub const fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) | Self::EcmaArray(object) | Self::TypedObject(_, object) => Some(object),
            _ => None,
        }
    }

    /// Appends the value.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => {
                out.push(marker::NUMBER);
                out.extend(number.to_be_bytes());
            }
            Self::Boolean(truth) => out.extend([marker::BOOLEAN, u8::from(*truth)]),
            Self::String(text) if text.len() <= usize::from(u16::MAX) => {
                out.push(marker::STRING);
                put_name(out, text);
            }
            Self::String(text) => put_long(out, marker::LONG_STRING, text),
            Self::Object(object) => {
                out.push(marker::OBJECT);
                object.encode(out);
            }
            Self::Null => out.push(marker::NULL),
            Self::Undefined => out.push(marker::UNDEFINED),
            Self::EcmaArray(object) => {
                out.push(marker::ECMA_ARRAY);
                out.extend(length(object.0.len()).to_be_bytes());
                object.encode(out);
            }
            Self::StrictArray(values) => {
                out.push(marker::STRICT_ARRAY);
                out.extend(length(values.len()).to_be_bytes());
                values.iter().for_each(|value| value.encode(out));
            }
            Self::Date(milliseconds) => {
                out.push(marker::DATE);
                out.extend(milliseconds.to_be_bytes());
                out.extend([0, 0]);
            }
            Self::Unsupported => out.push(marker::UNSUPPORTED),
            Self::Xml(text) => put_long(out, marker::XML, text),
            Self::TypedObject(class, object) => {
                out.push(marker::TYPED_OBJECT);
                put_name(out, class);
                object.encode(out);
            }
            Self::Bytes(bytes) => {
                out.push(marker::AVMPLUS);
                amf3::encode_byte_array(bytes, out);
            }
        }
    }
}

impl Object {
    /// The first value of a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The first value of a name, if it is a string.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        for (name, value) in self.0.iter().filter(|(name, _)| !name.is_empty()) {
            put_name(out, name);
            value.encode(out);
        }
        out.extend([0, 0, marker::OBJECT_END]);
    }
}

impl<'a> FromIterator<(&'a str, Value)> for Object {
    fn from_iter<I: IntoIterator<Item = (&'a str, Value)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

/// Reads values off the front of a message.
#[derive(Debug)]
pub struct Decoder<'a> {
    input: &'a [u8],
    reader: ByteReader<'a>,
    budget: Budget,
    /// Where each complex value so far begins, behind its marker: a reference reads it again from there.
    complex: Vec<(u8, &'a [u8])>,
    /// A referenced value is being read again, so nothing in it is new.
    again: bool,
}

/// What one message may still cost.
#[derive(Debug)]
pub(super) struct Budget {
    values: usize,
    bytes: usize,
}

impl Budget {
    pub(super) const fn new() -> Self {
        Self { values: MAX_VALUES, bytes: MAX_BYTES }
    }

    pub(super) fn value(&mut self) -> Result<(), AmfError> {
        self.values = self.values.checked_sub(1).ok_or(AmfError::TooLarge)?;
        Ok(())
    }

    pub(super) fn text(&mut self, bytes: &[u8]) -> Result<String, AmfError> {
        self.bytes(bytes).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    pub(super) fn bytes<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], AmfError> {
        self.bytes = self.bytes.checked_sub(bytes.len()).ok_or(AmfError::TooLarge)?;
        Ok(bytes)
    }
}

impl<'a> Decoder<'a> {
    /// Reads from the start of `input`.
    pub const fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            reader: ByteReader::new(input),
            budget: Budget::new(),
            complex: Vec::new(),
            again: false,
        }
    }

    /// The next value; `None` when the input has ended.
    #[expect(clippy::should_implement_trait, reason = "an iterator would go on behind an error")]
    pub fn next(&mut self) -> Result<Option<Value>, AmfError> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        self.value(0).map(Some)
    }

    /// How many bytes have been read.
    pub const fn position(&self) -> usize {
        self.input.len() - self.reader.len()
    }

    fn value(&mut self, depth: usize) -> Result<Value, AmfError> {
        let marker = self.reader.u8()?;
        self.value_of(marker, depth)
    }

    fn value_of(&mut self, marker: u8, depth: usize) -> Result<Value, AmfError> {
        if depth >= MAX_DEPTH {
            return Err(AmfError::TooDeep);
        }
        self.budget.value()?;
        if matches!(marker, marker::OBJECT | marker::ECMA_ARRAY | marker::STRICT_ARRAY | marker::TYPED_OBJECT)
            && !self.again
        {
            self.complex.push((marker, self.reader.rest()));
        }
        Ok(match marker {
            marker::NUMBER => Value::Number(self.reader.f64()?),
            marker::BOOLEAN => Value::Boolean(self.reader.u8()? != 0),
            marker::STRING => Value::String(self.name()?),
            marker::OBJECT => Value::Object(self.object(depth)?),
            marker::NULL => Value::Null,
            marker::UNDEFINED => Value::Undefined,
            marker::REFERENCE => self.reference(depth)?,
            marker::ECMA_ARRAY => {
                self.reader.u32()?; // a hint that writers get wrong; the end marker counts
                Value::EcmaArray(self.object(depth)?)
            }
            marker::STRICT_ARRAY => {
                let count = self.reader.u32()?;
                let mut values = Vec::new();
                for _ in 0..count {
                    values.push(self.value(depth + 1)?);
                }
                Value::StrictArray(values)
            }
            marker::DATE => {
                let milliseconds = self.reader.f64()?;
                self.reader.u16()?;
                Value::Date(milliseconds)
            }
            marker::LONG_STRING => Value::String(self.long_text()?),
            marker::UNSUPPORTED => Value::Unsupported,
            marker::XML => Value::Xml(self.long_text()?),
            marker::TYPED_OBJECT => {
                let class = self.name()?;
                Value::TypedObject(class, self.object(depth)?)
            }
            marker::AVMPLUS => amf3::decode_within(&mut self.reader, &mut self.budget, depth)?,
            other => return Err(AmfError::Marker(other)),
        })
    }

    fn object(&mut self, depth: usize) -> Result<Object, AmfError> {
        let mut pairs = Vec::new();
        loop {
            let name = self.name()?;
            let marker = self.reader.u8()?;
            // Some writers end with a name that is not empty, some forget the end at the end of the message.
            if marker == marker::OBJECT_END {
                return Ok(Object(pairs));
            }
            pairs.push((name, self.value_of(marker, depth + 1)?));
            if self.reader.is_empty() && depth == 0 {
                return Ok(Object(pairs));
            }
        }
    }

    fn reference(&mut self, depth: usize) -> Result<Value, AmfError> {
        let index = usize::from(self.reader.u16()?);
        let (marker, start) = *self.complex.get(index).ok_or(AmfError::Reference)?;
        let here = std::mem::replace(&mut self.reader, ByteReader::new(start));
        let again = std::mem::replace(&mut self.again, true);
        // A value that holds itself comes by here until the depth ends it.
        let value = self.value_of(marker, depth + 1);
        (self.reader, self.again) = (here, again);
        value
    }

    fn name(&mut self) -> Result<String, AmfError> {
        let length = self.reader.u16()?;
        self.budget.text(self.reader.bytes(length.into())?)
    }

    fn long_text(&mut self) -> Result<String, AmfError> {
        let length = self.reader.u32()?;
        // A length beyond usize is beyond any input as well.
        self.budget.text(self.reader.bytes(usize::try_from(length).unwrap_or(usize::MAX))?)
    }
}

fn put_name(out: &mut Vec<u8>, text: &str) {
    let text = shortened(text);
    out.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(text.as_bytes());
}

fn put_long(out: &mut Vec<u8>, marker: u8, text: &str) {
    out.push(marker);
    out.extend(length(text.len()).to_be_bytes());
    out.extend(text.as_bytes());
}

/// What fits behind a length of 16 bits.
fn shortened(text: &str) -> Cow<'_, str> {
    match text.len() <= usize::from(u16::MAX) {
        true => text.into(),
        false => text[..text.floor_char_boundary(usize::from(u16::MAX))].into(),
    }
}

/// A count as the wire has it: no message holds 2^32 of anything.
fn length(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Type markers, section 2.1.
mod marker {
    pub(super) const NUMBER: u8 = 0;
    pub(super) const BOOLEAN: u8 = 1;
    pub(super) const STRING: u8 = 2;
    pub(super) const OBJECT: u8 = 3;
    pub(super) const NULL: u8 = 5;
    pub(super) const UNDEFINED: u8 = 6;
    pub(super) const REFERENCE: u8 = 7;
    pub(super) const ECMA_ARRAY: u8 = 8;
    pub(super) const OBJECT_END: u8 = 9;
    pub(super) const STRICT_ARRAY: u8 = 10;
    pub(super) const DATE: u8 = 11;
    pub(super) const LONG_STRING: u8 = 12;
    pub(super) const UNSUPPORTED: u8 = 13;
    pub(super) const XML: u8 = 15;
    pub(super) const TYPED_OBJECT: u8 = 16;
    pub(super) const AVMPLUS: u8 = 17;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(bytes: &[u8]) -> Result<Value, AmfError> {
        let values = decode_all(bytes)?;
        assert_eq!(values.len(), 1, "{values:?}");
        Ok(values.into_iter().next().unwrap())
    }

    fn nested_arrays(levels: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = std::iter::repeat_n([10, 0, 0, 0, 1], levels - 1).flatten().collect();
        bytes.extend([10, 0, 0, 0, 0]);
        bytes
    }

    #[test]
    fn every_type_of_the_wire() {
        assert_eq!(one(&[11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60]), Ok(Value::Date(0.0)));
        assert_eq!(one(&[12, 0, 0, 0, 1, b'a']), Ok(Value::text("a")));
        assert_eq!(one(&[13]), Ok(Value::Unsupported));
        assert_eq!(one(&[15, 0, 0, 0, 1, b'x']), Ok(Value::Xml("x".into())));
        assert_eq!(one(&[16, 0, 1, b'A', 0, 0, 9]), Ok(Value::TypedObject("A".into(), Object::default())));
        assert_eq!(one(&[17, 6, 3, b'a']), Ok(Value::text("a")), "the switch to AMF3");
        assert_eq!(one(&[2, 0, 2, b'a', 0xff]), Ok(Value::text("a\u{fffd}")), "not UTF-8");
        assert_eq!(one(&[1, 7]), Ok(Value::Boolean(true)));
        assert_eq!(one(&[4]), Err(AmfError::Marker(4)), "movie clips are reserved");
    }

    #[test]
    fn an_object_may_lack_its_end_at_the_end() {
        let object = Object::from_iter([("a", Value::Null)]);
        assert_eq!(one(&[3, 0, 1, b'a', 5]), Ok(Value::Object(object.clone())));
        assert_eq!(
            one(&[8, 0, 0, 0, 9, 0, 1, b'a', 5, 0, 0, 9]),
            Ok(Value::EcmaArray(object)),
            "a wrong count"
        );
    }

    #[test]
    fn references_are_read_again() {
        // { a: [1 element: true], b: reference 1 }
        let bytes = [3, 0, 1, b'a', 10, 0, 0, 0, 1, 1, 1, 0, 1, b'b', 7, 0, 1, 0, 0, 9];
        let list = Value::StrictArray(vec![Value::Boolean(true)]);
        assert_eq!(one(&bytes), Ok(Value::Object(Object::from_iter([("a", list.clone()), ("b", list)]))));
        assert_eq!(one(&[7, 0, 0]), Err(AmfError::Reference));
        assert_eq!(one(&[10, 0, 0, 0, 1, 7, 0, 0]), Err(AmfError::TooDeep), "an array that holds itself");
    }

    #[test]
    fn references_that_multiply_meet_the_budget() {
        // Each array holds the one before it eight times: 8^8 values from 300 bytes.
        let mut bytes = vec![10, 0, 0, 0, 0];
        for level in 0u16..8 {
            bytes.extend([10, 0, 0, 0, 8]);
            for _ in 0..8 {
                bytes.push(7);
                bytes.extend(level.to_be_bytes());
            }
        }
        assert_eq!(decode_all(&bytes), Err(AmfError::TooLarge));
    }

    #[test]
    fn depth_is_bounded() {
        assert!(one(&nested_arrays(MAX_DEPTH)).is_ok());
        assert_eq!(one(&nested_arrays(MAX_DEPTH + 1)), Err(AmfError::TooDeep));
        assert_eq!(one(&nested_arrays(10_000)), Err(AmfError::TooDeep));
    }

    #[test]
    fn counts_on_the_wire_reserve_nothing() {
        assert_eq!(one(&[10, 0xff, 0xff, 0xff, 0xff]), Err(Truncated.into()));
        assert_eq!(one(&[12, 0xff, 0xff, 0xff, 0xff, b'a']), Err(Truncated.into()));
        let mut nulls = vec![10, 0xff, 0xff, 0xff, 0xff];
        nulls.resize(MAX_VALUES + 100, 5);
        assert_eq!(one(&nulls), Err(AmfError::TooLarge));
    }

    #[test]
    fn long_text_survives() {
        let value = Value::text("é".repeat(40_000));
        assert_eq!(one(&encode_all([&value])), Ok(value));
        let mut out = Vec::new();
        put_name(&mut out, &"é".repeat(40_000));
        assert_eq!(out.len(), 2 + 65_534, "cut between characters");
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            (-1e9..1e9).prop_map(Value::Number),
            any::<bool>().prop_map(Value::Boolean),
            ".{0,20}".prop_map(Value::String),
            Just(Value::Null),
            Just(Value::Undefined),
            Just(Value::Unsupported),
            (0.0..1e13).prop_map(Value::Date),
            ".{0,20}".prop_map(Value::Xml),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| Value::Bytes(bytes.into())),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            let object = prop::collection::vec((".{1,9}", inner.clone()), 0..6).prop_map(Object);
            prop_oneof![
                prop::collection::vec(inner, 0..6).prop_map(Value::StrictArray),
                object.clone().prop_map(Value::Object),
                object.clone().prop_map(Value::EcmaArray),
                (".{0,9}", object).prop_map(|(class, object)| Value::TypedObject(class, object)),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_survive_the_round_trip(list in prop::collection::vec(values(), 0..5)) {
            prop_assert_eq!(decode_all(&encode_all(&list)), Ok(list));
        }
    }
}
