//! What is wrong with a configuration, and where.

use std::fmt;
use std::path::PathBuf;
use thiserror::Error;

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not TOML, or a value is not what its key takes.
    #[error("{place}: {message}")]
    Value {
        /// Where it stands.
        place: Place,
        /// What is wrong, in one line.
        message: String,
    },
    /// There is no such key.
    #[error("{place}: there is no key {key:?}{}", hint(nearest.as_deref()))]
    Key {
        /// Where it stands.
        place: Place,
        /// As it was written, with its section.
        key: String,
        /// The valid key that is most like it, with its section, if any is.
        nearest: Option<String>,
    },
    /// A section that is written as if it were a value, or one of several.
    #[error(
        "{place}: {section} is a section; write [{section}] in a line of its own, once, and its keys below"
    )]
    Section {
        /// Where it stands.
        place: Place,
        /// Its name.
        section: String,
    },
    /// A flag without `=` or without a section.
    #[error("--set {0}: write --set section.key=value")]
    Flag(String),
}

impl ConfigError {
    /// Whether the command line is to blame, and not a file.
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::Flag(_) => true,
            Self::Value { place, .. } | Self::Key { place, .. } | Self::Section { place, .. } => {
                matches!(place, Place::Flag(_))
            }
            Self::Read { .. } => false,
        }
    }
}

/// Where something stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// In a file.
    File {
        /// Which.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
    },
    /// In a flag on the command line, as it was written, its name included.
    Flag(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Flag(text) => f.write_str(text),
        }
    }
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |key| format!("; did you mean {key:?}?"))
}
