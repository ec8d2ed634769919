//! Our own app, `/` and `/r/<room>`, in Chromium: people who meet there, and what they see, hear and read.
//!
//! The pages are what they are to everybody, content policy and all. Their devices are ours (`people.js`), except where devices
//! are what a case is about.

mod person;

// The cases.
mod devices;
mod first_picture;
mod hosts;
mod invitation;
mod many;
mod meeting;
mod recording;
mod secure;
mod talk;
mod trouble;
