//! Pages in Chromium: what is done there, and what they showed and played.

use crate::analysis::{Piece, Recording, Shown, Track};
use crate::driver::Driver;
use crate::gateway::Gateway;
use crate::{patience, signal};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// One window of a browser, with one page.
pub(crate) struct Browser {
    driver: Arc<Driver>,
    session: String,
    recording: Recorded,
}

/// What was collected from the page so far.
#[derive(Default)]
struct Recorded {
    shown: Vec<Shown>,
    clock: Vec<(f64, f64)>,
    lag: Vec<(f64, f64)>,
    rate: f64,
    /// Blocks of samples, each with the index of its first by the page's audio clock.
    sound: Vec<(usize, Vec<f32>)>,
}

impl Browser {
    /// Starts a browser with an empty profile. The listener is a worklet from a blob, which our pages' own policy rightly
    /// refuses: here that policy does not hold.
    pub(crate) fn start() -> Self {
        let browser = Self::start_strict();
        browser.call(
            "POST",
            "/goog/cdp/execute",
            &json!({"cmd": "Page.setBypassCSP", "params": {"enabled": true}}),
        );
        browser
    }

    /// Starts a browser with an empty profile, to which pages are what they are to everybody.
    pub(crate) fn start_strict() -> Self {
        let driver = Arc::new(Driver::start());
        Self { session: driver.launch(), driver, recording: Recorded::default() }
    }

    /// Opens another window of this browser, with a page of its own. It costs a fifth of another browser.
    pub(crate) fn beside(&self) -> Self {
        let driver = Arc::clone(&self.driver);
        let window = Self { session: driver.attach(), driver, recording: Recorded::default() };
        let opened = window.call("POST", "/window/new", &json!({"type": "window"}));
        window.call("POST", "/window", &json!({"handle": opened["handle"]}));
        window
    }

    /// Opens a page and puts the helper script into it.
    pub(crate) fn open(&mut self, url: &str) {
        self.go(url);
        self.call("POST", "/execute/sync", &json!({"script": HELPER, "args": []}));
        self.recording = Recorded::default();
    }

    /// Puts the helper script, and another after it, before the scripts of every page to come.
    pub(crate) fn precede(&self, script: &str) {
        let source = format!("{HELPER}\n{script}");
        let parameters =
            json!({"cmd": "Page.addScriptToEvaluateOnNewDocument", "params": {"source": source}});
        self.call("POST", "/goog/cdp/execute", &parameters);
    }

    /// Opens a page as it is.
    pub(crate) fn go(&self, url: &str) {
        self.call("POST", "/url", &json!({"url": url}));
    }

    /// Plays a stream by WHEP in a bare page, preferring this codec for the picture.
    #[track_caller]
    pub(crate) fn play(&mut self, gateway: &Gateway, room: &str, participant: &str, codec: &str) {
        self.open(&gateway.page("/healthz"));
        let joined = self.evaluate(&format!("rig.play('/whep/{room}/{participant}', '{codec}')"));
        println!("plays, connected in {:.0} ms", joined["connect_ms"].as_f64().unwrap_or(f64::NAN));
    }

    /// Publishes the signal by WHIP from a bare page, in this codec.
    #[track_caller]
    pub(crate) fn publish(&mut self, gateway: &Gateway, room: &str, participant: &str, codec: &str) {
        self.open(&gateway.page("/healthz"));
        let joined = self.evaluate(&format!("rig.publish('/whip/{room}/{participant}', '{codec}')"));
        println!("publishes, connected in {:.0} ms", joined["connect_ms"].as_f64().unwrap_or(f64::NAN));
    }

    /// Sends the signal to itself in one page.
    fn loopback(&mut self, codec: &str) {
        // Any page from loopback will do, and the driver serves one: worklets need a secure origin.
        self.open(&self.driver.page());
        self.evaluate(&format!("rig.loopback('{codec}')"));
    }

