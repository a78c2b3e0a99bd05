//! Revocations by an operator: their file, their list, and their end.

use integration_tests::{
    ACCOUNTS, ADMIN, CONFIGURATION, LoginMethod, ServerFiles, ServerProcess, accounts, ctl, ctl_ok,
    run,
};
use rustix::process::Signal;

const REVOKED: &str =
    "logins of jane revoked until the credential changes or `ctl allow`; 0 sessions ended\n";

const FORGOTTEN: &str = "a restart of the server forgets this: set login.revocations_file, or \
                         remove the user from the credentials file\n";

fn files(file: &str) -> ServerFiles {
    let users = accounts(&[("admin", "123456"), ("jane", "x")]);
    ServerFiles::new(&format!("{ADMIN}{file}"), &users)
}

/// Kills a server, so that it cannot write anything at its end, and starts another one.
async fn restart(server: ServerProcess, files: &ServerFiles) -> ServerProcess {
    server.signal(Signal::KILL);
    server.finish().await;
    files.serve().await
}

/// A revocation that ended with the process let a revoked user in again after each crash.
#[tokio::test]
async fn revocation_in_file_survives_kill() {
    let files = files("[login]\nrevocations_file = \"revocations.toml\"\n");
    let server = files.serve().await;
    assert_eq!(ctl_ok(&files, &["revoke", "jane"]).await, REVOKED);
    let mut server = restart(server, &files).await;
    server.log_line("logins of 1 user are revoked").await;
    LoginMethod::Message
        .assert_rejected(&server, "jane:x")
        .await;
    let table = ctl_ok(&files, &["revocations"]).await;
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0], ["USER", "SINCE", "BY"]);
    assert_eq!(rows[1][0], "jane", "{table}");
    assert!(rows[1][2].starts_with("uid:"), "{table}");

    let said = ctl_ok(&files, &["allow", "jane"]).await;
    assert_eq!(said, "logins of jane allowed again\n");
    let again = ctl(&files, &["allow", "jane"]).await;
    assert_eq!(
        (again.code, &*again.stderr),
        (
            Some(1),
            "ws-server: the logins of `jane` are not revoked: `ws-server ctl revocations` lists \
             those that are\n"
        )
    );
    let server = restart(server, &files).await;
    LoginMethod::Message.log_in(&server, "jane:x").await;
    assert_eq!(ctl_ok(&files, &["revocations"]).await, "no revocations\n");
}

#[tokio::test]
async fn changed_credential_ends_revocation_in_file() {
    let files = files("[login]\nrevocations_file = \"revocations.toml\"\n");
    let mut server = files.serve().await;
    ctl_ok(&files, &["revoke", "jane"]).await;
    files.replace(ACCOUNTS, &accounts(&[("admin", "123456"), ("jane", "y")]));
    let line = server.log_line("revocation lapsed").await;
    assert!(
        line.contains("event=revocation_lapsed user=\"jane\""),
        "{line}"
    );
    server.log_line("reloaded").await;
    // The old password again, which was revoked once.
    files.replace(ACCOUNTS, &accounts(&[("admin", "123456"), ("jane", "x")]));
    server.log_line("reloaded").await;
    let server = restart(server, &files).await;
    LoginMethod::Message.log_in(&server, "jane:x").await;
}

#[tokio::test]
async fn revocation_without_file_says_restart_forgets() {
    let files = files("");
    let _server = files.serve().await;
    let said = ctl_ok(&files, &["revoke", "jane"]).await;
    assert_eq!(said, format!("{REVOKED}{FORGOTTEN}"));
}

/// The operator must learn it, and the user must be refused all the same.
#[tokio::test]
async fn unwritable_revocations_file_is_an_error() {
    let files = files("[login]\nrevocations_file = \"missing/revocations.toml\"\n");
    let server = files.serve().await;
    let failed = ctl(&files, &["revoke", "jane"]).await;
    let path = files.path("missing/revocations.toml");
    assert_eq!(failed.code, Some(1));
    assert_eq!(
        failed.stderr,
        format!(
            "ws-server: the logins of `jane` are revoked, but a restart would forget it: cannot \
             write {}: No such file or directory (os error 2)\n",
            path.display()
        )
    );
    LoginMethod::Message
        .assert_rejected(&server, "jane:x")
        .await;
}

#[tokio::test]
async fn malformed_revocations_file_prevents_start() {
    let files = files("[login]\nrevocations_file = \"revocations.toml\"\n");
    files.overwrite("revocations.toml", "[[revocation]]\nuser = \"jane\"\n");
    let finished = run(ServerProcess::command(&files.path(CONFIGURATION)), "").await;
    assert_eq!(finished.code, Some(2));
    assert!(
        finished
            .stderr
            .ends_with("revocations.toml: line 1: the key `credential` is missing\n"),
        "{finished:?}"
    );
}
