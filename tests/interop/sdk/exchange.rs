//! What a page and the server have said to each other, and whether the server kept to the protocol.
//!
//! The SDK looks up rooms, people and streams without asking whether it knows them, and pages wait for statuses whatever
//! happens. So these rules hold for every message of every case, whatever the case is about.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

/// The longest silence of a server that pings, in seconds, on a busy machine.
const SILENCE: f64 = 8.0;

/// All that went over the WebSockets of a page.
pub(super) struct Exchange(Vec<Entry>);

/// One message, or the end of a connection.
pub(super) struct Entry {
    /// In seconds since 1970.
    at: f64,
    /// Which connection of the page.
    socket: u64,
    direction: Direction,
    /// Empty when the message could not be read.
    name: String,
    data: Vec<Value>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Direction {
    /// By the page.
    Said,
    /// By the server.
    Heard,
    Closed,
}

impl Exchange {
    /// Of what a page has written down.
    pub(super) fn of(written: &Value) -> Self {
        Self(written.as_array().expect("a list").iter().map(Entry::of).collect())
    }

    /// The data of all messages of this name that the page sent.
    pub(super) fn said(&self, name: &str) -> Vec<&Value> {
        let entries = self.0.iter().filter(|entry| entry.direction == Direction::Said && entry.name == name);
        entries.filter_map(|entry| entry.data.first()).collect()
    }

    /// When the page was first told this of a room, in seconds since 1970.
    pub(super) fn told_at(&self, event: &str, info: &Value) -> Option<f64> {
        let told = |entry: &&Entry| {
            entry.name == "OnDataEvent"
                && entry.data[0]["payload"]["name"] == event
                && entry.data[0]["payload"]["info"] == *info
        };
        self.0.iter().find(told).map(|entry| entry.at)
    }

    /// What the server did wrong.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut connections: BTreeMap<u64, Connection> = BTreeMap::new();
        let mut faults = Vec::new();
        for entry in &self.0 {
            let connection = connections.entry(entry.socket).or_default();
            let mut complain = |what: String| faults.push(format!("{what}: {entry}"));
            match entry.direction {
                Direction::Said => connection.said(entry),
                Direction::Heard => connection.heard(entry, &mut complain),
                Direction::Closed => connection.closed = true,
            }
        }
        for connection in connections.values() {
            connection.unfinished(&mut faults);
        }
        faults
    }
}

impl Entry {
    fn of(written: &Value) -> Self {
        let text = written["text"].as_str().expect("text");
        let direction = match written["what"].as_str() {
            Some("said") => Direction::Said,
            Some("heard") => Direction::Heard,
            _ => Direction::Closed,
        };
        let message: Value = serde_json::from_str(text).unwrap_or_default();
        // What a close says may look like JSON as well: a number.
        let (name, data) = match (&message["message"], &message["data"]) {
            (Value::String(name), Value::Array(data)) => (name.clone(), data.clone()),
            _ => (String::new(), vec![Value::from(text)]),
        };
        Self {
            at: written["at"].as_f64().expect("a time"),
            socket: written["socket"].as_u64().expect("a number"),
            direction,
            name,
            data,
        }
    }
}

/// What is known of one connection so far.
#[derive(Default)]
struct Connection {
    heard_at: Option<f64>,
    /// How often each command was acknowledged.
    commands: BTreeMap<String, usize>,
    streams: BTreeMap<String, Stream>,
    rooms: BTreeMap<String, Room>,
    closed: bool,
}

#[derive(Default)]
struct Stream {
    publishes: bool,
    answers: usize,
    runs: usize,
    ends: usize,
}

#[derive(Default)]
struct Room {
    states: usize,
    /// Who is there, with what they publish.
    people: BTreeMap<String, BTreeSet<String>>,
}

impl Connection {
    fn said(&mut self, entry: &Entry) {
        let Some(data) = entry.data.first() else { return };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match entry.name.as_str() {
            "sendData" => {
                self.commands.insert(text(&data["operationId"]), 0);
                if data["payload"]["command"] == "join" {
                    self.rooms.insert(text(&data["payload"]["options"]["name"]), Room::default());
                }
            }
            "publishStream" | "playStream" => {
                let stream = Stream { publishes: entry.name == "publishStream", ..Stream::default() };
                self.streams.insert(text(&data["mediaSessionId"]), stream);
            }
            _ => {}
        }
    }

