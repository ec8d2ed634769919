//! What a configuration comes to, in words.

use super::load::{join, look_up};
use super::{CertificateSource, Config, ConfigError, Place, Tls};
use crate::certificate::Pair;
use std::fmt::Write as _;
use std::net::SocketAddr;
use toml::{Table, Value};

impl Config {
    /// What will listen where, who will be told what, and which options differ from their defaults: for a terminal.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, address: SocketAddr, transport: &str, what: &str| {
            let shown = address.to_string();
            writeln!(text, "{name:<7} {shown:<21} {transport:<7} {what}").expect("a String takes all");
        };
        line("rtmp", self.rtmp.listen, "tcp", "publish and play: rtmp://HOST/<room>/<participant>");
        line("http", self.http.listen, "tcp", "pages, WHIP, WHEP, API, metrics");
        if self.http.tls.source().is_some() {
            line("https", self.http.tls.listen, "tcp", "the same over TLS; rtmps:// is on RTMP's port");
        }
        line("webrtc", self.webrtc.listen, "udp,tcp", "media of all WebRTC peers");
        let announced: Vec<_> = self.webrtc.announce.iter().map(ToString::to_string).collect();
        let announced = match announced.as_slice() {
            [] if self.webrtc.listen.ip().is_unspecified() => "every local address".to_owned(),
            [] => self.webrtc.listen.ip().to_string(),
            some => some.join(", "),
        };
        writeln!(text, "WebRTC peers are told to send to: {announced}").expect("a String takes all");
        writeln!(text, "TLS: {}", self.http.tls.explain()).expect("a String takes all");
        if self.recording.browse {
            text.push_str("recordings: whoever reaches HTTP may play and delete them (recording.browse)\n");
        }
        if self.recording.control {
            text.push_str("recordings: whoever reaches HTTP may start and stop them (recording.control)\n");
        }
        let changed = self.changed();
        if changed.is_empty() {
            text.push_str("every option has its default\n");
        } else {
            text.push_str("options that differ from their defaults:\n");
            for (key, value) in changed {
                writeln!(text, "  {key} = {value}").expect("a String takes all");
            }
        }
        text
    }

    /// The effective value of one key, such as `rtmp.listen`: text without quotes, everything else as TOML. A section,
    /// such as `rtmp`, is given as its lines, without the sections in it.
    pub fn get(&self, key: &str) -> Result<String, ConfigError> {
        let known = self.table();
        match look_up(&known, key) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Table(keys)) => {
                let own = keys.iter().filter(|(_, value)| !value.is_table());
                let own: Table = own.map(|(key, value)| (key.clone(), value.clone())).collect();
                Ok(own.to_string().trim_end().to_owned())
            }
            Some(other) => Ok(other.to_string()),
            None => Err(ConfigError::unknown(Place::Flag(format!("--print {key}")), key, &known)),
        }
    }

    pub(super) fn table(&self) -> Table {
        Table::try_from(self).expect("a configuration is a table of tables")
    }

    fn changed(&self) -> Vec<(String, String)> {
        fn collect(name: &str, section: &Table, defaults: &Table, changed: &mut Vec<(String, String)>) {
            for (key, value) in section {
                let (full, default) = (join(name, key), defaults.get(key));
                match (value, default) {
                    (Value::Table(keys), Some(Value::Table(defaults))) => {
                        collect(&full, keys, defaults, changed)
                    }
                    _ if default != Some(value) => changed.push((full, value.to_string())),
                    _ => {}
                }
            }
        }
        let mut changed = Vec::new();
        collect("", &self.table(), &Self::default().table(), &mut changed);
        changed
    }
}

