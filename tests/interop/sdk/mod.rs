//! The unchanged SDK of the Flashphoner server, and its own example pages, against the gateway.
//!
//! npm installs the package; what it brings is served as it is. Before a page's scripts only a camera, a microphone and a screen
//! of ours are put (`people.js`), and a listener at the WebSocket (`visitor.js`). People press the pages' buttons and read what
//! the pages say. Whose picture is shown where is read from the picture, and whose voice is heard from its pitch.

mod exchange;
mod package;
mod person;

// The cases.
mod chat;
mod conference;
mod encoder;
mod recording;
mod screen;

use crate::gateway::Gateway;
use package::Pages;

/// A gateway to which the pages may come, and the pages.
fn stage() -> (Gateway, Pages) {
    let pages = Pages::serve();
    let gateway = Gateway::start_with(&[&format!("http.allowed_origins=[\"{}\"]", pages.origin())]);
    (gateway, pages)
}
