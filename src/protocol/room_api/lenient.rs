//! Fields that are wishes or hints. Pages fill some of them from input fields, and Flash knows one kind of number: what
//! has another type than the protocol says counts as not given, and the message goes on.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A flag; numbers count as such.
pub(super) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Bool(flag) => flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        _ => false,
    })
}

/// A count; what is written as text counts as such.
pub(super) fn count<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let number = match Value::deserialize(from)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    // Saturates, and not-a-number becomes zero: a wish beyond all bounds is the greatest one.
    Ok(number.map_or(0, |number| number as u32))
}

/// Text.
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::String(text) => Some(text),
        _ => None,
    })
}

/// A list of texts; others in it are left out.
pub(super) fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let Value::Array(list) = Value::deserialize(from)? else { return Ok(Vec::new()) };
    let text = |value| if let Value::String(text) = value { Some(text) } else { None };
    Ok(list.into_iter().filter_map(text).collect())
}

/// An object of which nothing is required.
pub(super) fn object<'de, D: Deserializer<'de>, T: Default + for<'a> Deserialize<'a>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(T::deserialize(Value::deserialize(from)?).unwrap_or_default())
}

/// The same, if it can be read.
pub(super) fn option<'de, D: Deserializer<'de>, T: for<'a> Deserialize<'a>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    Ok(T::deserialize(Value::deserialize(from)?).ok())
}
