//! Recordings over HTTP: what there is, its bytes, its end; and whether a room is recorded.
//!
//! There is nobody to be known by a password yet, so start and stop want `recording.control` and all else `recording.browse`.
//! Names from addresses never become paths: they are opened relative to the folder's handle.

use super::disk;
use super::listener::Place;
use super::problem::Problem;
use super::range::{self, Wanted};
use super::router::App;
use crate::recording::manifest::{Brief, BriefFile, FILE_NAME, FILM_NAME, FileState, Manifest, SessionState};
use crate::recording::{SessionFolder, Stamp, Store, Upload};
use crate::room::{Alignment, InvalidName, Name, Refusal};
use axum::body::Body;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query, RawQuery, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, request};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Sessions in an answer: as many as are asked for, this many where nothing is said, and never more.
const PAGE: usize = 20;
const MAX_PAGE: usize = 100;
/// Manifests that are known in short.
const MAX_BRIEFS: usize = 200;
/// How long a session may take to begin until an answer goes without it, and between two looks.
const BEGINNING: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(10);
/// What may stand in a header as it is (RFC 8187, `attr-char`).
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/api/v1/recordings", get(list))
        .route("/api/v1/recordings/{room}/{session}", get(manifest).delete(delete_session))
        .route("/api/v1/recordings/{room}/{session}/{file}", get(file).delete(delete_file))
        // Where clients of the room protocol look for the `recordName` of a stream.
        .route("/client/records/{room}/{session}/{file}", get(file))
}

/// The recordings that are served. Cloning gives another handle to the same.
#[derive(Clone)]
pub(super) struct Recordings {
    store: Store,
    /// One at a time changes what is there.
    changes: Arc<Mutex<()>>,
    briefs: Arc<Mutex<Briefs>>,
}

/// What manifests say in short, by room and session, with what tells whether it is still true.
type Briefs = HashMap<(String, String), (Stamp, Arc<Brief>)>;

impl Recordings {
    pub(super) fn new(store: Store) -> Self {
        Self { store, changes: Arc::default(), briefs: Arc::default() }
    }
}

