//! One file on its way: read once, piece by piece, from the open handle; then what the store has is verified.
//!
//! What stores that speak S3 have in common: each request is signed together with the SHA-256 of its body, which the store
//! checks (Signature Version 4), so nothing is broken on the way without being noticed. And most give an object the ETag that
//! Amazon's gives it: the MD5 of what was sent, or for an object in pieces the MD5 of the MD5s of all, and their number. It is
//! calculated along, so an object that has the size and the ETag of what was read from the disk is whole. An ETag
//! of any other kind (some stores, and those that encrypt with keys of their own) says nothing: then the object is read back.

use super::destination::Destination;
use super::state::{Object, Verified};
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use md5::{Digest, Md5};
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, MultipartId, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload,
};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use thiserror::Error;
use tokio::time::timeout;

/// A piece of a large file; one that is no longer goes in one request. All pieces but the last are equally long, which some
/// stores insist on.
const PIECE: u64 = 8 << 20;
/// So many pieces an object may have.
const MAX_PIECES: u64 = 10_000;

/// Why a file is not in the store.
#[derive(Debug, Error)]
pub(super) enum SendError {
    /// It cannot be read.
    #[error("{name} cannot be read: {source}")]
    Local {
        /// The file.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// It is not what was recorded.
    #[error("{0} is not what was recorded: its SHA-256 is another one than that in session.json")]
    Changed(String),
    /// The store, or the way there.
    #[error("{}", explain(.0))]
    Store(#[from] object_store::Error),
    /// No answer came.
    #[error("no answer within {} s (recording.upload.timeout)", .0.as_secs())]
    Late(std::time::Duration),
    /// What the store has is not what was sent.
    #[error("the store has something else than was sent of {0}")]
    Differs(String),
}

impl SendError {
    /// Whether other sessions would fare no better.
    pub(super) const fn is_general(&self) -> bool {
        matches!(self, Self::Store(_) | Self::Late(_))
    }
}

/// The file that is sent.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) file: Arc<File>,
    pub(super) size: u64,
    /// What it must be, where that is known.
    pub(super) sha256: Option<String>,
}

/// What is known of the bytes that were read so far.
struct Hashes {
    sha256: Context,
    /// Of each piece.
    md5: Vec<[u8; 16]>,
}

impl Hashes {
    fn new() -> Self {
        Self { sha256: Context::new(&SHA256), md5: Vec::new() }
    }

    fn add(&mut self, piece: &[u8]) {
        self.sha256.update(piece);
        self.md5.push(Md5::digest(piece).into());
    }

