//! The store of objects that recordings are uploaded to, over HTTP.

mod connector;

use crate::config;
use crate::recording::Destination;
use connector::Connector;
use object_store::aws::AmazonS3Builder;
use object_store::{BackoffConfig, RetryConfig};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// The region of stores that have none.
const REGION: &str = "us-east-1";
/// Where keys come from that the configuration does not have: as every program of Amazon's and most others take them. What else
/// there may be, such as another address, is not taken.
const ENVIRONMENT: [&str; 10] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_METADATA_ENDPOINT",
];
/// Times a request is sent again at once; what fails for longer is tried again later as a whole.
const RETRIES: usize = 3;

/// The store cannot be used.
#[derive(Debug, Error)]
#[error("recordings cannot be uploaded (recording.upload): {0}")]
pub struct StoreError(#[from] object_store::Error);

/// Where sessions are uploaded to; `None`: nowhere.
pub fn destination(config: &config::Upload) -> Result<Option<Destination>, StoreError> {
    if !config.is_on() {
        return Ok(None);
    }
    let url = config.url();
    let retry = RetryConfig {
        max_retries: RETRIES,
        retry_timeout: config.timeout.0,
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
    };
    let region = if config.region.is_empty() { REGION } else { &config.region };
    let mut builder = AmazonS3Builder::new()
        .with_http_connector(Connector)
        .with_bucket_name(&config.bucket)
        .with_region(region)
        // With the bucket in front of it, the endpoint is taken as it is.
        .with_endpoint(&url)
        .with_virtual_hosted_style_request(true)
        .with_allow_http(url.starts_with("http:"))
        .with_unsigned_payload(false)
        .with_retry(retry);
    if let (Some(key), Some(secret)) = (config.access_key.reveal(), config.secret_key.reveal()) {
        builder = builder.with_access_key_id(key).with_secret_access_key(secret);
    } else {
        for name in ENVIRONMENT {
            if let (Ok(value), Ok(key)) = (std::env::var(name), name.to_ascii_lowercase().parse()) {
                builder = builder.with_config(key, value);
            }
        }
    }
    Ok(Some(Destination {
        store: Arc::new(builder.build()?),
        bucket: config.bucket.clone(),
        url,
        prefix: config.prefix.clone(),
        parallelism: config.parallelism,
        timeout: config.timeout.0,
        read_back: config.verify == config::Verify::Read,
        delete_local: config.delete_local,
    }))
}
