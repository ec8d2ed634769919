//! Section `[http.tls]`.

use super::rules::Fault;
use super::{Host, written};
use crate::certificate::{Pair, PairError};
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// TLS, for HTTP on a port of its own and for RTMP on the usual one. Off unless there is a certificate to be had.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The TCP address for HTTPS and secure WebSocket.
    #[serde(deserialize_with = "written::address")]
    pub listen: SocketAddr,
    /// The certificate and those between it and a root, as PEM. Empty: none.
    pub certificate: PathBuf,
    /// Its private key, as PEM. Empty: none.
    pub key: PathBuf,
    /// Whether to make a certificate that nobody vouches for.
    pub self_signed: bool,
    /// Host names to get a certificate for by ACME (RFC 8555).
    #[serde(deserialize_with = "written::list")]
    pub acme: Vec<Host>,
    /// The authority that issues it: the address of its directory.
    pub acme_directory: String,
    /// Whom the authority may write to about it: an e-mail address, or nobody.
    pub acme_contact: String,
    /// The root that the authority's own server is certified by, as PEM. Empty: the roots that the system trusts.
    pub acme_root: PathBuf,
    /// The folder for what is to survive a restart: a self-signed certificate; ACME's account, certificate and key.
    pub state: PathBuf,
}

/// Where the certificate comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CertificateSource {
    /// From two files.
    Files,
    /// It is made here.
    SelfSigned,
    /// From an authority, by ACME.
    Acme,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::UNSPECIFIED, 8443).into(),
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            self_signed: false,
            acme: Vec::new(),
            acme_directory: "https://acme-v02.api.letsencrypt.org/directory".to_owned(),
            acme_contact: String::new(),
            acme_root: PathBuf::new(),
            state: PathBuf::from("state"),
        }
    }
}

impl Tls {
    /// Where the certificate comes from. `None`: TLS is off.
    pub fn source(&self) -> Option<CertificateSource> {
        if is_set(&self.certificate) {
            Some(CertificateSource::Files)
        } else if self.self_signed {
            Some(CertificateSource::SelfSigned)
        } else if !self.acme.is_empty() {
            Some(CertificateSource::Acme)
        } else {
            None
        }
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        None.or_else(|| self.competing())
            .or_else(|| self.half())
            .or_else(|| self.unreadable())
            .or_else(|| self.impossible())
    }

    /// More than one source.
    fn competing(&self) -> Option<Fault> {
        let sources = [
            (CERTIFICATE, is_set(&self.certificate)),
            (SELF_SIGNED, self.self_signed),
            (ACME, !self.acme.is_empty()),
        ];
        let mut given = sources.into_iter().filter_map(|(key, given)| given.then_some(key));
        let (first, second) = (given.next()?, given.next()?);
        Some(Fault {
            keys: vec![second, first],
            message: format!("{first} and {second} are both given, and one certificate is served; keep one"),
        })
    }

    /// A certificate without a key, or the other way round.
    fn half(&self) -> Option<Fault> {
        let (given, missing, what) = match (is_set(&self.certificate), is_set(&self.key)) {
            (true, false) => (CERTIFICATE, KEY, "the file with its private key"),
            (false, true) => (KEY, CERTIFICATE, "the file with the certificate that it belongs to"),
            _ => return None,
        };
        let message = format!("{given} is given and {missing} is not; write {missing} = {what}");
        Some(Fault { keys: vec![given, missing], message })
    }

    /// Files that cannot be served.
    fn unreadable(&self) -> Option<Fault> {
        if self.source() != Some(CertificateSource::Files) {
            return None;
        }
        let error = Pair::read(&self.certificate, &self.key).err()?;
        let (key, path) = match &error {
            PairError::Read { path, .. } if *path == self.certificate => (CERTIFICATE, None),
            PairError::Read { .. } => (KEY, None),
            PairError::Certificate(_) => (CERTIFICATE, Some(&self.certificate)),
            PairError::Key(_) => (KEY, Some(&self.key)),
        };
        let file = path.map(|path| format!("{}: ", path.display())).unwrap_or_default();
        Some(Fault { keys: vec![key], message: format!("{key}: {file}{error}") })
    }

    /// What no authority could do.
    fn impossible(&self) -> Option<Fault> {
        let fault = |key, message: String| Some(Fault { keys: vec![key], message });
        let address = self.acme.iter().find(|host| matches!(host, Host::Address(_)));
        if let Some(address) = address {
            return fault(ACME, format!("{ACME} has {address}, which is an address; write host names"));
        }
        if self.acme.len() > MAX_NAMES {
            return fault(ACME, format!("{ACME} has {} names; write {MAX_NAMES} at most", self.acme.len()));
        }
        if !self.acme_directory.starts_with("https://") {
            let usual = Self::default().acme_directory;
            let message = format!(
                "{DIRECTORY} is {:?}; write the https address of a directory, such as {usual:?}",
                self.acme_directory
            );
            return fault(DIRECTORY, message);
        }
        let contact = &self.acme_contact;
        if !contact.is_empty() && (!contact.contains('@') || contact.contains([':', ' ', ','])) {
            let message =
                format!("{CONTACT} is {contact:?}; write one e-mail address, such as \"me@example.org\"");
            return fault(CONTACT, message);
        }
        let root = is_set(&self.acme_root).then(|| std::fs::metadata(&self.acme_root).err()).flatten();
        if let Some(error) = root {
            return fault(ROOT, format!("{ROOT}: {} cannot be read: {error}", self.acme_root.display()));
        }
        if !is_set(&self.state) {
            return fault(STATE, format!("{STATE} is empty; write a folder"));
        }
        None
    }
}

