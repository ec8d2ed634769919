//! Somebody at an example page: what they do there, and what they see and hear.

use super::exchange::Exchange;
use super::package::{Example, Pages, Version};
use crate::browser::Browser;
use crate::gateway::Gateway;
use crate::patience;
use crate::people::{self, Observed, Source, together};
use serde_json::Value;
use std::array;
use std::time::Duration;

/// A browser with an example page, and who sits there.
pub(super) struct Person {
    pub(super) browser: Browser,
    pub(super) login: &'static str,
    number: usize,
}

/// Waits until each sees and hears all others.
pub(super) fn all_meet<const N: usize>(people: [&Person; N]) {
    together(people, |person| {
        people.iter().filter(|other| other.login != person.login).for_each(|other| person.meets(other));
    });
}

impl Person {
    /// People at windows of one browser.
    pub(super) fn some<const N: usize>(logins: [&'static str; N]) -> [Self; N] {
        Self::at(people::windows(), logins)
    }

    /// People at browsers of their own: what happens to one is not felt by the others.
    pub(super) fn apart<const N: usize>(logins: [&'static str; N]) -> [Self; N] {
        Self::at(people::browsers(), logins)
    }

    fn at<const N: usize>(browsers: [Browser; N], logins: [&'static str; N]) -> [Self; N] {
        let mut browsers = browsers.into_iter();
        array::from_fn(|number| {
            let browser = browsers.next().expect("one for each");
            people::equip(&browser, number, include_str!("visitor.js"));
            Self { browser, login: logins[number], number }
        })
    }

    /// What this person's camera and microphone give.
    pub(super) fn camera(&self) -> Source {
        Source::camera(self.number)
    }

    /// What this person's screen shows.
    pub(super) fn screen(&self) -> Source {
        Source::screen(self.number)
    }

    /// Opens a page, with an invitation to a room or without.
    pub(super) fn open(&self, pages: Pages, page: (Version, Example), room: Option<&str>) {
        let query = room.map(|room| format!("?roomName={room}")).unwrap_or_default();
        self.browser.go(&format!("{}{query}", pages.url(page)));
        // A window that is new may still show its blank page when the driver takes the address for opened.
        let is_there = "document.readyState === 'complete' && Boolean(document.getElementById('url'))";
        patience::wait("the page is there", Duration::from_secs(10), || {
            self.browser.evaluate(is_there) == Value::Bool(true)
        });
    }

    /// Fills in the form and asks to join.
    pub(super) fn ask_to_join(&self, gateway: &Gateway) {
        let address = format!("ws://{}", gateway.http);
        self.fill("url", &address);
        self.fill("login", self.login);
        self.click("joinBtn");
    }

    /// Joins, and waits until camera and microphone are there for the others.
    pub(super) fn join(&self, gateway: &Gateway) {
        self.ask_to_join(gateway);
        self.publishes();
        assert_eq!(self.text("status"), "ESTABLISHED");
    }

    /// Waits until the page says that it publishes.
    fn publishes(&self) {
        self.until("publishing", 10, "document.getElementById('localStatus').textContent === 'PUBLISHING'");
    }

    /// Waits until the page has been told that its publication is over.
    fn has_stopped(&self) {
        self.until("unpublished", 5, "document.getElementById('localStatus').textContent === 'UNPUBLISHED'");
    }

    /// Presses what stops the publication.
    pub(super) fn stop(&self) {
        self.click("localStopBtn");
        self.has_stopped();
    }

    /// Presses what begins a new publication.
    pub(super) fn publish(&self) {
        self.click("localStopBtn");
        self.publishes();
    }

    /// Presses what leaves the room.
    pub(super) fn leave(&self) {
        self.click("joinBtn");
        self.until("out of the room", 5, "document.getElementById('joinBtn').textContent === 'Join'");
        self.has_stopped();
    }

    /// Presses what enters it again.
    pub(super) fn join_again(&self) {
        self.click("joinBtn");
        self.publishes();
    }

    /// Opens a page in a room and joins.
    pub(super) fn visit(&self, gateway: &Gateway, pages: Pages, page: (Version, Example), room: &str) {
        self.open(pages, page, Some(room));
        self.join(gateway);
    }

    pub(super) fn fill(&self, field: &str, text: &str) {
        self.browser.evaluate(&format!("document.getElementById('{field}').value = {}", Value::from(text)));
    }

    /// Presses a button, which must be there to be pressed.
    #[track_caller]
    pub(super) fn click(&self, button: &str) {
        let pressed = self.browser.evaluate(&format!(
            "(() => {{ const button = document.getElementById('{button}'), ready = !button.disabled; button.click(); return ready; }})()"
        ));
        assert_eq!(pressed, Value::Bool(true), "{} cannot press {button}: {}", self.login, self.exchange());
    }

    /// What an element says.
    pub(super) fn text(&self, element: &str) -> String {
        let text = self.browser.evaluate(&format!("document.getElementById('{element}').innerText"));
        text.as_str().expect("an element has text").to_owned()
    }

    /// Sends a line to all.
    pub(super) fn say(&self, line: &str) {
        self.fill("message", line);
        self.click("sendMessageBtn");
    }

    /// Waits until the chat has this line of somebody's.
    #[track_caller]
    pub(super) fn reads(&self, from: &str, line: &str) {
        self.reads_within(5, from, line);
    }

    /// The same for lines that take their time.
    #[track_caller]
    pub(super) fn reads_within(&self, seconds: u64, from: &str, line: &str) {
        let wanted = Value::from(format!("{from} - {line}"));
        let has = format!("document.getElementById('chat').innerText.includes({wanted})");
        self.until(&format!("{from} says {line:?}"), seconds, &has);
    }

    /// How often the chat has a piece of text.
    pub(super) fn count_in_chat(&self, text: &str) -> usize {
        self.text("chat").matches(text).count()
    }

    /// Waits until something is true in the page.
    #[track_caller]
    pub(super) fn until(&self, what: &str, seconds: u64, expression: &str) {
        let done = self.browser.evaluate(&format!("people.until(() => {expression}, {})", seconds * 1000));
        assert_eq!(
            done,
            Value::Bool(true),
            "{}, {what}: not within {seconds} s. {}",
            self.login,
            self.exchange()
        );
    }

    /// Waits until somebody's picture is shown at their name, and expects to see and hear them and nobody else there.
    #[track_caller]
    pub(super) fn meets(&self, other: &Self) {
        self.sees(&format!("visitor.display('{}')", other.login), &other.camera());
    }

    /// Waits until a place of the page shows this in motion, and lets its sound be heard.
    #[track_caller]
    pub(super) fn sees(&self, place: &str, source: &Source) {
        self.until(&format!("{place} shows something"), 10, &format!("visitor.started({place})"));
        self.observes(place, &format!("{source:?}"), |seen| seen.is_of(source));
    }

    /// Waits until a place of the page shows nobody's picture, and nothing is heard from there.
    #[track_caller]
    pub(super) fn sees_and_hears_nothing(&self, place: &str) {
        self.observes(place, "nothing", |seen| seen.is_dark() && seen.is_silent());
    }

    #[track_caller]
    fn observes(&self, place: &str, what: &str, is_so: impl Fn(&Observed) -> bool) {
        if let Err(seen) = Observed::until(|| self.observe(place), is_so) {
            panic!("{} at {place}, not {what}: {seen:?}. {}", self.login, self.exchange());
        }
    }

    /// Looks and listens for a while.
    #[track_caller]
    fn observe(&self, place: &str) -> Observed {
        Observed::of(&self.browser.evaluate(&format!("visitor.observe({place}, 450)")))
    }

    /// What was said over the page's WebSockets so far.
    pub(super) fn exchange(&self) -> Exchange {
        Exchange::of(&self.browser.evaluate("visitor.exchange"))
    }

    /// Expects that nothing went wrong, in the page or on the wire.
    #[track_caller]
    pub(super) fn is_content(&self) {
        let troubles = self.browser.evaluate("visitor.troubles");
        let (exchange, complaints) = (self.exchange(), self.browser.complaints());
        let faults = exchange.faults();
        assert!(
            troubles == Value::Array(Vec::new()) && complaints.is_empty() && faults.is_empty(),
            "{}: {troubles} {complaints:?} {faults:#?}\n{exchange}",
            self.login
        );
    }
}
