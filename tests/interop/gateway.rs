//! The program under test, as a process of its own.

use crate::client::{Client, ended};
use crate::ffmpeg::scratch;
use crate::{http, patience};
use serde_json::Value;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One running gateway on ports of its own. It ends with this value.
pub(crate) struct Gateway {
    process: Client,
    settings: Vec<String>,
    /// Where RTMP is served.
    pub(crate) rtmp: SocketAddr,
    /// Where HTTP is served.
    pub(crate) http: SocketAddr,
    /// Where HTTPS is served, while TLS is on.
    pub(crate) https: SocketAddr,
    /// Where WebRTC is served, over UDP and TCP.
    pub(crate) webrtc: SocketAddr,
    /// Cases measure time: one at a time, whatever the test runner was told.
    _stage: MutexGuard<'static, ()>,
}

impl Gateway {
    /// Starts it with the defaults and waits until it is ready.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts it with these options, and waits until it is ready.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        Self::start_on(Ports::free(), options)
    }

    /// The same on ports that somebody else has been told.
    pub(crate) fn start_on(ports: Ports, options: &[&str]) -> Self {
        Self::start_in(None, ports, options)
    }

    /// Starts it from a shell that has done this before.
    pub(crate) fn start_after(script: &str, options: &[&str]) -> Self {
        Self::start_in(Some(script), Ports::free(), options)
    }

    fn start_in(script: Option<&str>, ports: Ports, options: &[&str]) -> Self {
        static STAGE: Mutex<()> = Mutex::new(());
        let stage = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
        let Ports { rtmp, http, https, webrtc } = ports;
        let listens = [("rtmp", rtmp), ("http", http), ("http.tls", https), ("webrtc", webrtc)];
        let settings = listens.iter().map(|(key, address)| format!("{key}.listen=\"{address}\""));
        let settings: Vec<_> = settings.chain(options.iter().map(|&option| option.to_owned())).collect();
        let process = run(script, &settings, http);
        Self { process, settings, rtmp, http, https, webrtc, _stage: stage }
    }

    /// Starts it once more where it was, when it has ended.
    pub(crate) fn start_again(&mut self) {
        self.process = run(None, &self.settings, self.http);
    }

    /// The address for RTMP clients.
    pub(crate) fn url(&self, room: &str, participant: &str) -> String {
        format!("rtmp://{}/{room}/{participant}", self.rtmp)
    }

    /// The address of a page.
    pub(crate) fn page(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// What the API says about a room; nothing when there is no such room.
    pub(crate) fn room(&self, room: &str) -> Option<Value> {
        let path = format!("/api/v1/rooms/{room}");
        let response = http::request(self.http, "GET", &path, "", "").expect("the API answers");
        (response.status == 200).then(|| response.json())
    }

    /// Waits until a participant is in a room with all of these tracks, by their codecs.
    pub(crate) fn wait_for(&self, room: &str, participant: &str, codecs: &[&str]) {
        patience::wait(&format!("{participant} publishes {codecs:?}"), Duration::from_secs(10), || {
            let text = self.room(room).map(|room| room.to_string().to_lowercase()).unwrap_or_default();
            text.contains(&format!("\"{participant}\"")) && codecs.iter().all(|codec| text.contains(codec))
        });
    }

    /// Waits until a participant is in its room no more, and gives the time that it took.
    pub(crate) fn wait_until_gone(&self, room: &str, participant: &str, limit: Duration) -> Duration {
        patience::wait(&format!("{participant} is gone"), limit, || {
            self.room(room).is_none_or(|room| !room.to_string().contains(&format!("\"{participant}\"")))
        })
    }

    /// Memory in use, in bytes, and open file descriptors.
    pub(crate) fn footprint(&self) -> (u64, usize) {
        let process = PathBuf::from(format!("/proc/{}", self.process.id()));
        let status = fs::read_to_string(process.join("status")).expect("the gateway runs");
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        let files = fs::read_dir(process.join("fd")).expect("the gateway runs").count();
        (resident.expect("Linux says it") * 1024, files)
    }

    /// Processor time that it has used, in seconds.
    pub(crate) fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("the gateway runs");
        // Behind the name: user and system time are the 12th and 13th, in hundredths.
        let (_, fields) = stat.rsplit_once(')').expect("Linux says it");
        let fields = fields.split_whitespace().skip(11).take(2);
        fields.map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() / 100.0
    }

    /// Asks it to stop, as an operator does, and gives how it ended and how long that took.
    pub(crate) fn terminate(&mut self) -> (ExitStatus, Duration) {
        self.process.signal("TERM");
        ended(&mut self.process, Duration::from_secs(10))
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&mut self) {
        self.process.signal("KILL");
        ended(&mut self.process, Duration::from_secs(10));
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.process.output()
    }
}

/// Starts the program and waits until it is ready.
fn run(script: Option<&str>, settings: &[String], http: SocketAddr) -> Client {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let config = scratch(&format!("gateway-{}-{number}.toml", std::process::id()));
    fs::write(&config, "").expect("the scratch folder is writable");
    let program = env!("CARGO_BIN_EXE_commonroom");
    let mut command = Command::new(if script.is_some() { "sh" } else { program });
    if let Some(script) = script {
        command.arg("-c").arg(format!("{script}; exec \"$0\" \"$@\"")).arg(program);
    }
    command.arg("serve").arg("--config").arg(&config);
    for setting in settings {
        command.arg("--set").arg(setting);
    }
    let mut process = Client::spawn("gateway", &mut command);
    patience::wait("ready", Duration::from_secs(10), || {
        if let Some(status) = process.try_wait() {
            panic!("the gateway ended with {status}: {}", process.output());
        }
        http::request(http, "GET", "/readyz", "", "").is_ok_and(|response| response.status == 200)
    });
    fs::remove_file(&config).expect("our own file");
    process
}

/// Where a gateway listens.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) rtmp: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    pub(crate) webrtc: SocketAddr,
}

impl Ports {
    /// Ports that nobody uses. They are let go before the gateway takes them, and the system does not give them out again
    /// so soon.
    pub(crate) fn free() -> Self {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there are free ports");
        let (rtmp, http, https) = (bind(), bind(), bind());
        let address = |listener: &TcpListener| listener.local_addr().expect("it is bound");
        let webrtc = loop {
            let tcp = bind();
            // WebRTC takes the same number twice.
            if UdpSocket::bind(address(&tcp)).is_ok() {
                break address(&tcp);
            }
        };
        Self { rtmp: address(&rtmp), http: address(&http), https: address(&https), webrtc }
    }
}
