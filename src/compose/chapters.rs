//! Title, date and chapters, as FFmpeg's `ffmetadata` says them: a chapter begins where somebody comes or goes.

use super::session::{Move, Session};
use std::fmt::Write;

/// Players and the MP4 writer take no more.
const MOST: usize = 255;
/// Names in one chapter's title; the others are a number.
const MOST_NAMES: usize = 4;

/// The text of the file.
pub(crate) fn metadata(session: &Session) -> String {
    let mut text = format!(";FFMETADATA1\ntitle={}\n", escape(&session.title));
    if let Some(date) = &session.date {
        // Written to a String, which takes everything.
        let _ = write!(text, "date={0}\ncreation_time={0}\n", escape(date));
    }
    let chapters = chapters(session);
    for (index, (start, title)) in chapters.iter().enumerate() {
        let end = chapters.get(index + 1).map_or_else(|| milliseconds(session.duration), |next| next.0);
        let _ = write!(
            text,
            "[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={}\ntitle={}\n",
            end.max(*start),
            escape(title)
        );
    }
    text
}

/// Where chapters begin, in milliseconds, and their titles.
fn chapters(session: &Session) -> Vec<(u64, String)> {
    let mut quiet = 1.0;
    loop {
        let scenes = scenes(session, quiet);
        if scenes.len() <= MOST {
            return scenes.iter().map(|(start, moves)| (milliseconds(*start), title(moves))).collect();
        }
        quiet *= 2.0;
    }
}

/// Comings and goings, those within `quiet` seconds together. The first scene begins at zero.
fn scenes(session: &Session, quiet: f64) -> Vec<(f64, Vec<&Move>)> {
    let mut scenes: Vec<(f64, Vec<&Move>)> = vec![(0.0, Vec::new())];
    for change in session.moves.iter().filter(|change| change.time < session.duration) {
        match scenes.last_mut() {
            Some((start, moves)) if change.time - *start < quiet => moves.push(change),
            _ => scenes.push((change.time, vec![change])),
        }
    }
    scenes
}

fn title(moves: &[&Move]) -> String {
    let names = |arrivals: bool| {
        let all: Vec<&str> = moves
            .iter()
            .filter(|change| change.is_arrival == arrivals)
            .map(|change| change.name.as_str())
            .collect();
        let mut named = all.get(..MOST_NAMES.min(all.len())).unwrap_or_default().join(", ");
        if all.len() > MOST_NAMES {
            let _ = write!(named, " and {} more", all.len() - MOST_NAMES);
        }
        named
    };
    match (names(true), names(false)) {
        (came, went) if came.is_empty() && went.is_empty() => "Start".into(),
        (came, went) if went.is_empty() => format!("{came} joined"),
        (came, went) if came.is_empty() => format!("{went} left"),
        (came, went) => format!("{came} joined, {went} left"),
    }
}

/// Times are bounded, and never below zero.
fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}

/// `=`, `;`, `#`, `\` and line ends mean something in such a file.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        if matches!(letter, '=' | ';' | '#' | '\\') {
            escaped.push('\\');
        }
        escaped.push(if letter.is_control() { ' ' } else { letter });
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(moves: &[(f64, &str, bool)]) -> Session {
        let moves = moves.iter();
        Session {
            title: "a=b;c".into(),
            date: Some("2026-11-21T21:31:57Z".into()),
            duration: 100.0,
            beyond: 0,
            sources: vec![],
            moves: moves
                .map(|(time, name, is_arrival)| Move {
                    time: *time,
                    name: (*name).into(),
                    is_arrival: *is_arrival,
                })
                .collect(),
        }
    }

    #[test]
    fn each_coming_and_going_is_a_chapter() {
        let moves = [
            (0.0, "Алиса", true),
            (45.25, "bob\n[CHAPTER]", true),
            (45.5, "carol", true),
            (60.0, "Алиса", false),
        ];
        assert_eq!(
            metadata(&session(&moves)),
            ";FFMETADATA1\ntitle=a\\=b\\;c\ndate=2026-11-21T21:31:57Z\ncreation_time=2026-11-21T21:31:57Z\n\
             [CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=45250\ntitle=Алиса joined\n\
             [CHAPTER]\nTIMEBASE=1/1000\nSTART=45250\nEND=60000\ntitle=bob [CHAPTER], carol joined\n\
             [CHAPTER]\nTIMEBASE=1/1000\nSTART=60000\nEND=100000\ntitle=Алиса left\n"
        );
    }

    #[test]
    fn there_are_never_too_many() {
        let moves: Vec<_> =
            (0..5_000).map(|index| (f64::from(index) / 50.0, "bob", index % 2 == 0)).collect();
        let chapters = chapters(&session(&moves));
        assert!((50..=MOST).contains(&chapters.len()), "{}", chapters.len());
        assert!(chapters.iter().all(|(_, title)| title.len() < 100));
        assert_eq!(chapters[0].0, 0);
    }

    #[test]
    fn what_happens_behind_the_end_makes_no_chapter() {
        assert_eq!(chapters(&session(&[(100.0, "bob", false)])), [(0, "Start".into())]);
    }
}
