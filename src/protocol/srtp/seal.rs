//! Protects what we send.

use super::keys::{Label, MasterKey, Profile, counter_key, counter_mode};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::EncryptingKey;
use aws_lc_rs::hmac;

/// The most that sealing adds to an RTCP packet: tag and index.
pub const SRTCP_OVERHEAD: usize = 20;
/// Tag of AES-CM with HMAC-SHA1-80.
const SHA1_TAG: usize = 10;
/// Header of an RTCP packet up to the SSRC: stays in clear.
const RTCP_CLEAR: usize = 8;
/// The top bit of the SRTCP index: the packet is encrypted.
const ENCRYPTED: u32 = 1 << 31;

/// One direction of one session. For RTP it has no state of its own, so that a packet can be sealed into any buffer at
/// any time; the caller must never use an index twice for the same SSRC.
pub struct Sealer {
    rtp: Cipher,
    rtcp: Cipher,
    profile: Profile,
    rtcp_index: u32,
}

enum Cipher {
    // Boxed: key schedules are large and of one of the two kinds.
    Gcm { key: Box<LessSafeKey>, salt: [u8; 12] },
    Cm { key: Box<EncryptingKey>, salt: [u8; 14], authentication: Box<hmac::Key> },
}

impl Sealer {
    /// Derives the session keys.
    pub fn new(profile: Profile, master: &MasterKey) -> Self {
        use Label::{
            RtcpAuthentication, RtcpEncryption, RtcpSalt, RtpAuthentication, RtpEncryption, RtpSalt,
        };
        Self {
            rtp: Cipher::new(profile, master, RtpEncryption, RtpAuthentication, RtpSalt),
            rtcp: Cipher::new(profile, master, RtcpEncryption, RtcpAuthentication, RtcpSalt),
            profile,
            rtcp_index: 0,
        }
    }

    /// Bytes that sealing adds to an RTP packet.
    pub const fn overhead(&self) -> usize {
        self.profile.tag_len()
    }

    /// Seals an RTP packet in `packet`, whose first `header_len` bytes are the RTP header and whose rest is overwritten by
    /// `prefix` and `payload`, encrypted, and the tag. `index` is the packet index: rollover counter and sequence number,
    /// 48 bits. Does nothing and says `false` unless the lengths add up.
    pub fn seal_rtp(
        &self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
        prefix: &[u8],
        payload: &[u8],
    ) -> bool {
        let Some((header, body)) = packet.split_at_mut_checked(header_len) else { return false };
        if body.len() != prefix.len() + payload.len() + self.overhead() {
            return false;
        }
        let index = index & 0xffff_ffff_ffff;
        match &self.rtp {
            Cipher::Gcm { key, salt } => {
                // RFC 7714, section 8.1: two zero bytes, SSRC, rollover counter, sequence number, xor the salt.
                let mut nonce = [0; 12];
                nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
                nonce[6..].copy_from_slice(&index.to_be_bytes()[2..]);
                xor(&mut nonce, salt);
                let nonce = Nonce::assume_unique_for_key(nonce);
                let (text, tag) = body.split_at_mut(prefix.len() + payload.len());
                if prefix.is_empty() {
                    let sealed =
                        key.seal_out_of_place_scatter(nonce, Aad::from(header), payload, text, &[], tag);
                    return sealed.is_ok();
                }
                let (front, back) = text.split_at_mut(prefix.len());
                front.copy_from_slice(prefix);
                back.copy_from_slice(payload);
                key.seal_in_place_scatter(nonce, Aad::from(header), text, &[], tag).is_ok()
            }
            Cipher::Cm { key, salt, authentication } => {
                let (text, tag) = body.split_at_mut(prefix.len() + payload.len());
                let (front, back) = text.split_at_mut(prefix.len());
                front.copy_from_slice(prefix);
                back.copy_from_slice(payload);
                counter_mode(key, counter_start(salt, ssrc, index), text);
                // RFC 3711, section 4.2: over the packet and the rollover counter.
                let rollover = ((index >> 16) as u32).to_be_bytes(); // 48 bits less 16
                tag.copy_from_slice(&authenticate(authentication, &[header, text, &rollover]));
                true
            }
        }
    }

