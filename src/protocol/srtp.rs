//! SRTP and SRTCP (RFC 3711, RFC 7714): our own sealing, straight into a send buffer, and opening by `rtc-srtp`.
//!
//! Sealing is the hot path of the whole server: one shared plaintext payload is sealed for every viewer. So the payload is
//! encrypted out of place, from where it lies into the buffer that the kernel gets, behind a header that stands there
//! already. There is no state per packet: the caller counts the 48-bit packet index.

mod keys;
mod open;
mod seal;

pub use keys::{Keys, MasterKey, Profile};
pub use open::{Opener, Rejected};
pub use seal::{SRTCP_OVERHEAD, Sealer};

#[cfg(test)]
mod testing {
    use super::{Keys, Profile};
    use crate::protocol::sdp::DtlsRole;

    pub(super) fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    pub(super) fn keys(profile: Profile) -> Keys {
        let material: Vec<u8> = (0..profile.material_len() as u8).collect();
        Keys::from_material(profile, &material, DtlsRole::Server).unwrap()
    }

    pub(super) fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, 96];
        packet.extend(sequence.to_be_bytes());
        packet.extend([0; 4]);
        packet.extend(ssrc.to_be_bytes());
        packet.extend(payload);
        packet
    }
}
