//! The whole story: two servers and two workers behind a proxy, the real client uploading through it, and one process
//! after the other killed and started again, round and round. Every upload ends well.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;

use super::CALC;
use crate::clients::desk::{Desk, VERSIONS};
use crate::support::cluster::{Cluster, Role};
use crate::support::proxy::Proxy;
use crate::support::symcaches::frames;
use crate::support::until;
use crate::support::uploads::Upload;

/// How often each process is killed.
const ROUNDS: usize = 3;

/// Files of one upload.
const FILES: u32 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_upload_of_the_real_client_ends_well_while_one_process_after_the_other_is_killed() {
    let proxy = Proxy::start().await;
    let settings = [("SYMDEPOT_PUBLIC_URL", proxy.url.as_str()), ("SYMDEPOT_JOBS__LEASE", "2s")];
    let mut cluster = Cluster::empty(&settings).await;
    cluster.add(&[Role::Server, Role::Server, Role::Worker, Role::Worker]).await;
    proxy.in_front_of(cluster.urls());
    let account = cluster.account();

    let over = AtomicBool::new(false);
    let uploader = |(desk_number, version): (u32, &'static str)| {
        let (desk, over) = (Desk::new(version, &proxy.url, account.clone()), &over);
        async move {
            let mut uploaded = Vec::new();
            for round in 0.. {
                let number = |file| desk_number * 1_000_000 + round * 1000 + file;
                let files: Vec<_> = (0..FILES).map(|file| Upload::fixture(CALC).another(number(file))).collect();
                let put = |(at, file): (usize, &Upload)| desk.put(&format!("{round}/{at}.debug"), &file.content);
                let paths: Vec<_> = files.iter().enumerate().map(put).collect();
                let screen = desk.upload(&["--wait"], &paths).run().await;
                screen.ended_well(files.len());
                uploaded.extend(files);
                if over.load(Ordering::Relaxed) {
                    return uploaded;
                }
            }
            unreachable!("it goes on until told to stop")
        }
    };
    let kills = async {
        for round in 0..ROUNDS {
            for at in 0..cluster.members.len() {
                // At another moment of the uploads each time.
                tokio::time::sleep(Duration::from_millis(150 + (round * 4 + at) as u64 * 37 % 200)).await;
                let met = proxy.trouble().0;
                cluster.members[at].kill().await;
                match cluster.members[at].role {
                    // It stays away until somebody wanted something of it: clients ask again and again.
                    Role::Server => {
                        until("a request meets the dead server", async || (proxy.trouble().0 > met).then_some(())).await
                    }
                    _ => tokio::time::sleep(Duration::from_millis(100)).await,
                }
                cluster.members[at].start().await;
                proxy.in_front_of(cluster.urls());
            }
        }
        over.store(true, Ordering::Relaxed);
    };
    // The oldest client does not come again when its first question finds nobody; the others do.
    let desks = (0u32..).zip([VERSIONS[0], VERSIONS[1]]);
    let (uploaded, ()) = tokio::join!(join_all(desks.map(uploader)), kills);

    let client = cluster.client_of(&proxy.url);
    for file in uploaded.iter().flatten() {
        let entry = client.peek(&client.account, file).await;
        assert_eq!(entry["state"], "ok", "{entry}");
    }
    let last = &uploaded[0][0];
    let entry = client.peek(&client.account, last).await;
    let behind = cluster.client_of(&cluster.urls()[0]);
    let bytes = behind.symcache_bytes(&behind.account, entry["dif"]["debugId"].as_str().unwrap()).await;
    assert_eq!(frames(&bytes, 0x1129), ["main @ /src/fixture/main.c:3"]);
    assert_eq!(cluster.lost().await, [""; 0]);
    let fsck = cluster.members[0].command().args(["fsck", "--deep", "--repair"]).output().await.unwrap();
    assert!(fsck.status.success(), "{fsck:?}");
}
