//! Where sessions go, and what they are called there.

use crate::config::Prefix;
use object_store::ObjectStore;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What a store of objects must be able to do.
pub trait Objects: ObjectStore + MultipartStore {}

impl<T: ObjectStore + MultipartStore> Objects for T {}

/// A store, and how it is used.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The store.
    pub store: Arc<dyn Objects>,
    /// The bucket.
    pub bucket: String,
    /// Its address, without a slash at the end: keys stand behind one.
    pub url: String,
    /// What stands before the names of files.
    pub prefix: Prefix,
    /// Pieces that are on their way at a time.
    pub parallelism: usize,
    /// How long one request may take.
    pub timeout: Duration,
    /// Objects are read back, whatever the store says of them.
    pub read_back: bool,
    /// Sessions are deleted here once they are there.
    pub delete_local: bool,
}

impl Destination {
    /// What a file is called there.
    pub(super) fn key(
        &self,
        room: &str,
        session: &str,
        file: &str,
    ) -> Result<Path, object_store::path::Error> {
        Path::parse(self.prefix.key(room, session, file))
    }

    /// Where an object is.
    pub(super) fn url_of(&self, key: &Path) -> String {
        let mut url = self.url.clone();
        for part in key.as_ref().split('/') {
            url.push('/');
            url.extend(percent_encoding::utf8_percent_encode(part, KEPT));
        }
        url
    }
}

/// What stands in an address as it is (RFC 3986, "unreserved").
const KEPT: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
