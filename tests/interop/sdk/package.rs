//! The SDK as it comes from npm, and a web server for its example pages.

use crate::npm;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Component, Path};
use std::thread;

const WANTED: &str = include_str!("package.json");
const LOCKED: &str = include_str!("package-lock.json");

/// A version of `@flashphoner/websdk`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Of July 2021, before rooms could be recorded.
    Old,
    /// Of January 2026.
    New,
}

impl Version {
    const fn folder(self) -> &'static str {
        match self {
            Self::Old => "websdk-2.0.180",
            Self::New => "websdk-2.0.276",
        }
    }
}

/// An example page of the SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Example {
    /// Up to three.
    Conference,
    /// Two.
    Chat,
    /// Two, who may share their screens.
    ChatAndScreen,
}

impl Example {
    const fn path(self) -> &'static str {
        match self {
            Self::Conference => "conference/conference.html",
            Self::Chat => "video-chat/video-chat.html",
            Self::ChatAndScreen => "video-chat-and-screen-sharing/video-chat-and-screen-sharing.html",
        }
    }
}

/// Serves the packages, as they are, until the tests end.
#[derive(Clone, Copy)]
pub(super) struct Pages(SocketAddr);

impl Pages {
    /// Installs the packages unless they are, and serves them.
    pub(super) fn serve() -> Self {
        let root = npm::installed("websdk", WANTED, LOCKED).join("node_modules");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there are free ports");
        let address = listener.local_addr().expect("it is bound");
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let root = root.clone();
                // A browser that is gone needs no answer.
                thread::spawn(move || drop(answer(&stream, &root)));
            }
        });
        Self(address)
    }

    /// Where the pages come from, as a browser says it to servers.
    pub(super) fn origin(self) -> String {
        format!("http://{}", self.0)
    }

    /// The address of an example.
    pub(super) fn url(self, (version, example): (Version, Example)) -> String {
        format!("{}/{}/examples/demo/streaming/{}", self.origin(), version.folder(), example.path())
    }
}

/// One request on one connection.
fn answer(stream: &TcpStream, root: &Path) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    for line in reader.lines() {
        if line?.is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default();
    let relative = Path::new(path.trim_start_matches('/'));
    let inside = relative.components().all(|component| matches!(component, Component::Normal(_)));
    let file = root.join(relative);
    let (status, body) = match fs::read(&file) {
        // Browsers ask for it by themselves, and complain when it is missing.
        _ if path == "/favicon.ico" => ("204 No Content", Vec::new()),
        Ok(body) if inside => ("200 OK", body),
        _ => ("404 Not Found", Vec::new()),
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        kind(&file),
        body.len()
    )?;
    stream.write_all(&body)
}

fn kind(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html",
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        Some("png") => "image/png",
        Some("jpg") => "image/jpeg",
        Some("mp4") => "video/mp4",
        _ => "application/octet-stream",
    }
}