    /// Evaluates an expression in the page, waits if it is a promise, and gives its value.
    #[track_caller]
    pub(crate) fn evaluate(&self, expression: &str) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             (async () => ({expression}))().then((value) => done({{value}}), (error) => done({{error: String(error)}}));"
        );
        let mut result = self.call("POST", "/execute/async", &json!({"script": script, "args": []}));
        if let Some(error) = result["error"].as_str() {
            panic!("in the page, {expression}: {error}");
        }
        result["value"].take()
    }

    /// Clicks on an element as a person does: what the browser allows only to people is allowed then.
    #[track_caller]
    pub(crate) fn click(&self, selector: &str) {
        let found = self.call("POST", "/element", &json!({"using": "css selector", "value": selector}));
        let element = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str);
        let element = element.unwrap_or_else(|| panic!("{selector}: {found}"));
        self.call("POST", &format!("/element/{element}/click"), &json!({}));
    }

    /// Presses a key and lets it go, wherever the focus is. Keys without a letter have codes of their own (WebDriver, 17.4.2).
    #[track_caller]
    pub(crate) fn press(&self, key: &str) {
        let [down, up] = ["keyDown", "keyUp"].map(|what| json!({"type": what, "value": key}));
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": [down, up]});
        self.call("POST", "/actions", &json!({"actions": [keyboard]}));
    }

    /// Lets pages do what a person would have to allow.
    #[track_caller]
    pub(crate) fn permit(&self, what: &str) {
        let permission = json!({"descriptor": {"name": what}, "state": "granted"});
        self.call("POST", "/permissions", &permission);
    }

    /// Waits until an expression in the page is true.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, seconds: u64, expression: &str) {
        // The page looks by itself: being asked again and again would take the processor from what is waited for.
        let look = format!(
            "(async () => {{
                for (const end = performance.now() + 1000; performance.now() < end;) {{
                    if (await ({expression}) === true) return true;
                    await new Promise((done) => setTimeout(done, 20));
                }}
            }})()"
        );
        patience::wait(what, Duration::from_secs(seconds), || self.evaluate(&look) == Value::Bool(true));
    }

    /// Lets the page go on for so long and forgets what it showed and played: a browser takes some seconds to bring the two
    /// into step.
    pub(crate) fn settle(&mut self, seconds: u64) {
        self.record(seconds);
        self.recording = Recorded::default();
    }

    /// Lets the page go on for so long, and gives all it showed and played since it was tapped.
    pub(crate) fn record(&mut self, seconds: u64) -> Recording {
        // Fetched every two seconds: the page keeps little, and the transfer does not disturb it.
        for _ in 0..seconds.div_ceil(2) {
            patience::pass(Duration::from_secs(2));
            let notes = self.evaluate("rig.collect()");
            self.recording.add(&notes);
        }
        self.recording.recording()
    }

    /// An entry of the page's WebRTC statistics by its type and kind.
    #[track_caller]
    pub(crate) fn statistics(&self, entry: &str, kind: &str) -> Value {
        let all = self.evaluate("rig.stats()");
        let entries = all.as_array().expect("statistics are a list");
        let found =
            entries.iter().find(|one| one["type"] == entry && (kind.is_empty() || one["kind"] == kind));
        found.unwrap_or_else(|| panic!("no {entry} of {kind:?} in {all:#}")).clone()
    }

    /// An entry of the page's WebRTC statistics by its id.
    #[track_caller]
    pub(crate) fn statistic(&self, id: &Value) -> Value {
        let all = self.evaluate("rig.stats()");
        let found = all.as_array().expect("statistics are a list").iter().find(|one| one["id"] == *id);
        found.unwrap_or_else(|| panic!("no {id} in {all:#}")).clone()
    }

    /// The errors in the browser's console: what a page, its content policy or a missing file brought there.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.call("POST", "/se/log", &json!({"type": "browser"}));
        let entries = log.as_array().expect("a log is a list").iter();
        entries.filter(|entry| entry["level"] == "SEVERE").map(|entry| entry["message"].to_string()).collect()
    }

    /// Ends the browser, with all of its windows, the hard way: it has no time to say anything to anybody.
    pub(crate) fn kill(&self) {
        self.driver.kill();
    }

    /// Stops the browser, with all of its windows, where it stands, as a closed lid does: its connections stay, and nothing
    /// comes over them.
    pub(crate) fn freeze(&self) {
        self.driver.freeze();
    }

    #[track_caller]
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        self.driver.call(method, &format!("/session/{}{path}", self.session), body)
    }
}

