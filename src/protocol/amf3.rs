//! AMF3, as far as Flash clients send it within RTMP ("Action Message Format -- AMF 3", Adobe 2013).
//!
//! Values become [`amf0::Value`](super::amf0::Value)s: one vocabulary for whoever reads a command. Vectors and
//! dictionaries, which no RTMP client sends, are refused; so are externalizable classes, whose bytes only the class
//! itself can read (but `ArrayCollection`, which is an array in a coat).

use super::amf0::{AmfError, Budget, MAX_DEPTH, Object, Value};
use crate::wire::ByteReader;
use bytes::Bytes;
use std::rc::Rc;

/// Reads values one after the other until the input ends.
pub fn decode_all(bytes: &[u8]) -> Result<Vec<Value>, AmfError> {
    let (mut reader, mut budget) = (ByteReader::new(bytes), Budget::new());
    let mut decoder = Decoder::new(&mut reader, &mut budget);
    let mut values = Vec::new();
    while !decoder.reader.is_empty() {
        values.push(decoder.value(0)?);
    }
    Ok(values)
}

/// Reads one value that stands within AMF0, at `depth`. Each such value has reference tables of its own.
pub(super) fn decode_within<'a>(
    reader: &mut ByteReader<'a>,
    budget: &mut Budget,
    depth: usize,
) -> Result<Value, AmfError> {
    Decoder::new(reader, budget).value(depth)
}

/// Appends a byte array with its marker.
pub(super) fn encode_byte_array(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(marker::BYTE_ARRAY);
    // 28 bits of length: no message is longer.
    put_u29(u32::try_from(bytes.len()).unwrap_or(u32::MAX) << 1 | 1, out);
    out.extend(bytes);
}

/// 7 bits a byte, the top bit set on all but the last; a fourth byte has 8 bits (section 1.3.1).
fn put_u29(value: u32, out: &mut Vec<u8>) {
    let more = |shift: u32| (value >> shift) as u8 | 0x80; // the byte that this shift leaves lowest
    let last = value as u8 & 0x7f;
    match value {
        0..=0x7f => out.push(last),
        0x80..=0x3fff => out.extend([more(7), last]),
        0x4000..=0x1f_ffff => out.extend([more(14), more(7), last]),
        _ => out.extend([more(22), more(15), more(8), value as u8]), // the lowest 8 bits
    }
}

struct Decoder<'r, 'a> {
    reader: &'r mut ByteReader<'a>,
    budget: &'r mut Budget,
    strings: Vec<&'a [u8]>,
    /// Where each value that can be referred to begins: marker, head and what follows.
    complex: Vec<(u8, u32, &'a [u8])>,
    traits: Vec<Rc<Traits>>,
    /// A referenced value is being read again, so nothing in it is new.
    again: bool,
}

struct Traits {
    class: String,
    dynamic: bool,
    externalizable: bool,
    names: Vec<String>,
}

impl<'r, 'a> Decoder<'r, 'a> {
    const fn new(reader: &'r mut ByteReader<'a>, budget: &'r mut Budget) -> Self {
        Self { reader, budget, strings: Vec::new(), complex: Vec::new(), traits: Vec::new(), again: false }
    }

    fn value(&mut self, depth: usize) -> Result<Value, AmfError> {
        let marker = self.reader.u8()?;
        if depth >= MAX_DEPTH {
            return Err(AmfError::TooDeep);
        }
        self.budget.value()?;
        Ok(match marker {
            marker::UNDEFINED => Value::Undefined,
            marker::NULL => Value::Null,
            marker::FALSE => Value::Boolean(false),
            marker::TRUE => Value::Boolean(true),
            // 29 bits, two's complement.
            marker::INTEGER => Value::Number(f64::from((self.u29()? << 3) as i32 >> 3)),
            marker::DOUBLE => Value::Number(self.reader.f64()?),
            marker::STRING => Value::String(self.text()?),
            marker::XML_DOCUMENT
            | marker::DATE
            | marker::ARRAY
            | marker::OBJECT
            | marker::XML
            | marker::BYTE_ARRAY => self.complex(marker, depth)?,
            other => return Err(AmfError::Marker(other)),
        })
    }

