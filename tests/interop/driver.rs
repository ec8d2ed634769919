//! Chromium without a screen, driven through chromedriver's WebDriver protocol.

use crate::ffmpeg::scratch;
use crate::http;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A driver and its one browser, which may have several windows, each driven by a session of its own: what one window waits for
/// keeps no other one waiting. Both end with this value.
pub(crate) struct Driver {
    process: Child,
    /// Held open: the driver would die of a closed pipe.
    _output: BufReader<ChildStdout>,
    address: SocketAddr,
    profile: PathBuf,
    browser: OnceLock<Launched>,
    frozen: AtomicBool,
}

struct Launched {
    session: String,
    /// Where further sessions find the browser.
    debugger: Value,
}

/// The port that it takes on IPv4 may be somebody else's on IPv6: then it ends at once, and takes another the next time.
const STARTS: usize = 3;

/// Starts the program; nothing if it ends before it has said its port.
fn run() -> Option<(Child, BufReader<ChildStdout>, u16)> {
    let mut process = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromium-driver is installed");
    let mut output = BufReader::new(process.stdout.take().expect("piped"));
    let mut said = Vec::new();
    for line in output.by_ref().lines().map_while(Result::ok) {
        let port =
            line.split_once("successfully on port ").map(|(_, port)| port.trim_end_matches('.').parse());
        if let Some(Ok(port)) = port {
            return Some((process, output, port));
        }
        said.push(line);
    }
    let ended = process.wait();
    println!("chromedriver ended with {ended:?}: {said:?}");
    None
}

impl Driver {
    /// Starts a driver without a browser yet.
    pub(crate) fn start() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let profile = scratch(&format!("chromium-{}-{number}", std::process::id()));
        fs::create_dir_all(&profile).expect("the scratch folder is writable");
        let (process, output, port) = (0..STARTS)
            .find_map(|_| run())
            .expect("chromium-driver is installed, and says on which port it is");
        Self {
            process,
            _output: output,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            profile,
            browser: OnceLock::new(),
            frozen: AtomicBool::new(false),
        }
    }

    /// Starts the browser, with an empty profile, and gives the session of its first window.
    pub(crate) fn launch(&self) -> String {
        let profile = format!("--user-data-dir={}", self.profile.display());
        let arguments: Vec<&str> = ARGUMENTS.iter().copied().chain([profile.as_str()]).collect();
        let created = self.session(json!({"args": arguments}));
        let session = id(&created);
        let debugger = created["capabilities"]["goog:chromeOptions"]["debuggerAddress"].clone();
        let launched = Launched { session: session.clone(), debugger };
        assert!(self.browser.set(launched).is_ok(), "a driver has one browser");
        session
    }

    /// Gives another session with the browser.
    pub(crate) fn attach(&self) -> String {
        let launched = self.browser.get().expect("it has been launched");
        id(&self.session(json!({"debuggerAddress": launched.debugger})))
    }

    fn session(&self, options: Value) -> Value {
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "acceptInsecureCerts": true,
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "WARNING"},
            "timeouts": {"script": 60_000, "pageLoad": 30_000},
        }}});
        self.call("POST", "/session", &capabilities)
    }

    /// A command to a session, or to the driver itself, and its answer.
    #[track_caller]
    pub(crate) fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let response = http::request(self.address, method, path, "application/json", &body.to_string())
            .unwrap_or_else(|error| panic!("chromedriver, {path}: {error}"));
        let mut answer = response.json();
        assert_eq!(response.status, 200, "chromedriver, {path}: {answer:#}");
        answer["value"].take()
    }

    /// A page from loopback, which is a secure origin.
    pub(crate) fn page(&self) -> String {
        format!("http://{}/status", self.address)
    }

    /// Ends the browser the hard way.
    pub(crate) fn kill(&self) {
        self.signal("KILL");
    }

    /// Stops the browser where it stands.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
        self.frozen.store(true, Ordering::Relaxed);
    }

    fn signal(&self, name: &str) {
        let profile = format!("--user-data-dir={}", self.profile.display());
        let status = Command::new("pkill")
            .args([&format!("-{name}"), "-f", "--", &profile])
            .status()
            .expect("procps is installed");
        assert!(status.success(), "there is a browser with this profile");
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.frozen.load(Ordering::Relaxed) {
            // The driver would wait for its answer.
            self.kill();
        }
        if let Some(Launched { session, .. }) = self.browser.get() {
            // The browser goes with the session that launched it; the driver would leave it behind.
            let path = format!("/session/{session}");
            drop(http::request(self.address, "DELETE", &path, "application/json", ""));
        }
        drop(self.process.kill());
        drop(self.process.wait());
        drop(fs::remove_dir_all(&self.profile));
    }
}

fn id(created: &Value) -> String {
    created["sessionId"].as_str().expect("a session has an id").to_owned()
}

const ARGUMENTS: [&str; 18] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--mute-audio",
    "--no-first-run",
    "--disable-sync",
    "--disable-extensions",
    "--disable-component-update",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream=device-count=3,fps=15",
    // A name that is not of this machine, as the pages see it.
    "--host-resolver-rules=MAP commonroom.test 127.0.0.1",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
];