    fn heard(&mut self, entry: &Entry, complain: &mut impl FnMut(String)) {
        if self.heard_at.is_some_and(|before| entry.at - before > SILENCE) {
            complain("nothing was said for long before this".to_owned());
        }
        self.heard_at = Some(entry.at);
        let nothing = Value::Null;
        let data = entry.data.first().unwrap_or(&nothing);
        match entry.name.as_str() {
            "ping" | "pong" | "getUserData" | "notifyStreamEvent" => {}
            "DataStatusEvent" => {
                match self.commands.get_mut(data["operationId"].as_str().unwrap_or_default()) {
                    Some(0) if data["status"] == "ACCEPTED" || data["status"] == "FAILED" => {
                        self.commands.insert(data["operationId"].as_str().unwrap_or_default().to_owned(), 1);
                    }
                    Some(_) => complain("acknowledged twice, or with another word".to_owned()),
                    None => complain("nobody asked".to_owned()),
                }
            }
            "setRemoteSDP" => match self.streams.get_mut(data.as_str().unwrap_or_default()) {
                Some(stream) if stream.answers + stream.ends == 0 && entry.data[1].is_string() => {
                    stream.answers += 1;
                }
                _ => complain("an answer too many".to_owned()),
            },
            "notifyStreamStatusEvent" => {
                match self.streams.get_mut(data["mediaSessionId"].as_str().unwrap_or_default()) {
                    Some(stream) => stream.status(data, complain),
                    None => complain("no such stream".to_owned()),
                }
            }
            "OnDataEvent" => {
                let payload = &data["payload"];
                match self.rooms.get_mut(payload["roomName"].as_str().unwrap_or_default()) {
                    Some(room) => room.event(payload, complain),
                    None => complain("not in this room".to_owned()),
                }
            }
            _ => complain("no message of the protocol".to_owned()),
        }
    }

    fn unfinished(&self, faults: &mut Vec<String>) {
        if self.closed {
            return;
        }
        for (id, _) in self.commands.iter().filter(|(_, acknowledged)| **acknowledged == 0) {
            faults.push(format!("never acknowledged: {id}"));
        }
        for (id, _) in self.streams.iter().filter(|(_, stream)| stream.runs + stream.ends == 0) {
            faults.push(format!("a stream without any status: {id}"));
        }
    }
}

impl Stream {
    fn status(&mut self, data: &Value, complain: &mut impl FnMut(String)) {
        let status = data["status"].as_str().unwrap_or_default();
        let (running, ended) =
            if self.publishes { ("PUBLISHING", "UNPUBLISHED") } else { ("PLAYING", "STOPPED") };
        if self.ends > 0 {
            complain("a word after the last".to_owned());
        } else if status == running && self.answers == 1 && self.runs == 0 {
            self.runs += 1;
        } else if status == ended || status == "FAILED" {
            self.ends += 1;
        } else {
            complain("out of place".to_owned());
        }
        if data["published"] != self.publishes {
            complain("not what the stream is".to_owned());
        }
    }
}

