//! What WHIP (RFC 9725) and WHEP add to SDP over HTTP: media types, trickled candidates, entity tags.
//!
//! Our answers hold all candidates and an ICE-lite agent sends no checks, so a client's trickled candidates change
//! nothing here. They are checked all the same, so that a client hears of its mistakes. ICE restarts are not supported: a
//! peer may change its address without one. No ICE servers are advertised (`Link`), as the server itself can be reached.

use super::sdp::{Candidate, Credentials, Mid, is_password, is_ufrag};
use thiserror::Error;

/// The media type of offers and answers.
pub const SDP: &str = "application/sdp";
/// The media type of trickled candidates (RFC 8840, section 10.2), which `Accept-Patch` announces.
pub const SDP_FRAGMENT: &str = "application/trickle-ice-sdpfrag";
/// The longest fragment that is read, in bytes.
pub const MAX_FRAGMENT_LEN: usize = 16 * 1024;

const MAX_CANDIDATES: usize = 64;

/// Trickled candidates: the body of a PATCH (RFC 8840, section 9).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fragment {
    /// Of the agent whose candidates these are.
    pub credentials: Option<Credentials>,
    /// With the section they are for.
    pub candidates: Vec<(Option<Mid>, Candidate)>,
    /// No more will follow.
    pub end_of_candidates: bool,
}

/// Why a fragment is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum FragmentError {
    /// It is longer than [`MAX_FRAGMENT_LEN`].
    #[error("the fragment is longer than {MAX_FRAGMENT_LEN} bytes")]
    TooLong,
    /// A line breaks the grammar; lines count from 1.
    #[error("line {line} of the fragment: {why}")]
    Malformed {
        /// Which line.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Fragment {
    /// Reads a fragment of at most [`MAX_FRAGMENT_LEN`] bytes. Lines may end in CR LF or LF.
    pub fn parse(text: &str) -> Result<Self, FragmentError> {
        if text.len() > MAX_FRAGMENT_LEN {
            return Err(FragmentError::TooLong);
        }
        let mut fragment = Self::default();
        let (mut ufrag, mut password, mut mid) = (None, None, None);
        for (index, line) in text.split('\n').enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            let malformed = |why| FragmentError::Malformed { line: index + 1, why };
            match line.split_once('=') {
                _ if line.is_empty() => {}
                Some(("m", _)) => mid = None,
                Some(("a", attribute)) => {
                    let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
                    match name {
                        "ice-ufrag" if is_ufrag(value) => ufrag = Some(value.to_owned()),
                        "ice-pwd" if is_password(value) => password = Some(value.to_owned()),
                        "ice-ufrag" | "ice-pwd" => return Err(malformed("not an ICE credential")),
                        "mid" => mid = Some(Mid::new(value).ok_or_else(|| malformed("not a mid"))?),
                        "candidate" => {
                            let candidate =
                                Candidate::parse(value).ok_or_else(|| malformed("not a candidate"))?;
                            if fragment.candidates.len() == MAX_CANDIDATES {
                                return Err(malformed("too many candidates"));
                            }
                            fragment.candidates.push((mid.clone(), candidate));
                        }
                        "end-of-candidates" => fragment.end_of_candidates = true,
                        _ => {} // groups, options and what is to come
                    }
                }
                _ => return Err(malformed("neither a= nor m=")),
            }
        }
        fragment.credentials = ufrag.zip(password).map(|(ufrag, password)| Credentials { ufrag, password });
        Ok(fragment)
    }
}

/// What a PATCH asks for, by its `If-Match` (RFC 9725, section 4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patch {
    /// Candidates for the running ICE session.
    Trickle,
    /// A new ICE session (`*`): not supported, 422.
    Restart,
    /// Candidates for an ICE session that is not the running one: 412.
    Mismatch,
}

impl Patch {
    /// By the header's value and the session's entity tag, its quotes included. Simple clients leave the header out and
    /// are taken to mean the running session.
    pub fn new(if_match: Option<&str>, etag: &str) -> Self {
        match if_match.map(str::trim) {
            None => Self::Trickle,
            Some("*") => Self::Restart,
            // Weak tags never match here (RFC 9110, section 13.1.1).
            Some(list) if list.split(',').any(|tag| tag.trim() == etag) => Self::Trickle,
            Some(_) => Self::Mismatch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        // RFC 9725, section 4.3.2, figure 5, shortened.
        let text = "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:EsAw\r\n\
                    a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n\
                    a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw\r\n\
                    a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0\r\n\
                    a=end-of-candidates\r\n";
        let fragment = Fragment::parse(text).unwrap();
        let ports: Vec<_> = fragment.candidates.iter().map(|(mid, c)| (mid.clone(), c.port)).collect();
        assert_eq!(ports, [(Mid::new("0"), 61_764), (Mid::new("0"), 9)]);
        assert!(fragment.end_of_candidates);
        assert_eq!(fragment.credentials.map(|credentials| credentials.ufrag), Some("EsAw".into()));
    }

    #[test]
    fn errors_name_the_line() {
        for (line, why) in [
            ("hello", "neither a= nor m="),
            ("v=0", "neither a= nor m="),
            ("a=candidate:x", "not a candidate"),
            ("a=ice-pwd:short", "not an ICE credential"),
            ("a=mid:", "not a mid"),
        ] {
            let error = FragmentError::Malformed { line: 2, why };
            assert_eq!(Fragment::parse(&format!("\r\n{line}")), Err(error), "{line}");
        }
        assert_eq!(Fragment::parse(&" ".repeat(MAX_FRAGMENT_LEN + 1)), Err(FragmentError::TooLong));
        let candidate = "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\n";
        let full = candidate.repeat(MAX_CANDIDATES);
        assert_eq!(Fragment::parse(&full).unwrap().candidates.len(), MAX_CANDIDATES);
        let error = FragmentError::Malformed { line: MAX_CANDIDATES + 1, why: "too many candidates" };
        assert_eq!(Fragment::parse(&(full + candidate)), Err(error));
    }

    #[test]
    fn entity_tags() {
        let patch = |if_match| Patch::new(if_match, "\"ab\"");
        assert_eq!(patch(None), Patch::Trickle);
        assert_eq!(patch(Some("\"x\", \"ab\"")), Patch::Trickle);
        assert_eq!(patch(Some(" * ")), Patch::Restart);
        assert_eq!(patch(Some("W/\"ab\"")), Patch::Mismatch);
        assert_eq!(patch(Some("ab")), Patch::Mismatch);
    }
}
