//! From text and flags to a [`Config`].

use super::error::{ConfigError, Place};
use super::{Config, RoomRule, RoomRules};
use serde::Deserialize;
use std::ops::Range;
use std::path::Path;
use toml::de::DeTable;
use toml::{Table, Value};

impl Config {
    /// Reads a file, then applies flags of the form `section.key=value`, later ones over earlier ones.
    pub fn load(path: &Path, flags: &[String]) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path, flags)
    }

    /// The same for the text of a file; `path` is for messages only.
    pub fn parse(text: &str, path: &Path, flags: &[String]) -> Result<Self, ConfigError> {
        // Every valid section and key: the defaults leave none out.
        let known = Self::default().table();
        let document = DeTable::parse(text).map_err(|error| ConfigError::Value {
            place: Source::new(text, path, &DeTable::new(), &known).place(error.span()),
            message: one_line(error.message()),
        })?;
        let source = Source::new(text, path, document.get_ref(), &known);
        source.check_keys()?;
        let mut config: Self = toml::from_str(text).map_err(|error| source.error(&error))?;
        let rules = std::mem::take(&mut config.tables);
        if !flags.is_empty() {
            let mut table: Table = toml::from_str(text).map_err(|error| source.error(&error))?;
            table.remove(ROOM);
            // One by one, so that a complaint belongs to the flag that caused it.
            for flag in flags {
                let default = apply(&mut table, flag, &known)?;
                config = Self::deserialize(table.clone()).map_err(|error| ConfigError::Value {
                    place: place(flag),
                    message: format!("{}; the default is {default}", one_line(error.message())),
                })?;
            }
        }
        // Of the whole, as a flag may mend what the file says.
        if let Some(fault) = config.fault() {
            let flag = flags.iter().rev().find(|flag| fault.keys.iter().any(|key| sets(flag, key)));
            let place = flag.map_or_else(|| source.place(source.find(&fault.keys)), |flag| place(flag));
            return Err(ConfigError::Value { place, message: fault.message });
        }
        config.room = RoomRules::read(&rules, &config).map_err(|(index, message)| ConfigError::Value {
            place: source.place(source.rooms().nth(index).map(|(span, _)| span)),
            message,
        })?;
        Ok(config)
    }
}

/// The tables of some rooms.
const ROOM: &str = "room";

/// A file: what stands in it, and how messages call it.
struct Source<'a> {
    text: &'a str,
    path: &'a Path,
    document: &'a DeTable<'a>,
    known: &'a Table,
}

impl<'a> Source<'a> {
    const fn new(text: &'a str, path: &'a Path, document: &'a DeTable<'a>, known: &'a Table) -> Self {
        Self { text, path, document, known }
    }

    fn check_keys(&self) -> Result<(), ConfigError> {
        self.check_section("", self.document, self.known)?;
        let known = RoomRule::known(self.known);
        self.rooms().try_for_each(|(_, table)| self.check_section("", table, &known))
    }

    /// The tables of some rooms, and where each begins.
    fn rooms(&self) -> impl Iterator<Item = (Range<usize>, &DeTable<'_>)> {
        let tables = self.document.get(ROOM).and_then(|tables| tables.get_ref().as_array());
        tables.into_iter().flatten().filter_map(|table| Some((table.span(), table.get_ref().as_table()?)))
    }

    /// `name`: of the section, empty for the whole file; `known`: what it may hold.
    fn check_section(&self, name: &str, section: &DeTable<'_>, known: &Table) -> Result<(), ConfigError> {
        for (key, value) in section {
            let (full, span) = (join(name, key.get_ref()), key.span());
            // Tables of some rooms are looked at by themselves.
            if full == ROOM && value.get_ref().is_array() {
                continue;
            }
            match (known.get(key.get_ref().as_ref()), value.get_ref().as_table()) {
                (None, _) => return Err(ConfigError::unknown(self.place(Some(span)), &full, self.known)),
                (Some(Value::Table(known)), Some(keys)) => self.check_section(&full, keys, known)?,
                (Some(Value::Table(_)), None) => {
                    return Err(ConfigError::Section { place: self.place(Some(span)), section: full });
                }
                (Some(_), _) => {}
            }
        }
        Ok(())
    }

