//! Takes the protection off what we receive: authenticity, replays, and a bound on what a forger can make us keep.

use super::keys::{Keys, MasterKey, Profile};
use bytes::BytesMut;
use rtc_crypto::RTCCryptoProvider;
use rtc_srtp::context::Context;
use rtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use rtc_srtp::protection_profile::ProtectionProfile;
use std::sync::Arc;
use thiserror::Error;

/// Packets that may arrive this far behind the newest. A retransmission over a long path comes late.
const REPLAY_WINDOW: usize = 512;
/// SSRCs of one peer that have proved authentic: its streams, their retransmissions and a few restarts.
const MAX_SSRCS: usize = 32;
/// Unproved SSRCs that a context on probation may know before it is made anew.
const MAX_STRANGERS: u32 = 64;

/// Why a packet was not opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Rejected {
    /// Too short to be one.
    #[error("too short")]
    Truncated,
    /// Forged, damaged, or seen before.
    #[error("not authentic, or a replay")]
    Forged,
    /// The peer has sent under too many SSRCs.
    #[error("too many synchronisation sources")]
    TooManySources,
}

/// What one peer sends us.
///
/// The library's context keeps a replay window for each SSRC it sees, authentic or not. So a new SSRC first goes through a
/// context on probation that is thrown away now and then; only one whose first packet was authentic gets into the real
/// context, and of those there is a limited number.
pub struct Opener {
    profile: Profile,
    key: MasterKey,
    crypto: Arc<dyn RTCCryptoProvider>,
    context: Context,
    probation: Option<Box<Context>>,
    strangers: u32,
    rtp_sources: Vec<u32>,
    rtcp_sources: Vec<u32>,
}

impl Opener {
    /// Opens what the other side sends. `None` if the library refuses the keys, which it does for none of ours.
    pub fn new(keys: &Keys) -> Option<Self> {
        let crypto = rtc_crypto::default_provider().ok()?;
        Some(Self {
            profile: keys.profile,
            context: context(keys.profile, &keys.remote, &*crypto)?,
            key: keys.remote.clone(),
            crypto,
            probation: None,
            strangers: 0,
            rtp_sources: Vec::new(),
            rtcp_sources: Vec::new(),
        })
    }

    /// Opens an RTP packet: the same packet without protection.
    pub fn open_rtp(&mut self, packet: &[u8]) -> Result<BytesMut, Rejected> {
        let ssrc = u32_at(packet, 8).ok_or(Rejected::Truncated)?;
        if !self.rtp_sources.contains(&ssrc) {
            self.prove(self.rtp_sources.len(), |context| context.decrypt_rtp(packet).is_ok())?;
            self.rtp_sources.push(ssrc);
        }
        self.context.decrypt_rtp(packet).map_err(|_| Rejected::Forged)
    }

    /// Opens a compound RTCP packet.
    pub fn open_rtcp(&mut self, packet: &[u8]) -> Result<BytesMut, Rejected> {
        let ssrc = u32_at(packet, 4).ok_or(Rejected::Truncated)?;
        // The library hands a packet without the encryption flag on without looking at its tag: whoever leaves the flag
        // out could forge reports. No WebRTC client sends such packets, so they are not taken.
        let index_at =
            packet.len().checked_sub(self.profile.srtcp_trailer_len()).ok_or(Rejected::Truncated)?;
        if packet.get(index_at).is_none_or(|byte| byte & 0x80 == 0) {
            return Err(Rejected::Forged);
        }
        if !self.rtcp_sources.contains(&ssrc) {
            self.prove(self.rtcp_sources.len(), |context| context.decrypt_rtcp(packet).is_ok())?;
            self.rtcp_sources.push(ssrc);
        }
        self.context.decrypt_rtcp(packet).map_err(|_| Rejected::Forged)
    }

    fn prove(&mut self, known: usize, open: impl FnOnce(&mut Context) -> bool) -> Result<(), Rejected> {
        if known >= MAX_SSRCS {
            return Err(Rejected::TooManySources);
        }
        if self.strangers >= MAX_STRANGERS {
            (self.probation, self.strangers) = (None, 0);
        }
        if self.probation.is_none() {
            self.probation = context(self.profile, &self.key, &*self.crypto).map(Box::new);
        }
        self.strangers += 1;
        let probation = self.probation.as_mut().ok_or(Rejected::Forged)?;
        if !open(probation) {
            return Err(Rejected::Forged);
        }
        // Made anew for the next newcomer: it would take the packet that has just proved its source for a replay.
        (self.probation, self.strangers) = (None, 0);
        Ok(())
    }
}

