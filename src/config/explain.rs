//! What a configuration comes to, in words.

use super::{Config, ConfigError, Place};
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
        line("webrtc", self.webrtc.listen, "udp,tcp", "media of all WebRTC peers");
        let announced: Vec<_> = self.webrtc.announce.iter().map(ToString::to_string).collect();
        let announced = match announced.as_slice() {
            [] if self.webrtc.listen.ip().is_unspecified() => "every local address".to_owned(),
            [] => self.webrtc.listen.ip().to_string(),
            some => some.join(", "),
        };
        writeln!(text, "WebRTC peers are told to send to: {announced}").expect("a String takes all");
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
    /// such as `rtmp`, is given as its lines.
    pub fn get(&self, key: &str) -> Result<String, ConfigError> {
        let known = self.table();
        let value = match key.split_once('.') {
            Some((section, key)) => known.get(section).and_then(|keys| keys.get(key)),
            None => known.get(key),
        };
        match value {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Table(keys)) => Ok(keys.to_string().trim_end().to_owned()),
            Some(other) => Ok(other.to_string()),
            None => Err(ConfigError::unknown(Place::Flag(format!("--print {key}")), key, &known)),
        }
    }

    pub(super) fn table(&self) -> Table {
        Table::try_from(self).expect("a configuration is a table of tables")
    }

    fn changed(&self) -> Vec<(String, String)> {
        let defaults = Self::default().table();
        let mut changed = Vec::new();
        for (section, keys) in &self.table() {
            for (key, value) in keys.as_table().into_iter().flatten() {
                if defaults.get(section).and_then(|keys| keys.get(key)) != Some(value) {
                    changed.push((format!("{section}.{key}"), value.to_string()));
                }
            }
        }
        changed
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
        assert_eq!(config.get("bridge").unwrap(), "linger = \"5s\"");
        assert!(config.get("").is_err() && config.get("rtmp.listen.port").is_err());
    }
}
