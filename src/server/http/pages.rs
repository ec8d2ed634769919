//! The pages for people: `/`, the room `/r/<room>`, `/watch/<room>/<participant>`, `/publish/<room>/<participant>`, and, where
//! they may be seen, `/recordings` and `/recordings/<room>/<session>`, with their scripts and their style, all embedded in the
//! program.
//!
//! A page is the same for every room; its script reads the names from its address and asks the API for the rest.

use crate::room::{InvalidName, Name};
use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

/// The routes of all pages and of what they load.
///
/// `recordings`: whether those of recordings are shown.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(recordings: bool) -> Router<S> {
    let mut router = Router::new();
    for asset in ASSETS {
        let file = File::new(asset);
        router = router.route(asset.path, get(async move |headers: HeaderMap| file.answer(&headers)));
    }
    for (path, page) in RECORDING_PAGES {
        let file = File::new(page);
        let answer = async move |headers: HeaderMap| {
            if recordings { file.answer(&headers) } else { no_recordings() }
        };
        router = router.route(path, get(answer));
    }
    let room = File::new(ROOM);
    router = router.route(
        "/r/{room}",
        get(async move |name: Result<Path<String>, PathRejection>, headers: HeaderMap| {
            match name.map(|Path(room)| name_fault("room", &room)).unwrap_or_else(|_| unreadable()) {
                None => room.answer(&headers),
                Some(fault) => bad_request(&fault),
            }
        }),
    );
    for (path, page) in STREAM_PAGES {
        let file = File::new(page);
        router = router.route(
            path,
            get(async move |names: Result<Path<(String, String)>, PathRejection>, headers: HeaderMap| {
                match names.map(|Path(names)| names_fault(&names)).unwrap_or_else(|_| unreadable()) {
                    None => file.answer(&headers),
                    Some(fault) => bad_request(&fault),
                }
            }),
        );
    }
    router
}

/// A file of the program, and where it is served.
struct Asset {
    path: &'static str,
    kind: &'static str,
    body: &'static str,
}

/// An asset that is ready to be sent.
#[derive(Clone)]
struct File {
    kind: &'static str,
    body: &'static str,
    tag: HeaderValue,
}

impl File {
    fn new(asset: &Asset) -> Self {
        let digest = digest(&SHA256, asset.body.as_bytes());
        let hex: String = digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let tag = HeaderValue::try_from(format!("\"{hex}\"")).expect("quotes and hex digits are visible");
        Self { kind: asset.kind, body: asset.body, tag }
    }

    fn answer(&self, request: &HeaderMap) -> Response {
        // Asked for again each time, so that pages and scripts always come from the same build.
        let headers = [(CACHE_CONTROL, HeaderValue::from_static("no-cache")), (ETAG, self.tag.clone())];
        if self.is_known(request) {
            return (StatusCode::NOT_MODIFIED, security(), headers).into_response();
        }
        (security(), headers, [(CONTENT_TYPE, self.kind)], self.body).into_response()
    }

    /// Whether the browser has this very file (RFC 9110, 13.1.2: weak comparison).
    fn is_known(&self, request: &HeaderMap) -> bool {
        request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|list| {
            list.split(',')
                .map(|tag| tag.trim().trim_start_matches("W/"))
                .any(|tag| tag == "*" || tag.as_bytes() == self.tag.as_bytes())
        })
    }
}

/// What is wrong with the names in the address.
fn names_fault((room, participant): &(String, String)) -> Option<String> {
    name_fault("room", room).or_else(|| name_fault("participant", participant))
}

fn name_fault(what: &str, name: &str) -> Option<String> {
    let fault: InvalidName = name.parse::<Name>().err()?;
    Some(format!("There cannot be such a {what}: {fault}."))
}

fn unreadable() -> Option<String> {
    Some("The address is not readable text.".to_owned())
}

fn bad_request(fault: &str) -> Response {
    apology(StatusCode::BAD_REQUEST, "name", fault)
}

/// For a person who came to an address where nothing is.
pub(super) fn not_found() -> Response {
    apology(StatusCode::NOT_FOUND, "nothing", "There is nothing at this address.")
}

fn no_recordings() -> Response {
    let fault = "Recordings are not shown on this server. Its operator can allow it with recording.browse.";
    apology(StatusCode::NOT_FOUND, "recordings", fault)
}

/// `word`: for a reader of another language, to whom the page says the same.
fn apology(status: StatusCode, word: &str, fault: &str) -> Response {
    let page = include_str!("ui/error.html").replace("{word}", word).replace("{reason}", &escape(fault));
    (status, security(), Html(page)).into_response()
}

/// Text as HTML shows it.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn security() -> [(HeaderName, &'static str); 4] {
    [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(self), microphone=(self), display-capture=(self), autoplay=(self), fullscreen=(self)",
        ),
    ]
}

