//! Section `[hooks]`.

use super::rules::Fault;
use super::secret::Secret;
use serde::{Deserialize, Serialize};

/// Who is told what happens.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hooks {
    /// Where events are posted to. Empty: nowhere.
    pub url: String,
    /// What they are signed with. Empty: they are not.
    pub secret: Secret,
}

impl Hooks {
    /// The first fault there is.
    pub(super) fn fault(&self) -> Option<Fault> {
        if self.url.is_empty() {
            return None;
        }
        let uri: Option<hyper::Uri> = self.url.parse().ok();
        let is_usable = uri.as_ref().is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some_and(|host| !host.is_empty())
        });
        if uri.as_ref().and_then(|uri| uri.authority()).is_some_and(|who| who.as_str().contains('@')) {
            return Some(Fault {
                keys: vec!["hooks.url"],
                message: "hooks.url has a name or password in front of the host, which would not be sent; receivers know events by \
                          their signature (hooks.secret)"
                    .to_owned(),
            });
        }
        (!is_usable).then(|| Fault {
            keys: vec!["hooks.url"],
            message: format!(
                "hooks.url is {:?}, which is no address of a web server; write one such as \"https://example.org/events\"",
                self.url
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_the_web() {
        let fault = |url: &str| Hooks { url: url.to_owned(), ..Hooks::default() }.fault().is_some();
        for fine in ["", "http://127.0.0.1:80/x?y=z", "https://example.org"] {
            assert!(!fault(fine), "{fine}");
        }
        for bad in [
            "example.org",
            "/path",
            "ftp://example.org/",
            "http://",
            "https://a b/",
            "https://user:sesame@example.org/",
            "https://user@example.org",
        ] {
            assert!(fault(bad), "{bad}");
        }
        let hooks = Hooks { url: "https://user:sesame@example.org/".to_owned(), ..Hooks::default() };
        assert!(!hooks.fault().unwrap().message.contains("sesame"), "what is secret is not printed");
    }
}