    fn complex(&mut self, marker: u8, depth: usize) -> Result<Value, AmfError> {
        let head = self.u29()?;
        if head & 1 == 1 {
            if !self.again {
                self.complex.push((marker, head, self.reader.rest()));
            }
            return self.complex_of(marker, head, depth);
        }
        let (kind, head, start) = *self.complex.get((head >> 1) as usize).ok_or(AmfError::Reference)?;
        if depth + 1 >= MAX_DEPTH {
            return Err(AmfError::TooDeep);
        }
        let here = std::mem::replace(self.reader, ByteReader::new(start));
        let again = std::mem::replace(&mut self.again, true);
        let value = self.complex_of(kind, head, depth + 1);
        (*self.reader, self.again) = (here, again);
        value
    }

    fn complex_of(&mut self, marker: u8, head: u32, depth: usize) -> Result<Value, AmfError> {
        let length = (head >> 1) as usize; // 28 bits
        Ok(match marker {
            marker::DATE => Value::Date(self.reader.f64()?),
            marker::XML_DOCUMENT | marker::XML => {
                let bytes = self.reader.bytes(length)?;
                Value::Xml(self.budget.text(bytes)?)
            }
            marker::BYTE_ARRAY => {
                let bytes = self.reader.bytes(length)?;
                Value::Bytes(Bytes::copy_from_slice(self.budget.bytes(bytes)?))
            }
            marker::ARRAY => self.array(length, depth)?,
            _ => self.object(head, depth)?,
        })
    }

    /// An array has elements with names, then `count` without. With any names it becomes an ECMA array.
    fn array(&mut self, count: usize, depth: usize) -> Result<Value, AmfError> {
        let mut named = self.named(depth)?;
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.value(depth + 1)?);
        }
        if named.is_empty() {
            return Ok(Value::StrictArray(values));
        }
        named.extend(values.into_iter().enumerate().map(|(at, value)| (at.to_string(), value)));
        Ok(Value::EcmaArray(Object(named)))
    }

    fn object(&mut self, head: u32, depth: usize) -> Result<Value, AmfError> {
        let traits = self.read_traits(head)?;
        if traits.externalizable {
            return match traits.class.as_str() {
                "flex.messaging.io.ArrayCollection" | "flex.messaging.io.ObjectProxy" => {
                    self.value(depth + 1)
                }
                _ => Err(AmfError::Marker(marker::OBJECT)),
            };
        }
        let mut pairs = Vec::new();
        for name in &traits.names {
            self.budget.bytes(name.as_bytes())?;
            pairs.push((name.clone(), self.value(depth + 1)?));
        }
        if traits.dynamic {
            pairs.extend(self.named(depth)?);
        }
        let object = Object(pairs);
        if traits.class.is_empty() {
            return Ok(Value::Object(object));
        }
        self.budget.bytes(traits.class.as_bytes())?;
        Ok(Value::TypedObject(traits.class.clone(), object))
    }

    fn read_traits(&mut self, head: u32) -> Result<Rc<Traits>, AmfError> {
        if head & 0b10 == 0 {
            let index = (head >> 2) as usize; // 27 bits
            return self.traits.get(index).cloned().ok_or(AmfError::Reference);
        }
        let class = self.text()?;
        let mut names = Vec::new();
        for _ in 0..head >> 4 {
            self.budget.value()?;
            names.push(self.text()?);
        }
        let (externalizable, dynamic) = (head & 0b100 != 0, head & 0b1000 != 0);
        let traits = Rc::new(Traits { class, dynamic, externalizable, names });
        if !self.again {
            self.traits.push(traits.clone());
        }
        Ok(traits)
    }

    /// Names and values up to an empty name.
    fn named(&mut self, depth: usize) -> Result<Vec<(String, Value)>, AmfError> {
        let mut pairs = Vec::new();
        loop {
            let name = self.text()?;
            if name.is_empty() {
                return Ok(pairs);
            }
            pairs.push((name, self.value(depth + 1)?));
        }
    }

    fn text(&mut self) -> Result<String, AmfError> {
        let head = self.u29()?;
        let index = (head >> 1) as usize; // 28 bits
        let bytes = match head & 1 {
            0 => self.strings.get(index).ok_or(AmfError::Reference)?,
            _ => self.reader.bytes(index)?,
        };
        // The empty string is never referred to.
        if head & 1 == 1 && !bytes.is_empty() && !self.again {
            self.strings.push(bytes);
        }
        self.budget.text(bytes)
    }

    /// 7 bits a byte while the top bit is set, 8 in a fourth (section 1.3.1).
    fn u29(&mut self) -> Result<u32, AmfError> {
        let mut value = 0;
        for _ in 0..3 {
            let byte = self.reader.u8()?;
            value = value << 7 | u32::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Ok(value << 8 | u32::from(self.reader.u8()?))
    }
}

