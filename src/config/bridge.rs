//! Section `[bridge]`.

use super::units::Span;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Conversions between codecs and forms.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bridge {
    /// How long a conversion goes on after the last one who needed it has left.
    pub linger: Span,
}

impl Default for Bridge {
    fn default() -> Self {
        Self { linger: Span(Duration::from_secs(5)) }
    }
}