impl FromRequestParts<App> for Recordings {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut request::Parts, app: &App) -> Result<Self, Problem> {
        app.recordings.clone().ok_or_else(|| {
            let message = "recordings are not served here; the operator can allow it with recording.browse";
            Problem::new(StatusCode::NOT_FOUND, "not_browsed", message)
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    room: Option<String>,
    limit: Option<usize>,
    /// `ROOM/SESSION`: those before that one.
    before: Option<String>,
}

/// `GET /api/v1/recordings`.
#[derive(Serialize)]
struct SessionsReport {
    /// The latest first.
    sessions: Vec<SessionReport>,
    /// What to ask for `before` to go on; absent where there are no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct SessionReport {
    room: String,
    session: String,
    /// Absent where the manifest cannot be read, as that of a session that has just begun.
    #[serde(flatten)]
    known: Option<Known>,
}

/// What a manifest says, in short.
#[derive(Serialize)]
struct Known {
    state: SessionState,
    start: String,
    /// Seconds.
    duration: f64,
    participants: BTreeSet<String>,
    files: usize,
    /// Bytes of all files.
    size: u64,
    /// How far its upload has come; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    upload: Option<Upload>,
}

/// `GET /api/v1/recordings/ROOM/SESSION`.
#[derive(Serialize)]
struct ManifestReport {
    #[serde(flatten)]
    manifest: Manifest,
    /// How far its upload has come, and what is where; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    upload: Option<Upload>,
    /// The film of it, if somebody has composed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    composed: Option<Composed>,
}

#[derive(Serialize)]
struct Composed {
    name: &'static str,
    size: u64,
}

impl Composed {
    fn find(folder: &SessionFolder) -> Option<Self> {
        let metadata = folder.open(FILM_NAME).and_then(|film| film.metadata()).ok()?;
        metadata.is_file().then_some(Self { name: FILM_NAME, size: metadata.len() })
    }
}

async fn list(
    recordings: Recordings,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<SessionsReport>, Problem> {
    let Query(asked) = asked.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    let room: Option<Name> = asked.room.as_deref().map(named).transpose()?;
    let before = match &asked.before {
        Some(before) => Some(before.split_once('/').ok_or_else(|| {
            Problem::bad_request("before: write ROOM/SESSION, as `next` of an answer has it")
        })?),
        None => None,
    };
    let before = before.map(|(room, session)| (session.to_owned(), room.to_owned()));
    let limit = asked.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE);
    blocking(move || recordings.page(room.as_ref(), before.as_ref(), limit)).await.map(Json)
}

impl Recordings {
    /// Names are read of all sessions, manifests of those alone that are shown.
    fn page(
        &self,
        room: Option<&Name>,
        before: Option<&(String, String)>,
        limit: usize,
    ) -> Result<SessionsReport, Problem> {
        let mut sessions: Vec<(String, String)> = match room {
            Some(room) => {
                let sessions = self.store.sessions_of(room.as_str())?;
                sessions.into_iter().map(|session| (session, room.to_string())).collect()
            }
            None => self.store.sessions()?.into_iter().map(|(room, session)| (session, room)).collect(),
        };
        sessions.retain(|found| {
            before.is_none_or(|before| found < before)
                && found.1.parse::<Name>().is_ok()
                && is_plain(&found.0)
        });
        sessions.sort_unstable_by(|a, b| b.cmp(a));
        let is_more = sessions.len() > limit;
        sessions.truncate(limit);
        let next = sessions.last().filter(|_| is_more).map(|(session, room)| format!("{room}/{session}"));
        let report = |(session, room): (String, String)| {
            let known = self.store.session(&room, &session).and_then(|folder| {
                let brief = self.brief(&folder)?;
                Ok(Known::new(&brief, upload(&folder)?))
            });
            SessionReport { known: known.ok(), room, session }
        };
        Ok(SessionsReport { sessions: sessions.into_iter().map(report).collect(), next })
    }

    fn folder(&self, at: &At) -> io::Result<SessionFolder> {
        self.store.session(at.room.as_str(), &at.session)
    }

    /// What the manifest says in short. A player asks for a piece every other moment, and a manifest may be large.
    fn brief(&self, folder: &SessionFolder) -> io::Result<Arc<Brief>> {
        let key = (folder.room().to_owned(), folder.session().to_owned());
        let stamp = folder.manifest_stamp()?;
        let briefs = || self.briefs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, brief)) = briefs().get(&key)
            && *known == stamp
        {
            return Ok(brief.clone());
        }
        let brief = Arc::new(folder.read_brief()?);
        let mut briefs = briefs();
        if briefs.len() >= MAX_BRIEFS && !briefs.contains_key(&key) {
            briefs.clear();
        }
        briefs.insert(key, (stamp, brief.clone()));
        Ok(brief)
    }

    fn delete_session(&self, at: &At) -> Result<(), Problem> {
        let _one = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        self.store.remove(at.room.as_str(), &at.session)?;
        tracing::info!(room = %at.room, session = at.session, "recorded session deleted");
        Ok(())
    }

    fn delete_file(&self, at: &At, name: &str) -> Result<(), Problem> {
        let _one = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if self.store.is_recorded(at.room.as_str(), &at.session) {
            return Err(io::Error::from(io::ErrorKind::ResourceBusy).into());
        }
        let folder = self.folder(at)?;
        if name == FILE_NAME {
            return Err(Problem::bad_request(
                "the manifest goes with its session; delete that, or one of its files",
            ));
        }
        // The manifest first: one that names a file which is gone is worse than a file that is not named.
        let mut manifest = folder.read_manifest()?;
        let before = manifest.files.len();
        manifest.files.retain(|file| file.name != name);
        // Opened before, so that nothing changes where there is no such file.
        drop(folder.open(name)?);
        if manifest.files.len() != before {
            folder.write_manifest(&manifest)?;
        }
        folder.remove(name)?;
        tracing::info!(room = %at.room, session = at.session, file = name, "recording deleted");
        Ok(())
    }
}

impl Known {
    fn new(brief: &Brief, upload: Option<Upload>) -> Self {
        Self {
            state: brief.state,
            start: brief.start.clone(),
            duration: brief.duration,
            files: brief.files.len(),
            size: brief.files.iter().map(|file| file.size).sum(),
            participants: brief.files.iter().map(|file| file.participant.clone()).collect(),
            upload: upload.map(|upload| Upload { files: Vec::new(), ..upload }),
        }
    }
}

