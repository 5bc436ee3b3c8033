//! What every blob store promises: in memory, on a disk, in a bucket, and behind a decorator that breaks nothing.

use std::io::Write as _;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt as _, TryStreamExt as _};
use symdepot::blobs::{
    BlobError, BlobKey, BlobStore, Failing, Fault, Listed, Memory, Spool, SpoolWriter, SweepMode, TempSweep,
    open_store, read_pieces, spool_file,
};
use symdepot::clock::Clock;
use symdepot::config::{Compression, Config};
use symdepot::types::{BlobRef, Encoding};
use tempfile::TempDir;

use crate::support::s3::S3Bucket;

struct Engine {
    name: &'static str,
    store: Arc<dyn BlobStore>,
    _folder: TempDir,
    _bucket: Option<S3Bucket>,
}

async fn engines() -> Vec<Engine> {
    let mut engines = Vec::new();
    for name in ["memory", "filesystem", "s3", "s3 without conditions", "moto", "failing memory", "failing filesystem"]
    {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
        let bucket = match name {
            "s3" | "s3 without conditions" => Some(S3Bucket::fresh()),
            "moto" => Some(S3Bucket::on_moto().await),
            _ => None,
        };
        match &bucket {
            Some(bucket) => {
                bucket.settings(&mut config);
                // The smallest parts that a server takes.
                config.blobs.s3.multipart_threshold = 6 << 20;
                config.blobs.s3.part_size = 5 << 20;
                config.blobs.s3.conditional_put = name != "s3 without conditions";
            }
            None if name.ends_with("memory") => config.blobs.url = "memory".to_owned(),
            None => {}
        }
        let store = open_store(&config).await.unwrap();
        let store = if name.starts_with("failing") { Arc::new(Failing::wrap(store)) } else { store };
        engines.push(Engine { name, store, _folder: folder, _bucket: bucket });
    }
    engines
}

/// Bytes that no compression makes smaller.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..size).map(|_| next()).collect()
}

/// Bytes that compress well and differ everywhere.
fn prose(size: usize) -> Vec<u8> {
    (0u64..).flat_map(|line| format!("line {line} of what debug data looks like\n").into_bytes()).take(size).collect()
}

fn key() -> BlobKey {
    BlobKey::fresh("chunks", Clock::System.fresh_id())
}

async fn spool(store: &dyn BlobStore, bytes: &[u8]) -> Spool {
    let spool = store.spool().await.unwrap();
    spool.file().write_all(bytes).unwrap();
    spool
}

async fn put(store: &dyn BlobStore, bytes: &[u8]) -> BlobKey {
    let key = key();
    store.put(&key, spool(store, bytes).await).await.unwrap();
    key
}

/// Stores `content` as an upload does.
async fn put_piece(store: &dyn BlobStore, content: &[u8]) -> BlobRef {
    let mut writer = SpoolWriter::new(store.spool().await.unwrap(), Compression::Zstd).unwrap();
    writer.write_all(content).unwrap();
    let spooled = writer.finish().unwrap();
    let key = key();
    let (encoding, size, stored_size) = (spooled.encoding, spooled.size, spooled.stored_size);
    store.put(&key, spooled.spool).await.unwrap();
    BlobRef { key: key.to_string(), encoding, size, stored_size }
}

async fn read(store: &dyn BlobStore, key: &BlobKey, range: Option<Range<u64>>) -> Result<Vec<u8>, BlobError> {
    let mut reader = store.open(key, range).await?;
    let mut whole = Vec::new();
    while let Some(bytes) = reader.next().await {
        let bytes = bytes?;
        assert!(!bytes.is_empty());
        whole.extend_from_slice(&bytes);
    }
    Ok(whole)
}

async fn read_all(store: &Arc<dyn BlobStore>, pieces: &[BlobRef], range: Range<u64>) -> Result<Vec<u8>, BlobError> {
    let stream = read_pieces(Arc::clone(store), pieces.to_vec(), range);
    stream
        .try_fold(Vec::new(), |mut whole, bytes| async move {
            whole.extend_from_slice(&bytes);
            Ok(whole)
        })
        .await
}

