//! Credentials that run out while the server runs: new ones are fetched before anybody notices, and where none can be had
//! callers are sent away for now.

use std::sync::atomic::{AtomicU32, Ordering};

use chrono::TimeDelta;

use super::{CALC, CALC_BUILD_ID, Settings, works};
use crate::support::issuer::{CONTAINER_TOKEN, Issuer};
use crate::support::process::TestProcess;
use crate::support::s3::S3Bucket;
use crate::support::s3_door::S3Door;
use crate::support::until;
use crate::support::uploads::Upload;

/// A server in a container, whose credentials are good for a moment: they are fetched anew ten seconds before their end.
async fn in_a_container(issuer: &Issuer) -> (TestProcess, S3Door, S3Bucket) {
    let bucket = S3Bucket::apart();
    let door = S3Door::with_keys(&bucket, issuer.keys.clone()).await;
    let bucket = bucket.by_way_of(&door.endpoint);
    let told = Settings::without_credentials(&bucket)
        .with("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/container", issuer.url))
        .with("AWS_CONTAINER_AUTHORIZATION_TOKEN", CONTAINER_TOKEN)
        .with("SYMDEPOT_BLOBS__S3__REDIRECT", "true")
        .with("SYMDEPOT_BLOBS__COMPRESSION", "none");
    (told.start().await, door, bucket)
}

#[tokio::test]
async fn credentials_that_run_out_are_fetched_anew_and_nobody_notices() {
    let issuer = Issuer::of(TimeDelta::seconds(12)).await;
    let (server, door, _bucket) = in_a_container(&issuer).await;
    let (client, calc) = (server.client(), Upload::fixture(CALC));
    let number = AtomicU32::new(0);
    until("a third session is used", || async {
        client.upload_ok(&calc.another(number.fetch_add(1, Ordering::Relaxed))).await;
        (door.keys().len() > 2).then_some(())
    })
    .await;
    // Whoever still came with an old one would be refused.
    issuer.keys.revoke_old();
    works(&server, &calc).await;
}

#[tokio::test]
async fn while_no_new_credentials_can_be_had_callers_are_sent_away_for_now() {
    let issuer = Issuer::of(TimeDelta::seconds(12)).await;
    let (server, _door, _bucket) = in_a_container(&issuer).await;
    let (client, calc) = (server.client(), Upload::fixture(CALC));
    client.upload_ok(&calc).await;
    issuer.close();
    let number = AtomicU32::new(0);
    let refused = until("the session is over", || async {
        let chunk = format!("chunk {}", number.fetch_add(1, Ordering::Relaxed));
        let answer = client.send_chunks(&client.account, &[chunk.as_bytes()]).await;
        (answer.status() != 200).then_some(answer)
    })
    .await;
    assert_eq!(refused.status(), 503, "{}", refused.text().await.unwrap());
    // Nor can anybody be sent on to the bucket.
    let file = format!("/symbols/default/default/_.debug/elf-buildid-sym-{CALC_BUILD_ID}/_.debug");
    assert_eq!(client.get(&file).send().await.unwrap().status(), 503);
    issuer.open_again();
    assert_eq!(client.get(&file).send().await.unwrap().status(), 302);
    works(&server, &calc).await;
    for key in issuer.keys.all() {
        assert!(!server.log().contains(&key.secret) && !server.log().contains(&key.session), "{}", server.log());
    }
}
