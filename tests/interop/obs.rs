//! OBS as it comes out of its package, on a screen that nobody sees, told by its remote control when to stop.

use crate::client::Client;
use crate::ffmpeg::scratch;
use crate::patience;
use crate::signal::{FPS, HEIGHT, WIDTH};
use serde_json::{Value, json};
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

/// How long OBS may take to start, without a graphics card.
const START: Duration = Duration::from_secs(20);
/// How long its remote control may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// A running OBS, with a clip as its only source. It ends with this value.
pub(crate) struct Obs {
    control: WebSocket<TcpStream>,
    // In this order they go. It is not asked to end: that takes it seconds, and there is nothing to be kept.
    process: Client,
    _screen: Client,
    _home: Home,
}

/// Where it keeps its things, for as long as it runs.
struct Home(PathBuf);

impl Obs {
    /// Starts it. But for where to stream, and the size of the picture, its settings are those it comes with.
    pub(crate) fn start(clip: &Path, server: &str, key: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let home = scratch(&format!("obs-{}-{number}", std::process::id()));
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let control = free.expect("there are free ports");
        let home = Home(home);
        configure(&home.0, clip, server, key, control.port());

        // It takes a display that is free, and prints which.
        let screen = Client::spawn(
            "screen",
            Command::new("Xvfb").args(["-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp"]),
        );
        let display = || screen.output().lines().find_map(|line| line.trim().parse::<u32>().ok());
        patience::wait("there is a screen", Duration::from_secs(10), || display().is_some());
        let display = format!(":{}", display().expect("just seen"));
        let mut command = Command::new("obs");
        command
            .args(["--multi", "--collection", "case", "--profile", "case"])
            .args(["--disable-updater", "--disable-missing-files-check", "--disable-shutdown-check"])
            .env("HOME", &home.0)
            .env("XDG_CONFIG_HOME", home.0.join(".config"))
            .env("XDG_RUNTIME_DIR", &home.0)
            .env("DISPLAY", display)
            .env("QT_QPA_PLATFORM", "xcb")
            .env("LIBGL_ALWAYS_SOFTWARE", "1")
            // The other core is for those who watch.
            .env("LP_NUM_THREADS", "1");
        let mut process = Client::spawn("obs", &mut command);
        let mut connected = None;
        patience::wait("OBS is there", START, || {
            if let Some(status) = process.try_wait() {
                panic!("OBS ended with {status}: {}", process.output());
            }
            connected = TcpStream::connect(control).ok();
            connected.is_some()
        });
        let stream = connected.expect("just connected");
        stream.set_read_timeout(Some(ANSWER)).expect("it is a time");
        let (control, _) = client(format!("ws://{control}"), stream).expect("it speaks WebSocket");
        let mut obs = Self { control, process, _screen: screen, _home: home };
        obs.hear(0);
        obs.tell(1, &json!({"rpcVersion": 1, "eventSubscriptions": 0}));
        obs.hear(2);
        obs
    }

    /// Presses a button by the name of its request, such as `StartStream`.
    #[track_caller]
    pub(crate) fn press(&mut self, button: &str) {
        self.tell(6, &json!({"requestType": button, "requestId": button}));
        let answer = self.hear(7);
        assert_eq!(answer["requestStatus"]["result"], true, "{answer}");
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.process.output()
    }

    fn tell(&mut self, operation: u8, data: &Value) {
        let text = json!({"op": operation, "d": data}).to_string();
        self.control.send(Message::text(text)).expect("OBS listens");
    }

    /// The data of the next message, which is of this kind.
    #[track_caller]
    fn hear(&mut self, operation: u8) -> Value {
        let message = self.control.read().expect("OBS answers");
        let mut message: Value = serde_json::from_str(message.to_text().expect("text")).expect("JSON");
        assert_eq!(message["op"], operation, "{message}");
        message["d"].take()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Writes what OBS would have asked for in its first dialogues, a scene with the clip, and where to stream to.
fn configure(home: &Path, clip: &Path, server: &str, key: &str, control: u16) {
    let folder = home.join(".config/obs-studio");
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("it is in a folder"))
            .expect("the scratch folder is writable");
        fs::write(path, text).expect("the scratch folder is writable");
    };
    write(
        "global.ini",
        &format!(
            "[General]\nFirstRun=true\nLastVersion=486539266\nEnableAutoUpdates=false\n\
         [Basic]\nProfile=case\nProfileDir=case\nSceneCollection=case\nSceneCollectionFile=case\n\
         [BasicWindow]\nPreviewEnabled=false\nSysTrayEnabled=false\n\
         [OBSWebSocket]\nFirstLoad=false\nServerEnabled=true\nServerPort={control}\nAuthRequired=false\n"
        ),
    );
    write(
        "basic/profiles/case/basic.ini",
        &format!(
            "[General]\nName=case\n[Video]\nBaseCX={WIDTH}\nBaseCY={HEIGHT}\nOutputCX={WIDTH}\nOutputCY={HEIGHT}\n\
             FPSType=1\nFPSInt={FPS}\n[Audio]\nSampleRate=48000\nChannelSetup=Stereo\n"
        ),
    );
    let service =
        json!({"type": "rtmp_custom", "settings": {"server": server, "key": key, "use_auth": false}});
    write("basic/profiles/case/service.json", &service.to_string());
    let source = json!({
        "id": "ffmpeg_source", "name": "clip", "mixers": 255,
        "settings": {"is_local_file": true, "local_file": clip, "looping": true, "hw_decode": false},
    });
    let scene = json!({
        "id": "scene", "name": "Scene",
        "settings": {"id_counter": 1, "items": [{"id": 1, "name": "clip", "visible": true}]},
    });
    let collection = json!({
        "name": "case", "current_scene": "Scene", "current_program_scene": "Scene",
        "scene_order": [{"name": "Scene"}], "sources": [source, scene],
    });
    write("basic/scenes/case.json", &collection.to_string());
}
