//! What people see when something is refused: the reason stands on the screen and says what to do.

use symdepot::types::{Policy, Quota, Scope};

use super::desk::{at_every_desk, at_every_desk_of};
use super::screen::{prepared, processed, uploaded};
use crate::support::fixtures;
use crate::support::server::TestServer;

/// What the converter says of `hostile/elf-zlib-chsize-huge.debug`.
const BROKEN: &str = "ERROR elf-zlib-chsize-huge.debug\n        The file cannot be converted: its section .debug_info \
                      says that it inflates to 36028797018963968 bytes, which 360 compressed bytes cannot.";

const SOME_FAILED: &str = "\nError: some symbols did not process correctly";

#[tokio::test]
async fn a_broken_file_fails_with_its_reason_on_the_screen() {
    at_every_desk(async |server, desk| {
        let files = ["hostile/elf-zlib-chsize-huge.debug"].map(fixtures::path);
        let broken = processed([BROKEN]) + SOME_FAILED;
        desk.upload(&["--wait"], &files).run().await.says(1, &(prepared(1) + &uploaded(1) + &broken));
        // It is kept and its reason remembered: whoever comes again hears it without sending a byte, waiting or not.
        for options in [&["--wait"][..], &[]] {
            desk.upload(options, &files).run().await.says(1, &(prepared(1) + &broken));
        }
        assert_eq!(desk.files(&server.http).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn good_files_are_taken_beside_a_broken_one() {
    at_every_desk(async |server, desk| {
        let files = ["hostile/pdb-alloc-abort.pdb", "elf-x86_64-gcc-dwarf4/calc.debug"].map(fixtures::path);
        let ends = processed([
            "OK 4ec932a9-e89a-f8cd-96b5-496a980e4efe (calc.debug; x86_64 debug companion)",
            "ERROR pdb-alloc-abort.pdb\n        The file cannot be converted: it needs more than 4096 MiB of memory \
             (setting `converter.memory`).",
        ]);
        let screen = desk.upload(&["--wait"], &files).run().await;
        screen.says(1, &(prepared(2) + &uploaded(2) + &ends + SOME_FAILED));
        let id = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";
        assert_eq!(desk.frames(&server.http, id, 0x1129).await, ["main @ /src/fixture/main.c:3"]);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_looked_up_in_a_good_file_is_said_beside_it() {
    at_every_desk(async |_, desk| {
        let files = ["elf-x86_64-clang-dwarf5-splitdwarf/calc"].map(fixtures::path);
        desk.upload(&["--wait"], &files).run().await.took(&[
            "9eab3f27-f961-0865-7a57-9c421e22f821 (calc; x86_64 library)\n        The debug information of this file \
             was split off into .dwo files, which cannot be read here: only function names are known there, no source \
             files, lines or inlined functions. Build without -gsplit-dwarf and upload the file again.",
        ]);
    })
    .await;
}

#[tokio::test]
async fn a_token_that_nobody_knows_is_refused() {
    at_every_desk(async |_, desk| {
        let files = ["breakpad"].map(fixtures::path);
        let unknown = "0".repeat(64);
        let error = "API request failed\n  caused by: sentry reported an error: Invalid token (http status: 401)";
        desk.upload(&["--wait"], &files).with("SENTRY_AUTH_TOKEN", &unknown).run().await.gives_up("", error);
        desk.client(["projects", "list"]).with("SENTRY_AUTH_TOKEN", &unknown).run().await.gives_up("", error);
        desk.client(["organizations", "list"]).with("SENTRY_AUTH_TOKEN", &unknown).run().await.gives_up("", error);
    })
    .await;
}

#[tokio::test]
async fn a_token_is_told_which_scope_it_lacks() {
    at_every_desk(async |server, desk| {
        let files = ["breakpad"].map(fixtures::path);
        let lacking = |scope, others| {
            format!(
                "API request failed\n  caused by: sentry reported an error: You do not have permission to perform this \
                 action. The token lacks the scope {scope} (or one of {others}). (http status: 403)"
            )
        };
        let reader = server.add_token(&desk.account.organization, &[Scope::ProjectRead], &[]).await;
        let screen = desk.upload(&["--wait"], &files).with("SENTRY_AUTH_TOKEN", &reader).run().await;
        let error = lacking("org:ci", "project:write, project:releases, project:admin");
        screen.gives_up(prepared(3).trim_end(), &error);

        let debugger = server.add_token(&desk.account.organization, &[Scope::SymbolsRead], &[]).await;
        let screen = desk.upload(&["--wait"], &files).with("SENTRY_AUTH_TOKEN", &debugger).run().await;
        screen.gives_up("", &lacking("project:read", "project:write, project:admin, project:releases, org:ci"));
    })
    .await;
}

#[tokio::test]
async fn a_project_that_is_not_there_or_not_the_tokens_own_is_not_found() {
    at_every_desk(async |server, desk| {
        let files = ["breakpad"].map(fixtures::path);
        let error = match desk.version {
            "2.14.2" => "project not found",
            _ => "Project not found. Ensure that you configured the correct project and organization.",
        };
        let nowhere = desk.upload(&["--wait"], &files).with("SENTRY_PROJECT", "nowhere").run().await;
        nowhere.gives_up(prepared(3).trim_end(), error);

        let own = &desk.account;
        let other = server.app.db.create_project(own.organization.id, "other", server.app.clock.now()).await.unwrap();
        let token = server.add_token(&own.organization, &[Scope::OrgCi], &[&other]).await;
        let foreign = desk.upload(&["--wait"], &files).with("SENTRY_AUTH_TOKEN", &token).run().await;
        foreign.gives_up(prepared(3).trim_end(), error);
        assert_eq!(desk.files(&server.http).await.len(), 0);
    })
    .await;
}

#[tokio::test]
async fn an_organization_that_is_not_the_tokens_own_is_not_found_or_not_used() {
    at_every_desk(async |server, desk| {
        let files = ["elf-x86_64-gcc-dwarf4/calc.debug"].map(fixtures::path);
        let screen = desk.upload(&["--wait", "--org", "nobody"], &files).run().await;
        if desk.version == "2.14.2" {
            screen.gives_up(
                prepared(1).trim_end(),
                "API request failed\n  caused by: sentry reported an error: The requested resource does not exist \
                 (http status: 404)",
            );
            assert_eq!(desk.files(&server.http).await.len(), 0);
            return;
        }
        let own = &desk.account.organization.slug;
        let end = "OK 4ec932a9-e89a-f8cd-96b5-496a980e4efe (calc.debug; x86_64 debug companion)";
        let warning = format!(
            "WARN Using organization `{own}` (embedded in token) rather than manually-configured organization \
             `nobody`. To use `nobody`, please provide an auth token for this organization."
        );
        screen.succeeds(&(prepared(1) + &uploaded(1) + &processed([end]) + &warning));
        assert_eq!(desk.files(&server.http).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_file_above_the_limit_is_not_sent() {
    let server = TestServer::builder().settings(|config| config.uploads.max_file_size = 1024).start().await;
    at_every_desk_of(&server, async |server, desk| {
        let files = ["breakpad/calc-elf.sym"].map(fixtures::path);
        let screen = desk.upload(&["--wait"], &files).run().await;
        match desk.version {
            // It leaves out what is too large, without a word.
            "2.14.2" => screen.succeeds("> Found 0 debug information files\n> No debug information files found"),
            _ => screen.gives_up(
                "",
                "Upload failed due to error in debug file calc-elf.sym: Debug file's size (1.47KB) exceeds the \
                 maximum allowed size (1.00KB)",
            ),
        }
        assert_eq!(desk.files(&server.http).await.len(), 0);
    })
    .await;
}

#[tokio::test]
async fn who_is_over_a_quota_reads_it_on_the_screen() {
    at_every_desk(async |server, desk| {
        let files = ["elf-x86_64-gcc-dwarf4/calc.debug"].map(fixtures::path);
        let slug = &desk.account.organization.slug;
        let advice = "Delete debug files that are not needed, or ask whoever runs the server to raise the quota.";
        let db = &server.app.db;
        let quota = Quota { bytes: Some(100), files: None };
        db.set_organization_quota(desk.account.organization.id, quota).await.unwrap();
        let screen = desk.upload(&["--wait"], &files).run().await;
        let sentence = format!(
            "The quota of {slug} is used up: it may have 100 bytes, 0 are taken, and this is too much. {advice}"
        );
        screen.gives_up(
            prepared(1).trim_end(),
            &format!("API request failed\n  caused by: sentry reported an error: {sentence} (http status: 400)"),
        );
        assert_eq!(desk.files(&server.http).await.len(), 0);

        db.set_organization_quota(desk.account.organization.id, Quota::default()).await.unwrap();
        let quota = Quota { bytes: None, files: Some(1) };
        db.set_policy(desk.account.project.id, &Policy { quota, ..Policy::default() }).await.unwrap();
        let both = ["elf-x86_64-gcc-dwarf4/calc.debug", "elf-i386-clang-dwarf4/calc.debug"].map(fixtures::path);
        desk.upload(&["--wait"], &files)
            .run()
            .await
            .took(&["4ec932a9-e89a-f8cd-96b5-496a980e4efe (calc.debug; x86_64 debug companion)"]);
        let screen = desk.upload(&["--wait"], &both).run().await;
        let sentence = format!("The quota of {slug}/app is used up: it may have 1 debug files and no more. {advice}");
        screen.says(1, &(prepared(2) + &processed([format!("ERROR calc.debug\n        {sentence}")]) + SOME_FAILED));
        assert_eq!(desk.files(&server.http).await.len(), 1);
    })
    .await;
}
