//! A bucket behind TLS, whose server shows a certificate of an authority of the company's own.

use super::{CALC, Settings, sentence, works};
use crate::support::authority::Authority;
use crate::support::process::program;
use crate::support::s3::S3Bucket;
use crate::support::s3_door::S3Door;
use crate::support::uploads::Upload;

async fn behind_tls(authority: &Authority) -> (S3Bucket, S3Door) {
    let bucket = S3Bucket::apart();
    let door = S3Door::behind_tls(&bucket, authority).await;
    let bucket = bucket.by_way_of(&door.endpoint);
    (bucket, door)
}

#[tokio::test]
async fn bytes_go_through_tls_to_a_server_that_is_vouched_for() {
    let authority = Authority::fresh();
    let (bucket, door) = behind_tls(&authority).await;
    assert!(bucket.endpoint.starts_with("https://"), "{}", bucket.endpoint);
    let trusting = Settings::of(&bucket).with("SSL_CERT_FILE", authority.certificate().to_str().unwrap());
    works(&trusting.start().await, &Upload::fixture(CALC).chunk_size(4096)).await;
    assert!(door.visits().len() > 2, "{:?}", door.visits());
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_ends_the_start_with_a_sentence() {
    let (bucket, door) = behind_tls(&Authority::fresh()).await;
    let another = Authority::fresh();
    let settings = Settings::of(&bucket).with("SSL_CERT_FILE", another.certificate().to_str().unwrap());
    let said = sentence(program(), &settings).await;
    let beginning = format!(
        "symdepot: the blob store `{}` cannot be used: open the bucket `{}`: the server's certificate is not accepted (",
        bucket.url(),
        bucket.name
    );
    let end = "invalid peer certificate: UnknownIssuer); have this machine trust the authority that signed it, or name \
               that authority's file in the environment variable `SSL_CERT_FILE`";
    assert!(said.starts_with(&beginning) && said.ends_with(end), "{said}");
    assert_eq!(door.visits(), [], "nothing was told to a stranger");
}
