//! debuginfod's `metadata`: what there is of a build or under a name, and nothing of anybody else.

use reqwest::Method;
use serde_json::{Value, json};
use symdepot::types::Scope;

use super::{BUILD_ID, with_calc};
use crate::support::records::Record;
use crate::support::server::TestServer;

async fn ask(server: &TestServer, token: &str, base: &str, key: &str, value: &str) -> Value {
    let path = format!("/symbols/{base}/metadata");
    let request = server.request_as(token, Method::GET, &path).query(&[("key", key), ("value", value)]);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200, "{key} {value}");
    assert_eq!(answer.headers()["content-type"], "application/json");
    answer.json().await.unwrap()
}

#[tokio::test]
async fn files_are_listed_by_build_id_name_and_pattern() {
    let server = with_calc().await;
    let ask = async |key: &str, value: &str| {
        let answer = ask(&server, &server.account.token, "default/default", key, value).await;
        assert_eq!(answer["complete"], true);
        answer["results"].clone()
    };
    let companion = json!({ "type": "debuginfo", "buildid": BUILD_ID, "file": "calc.debug" });
    let program = json!({ "type": "executable", "buildid": BUILD_ID, "file": "calc" });
    let both = json!([companion, program]);
    assert_eq!(ask("buildid", BUILD_ID).await, both);
    assert_eq!(ask("buildid", &BUILD_ID.to_uppercase()).await, both);
    assert_eq!(ask("buildid", "00").await, json!([]));
    assert_eq!(ask("file", "calc").await, json!([program]));
    assert_eq!(ask("file", "/usr/bin/calc").await, json!([program]), "uploads come without their folders");
    assert_eq!(ask("file", "cal%").await, json!([]));
    assert_eq!(ask("glob", "calc*").await, both);
    assert_eq!(ask("glob", "/usr/*/c?lc").await, json!([program]));
    assert_eq!(ask("glob", "[a-c]alc.[^x]*").await, json!([companion]));
    assert_eq!(ask("glob", "CALC").await, json!([]));
    assert_eq!(ask("glob", "[").await, json!([]));
}

#[tokio::test]
async fn only_what_the_asker_may_read_is_listed() {
    let server = with_calc().await;
    let other = server.add_project("other").await;
    let record =
        Record { code_id: Some("abcd".to_owned()), ..Record::new("hidden", "3249d99d-0c40-4931-8610-f4e4fb0b6936") };
    server.put_file(&other, record).await;
    let organization = &server.account.organization;
    let limited = server.add_token(organization, &[Scope::SymbolsRead], &[&server.account.project]).await;
    let all = server.add_token(organization, &[Scope::SymbolsRead], &[]).await;
    for (token, base, found) in
        [(&limited, "default", 0), (&limited, "default/default", 0), (&all, "default", 1), (&all, "default/other", 1)]
    {
        for (key, value) in [("buildid", "abcd"), ("file", "hidden"), ("glob", "hid*")] {
            let answer = ask(&server, token, base, key, value).await;
            assert_eq!(answer["results"].as_array().unwrap().len(), found, "{base} {key}: {answer}");
        }
    }
    let anonymous = server.request(Method::GET, "/symbols/default/default/metadata?key=glob&value=*");
    assert_eq!(anonymous.send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_question_of_another_form_is_refused_with_a_sentence() {
    let server = TestServer::start().await;
    for query in ["", "?key=file", "?value=x", "?key=size&value=x"] {
        let answer = server.get(&format!("/symbols/default/default/metadata{query}")).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{query}");
        let said = answer.json::<Value>().await.unwrap();
        assert!(said["detail"].as_str().is_some_and(|detail| detail.contains("key=buildid")), "{query}: {said}");
    }
}
