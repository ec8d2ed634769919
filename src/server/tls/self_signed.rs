//! A certificate of our own, for trying in a local network: browsers need TLS before they give a camera to a page, and take this
//! one once their user has said so. It is kept, so that they are asked once.

use super::folder::Folder;
use super::served::Served;
use super::{LOOK_AGAIN, TlsError, unix_now};
use crate::certificate::Pair;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use std::ffi::CStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use tokio::time::sleep;
use tracing::{error, warn};

/// The key and the certificate, in one file so that they are replaced as one.
const FILE: &str = "self-signed.pem";
/// Some clients take no certificate that is valid for more than 825 days.
const LIFE: Duration = Duration::from_hours(800 * 24);
/// A new one is made when the old one has so long to live.
const RENEW: Duration = Duration::from_hours(30 * 24);
/// Clocks of a local network disagree.
const EARLIER: Duration = Duration::from_hours(24);

/// What keeps it.
pub(super) struct SelfSigned {
    folder: Folder,
    served: Served,
}

impl SelfSigned {
    pub(super) fn start(folder: Folder, served: Served) -> Result<Self, TlsError> {
        let own = Self { folder, served };
        own.refresh()?;
        Ok(own)
    }

    pub(super) async fn run(&self) {
        loop {
            sleep(LOOK_AGAIN).await;
            if self.served.facts().is_some_and(|facts| is_fresh(facts.not_after.unix())) {
                continue;
            }
            if let Err(error) = self.refresh() {
                error!(%error, "no new certificate; the old one stays");
            }
        }
    }

    /// Serves the one that is kept, or else a new one.
    fn refresh(&self) -> Result<(), TlsError> {
        let kept = self.folder.read(FILE)?.and_then(|kept| match Pair::parse(&kept, &kept) {
            Ok(pair) => Some(pair),
            Err(error) => {
                let file = self.folder.path(FILE);
                warn!(file = %file.display(), %error, "the certificate that was kept is damaged; here is a new one");
                None
            }
        });
        let pair = match kept.filter(|pair| is_fresh(pair.facts.not_after.unix())) {
            Some(pair) => pair,
            None => {
                let made = make()?;
                self.folder.write(FILE, made.as_bytes())?;
                Pair::parse(made.as_bytes(), made.as_bytes())?
            }
        };
        self.served.put(pair, "self-signed");
        Ok(())
    }
}

fn is_fresh(not_after: i64) -> bool {
    not_after.saturating_sub(unix_now()) > RENEW.as_secs() as i64
}

/// A key and a certificate for every name that this machine may be called by, as PEM.
fn make() -> Result<String, TlsError> {
    let mut names = vec!["localhost".to_owned()];
    // What cannot stand in a certificate is no name that a browser could ask for.
    if let Some(host) = host_name().filter(|name| CertificateParams::new([name.clone()]).is_ok()) {
        // As other machines of a local network find it by multicast DNS (RFC 6762, section 3).
        let local = (!host.contains('.')).then(|| format!("{host}.local"));
        names.extend([Some(host), local].into_iter().flatten());
    }
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    addresses
        .extend(if_addrs::get_if_addrs().unwrap_or_default().into_iter().map(|interface| interface.ip()));
    names.extend(addresses.into_iter().map(|address| address.to_string()));
    names.sort_unstable();
    names.dedup();

    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "Commonroom, self-signed");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let day_zero = rcgen::date_time_ymd(1970, 1, 1);
    let now = Duration::from_secs(unix_now().try_into().unwrap_or_default());
    params.not_before = day_zero + now.saturating_sub(EARLIER);
    params.not_after = day_zero + now + LIFE;
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(key.serialize_pem() + &certificate.pem())
}

/// What this machine calls itself.
#[expect(unsafe_code, reason = "gethostname, which no crate in use offers")]
fn host_name() -> Option<String> {
    let mut buffer = [0u8; 256];
    // SAFETY: the pointer and the length are those of one array that lives across the call; the last byte is left out, so
    // that it stays zero whatever is written.
    let result = unsafe { libc::gethostname(buffer.as_mut_ptr().cast(), buffer.len() - 1) };
    let name = CStr::from_bytes_until_nul(&buffer).ok()?.to_str().ok()?;
    (result == 0 && !name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn served(folder: &Folder) -> crate::certificate::Facts {
        let served = Served::default();
        SelfSigned::start(folder.clone(), served.clone()).unwrap();
        served.facts().unwrap()
    }

    #[test]
    fn it_is_made_once_and_made_anew_when_damaged() {
        let root = std::env::temp_dir().join(format!("commonroom-self-{}", std::process::id()));
        let folder = Folder::open(root.clone()).unwrap();
        let first = served(&folder);
        for name in ["localhost", "127.0.0.1", "::1"] {
            assert!(first.names.iter().any(|it| it == name), "{:?}", first.names);
        }
        assert!(host_name().is_none_or(|host| first.names.contains(&host)));
        let days = (first.not_after.unix() - first.not_before.unix()) / 86_400;
        assert_eq!(days, 801);
        assert!(first.not_before.unix() < unix_now() && is_fresh(first.not_after.unix()));
        let kept = folder.read(FILE).unwrap();
        assert_eq!(served(&folder), first);
        assert_eq!(folder.read(FILE).unwrap(), kept, "it is the same after a restart");

        folder.write(FILE, b"rubbish").unwrap();
        served(&folder);
        let second = folder.read(FILE).unwrap();
        assert!(second != kept && Pair::parse(second.as_ref().unwrap(), second.as_ref().unwrap()).is_ok());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn one_that_ends_soon_is_replaced() {
        assert!(!is_fresh(unix_now()) && !is_fresh(unix_now() + 29 * 86_400));
        assert!(is_fresh(unix_now() + 31 * 86_400));
    }
}
