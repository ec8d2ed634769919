//! Signatures of events: who has the secret can tell that they come from here, and when.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use std::fmt::Write as _;

/// The value of the signature's header: the moment in seconds since 1970, and the HMAC-SHA256 of `<moment>.<body>` under the
/// secret. A receiver that refuses old moments cannot be sent the same again by somebody else.
pub(super) fn signature(secret: &str, moment: u64, body: &[u8]) -> String {
    let signed = [moment.to_string().as_bytes(), b".", body].concat();
    let tag = sign(&Key::new(HMAC_SHA256, secret.as_bytes()), &signed);
    let mut text = format!("t={moment},v1=");
    for byte in tag.as_ref() {
        write!(text, "{byte:02x}").expect("a String takes all");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_others_compute() {
        // printf '1492774577.{"object": "event"}' | openssl dgst -sha256 -hmac whsec_test
        assert_eq!(
            signature("whsec_test", 1_492_774_577, b"{\"object\": \"event\"}"),
            "t=1492774577,v1=06903c5f240b6034377e9b832afc88b5878d11e03be097ee761526fe1f205aae"
        );
    }
}
