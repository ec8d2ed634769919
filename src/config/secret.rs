//! What must not be read over anybody's shoulder.

use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// What is shown in its place.
const SHOWN: &str = "***";

/// A key or a password: read from the configuration, and shown nowhere.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The secret itself; `None`: there is none.
    pub fn reveal(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(&self.0)
    }

    fn shown(&self) -> &'static str {
        self.reveal().map_or("", |_| SHOWN)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

/// A configuration is written out to be looked at.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use std::path::Path;

    #[test]
    fn it_is_read_and_not_shown() {
        let text = "[hooks]\nurl = \"http://127.0.0.1/\"\nsecret = \"sesame\"";
        let config = Config::parse(text, Path::new("c.toml"), &[]).unwrap();
        assert_eq!(config.hooks.secret.reveal(), Some("sesame"));
        let shown = config.explain() + &format!("{config:?}") + &config.get("hooks.secret").unwrap();
        assert!(!shown.contains("sesame") && shown.contains("hooks.secret = \"***\""), "{shown}");
        assert_eq!(Config::default().hooks.secret.reveal(), None);
    }
}
