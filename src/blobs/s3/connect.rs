//! The client of one S3 server, made from the settings, and the one look at the bucket at the start.
//!
//! It tries no request in a way of its own: times, tries and waits are the settings'.

use std::io;

use aws_config::BehaviorVersion;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::InterceptorContext;
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction, RetryConfig, RetryPartition};
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Builder, Credentials, ProvideCredentials as _, Region, RequestChecksumCalculation, StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use super::errors::{chain, fault, said, status};
use super::{BlobError, Inner};
use crate::config;

/// Where nothing says another region.
const DEFAULT_REGION: &str = "us-east-1";

/// A client for what `settings` say, with credentials of theirs or of the AWS chain.
pub(super) async fn client(settings: &config::S3) -> Result<Client, BlobError> {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
    if !settings.access_key_id.is_empty() {
        let (id, secret) = (settings.access_key_id.as_str(), settings.secret_access_key.as_str());
        loader = loader.credentials_provider(Credentials::new(id, secret, None, None, "settings"));
    }
    if !settings.region.is_empty() {
        loader = loader.region(Region::new(settings.region.clone()));
    } else if !settings.endpoint.is_empty() {
        loader = loader.region(Region::new(DEFAULT_REGION));
    }
    if !settings.endpoint.is_empty() {
        loader = loader.endpoint_url(&settings.endpoint);
    }
    let shared = loader.load().await;
    // The chain asks the machine's metadata service in the end, which only Amazon's machines have.
    if let Some(credentials) = shared.credentials_provider() {
        credentials.provide_credentials().await.map_err(|error| no_credentials(&chain(&error)))?;
    }
    let region = shared.region().cloned().unwrap_or(Region::from_static(DEFAULT_REGION));
    let config = Builder::from(&shared)
        .region(region)
        .force_path_style(settings.path_style)
        .retry_config(retries(settings))
        .retry_classifier(ErrorInside)
        // Tries are rationed where all of them fail. That is a matter of one store, not of all in this process.
        .retry_partition(RetryPartition::custom("blobs").build())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(settings.connect_timeout)
                .operation_attempt_timeout(settings.attempt_timeout)
                .build(),
        )
        // What is sent has its own checksum header, which every server takes; the client would send trailers.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        // Bodies that come are watched where they are read.
        .stalled_stream_protection(
            StalledStreamProtectionConfig::enabled()
                .download_enabled(false)
                .grace_period(settings.stall_timeout)
                .build(),
        )
        .build();
    Ok(Client::from_conf(config))
}

fn retries(settings: &config::S3) -> RetryConfig {
    RetryConfig::standard().with_max_attempts(settings.attempts).with_initial_backoff(settings.back_off)
}

/// An answer of good status that is an error none the less, or breaks off, comes from a server in trouble.
#[derive(Debug)]
struct ErrorInside;

impl ClassifyRetry for ErrorInside {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let failed = matches!(context.output_or_error(), Some(Err(_)));
        match failed && context.response().is_some_and(|response| response.status().is_success()) {
            true => RetryAction::server_error(),
            false => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "error inside of an answer"
    }
}

/// Asks for the first object, and says in a sentence why that cannot be answered.
pub(super) async fn check(store: &Inner) -> Result<(), BlobError> {
    let bucket = &store.bucket;
    let listed = store.client.list_objects_v2().bucket(bucket).prefix(&store.prefix).max_keys(1).send().await;
    let Err(error) = listed else { return Ok(()) };
    let reason = match error.code().unwrap_or_default() {
        "NoSuchBucket" => "there is no such bucket; create it, or correct `blobs.url`".to_owned(),
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken" | "NotSignedUp" => {
            return Err(refused_credentials(&said(&error)));
        }
        "AccessDenied" | "AllAccessDisabled" | "Forbidden" => format!(
            "the credentials do not let symdepot in ({}); it lists, reads, writes and deletes objects there",
            said(&error)
        ),
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            format!("it lies in another region ({}); set `blobs.s3.region`", said(&error))
        }
        "RequestTimeTooSkewed" => "this machine's clock is wrong; set it right".to_owned(),
        _ => match error {
            SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) => {
                unreachable(&said(&error), store.settings.path_style)
            }
            _ if status(&error) == Some(404) => {
                "nothing that speaks S3 is there; look at `blobs.s3.endpoint` and `blobs.s3.path_style`".to_owned()
            }
            _ => return Err(fault(format!("open the bucket `{bucket}`"), &error)),
        },
    };
    Err(BlobError::io(format!("open the bucket `{bucket}`"), io::Error::other(reason)))
}

/// Words of the TLS stack for whoever cannot show that it is the server.
const UNTRUSTED: &str = "invalid peer certificate";

/// Why a server cannot be reached.
fn unreachable(said: &str, path_style: bool) -> String {
    match said.contains(UNTRUSTED) {
        true => format!(
            "the server's certificate is not accepted ({said}); have this machine trust the authority that signed it, \
             or name that authority's file in the environment variable `SSL_CERT_FILE`"
        ),
        false if path_style => format!("the server does not answer ({said}); look at `blobs.s3.endpoint`"),
        // The bucket's name is part of the host's then, and perhaps nobody knows that.
        false => format!("the server does not answer ({said}); look at `blobs.s3.endpoint` and `blobs.s3.path_style`"),
    }
}

fn no_credentials(said: &str) -> BlobError {
    let reason = format!(
        "no credentials can be had ({said}); set `blobs.s3.access_key_id` and `blobs.s3.secret_access_key`, or look at \
         what the AWS chain finds: environment, profile, web identity, container, metadata service"
    );
    BlobError::io("sign in to the S3 server", io::Error::other(reason))
}

fn refused_credentials(said: &str) -> BlobError {
    let reason = format!(
        "the credentials are not accepted ({said}); correct `blobs.s3.access_key_id` and \
         `blobs.s3.secret_access_key`, or what the AWS chain finds"
    );
    BlobError::io("sign in to the S3 server", io::Error::other(reason))
}
