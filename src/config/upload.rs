//! Section `[recording.upload]`.

use super::prefix::Prefix;
use super::rules::Fault;
use super::secret::Secret;
use super::units::Span;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Where recorded sessions are uploaded to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Upload {
    /// Whether sessions are uploaded, where there is a bucket.
    pub enabled: bool,
    /// The bucket. Empty: nothing is uploaded.
    pub bucket: String,
    /// The address of the store. Empty: Amazon's, of the region.
    pub endpoint: String,
    /// The region. Empty: `us-east-1`, which most stores of others take for theirs.
    pub region: String,
    /// The key's name. Empty: what the environment says.
    pub access_key: Secret,
    /// The key.
    pub secret_key: Secret,
    /// Whether the bucket stands behind the name of the host and not in front of it.
    pub path_style: bool,
    /// What stands before the names of files.
    pub prefix: Prefix,
    /// Pieces of 8 MiB that are on their way at a time.
    pub parallelism: usize,
    /// How long one request may take.
    pub timeout: Span,
    /// How it is made sure that the store has what was sent.
    pub verify: Verify,
    /// Whether sessions are deleted here once they are there.
    pub delete_local: bool,
}

/// How it is made sure that the store has what was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verify {
    /// By size and ETag; where the ETag says nothing, by reading it back.
    #[default]
    Etag,
    /// By reading it back.
    Read,
}

/// Pieces at a time.
const PARALLELISM: std::ops::RangeInclusive<usize> = 1..=32;
/// A piece must have the time to arrive.
const TIMEOUT: std::ops::RangeInclusive<Span> = Span(Duration::from_secs(5))..=Span(Duration::from_hours(1));

impl Upload {
    /// Whether there is a store.
    pub const fn is_on(&self) -> bool {
        !self.bucket.is_empty()
    }

    /// The first fault there is.
    pub(super) fn fault(&self) -> Option<Fault> {
        let fault = |key: &'static str, message: String| Some(Fault { keys: vec![key], message });
        if !self.is_on() {
            let others = [
                ("recording.upload.endpoint", !self.endpoint.is_empty()),
                ("recording.upload.access_key", self.access_key.reveal().is_some()),
                ("recording.upload.secret_key", self.secret_key.reveal().is_some()),
                ("recording.upload.delete_local", self.delete_local),
            ];
            let (key, _) = others.into_iter().find(|(_, is_set)| *is_set)?;
            return fault(
                key,
                format!("{key} is set and recording.upload.bucket is not; write which bucket it is for"),
            );
        }
        if self.bucket.contains(['/', ' ', '?', '#']) {
            return fault(
                "recording.upload.bucket",
                format!(
                    "recording.upload.bucket is {:?}; write its name alone, such as \"recordings\"",
                    self.bucket
                ),
            );
        }
        if self.endpoint.is_empty() && self.region.is_empty() {
            return fault(
                "recording.upload.bucket",
                "recording.upload.bucket says nothing of where it is; write recording.upload.region for Amazon S3, \
                 such as \"eu-central-1\", or recording.upload.endpoint for another store"
                    .to_owned(),
            );
        }
        if !self.endpoint.is_empty() && self.base().is_none() {
            return fault(
                "recording.upload.endpoint",
                format!(
                    "recording.upload.endpoint is {:?}, which is no address of a store; write one such as \
                     \"https://s3.example.org\", without the bucket",
                    self.endpoint
                ),
            );
        }
        match (self.access_key.reveal(), self.secret_key.reveal()) {
            (Some(_), None) => {
                return fault(
                    "recording.upload.access_key",
                    "recording.upload.access_key is set and secret_key is not; write both, or neither for those of \
                     the environment"
                        .to_owned(),
                );
            }
            (None, Some(_)) => {
                return fault(
                    "recording.upload.secret_key",
                    "recording.upload.secret_key is set and access_key is not; write both, or neither for those of \
                     the environment"
                        .to_owned(),
                );
            }
            _ => {}
        }
        None.or_else(|| super::rules::outside("recording.upload.parallelism", self.parallelism, &PARALLELISM))
            .or_else(|| super::rules::outside("recording.upload.timeout", self.timeout, &TIMEOUT))
    }

    /// The address of the store, with a host and no path. `None`: there is none, or something else.
    fn base(&self) -> Option<hyper::Uri> {
        let uri: hyper::Uri = self.endpoint.parse().ok()?;
        let is_usable = matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none()
            && uri.path() == "/"
            && !uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        is_usable.then_some(uri)
    }