/// Everything comes from this server and nothing is written into a page, so that a name or a message that slipped into
/// the document as markup could neither run nor load anything.
const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; \
                      img-src 'self' data:; connect-src 'self'; media-src 'self' blob:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! asset {
    ($path:expr, $kind:expr, $file:literal) => {
        Asset { path: $path, kind: $kind, body: include_str!(concat!("ui/", $file)) }
    };
}

macro_rules! style {
    ($file:literal) => {
        asset!(concat!("/ui/", $file), STYLE, $file)
    };
}

macro_rules! script {
    ($file:literal) => {
        asset!(concat!("/ui/", $file), SCRIPT, $file)
    };
}

const ASSETS: &[Asset] = &[
    asset!("/", HTML, "index.html"),
    script!("recorded.js"),
    style!("recordings.css"),
    script!("recordings.js"),
    style!("stream.css"),
    style!("style.css"),
    asset!("/ui/icon.svg", "image/svg+xml", "icon.svg"),
    script!("api.js"),
    script!("error.js"),
    script!("link.js"),
    script!("lipsync.js"),
    script!("pattern.js"),
    script!("publish.js"),
    script!("session.js"),
    script!("sources.js"),
    script!("stats.js"),
    script!("ticker.js"),
    script!("stored.js"),
    script!("together.js"),
    script!("ui.js"),
    script!("watch.js"),
    script!("whep.js"),
    script!("whip.js"),
    style!("room/base.css"),
    script!("room/blank.js"),
    style!("room/call.css"),
    script!("room/call.js"),
    script!("room/chat.js"),
    script!("room/choices.js"),
    script!("room/composer.js"),
    script!("room/controls.js"),
    script!("room/devices.js"),
    script!("room/dom.js"),
    script!("room/dropped.js"),
    script!("room/en.js"),
    script!("room/encodings.js"),
    script!("room/failure.js"),
    script!("room/floor.js"),
    script!("room/focus.js"),
    style!("room/green.css"),
    script!("room/green.js"),
    script!("room/icons.js"),
    script!("room/invite.js"),
    script!("room/later.js"),
    script!("room/layout.js"),
    script!("room/links.js"),
    style!("room/lobby.css"),
    script!("room/lobby.js"),
    script!("room/meeting.js"),
    script!("room/meter.js"),
    script!("room/model.js"),
    script!("room/more.js"),
    script!("room/names.js"),
    script!("room/need.js"),
    script!("room/outgoing.js"),
    style!("room/panels.css"),
    script!("room/peer.js"),
    script!("room/people.js"),
    script!("room/playback.js"),
    script!("room/protocol.js"),
    script!("room/publication.js"),
    script!("room/room.js"),
    script!("room/ru.js"),
    script!("room/secure.js"),
    script!("room/settings.js"),
    script!("room/speaker.js"),
    script!("room/streams.js"),
    script!("room/text.js"),
    script!("room/theme.js"),
    script!("room/tile.js"),
    style!("room/tiles.css"),
    script!("room/upload.js"),
];

const ROOM: &Asset = &asset!("", HTML, "room.html");

const STREAM_PAGES: &[(&str, &Asset)] = &[
    ("/watch/{room}/{participant}", &asset!("", HTML, "watch.html")),
    ("/publish/{room}/{participant}", &asset!("", HTML, "publish.html")),
];

