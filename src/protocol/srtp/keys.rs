//! Protection profiles, master keys and the session keys derived from them.

use crate::protocol::sdp::DtlsRole;
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use std::fmt;

const KEY_LEN: usize = 16;
/// Salts are 14 bytes for AES-CM and 12 for AES-GCM.
const MAX_SALT_LEN: usize = 14;

/// A DTLS-SRTP protection profile that we speak (RFC 5764, section 4.1.2; RFC 7714, section 14.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Profile {
    /// SRTP_AEAD_AES_128_GCM: five times cheaper than the other.
    AeadAes128Gcm,
    /// SRTP_AES128_CM_HMAC_SHA1_80: what every WebRTC client must have.
    Aes128CmSha1_80,
}

/// A master key and salt: one direction of one session.
#[derive(Clone)]
pub struct MasterKey {
    key: [u8; KEY_LEN],
    salt: [u8; MAX_SALT_LEN],
    salt_len: usize,
}

/// Both directions.
#[derive(Clone, Debug)]
pub struct Keys {
    /// How to protect.
    pub profile: Profile,
    /// For what this side sends.
    pub local: MasterKey,
    /// For what the other side sends.
    pub remote: MasterKey,
}

/// What a session key is for (RFC 3711, section 4.3.1).
#[derive(Clone, Copy)]
pub(super) enum Label {
    RtpEncryption = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpEncryption = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

impl Profile {
    /// The profile of a number in `use_srtp`.
    pub const fn from_id(id: u16) -> Option<Self> {
        match id {
            0x0001 => Some(Self::Aes128CmSha1_80),
            0x0007 => Some(Self::AeadAes128Gcm),
            _ => None,
        }
    }

    /// The profile to use with a client that offers `ids`: AES-GCM where it can.
    pub fn choose(ids: &[u16]) -> Option<Self> {
        let offered = |profile: Self| ids.iter().any(|id| Self::from_id(*id) == Some(profile));
        [Self::AeadAes128Gcm, Self::Aes128CmSha1_80].into_iter().find(|profile| offered(*profile))
    }

    /// The name in logs and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::Aes128CmSha1_80 => "AES128_CM_HMAC_SHA1_80",
        }
    }

    /// Bytes of the authentication tag.
    pub const fn tag_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm => 16,
            Self::Aes128CmSha1_80 => 10,
        }
    }

    /// Bytes of an SRTCP packet from the index to its end: in AES-GCM the tag comes before the index.
    pub(super) const fn srtcp_trailer_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm => 4,
            Self::Aes128CmSha1_80 => 14,
        }
    }

    const fn salt_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm => 12,
            Self::Aes128CmSha1_80 => 14,
        }
    }

    /// Bytes of keying material that [`Keys::from_material`] takes.
    pub const fn material_len(self) -> usize {
        2 * (KEY_LEN + self.salt_len())
    }
}

impl Keys {
    /// Splits what the DTLS exporter gives: keys of client and server, then their salts (RFC 5764, section 4.2). `ours` is
    /// this side's part in the handshake. `None` if there are not [`Profile::material_len`] bytes.
    pub fn from_material(profile: Profile, material: &[u8], ours: DtlsRole) -> Option<Self> {
        if material.len() != profile.material_len() {
            return None;
        }
        let (keys, salts) = material.split_at(2 * KEY_LEN);
        let (client_key, server_key) = keys.split_at(KEY_LEN);
        let (client_salt, server_salt) = salts.split_at(profile.salt_len());
        let client = MasterKey::new(client_key, client_salt)?;
        let server = MasterKey::new(server_key, server_salt)?;
        let (local, remote) = match ours {
            DtlsRole::Server => (server, client),
            DtlsRole::Client => (client, server),
        };
        Some(Self { profile, local, remote })
    }
}

impl MasterKey {
    /// `None` unless the key has 16 bytes and the salt at most 14.
    pub fn new(key: &[u8], salt: &[u8]) -> Option<Self> {
        let mut padded = [0; MAX_SALT_LEN];
        padded.get_mut(..salt.len())?.copy_from_slice(salt);
        Some(Self { key: key.try_into().ok()?, salt: padded, salt_len: salt.len() })
    }

    /// The key.
    pub const fn key(&self) -> &[u8; KEY_LEN] {
        &self.key
    }

    /// The salt.
    pub fn salt(&self) -> &[u8] {
        &self.salt[..self.salt_len]
    }

    /// The first `N` bytes of the key stream of AES in counter mode under the master key, started at the salt with the
    /// label in it (RFC 3711, section 4.3.3). RFC 7714, section 11, uses the same for AES-128-GCM with its shorter salt.
    pub(super) fn derive<const N: usize>(&self, label: Label) -> [u8; N] {
        let mut start = [0; 16];
        start[..MAX_SALT_LEN].copy_from_slice(&self.salt);
        start[7] ^= label as u8;
        let mut stream = [0; N];
        counter_mode(&counter_key(&self.key), start, &mut stream);
        stream
    }
}

/// A key for [`counter_mode`].
pub(super) fn counter_key(key: &[u8; KEY_LEN]) -> EncryptingKey {
    UnboundCipherKey::new(&AES_128, key)
        .and_then(EncryptingKey::ctr)
        .expect("16 bytes are a key of AES-128, and that has a counter mode")
}

/// AES in counter mode, in place, from a counter block that the protocol never repeats under the same key.
pub(super) fn counter_mode(key: &EncryptingKey, start: [u8; 16], bytes: &mut [u8]) {
    key.less_safe_encrypt(bytes, EncryptionContext::Iv128(start.into()))
        .expect("counter mode takes input of any length");
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::srtp::testing::hex;

    #[test]
    fn key_derivation_of_rfc_3711_appendix_b3() {
        let master =
            MasterKey::new(&hex("E1F97A0D3E018BE0D64FA32C06DE4139"), &hex("0EC675AD498AFEEBB6960B3AABE6"))
                .unwrap();
        assert_eq!(master.derive::<16>(Label::RtpEncryption)[..], hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(master.derive::<14>(Label::RtpSalt)[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
        assert_eq!(
            master.derive::<94>(Label::RtpAuthentication)[..],
            hex(concat!(
                "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCEE049646C43D9327AD175578E",
                "F72270986371C10C9A369AC2F94A8C5FBCDDDC256D6E919A48B610EF17C2041E474035766B68642C59BBFC2F",
                "34DB60DBDFB2"
            ))
        );
    }

    #[test]
    fn profiles_by_number_and_preference() {
        assert_eq!(Profile::choose(&[1, 8, 7]), Some(Profile::AeadAes128Gcm), "what Chromium offers");
        assert_eq!(Profile::choose(&[2, 1]), Some(Profile::Aes128CmSha1_80));
        assert_eq!(Profile::choose(&[2, 8]), None);
    }

    #[test]
    fn material_is_split_in_the_order_of_rfc_5764() {
        let material: Vec<u8> = (0..60).collect();
        let keys = Keys::from_material(Profile::Aes128CmSha1_80, &material, DtlsRole::Client).unwrap();
        assert_eq!((keys.local.key()[0], keys.remote.key()[0]), (0, 16));
        assert_eq!((keys.local.salt(), keys.remote.salt()), (&material[32..46], &material[46..]));
        let keys = Keys::from_material(Profile::AeadAes128Gcm, &material[..56], DtlsRole::Server).unwrap();
        assert_eq!((keys.local.key()[0], keys.remote.key()[0]), (16, 0));
        assert!(Keys::from_material(Profile::AeadAes128Gcm, &material, DtlsRole::Server).is_none());
    }
}
