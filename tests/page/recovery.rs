//! Connections that the server or the network ends, and what the page does next.

use std::net::SocketAddr;

use integration_tests::{
    ACCOUNTS, Browser, SESSION_OPENED, ServerFiles, ServerProcess, accounts, echoed, fixture,
    server_binary,
};
use proto::{close::CloseReason, message::SORRY};
use rustix::process::Signal;
use tokio::process::Command;

use crate::user_actions::{
    log_in, log_in_as_admin, open_page, send_message, shown_messages, shown_notes, wait_for_reply,
};

#[tokio::test]
#[ignore = "needs Chromium"]
async fn revoked_login_is_explained_and_not_retried() {
    let files = ServerFiles::with_admin("");
    let server = files.serve().await;
    let mut browser = open_page(&server).await;
    log_in_as_admin(&mut browser).await;
    files.overwrite(ACCOUNTS, &accounts(&[("admin", "another")]));
    browser.wait_for_text("#refused", "3000").await;
    let note = format!(
        "Closed with 3000 \"{}\": unauthorized.",
        CloseReason::PasswordChanged
    );
    assert_eq!(browser.text("#refused").await, note);
    assert_eq!(browser.text("#state").await, "closed");
    let does_not_return = "[data-of=return][data-when=no]";
    assert!(
        browser
            .text(does_not_return)
            .await
            .contains("does not reconnect")
    );
    assert_eq!(
        browser.value("[session.stage, session.socket]").await,
        serde_json::json!(["idle", null])
    );
    log_in(&mut browser, "admin", "another").await;
    browser.wait_for_text("#state", "connected as admin").await;
    assert_eq!(browser.problems().await, [""; 0]);
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn page_waits_for_the_time_in_the_reason() {
    let files = ServerFiles::with_admin("");
    let server = files.serve().await;
    let mut browser = open_page(&server).await;
    for (reason, seconds) in [
        ("server is shutting down, back in 7 s", 7),
        ("back in 65535 s", 600),
        ("back in 123456 s", 0),
        ("back in 7 s.", 0),
        ("back in -7 s", 0),
        ("server is shutting down", 0),
        ("", 0),
    ] {
        let wait = browser.value(&format!("backIn({reason:?})")).await;
        assert_eq!(wait, serde_json::json!(seconds), "{reason}");
    }
    log_in_as_admin(&mut browser).await;
    // Besides this time, the page waits for up to three seconds at random.
    browser
        .value("closed(session.socket, { code: 1001, reason: 'back in 60 s' })")
        .await;
    browser.wait_for_text("#countdown", "Attempt 1 in 6").await;
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn page_reconnects_after_a_restart() {
    let reason = CloseReason::ShuttingDown { back_in: 2 };
    let note = format!("closed: 1001 \"{reason}\", going away");
    assert_reconnects_after(Signal::TERM, &note).await;
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn page_reconnects_after_a_crash() {
    assert_reconnects_after(
        Signal::KILL,
        "closed: 1006, connection lost without a Close frame",
    )
    .await;
}

/// Ends a server by a signal and starts another at the same address. The page must report the loss,
/// reconnect and log in without user action.
async fn assert_reconnects_after(signal: Signal, note: &str) {
    let server = ServerProcess::start().await;
    let address = server.address;
    let mut browser = open_page(&server).await;
    log_in_as_admin(&mut browser).await;
    browser.type_text("half a mess").await;
    server.signal(signal);
    server.finish().await;
    browser.wait_for_text("#log", note).await;
    browser.wait_for_text("#state", "reconnecting").await;
    let mut server = start_at(address).await;
    browser.wait_for_text("#state", "connected as admin").await;
    let opened = server.log_line(SESSION_OPENED).await;
    assert!(opened.contains("user=admin"), "{opened}");
    assert_eq!(
        shown_messages(&mut browser, "sent").await,
        ["admin:••••••"; 2]
    );
    send_message(&mut browser, "age").await;
    wait_for_reply(&mut browser, &echoed("half a message")).await;
    assert_eq!(others(browser.problems().await), [""; 0]);
}

/// Starts a server with the defaults at the address of an earlier one.
async fn start_at(address: SocketAddr) -> ServerProcess {
    let mut command = Command::new(server_binary());
    command
        .arg("--config")
        .arg(fixture("server.toml"))
        .args(["--listen", &address.to_string()]);
    ServerProcess::spawn(command).await
}

/// Returns the problems that are not due to an unreachable server, which the browser logs.
fn others(mut problems: Vec<String>) -> Vec<String> {
    let of_those = ["ERR_CONNECTION_REFUSED", "503 (Service Unavailable)"];
    problems.retain(|problem| !of_those.iter().any(|it| problem.contains(it)));
    problems
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn too_many_wrong_logins_are_not_retried() {
    let server = ServerProcess::start().await;
    let mut browser = open_page(&server).await;
    for number in 1..=6 {
        log_in(&mut browser, "admin", "wrong").await;
        wait_for_sorry(&mut browser, number).await;
    }
    browser.wait_for_text("#refused", "3000").await;
    assert_eq!(
        shown_notes(&mut browser).await,
        [
            "connected to /",
            "closed: 3000 \"too many wrong logins\", unauthorized"
        ]
    );
    assert_eq!(browser.value("session.stage").await, "idle");
}

async fn wait_for_sorry(browser: &mut Browser, number: usize) {
    let count = format!("document.querySelectorAll('#log > .received').length === {number}");
    browser.wait_for(&count).await;
    assert_eq!(
        shown_messages(browser, "received").await.last().unwrap(),
        SORRY
    );
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn unknown_path_is_explained_and_not_retried() {
    let server = ServerProcess::start().await;
    let mut browser = open_page(&server).await;
    browser
        .value("document.getElementById('path').value = '/nowhere'")
        .await;
    log_in(&mut browser, "admin", "123456").await;
    browser
        .wait_for_text(
            "#refused",
            "Not connected: the server answered 404, there is nothing at this path.",
        )
        .await;
    assert_eq!(browser.value("session.stage").await, "idle");
    assert_eq!(
        shown_notes(&mut browser).await,
        ["not connected: the server answered 404, there is nothing at this path"]
    );
    let of_close = "document.getElementById('step-close').className";
    assert_eq!(browser.value(of_close).await, "", "nothing was closed");
    // Paths typed in this tab are offered again.
    let paths = "Array.from(document.getElementById('paths').options, (path) => path.value)";
    assert_eq!(
        browser.value(paths).await,
        serde_json::json!(["/", "/nowhere"])
    );
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn login_timeout_keeps_the_typed_password() {
    let server = ServerProcess::start_with("[login]\ndeadline = \"2s\"").await;
    let mut browser = open_page(&server).await;
    log_in(&mut browser, "admin", "wrong").await;
    browser.wait_for_text("#refused", SORRY).await;
    browser.type_text("123").await;
    browser.wait_for_text("#refused", "3008").await;
    browser.type_text("456").await;
    browser.press("Enter", 0).await;
    browser.wait_for_text("#state", "connected as admin").await;
    assert_eq!(browser.problems().await, [""; 0]);
}