const RECORDING_PAGES: &[(&str, &Asset)] = &[
    ("/recordings", &asset!("", HTML, "recordings.html")),
    ("/recordings/{room}/{session}", &asset!("", HTML, "recorded.html")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use std::collections::BTreeSet;
    use std::path;
    use tower::ServiceExt;

    const PAGES: [&str; 6] =
        ["/", "/r/demo", "/watch/demo/me", "/publish/demo/me", "/recordings", "/recordings/demo/one"];

    async fn fetch(path: &str, tag: Option<&str>) -> (StatusCode, HeaderMap, String) {
        let mut request = Request::get(path);
        if let Some(tag) = tag {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let response = routes::<()>(true).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn every_file_is_served_as_what_it_is() {
        for asset in ASSETS {
            let (status, headers, body) = fetch(asset.path, None).await;
            assert_eq!((status, body.as_str()), (StatusCode::OK, asset.body), "{}", asset.path);
            let kind = match asset.path.rsplit_once('.') {
                Some((_, "js")) => "text/javascript; charset=utf-8",
                Some((_, "css")) => "text/css; charset=utf-8",
                Some((_, "svg")) => "image/svg+xml",
                _ => "text/html; charset=utf-8",
            };
            assert_eq!(headers[CONTENT_TYPE], kind, "{}", asset.path);
            assert_eq!(headers[CACHE_CONTROL], "no-cache");
            assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert_eq!(headers[REFERRER_POLICY], "no-referrer");
        }
    }

    #[tokio::test]
    async fn pages_may_load_and_run_only_what_the_server_serves() {
        for path in PAGES.into_iter().chain(["/watch/..%2f/me"]) {
            let (_, headers, _) = fetch(path, None).await;
            let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{path}: {policy}");
            assert!(
                !policy.contains("unsafe") && !policy.contains('*') && !policy.contains("  "),
                "{policy}"
            );
            assert!(headers["permissions-policy"].to_str().unwrap().contains("camera=(self)"));
        }
    }

    #[tokio::test]
    async fn a_known_file_is_not_sent_again() {
        for path in PAGES.into_iter().chain(["/ui/style.css"]) {
            let (_, headers, _) = fetch(path, None).await;
            let tag = headers[ETAG].to_str().unwrap();
            for known in [tag, &format!("\"other\", W/{tag}"), "*"] {
                let (status, headers, body) = fetch(path, Some(known)).await;
                assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""), "{path}, {known}");
                assert_eq!(headers[ETAG].to_str().unwrap(), tag);
                assert!(headers.contains_key(CONTENT_SECURITY_POLICY));
            }
            for unknown in ["\"other\"", tag.trim_matches('"'), ""] {
                assert_eq!(fetch(path, Some(unknown)).await.0, StatusCode::OK, "{path}, {unknown}");
            }
        }
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_is_refused_in_words() {
        for (path, words) in [
            ("/watch/.demo/me", "such a room: a name must not start with a dot"),
            ("/publish/demo/a%20b", "such a participant: a name consists of letters"),
            ("/r/.demo", "such a room: a name must not start with a dot"),
            ("/r/%ff", "not readable"),
            ("/watch/demo/%3Cscript%3E", "'&lt;' is not allowed"),
            ("/watch/demo/%ff", "not readable"),
        ] {
            let (status, headers, body) = fetch(path, None).await;
            assert_eq!(
                (status, &headers[CONTENT_TYPE]),
                (StatusCode::BAD_REQUEST, &HeaderValue::from_static(HTML))
            );
            assert!(body.contains(words) && !body.contains("{reason}"), "{path}: {body}");
        }
    }

    /// What a file loads: in markup and styles whole paths, in scripts names beside or above the script.
    fn named_in(path: &str, body: &str) -> Vec<String> {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let above = folder.rsplit_once('/').map_or("", |(above, _)| above);
        let starts = [
            ("src=\"", String::new()),
            ("href=\"", String::new()),
            ("url(\"", String::new()),
            ("from './", format!("{folder}/")),
            ("import('./", format!("{folder}/")),
            ("from '../", format!("{above}/")),
            ("new URL('", format!("{folder}/")),
        ];
        let names = starts.iter().flat_map(|(start, folder)| {
            let ends = body.split(start).skip(1).filter_map(|rest| rest.split(['"', '\'']).next());
            ends.map(move |name| format!("{folder}{name}"))
        });
        names.collect()
    }

    #[tokio::test]
    async fn the_pages_lead_to_every_file_and_to_nothing_else() {
        let mut found = BTreeSet::new();
        let mut unread: Vec<_> = PAGES.map(str::to_owned).into();
        unread.extend(named_in("/", include_str!("ui/error.html")));
        while let Some(path) = unread.pop() {
            let (status, _, body) = fetch(&path, None).await;
            assert_eq!(status, StatusCode::OK, "{path}");
            let named = named_in(&path, &body);
            if found.insert(path) {
                unread.extend(named);
            }
        }
        for asset in ASSETS {
            assert!(found.contains(asset.path), "no page loads {}", asset.path);
        }
    }

    #[test]
    fn no_file_is_left_out() {
        let root = path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/http/ui");
        for folder in ["", "room/"] {
            for entry in root.join(folder).read_dir().unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                let served = ASSETS.iter().any(|asset| asset.path == format!("/ui/{folder}{name}"));
                // The package file says to node that these are modules.
                let known = name.ends_with(".html") || name == "package.json" || name == "room";
                assert!(served || known, "{folder}{name} is not served");
            }
        }
    }

    #[test]
    fn the_policy_is_kept_by_the_markup() {
        let pages = STREAM_PAGES.iter().chain(RECORDING_PAGES).map(|(_, page)| page.body);
        let pages = pages.chain([ASSETS[0].body, ROOM.body]);
        for page in pages.chain([include_str!("ui/error.html")]) {
            assert!(page.starts_with("<!doctype html>"));
            assert!(!page.contains("<style") && !page.contains(" style="), "{page}");
            for script in page.split("<script").skip(1) {
                assert!(script.split_once("></script>").is_some_and(|(tag, _)| tag.contains(" src=\"/ui/")));
            }
            let handlers = page.split_ascii_whitespace().filter(|word| word.starts_with("on"));
            assert_eq!(handlers.filter(|word| word.contains('=')).count(), 0, "{page}");
        }
    }
}