impl Room {
    fn event(&mut self, payload: &Value, complain: &mut impl FnMut(String)) {
        let info = &payload["info"];
        let event = payload["name"].as_str().unwrap_or_default();
        if (event == "STATE") != (self.states == 0) {
            complain("a room begins with its state".to_owned());
        }
        let (login, name) =
            (info["login"].as_str().unwrap_or_default(), info["name"].as_str().unwrap_or_default());
        match (event, info.as_str()) {
            ("STATE", None) => {
                self.states += 1;
                for one in info.as_array().into_iter().flatten() {
                    let (login, stream) = match one.as_str() {
                        Some(login) => (login, None),
                        None => (one["login"].as_str().unwrap_or_default(), one["name"].as_str()),
                    };
                    self.people.entry(login.to_owned()).or_default().extend(stream.map(str::to_owned));
                }
            }
            ("JOINED", Some(login)) => {
                if self.people.insert(login.to_owned(), BTreeSet::new()).is_some() {
                    complain("was there already".to_owned());
                }
            }
            ("LEFT", Some(login)) => {
                if self.people.remove(login).is_none() {
                    complain("was not there".to_owned());
                }
            }
            ("PUBLISHED", None) => match self.people.get_mut(login) {
                Some(streams) => {
                    if !streams.insert(name.to_owned()) {
                        complain("published already".to_owned());
                    }
                }
                None => complain("was not there".to_owned()),
            },
            ("UNPUBLISHED" | "FAILED", None) => {
                // After LEFT there is nobody who could be asked.
                if self.people.get_mut(login).is_some_and(|streams| !streams.remove(name)) {
                    complain("was not published".to_owned());
                }
            }
            ("MESSAGE", None) => {
                if !self.people.contains_key(info["from"].as_str().unwrap_or_default()) {
                    complain("was not there".to_owned());
                }
            }
            _ => complain("no event of the protocol".to_owned()),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} {:?} {} ", self.at % 1000.0, self.direction, self.name)?;
        for value in &self.data {
            let text = value.to_string();
            f.write_str(text.get(..400).unwrap_or(&text))?;
            f.write_char(' ')?;
        }
        Ok(())
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .filter(|entry| entry.name != "ping" && entry.name != "pong")
            .try_for_each(|entry| writeln!(f, "{entry}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Faults of an exchange: `>` begins what the page says, `<` what the server says, `.` the end of the connection.
    fn faults(lines: &[(&str, Value)]) -> Vec<String> {
        let entry = |(index, (line, data)): (usize, &(&str, Value))| {
            let (sign, name) = line.split_at(1);
            let what = match sign {
                ">" => "said",
                "<" => "heard",
                _ => "closed",
            };
            let message = json!({"message": name, "data": data}).to_string();
            let text = if what == "closed" { name.to_owned() } else { message };
            json!({"at": index, "socket": 0, "what": what, "text": text})
        };
        Exchange::of(&lines.iter().enumerate().map(entry).collect()).faults()
    }

    fn join() -> Vec<(&'static str, Value)> {
        vec![
            (
                ">sendData",
                json!([{"operationId": "1", "payload": {"command": "join", "options": {"name": "r"}}}]),
            ),
            ("<DataStatusEvent", json!([{"operationId": "1", "status": "ACCEPTED"}])),
            event("STATE", json!([{"login": "alice", "name": "r-alice-1"}])),
        ]
    }

    fn event(name: &str, info: Value) -> (&'static str, Value) {
        ("<OnDataEvent", json!([{"payload": {"roomName": "r", "name": name, "info": info}}]))
    }

    fn status(status: &str) -> (&'static str, Value) {
        ("<notifyStreamStatusEvent", json!([{"mediaSessionId": "s", "status": status, "published": false}]))
    }

    #[test]
    fn a_well_behaved_server_has_no_faults() {
        let mut lines = join();
        lines.extend([
            event("JOINED", json!("bob")),
            event("PUBLISHED", json!({"login": "bob", "name": "r-bob-1"})),
            (">playStream", json!([{"mediaSessionId": "s"}])),
            ("<setRemoteSDP", json!(["s", "v=0", true])),
            status("PLAYING"),
            event("UNPUBLISHED", json!({"login": "bob", "name": "r-bob-1"})),
            status("STOPPED"),
            event("LEFT", json!("bob")),
        ]);
        assert_eq!(faults(&lines), Vec::<String>::new());
    }

    #[test]
    fn a_connection_that_ends_owes_nothing() {
        let mut lines = join();
        lines.push((">playStream", json!([{"mediaSessionId": "s"}])));
        assert_eq!(faults(&lines).len(), 1);
        lines.push((".1000 ", Value::Null));
        assert_eq!(faults(&lines), Vec::<String>::new());
    }

    #[test]
    fn what_would_break_a_page_is_a_fault() {
        let plays = (">playStream", json!([{"mediaSessionId": "s"}]));
        let answer = ("<setRemoteSDP", json!(["s", "v=0", true]));
        for bad in [
            vec![event("JOINED", json!("alice"))],
            vec![event("JOINED", json!({"login": "bob"}))],
            vec![event("LEFT", json!("bob"))],
            vec![event("STATE", json!([]))],
            vec![event("PUBLISHED", json!({"login": "bob", "name": "r-bob-1"}))],
            vec![event("PUBLISHED", json!({"login": "alice", "name": "r-alice-1"}))],
            vec![event("UNPUBLISHED", json!({"login": "alice", "name": "r-alice-2"}))],
            vec![event("MESSAGE", json!({"from": "bob", "text": "hi"}))],
            vec![("<DataStatusEvent", json!([{"operationId": "1", "status": "ACCEPTED"}]))],
            vec![("<DataStatusEvent", json!([{"operationId": "2", "status": "ACCEPTED"}]))],
            vec![(">sendData", json!([{"operationId": "3", "payload": {"command": "leave"}}]))],
            vec![("<ping", json!({}))],
            vec![("<hello", json!([]))],
            vec![plays.clone()],
            vec![plays.clone(), status("PLAYING"), status("STOPPED")],
            vec![plays.clone(), answer.clone(), answer.clone(), status("PLAYING")],
            vec![plays.clone(), answer.clone(), status("PLAYING"), status("PLAYING")],
            vec![plays.clone(), status("STOPPED"), status("STOPPED")],
            vec![plays.clone(), answer, status("PUBLISHING"), status("STOPPED")],
            vec![plays, status("PENDING"), status("STOPPED")],
        ] {
            let lines = [join(), bad].concat();
            assert_eq!(faults(&lines).len(), 1, "{lines:?} {:?}", faults(&lines));
        }
    }
}
