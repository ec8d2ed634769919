//! `[[room]]`: options of rooms whose names match, in place of those for all.

use super::load::join;
use super::{Config, Recording, Rooms};
use serde::Deserialize;
use std::fmt;
use toml::{Table, Value};

/// Options of `[recording]` that are the server's, not a room's.
const RECORDING: [&str; 6] = ["policy", "align", "audio", "file", "grace", "faststart"];
/// Of `[recording.upload]` there is this one key.
const UPLOAD: &str = "upload";
const OF_UPLOAD: &str = "enabled";
/// The same of `[rooms]`, the other way round.
const NOT_OF_ROOMS: &str = "max_rooms";
/// What tells the rooms.
const MATCH: &str = "match";

/// One `[[room]]`, with all that holds for its rooms.
#[derive(Clone, PartialEq, Debug)]
pub struct RoomRule {
    /// Which rooms.
    pub pattern: Pattern,
    /// Admission to them.
    pub rooms: Rooms,
    /// What of them is recorded.
    pub recording: Recording,
}

/// All rules, in the order in which they stand: the first that matches counts.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RoomRules(Vec<RoomRule>);

/// A name in which `*` stands for any characters, or none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern(String);

impl RoomRules {
    /// The rule for a room, if there is one.
    pub fn of(&self, room: &str) -> Option<&RoomRule> {
        self.0.iter().find(|rule| rule.pattern.matches(room))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &RoomRule> {
        self.0.iter()
    }

    /// What a file's tables come to with the rest of the configuration. The number of the first that cannot be used, and why.
    pub(super) fn read(tables: &[Table], config: &Config) -> Result<Self, (usize, String)> {
        let rule = |(index, table)| RoomRule::read(table, config).map_err(|error| (index, error));
        tables.iter().enumerate().map(rule).collect::<Result<_, _>>().map(Self)
    }
}

impl RoomRule {
    /// What a table may hold, for messages about keys.
    pub(super) fn known(known: &Table) -> Table {
        let section = |name: &str, takes: &dyn Fn(&str) -> bool| {
            let keys = known.get(name).and_then(Value::as_table).cloned().unwrap_or_default();
            Value::Table(keys.into_iter().filter(|(key, _)| takes(key)).collect())
        };
        Table::from_iter([
            (MATCH.to_owned(), Value::String(String::new())),
            ("rooms".to_owned(), section("rooms", &|key| key != NOT_OF_ROOMS)),
            ("recording".to_owned(), {
                let mut recording = section("recording", &|key| RECORDING.contains(&key) || key == UPLOAD);
                if let Some(upload) = recording.get_mut(UPLOAD).and_then(Value::as_table_mut) {
                    upload.retain(|key, _| key == OF_UPLOAD);
                }
                recording
            }),
        ])
    }

    fn read(table: &Table, config: &Config) -> Result<Self, String> {
        let pattern = match table.get(MATCH) {
            Some(Value::String(pattern)) if !pattern.is_empty() => Pattern(pattern.clone()),
            _ => {
                return Err(
                    "[[room]] has no match; write which rooms it is for, such as match = \"studio-*\"".into(),
                );
            }
        };
        let mut merged = config.table();
        for (section, keys) in table.iter().filter(|(key, _)| *key != MATCH) {
            let (Some(into), Some(keys)) =
                (merged.get_mut(section).and_then(Value::as_table_mut), keys.as_table())
            else {
                return Err(format!("{section} is a section"));
            };
            overlay(into, keys);
        }
        let merged =
            Config::deserialize(merged).map_err(|error| Self::blame(table, config, error.message()))?;
        match merged.fault() {
            Some(fault) => Err(fault.message),
            None => Ok(Self { pattern, rooms: merged.rooms, recording: merged.recording }),
        }
    }

    /// Finds the key that a complaint is about.
    fn blame(table: &Table, config: &Config, message: &str) -> String {
        for (section, keys) in table {
            for (key, value) in keys.as_table().into_iter().flatten() {
                let mut merged = config.table();
                if let Some(into) = merged.get_mut(section).and_then(Value::as_table_mut) {
                    overlay(into, &Table::from_iter([(key.clone(), value.clone())]));
                }
                if Config::deserialize(merged).is_err() {
                    return format!("{}: {}", join(section, key), message.trim());
                }
            }
        }
        message.trim().to_owned()
    }
}

/// Puts keys over others, table by table.
fn overlay(into: &mut Table, keys: &Table) {
    for (key, value) in keys {
        match (into.get_mut(key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => overlay(below, above),
            _ => drop(into.insert(key.clone(), value.clone())),
        }
    }
}

impl Pattern {
    /// Whether a name is meant.
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Align, Policy, Span};
    use super::*;
    use std::path::Path;
    use std::time::Duration;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("c.toml"), &[]).map_err(|error| error.to_string())
    }

    #[test]
    fn names_match() {
        let matches = |pattern: &str, name: &str| Pattern(pattern.to_owned()).matches(name);
        for (pattern, name) in [
            ("studio", "studio"),
            ("*", "any"),
            ("*", ""),
            ("s*", "s"),
            ("s*o", "studio"),
            ("*ud*", "studio"),
            ("зал-*", "зал-1"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("studio", "studio2"), ("s*", "as"), ("*o", "studios"), ("ab*ba", "aba"), ("a*b*c", "acb")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn the_first_rule_that_matches_counts_and_changes_what_it_names() {
        let text = r#"
            [rooms]
            max_streams = 2
            [recording]
            grace = "7s"
            [[room]]
            match = "studio-*"
            recording.policy = "always"
            recording.align = "full"
            [[room]]
            match = "*"
            rooms = { max_participants = 5 }
        "#;
        let config = parse(text).unwrap();
        let rule = config.room.of("studio-1").unwrap();
        assert_eq!((rule.recording.policy, rule.recording.align), (Policy::Always, Align::Full));
        assert_eq!(rule.recording.grace, Span(Duration::from_secs(7)), "the rest is what holds for all");
        assert_eq!((rule.rooms.max_streams, rule.rooms.max_participants), (2, 100));
        let rule = config.room.of("other").unwrap();
        assert_eq!((rule.recording.policy, rule.rooms.max_participants), (Policy::Never, 5));
        assert_eq!(parse("").unwrap().room.of("studio-1"), None);
        assert_eq!(config.room.iter().count(), 2);
    }

    #[test]
    fn mistakes_are_placed() {
        let error = |text: &str| parse(text).unwrap_err();
        assert_eq!(
            error("[[room]]\nmatch = \"a\"\nrecording.polcy = \"always\""),
            "c.toml:3:11: there is no key \"recording.polcy\"; did you mean \"recording.policy\"?"
        );
        assert!(
            error("[[room]]\nmatch = \"a\"\nrooms.max_rooms = 3")
                .contains("there is no key \"rooms.max_rooms\"")
        );
        assert!(
            error("\n[[room]]\nrecording.policy = \"always\"")
                .starts_with("c.toml:2:1: [[room]] has no match")
        );
        let bad = error("[[room]]\nmatch = \"a\"\nrecording.policy = \"sometimes\"");
        assert!(bad.starts_with("c.toml:1:1: recording.policy: unknown variant `sometimes`"), "{bad}");
        let bad = error("[[room]]\nmatch = \"a\"\nrooms.max_streams = 0");
        assert!(bad.contains("rooms.max_streams is 0; write a value from 1 to 100"), "{bad}");
        assert!(error("room = 3").starts_with("c.toml:1:"), "{}", error("room = 3"));
    }
}