/// What others may know of an upload.
fn upload(folder: &SessionFolder) -> io::Result<Option<Upload>> {
    Ok(Upload::read(folder)?.map(|upload| Upload { begun: None, ..upload }))
}

/// The session of an address.
struct At {
    room: Name,
    session: String,
}

impl At {
    fn new(room: &str, session: String) -> Result<Self, Problem> {
        let at = Self { room: named(room)?, session };
        if is_plain(&at.session) { Ok(at) } else { Err(nothing()) }
    }
}

fn named(room: &str) -> Result<Name, Problem> {
    room.parse().map_err(|error: InvalidName| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_name", format!("room: {error}"))
    })
}

/// Whether it is the name of something right there, and of nothing that is being made.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}

async fn manifest(
    recordings: Recordings,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<ManifestReport>, Problem> {
    let Path((room, session)) = path.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    let at = At::new(&room, session)?;
    let report = blocking(move || {
        let folder = recordings.folder(&at)?;
        let (manifest, upload) = (folder.read_manifest()?, upload(&folder)?);
        Ok(ManifestReport { manifest, upload, composed: Composed::find(&folder) })
    });
    report.await.map(Json)
}

async fn delete_session(
    recordings: Recordings,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path((room, session)) = path.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    let at = At::new(&room, session)?;
    blocking(move || recordings.delete_session(&at)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn delete_file(
    recordings: Recordings,
    path: Result<Path<(String, String, String)>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path((room, session, file)) =
        path.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    let at = At::new(&room, session)?;
    if !is_plain(&file) {
        return Err(nothing());
    }
    blocking(move || recordings.delete_file(&at, &file)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A file, or a part of it; of one that is being recorded, what is there so far. With `?pieces` parts are short.
async fn file(
    recordings: Recordings,
    path: Result<Path<(String, String, String)>, PathRejection>,
    RawQuery(query): RawQuery,
    place: Option<Extension<Place>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Path((room, session, name)) =
        path.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    let at = At::new(&room, session)?;
    if !is_plain(&name) {
        return Err(nothing());
    }
    let opened = {
        let name = name.clone();
        blocking(move || {
            let folder = recordings.folder(&at)?;
            let file = folder.open(&name)?;
            let metadata = file.metadata()?;
            if !metadata.is_file() {
                return Err(nothing());
            }
            let known = recordings
                .brief(&folder)
                .ok()
                .and_then(|brief| brief.files.iter().find(|file| file.name == name).and_then(tag));
            Ok((file, metadata.len(), known))
        })
    };
    let (opened, size, tag) = opened.await?;
    let in_pieces = query.is_some_and(|query| query.split('&').any(|key| key == "pieces"));
    // Whoever takes what he asked for is in nobody's way.
    let taken = move || place.iter().for_each(|Extension(place)| place.idle());
    Ok(answer(opened, size, tag, &name, &headers, in_pieces, taken))
}

/// What is sent under this tag is always the same: a file that grows has none.
fn tag(file: &BriefFile) -> Option<HeaderValue> {
    let hash = file.sha256.as_ref().filter(|_| file.state != FileState::Recording)?;
    HeaderValue::try_from(format!("\"{hash}\"")).ok()
}

fn answer(
    file: std::fs::File,
    size: u64,
    tag: Option<HeaderValue>,
    name: &str,
    request: &HeaderMap,
    in_pieces: bool,
    taken: impl Fn() + Send + 'static,
) -> Response {
    let text = |header: HeaderName| request.get(header).and_then(|value| value.to_str().ok());
    let mut headers = HeaderMap::new();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(tag) = &tag {
        headers.insert(ETAG, tag.clone());
    }
    let tag = tag.as_ref().and_then(|tag| tag.to_str().ok());
    let is_known = |list: &str| list.split(',').any(|known| Some(known.trim()) == tag);
    if text(IF_NONE_MATCH).is_some_and(is_known) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    // A piece of what has become another file is of no use.
    let is_same = text(IF_RANGE).is_none_or(|known| Some(known) == tag);
    let wanted = Wanted::of(text(RANGE).filter(|_| is_same), size);
    let (status, piece) = match if in_pieces { wanted.in_pieces() } else { wanted } {
        Wanted::All => (StatusCode::OK, 0..size),
        Wanted::Part(piece) => {
            insert(&mut headers, CONTENT_RANGE, &format!("bytes {}-{}/{size}", piece.start, piece.end - 1));
            (StatusCode::PARTIAL_CONTENT, piece)
        }
        Wanted::Nothing => {
            insert(&mut headers, CONTENT_RANGE, &format!("bytes */{size}"));
            return (StatusCode::RANGE_NOT_SATISFIABLE, headers, Body::empty()).into_response();
        }
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind(name)));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(piece.end - piece.start));
    // Pages play it all the same; nobody's file is ever shown as a page of this server.
    let encoded = utf8_percent_encode(name, KEPT);
    insert(&mut headers, CONTENT_DISPOSITION, &format!("attachment; filename*=UTF-8''{encoded}"));
    (status, headers, range::body(file, piece, taken)).into_response()
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("mp4") => "video/mp4",
        Some("m4a") => "audio/mp4",
        Some("webm") => "video/webm",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

/// `POST /api/v1/rooms/{room}/recording`.
#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Order {
    Start {
        /// How the files lie, if not as the configuration says.
        align: Option<Alignment>,
    },
    Stop,
}

/// What the operator wants of a room.
#[derive(Serialize)]
pub(super) struct OrderReport {
    /// Whether it is to be recorded; that it is, the room is told when something comes.
    wanted: bool,
    /// The session that it is recorded in, or was until now; absent where nothing is published yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
}

pub(super) async fn record(
    State(app): State<App>,
    room: Result<Path<String>, PathRejection>,
    order: Result<Json<Order>, JsonRejection>,
) -> Result<Json<OrderReport>, Problem> {
    if !app.record_control {
        let message = "recording is not controlled from here: hosts and publishers ask for it in the room; the operator can \
                       allow it with recording.control";
        return Err(Problem::new(StatusCode::FORBIDDEN, "not_controlled", message));
    }
    let Path(room) = room.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    let room = named(&room)?;
    let Json(order) = order.map_err(|rejection| {
        let text = rejection.body_text();
        let message = format!(
            "write {{\"action\": \"start\"}}, also with \"align\", or {{\"action\": \"stop\"}}: {text}"
        );
        Problem::new(rejection.status(), "bad_request", message)
    })?;
    let (wanted, align) = match order {
        Order::Start { align } => (true, align),
        Order::Stop => (false, None),
    };
    let before = app.rooms.room(&room).and_then(|room| room.session);
    let aligned = align.map_or(Ok(()), |align| app.rooms.align(&room, align));
    aligned.and_then(|()| app.rooms.record(&room, wanted)).map_err(|refusal| match refusal {
        Refusal::NotJoined => Problem::not_found(format!("there is no room {room}")),
        Refusal::NotRecorded | Refusal::AlwaysRecorded => {
            Problem::new(StatusCode::FORBIDDEN, refusal.as_str(), refusal.to_string())
        }
        other => other.into(),
    })?;
    let session =
        if wanted { session(&app, &room, before.filter(|_| align.is_some())).await } else { before };
    Ok(Json(OrderReport { wanted, session }))
}

/// The session of a room that has just been asked for, once it has begun; if files are to lie in another way, another one than
/// `before`.
async fn session(app: &App, room: &Name, before: Option<String>) -> Option<String> {
    let begun = Instant::now();
    loop {
        let info = app.rooms.room(room)?;
        let is_published = info.participants.iter().any(|participant| !participant.streams.is_empty());
        let is_new = info.session.is_some() && info.session != before;
        if is_new || !is_published || begun.elapsed() >= BEGINNING {
            return info.session;
        }
        sleep(LOOK).await;
    }
}

/// Disks make one wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    disk::work(work).await?
}

fn nothing() -> Problem {
    Problem::not_found("there is no such recording")
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // What leads out of the folder is not permitted, and nothing either.
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidFilename
            | io::ErrorKind::PermissionDenied => nothing(),
            io::ErrorKind::ResourceBusy => {
                let message = "it is being recorded; stop that first";
                Self::new(StatusCode::CONFLICT, "recorded", message)
            }
            _ => {
                tracing::error!(%error, "recordings");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "storage",
                    "the recordings cannot be read or written",
                )
            }
        }
    }
}
