//! `upload.json`: how far a session's upload has come, so that nothing is forgotten when the server ends.
//!
//! It stands beside `session.json` and not in it: that one is uploaded itself, and says what was recorded.

use crate::recording::store::SessionFolder;
use serde::{Deserialize, Serialize};
use std::io;

/// The name of the file in a session's folder.
pub(super) const FILE_NAME: &str = "upload.json";

/// How far a session's upload has come.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Upload {
    /// Whether it is done.
    pub state: UploadState,
    /// Why the last attempt failed; absent where none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Attempts that have failed.
    #[serde(default)]
    pub failures: u32,
    /// What the store has, and was verified.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Object>,
    /// An object in pieces that was begun, and is to be given up if nobody does any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Begun>,
}

/// Whether a session is uploaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UploadState {
    /// Not yet; it will be tried, or tried again.
    #[default]
    Waiting,
    /// It is on its way.
    Uploading,
    /// All of it is there and was verified.
    Uploaded,
}

/// A file that the store has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Object {
    /// The file, in the folder of the session.
    pub name: String,
    /// What the store calls it.
    pub key: String,
    /// Where it is.
    pub url: String,
    /// Bytes.
    pub size: u64,
    /// The SHA-256 of what was sent, in hexadecimal.
    pub sha256: String,
    /// What the store gave for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e_tag: Option<String>,
    /// How it was verified.
    pub verified: Verified,
}

/// How it is known that the store has what was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verified {
    /// Its size and its ETag are those of the bytes that were sent.
    Etag,
    /// It was read back, and its size and SHA-256 are those of the bytes that were sent.
    Read,
}

/// A multipart upload.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Begun {
    /// What the store will call the object.
    pub key: String,
    /// What it calls the upload.
    pub id: String,
}

impl Upload {
    /// What stands in a folder; `None`: nothing, or nothing that can be read.
    pub fn read(folder: &SessionFolder) -> io::Result<Option<Self>> {
        match folder.read(FILE_NAME) {
            Ok(upload) => Ok(Some(upload)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            // It is written in one step, so this is a disk's doing or a person's. Uploaded twice is better than never.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Puts it there.
    pub(super) fn write(&self, folder: &SessionFolder) -> io::Result<()> {
        folder.write(FILE_NAME, self)
    }
}
