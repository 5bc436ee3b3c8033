//! An S3 server that refuses, stumbles, lies and does not answer. What passes only takes time; what stays is said; and
//! whatever was acknowledged is whole.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};
use symdepot::app::App;
use symdepot::blobs::{BlobKey, SweepMode, TempSweep, open_store};
use symdepot::clock::Clock;
use symdepot::config::{Compression, Config};
use symdepot::types::Sha1;
use symdepot::upkeep::{Depth, Finding, Loss, Repair};
use tempfile::TempDir;

use super::{CALC, CALC_ID};
use crate::support::s3::S3Bucket;
use crate::support::s3_proxy::{ALWAYS, S3Fault, S3Proxy};
use crate::support::server::TestServer;
use crate::support::until;
use crate::support::uploads::Upload;

/// What passes by itself.
const PASSING: [S3Fault; 8] = [
    S3Fault::Refused(500, "InternalError"),
    S3Fault::Refused(503, "SlowDown"),
    S3Fault::ErrorInside,
    S3Fault::Truncated,
    S3Fault::Stalled,
    S3Fault::Reset,
    S3Fault::LostAnswer,
    S3Fault::Silent,
];

/// A server whose bytes lie behind a proxy.
struct Behind {
    server: TestServer,
    proxy: S3Proxy,
    _bucket: S3Bucket,
}

async fn behind(change: impl FnOnce(&mut Config)) -> Behind {
    let bucket = S3Bucket::fresh();
    let proxy = S3Proxy::before(&bucket.endpoint).await;
    let bucket = bucket.by_way_of(&proxy.endpoint);
    let settings = |config: &mut Config| {
        bucket.settings(config);
        let s3 = &mut config.blobs.s3;
        s3.back_off = Duration::from_millis(1);
        s3.attempt_timeout = Duration::from_secs(2);
        s3.stall_timeout = Duration::from_secs(1);
        config.jobs.back_off = Duration::from_millis(1);
        change(config);
    };
    let server = TestServer::builder().settings(settings).start().await;
    Behind { server, proxy, _bucket: bucket }
}

/// An ELF file of nine megabytes: behind its end stands what no reader looks at.
fn large() -> Upload {
    let mut calc = Upload::fixture(CALC);
    let padding = (0u32..).flat_map(|number| number.wrapping_mul(0x9e37_79b9).to_be_bytes());
    calc.content.extend(padding.take(9 << 20));
    calc.chunk_size(16 << 20)
}

/// Where the bytes of a chunk are.
async fn key_of(server: &TestServer, chunk: &[u8]) -> BlobKey {
    let sha1 = Sha1::of(chunk);
    let owned = server.app.db.owned_chunks(server.account.organization.id, &[sha1]).await.unwrap();
    BlobKey::from_row(&owned[&sha1].chunk.blob.key)
}

/// Parts as small as a server takes them, so that every large chunk has some.
fn in_parts(config: &mut Config) {
    config.blobs.s3.multipart_threshold = 6 << 20;
    config.blobs.s3.part_size = 5 << 20;
    config.blobs.compression = Compression::None;
    config.uploads.chunk_size = 16 << 20;
}

impl Behind {
    /// The file is whole, its symcache finds what it should, and rows and bytes agree to the last one.
    async fn is_whole(&self, upload: &Upload, dif: &Value) {
        let server = &self.server;
        let path = format!("{}files/dsyms/?id={}", server.account.project_path(), dif["id"].as_str().unwrap());
        let answer = server.get(&path).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.bytes().await.unwrap() == upload.content, "it came back as it was");
        let symcache = server.symcache_bytes(&server.account, CALC_ID).await;
        assert!(!symcache.is_empty());
        self.is_clean().await;
    }

    async fn is_clean(&self) {
        let checked = self.server.app.upkeep().fsck(Depth::Content, Repair::No, |_| {}).await.unwrap();
        let lost: Vec<_> = checked.findings.iter().map(|finding| format!("{finding:?}")).collect();
        assert_eq!(lost, [""; 0]);
    }
}

#[tokio::test]
async fn a_store_that_stumbles_only_takes_time() {
    for fault in PASSING {
        let behind = behind(|_| {}).await;
        let calc = Upload::fixture(CALC).chunk_size(4096);
        for operation in ["PutObject", "GetObject", "HeadObject", "ListObjectsV2"] {
            behind.proxy.inject(operation, fault, 2);
        }
        let dif = behind.server.upload_ok(&calc).await;
        behind.is_whole(&calc, &dif).await;
        assert!(behind.proxy.seen("PutObject") > 2, "{fault:?}");
    }
}

