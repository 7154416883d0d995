//! Clients of object stores, made of an address and the environment. What is set there is read by `object_store` itself and
//! goes nowhere else.

use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{BackoffConfig, ClientConfigKey, RetryConfig};

use super::super::{Address, OpenError, Scheme};
use super::bucket::Bucket;
use super::failed::Failing;

/// How long a request may take, with all of a part that it carries: 8 MiB at 28 kB a second.
const TIMEOUT: (&str, &str) = ("TIMEOUT", "300 seconds");
/// How long reaching a store may take.
const CONNECT_TIMEOUT: (&str, &str) = ("CONNECT_TIMEOUT", "10 seconds");

/// A request that did not work is made so often again, within so much time; then the video is put again later, as one that
/// could not be fetched.
const RETRIES: RetryConfig = RetryConfig {
    backoff: BackoffConfig { init_backoff: Duration::from_millis(200), max_backoff: Duration::from_secs(5), base: 2.0 },
    max_retries: 4,
    retry_timeout: Duration::from_secs(60),
};

pub(super) fn connect(address: &Address) -> Result<Bucket, OpenError> {
    // An error says that the process has one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let unusable = |_: object_store::Error| {
        // Its words could hold what is set.
        let failing = Failing::at(address);
        let words = "what the environment says of the store makes no sense".to_owned();
        OpenError::Settings { place: failing.place().to_owned(), words, hint: failing.hint() }
    };
    let set = |prefix: &str, (name, value): (&'static str, &'static str)| {
        std::env::var_os(format!("{prefix}_{name}")).is_none().then_some(value)
    };
    let bucket = address.bucket.as_str();
    Ok(match address.scheme {
        Scheme::S3 => {
            let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(RETRIES);
            for (key, told) in [(ClientConfigKey::Timeout, TIMEOUT), (ClientConfigKey::ConnectTimeout, CONNECT_TIMEOUT)]
            {
                if let Some(value) = set("AWS", told) {
                    builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
                }
            }
            Bucket::new(builder.build().map_err(unusable)?, address)
        }
        Scheme::Gs => {
            let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_retry(RETRIES);
            for (key, told) in [(ClientConfigKey::Timeout, TIMEOUT), (ClientConfigKey::ConnectTimeout, CONNECT_TIMEOUT)]
            {
                if let Some(value) = set("GOOGLE", told) {
                    builder = builder.with_config(GoogleConfigKey::Client(key), value);
                }
            }
            Bucket::new(builder.build().map_err(unusable)?, address)
        }
        Scheme::Az => {
            let mut builder = MicrosoftAzureBuilder::from_env().with_container_name(bucket).with_retry(RETRIES);
            for (key, told) in [(ClientConfigKey::Timeout, TIMEOUT), (ClientConfigKey::ConnectTimeout, CONNECT_TIMEOUT)]
            {
                if let Some(value) = set("AZURE", told) {
                    builder = builder.with_config(AzureConfigKey::Client(key), value);
                }
            }
            Bucket::new(builder.build().map_err(unusable)?, address)
        }
    })
}
