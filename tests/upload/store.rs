//! A store that speaks S3 over real sockets, checks signatures (Signature Version 4) and keeps objects as files; and that can
//! be made to do what stores do on bad days.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{ETAG, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

pub(crate) const BUCKET: &str = "recordings";
pub(crate) const ACCESS_KEY: &str = "commonroom";
pub(crate) const SECRET_KEY: &str = "correct horse battery staple";

/// The objects, which stay when the server goes.
pub(crate) struct Store {
    root: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) trouble: Arc<Trouble>,
    serving: Option<JoinHandle<()>>,
}

/// What goes wrong.
#[derive(Default)]
pub(crate) struct Trouble {
    /// An object loses its last byte as soon as it is there.
    pub(crate) shortens: AtomicBool,
    /// One bit of an object falls over as soon as it is there, and ETags are of a kind of their own.
    pub(crate) flips: AtomicBool,
    /// ETags are of a kind of their own.
    pub(crate) has_own_etags: AtomicBool,
    /// How long each piece takes.
    pub(crate) piece_ms: AtomicU64,
    /// Requests that were made.
    pub(crate) requests: AtomicU64,
    /// Objects that were read back.
    pub(crate) reads: AtomicU64,
}

impl Store {
    pub(crate) async fn start() -> Self {
        let root = tempfile::tempdir().expect("there is room for a folder");
        std::fs::create_dir(root.path().join(BUCKET)).expect("it can be made");
        let address = ([127, 0, 0, 1], 0).into();
        let mut store = Self { root, address, trouble: Arc::default(), serving: None };
        store.resume().await;
        store
    }

    /// Answers again, under the same address.
    pub(crate) async fn resume(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("the port is free");
        self.address = listener.local_addr().expect("it is bound");
        let files = FileSystem::new(self.root.path()).expect("the folder is there");
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let (service, trouble, root) = (builder.build(), self.trouble.clone(), self.root.path().to_owned());
        self.serving = Some(tokio::spawn(async move {
            // Connections end with it.
            let mut connections = JoinSet::new();
            loop {
                let Ok((socket, _)) = listener.accept().await else { continue };
                let (service, trouble, root) = (service.clone(), trouble.clone(), root.clone());
                connections.spawn(async move {
                    let answer = service_fn(move |request| {
                        answer(service.clone(), trouble.clone(), root.clone(), request)
                    });
                    // Whoever hangs up is none of its business.
                    drop(
                        Builder::new(TokioExecutor::new())
                            .serve_connection(TokioIo::new(socket), answer)
                            .await,
                    );
                });
            }
        }));
    }

    /// Answers no more.
    pub(crate) async fn stop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            drop(serving.await);
        }
    }

    /// What is stored under a key.
    pub(crate) fn object(&self, key: &str) -> Option<Vec<u8>> {
        std::fs::read(self.root.path().join(BUCKET).join(key)).ok()
    }

    /// How long it is.
    pub(crate) fn size(&self, key: &str) -> Option<u64> {
        std::fs::metadata(self.root.path().join(BUCKET).join(key)).ok().map(|found| found.len())
    }

    /// All keys.
    pub(crate) fn keys(&self) -> Vec<String> {
        fn list(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).expect("it is there") {
                let path = entry.expect("it can be read").path();
                if path.is_dir() { list(&path, found) } else { found.push(path) }
            }
        }
        let (bucket, mut found) = (self.root.path().join(BUCKET), Vec::new());
        list(&bucket, &mut found);
        let key =
            |path: PathBuf| path.strip_prefix(&bucket).expect("it is in there").to_str().map(str::to_owned);
        let mut keys: Vec<_> = found.into_iter().filter_map(key).collect();
        keys.sort();
        keys
    }

    /// Pieces of objects that nobody has put together.
    pub(crate) fn pieces(&self) -> usize {
        let entries = std::fs::read_dir(self.root.path()).expect("it is there");
        let names =
            entries.map(|entry| entry.expect("it can be read").file_name().into_string().unwrap_or_default());
        names.filter(|name| name.starts_with(".upload_id-")).count()
    }
}

async fn answer(
    service: S3Service,
    trouble: Arc<Trouble>,
    root: PathBuf,
    request: Request<Incoming>,
) -> Result<Response<s3s::Body>, s3s::HttpError> {
    trouble.requests.fetch_add(1, Ordering::Relaxed);
    let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
    let (method, query) = (request.method().clone(), request.uri().query().unwrap_or_default().to_owned());
    let path = root.join(request.uri().path().trim_start_matches('/'));
    if query.contains("partNumber") {
        tokio::time::sleep(Duration::from_millis(trouble.piece_ms.load(Ordering::Relaxed))).await;
    }
    if method == Method::GET {
        trouble.reads.fetch_add(1, Ordering::Relaxed);
    }
    // Signatures are about the whole body.
    let mut response = service.call(request.map(s3s::Body::from)).await?;
    let is_stored =
        method == Method::PUT && query.is_empty() || method == Method::POST && query.starts_with("uploadId");
    if is_stored && response.status().is_success() {
        // An answer may come before the work is done.
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.map(|whole| whole.to_bytes()).unwrap_or_default();
        response = Response::from_parts(parts, bytes.into());
        if let Ok(mut bytes) = std::fs::read(&path) {
            if is(&trouble.shortens) {
                bytes.pop();
            }
            if is(&trouble.flips)
                && let Some(middle) = bytes.len().checked_div(2).and_then(|at| bytes.get_mut(at))
            {
                *middle ^= 1;
            }
            std::fs::write(&path, bytes).expect("it can be written");
        }
    }
    if is(&trouble.flips) || is(&trouble.has_own_etags) {
        let own = HeaderValue::from_static("\"0123456789abcdef-of-its-own\"");
        response.headers_mut().insert(ETAG, own);
    }
    Ok(response)
}
