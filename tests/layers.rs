//! Keeps the arrows of the crate's picture honest: a layer names only those below it, and the lower half neither
//! waits, nor asks the time, nor opens a socket.
//!
//! The sources are read as tokens, comments and strings left out, so that a path counts wherever it stands: in a
//! `use`, in a nested group, or in the middle of an expression.

use std::path::{Path, PathBuf};
use std::{fs, iter};

/// What each part of the crate may name, itself apart. The parts of the lowest half stand alone on purpose: what they
/// share is in `time` and `wire`.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("wire", &[]),
    ("codec", &["time", "wire"]),
    ("protocol", &["codec", "time", "wire"]),
    ("media", &["protocol", "codec", "time", "wire"]),
    ("stream", &["media", "protocol", "codec", "time", "wire"]),
    ("bridge", &["config", "metrics", "stream", "media", "protocol", "codec", "time", "wire"]),
    // Files of media, as bytes: beside the protocols, below the forms of a track.
    ("container", &["codec", "time", "wire"]),
    ("room", &["config", "metrics", "bridge", "stream", "media", "protocol", "codec", "time", "wire"]),
    (
        "recording",
        &["config", "metrics", "room", "bridge", "stream", "media", "container", "codec", "time", "wire"],
    ),
    (
        "server",
        &[
            "certificate",
            "config",
            "metrics",
            "shutdown",
            "recording",
            "room",
            "bridge",
            "stream",
            "media",
            "protocol",
            "codec",
            "time",
            "wire",
        ],
    ),
    (
        "gateway",
        &[
            "server",
            "config",
            "metrics",
            "shutdown",
            "recording",
            "room",
            "bridge",
            "stream",
            "media",
            "protocol",
            "codec",
            "time",
            "wire",
        ],
    ),
    // Commands beside the gateway: they lead FFmpeg's programs and know nothing of a running server.
    ("compose", &["probe", "recording"]),
    ("probe", &[]),
    // Leaves: everybody above the bus may use them, they lean on nobody.
    ("certificate", &[]),
    ("config", &["certificate"]),
    ("metrics", &[]),
    ("shutdown", &[]),
];

/// Folders and what their files must not contain, as a run of tokens.
const FORBIDDEN: &[(&[&str], &[&str], &str)] = &[
    (
        &["time", "wire", "codec", "container", "protocol", "media"],
        &["tokio"],
        "the lower half compiles without tokio",
    ),
    (
        &["time", "wire", "codec", "container", "protocol", "media"],
        &["Instant", "::", "now"],
        "time is handed in, never asked for",
    ),
    (
        &["time", "wire", "codec", "container", "protocol", "media"],
        &["SystemTime", "::", "now"],
        "time is handed in, never asked for",
    ),
    (&["stream", "bridge", "room"], &["tokio", "::", "net"], "only server/ opens sockets"),
    (&["stream", "bridge", "room"], &["SystemTime", "::", "now"], "wall time is read in server/"),
    (&["server/rtmp"], &["crate", "::", "server", "::", "webrtc"], "RTMP and WebRTC never name each other"),
    (&["server/webrtc"], &["crate", "::", "server", "::", "rtmp"], "RTMP and WebRTC never name each other"),
    (&["server/webrtc"], &["crate", "::", "protocol", "::", "rtmp"], "RTMP and WebRTC never name each other"),
    (&["server/webrtc"], &["crate", "::", "protocol", "::", "flv"], "RTMP and WebRTC never name each other"),
    (&["server/rtmp"], &["crate", "::", "protocol", "::", "rtp"], "RTMP and WebRTC never name each other"),
];