    fn error(&self, error: &toml::de::Error) -> ConfigError {
        let (span, text) = (error.span(), one_line(error.message()));
        let at = span.as_ref().map_or(0, |span| span.start);
        let of = self.values().into_iter().find(|(_, value)| value.contains(&at));
        let message = of.map_or_else(
            || text.clone(),
            |(key, _)| match look_up(self.known, &key) {
                Some(default) => format!("{key}: {text}; the default is {default}"),
                None => text.clone(),
            },
        );
        ConfigError::Value { place: self.place(span), message }
    }

    /// All values with their keys, sections included.
    fn values(&self) -> Vec<(String, Range<usize>)> {
        fn collect(name: &str, section: &DeTable<'_>, values: &mut Vec<(String, Range<usize>)>) {
            for (key, value) in section {
                let full = join(name, key.get_ref());
                match value.get_ref().as_table() {
                    Some(keys) => collect(&full, keys, values),
                    None => values.push((full, value.span())),
                }
            }
        }
        let mut values = Vec::new();
        collect("", self.document, &mut values);
        values
    }

    /// Where the first of these keys has its value.
    fn find(&self, keys: &[&str]) -> Option<Range<usize>> {
        let values = self.values();
        let find = |wanted: &&str| values.iter().find(|(key, _)| key == wanted);
        keys.iter().find_map(find).map(|(_, value)| value.clone())
    }

    fn place(&self, span: Option<Range<usize>>) -> Place {
        let before = self.text.get(..span.map_or(0, |span| span.start)).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place::File {
            path: self.path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

fn place(flag: &str) -> Place {
    Place::Flag(format!("--set {flag}"))
}

/// Whether a flag is about a key.
fn sets(flag: &str, key: &str) -> bool {
    flag.split_once('=').is_some_and(|(name, _)| name.trim() == key)
}

/// Puts a flag's value into the table; gives the key's default.
fn apply<'a>(table: &mut Table, flag: &str, known: &'a Table) -> Result<&'a Value, ConfigError> {
    let syntax = || ConfigError::Flag(flag.to_owned());
    let (name, text) = flag.split_once('=').ok_or_else(syntax)?;
    let (name, text) = (name.trim(), text.trim());
    let (sections, key) = name.rsplit_once('.').ok_or_else(syntax)?;
    let default = look_up(known, name).ok_or_else(|| ConfigError::unknown(place(flag), name, known))?;
    if default.is_table() {
        return Err(syntax());
    }
    let section = sections.split('.').try_fold(table, |table, section| {
        table.entry(section).or_insert_with(|| Value::Table(Table::new())).as_table_mut()
    });
    if let Some(keys) = section {
        keys.insert(key.to_owned(), value(text, default));
    }
    Ok(default)
}

/// A value as it is typed in a shell, where quotes are a nuisance: TOML where it is TOML of the right kind; else text,
/// and for a list its members between commas.
fn value(text: &str, default: &Value) -> Value {
    let parsed =
        toml::from_str::<Table>(&format!("value = {text}")).ok().and_then(|mut one| one.remove("value"));
    match (default, parsed) {
        (Value::String(_), Some(value @ Value::String(_))) => value,
        (Value::String(_), _) => Value::String(text.to_owned()),
        (Value::Array(_), Some(value @ Value::Array(_))) => value,
        (Value::Array(_), _) => {
            let members = text.split(',').map(|member| member.trim().trim_matches('"'));
            let members = members.filter(|member| !member.is_empty());
            Value::Array(members.map(|member| Value::String(member.to_owned())).collect())
        }
        (_, Some(value)) => value,
        (_, None) => Value::String(text.to_owned()),
    }
}

impl ConfigError {
    /// There is no such key; `known` has all there are.
    pub(super) fn unknown(place: Place, key: &str, known: &Table) -> Self {
        Self::Key { place, key: key.to_owned(), nearest: nearest(key, known) }
    }
}

/// The valid key most like `key`, if it is like any: in spelling, or the same name in another section. A section is
/// proposed only where a section could stand.
fn nearest(key: &str, known: &Table) -> Option<String> {
    let depth = key.matches('.').count();
    let mut candidates = Vec::new();
    list("", known, &mut candidates);
    let candidates = candidates
        .into_iter()
        .filter(|(candidate, is_section)| !is_section || candidate.matches('.').count() == depth);
    let (section, name) = split(key);
    // The name decides; of two keys of one name the one whose section is more alike wins.
    let likeness = |candidate: &str| {
        let (its_section, its_name) = split(candidate);
        strsim::jaro_winkler(name, its_name) * (0.98 + 0.02 * strsim::jaro_winkler(section, its_section))
    };
    let rated = candidates.map(|(candidate, _)| (likeness(&candidate), candidate));
    let (best, candidate) = rated.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (best > LIKE_ENOUGH).then_some(candidate)
}

/// All sections and keys with their full names, and whether each is a section.
fn list(name: &str, section: &Table, into: &mut Vec<(String, bool)>) {
    for (key, value) in section {
        let full = join(name, key);
        into.push((full.clone(), value.is_table()));
        if let Some(keys) = value.as_table() {
            list(&full, keys, into);
        }
    }
}

/// The value or section of a full name.
pub(super) fn look_up<'a>(known: &'a Table, key: &str) -> Option<&'a Value> {
    let (first, rest) = match key.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (key, None),
    };
    match (known.get(first)?, rest) {
        (value, None) => Some(value),
        (Value::Table(section), Some(rest)) => look_up(section, rest),
        (_, Some(_)) => None,
    }
}