fn is_set(path: &Path) -> bool {
    !path.as_os_str().is_empty()
}

/// Authorities allow so many in one certificate.
const MAX_NAMES: usize = 100;
const CERTIFICATE: &str = "http.tls.certificate";
const KEY: &str = "http.tls.key";
const SELF_SIGNED: &str = "http.tls.self_signed";
const ACME: &str = "http.tls.acme";
const DIRECTORY: &str = "http.tls.acme_directory";
const CONTACT: &str = "http.tls.acme_contact";
const ROOT: &str = "http.tls.acme_root";
const STATE: &str = "http.tls.state";

#[cfg(test)]
mod tests {
    use crate::config::{CertificateSource, Config};
    use std::path::Path;

    const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls");

    fn parse(lines: &str) -> Result<Config, String> {
        let text = format!("[http.tls]\n{}", lines.replace("DATA", DATA));
        Config::parse(&text, Path::new("c.toml"), &[])
            .map_err(|error| error.to_string().replace(DATA, "DATA"))
    }

    fn source(lines: &str) -> Option<CertificateSource> {
        parse(lines).unwrap_or_else(|error| panic!("{error}")).http.tls.source()
    }

    #[test]
    fn it_is_off_until_there_is_a_certificate_to_be_had() {
        assert_eq!(source(""), None);
        assert_eq!(source("listen = \"127.0.0.1:8443\""), None);
        assert_eq!(source("self_signed = true"), Some(CertificateSource::SelfSigned));
        assert_eq!(source("acme = [\"room.example\"]"), Some(CertificateSource::Acme));
        let files = "certificate = \"DATA/rsa.pem\"\nkey = \"DATA/rsa.key\"";
        assert_eq!(source(files), Some(CertificateSource::Files));
    }

    #[test]
    fn what_cannot_be_served_is_placed_and_explained() {
        let missing = parse("certificate = \"DATA/none.pem\"\nkey = \"DATA/rsa.key\"").unwrap_err();
        let said =
            "c.toml:2:15: http.tls.certificate: DATA/none.pem cannot be read: No such file or directory";
        assert!(missing.starts_with(said), "{missing}");
        for (lines, said) in [
            (
                "certificate = \"DATA/rsa.pem\"\nkey = \"DATA/none.key\"",
                "3:7: http.tls.key: DATA/none.key cannot be read: No such file or directory (os error 2)",
            ),
            (
                "certificate = \"DATA/rsa.pem\"\nkey = \"DATA/ecdsa.key\"",
                "3:7: http.tls.key: DATA/ecdsa.key: its private key belongs to another certificate",
            ),
            (
                "certificate = \"DATA/rsa.key\"\nkey = \"DATA/rsa.key\"",
                "2:15: http.tls.certificate: DATA/rsa.key: it holds no certificate (-----BEGIN CERTIFICATE-----)",
            ),
            (
                "certificate = \"DATA/rsa.pem\"",
                "2:15: http.tls.certificate is given and http.tls.key is not; write http.tls.key = the file with its \
                 private key",
            ),
            (
                "key = \"DATA/rsa.key\"",
                "2:7: http.tls.key is given and http.tls.certificate is not; write http.tls.certificate = the file \
                 with the certificate that it belongs to",
            ),
            (
                "self_signed = true\nacme = [\"room.example\"]",
                "3:8: http.tls.self_signed and http.tls.acme are both given, and one certificate is served; keep one",
            ),
            (
                "acme = [\"203.0.113.5\"]",
                "2:8: http.tls.acme has 203.0.113.5, which is an address; write host names",
            ),
            (
                "acme_directory = \"acme.example\"",
                "2:18: http.tls.acme_directory is \"acme.example\"; write the https address of a directory, such as \
                 \"https://acme-v02.api.letsencrypt.org/directory\"",
            ),
            (
                "acme_contact = \"mailto:me@example.org\"",
                "2:16: http.tls.acme_contact is \"mailto:me@example.org\"; write one e-mail address, such as \
                 \"me@example.org\"",
            ),
            ("state = \"\"", "2:9: http.tls.state is empty; write a folder"),
        ] {
            assert_eq!(parse(lines).unwrap_err(), format!("c.toml:{said}"));
        }
    }

    #[test]
    fn its_port_counts_only_while_it_is_on() {
        let listen = "listen = \"127.0.0.1:8080\"";
        assert!(parse(listen).is_ok());
        let said = parse(&format!("{listen}\nself_signed = true")).unwrap_err();
        assert!(
            said.starts_with("c.toml:2:10: http.tls.listen is 127.0.0.1:8080 and http.listen is"),
            "{said}"
        );
    }
}
