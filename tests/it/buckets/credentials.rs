//! Where credentials come from that no setting names: the places in which every AWS tool looks, in their order.

use chrono::TimeDelta;
use tempfile::TempDir;

use super::{CALC, Settings, sentence, works};
use crate::support::issuer::{CONTAINER_TOKEN, Issuer, ROLE, WEB_IDENTITY};
use crate::support::keys::Keys;
use crate::support::process::program;
use crate::support::s3::{ACCESS_KEY, S3Bucket, SECRET};
use crate::support::s3_door::S3Door;
use crate::support::uploads::Upload;

/// A bucket behind a door that lets `keys` in.
async fn guarded(keys: &Keys) -> (S3Bucket, S3Door) {
    let bucket = S3Bucket::apart();
    let door = S3Door::with_keys(&bucket, keys.clone()).await;
    let bucket = bucket.by_way_of(&door.endpoint);
    (bucket, door)
}

/// A process that is told only this works, and comes with no other key than this.
async fn opens(settings: impl FnOnce(Settings) -> Settings) {
    let (bucket, door) = guarded(&Keys::only(ACCESS_KEY, SECRET)).await;
    let server = settings(Settings::without_credentials(&bucket)).start().await;
    works(&server, &Upload::fixture(CALC).chunk_size(4096)).await;
    assert_eq!(door.keys(), [ACCESS_KEY]);
    assert!(!server.log().contains(SECRET), "{}", server.log());
}

/// A process that is told only this works, with the credentials that somebody gives out.
async fn opens_by(issuer: &Issuer, settings: impl FnOnce(Settings) -> Settings) {
    let (bucket, door) = guarded(&issuer.keys).await;
    let server = settings(Settings::without_credentials(&bucket)).start().await;
    works(&server, &Upload::fixture(CALC).chunk_size(4096)).await;
    let issued = issuer.keys.all();
    for visit in door.visits() {
        let key = issued.iter().find(|key| key.id == visit.key).expect("nobody comes with a key of somebody else");
        assert_eq!(visit.session, key.session);
    }
    for key in issued {
        assert!(!server.log().contains(&key.secret) && !server.log().contains(&key.session), "{}", server.log());
    }
}

#[tokio::test]
async fn credentials_come_from_the_environment() {
    opens(|told| told.with("AWS_ACCESS_KEY_ID", ACCESS_KEY).with("AWS_SECRET_ACCESS_KEY", SECRET)).await;
}

