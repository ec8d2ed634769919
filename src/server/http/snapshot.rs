//! The last picture of a stream, for dashboards and previews.

use super::problem::Problem;
use super::router::{App, StreamPath};
use crate::bridge::{ImageFormat, SnapshotError};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

/// `GET /api/v1/rooms/{room}/{participant}/snapshot.jpg`.
pub(super) async fn jpeg(app: State<App>, path: StreamPath) -> Result<Response, Problem> {
    snapshot(app, path, ImageFormat::Jpeg).await
}

/// `GET /api/v1/rooms/{room}/{participant}/snapshot.png`.
pub(super) async fn png(app: State<App>, path: StreamPath) -> Result<Response, Problem> {
    snapshot(app, path, ImageFormat::Png).await
}

async fn snapshot(
    State(app): State<App>,
    path: StreamPath,
    format: ImageFormat,
) -> Result<Response, Problem> {
    let stream = app.rooms.watch(&path.room, path.participant.as_str(), None)?;
    let image = app.bridge.snapshot(&stream, format, None).await?;
    Ok(([(CONTENT_TYPE, format.media_type())], image).into_response())
}

impl From<SnapshotError> for Problem {
    fn from(error: SnapshotError) -> Self {
        let status = match error {
            SnapshotError::NotBuilt => StatusCode::NOT_IMPLEMENTED,
            SnapshotError::NoVideo | SnapshotError::Ended => StatusCode::NOT_FOUND,
            SnapshotError::NoKeyframe | SnapshotError::Busy => StatusCode::SERVICE_UNAVAILABLE,
            SnapshotError::Undecodable => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, error.as_str(), error.to_string())
    }
}