    /// Seals a compound RTCP packet behind the end of `out`. Says `false` and adds nothing if it has no header, or after
    /// 2^31 packets, when the keys are used up.
    pub fn seal_rtcp(&mut self, out: &mut Vec<u8>, packet: &[u8]) -> bool {
        let Some((clear, body)) = packet.split_at_checked(RTCP_CLEAR) else { return false };
        let next = self.rtcp_index + 1;
        if next & ENCRYPTED != 0 {
            return false;
        }
        self.rtcp_index = next;
        let ssrc = u32::from_be_bytes([clear[4], clear[5], clear[6], clear[7]]);
        let trailer = (next | ENCRYPTED).to_be_bytes();
        let start = out.len();
        out.extend_from_slice(packet);
        match &self.rtcp {
            Cipher::Gcm { key, salt } => {
                // RFC 7714, section 9.1: SSRC and the index, each behind two zero bytes, xor the salt.
                let mut nonce = [0; 12];
                nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
                nonce[8..].copy_from_slice(&next.to_be_bytes());
                xor(&mut nonce, salt);
                let mut aad = [0; RTCP_CLEAR + 4];
                aad[..RTCP_CLEAR].copy_from_slice(clear);
                aad[RTCP_CLEAR..].copy_from_slice(&trailer);
                let mut tag = [0; 16];
                let text = &mut out[start + RTCP_CLEAR..];
                debug_assert_eq!(text.len(), body.len());
                let nonce = Nonce::assume_unique_for_key(nonce);
                if key.seal_in_place_scatter(nonce, Aad::from(aad), text, &[], &mut tag).is_err() {
                    out.truncate(start);
                    return false;
                }
                out.extend_from_slice(&tag);
                out.extend_from_slice(&trailer);
            }
            Cipher::Cm { key, salt, authentication } => {
                counter_mode(key, counter_start(salt, ssrc, u64::from(next)), &mut out[start + RTCP_CLEAR..]);
                out.extend_from_slice(&trailer);
                let tag = authenticate(authentication, &[&out[start..]]);
                out.extend_from_slice(&tag);
            }
        }
        true
    }
}

impl Cipher {
    fn new(
        profile: Profile,
        master: &MasterKey,
        encryption: Label,
        authentication: Label,
        salt: Label,
    ) -> Self {
        let key = master.derive::<16>(encryption);
        match profile {
            Profile::AeadAes128Gcm => {
                let key = UnboundKey::new(&AES_128_GCM, &key).expect("16 bytes are a key of AES-128");
                Self::Gcm { key: Box::new(LessSafeKey::new(key)), salt: master.derive(salt) }
            }
            Profile::Aes128CmSha1_80 => Self::Cm {
                key: Box::new(counter_key(&key)),
                salt: master.derive(salt),
                authentication: Box::new(hmac::Key::new(
                    hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                    &master.derive::<20>(authentication),
                )),
            },
        }
    }
}

/// RFC 3711, section 4.1.1: `(salt * 2^16) xor (SSRC * 2^64) xor (index * 2^16)`.
fn counter_start(salt: &[u8; 14], ssrc: u32, index: u64) -> [u8; 16] {
    let mut start = [0; 16];
    start[4..8].copy_from_slice(&ssrc.to_be_bytes());
    start[8..14].copy_from_slice(&index.to_be_bytes()[2..]);
    xor(&mut start, salt);
    start
}

fn authenticate(key: &hmac::Key, parts: &[&[u8]]) -> [u8; SHA1_TAG] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    let mut tag = [0; SHA1_TAG];
    tag.copy_from_slice(&context.sign().as_ref()[..SHA1_TAG]);
    tag
}