fn context(profile: Profile, key: &MasterKey, crypto: &dyn RTCCryptoProvider) -> Option<Context> {
    let profile = match profile {
        Profile::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Profile::Aes128CmSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
    };
    // Left to its defaults, the context checks no replays at all.
    let (rtp, rtcp) = (srtp_replay_protection(REPLAY_WINDOW), srtcp_replay_protection(REPLAY_WINDOW));
    Context::new(key.key(), key.salt(), profile, Some(rtp), Some(rtcp), crypto.crypto()).ok()
}

fn u32_at(packet: &[u8], at: usize) -> Option<u32> {
    let bytes = packet.get(at..at + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::srtp::Sealer;
    use crate::protocol::srtp::testing::{keys, rtp};

    fn sealed(sealer: &Sealer, ssrc: u32, sequence: u16) -> Vec<u8> {
        let mut packet = rtp(ssrc, sequence, &[]);
        packet.resize(12 + 5 + sealer.overhead(), 0);
        assert!(sealer.seal_rtp(&mut packet, 12, ssrc, u64::from(sequence), &[], b"hello"));
        packet
    }

    #[test]
    fn replays_and_forgeries_are_rejected() {
        for profile in [Profile::AeadAes128Gcm, Profile::Aes128CmSha1_80] {
            let keys = keys(profile);
            let (sealer, mut opener) = (Sealer::new(profile, &keys.remote), Opener::new(&keys).unwrap());
            let packet = sealed(&sealer, 5, 100);
            assert_eq!(opener.open_rtp(&packet).unwrap()[12..], *b"hello");
            assert_eq!(opener.open_rtp(&packet), Err(Rejected::Forged), "a replay");
            let mut forged = sealed(&sealer, 5, 101);
            forged[14] ^= 1;
            assert_eq!(opener.open_rtp(&forged), Err(Rejected::Forged));
            assert!(opener.open_rtp(&sealed(&sealer, 5, 99)).is_ok(), "late is not a replay");
            for length in 0..packet.len() {
                assert!(opener.open_rtp(&packet[..length]).is_err());
                assert!(opener.open_rtcp(&packet[..length]).is_err());
            }
        }
    }

    #[test]
    fn reports_without_the_encryption_flag_are_forgeries() {
        for profile in [Profile::AeadAes128Gcm, Profile::Aes128CmSha1_80] {
            let keys = keys(profile);
            let (mut sealer, mut opener) = (Sealer::new(profile, &keys.remote), Opener::new(&keys).unwrap());
            let mut packet = Vec::new();
            assert!(sealer.seal_rtcp(&mut packet, &[0x81, 201, 0, 1, 0, 0, 0, 9]));
            let flag_at = packet.len() - profile.srtcp_trailer_len();
            let mut forged = packet.clone();
            forged[flag_at] &= 0x7f;
            assert_eq!(opener.open_rtcp(&forged), Err(Rejected::Forged));
            assert!(opener.open_rtcp(&packet).is_ok());
            assert_eq!(opener.open_rtcp(&packet), Err(Rejected::Forged), "a replay");
        }
    }

    #[test]
    fn forged_sources_take_no_places_and_real_ones_a_limited_number() {
        let keys = keys(Profile::AeadAes128Gcm);
        let (sealer, mut opener) = (Sealer::new(keys.profile, &keys.remote), Opener::new(&keys).unwrap());
        for ssrc in 0..1_000 {
            let mut forged = sealed(&sealer, ssrc, 1);
            *forged.last_mut().unwrap() ^= 1;
            assert_eq!(opener.open_rtp(&forged), Err(Rejected::Forged));
        }
        assert!(opener.rtp_sources.is_empty() && opener.strangers <= MAX_STRANGERS);
        for ssrc in 0..MAX_SSRCS as u32 {
            assert!(opener.open_rtp(&sealed(&sealer, ssrc, 1)).is_ok());
        }
        assert_eq!(opener.open_rtp(&sealed(&sealer, 99, 1)), Err(Rejected::TooManySources));
        assert!(opener.open_rtp(&sealed(&sealer, 0, 2)).is_ok());
    }
}
