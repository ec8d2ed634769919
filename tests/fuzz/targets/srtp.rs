//! Protected packets: forged ones, and ones whose sender has the keys and means ill.

use commonroom::protocol::sdp::DtlsRole;
use commonroom::protocol::srtp::{Keys, Opener, Profile, Sealer};

const PROFILES: [Profile; 2] = [Profile::AeadAes128Gcm, Profile::Aes128CmSha1_80];

fn keys(profile: Profile) -> Keys {
    // 0, 1, 2 ...: secrets they need not be.
    let material: Vec<u8> = (0..profile.material_len()).map(|byte| byte as u8).collect();
    Keys::from_material(profile, &material, DtlsRole::Server).expect("as long as the profile says")
}

fn opener(keys: &Keys) -> Opener {
    Opener::new(keys).expect("the library takes our keys")
}

/// Anything at all in place of a protected packet.
pub(crate) fn forged(input: &[u8]) {
    for profile in PROFILES {
        let mut opener = opener(&keys(profile));
        let _ = opener.open_rtp(input);
        let _ = opener.open_rtcp(input);
    }
}

/// Properly sealed packets of which header and payload are anything at all; several, each with its length before it.
pub(crate) fn authentic(input: &[u8]) {
    for profile in PROFILES {
        let keys = keys(profile);
        let mut sealer = Sealer::new(profile, &keys.remote);
        let mut opener = opener(&keys);
        let mut rest = input;
        while let Some(([kind, length], after)) = rest.split_first_chunk() {
            let (packet, after) = after.split_at(usize::from(*length).min(after.len()));
            rest = after;
            if kind & 1 == 0 {
                let sealed = seal(&sealer, packet);
                let _ = opener.open_rtp(&sealed);
            } else {
                let mut sealed = Vec::new();
                sealer.seal_rtcp(&mut sealed, packet);
                let _ = opener.open_rtcp(&sealed);
            }
        }
    }
}

/// Seals what stands in for an RTP packet, its header ending where its first bytes say.
fn seal(sealer: &Sealer, packet: &[u8]) -> Vec<u8> {
    let field = |at: usize| packet.get(at).copied().unwrap_or(0);
    let header = 12 + 4 * usize::from(field(0) & 15);
    let (header, payload) = packet.split_at(header.min(packet.len()));
    let ssrc = u32::from_be_bytes([8, 9, 10, 11].map(field));
    let sequence = u16::from_be_bytes([2, 3].map(field));
    let mut sealed = header.to_vec();
    sealed.resize(packet.len() + sealer.overhead(), 0);
    sealer.seal_rtp(&mut sealed, header.len(), ssrc, sequence.into(), &[], payload);
    sealed
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let rtp = super::rtp::packet_seeds();
    let rtcp = super::rtp::rtcp_seeds();
    let sized = |kind: u8, packet: &Vec<u8>| [&[kind, packet.len().min(255) as u8][..], packet].concat();
    let mut seeds: Vec<Vec<u8>> = rtp.iter().map(|packet| sized(0, packet)).collect();
    seeds.extend(rtcp.iter().map(|packet| sized(1, packet)));
    seeds.push(seeds.concat());
    seeds.extend(rtp);
    seeds.extend(rtcp);
    seeds
}

#[test]
fn what_is_sealed_opens() {
    for profile in PROFILES {
        let keys = keys(profile);
        let packet = super::rtp::packet_seeds().swap_remove(0);
        let sealed = seal(&Sealer::new(profile, &keys.remote), &packet);
        assert_eq!(opener(&keys).open_rtp(&sealed).expect("it is authentic"), packet);
    }
}