fn xor(bytes: &mut [u8], with: &[u8]) {
    for (byte, with) in bytes.iter_mut().zip(with) {
        *byte ^= with;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::srtp::testing::{hex, keys, rtp};
    use crate::protocol::srtp::{Keys, Opener};
    use proptest::prelude::*;

    /// A sealer with session keys of a test vector, which gives no master key.
    fn gcm(key: &str, salt: &str) -> Sealer {
        let cipher = || Cipher::Gcm {
            key: Box::new(LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &hex(key)).unwrap())),
            salt: hex(salt).try_into().unwrap(),
        };
        Sealer { rtp: cipher(), rtcp: cipher(), profile: Profile::AeadAes128Gcm, rtcp_index: 0 }
    }

    fn seal(sealer: &Sealer, packet: &[u8], index: u64) -> Vec<u8> {
        let mut out = packet.to_vec();
        out.resize(packet.len() + sealer.overhead(), 0xee);
        let ssrc = u32::from_be_bytes(packet[8..12].try_into().unwrap());
        assert!(sealer.seal_rtp(&mut out, 12, ssrc, index, &[], &packet[12..]));
        out
    }

    #[test]
    fn rtp_of_rfc_7714_section_16_1_1() {
        let sealer = gcm("000102030405060708090a0b0c0d0e0f", "517569642070726f2071756f");
        let plain = hex(concat!(
            "8040f17b8041f8d35501a0b2",
            "47616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573"
        ));
        assert_eq!(
            seal(&sealer, &plain, 0xf17b),
            hex(concat!(
                "8040f17b8041f8d35501a0b2",
                "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833",
                "899d7f27beb16a9152cf765ee4390cce"
            ))
        );
    }

    #[test]
    fn rtcp_of_rfc_7714_section_17_1() {
        let mut sealer = gcm("000102030405060708090a0b0c0d0e0f", "517569642070726f2071756f");
        sealer.rtcp_index = 0x5d3; // the vector has 0x5d4
        assert!(!sealer.seal_rtcp(&mut Vec::new(), &[0x81, 200, 0, 0, 0, 0, 0]), "no header");
        assert_eq!(sealer.rtcp_index, 0x5d3);
        let plain = hex(concat!(
            "81c8000d4d6172734e5450314e545032525450200000042a0000e930",
            "4c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef"
        ));
        let mut out = vec![0xaa];
        assert!(sealer.seal_rtcp(&mut out, &plain));
        assert_eq!(
            out[1..],
            hex(concat!(
                "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda",
                "4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4"
            ))
        );
    }

    #[test]
    fn lengths_that_do_not_add_up_are_refused() {
        for profile in [Profile::AeadAes128Gcm, Profile::Aes128CmSha1_80] {
            let sealer = Sealer::new(profile, &keys(profile).local);
            let mut packet = [0; 40];
            assert!(!sealer.seal_rtp(&mut packet, 41, 1, 1, &[], &[]));
            assert!(!sealer.seal_rtp(&mut packet, 12, 1, 1, &[], &[0; 19]));
            assert!(sealer.seal_rtp(&mut packet[..12 + 9 + sealer.overhead()], 12, 1, 1, &[1, 2], &[0; 7]));
        }
    }

    /// Seals as we do and opens as the peer does.
    fn pair(profile: Profile) -> (Sealer, Opener) {
        let Keys { local, remote, .. } = keys(profile);
        let swapped = Keys { profile, local: remote, remote: local.clone() };
        (Sealer::new(profile, &local), Opener::new(&swapped).unwrap())
    }

    #[test]
    fn what_we_seal_opens_over_a_rollover() {
        for profile in [Profile::AeadAes128Gcm, Profile::Aes128CmSha1_80] {
            let (mut sealer, mut opener) = pair(profile);
            for index in 65_530u64..65_545 {
                let packet = rtp(7, index as u16, b"payload");
                let sealed = seal(&sealer, &packet, index);
                assert_eq!(sealed.len(), packet.len() + profile.tag_len());
                assert_eq!(opener.open_rtp(&sealed).unwrap(), packet, "{index}");
            }
            let report = hex("80c90001000000ff");
            let mut sealed = Vec::new();
            assert!(sealer.seal_rtcp(&mut sealed, &report) && sealed.len() <= report.len() + SRTCP_OVERHEAD);
            assert_eq!(opener.open_rtcp(&sealed).unwrap(), report);
        }
    }

    proptest! {
        #[test]
        fn any_payload_opens(gcm in any::<bool>(), payload in prop::collection::vec(any::<u8>(), 0..1300), cut in 0usize..4) {
            let (sealer, mut opener) = pair(if gcm { Profile::AeadAes128Gcm } else { Profile::Aes128CmSha1_80 });
            let packet = rtp(7, 1, &payload);
            let (prefix, rest) = payload.split_at(cut.min(payload.len()));
            let mut sealed = packet.clone();
            sealed.resize(packet.len() + sealer.overhead(), 0);
            prop_assert!(sealer.seal_rtp(&mut sealed, 12, 7, 1, prefix, rest));
            prop_assert_eq!(opener.open_rtp(&sealed).unwrap(), packet);
        }
    }
}
