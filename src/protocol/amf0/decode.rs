//! Bytes to values, within limits.

use super::{Object, Value, marker};
use crate::protocol::amf3;
use crate::wire::{ByteReader, Truncated};
use thiserror::Error;

/// Values within values.
pub const MAX_DEPTH: usize = 32;
/// Values in one message. An FLV file's index of key frames, which some publishers send along, has thousands.
pub const MAX_VALUES: usize = 32_768;
/// Bytes of text and byte arrays in one message.
pub const MAX_BYTES: usize = 4 << 20;

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
pub(in crate::protocol) struct Budget {
    values: usize,
    bytes: usize,
}

impl Budget {
    pub(in crate::protocol) const fn new() -> Self {
        Self { values: MAX_VALUES, bytes: MAX_BYTES }
    }

    pub(in crate::protocol) fn value(&mut self) -> Result<(), AmfError> {
        self.values = self.values.checked_sub(1).ok_or(AmfError::TooLarge)?;
        Ok(())
    }

    pub(in crate::protocol) fn text(&mut self, bytes: &[u8]) -> Result<String, AmfError> {
        self.bytes(bytes).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    pub(in crate::protocol) fn bytes<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], AmfError> {
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
