//! Who gets in, who does not, and what they are told.

use insta::assert_json_snapshot;

use crate::support::answer::whole;
use crate::support::server::TestServer;

#[tokio::test]
async fn without_a_token_nothing_opens() {
    let server = TestServer::start().await;
    let answer = server.request(reqwest::Method::GET, "/api/0/organizations/default/projects/").send().await.unwrap();
    assert_json_snapshot!(whole(answer).await);
}
