//! Section `[log]`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;
use tracing_subscriber::EnvFilter;

/// What is logged, and how.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// How a line looks.
    pub format: Format,
    /// Which events: a level, or directives such as `info,commonroom::server::rtmp=debug`.
    pub level: Filter,
}

/// How a log line looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A level, or `tracing` directives between commas, later ones over earlier ones.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Filter(String);

/// Why a text is not a [`Filter`].
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error(
    "{0:?} is not a log level; write \"error\", \"warn\", \"info\", \"debug\" or \"trace\", or for parts \"info,commonroom::server::rtmp=debug\""
)]
pub struct InvalidFilter(String);

impl Default for Log {
    fn default() -> Self {
        Self { format: Format::Text, level: Filter("info".to_owned()) }
    }
}

impl Filter {
    /// As `tracing` understands it. What libraries report of every broken datagram is left out unless it is asked for.
    pub fn to_env_filter(&self) -> EnvFilter {
        EnvFilter::new(format!("rtc_dtls=error,{}", self.0))
    }
}

impl FromStr for Filter {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        // A bare word that is no level would be taken for the name of a crate, and silence everything else.
        let is_level = |part: &str| part.parse::<tracing::level_filters::LevelFilter>().is_ok();
        let is_directive = |part: &str| !part.is_empty() && (part.contains(['=', '[']) || is_level(part));
        if text.split(',').all(is_directive) && EnvFilter::try_new(text).is_ok() {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidFilter(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Filter {
    type Error = InvalidFilter;
    fn try_from(text: String) -> Result<Self, InvalidFilter> {
        text.parse()
    }
}

impl From<Filter> for String {
    fn from(filter: Filter) -> Self {
        filter.0
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_levels_or_directives() {
        for good in ["info", "off", "warn,commonroom::room=debug", "INFO"] {
            assert!(good.parse::<Filter>().is_ok(), "{good}");
        }
        for bad in ["", "inof", "commonroom=loud", "info,", "info debug"] {
            assert!(bad.parse::<Filter>().is_err(), "{bad}");
        }
        assert!("debug".parse::<Filter>().unwrap().to_env_filter().to_string().contains("rtc_dtls=error"));
    }
}