    /// The address under which the bucket's keys are, without a slash at the end.
    pub fn url(&self) -> String {
        let (scheme, host) = match self.base() {
            Some(uri) => {
                let host = uri.authority().map(ToString::to_string).unwrap_or_default();
                (uri.scheme_str().unwrap_or("https").to_owned(), host)
            }
            None => ("https".to_owned(), format!("s3.{}.amazonaws.com", self.region)),
        };
        let bucket = &self.bucket;
        if self.path_style {
            format!("{scheme}://{host}/{bucket}")
        } else {
            format!("{scheme}://{bucket}.{host}")
        }
    }
}

impl Default for Upload {
    fn default() -> Self {
        Self {
            enabled: true,
            bucket: String::new(),
            endpoint: String::new(),
            region: String::new(),
            access_key: Secret::default(),
            secret_key: Secret::default(),
            path_style: true,
            prefix: Prefix::default(),
            parallelism: 4,
            timeout: Span(Duration::from_mins(2)),
            verify: Verify::Etag,
            delete_local: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use std::path::Path;

    fn parse(keys: &str) -> Result<Config, String> {
        let text = format!("[recording.upload]\n{keys}");
        Config::parse(&text, Path::new("c.toml"), &[]).map_err(|error| error.to_string())
    }

    #[test]
    fn the_bucket_has_an_address() {
        let url = |keys: &str| parse(keys).unwrap().recording.upload.url();
        let amazon = "bucket = \"b\"\nregion = \"eu-west-1\"\n";
        assert_eq!(url(amazon), "https://s3.eu-west-1.amazonaws.com/b");
        assert_eq!(url(&format!("{amazon}path_style = false")), "https://b.s3.eu-west-1.amazonaws.com");
        let own = "bucket = \"b\"\nendpoint = \"http://127.0.0.1:9000/\"\n";
        assert_eq!(url(own), "http://127.0.0.1:9000/b");
        assert_eq!(url(&format!("{own}path_style = false")), "http://b.127.0.0.1:9000");
        assert!(!parse("").unwrap().recording.upload.is_on());
    }

    #[test]
    fn mistakes_are_explained_where_they_stand() {
        let own = "bucket = \"b\"\nendpoint = \"http://h\"\n";
        for (keys, place, said) in [
            ("bucket = \"b\"", "2:10", "write recording.upload.region for Amazon S3"),
            ("endpoint = \"http://h\"", "2:12", "recording.upload.bucket is not; write which bucket"),
            ("secret_key = \"sesame\"", "2:14", "recording.upload.bucket is not"),
            ("delete_local = true", "2:16", "recording.upload.bucket is not"),
            ("bucket = \"s3://b\"\nregion = \"r\"", "2:10", "write its name alone"),
            ("bucket = \"b\"\nendpoint = \"h:9000\"", "3:12", "no address of a store"),
            ("bucket = \"b\"\nendpoint = \"https://h/b\"", "3:12", "without the bucket"),
            (&format!("{own}access_key = \"k\""), "4:14", "secret_key is not; write both"),
            (&format!("{own}secret_key = \"sesame\""), "4:14", "access_key is not; write both"),
            (&format!("{own}prefix = \"x/\""), "4:10", "there is no {room} in it"),
            (&format!("{own}parallelism = 0"), "4:15", "write a value from 1 to 32"),
            (&format!("{own}timeout = \"1s\""), "4:11", "write a value from"),
            (&format!("{own}pathstyle = true"), "4:1", "did you mean \"recording.upload.path_style\"?"),
        ] {
            let error = parse(keys).unwrap_err();
            assert!(error.starts_with(&format!("c.toml:{place}:")) && error.contains(said), "{error}");
            assert!(!error.contains("sesame"), "{error}");
        }
    }

    #[test]
    fn a_room_can_be_left_out() {
        let text = "recording.upload.bucket = \"b\"\nrecording.upload.region = \"r\"\n[[room]]\nmatch = \"private-*\"\n\
                    recording.upload.enabled = false";
        let config = Config::parse(text, Path::new("c.toml"), &[]).unwrap();
        let upload = &config.room.of("private-1").unwrap().recording.upload;
        assert!(!upload.enabled && upload.bucket == "b" && config.recording.upload.enabled);
        let other = text.replace("enabled = false", "bucket = \"c\"");
        let error = Config::parse(&other, Path::new("c.toml"), &[]).unwrap_err().to_string();
        assert!(error.contains("there is no key \"recording.upload.bucket\""), "{error}");
    }

    #[test]
    fn keys_are_not_shown() {
        let keys = "bucket = \"b\"\nendpoint = \"http://h\"\naccess_key = \"ali\"\nsecret_key = \"sesame\"";
        let config = parse(keys).unwrap();
        let shown = config.explain() + &format!("{config:?}");
        assert!(!shown.contains("sesame") && shown.contains("secret_key = \"***\""), "{shown}");
    }
}