/// Type markers, section 3.1.
mod marker {
    pub(super) const UNDEFINED: u8 = 0;
    pub(super) const NULL: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const TRUE: u8 = 3;
    pub(super) const INTEGER: u8 = 4;
    pub(super) const DOUBLE: u8 = 5;
    pub(super) const STRING: u8 = 6;
    pub(super) const XML_DOCUMENT: u8 = 7;
    pub(super) const DATE: u8 = 8;
    pub(super) const ARRAY: u8 = 9;
    pub(super) const OBJECT: u8 = 10;
    pub(super) const XML: u8 = 11;
    pub(super) const BYTE_ARRAY: u8 = 12;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Truncated;

    fn one(bytes: &[u8]) -> Result<Value, AmfError> {
        let values = decode_all(bytes)?;
        assert_eq!(values.len(), 1, "{values:?}");
        Ok(values.into_iter().next().unwrap())
    }

    #[test]
    fn integers_have_29_bits() {
        for (bytes, number) in [
            (&[4, 0x7f][..], 127.0),
            (&[4, 0x81, 0x00], 128.0),
            (&[4, 0xff, 0x7f], 16_383.0),
            (&[4, 0xc0, 0x80, 0x80, 0x00], -268_435_456.0),
            (&[4, 0xff, 0xff, 0xff, 0xff], -1.0),
        ] {
            assert_eq!(one(bytes), Ok(Value::Number(number)));
        }
        assert_eq!(one(&[4, 0xff, 0xff]), Err(Truncated.into()));
    }

    #[test]
    fn objects_share_strings_and_traits() {
        // [{a: "b"}, {"a" by reference: "b" by reference, traits by reference}]
        let bytes = [9, 5, 1, 10, 0x13, 1, 3, b'a', 6, 3, b'b', 10, 1, 6, 2];
        let object = Value::Object(Object::from_iter([("a", Value::text("b"))]));
        assert_eq!(one(&bytes), Ok(Value::StrictArray(vec![object.clone(), object])));
    }

    #[test]
    fn a_dynamic_object_of_a_class() {
        let bytes = [10, 0x0b, 3, b'C', 3, b'k', 3, 1];
        let object = Object::from_iter([("k", Value::Boolean(true))]);
        assert_eq!(one(&bytes), Ok(Value::TypedObject("C".into(), object)));
    }

    #[test]
    fn arrays_with_names_become_ecma_arrays() {
        let bytes = [9, 3, 3, b'k', 1, 1, 3];
        let object = Object::from_iter([("k", Value::Null), ("0", Value::Boolean(true))]);
        assert_eq!(one(&bytes), Ok(Value::EcmaArray(object)));
    }

    #[test]
    fn objects_by_reference_are_read_again() {
        let list = Value::StrictArray(vec![]);
        assert_eq!(one(&[9, 5, 1, 9, 1, 1, 9, 2]), Ok(Value::StrictArray(vec![list.clone(), list])));
        assert_eq!(one(&[9, 0x0e]), Err(AmfError::Reference));
        assert_eq!(one(&[9, 3, 1, 9, 0]), Err(AmfError::TooDeep), "an array that holds itself");
    }

    #[test]
    fn hostile_counts_reserve_nothing() {
        assert_eq!(one(&[12, 0xff, 0xff, 0xff, 0xff]), Err(Truncated.into()));
        assert_eq!(one(&[9, 0xff, 0xff, 0xff, 0xff, 1]), Err(Truncated.into()));
        assert_eq!(one(&[10, 0xff, 0xff, 0xff, 0xff]), Err(Truncated.into()));
        let deep: Vec<u8> = std::iter::repeat_n([9, 3, 1], 10_000).flatten().collect();
        assert_eq!(one(&deep), Err(AmfError::TooDeep));
    }

    #[test]
    fn byte_arrays_of_every_size_of_length() {
        for length in [0, 1, 63, 64, 8_191, 8_192, 1_048_575, 1_048_576, 3 << 20] {
            let bytes = vec![7; length];
            let mut out = Vec::new();
            encode_byte_array(&bytes, &mut out);
            assert_eq!(one(&out), Ok(Value::Bytes(bytes.into())), "{length}");
        }
    }
}
