//! A certificate from an authority by ACME (RFC 8555): ordered at the first start, renewed when two thirds of its life are over,
//! tried again ever more rarely where that fails. What has been got is kept and outlives restarts.

use super::challenges::Challenges;
use super::folder::Folder;
use super::served::Served;
use super::{LOOK_AGAIN, TlsError, unix_now};
use crate::certificate::{Facts, Pair, PairError};
use crate::config::Tls as Config;
use instant_acme::{
    Account, AccountBuilder, AccountCredentials, AuthorizationStatus, ChallengeType, Error, Identifier,
    NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use metrics::counter;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error as ThisError;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

const SOURCE: &str = "acme";
/// The account and its key.
const ACCOUNT: &str = "account.json";
/// The key and the chain, in one file so that they are replaced as one.
const CERTIFICATE: &str = "certificate.pem";
/// An order, all its answers included, takes no longer.
const ORDER_LIMIT: Duration = Duration::from_mins(5);
/// How long an authority may look for us, and then make the certificate.
const POLL: RetryPolicy = RetryPolicy::new().timeout(Duration::from_mins(2));
/// The pause after the first failure; each further one makes it four times as long. Let's Encrypt allows five failures an hour.
const FIRST_PAUSE: Duration = Duration::from_secs(15);
const LONGEST_PAUSE: Duration = Duration::from_hours(6);
/// The problem of an account that the authority no longer knows.
const NO_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

/// What gets the certificate.
pub(super) struct Acme {
    names: Vec<String>,
    directory: String,
    contact: Option<String>,
    root: Option<PathBuf>,
    folder: Folder,
    served: Served,
    challenges: Challenges,
    /// Orders that failed since one did not.
    failures: u32,
}

/// Why there is no new certificate.
#[derive(Debug, ThisError)]
enum OrderError {
    #[error("{0}")]
    Protocol(#[from] Error),
    #[error("the authority did not find this server at {name} by {challenge}: {reason}")]
    NotFound { name: String, challenge: &'static str, reason: String },
    #[error("the authority offers no challenge {0}")]
    NoChallenge(&'static str),
    #[error("the authority took longer than {} s", ORDER_LIMIT.as_secs())]
    Timeout,
    #[error("the account that is kept cannot be read: {0}")]
    Account(#[source] serde_json::Error),
    #[error("the certificate that it issued cannot be used: {0}")]
    Pair(#[from] PairError),
    #[error(transparent)]
    Kept(#[from] TlsError),
    #[error("{0}")]
    Make(#[from] rcgen::Error),
}

/// The two ways in which an authority may look for us. Which one gets through is a matter of the network in between.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// A handshake on port 443 (RFC 8737).
    Tls,
    /// A request on port 80 (RFC 8555, section 8.3).
    Http,
}

impl Acme {
    /// Serves what is kept, if it is any good.
    pub(super) fn start(config: &Config, served: Served, challenges: Challenges) -> Result<Self, TlsError> {
        let folder =
            Folder::open(config.state.clone())?.inner("acme")?.inner(&as_name(&config.acme_directory))?;
        let acme = Self {
            names: config.acme.iter().map(|host| host.to_string().to_ascii_lowercase()).collect(),
            directory: config.acme_directory.clone(),
            contact: (!config.acme_contact.is_empty()).then(|| format!("mailto:{}", config.acme_contact)),
            root: (!config.acme_root.as_os_str().is_empty()).then(|| config.acme_root.clone()),
            folder,
            served,
            challenges,
            failures: 0,
        };
        if let Some(kept) = acme.folder.read(CERTIFICATE)? {
            match Pair::parse(&kept, &kept) {
                Ok(pair) if covers(&pair.facts, &acme.names) => acme.served.put(pair, SOURCE),
                Ok(pair) => {
                    let names = pair.facts.names.join(", ");
                    info!(names, "the certificate that is kept is for other names; another one is ordered");
                }
                Err(error) => {
                    let file = acme.folder.path(CERTIFICATE);
                    warn!(file = %file.display(), %error, "the certificate that is kept is damaged; another one is ordered");
                }
            }
        }
        Ok(acme)
    }

    pub(super) async fn run(&mut self) {
        loop {
            let left = self.served.facts().map(|facts| until_renewal(&facts, unix_now()));
            if let Some(left) = left.filter(|left| !left.is_zero()) {
                // Never in one go: monotonic clocks stand still while a machine sleeps.
                sleep(left.min(LOOK_AGAIN)).await;
                continue;
            }
            let way = if self.failures.is_multiple_of(2) { Way::Tls } else { Way::Http };
            let names = self.names.join(", ");
            info!(names, directory = self.directory, challenge = way.name(), "ordering a certificate");
            let ordered = timeout(ORDER_LIMIT, self.order(way)).await.unwrap_or(Err(OrderError::Timeout));
            self.challenges.clear();
            let (result, pause) = match ordered {
                Ok(pair) => {
                    self.served.put(pair, SOURCE);
                    self.failures = 0;
                    ("done", Duration::ZERO)
                }
                Err(error) => {
                    let pause = pause_after(self.failures);
                    self.failures = self.failures.saturating_add(1);
                    error!(names, %error, again_in_seconds = pause.as_secs(), "no certificate");
                    self.served.warn_of_the_end();
                    ("failed", pause)
                }
            };
            counter!("commonroom_tls_orders_total", "result" => result).increment(1);
            sleep(pause).await;
        }
    }

    /// From the order to a certificate that is kept.
    async fn order(&self, way: Way) -> Result<Pair, OrderError> {
        let identifiers: Vec<_> = self.names.iter().map(|name| Identifier::Dns(name.clone())).collect();
        let new = NewOrder::new(&identifiers);
        let mut order = match self.account().await?.new_order(&new).await {
            Err(Error::Api(problem)) if problem.r#type.as_deref() == Some(NO_ACCOUNT) => {
                warn!(
                    directory = self.directory,
                    "the authority does not know the account; it gets a new one"
                );
                self.folder.remove(ACCOUNT)?;
                self.account().await?.new_order(&new).await?
            }
            order => order?,
        };
        self.answer(&mut order, way).await?;
        let ready = order.poll_ready(&POLL).await;
        if !matches!(ready, Ok(OrderStatus::Ready)) {
            // What the order says of it names neither the host nor the way.
            let reason = refused(&mut order, way).await;
            let order_says = ready.err().unwrap_or(Error::Str("the reason why the order became invalid"));
            return Err(reason.unwrap_or_else(|| order_says.into()));
        }
        let mut params = CertificateParams::new(self.names.clone())?;
        params.distinguished_name = DistinguishedName::new();
        let key = KeyPair::generate()?;
        order.finalize_csr(params.serialize_request(&key)?.der()).await?;
        let chain = order.poll_certificate(&POLL).await?;
        let kept = key.serialize_pem() + &chain;
        let pair = Pair::parse(kept.as_bytes(), kept.as_bytes())?;
        self.folder.write(CERTIFICATE, kept.as_bytes())?;
        Ok(pair)
    }

    /// Makes ready for the authority's question about each name, and asks for it.
    async fn answer(&self, order: &mut Order, way: Way) -> Result<(), OrderError> {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            // Names are remembered for a while.
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let name = authorization.identifier().to_string();
            let mut challenge =
                authorization.challenge(way.kind()).ok_or(OrderError::NoChallenge(way.name()))?;
            let text = challenge.key_authorization();
            match way {
                Way::Tls => self.challenges.expect_tls(&name, text.as_str())?,
                Way::Http => self.challenges.expect_http(&challenge.token, text.as_str()),
            }
            challenge.set_ready().await?;
        }
        Ok(())
    }

    /// The account that is kept, or else a new one.
    async fn account(&self) -> Result<Account, OrderError> {
        if let Some(kept) = self.folder.read(ACCOUNT)? {
            match self.restore(&kept).await {
                Err(error) if error.is_damage() => {
                    let aside = self.folder.set_aside(ACCOUNT)?;
                    warn!(aside = %aside.display(), %error, "there is to be a new account with the authority");
                }
                account => return account,
            }
        }
        let contact: Vec<_> = self.contact.iter().map(String::as_str).collect();
        let new =
            NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let (account, credentials) = self.builder()?.create(&new, self.directory.clone(), None).await?;
        self.folder.write(ACCOUNT, &serde_json::to_vec(&credentials).map_err(OrderError::Account)?)?;
        info!(directory = self.directory, "an account with the authority is made");
        Ok(account)
    }

    async fn restore(&self, kept: &[u8]) -> Result<Account, OrderError> {
        let credentials: AccountCredentials = serde_json::from_slice(kept).map_err(OrderError::Account)?;
        Ok(self.builder()?.from_credentials(credentials).await?)
    }

    fn builder(&self) -> Result<AccountBuilder, Error> {
        self.root.as_ref().map_or_else(Account::builder, Account::builder_with_root)
    }
}

impl OrderError {
    /// Whether it is what was kept of the account that is at fault, and not the authority or the way there.
    const fn is_damage(&self) -> bool {
        matches!(self, Self::Account(_) | Self::Protocol(Error::KeyRejected | Error::Crypto | Error::Str(_)))
    }
}

/// Why an order became invalid: what the authority says of the first name that it did not find, if it says anything.
async fn refused(order: &mut Order, way: Way) -> Option<OrderError> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.ok()?;
        // What is known of it is from before the question.
        authorization.refresh().await.ok()?;
        let problem = authorization.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = problem {
            return Some(OrderError::NotFound {
                name: authorization.identifier().to_string(),
                challenge: way.name(),
                reason: problem.to_string(),
            });
        }
    }
    None
}

impl Way {
    const fn kind(self) -> ChallengeType {
        match self {
            Self::Tls => ChallengeType::TlsAlpn01,
            Self::Http => ChallengeType::Http01,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Tls => "tls-alpn-01",
            Self::Http => "http-01",
        }
    }
}

/// Whether a certificate is for each of these names.
fn covers(facts: &Facts, names: &[String]) -> bool {
    names.iter().all(|name| facts.names.iter().any(|covered| covered.eq_ignore_ascii_case(name)))
}

/// How long it is until a certificate is to be renewed, `now` being seconds since 1970.
fn until_renewal(facts: &Facts, now: i64) -> Duration {
    let (from, until) = (facts.not_before.unix(), facts.not_after.unix());
    let at = from.saturating_add(until.saturating_sub(from) / 3 * 2);
    Duration::from_secs(at.saturating_sub(now).try_into().unwrap_or_default())
}

fn pause_after(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(4u32.saturating_pow(failures)).min(LONGEST_PAUSE)
}

/// An address as a file name: what has been got from one authority is nothing to another.
fn as_name(directory: &str) -> String {
    let address = directory.strip_prefix("https://").unwrap_or(directory);
    address.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let (certificate, key) = (
            include_bytes!("../../../tests/data/tls/ecdsa.pem"),
            include_bytes!("../../../tests/data/tls/ecdsa.key"),
        );
        Pair::parse(certificate, key).unwrap().facts
    }

    #[test]
    fn a_certificate_is_renewed_when_two_thirds_of_its_life_are_over() {
        let facts = facts();
        let (from, until) = (facts.not_before.unix(), facts.not_after.unix());
        let third = (until - from) / 3;
        assert_eq!(until_renewal(&facts, from), Duration::from_secs(2 * third as u64));
        assert_eq!(until_renewal(&facts, from + 2 * third - 1), Duration::from_secs(1));
        assert_eq!(until_renewal(&facts, from + 2 * third), Duration::ZERO);
        assert_eq!(until_renewal(&facts, i64::MAX), Duration::ZERO);
    }

    #[test]
    fn one_for_other_names_is_not_good_enough() {
        let (facts, names) =
            (facts(), |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert!(covers(&facts, &names(&["ECDSA.example"])));
        assert!(!covers(&facts, &names(&["ecdsa.example", "other.example"])));
    }

    #[test]
    fn failures_are_rarer_than_an_authority_allows() {
        let pauses: Vec<_> = (0..8).map(|failures| pause_after(failures).as_secs()).collect();
        assert_eq!(pauses, [15, 60, 240, 960, 3_840, 15_360, 21_600, 21_600]);
        assert!(
            pauses[..4].iter().sum::<u64>() < 3_600,
            "it is a matter of minutes where both ways are tried"
        );
        assert!(pauses[..5].iter().sum::<u64>() > 3_600, "five failures take more than an hour");
        assert_eq!(pause_after(u32::MAX), LONGEST_PAUSE);
    }

    #[tokio::test]
    async fn a_damaged_account_is_set_aside() {
        let root = std::env::temp_dir().join(format!("commonroom-account-{}", std::process::id()));
        let config = Config {
            state: root.clone(),
            acme: vec!["room.example".parse().unwrap()],
            // Nobody listens there.
            acme_directory: "https://127.0.0.1:1/dir".to_owned(),
            ..Config::default()
        };
        let acme = Acme::start(&config, Served::default(), Challenges::default()).unwrap();
        let no_key =
            r#"{"id":"https://127.0.0.1:1/1","key_pkcs8":"bm8ga2V5","directory":"https://127.0.0.1:1/dir"}"#;
        for damaged in ["", "\0\0\0", "{\"id\":", "{}", no_key] {
            acme.folder.write(ACCOUNT, damaged.as_bytes()).unwrap();
            let error = acme.account().await.err().expect("there is no authority");
            assert!(!error.is_damage(), "{damaged:?}: a new account has been asked for: {error}");
            assert!(acme.folder.read(ACCOUNT).unwrap().is_none(), "{damaged:?}");
            let aside = acme.folder.read("account.json.damaged").unwrap();
            assert_eq!(aside.as_deref(), Some(damaged.as_bytes()));
        }
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn each_authority_has_a_folder() {
        let name = as_name("https://acme-v02.api.letsencrypt.org/directory");
        assert_eq!(name, "acme-v02.api.letsencrypt.org-directory");
        assert_eq!(as_name("https://localhost:14000/dir/../x"), "localhost-14000-dir-..-x");
    }
}
