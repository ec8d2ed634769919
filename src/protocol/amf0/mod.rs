//! AMF0, the encoding of RTMP commands and metadata ("Action Message Format -- AMF 0", Adobe 2007).
//!
//! Input is whatever a peer sends, so a decoder counts: how deep it is, how many values and how many bytes of text it
//! has made. References and AMF3 can name one value many times; that is counted each time it is made.

mod decode;
mod encode;
mod value;

pub(super) use decode::Budget;
pub use decode::{AmfError, Decoder, MAX_BYTES, MAX_DEPTH, MAX_VALUES, decode_all};
pub use encode::encode_all;
pub use value::{Object, Value};

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
    use crate::wire::Truncated;
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