#[tokio::test]
async fn what_was_put_is_read_back_whole_and_in_ranges() {
    for Engine { name, store, .. } in engines().await {
        for content in [noise(0), noise(1), noise(256 * 1024), noise(700_001)] {
            let key = put(&*store, &content).await;
            let size = content.len() as u64;
            assert_eq!(store.stored_size(&key).await.unwrap(), Some(size), "{name}");
            assert_eq!(read(&*store, &key, None).await.unwrap(), content, "{name}");
            for range in [0..0, 0..size, size / 3..size / 2, size..size, size / 2..size] {
                let expected = &content[range.start as usize..range.end as usize];
                assert_eq!(read(&*store, &key, Some(range.clone())).await.unwrap(), expected, "{name} {range:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_blob_of_many_megabytes_is_stored_as_it_is_and_never_over_another() {
    for Engine { name, store, .. } in engines().await {
        let content = noise((11 << 20) + 1);
        let key = put(&*store, &content).await;
        assert_eq!(store.stored_size(&key).await.unwrap(), Some(content.len() as u64), "{name}");
        assert!(read(&*store, &key, None).await.unwrap() == content, "{name}");
        let across = (5 << 20) - 7..(10 << 20) + 7;
        let part = &content[across.start as usize..across.end as usize];
        assert!(read(&*store, &key, Some(across)).await.unwrap() == part, "{name}");
        let other = spool(&*store, &noise(12 << 20)[1..]).await;
        assert!(store.put(&key, other).await.is_err(), "{name}");
        assert!(read(&*store, &key, None).await.unwrap() == content, "{name}");
    }
}

#[tokio::test]
async fn a_range_beyond_the_end_finds_the_blob_damaged() {
    for Engine { name, store, .. } in engines().await {
        let key = put(&*store, b"seven b").await;
        let error = read(&*store, &key, Some(2..9)).await.unwrap_err();
        let said = format!("the bytes of blob {key} are damaged: it has 7 bytes and 2 to 9 are wanted");
        assert_eq!(error.to_string(), said, "{name}");
    }
}

#[tokio::test]
async fn a_blob_that_is_not_there_is_missing_and_can_be_deleted() {
    for Engine { name, store, .. } in engines().await {
        let key = put(&*store, b"bytes").await;
        let other = put(&*store, b"others").await;
        for _ in 0..2 {
            store.delete(std::slice::from_ref(&key)).await.unwrap();
            assert!(
                matches!(read(&*store, &key, None).await, Err(BlobError::Missing(missing)) if missing == key.as_str())
            );
            assert_eq!(store.stored_size(&key).await.unwrap(), None, "{name}");
        }
        assert_eq!(read(&*store, &other, None).await.unwrap(), b"others", "{name}");
    }
}

#[tokio::test]
async fn nothing_is_ever_overwritten() {
    for Engine { name, store, .. } in engines().await {
        let key = put(&*store, b"first").await;
        let second = spool(&*store, b"second").await;
        let error = store.put(&key, second).await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("store blob {key}: ")), "{name}: {error}");
        assert_eq!(read(&*store, &key, None).await.unwrap(), b"first", "{name}");
    }
}

#[tokio::test]
async fn a_key_of_somebody_else_leads_nowhere() {
    for Engine { name, store, .. } in engines().await {
        for text in ["../secret", "/etc/passwd", "chunks/../../x", "chunks//x", "tmp/x", "", ".", "a\0b"] {
            let key = BlobKey::from_row(text);
            assert!(matches!(read(&*store, &key, None).await, Err(BlobError::Missing(_))), "{name} {text:?}");
        }
    }
}

#[tokio::test]
async fn a_listing_is_in_key_order_and_pages_without_gaps() {
    for Engine { name, store, .. } in engines().await {
        let mut keys = Vec::new();
        for text in ["chunks/b/2", "chunks/a/1", "chunks/a/10", "chunks/a/2", "chunks-old/1", "symcaches/a/1", "z"] {
            let key = BlobKey::from_row(text);
            store.put(&key, spool(&*store, text.as_bytes()).await).await.unwrap();
            keys.push(key);
        }
        keys.sort();
        for limit in 1..=8 {
            let (mut listed, mut after): (Vec<Listed>, _) = (Vec::new(), None);
            loop {
                let page = store.list(after.as_ref(), limit).await.unwrap();
                let Some(last) = page.last() else { break };
                assert!(page.len() <= limit, "{name}");
                after = Some(last.key.clone());
                listed.extend(page);
            }
            assert_eq!(listed.iter().map(|blob| blob.key.clone()).collect::<Vec<_>>(), keys, "{name} by {limit}");
            assert!(listed.iter().all(|blob| blob.stored_size == blob.key.as_str().len() as u64), "{name}");
        }
        let between = store.list(Some(&BlobKey::from_row("chunks/a/11")), 1).await.unwrap();
        assert_eq!(between[0].key.as_str(), "chunks/a/2", "{name}");
    }
}

#[tokio::test]
async fn a_sweep_takes_only_temp_files_that_are_old_enough() {
    for Engine { name, store, .. } in engines().await {
        let key = put(&*store, b"kept").await;
        let left_over = spool(&*store, b"left over").await;
        let now = SystemTime::now();
        let (past, future) = (now - Duration::from_secs(3600), now + Duration::from_secs(3600));
        let sweep = async |mode, before: SystemTime| {
            let before = before.into();
            let sweep = TempSweep { mode, unused_before: before, any_before: before, uploads: true };
            store.sweep_temp(&sweep).await.unwrap()
        };
        assert_eq!(sweep(SweepMode::Remove, future).await, 0, "{name}: it is in use");
        // As when its process ends.
        left_over.file().unlock().unwrap();
        assert_eq!(sweep(SweepMode::Remove, past).await, 0, "{name}");
        assert_eq!(sweep(SweepMode::Count, future).await, 1, "{name}");
        assert_eq!(sweep(SweepMode::Remove, future).await, 1, "{name}");
        assert_eq!(sweep(SweepMode::Remove, future).await, 0, "{name}");
        assert_eq!(read(&*store, &key, None).await.unwrap(), b"kept", "{name}");
        drop(left_over);
    }
}

#[tokio::test]
async fn a_spool_that_nobody_takes_in_leaves_nothing() {
    for Engine { name, store, .. } in engines().await {
        drop(spool(&*store, b"given up").await);
        let future = (SystemTime::now() + Duration::from_secs(3600)).into();
        let sweep = TempSweep { mode: SweepMode::Count, unused_before: future, any_before: future, uploads: true };
        assert_eq!(store.sweep_temp(&sweep).await.unwrap(), 0, "{name}");
        assert_eq!(store.list(None, 10).await.unwrap(), [], "{name}");
    }
}

#[tokio::test]
async fn a_whole_file_can_be_taken_in() {
    for Engine { name, store, .. } in engines().await {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&prose(500_000)).unwrap();
        let key = key();
        store.put(&key, spool_file(&*store, file).await.unwrap()).await.unwrap();
        assert_eq!(read(&*store, &key, None).await.unwrap(), prose(500_000), "{name}");
    }
}

#[tokio::test]
async fn content_stands_compressed_only_where_that_saves_more_than_a_tenth() {
    for Engine { name, store, .. } in engines().await {
        let prose_piece = put_piece(&*store, &prose(1 << 20)).await;
        assert_eq!((prose_piece.encoding, prose_piece.size), (Encoding::Zstd, 1 << 20), "{name}");
        assert!(prose_piece.stored_size < 1 << 19, "{name}");
        for content in [noise(1 << 20), noise(0), b"short".to_vec()] {
            let piece = put_piece(&*store, &content).await;
            let size = content.len() as u64;
            assert_eq!((piece.encoding, piece.size, piece.stored_size), (Encoding::Raw, size, size), "{name}");
        }
    }
}

#[tokio::test]
async fn pieces_read_as_one_file_in_every_range() {
    for Engine { name, store, .. } in engines().await {
        let (compressed, raw) = (prose(600_000), noise(300_000));
        let (first, second) = (put_piece(&*store, &compressed).await, put_piece(&*store, &raw).await);
        let empty = put_piece(&*store, b"").await;
        let pieces = [first.clone(), second.clone(), empty, first, second];
        let content = [&compressed[..], &raw, &compressed, &raw].concat();
        let size = content.len() as u64;
        let edges = [0, 1, 262_144, 599_999, 600_000, 600_001, 899_999, 900_000, 1_200_000, size - 1, size];
        for start in edges {
            for end in edges.into_iter().filter(|end| *end >= start) {
                let expected = &content[start as usize..end as usize];
                let read = read_all(&store, &pieces, start..end).await.unwrap();
                assert!(read == expected, "{name} {start}..{end} has {} bytes", read.len());
            }
        }
        assert_eq!(
            read_all(&store, &pieces, size - 3..size + 9).await.unwrap(),
            &content[content.len() - 3..],
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_piece_that_is_not_what_its_row_says_is_damaged() {
    for Engine { name, store, .. } in engines().await {
        for content in [prose(600_000), noise(600_000)] {
            let piece = put_piece(&*store, &content).await;
            for (size, how) in [(599_999, "longer"), (600_001, "shorter")] {
                let wrong = BlobRef { size, ..piece.clone() };
                let error = read_all(&store, &[wrong], 0..size).await.unwrap_err();
                let said =
                    format!("the bytes of blob {} are damaged: its content is {how} than {size} bytes", piece.key);
                assert_eq!(error.to_string(), said, "{name}");
            }
        }
        let garbage = put(&*store, &noise(1000)).await;
        let row = BlobRef { key: garbage.to_string(), encoding: Encoding::Zstd, size: 5000, stored_size: 1000 };
        let error = read_all(&store, &[row], 0..5000).await.unwrap_err();
        assert!(matches!(error, BlobError::Damaged { .. }), "{name}: {error}");

        let mut frame = zstd::encode_all(&prose(5000)[..], 1).unwrap();
        frame.extend_from_slice(b"more");
        let key = put(&*store, &frame).await;
        let row = BlobRef { key: key.to_string(), encoding: Encoding::Zstd, size: 5000, stored_size: 0 };
        let error = read_all(&store, &[row], 0..5000).await.unwrap_err();
        assert_eq!(error.to_string(), format!("the bytes of blob {key} are damaged: something follows its frame"));
    }
}

#[tokio::test]
async fn faults_hit_what_they_were_told_to_and_can_be_healed() {
    let folder = tempfile::tempdir().unwrap();
    let failing = Failing::wrap(Arc::new(Memory::open(folder.path()).unwrap()));
    let store: Arc<dyn BlobStore> = Arc::new(failing.clone());
    let content = prose(100_000);
    let (piece, other) = (put_piece(&*store, &content).await, put_piece(&*store, &content).await);
    let blob = BlobKey::from_row(&piece.key);

    for (fault, said) in [
        (Fault::Lost(blob.clone()), "missing"),
        (Fault::Flipped(blob.clone()), "damaged"),
        (Fault::Shortened(blob.clone()), "damaged"),
        (Fault::OpenBroken(1), "broken on purpose"),
    ] {
        failing.inject(fault);
        let error = read_all(&store, std::slice::from_ref(&piece), 0..100_000).await.unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(read_all(&store, std::slice::from_ref(&other), 0..100_000).await.unwrap(), content);
        failing.heal();
        assert_eq!(read_all(&store, std::slice::from_ref(&piece), 0..100_000).await.unwrap(), content);
    }

    failing.inject(Fault::Full(1));
    let full = store.put(&key(), spool(&*store, b"x").await).await.unwrap_err();
    assert_eq!(full.to_string(), "the volume for blobs is full");
    put(&*store, b"x").await;

    failing.hold_puts();
    let held = tokio::spawn({
        let store = Arc::clone(&store);
        async move { put(&*store, b"held").await }
    });
    tokio::task::yield_now().await;
    assert!(!held.is_finished());
    failing.heal();
    assert_eq!(read(&*store, &held.await.unwrap(), None).await.unwrap(), b"held");
}
