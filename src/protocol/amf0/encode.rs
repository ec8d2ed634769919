//! Values to bytes.

use super::{Object, Value, marker};
use crate::protocol::amf3;
use std::borrow::Cow;

/// Writes values one after the other.
pub fn encode_all<'a>(values: impl IntoIterator<Item = &'a Value>) -> Vec<u8> {
    let mut out = Vec::new();
    values.into_iter().for_each(|value| value.encode(&mut out));
    out
}

impl Value {
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
    fn encode(&self, out: &mut Vec<u8>) {
        for (name, value) in self.0.iter().filter(|(name, _)| !name.is_empty()) {
            put_name(out, name);
            value.encode(out);
        }
        out.extend([0, 0, marker::OBJECT_END]);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let mut out = Vec::new();
        put_name(&mut out, &"é".repeat(40_000));
        assert_eq!(out.len(), 2 + 65_534);
    }
}
