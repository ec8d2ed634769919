//! The same messages over RTMP: a remote call whose name is the message's, with its arguments as AMF values.
//!
//! A client says who it is in `connect`, `{appKey, login}` as a further argument, instead of by `connection`; it calls `sendData` and
//! `pong`, and the server calls `ping`, `DataStatusEvent`, `OnDataEvent` and, before it closes, `fail`. None of these wants an
//! answer. Media is RTMP's own: `publish` of `<room>-<login>`, `play` of a name that `STATE` or `PUBLISHED` has told. The mode in
//! which a page signals over WebSocket and a plug-in publishes `OUT_<id>` and plays `IN_<id>` is not spoken.

use super::client::ClientMessage;
use super::envelope::{Envelope, MAX_DEPTH, Malformed};
use super::server::ServerMessage;
use crate::protocol::amf0;
use serde_json::{Map, Number, Value};

/// Numbers up to here are whole in AMF, which knows only floating-point ones.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// Reads a call of a client: its name and the arguments behind the command object.
pub fn read(name: &str, arguments: &[amf0::Value]) -> Result<ClientMessage, Malformed> {
    ClientMessage::read(name, arguments.first().map_or(Value::Null, to_json))
}

/// The call that says the same: its name and its arguments.
pub fn write(message: &ServerMessage) -> (&'static str, Vec<amf0::Value>) {
    let json = serde_json::to_value(message).unwrap_or_default();
    let arguments = match serde_json::from_value(json) {
        Ok(Envelope { data, .. }) => data.iter().map(from_json).collect(),
        Err(_) => Vec::new(),
    };
    (message.name(), arguments)
}

/// What JSON can say of an AMF value. A number that is whole becomes a whole number; dates become milliseconds; what JSON
/// cannot say, or what lies too deep, becomes `null`.
pub fn to_json(value: &amf0::Value) -> Value {
    json_below(value, MAX_DEPTH)
}

/// The AMF value that says the same.
pub fn from_json(value: &Value) -> amf0::Value {
    match value {
        Value::Null => amf0::Value::Null,
        Value::Bool(flag) => amf0::Value::Boolean(*flag),
        Value::Number(number) => amf0::Value::Number(number.as_f64().unwrap_or_default()),
        Value::String(text) => amf0::Value::text(text.as_str()),
        Value::Array(list) => amf0::Value::StrictArray(list.iter().map(from_json).collect()),
        Value::Object(fields) => amf0::Value::Object(
            fields.iter().map(|(name, value)| (name.as_str(), from_json(value))).collect(),
        ),
    }
}

fn json_below(value: &amf0::Value, levels: usize) -> Value {
    let Some(below) = levels.checked_sub(1) else { return Value::Null };
    match value {
        amf0::Value::Number(number) | amf0::Value::Date(number) => json_number(*number),
        amf0::Value::Boolean(flag) => Value::Bool(*flag),
        amf0::Value::String(text) | amf0::Value::Xml(text) => Value::String(text.clone()),
        amf0::Value::StrictArray(list) => list.iter().map(|value| json_below(value, below)).collect(),
        amf0::Value::Object(fields)
        | amf0::Value::EcmaArray(fields)
        | amf0::Value::TypedObject(_, fields) => {
            let mut map = Map::new();
            for (name, value) in &fields.0 {
                // The first of a name counts.
                map.entry(name).or_insert_with(|| json_below(value, below));
            }
            Value::Object(map)
        }
        amf0::Value::Null | amf0::Value::Undefined | amf0::Value::Unsupported | amf0::Value::Bytes(_) => {
            Value::Null
        }
    }
}

fn json_number(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < WHOLE {
        // Exact: it is whole and within 53 bits.
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}