/// A key's full name.
pub(super) fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

/// The section, empty for a section itself, and the last part.
fn split(key: &str) -> (&str, &str) {
    key.rsplit_once('.').unwrap_or(("", key))
}

/// Jaro-Winkler likeness from which a key is worth proposing: typing errors and transpositions pass, other words do not.
const LIKE_ENOUGH: f64 = 0.85;

/// A library's message in one line, without its words for our types.
fn one_line(message: &str) -> String {
    let line = message.trim().lines().collect::<Vec<_>>().join("; ");
    line.replace("expected usize", "expected a whole number, not negative")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, flags: &[&str]) -> Result<Config, String> {
        let flags: Vec<_> = flags.iter().map(|&flag| flag.to_owned()).collect();
        Config::parse(text, Path::new("c.toml"), &flags).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        assert_eq!(parse("", &[]), Ok(Config::default()));
    }

    #[test]
    fn flags_override_the_file_and_nothing_else() {
        let file = "[rtmp]\nlisten = \"127.0.0.1:5\"\n[rooms]\nmax_rooms = 7\n";
        let config =
            parse(file, &["rtmp.listen=[::1]:6", "http.allowed_origins=*", "log.level=debug"]).unwrap();
        assert_eq!(config.rtmp.listen.to_string(), "[::1]:6");
        assert_eq!(config.rooms.max_rooms, 7, "an absent flag leaves the file alone");
        assert!(config.http.allowed_origins.any());
        assert_eq!(config.log.level.to_string(), "debug");
        let twice = parse(file, &["rooms.max_rooms=1", "rooms.max_rooms = 2"]).unwrap();
        assert_eq!(twice.rooms.max_rooms, 2, "the last one counts");
        assert_eq!(twice.rtmp.listen.port(), 5);
    }

    #[test]
    fn lists_are_written_with_commas_or_as_toml() {
        let plain = parse("", &["webrtc.announce=203.0.113.5, media.example.org"]).unwrap();
        let toml = parse("", &["webrtc.announce=[\"203.0.113.5\", \"media.example.org\"]"]).unwrap();
        assert_eq!(plain, toml);
        assert_eq!(plain.webrtc.announce.len(), 2);
        let file = "[webrtc]\nannounce = [\"a.example\"]";
        assert_eq!(parse(file, &["webrtc.announce="]).unwrap().webrtc.announce, []);
    }

    #[test]
    fn an_unknown_key_is_placed_and_its_neighbour_named() {
        let error = |text: &str| parse(text, &[]).unwrap_err();
        assert_eq!(
            error("\n[rtmp]\n  lisen = \"x\""),
            "c.toml:3:3: there is no key \"rtmp.lisen\"; did you mean \"rtmp.listen\"?"
        );
        assert_eq!(error("[rmtp]"), "c.toml:1:2: there is no key \"rmtp\"; did you mean \"rtmp\"?");
        assert_eq!(
            error("[http]\nannounce = []"),
            "c.toml:2:1: there is no key \"http.announce\"; did you mean \"webrtc.announce\"?"
        );
        assert_eq!(error("zzz = 1"), "c.toml:1:1: there is no key \"zzz\"");
        assert_eq!(
            error("log.levle = 'x'"),
            "c.toml:1:5: there is no key \"log.levle\"; did you mean \"log.level\"?"
        );
    }

    #[test]
    fn a_section_may_stand_in_a_section() {
        let config = parse("[http.tls]\nlisten = \"127.0.0.1:5\"", &["http.tls.self_signed=true"]).unwrap();
        assert_eq!(config.http.tls.listen.port(), 5);
        assert!(config.http.tls.self_signed);
        let error = |text: &str, flags: &[&str]| parse(text, flags).unwrap_err();
        assert_eq!(
            error("[http.tls]\ncertifcate = \"a\"", &[]),
            "c.toml:2:1: there is no key \"http.tls.certifcate\"; did you mean \"http.tls.certificate\"?"
        );
        assert_eq!(
            error("[http.tlss]", &[]),
            "c.toml:1:7: there is no key \"http.tlss\"; did you mean \"http.tls\"?"
        );
        assert_eq!(error("", &["http.tls=yes"]), "--set http.tls=yes: write --set section.key=value");
        assert!(error("", &["http.tls.listen=x"]).starts_with("--set http.tls.listen=x: \"x\" is not an IP"));
    }

    #[test]
    fn a_bad_value_is_placed() {
        let error = |text: &str| parse(text, &[]).unwrap_err();
        assert_eq!(
            error("# ä\n[bridge]\nlinger = \"10\""),
            "c.toml:3:10: bridge.linger: \"10\" has no unit of time; the units are ms, s, m, h; the default is \"5s\""
        );
        assert_eq!(
            error("[rtmp]\nlisten = 1935"),
            "c.toml:2:10: rtmp.listen: invalid type: integer `1935`, expected an IP address and a port, such as \
             \"127.0.0.1:8000\", in quotes; the default is \"0.0.0.0:1935\""
        );
        let unknown = "c.toml:2:10: log.format: unknown variant `xml`";
        assert!(error("[log]\nformat = \"xml\"").starts_with(unknown));
        assert!(error("[rtmp\n").starts_with("c.toml:1:"));
        let name = error("[rtmp]\nlisten = \"localhost:1935\"");
        let said = "c.toml:2:10: rtmp.listen: \"localhost:1935\" is not an IP address and a port; write \"127.0.0.1:8000\"";
        assert!(name.starts_with(said), "{name}");
        assert_eq!(
            error("http.allowed_origins = \"*\""),
            "c.toml:1:24: http.allowed_origins: invalid type: string \"*\", expected a list: put it in brackets, such \
             as [\"one\", \"two\"]; the default is []"
        );
        assert_eq!(
            error("rooms.max_rooms = -1"),
            "c.toml:1:19: rooms.max_rooms: invalid value: integer `-1`, expected a whole number, not negative; the \
             default is 1000"
        );
        assert_eq!(
            error("[http.tls]\nself_signed = 1"),
            "c.toml:2:15: http.tls.self_signed: invalid type: integer `1`, expected a boolean; the default is false"
        );
        let nobody = error("[webrtc]\nannounce = [\"203.0.113.5\", \"0.0.0.0\"]");
        assert!(nobody.starts_with("c.toml:2:12: webrtc.announce: nobody can send to 0.0.0.0"), "{nobody}");
    }

    #[test]
    fn a_section_is_no_value_and_no_list() {
        let error = |text: &str| parse(text, &[]).unwrap_err();
        assert_eq!(
            error("rtmp = 5"),
            "c.toml:1:1: rtmp is a section; write [rtmp] in a line of its own, once, and its keys below"
        );
        for (text, place) in
            [("[[rooms]]\nmax_rooms = 5", "1:3"), ("\nhttp = []", "2:1"), ("[http]\ntls = true", "2:1")]
        {
            let said = error(text);
            assert!(
                said.starts_with(&format!("c.toml:{place}: ")) && said.contains(" is a section; "),
                "{said}"
            );
        }
    }

    #[test]
    fn a_bad_flag_is_quoted() {
        let error = |flag: &str| parse("", &[flag]).unwrap_err();
        assert_eq!(error("rtmp.port=1"), "--set rtmp.port=1: there is no key \"rtmp.port\"");
        assert_eq!(
            error("rooms.max_room=1"),
            "--set rooms.max_room=1: there is no key \"rooms.max_room\"; did you mean \"rooms.max_rooms\"?"
        );
        assert_eq!(error("rooms.max_rooms"), "--set rooms.max_rooms: write --set section.key=value");
        assert_eq!(error("max_rooms=1"), "--set max_rooms=1: write --set section.key=value");
        assert!(
            error("rooms.max_rooms=many").starts_with("--set rooms.max_rooms=many: invalid type: string")
        );
        assert!(error("bridge.linger=-1s").starts_with("--set bridge.linger=-1s: \"-1s\" does not start"));
    }
}
