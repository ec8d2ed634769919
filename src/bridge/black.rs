//! A black picture in a codec that is too rich for one written by hand: made by the encoders of FFmpeg's libraries, once for
//! whoever needs it. Built without these, or with ones that lack the encoder, there is none.

use super::Bridge;
use crate::media::CodecParams;
use bytes::Bytes;
use std::time::Duration;
use tokio::time::timeout;

/// So long one is waited for, behind others who have the processor too.
const PATIENCE: Duration = Duration::from_secs(5);

impl Bridge {
    /// A key picture in HEVC, AV1 or VP9, of the size and depth of this track, with all parameters that it needs within it.
    /// `None` where it cannot be made; why is in the log.
    pub async fn black(&self, params: &CodecParams) -> Option<Bytes> {
        if !matches!(params, CodecParams::Hevc(_) | CodecParams::Av1(_) | CodecParams::Vp9(_)) {
            return None;
        }
        let place = timeout(PATIENCE, self.decoders().acquire_owned()).await.ok()?.ok()?;
        let (codec, wanted) = (params.codec(), params.clone());
        // The place goes with the work, which goes on when whoever asked is gone.
        let made = tokio::task::spawn_blocking(move || {
            let made = make(&wanted);
            drop(place);
            made
        });
        match timeout(PATIENCE, made).await {
            Ok(Ok(Ok(picture))) => Some(picture),
            Ok(Ok(Err(error))) => {
                tracing::warn!(%codec, error, "no black picture can be made: gaps stay as they are");
                None
            }
            Ok(Err(_)) | Err(_) => {
                tracing::warn!(%codec, "no black picture came in time: gaps stay as they are");
                None
            }
        }
    }
}

#[cfg(feature = "transcode")]
fn make(params: &CodecParams) -> Result<Bytes, String> {
    super::video::black(params).map_err(|error| error.to_string())
}

#[cfg(not(feature = "transcode"))]
fn make(_: &CodecParams) -> Result<Bytes, String> {
    Err("this program was built without FFmpeg's libraries".to_owned())
}
