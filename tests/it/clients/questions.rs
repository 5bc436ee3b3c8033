//! What people ask before they upload: who am I, which organizations, which projects. And that a token alone, without
//! URL and organization, leads the client to its server.

use super::desk::{Desk, at_every_desk};
use crate::support::fixtures;

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