#[tokio::test]
async fn credentials_come_from_a_profile_of_a_shared_file() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("credentials");
    let profile = |name, id, secret| format!("[{name}]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n");
    let profiles = [profile("default", "another", "wrong"), profile("depot", ACCESS_KEY, SECRET)].concat();
    std::fs::write(&file, profiles).unwrap();
    opens(|told| told.with("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap()).with("AWS_PROFILE", "depot")).await;
}

#[tokio::test]
async fn credentials_come_from_a_program_that_a_profile_names() {
    let folder = TempDir::new().unwrap();
    let (file, program) = (folder.path().join("config"), folder.path().join("credentials.sh"));
    let credentials = format!(r#"{{"Version": 1, "AccessKeyId": "{ACCESS_KEY}", "SecretAccessKey": "{SECRET}"}}"#);
    std::fs::write(&program, format!("echo '{credentials}'\n")).unwrap();
    std::fs::write(&file, format!("[default]\ncredential_process = sh {}\n", program.display())).unwrap();
    opens(|told| told.with("AWS_CONFIG_FILE", file.to_str().unwrap())).await;
}

#[tokio::test]
async fn credentials_in_the_settings_go_before_what_the_chain_finds() {
    let settings = |told: Settings| {
        told.with("AWS_ACCESS_KEY_ID", "another")
            .with("AWS_SECRET_ACCESS_KEY", "wrong")
            .with("SYMDEPOT_BLOBS__S3__ACCESS_KEY_ID", ACCESS_KEY)
            .with("SYMDEPOT_BLOBS__S3__SECRET_ACCESS_KEY", SECRET)
    };
    opens(settings).await;
}

#[tokio::test]
async fn credentials_come_from_the_endpoint_of_a_container() {
    let issuer = Issuer::of(TimeDelta::hours(1)).await;
    let url = format!("{}/container", issuer.url);
    let settings = |told: Settings| {
        told.with("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url).with("AWS_CONTAINER_AUTHORIZATION_TOKEN", CONTAINER_TOKEN)
    };
    opens_by(&issuer, settings).await;
}

#[tokio::test]
async fn credentials_come_from_the_metadata_service_of_the_machine() {
    let issuer = Issuer::of(TimeDelta::hours(1)).await;
    let settings = |told: Settings| {
        told.with("AWS_EC2_METADATA_DISABLED", "false").with("AWS_EC2_METADATA_SERVICE_ENDPOINT", &issuer.url)
    };
    opens_by(&issuer, settings).await;
    assert!(issuer.asked().starts_with(&["PUT /latest/api/token".to_owned()]), "{:?}", issuer.asked());
}

#[tokio::test]
async fn credentials_come_from_the_token_service_for_a_web_identity() {
    let issuer = Issuer::of(TimeDelta::hours(1)).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("identity");
    std::fs::write(&file, WEB_IDENTITY).unwrap();
    let settings = |told: Settings| {
        told.with("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap())
            .with("AWS_ROLE_ARN", ROLE)
            .with("AWS_ENDPOINT_URL_STS", &issuer.url)
    };
    opens_by(&issuer, settings).await;
}

#[tokio::test]
async fn a_start_without_credentials_anywhere_ends_with_a_sentence() {
    let (bucket, door) = guarded(&Keys::only(ACCESS_KEY, SECRET)).await;
    let nowhere = Settings::without_credentials(&bucket);
    let expected = |reason: &str| {
        format!(
            "symdepot: the blob store `{}` cannot be used: sign in to the S3 server: no credentials can be had \
             ({reason}); set `blobs.s3.access_key_id` and `blobs.s3.secret_access_key`, or look at what the AWS chain \
             finds: environment, profile, web identity, container, metadata service",
            bucket.url()
        )
    };
    let none = expected("the credential provider was not enabled: no providers in chain provided credentials");
    assert_eq!(sentence(program(), &nowhere).await, none);
    // Nobody listens there, as on a machine that is not Amazon's.
    let alone = nowhere
        .with("AWS_EC2_METADATA_DISABLED", "false")
        .with("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1");
    assert_eq!(sentence(program(), &alone).await, none);
    // Somebody does, who gives nothing away.
    let issuer = Issuer::of(TimeDelta::hours(1)).await;
    let stranger = alone.with("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/container", issuer.url));
    let said = sentence(program(), &stranger).await;
    let reason = "an error occurred while loading credentials: Non-success status from HTTP credential provider: StatusCode(403)";
    assert_eq!(said, expected(reason));
    assert_eq!(door.visits(), []);
}

#[tokio::test]
async fn credentials_that_the_bucket_does_not_know_end_the_start_with_a_sentence() {
    let (bucket, _door) = guarded(&Keys::only(ACCESS_KEY, SECRET)).await;
    let told = Settings::without_credentials(&bucket).with("AWS_SECRET_ACCESS_KEY", "wrong");
    for (id, code) in [("another", "InvalidAccessKeyId"), (ACCESS_KEY, "SignatureDoesNotMatch")] {
        let told = Settings(told.0.clone()).with("AWS_ACCESS_KEY_ID", id);
        let said = sentence(program(), &told).await;
        let beginning = format!(
            "symdepot: the blob store `{}` cannot be used: sign in to the S3 server: the credentials are not accepted \
             ({code}",
            bucket.url()
        );
        let end = "; correct `blobs.s3.access_key_id` and `blobs.s3.secret_access_key`, or what the AWS chain finds";
        assert!(said.starts_with(&beginning) && said.ends_with(end), "{said}");
    }
}