#[test]
fn layers_name_only_those_below_them() {
    let mut wrong = Vec::new();
    for file in sources() {
        let Some(&(layer, allowed)) = MAY_NAME.iter().find(|(layer, _)| *layer == file.layer()) else {
            continue;
        };
        for named in file.layers_named() {
            if named != layer && is_layer(&named) && !allowed.contains(&named.as_str()) {
                wrong.push(format!("{} ({layer}) names {named}", file.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that point up:\n{}", wrong.join("\n"));
}

#[test]
fn lower_layers_neither_wait_nor_ask_the_time() {
    let mut wrong = Vec::new();
    for file in sources() {
        for (folders, tokens, reason) in FORBIDDEN {
            let inside = folders.iter().any(|folder| file.is_in(folder));
            // Tests may: an `Instant` to start from comes from nowhere else.
            if inside && file.without_tests().contains(tokens) {
                wrong.push(format!("{}: {} ({reason})", file.path.display(), tokens.concat()));
            }
        }
    }
    assert!(wrong.is_empty(), "out of place:\n{}", wrong.join("\n"));
}

#[test]
fn every_part_of_the_crate_has_its_place() {
    let unknown: Vec<_> = sources()
        .map(|file| file.layer())
        .filter(|layer| !["lib", "main"].contains(&layer.as_str()))
        .filter(|layer| !is_layer(layer))
        .collect();
    assert!(unknown.is_empty(), "say in MAY_NAME what these lean on: {unknown:?}");
}

#[test]
fn paths_are_found_wherever_they_stand() {
    let file = Source::read(
        "room/name.rs",
        r#"
            // use crate::server::X;
            use crate::{media::Frame, stream::{Event, bridge}, time};
            #[cfg(test)] mod tests { fn g() { { tokio } } }
            fn f() -> &'static str { crate::wire::g('"', "crate::codec", r"crate::config"); super::super::protocol::h() }
        "#,
    );
    assert_eq!(file.layers_named(), ["media", "stream", "time", "wire", "protocol"]);
    assert!(file.contains(&["crate", "::", "wire"]));
    assert!(!file.contains(&["crate", "::", "codec"]));
    let shipped = file.without_tests();
    assert!(file.contains(&["tokio"]) && !shipped.contains(&["tokio"]) && shipped.contains(&["fn", "f"]));
}

/// One file under `src/` as tokens: identifiers, `::`, and single characters.
struct Source {
    path: PathBuf,
    tokens: Vec<String>,
}

impl Source {
    fn read(path: impl Into<PathBuf>, text: &str) -> Self {
        Self { path: path.into(), tokens: tokens(text) }
    }

    /// The part of the crate this file belongs to: its folder, or its own name at the top.
    fn layer(&self) -> String {
        let first = self.path.iter().next().expect("a file has a name");
        Path::new(first).file_stem().expect("a file has a name").to_string_lossy().into_owned()
    }

    fn is_in(&self, folder: &str) -> bool {
        self.path.starts_with(folder) || self.path == Path::new(folder).with_extension("rs")
    }

    /// This file with the bodies of its `#[cfg(test)]` modules left out.
    fn without_tests(&self) -> Self {
        const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
        let mut kept = Vec::new();
        let mut rest = self.tokens.as_slice();
        while let Some((token, after)) = rest.split_first() {
            rest = after;
            if token == MARK[0] && after.iter().take(6).eq(&MARK[1..]) {
                let mut depth = 0;
                let body = after[6..].iter().position(|token| {
                    depth += i32::from(token == "{") - i32::from(token == "}");
                    depth == 0 && (token == "}" || token == ";")
                });
                rest = &after[6 + body.map_or(0, |last| last + 1)..];
            } else {
                kept.push(token.clone());
            }
        }
        Self { path: self.path.clone(), tokens: kept }
    }

    fn contains(&self, run: &[&str]) -> bool {
        self.tokens.windows(run.len()).any(|window| window.iter().eq(run.iter()))
    }

    /// The parts of the crate that `crate::` paths name, and `super::` chains long enough to reach its root.
    fn layers_named(&self) -> Vec<String> {
        let mut named = Vec::new();
        let mut at = 0;
        while let Some(token) = self.tokens.get(at) {
            let root = match token.as_str() {
                "crate" => Some(at + 1),
                "super" => {
                    let chain =
                        self.tokens[at..].chunks(2).take_while(|pair| pair == &["super", "::"]).count();
                    (chain >= self.depth()).then_some(at + 2 * chain - 1)
                }
                _ => None,
            };
            if let Some(after) = root {
                self.after_root(after, &mut named);
            }
            // The rest of a chain of `super` is part of the path just read.
            at += 1 + usize::from(token == "super");
        }
        named
    }

    /// How many `super` lead from this file to the root of the crate.
    fn depth(&self) -> usize {
        let is_folder = self.path.file_name().is_some_and(|name| name == "mod.rs");
        self.path.iter().count() - usize::from(is_folder)
    }

    /// Collects the first segments of the path, or of the group of paths, that follows the root at `at`.
    fn after_root(&self, at: usize, named: &mut Vec<String>) {
        let rest = self.tokens.get(at..).unwrap_or_default();
        match rest {
            [colons, open, group @ ..] if colons == "::" && open == "{" => {
                let mut depth = 1;
                for (before, token) in iter::once(open).chain(group).zip(group) {
                    match token.as_str() {
                        "{" => depth += 1,
                        "}" => depth -= 1,
                        name if depth == 1 && (before == "{" || before == ",") => named.push(name.to_owned()),
                        _ => {}
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
            [colons, name, ..] if colons == "::" => named.push(name.clone()),
            _ => {}
        }
    }
}

fn is_layer(name: &str) -> bool {
    MAY_NAME.iter().any(|(layer, _)| *layer == name)
}

fn sources() -> impl Iterator<Item = Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("src is readable") {
            let path = entry.expect("src is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 20, "src has gone: {} files", files.len());
    files.into_iter().map(move |path| {
        let text = fs::read_to_string(&path).expect("src is readable");
        Source::read(path.strip_prefix(&root).expect("below src"), &text)
    })
}

/// Splits Rust into tokens, leaving out comments, strings and character literals.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = raw_string(rest) {
            length
        } else if first == '"' {
            1 + quoted(&rest[1..], '"')
        } else if first == '\'' {
            character(rest)
        } else if word > 0 {
            tokens.push(rest[..word].to_owned());
            word
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// The length of a raw string at the start of `text`.
fn raw_string(text: &str) -> Option<usize> {
    let body = text.strip_prefix('r').or_else(|| text.strip_prefix("br"))?;
    let hashes = body.find(|c| c != '#')?;
    body[hashes..].strip_prefix('"')?;
    let start = text.len() - body.len() + hashes + 1;
    let close = format!("\"{}", "#".repeat(hashes));
    text[start..].find(&close).map(|end| start + end + close.len())
}

/// The length up to and with the closing `quote`, minding escapes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if !escaped && c == quote {
            return at + 1;
        }
        escaped = !escaped && c == '\\';
    }
    text.len()
}

/// The length of a character literal, or of the lone quote of a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => 1 + quoted(&text[1..], '\''),
        _ => 1,
    }
}
