//! What people ask before they upload: who am I, which organizations, which projects. And that a token alone, without
//! URL and organization, leads the client to its server.

use std::ffi::OsString;

use super::desk::{Desk, VERSIONS, at_every_desk, first_account};
use super::screen::{prepared, processed, uploaded};
use crate::support::fixtures;
use crate::support::process::TestProcess;

#[tokio::test]
async fn info_says_what_a_token_may_do() {
    at_every_desk(async |_, desk| {
        desk.client(["info"]).run().await.succeeds(&(configuration(&desk) + "  Scopes:\n    - org:ci\n"));
    })
    .await;
}

#[tokio::test]
async fn info_says_that_a_token_is_bad() {
    at_every_desk(async |_, desk| {
        let screen = desk.client(["info"]).with("SENTRY_AUTH_TOKEN", &"0".repeat(64)).run().await;
        if desk.version == "2.14.2" {
            screen.says(1, &(configuration(&desk) + "  (failure on authentication: API request failed)\n"));
        } else {
            let error = "API request failed\n  caused by: sentry reported an error: Invalid token (http status: 401)";
            screen.gives_up(configuration(&desk).trim_end(), error);
        }
    })
    .await;
}

#[tokio::test]
async fn projects_and_organizations_are_listed() {
    at_every_desk(async |_, desk| {
        let project = desk.account.project.id;
        desk.client(["projects", "list"]).run().await.succeeds(&format!(
            "\
+----+------+------+------+
| ID | Slug | Team | Name |
+----+------+------+------+
| {project:<2} | app  | -    | app  |
+----+------+------+------+"
        ));
        let organization = &desk.account.organization;
        let (id, slug) = (organization.id, &organization.slug);
        let (day, line) = (organization.created_at.format("%Y-%m-%d"), "-".repeat(slug.len()));
        desk.client(["organizations", "list"]).run().await.succeeds(&format!(
            "\
+----+-{line}-+-{line}-+--------------+---------------+--------------+
| ID | {name:<width$} | {title:<width$} | Date Created | Early Adopter | Requires 2FA |
+----+-{line}-+-{line}-+--------------+---------------+--------------+
| {id:<2} | {slug} | {slug} | {day}   | false         | false        |
+----+-{line}-+-{line}-+--------------+---------------+--------------+",
            name = "Name",
            title = "Slug",
            width = slug.len(),
        ));
    })
    .await;
}

/// The head of what `info` prints.
fn configuration(desk: &Desk) -> String {
    format!(
        "Sentry Server: <url>\nDefault Organization: {}\nDefault Project: {}\n\nAuthentication Info:\n  \
         Method: Auth Token\n",
        desk.account.organization.slug, desk.account.project.slug
    )
}

#[tokio::test]
async fn a_token_alone_leads_to_its_server_and_organization() {
    at_every_desk(async |server, desk| {
        if desk.version == "2.14.2" {
            // It does not look into tokens; with a URL and an organization it takes this one as any other.
            return;
        }
        let files = ["elf-x86_64-gcc-dwarf4/calc.debug"].map(fixtures::path);
        let upload = desk.upload(&["--wait"], &files).without("SENTRY_URL").without("SENTRY_ORG");
        upload.run().await.took(&["4ec932a9-e89a-f8cd-96b5-496a980e4efe (calc.debug; x86_64 debug companion)"]);
        assert_eq!(desk.files(&server.http).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn ids_do_where_slugs_do() {
    at_every_desk(async |server, desk| {
        let files = ["elf-x86_64-gcc-dwarf4/calc.debug"].map(fixtures::path);
        // An organization in the token would win over the one that was typed.
        let upload = desk.upload(&["--wait"], &files).with("SENTRY_PROJECT", &desk.account.project.id.to_string());
        upload.run().await.took(&["4ec932a9-e89a-f8cd-96b5-496a980e4efe (calc.debug; x86_64 debug companion)"]);
        assert_eq!(desk.files(&server.http).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn old_clients_may_present_the_token_as_an_api_key() {
    at_every_desk(async |server, desk| {
        if desk.is_new() {
            // It has no such thing.
            return;
        }
        let files = ["elf-x86_64-gcc-dwarf4/calc.debug"].map(fixtures::path);
        let upload = desk.upload(&["--wait"], &files).without("SENTRY_AUTH_TOKEN");
        let screen = upload.with("SENTRY_API_KEY", &desk.account.token).run().await;
        let end = "OK 4ec932a9-e89a-f8cd-96b5-496a980e4efe (calc.debug; x86_64 debug companion)";
        let text = prepared(1) + &uploaded(1) + &processed([end]);
        screen.succeeds(&match desk.version {
            "2.14.2" => text,
            _ => {
                text + "WARN [DEPRECTATION NOTICE] API key authentication and the `SENTRY_API_KEY` environment variable \
                        are deprecated. Please generate and set an auth token using `SENTRY_AUTH_TOKEN` instead."
            }
        });
        assert_eq!(desk.files(&server.http).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn the_lines_of_the_first_start_are_all_that_a_client_needs() {
    let server = TestProcess::start().await;
    let exports: Vec<_> = server
        .welcome
        .iter()
        .filter_map(|line| line.strip_prefix("export "))
        .map(|line| line.split_once('=').unwrap())
        .collect();
    let names: Vec<_> = exports.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["SENTRY_URL", "SENTRY_ORG", "SENTRY_PROJECT", "SENTRY_AUTH_TOKEN"]);
    let arguments = "debug-files upload --wait";
    assert_eq!(server.welcome.last().unwrap(), &format!("sentry-cli {arguments} PATH"));

    let desk = Desk::new(VERSIONS[0], &server.url, first_account(exports[3].1));
    let path = fixtures::path("elf-x86_64-gcc-dwarf4/calc.debug");
    let mut client = desk.client(arguments.split(' ').map(OsString::from).chain([path.into()]));
    for (name, value) in exports {
        client = client.with(name, value);
    }
    client.run().await.took(&["4ec932a9-e89a-f8cd-96b5-496a980e4efe (calc.debug; x86_64 debug companion)"]);
}
