//! From a session to the arguments of FFmpeg. Pure: what is to be known of the files is in the session.

use super::chapters;
use super::graph::{self, Picture};
use super::layout::Layout;
use super::scene;
use super::session::Session;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What FFmpeg is to be started with.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Plan {
    inputs: Vec<OsString>,
    /// Which ends of the graph are written, and how.
    output: Vec<OsString>,
    /// What it reads from its standard input: title and chapters.
    pub(crate) metadata: String,
}

/// The last arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Report {
    /// For people.
    Text,
    /// For a program: progress on the standard output.
    Progress,
}

/// Linux takes no argument of 128 KiB.
const LONGEST_GRAPH: usize = 120_000;
/// The ends of the words that a shell reads as metadata.
const HEREDOC: &str = "END_OF_METADATA";
/// From so many inputs on, each is decoded by one thread; they keep the processor busy together.
const MANY: usize = 4;

impl Plan {
    /// `folder` has the session's files; `font` is that of the names, which are left out without one.
    pub(crate) fn new(
        session: &Session,
        folder: &Path,
        layout: Layout,
        picture: Picture,
        font: Option<&Path>,
    ) -> Self {
        let mut inputs = Vec::new();
        for source in &session.sources {
            // In-band changes of the picture's size must not make FFmpeg set up the graph anew, as that begins at zero;
            // `scale` takes them as they come.
            push(&mut inputs, &["-reinit_filter:v", "0"]);
            if session.sources.len() > MANY {
                push(&mut inputs, &["-threads", "1"]);
            }
            push(&mut inputs, &["-itsoffset", &source.start.to_string()]);
            push(&mut inputs, &["-f", source.container.demuxer(), "-protocol_whitelist", "file", "-i"]);
            inputs.push(file(&folder.join(&source.file)));
        }
        push(&mut inputs, &["-f", "ffmetadata", "-protocol_whitelist", "pipe", "-i", "pipe:0"]);

        let graph = graph_that_fits(session, layout, picture, font);
        let mut output = Vec::new();
        push(&mut output, &["-filter_complex", &graph, "-map", "[picture]"]);
        if session.sources.iter().any(|source| source.channels.is_some()) {
            push(&mut output, &["-map", "[sound]", "-c:a", "aac", "-b:a", "160k"]);
        }
        let metadata = session.sources.len().to_string();
        push(&mut output, &["-map_metadata", &metadata, "-map_chapters", &metadata]);
        let keyframes = (2 * picture.rate).to_string();
        push(&mut output, &["-c:v", "libx264", "-preset", "veryfast", "-crf", "21", "-pix_fmt", "yuv420p"]);
        push(&mut output, &["-g", &keyframes, "-movflags", "+faststart", "-f", "mp4"]);
        Self { inputs, output, metadata: chapters::metadata(session) }
    }

    /// All arguments. `overwrite`: whether what is there is replaced.
    pub(crate) fn arguments(&self, output: &Path, overwrite: bool, report: Report) -> Vec<OsString> {
        let mut arguments = Vec::new();
        // Times count as they are in the files, whose own zero lies where the manifest says.
        push(&mut arguments, &["-hide_banner", "-nostdin", "-copyts", if overwrite { "-y" } else { "-n" }]);
        match report {
            Report::Text => push(&mut arguments, &["-loglevel", "error", "-stats"]),
            Report::Progress => {
                push(&mut arguments, &["-loglevel", "error", "-nostats", "-progress", "pipe:1"])
            }
        }
        arguments.extend_from_slice(&self.inputs);
        arguments.extend_from_slice(&self.output);
        arguments.push(file(output));
        arguments
    }

    /// The same as a command for a shell.
    pub(crate) fn command(&self, program: &Path, output: &Path, overwrite: bool) -> String {
        let program = quote(&program.to_string_lossy());
        let arguments = self.arguments(output, overwrite, Report::Text);
        let words: Vec<String> = arguments.iter().map(|word| quote(&word.to_string_lossy())).collect();
        format!("{program} {} <<'{HEREDOC}'\n{}{HEREDOC}\n", words.join(" "), self.metadata)
    }
}

/// The graph, in which places change the less often the more there would be to say, and at last short absences are not
/// told either.
fn graph_that_fits(session: &Session, layout: Layout, picture: Picture, font: Option<&Path>) -> String {
    let graph = |session: &Session, quiet| {
        let places = scene::places(&session.sources, session.duration, layout, picture.size, quiet);
        graph::graph(session, &places, picture, font)
    };
    let mut quiet = scene::BRIEF;
    while quiet <= session.duration {
        let graph = graph(session, quiet);
        if graph.len() <= LONGEST_GRAPH {
            return graph;
        }
        quiet *= 4.0;
    }
    let mut session = session.clone();
    let mut apart = scene::BRIEF;
    loop {
        let graph = graph(&session, f64::INFINITY);
        // With one span for each there is nothing left to shorten, and that fits.
        if graph.len() <= LONGEST_GRAPH || apart > session.duration {
            return graph;
        }
        session.forget_absences(apart);
        apart *= 2.0;
    }
}

fn push(arguments: &mut Vec<OsString>, more: &[&str]) {
    arguments.extend(more.iter().map(OsString::from));
}

/// A path of which no part is taken for an option or a protocol.
fn file(path: &Path) -> OsString {
    let mut argument = OsString::from("file:");
    argument.push(PathBuf::from(path));
    argument
}

/// One word for a shell.
fn quote(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:+=,@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests;