#[tokio::test]
async fn an_upload_in_parts_survives_what_happens_to_any_of_its_requests() {
    let operations = ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"];
    for fault in PASSING {
        let behind = behind(in_parts).await;
        let large = large();
        operations.into_iter().for_each(|operation| behind.proxy.inject(operation, fault, 1));
        let dif = behind.server.upload_ok(&large).await;
        behind.is_whole(&large, &dif).await;
        assert!(behind.proxy.seen("CompleteMultipartUpload") > 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_part_that_the_server_loses_is_sent_again() {
    let behind = behind(in_parts).await;
    let large = large();
    behind.proxy.inject("UploadPart", S3Fault::Swallowed, 1);
    let dif = behind.server.upload_ok(&large).await;
    behind.is_whole(&large, &dif).await;
    assert!(behind.proxy.seen("CreateMultipartUpload") > 1, "the whole blob was sent again");
}

#[tokio::test]
async fn an_upload_in_parts_that_cannot_end_is_aborted_and_nothing_is_acknowledged() {
    let behind = behind(in_parts).await;
    let (server, large) = (&behind.server, large());
    behind.proxy.inject("CompleteMultipartUpload", S3Fault::Refused(500, "InternalError"), ALWAYS);
    let refused = server.send_chunks(&server.account, &large.chunks()).await;
    assert_eq!(refused.status(), 503);
    assert!(behind.proxy.seen("AbortMultipartUpload") > 0);
    assert_eq!(server.ask(&server.account, &large).await["missingChunks"], json!([large.sha1()]));
    behind.is_clean().await;
    behind.proxy.heal();
    let dif = server.upload_ok(&large).await;
    behind.is_whole(&large, &dif).await;
}

#[tokio::test]
async fn while_the_store_is_away_chunks_are_sent_away_for_now_and_taken_when_it_is_back() {
    for fault in [S3Fault::Refused(500, "InternalError"), S3Fault::Reset, S3Fault::Silent] {
        let behind = behind(|config| {
            config.blobs.s3.attempts = 2;
            config.blobs.s3.attempt_timeout = Duration::from_secs(1);
        })
        .await;
        let (server, calc) = (&behind.server, Upload::fixture(CALC));
        behind.proxy.inject("any", fault, ALWAYS);
        let refused = server.send_chunks(&server.account, &calc.chunks()).await;
        assert_eq!(refused.status(), 503, "{fault:?}");
        behind.proxy.heal();
        assert_eq!(server.ask(&server.account, &calc).await["missingChunks"], json!([calc.sha1()]), "{fault:?}");
        let dif = server.upload_ok(&calc).await;
        behind.is_whole(&calc, &dif).await;
    }
}

#[tokio::test]
async fn a_full_bucket_is_said_and_its_chunks_may_be_sent_again() {
    for fault in [S3Fault::Refused(403, "QuotaExceeded"), S3Fault::Refused(507, "XMinioStorageFull")] {
        let behind = behind(|_| {}).await;
        let (server, calc) = (&behind.server, Upload::fixture(CALC));
        behind.proxy.inject("PutObject", fault, 1);
        assert_eq!(server.send_chunks(&server.account, &calc.chunks()).await.status(), 507);
        let dif = server.upload_ok(&calc).await;
        behind.is_whole(&calc, &dif).await;
    }
}

#[tokio::test]
async fn a_job_goes_on_where_a_body_broke_off_and_never_makes_up_bytes() {
    for fault in [S3Fault::Truncated, S3Fault::Stalled, S3Fault::ErrorInside] {
        let behind = behind(|_| {}).await;
        let (server, calc) = (&behind.server, Upload::fixture(CALC));
        server.send(&server.account, &calc).await;
        behind.proxy.inject("GetObject", fault, 3);
        let mut entry = server.poll(&server.account, &calc).await;
        assert_eq!(entry["state"], "ok", "{fault:?} {entry}");
        behind.is_whole(&calc, &entry["dif"].take()).await;
    }
}

#[tokio::test]
async fn only_the_store_itself_is_believed_when_bytes_are_said_to_be_lost() {
    let behind = behind(|_| {}).await;
    let calc = Upload::fixture(CALC).chunk_size(4096);
    let dif = behind.server.upload_ok(&calc).await;
    let server = &behind.server;
    behind.proxy.inject("HeadObject", S3Fault::Bare(404), ALWAYS);
    let (key, chunk) = (key_of(server, calc.chunks()[0]).await, calc.chunks()[0].len() as u64);
    assert!(server.app.blobs.stored_size(&key).await.unwrap().is_some_and(|stored| stored < chunk));
    behind.proxy.inject("GetObject", S3Fault::Bare(404), ALWAYS);
    server.app.upkeep().fsck(Depth::Content, Repair::Yes, |_| {}).await.unwrap_err();
    behind.proxy.heal();
    behind.is_whole(&calc, &dif).await;
}

#[tokio::test]
async fn a_check_lists_the_bucket_and_looks_closer_only_where_something_is_lost() {
    let behind = behind(|_| {}).await;
    let (server, proxy) = (&behind.server, &behind.proxy);
    let calc = Upload::fixture(CALC).chunk_size(1024);
    server.upload_ok(&calc).await;
    server.symcache_bytes(&server.account, CALC_ID).await;
    // At its start the server asks for the bucket and looks through it.
    until("the look at the start", || async { (proxy.seen("ListObjectsV2") >= 2).then_some(()) }).await;
    let (looks, lists) = (proxy.seen("HeadObject"), proxy.seen("ListObjectsV2"));
    let checked = server.app.upkeep().fsck(Depth::Sizes, Repair::No, |_| {}).await.unwrap();
    assert_eq!((checked.findings.len(), checked.chunks), (0, calc.chunks().len() as u64));
    assert_eq!(proxy.seen("HeadObject"), looks, "a look at each blob takes days in a large bucket");
    assert!(proxy.seen("ListObjectsV2") - lists <= 4);

    let owned =
        server.app.db.owned_chunks(server.account.organization.id, &[Sha1::of(calc.chunks()[3])]).await.unwrap();
    let key = owned.values().next().unwrap().chunk.blob.key.clone();
    server.app.blobs.delete(&[BlobKey::from_row(&key)]).await.unwrap();
    let checked = server.app.upkeep().fsck(Depth::Sizes, Repair::No, |_| {}).await.unwrap();
    assert!(
        matches!(&checked.findings[..], [Finding::Chunk { key: lost, loss: Loss::Missing, .. }] if lost == key.as_str())
    );
    assert_eq!(proxy.seen("HeadObject"), looks + 1);
}

#[tokio::test]
async fn what_the_server_refuses_to_delete_is_an_error() {
    let behind = behind(|_| {}).await;
    let blobs = &behind.server.app.blobs;
    let key = BlobKey::fresh("chunks", Clock::System.fresh_id());
    behind.proxy.inject("DeleteObjects", S3Fault::ErrorInside, ALWAYS);
    blobs.delete(std::slice::from_ref(&key)).await.unwrap_err();
    behind.proxy.heal();
    blobs.delete(&[key]).await.unwrap();
}

#[tokio::test]
async fn what_an_upload_in_parts_left_behind_is_swept_when_its_time_is_over() {
    let bucket = S3Bucket::on_moto().await;
    let proxy = S3Proxy::before(&bucket.endpoint).await;
    let bucket = bucket.by_way_of(&proxy.endpoint);
    let folder = TempDir::new().unwrap();
    let mut config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
    bucket.settings(&mut config);
    in_parts(&mut config);
    config.blobs.s3.attempts = 2;
    config.blobs.s3.back_off = Duration::from_millis(1);
    let store = open_store(&config).await.unwrap();
    for operation in ["CompleteMultipartUpload", "AbortMultipartUpload"] {
        proxy.inject(operation, S3Fault::Refused(500, "InternalError"), ALWAYS);
    }
    let spool = store.spool().await.unwrap();
    spool.file().set_len(9 << 20).unwrap();
    let key = BlobKey::fresh("symcaches", Clock::System.fresh_id());
    store.put(&key, spool).await.unwrap_err();
    proxy.heal();
    // This server says of every upload that it began in 2010.
    let (ever, by_now) = (DateTime::UNIX_EPOCH, Clock::System.now() + TimeDelta::hours(1));
    let sweep = async |mode, any_before| {
        // Temp files may be swept sooner: their use can be seen.
        store.sweep_temp(&TempSweep { mode, unused_before: by_now, any_before, uploads: true }).await.unwrap()
    };
    assert_eq!(sweep(SweepMode::Remove, ever).await, 0, "what began later may still be going on");
    assert_eq!(sweep(SweepMode::Count, by_now).await, 2, "one of each try");
    assert_eq!(sweep(SweepMode::Remove, by_now).await, 2);
    assert_eq!(sweep(SweepMode::Remove, by_now).await, 0);
    assert_eq!(store.list(None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_bucket_that_cannot_be_used_ends_the_start_with_a_sentence() {
    let bucket = S3Bucket::fresh();
    let said = async |change: &dyn Fn(&mut Config)| {
        let folder = TempDir::new().unwrap();
        let mut config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
        bucket.settings(&mut config);
        config.blobs.s3.back_off = Duration::from_millis(1);
        change(&mut config);
        App::build(config, Clock::System).await.unwrap_err().to_string()
    };
    let absent = said(&|config| config.blobs.url = "s3://no-such-bucket/depot".to_owned()).await;
    assert_eq!(
        absent,
        "the blob store `s3://no-such-bucket/depot` cannot be used: open the bucket `no-such-bucket`: there is no such \
         bucket; create it, or correct `blobs.url`"
    );
    let stranger = said(&|config| config.blobs.s3.secret_access_key = "another".to_owned()).await;
    assert!(stranger.contains("the credentials are not accepted"), "{stranger}");
    assert!(!stranger.contains("another"), "{stranger}");
    let nobody = said(&|config| config.blobs.s3.endpoint = "http://127.0.0.1:9".to_owned()).await;
    assert!(nobody.contains("the server does not answer"), "{nobody}");
    assert!(nobody.contains("look at `blobs.s3.endpoint`"), "{nobody}");
}
