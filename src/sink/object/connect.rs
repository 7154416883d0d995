//! Clients of object stores, made of an address and the environment. What is set there is read by `object_store` itself and
//! goes nowhere else.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::multipart::MultipartStore;
use object_store::signer::Signer;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};

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

/// The part of a bucket, and what signs links into it.
pub(super) fn connect(address: &Address) -> Result<(Bucket, Arc<dyn Signer>), OpenError> {
    // An error says that the process has one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let unusable = |_: object_store::Error| {
        // Its words could hold what is set.
        let failing = Failing::at(address);
        let words = "what the environment says of the store makes no sense".to_owned();
        OpenError::Settings { place: failing.place().to_owned(), words, hint: failing.hint() }
    };
    // What is set in the environment stands.
    let limits = |prefix: &'static str| {
        let told = [(ClientConfigKey::Timeout, TIMEOUT), (ClientConfigKey::ConnectTimeout, CONNECT_TIMEOUT)];
        let is_unset = move |name| std::env::var_os(format!("{prefix}_{name}")).is_none();
        told.into_iter().filter_map(move |(key, (name, value))| is_unset(name).then_some((key, value)))
    };
    let bucket = address.bucket.as_str();
    Ok(match address.scheme {
        Scheme::S3 => {
            let builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(RETRIES);
            let builder = limits("AWS")
                .fold(builder, |builder, (key, value)| builder.with_config(AmazonS3ConfigKey::Client(key), value));
            both(builder.build().map_err(unusable)?, address)
        }
        Scheme::Gs => {
            let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_retry(RETRIES);
            let builder = limits("GOOGLE")
                .fold(builder, |builder, (key, value)| builder.with_config(GoogleConfigKey::Client(key), value));
            both(builder.build().map_err(unusable)?, address)
        }
        Scheme::Az => {
            let builder = MicrosoftAzureBuilder::from_env().with_container_name(bucket).with_retry(RETRIES);
            let builder = limits("AZURE")
                .fold(builder, |builder, (key, value)| builder.with_config(AzureConfigKey::Client(key), value));
            both(builder.build().map_err(unusable)?, address)
        }
    })
}

fn both<S: ObjectStore + MultipartStore + Signer>(store: S, address: &Address) -> (Bucket, Arc<dyn Signer>) {
    let store = Arc::new(store);
    (Bucket::new(Arc::clone(&store), address), store)
}
