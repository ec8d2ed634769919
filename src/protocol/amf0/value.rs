//! What AMF can say.

use bytes::Bytes;

/// One value. AMF3 values (see [`amf3`](crate::protocol::amf3)) are made into these too.
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
}

impl<'a> FromIterator<(&'a str, Value)> for Object {
    fn from_iter<I: IntoIterator<Item = (&'a str, Value)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}