impl Tls {
    /// Where the certificate comes from and what it is worth.
    fn explain(&self) -> String {
        match self.source() {
            None => "off; cameras work on pages from localhost only (http.tls)".to_owned(),
            Some(CertificateSource::SelfSigned) => {
                format!(
                    "a certificate of its own, kept in {}; browsers warn of it once",
                    self.state.display()
                )
            }
            Some(CertificateSource::Acme) => {
                let names: Vec<_> = self.acme.iter().map(ToString::to_string).collect();
                format!(
                    "a certificate for {} from {}, kept in {}; that server must reach this one on port 443 or 80",
                    names.join(", "),
                    self.acme_directory,
                    self.state.display()
                )
            }
            // They were read a moment ago; what has happened since is no fault of the configuration.
            Some(CertificateSource::Files) => match Pair::read(&self.certificate, &self.key) {
                Ok(pair) => format!(
                    "the certificate of {} for {}, valid from {} to {}",
                    self.certificate.display(),
                    pair.facts.names.join(", "),
                    pair.facts.not_before,
                    pair.facts.not_after
                ),
                Err(error) => error.to_string(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_explanation_names_addresses_and_changes() {
        let text = Config::default().explain();
        for expected in ["rtmp    0.0.0.0:1935", "every local address", "every option has its default"] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
        let flags = ["webrtc.announce=203.0.113.5".to_owned(), "rooms.max_rooms=3".to_owned()];
        let text = Config::parse("", Path::new("c.toml"), &flags).unwrap().explain();
        for expected in
            ["send to: 203.0.113.5\n", "\n  rooms.max_rooms = 3\n", "announce = [\"203.0.113.5\"]\n"]
        {
            assert!(text.contains(expected), "{expected} in {text}");
        }
        assert!(!text.contains("  rtmp.listen"));
        assert!(text.contains("TLS: off;") && !text.contains("https  "), "{text}");
    }

    #[test]
    fn what_strangers_may_do_with_recordings_is_said() {
        let explain =
            |flag: &str| Config::parse("", Path::new("c.toml"), &[flag.to_owned()]).unwrap().explain();
        assert!(explain("recording.browse=true").contains("may play and delete them (recording.browse)\n"));
        assert!(explain("recording.control=true").contains("may start and stop them (recording.control)\n"));
        assert!(!Config::default().explain().contains("whoever"));
    }

    #[test]
    fn a_certificate_is_explained() {
        let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls");
        let explain = |flags: &[String]| Config::parse("", Path::new("c.toml"), flags).unwrap().explain();
        let files = ["certificate=ecdsa.pem", "key=ecdsa.key"]
            .map(|flag| format!("http.tls.{}", flag.replace('=', &format!("={data}/"))));
        let text = explain(&files);
        assert!(text.contains("https   0.0.0.0:8443") && text.contains("\n  http.tls.key = "), "{text}");
        assert!(
            text.contains("for ecdsa.example, 127.0.0.1, ::1, valid from 2026-11-21 to 2126-10-28"),
            "{text}"
        );
        let text = explain(&["http.tls.self_signed=true".to_owned()]);
        assert!(text.contains("TLS: a certificate of its own, kept in state;"), "{text}");
        let text = explain(&["http.tls.acme=a.example,b.example".to_owned()]);
        assert!(
            text.contains("TLS: a certificate for a.example, b.example from https://acme-v02."),
            "{text}"
        );
    }

    #[test]
    fn a_key_can_be_asked_for() {
        let config = Config::default();
        assert_eq!(config.get("rtmp.listen").unwrap(), "0.0.0.0:1935");
        assert_eq!(config.get("rooms.max_rooms").unwrap(), "1000");
        assert_eq!(config.get("webrtc.announce").unwrap(), "[]");
        assert_eq!(
            config.get("rtmp.lisen").unwrap_err().to_string(),
            "--print rtmp.lisen: there is no key \"rtmp.lisen\"; did you mean \"rtmp.listen\"?"
        );
        let bridge = config.get("bridge").unwrap();
        assert_eq!(bridge.lines().next(), Some("linger = \"5s\""), "{bridge}");
        assert!(config.get("").is_err() && config.get("rtmp.listen.port").is_err());
    }
}