impl Recorded {
    fn add(&mut self, notes: &Value) {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        for frame in list(&notes["frames"]) {
            let cells: Vec<u8> =
                list(&frame[1]).iter().filter_map(|cell| cell.as_u64()?.try_into().ok()).collect();
            let number = cells.as_slice().try_into().ok().and_then(signal::number);
            self.shown.push(Shown { at: frame[0].as_f64().expect("a time") / 1000.0, number });
        }
        let readings = |name: &str| {
            let pair = |reading: &Value| [0, 1].map(|index| reading[index].as_f64().expect("a number"));
            list(&notes[name]).iter().map(pair).collect::<Vec<_>>()
        };
        self.clock.extend(readings("clock").iter().map(|[context, wall]| (*context, wall / 1000.0)));
        self.lag.extend(readings("lag").iter().map(|[wall, lag]| (wall / 1000.0, lag / 1000.0)));
        self.rate = notes["rate"].as_f64().expect("a sample rate");
        let samples = base64(notes["samples"].as_str().expect("base64"));
        let samples = samples
            .as_chunks()
            .0
            .iter()
            .map(|&bytes| f32::from(i16::from_le_bytes(bytes)) / 32768.0)
            .collect();
        self.sound.push((notes["first"].as_u64().expect("an index") as usize, samples));
    }

    fn recording(&self) -> Recording {
        let sounding: Vec<_> = self.sound.iter().filter(|(_, samples)| !samples.is_empty()).collect();
        let track = sounding.first().map(|&&(first, _)| {
            let mut samples = Vec::new();
            for (at, block) in &sounding {
                samples.resize(at - first, 0.0);
                samples.extend(block);
            }
            // Of the readings of a second the least delayed one is the best: the rest were read by a busy page.
            let lag = |reading: &(f64, f64)| reading.1 - reading.0;
            let pieces = (0..samples.len())
                .step_by(self.rate as usize)
                .map(|index| {
                    let context = (first + index) as f64 / self.rate;
                    let near = self.clock.iter().filter(|(at, _)| (at - context).abs() < 1.0);
                    let least = near.map(lag).min_by(f64::total_cmp);
                    let least = least.or_else(|| self.clock.iter().map(lag).min_by(f64::total_cmp));
                    Piece { first: index, at: context + least.expect("the clock was read") }
                })
                .collect();
            Track { rate: self.rate, samples, pieces }
        });
        Recording { shown: self.shown.clone(), track, lag: self.lag.clone() }
    }
}

fn base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for symbol in text.bytes() {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => break,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

/// What all pages of ours call.
const HELPER: &str = include_str!("page.js");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_undone() {
        assert_eq!(base64("AP+AfwE="), [0, 255, 128, 127, 1]);
        assert!(base64("").is_empty());
    }

    /// The signal made, sent and received inside one page: proves the tools.
    #[test]
    fn a_page_hears_itself() {
        let mut browser = Browser::start();
        browser.loopback("VP8");
        // Chromium's first sender reports take their time.
        browser.settle(6);
        let report = browser.record(8).analyse();
        println!("{report:#?}");
        assert!(report.picture().fps > 20.0 && report.picture().backwards == 0, "{report:#?}");
        assert!(report.sound().snr > 30.0, "{report:#?}");
        assert!(report.offset().abs() < 40.0, "{report:#?}");
    }
}
