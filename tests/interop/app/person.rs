//! Somebody at the room's page: what they do there, and what they see, hear and read.

use crate::browser::Browser;
use crate::gateway::Gateway;
use crate::people::{self, Observed, Source, together};
use serde_json::{Value, json};
use std::array;

/// How long the page may take to show what has happened, in seconds.
const PATIENCE: u64 = 10;

/// A browser with the room's page, and who sits there.
pub(super) struct Person {
    pub(super) browser: Browser,
    /// The name to join by.
    pub(super) name: &'static str,
    number: usize,
}

/// Waits until each sees and hears all others.
pub(super) fn all_meet<const N: usize>(people: [&Person; N]) {
    together(people, |person| {
        people.iter().filter(|other| other.name != person.name).for_each(|other| person.meets(other));
    });
}

/// Expects that no browser had anything to complain of.
#[track_caller]
pub(super) fn all_are_content<const N: usize>(people: [&Person; N]) {
    for person in people {
        assert_eq!(person.browser.complaints(), Vec::<String>::new(), "{}", person.name);
    }
}

impl Person {
    /// People at windows of one browser.
    pub(super) fn some<const N: usize>(names: [&'static str; N]) -> [Self; N] {
        Self::at(people::windows(), names)
    }

    /// People at browsers of their own: what happens to one is not felt by the others.
    pub(super) fn apart<const N: usize>(names: [&'static str; N]) -> [Self; N] {
        Self::at(people::browsers(), names)
    }

    fn at<const N: usize>(browsers: [Browser; N], names: [&'static str; N]) -> [Self; N] {
        let mut browsers = browsers.into_iter();
        array::from_fn(|number| {
            let browser = browsers.next().expect("one for each");
            people::equip(&browser, number, "");
            Self { browser, name: names[number], number }
        })
    }

    /// Somebody at another window of the same browser, who has the browser's own devices: cameras that show a clock, and microphones
    /// that beep.
    pub(super) fn beside(&self, name: &'static str) -> Self {
        Self { browser: self.browser.beside(), name, number: self.number + 1 }
    }

    /// What this person's camera and microphone give.
    pub(super) fn camera(&self) -> Source {
        Source::camera(self.number)
    }

    /// What this person's screen shows.
    pub(super) fn screen(&self) -> Source {
        Source::screen(self.number)
    }

    // ---- before the call

    /// Opens the room's page and waits until the devices are there.
    #[track_caller]
    pub(super) fn open(&self, gateway: &Gateway, room: &str) {
        self.browser.go(&gateway.page(&format!("/r/{room}")));
        self.is_ready();
    }

    /// Waits until the page shows what others would see.
    #[track_caller]
    pub(super) fn is_ready(&self) {
        self.wait("the devices are there", "document.querySelector('#preview')?.videoWidth > 0");
    }

    /// Says the name and asks to join.
    #[track_caller]
    pub(super) fn ask_to_join(&self) {
        self.fill("#name", self.name);
        self.click("#join");
    }

    /// Waits until it is in the room.
    #[track_caller]
    pub(super) fn is_inside(&self) {
        self.wait("is in the room", &in_stage("call"));
    }

    /// Opens the room's page and joins.
    #[track_caller]
    pub(super) fn enter(&self, gateway: &Gateway, room: &str) {
        self.open(gateway, room);
        self.ask_to_join();
        self.is_inside();
    }

    // ---- what is pressed and written

    /// Clicks on an element as a person does.
    #[track_caller]
    pub(super) fn click(&self, selector: &str) {
        self.browser.click(selector);
    }

    /// Writes a text into a field, in the place of what was there.
    #[track_caller]
    pub(super) fn fill(&self, selector: &str, text: &str) {
        self.browser.evaluate(&format!(
            "(() => {{ const field = {}; field.value = {}; field.dispatchEvent(new Event('input', {{bubbles: true}})); }})()",
            element(selector),
            json!(text)
        ));
    }

    /// Chooses one of a list's entries by its value.
    #[track_caller]
    pub(super) fn choose(&self, selector: &str, value: &str) {
        let value = json!(value);
        let list = element(selector);
        self.wait(
            &format!("{value} can be chosen in {selector}"),
            &format!("[...{list}.options].some((option) => option.value === {value})"),
        );
        self.browser.evaluate(&format!(
            "(() => {{ const list = {list}; list.value = {value}; list.dispatchEvent(new Event('change', {{bubbles: true}})); }})()"
        ));
    }

    /// Writes a line to everybody, or to one alone.
    #[track_caller]
    pub(super) fn say(&self, text: &str, to: Option<&str>) {
        self.choose("#to", to.unwrap_or_default());
        self.fill("#line", text);
        self.browser.evaluate("document.querySelector('#compose').requestSubmit()");
    }

    /// Presses a host's button for somebody.
    #[track_caller]
    pub(super) fn moderate(&self, name: &str, act: &str) {
        let row = format!(".person[data-login=\"{name}\"]");
        if self.get(&format!("{}.hidden", element(&format!("{row} .acts")))) == json!(true) {
            self.click(&format!("{row} .signs [aria-expanded]"));
        }
        self.click(&format!("{row} [data-act={act}]"));
    }

    // ---- what is read

    /// The value of an expression in the page.
    #[track_caller]
    pub(super) fn get(&self, expression: &str) -> Value {
        self.browser.evaluate(expression)
    }

    /// What an element says.
    #[track_caller]
    pub(super) fn text(&self, selector: &str) -> String {
        let text = self.get(&format!("{}.textContent", element(selector)));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an element says something with this in it.
    #[track_caller]
    pub(super) fn reads(&self, selector: &str, text: &str) {
        let has = format!("{}.textContent.includes({})", element(selector), json!(text));
        self.wait(&format!("reads {text:?} in {selector}"), &has);
    }

    /// Waits until these lines, and no others, are in the chat.
    #[track_caller]
    pub(super) fn reads_lines(&self, lines: &[&str]) {
        let shown = "[...document.querySelectorAll('#messages .text')].map((line) => line.textContent)";
        self.wait(
            &format!("reads {lines:?}"),
            &format!("JSON.stringify({shown}) === {}", json!(json!(lines).to_string())),
        );
    }

    /// Waits until something is true in the page.
    #[track_caller]
    pub(super) fn wait(&self, what: &str, condition: &str) {
        self.browser.wait_for(&format!("{}: {what}", self.name), PATIENCE, condition);
    }

    // ---- what is seen and heard

    /// Waits until somebody's tile shows and plays them, and nobody else.
    #[track_caller]
    pub(super) fn meets(&self, other: &Self) {
        self.sees(&tile_of(other.name, "camera"), &other.camera());
    }

    /// Waits until a video shows this in motion, and lets its sound be heard.
    #[track_caller]
    pub(super) fn sees(&self, video: &str, source: &Source) {
        self.observes(video, &format!("{source:?}"), |seen| seen.is_of(source));
    }

    /// Waits until what a video shows and plays is what it should be.
    #[track_caller]
    pub(super) fn observes(&self, video: &str, what: &str, is_so: impl Fn(&Observed) -> bool) {
        let started = format!("{video}?.srcObject && {video}.getVideoPlaybackQuality().totalVideoFrames > 2");
        self.wait(&format!("{video} shows something"), &format!("Boolean({started})"));
        let observe = || Observed::of(&self.get(&format!("people.observe({video}, 450)")));
        if let Err(seen) = Observed::until(observe, is_so) {
            panic!("{} at {video}, not {what}: {seen:?}", self.name);
        }
    }

    /// Waits until there are tiles of these, and of nobody else.
    #[track_caller]
    pub(super) fn has_tiles(&self, keys: &[&str]) {
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        let shown = "[...document.querySelectorAll('.tile')].map(({dataset}) => dataset.key).sort()";
        self.wait(
            &format!("has tiles of {keys:?}"),
            &format!("JSON.stringify({shown}) === {}", json!(json!(keys).to_string())),
        );
    }

    /// Waits until somebody's tile says whether their microphone is off.
    #[track_caller]
    pub(super) fn is_told_of_silence(&self, name: &str, silent: bool) {
        let hidden = format!("document.querySelector('[data-key=\"{name} camera\"] .silent').hidden");
        self.wait(&format!("{name} is silent: {silent}"), &format!("{hidden} === {}", !silent));
    }

    /// Waits until somebody's tile shows a picture, or letters.
    #[track_caller]
    pub(super) fn is_shown_a_picture(&self, name: &str, picture: bool) {
        let pictured =
            format!("document.querySelector('[data-key=\"{name} camera\"]').classList.contains('pictured')");
        self.wait(&format!("there is a picture of {name}: {picture}"), &format!("{pictured} === {picture}"));
    }

    /// How the tiles lie: `grid`, `duo` or `stage`.
    #[track_caller]
    pub(super) fn has_layout(&self, layout: &str) {
        self.wait(layout, &format!("document.querySelector('#floor').dataset.layout === '{layout}'"));
    }
}

/// The page before, in or after the call.
pub(super) fn in_stage(stage: &str) -> String {
    format!("document.body.dataset.stage === '{stage}'")
}

/// The element that plays somebody's camera or screen.
pub(super) fn tile_of(name: &str, kind: &str) -> String {
    element(&format!("[data-key=\"{name} {kind}\"] video"))
}

/// An element of the page, as an expression.
pub(super) fn element(selector: &str) -> String {
    format!("document.querySelector({})", json!(selector))
}
