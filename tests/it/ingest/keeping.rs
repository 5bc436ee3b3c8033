//! Which events are stored and for how long; counts stay whatever goes.

use serde_json::json;
use symdepot::events::{ExpireMode, ExpiredEvents};

use super::{Sdk, error};
use crate::support::server::TestServer;

#[tokio::test]
async fn rules_take_events_away_and_leave_the_first_of_an_issue_and_every_count() {
    let server = TestServer::start().await;
    let sdk = Sdk::of(&server).await;
    sdk.set(json!({ "eventRetention": ["newest:2"] })).await;
    let first = sdk.digested(error("E", "v")).await;
    for _ in 0..5 {
        sdk.digested(error("E", "v")).await;
    }
    let gone = ExpiredEvents { events: 3, ..ExpiredEvents::default() };
    assert_eq!(server.app.events.expire(ExpireMode::DryRun).await.unwrap(), gone);
    assert_eq!(server.app.events.expire(ExpireMode::Remove).await.unwrap(), gone);
    assert_eq!(server.app.events.expire(ExpireMode::Remove).await.unwrap(), ExpiredEvents::default());
    let left = sdk.get(&format!("{}/events/", sdk.base())).await;
    assert_eq!(left.as_array().unwrap().len(), 3);
    assert_eq!(left[2]["id"], first["id"]);
    assert_eq!(sdk.count_of(&first).await, "6");
    sdk.set(json!({ "eventRetention": ["keep"], "quotaEvents": 2 })).await;
    assert_eq!(server.app.events.expire(ExpireMode::Remove).await.unwrap().events, 1);
    assert_eq!(sdk.count_of(&first).await, "6");
    assert_eq!(server.app.db.miscounted_issues().await.unwrap(), []);
}

#[tokio::test]
async fn with_decay_every_event_is_counted_and_fewer_are_stored() {
    let server = TestServer::start().await;
    let sdk = Sdk::of(&server).await;
    sdk.set(json!({ "eventSampling": "decay" })).await;
    let first = sdk.digested(error("E", "v")).await;
    for _ in 0..59 {
        sdk.store(error("E", "v")).await;
    }
    let outcomes = sdk.settled(60).await;
    assert_eq!((&outcomes["stored"], &outcomes["sampled"]), (&json!(55), &json!(5)));
    assert_eq!(sdk.count_of(&first).await, "60");
}

#[tokio::test]
async fn a_locked_database_costs_no_event() {
    let server = TestServer::start().await;
    let sdk = Sdk::of(&server).await;
    sdk.digested(error("E", "v")).await;
    // On SQLite nothing else can write now.
    let held = server.app.db.unit_of_work().await.unwrap();
    for _ in 0..20 {
        sdk.store(error("E", "v")).await;
    }
    drop(held);
    assert_eq!(sdk.settled(21).await["stored"], 21);
}