    /// SHA-256 and ETag, in hexadecimal.
    fn finish(self, in_pieces: bool) -> (String, String) {
        let e_tag = match &self.md5[..] {
            [whole] if !in_pieces => hex(whole),
            pieces => format!("{}-{}", hex(&Md5::digest(pieces.concat())), pieces.len()),
        };
        (hex(self.sha256.finish().as_ref()), e_tag)
    }
}

/// Sends a file and verifies it. `begun` is told of an upload in pieces, before the first of them.
pub(super) async fn send(
    to: &Destination,
    source: &Source,
    key: &Path,
    begun: impl AsyncFnOnce(&MultipartId),
) -> Result<Object, SendError> {
    let (e_tag, (sha256, expected)) = if source.size <= PIECE {
        in_one(to, source, key).await?
    } else {
        in_pieces(to, source, key, begun).await?
    };
    let object = Object {
        name: source.name.clone(),
        key: key.to_string(),
        url: to.url_of(key),
        size: source.size,
        sha256,
        e_tag,
        verified: Verified::Etag,
    };
    verify(to, object, key, &expected).await
}

async fn in_one(
    to: &Destination,
    source: &Source,
    key: &Path,
) -> Result<(Option<String>, (String, String)), SendError> {
    let (hashes, piece) = read(source, Hashes::new(), 0).await?;
    let hashes = source.check(hashes, false)?;
    let options = PutOptions { attributes: attributes(&source.name), ..PutOptions::default() };
    let sent = within(to, to.store.put_opts(key, piece.clone().into(), options)).await?;
    count(piece.len());
    Ok((sent.e_tag, hashes))
}

async fn in_pieces(
    to: &Destination,
    source: &Source,
    key: &Path,
    begun: impl AsyncFnOnce(&MultipartId),
) -> Result<(Option<String>, (String, String)), SendError> {
    let options = PutMultipartOptions { attributes: attributes(&source.name), ..Default::default() };
    let id = within(to, to.store.create_multipart_opts(key, options)).await?;
    begun(&id).await;
    let outcome = pieces(to, source, key, &id).await;
    if outcome.is_err() {
        give_up(to, key, &id).await;
    }
    outcome
}

async fn pieces(
    to: &Destination,
    source: &Source,
    key: &Path,
    id: &MultipartId,
) -> Result<(Option<String>, (String, String)), SendError> {
    let mut offsets =
        (0..source.size).step_by(usize::try_from(source.piece()).unwrap_or(usize::MAX)).enumerate();
    let mut hashes = Hashes::new();
    let mut parts: Vec<(usize, PartId)> = Vec::new();
    let mut under_way = FuturesUnordered::new();
    loop {
        // Read only what can be sent at once: this is all that is in memory.
        while under_way.len() < to.parallelism
            && let Some((number, offset)) = offsets.next()
        {
            let piece;
            (hashes, piece) = read(source, hashes, offset).await?;
            under_way.push(async move {
                let length = piece.len();
                let payload = PutPayload::from(piece);
                let part = within(to, to.store.put_part(key, id, number, payload)).await?;
                count(length);
                Ok::<_, SendError>((number, part))
            });
        }
        let Some(part) = under_way.next().await else { break };
        parts.push(part?);
    }
    let hashes = source.check(hashes, true)?;
    parts.sort_unstable_by_key(|(number, _)| *number);
    let parts = parts.into_iter().map(|(_, part)| part).collect();
    let sent = within(to, to.store.complete_multipart(key, id, parts)).await?;
    Ok((sent.e_tag, hashes))
}

/// Tells the store to forget the pieces that it has. What cannot be told is no reason to wait.
pub(super) async fn give_up(to: &Destination, key: &Path, id: &MultipartId) {
    if let Err(error) = within(to, to.store.abort_multipart(key, id)).await {
        tracing::debug!(%key, %error, "the pieces of an upload stay in the store");
    }
}

/// Whether the store still has what it was given.
pub(super) async fn is_there(to: &Destination, object: &Object) -> Result<bool, SendError> {
    let Ok(key) = Path::parse(&object.key) else { return Ok(false) };
    match within(to, to.store.head(&key)).await {
        Ok(there) => Ok(there.size == object.size && there.e_tag == object.e_tag),
        Err(SendError::Store(object_store::Error::NotFound { .. })) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Looks at what the store has.
async fn verify(
    to: &Destination,
    mut object: Object,
    key: &Path,
    expected: &str,
) -> Result<Object, SendError> {
    let there = within(to, to.store.head(key)).await?;
    if there.size != object.size {
        return Err(SendError::Differs(object.name));
    }
    let is_same = there.e_tag.as_ref().is_some_and(|found| found.trim_matches('"') == expected);
    object.e_tag = there.e_tag.or(object.e_tag);
    if is_same && !to.read_back {
        return Ok(object);
    }
    let got = within(to, to.store.get(key)).await?;
    let (mut bytes, mut sha256, mut size) = (got.into_stream(), Context::new(&SHA256), 0);
    while let Some(chunk) =
        timeout(to.timeout, bytes.next()).await.map_err(|_| SendError::Late(to.timeout))?
    {
        let chunk = chunk?;
        sha256.update(&chunk);
        size += chunk.len() as u64; // usize is at most 64 bits
    }
    if size != object.size || hex(sha256.finish().as_ref()) != object.sha256 {
        return Err(SendError::Differs(object.name));
    }
    object.verified = Verified::Read;
    Ok(object)
}

impl Source {
    /// How long its pieces are.
    fn piece(&self) -> u64 {
        PIECE.max(self.size.div_ceil(MAX_PIECES))
    }

    /// The hashes of all of it, if it is what was recorded.
    fn check(&self, hashes: Hashes, in_pieces: bool) -> Result<(String, String), SendError> {
        let (sha256, e_tag) = hashes.finish(in_pieces);
        match &self.sha256 {
            Some(recorded) if *recorded != sha256 => Err(SendError::Changed(self.name.clone())),
            _ => Ok((sha256, e_tag)),
        }
    }
}

/// Reads the piece that begins there, on a thread that may wait for the disk.
async fn read(source: &Source, mut hashes: Hashes, offset: u64) -> Result<(Hashes, Bytes), SendError> {
    let length = (source.size - offset).min(source.piece());
    let file = source.file.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let mut piece = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        file.read_exact_at(&mut piece, offset)?;
        hashes.add(&piece);
        Ok((hashes, Bytes::from(piece)))
    });
    let outcome = reading.await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
    outcome.map_err(|source_error| SendError::Local { name: source.name.clone(), source: source_error })
}

/// One request.
async fn within<T>(
    to: &Destination,
    request: impl Future<Output = Result<T, object_store::Error>>,
) -> Result<T, SendError> {
    Ok(timeout(to.timeout, request).await.map_err(|_| SendError::Late(to.timeout))??)
}

fn attributes(name: &str) -> Attributes {
    let content_type = match name.rsplit_once('.').map(|(_, end)| end) {
        Some("mp4") => "video/mp4",
        Some("webm") => "video/webm",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    };
    Attributes::from_iter([(Attribute::ContentType, content_type)])
}

fn count(bytes: usize) {
    metrics::counter!("commonroom_recording_upload_bytes_total").increment(bytes as u64); // at most 64 bits
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What stands in the store's own words, in the XML of an answer, is what helps; and which option it is about.
fn explain(error: &object_store::Error) -> String {
    let text = error.to_string();
    let within = |element: &str| {
        let (_, rest) = text.split_once(&format!("<{element}>"))?;
        Some(rest.split_once('<')?.0)
    };
    let Some(code) = within("Code") else {
        // What was tried, and how often, stands before the reason.
        let (_, reason) = text.rsplit_once(" - ").unwrap_or_default();
        let reason = if reason.is_empty() { &text } else { reason };
        return format!("the store cannot be used: {}", reason.trim_start_matches("HTTP error: "));
    };
    let advice = match code {
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "AccessDenied" | "InvalidToken" => {
            "; look at recording.upload.access_key and secret_key, and at what they are allowed to"
        }
        "NoSuchBucket" => "; look at recording.upload.bucket",
        "PermanentRedirect" | "AuthorizationHeaderMalformed" => {
            "; look at recording.upload.region and endpoint"
        }
        "RequestTimeTooSkewed" => "; look at the clock of this machine",
        _ => "",
    };
    let message = within("Message").map(|message| format!(" ({message})")).unwrap_or_default();
    format!("the store says {code}{message}{advice}")
}
