//! The login that a path requires, as the server describes it to the page.

use integration_tests::{
    Browser, CONFIGURATION, SESSION_OPENED, ServerFiles, ServerProcess, accounts,
};
use raw_peer::{HANDSHAKE, RawPeer, frame};
use rustix::process::Signal;
use serde_json::json;
use tokio::net::TcpStream;

use crate::user_actions::{log_in, open_page, send_message, shown_messages, shown_notes};

const ROUTES: &str = "[[route]]\npath = \"/\"\nservice = \"echo\"\n\
                      [[route]]\npath = \"/room/*\"\nservice = \"room\"\n\
                      [[route]]\npath = \"/status\"\nservice = \"room\"\npublic = true\n";

fn files() -> ServerFiles {
    ServerFiles::with_admin(ROUTES)
}

/// Joins the public room as a guest.
async fn join(server: &ServerProcess) -> RawPeer<TcpStream> {
    let mut guest = server.connect().await;
    guest
        .send(HANDSHAKE.replace("GET / ", "GET /status "))
        .await;
    assert!(guest.head().await.starts_with("HTTP/1.1 101 "));
    guest.send(frame::text("here")).await;
    guest.text().await;
    guest
}

/// Returns the text of the note below the path.
async fn path_note(browser: &mut Browser) -> String {
    browser.text("#path-note").await
}

async fn is_hidden(browser: &mut Browser, id: &str) -> bool {
    let hidden = format!("document.getElementById({}).hidden", json!(id));
    browser.value(&hidden).await == json!(true)
}

/// Sets the path as a user who does not leave the field.
async fn set_path(browser: &mut Browser, path: &str) {
    let set = format!("document.getElementById('path').value = {}", json!(path));
    browser.value(&set).await;
}

/// Former fault: the page sent `name:password` to everybody in a public room, and into its history.
#[tokio::test]
#[ignore = "needs Chromium"]
async fn public_path_gets_no_credentials() {
    let server = files().serve().await;
    let mut guest = join(&server).await;
    let mut browser = open_page(&server).await;
    // At once, before the page can have asked about the path by itself.
    let submit = "(() => {
        const entries = { path: '/status', name: 'admin', password: '123456' };
        for (const [id, value] of Object.entries(entries)) {
            document.getElementById(id).value = value;
        }
        document.getElementById('login').requestSubmit();
    })()";
    browser.value(submit).await;
    browser
        .wait_for_text("#state", "connected, without a login")
        .await;
    assert_eq!(browser.value("session.credentials").await, json!(null));
    send_message(&mut browser, "hello").await;
    let text = guest.text().await;
    assert!(text.contains("\"text\":\"hello\""), "{text}");
    assert_eq!(shown_messages(&mut browser, "sent").await, ["hello"]);
    let explained = "document.querySelector('[data-of=login]:not([hidden])').dataset.when";
    assert_eq!(browser.value(explained).await, "none");
    assert_eq!(browser.problems().await, [""; 0]);
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn page_at_public_path_asks_for_no_login() {
    let server = files().serve().await;
    let mut browser = Browser::start().await;
    browser
        .open(&format!("http://{}/status?from=mail", server.address))
        .await;
    browser
        .wait_for_text("#path-note", "This path is public")
        .await;
    assert!(is_hidden(&mut browser, "credentials").await);
    assert_eq!(
        browser.value("document.getElementById('path').value").await,
        "/status?from=mail"
    );
    assert_eq!(browser.value("document.activeElement.id").await, "connect");
    browser.press("Enter", 0).await;
    browser
        .wait_for_text("#state", "connected, without a login")
        .await;
    assert_eq!(browser.problems().await, [""; 0]);
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn form_follows_the_path() {
    let server = files().serve().await;
    let mut browser = open_page(&server).await;
    for (path, note, is_public) in [
        (
            "/status",
            "This path is public: no name and no password are sent.",
            true,
        ),
        ("/room/lobby", "", false),
        (
            "/nowhere",
            "The server answered 404, there is nothing at this path.",
            false,
        ),
    ] {
        set_path(&mut browser, path).await;
        browser.value("preview()").await;
        assert_eq!(path_note(&mut browser).await, note, "{path}");
        assert_eq!(
            is_hidden(&mut browser, "credentials").await,
            is_public,
            "{path}"
        );
    }
    // An edited path is unknown again.
    set_path(&mut browser, "/status").await;
    browser.value("preview()").await;
    browser
        .value("document.getElementById('path').focus()")
        .await;
    browser.type_text("x").await;
    assert!(!is_hidden(&mut browser, "credentials").await);
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn missing_credentials_are_asked_for() {
    let mut server = files().serve().await;
    let mut browser = open_page(&server).await;
    log_in(&mut browser, "admin", "").await;
    browser
        .wait_for_text("#refused", "This path requires a name and a password.")
        .await;
    assert_eq!(shown_notes(&mut browser).await, [""; 0]);
    log_in(&mut browser, "admin", "123456").await;
    browser.wait_for_text("#state", "connected as admin").await;
    let opened = server.log_line(SESSION_OPENED).await;
    assert!(opened.contains("user=admin"), "{opened}");
    assert_eq!(browser.problems().await, [""; 0]);
}

/// The page holds credentials, and the path becomes public while it reconnects.
#[tokio::test]
#[ignore = "needs Chromium"]
async fn reconnect_asks_for_the_login_again() {
    let files = files();
    let server = files.serve().await;
    let address = server.address.to_string();
    let mut browser = Browser::start().await;
    browser.open(&format!("http://{address}/room/lobby")).await;
    log_in(&mut browser, "admin", "123456").await;
    browser.wait_for_text("#state", "connected as admin").await;
    server.signal(Signal::KILL);
    server.finish().await;
    browser.wait_for_text("#state", "reconnecting").await;
    let public = ROUTES.replace("path = \"/room/*\"", "path = \"/room/*\"\npublic = true");
    files.overwrite(CONFIGURATION, &public);
    let server = ServerProcess::spawn(files.command_with(&["--listen", &address])).await;
    browser
        .wait_for_text("#state", "connected, without a login")
        .await;
    assert_eq!(shown_messages(&mut browser, "sent").await, ["admin:••••••"]);
    assert_eq!(browser.value("session.credentials").await, json!(null));
    drop(server);
}

const REQUIRED: &str = "[login]\nbasic = \"required\"\n";

/// The browser takes the name and the password from the URL of the WebSocket.
#[tokio::test]
#[ignore = "needs Chromium"]
async fn required_basic_login_is_in_the_handshake() {
    const PASSWORD: &str = "a:b %/@ü";
    let files = ServerFiles::new(REQUIRED, &accounts(&[("jürgen", PASSWORD)]));
    let mut server = files.serve().await;
    let mut browser = open_page(&server).await;
    browser
        .wait_for_text("#path-note", "requires the login in the handshake")
        .await;
    log_in(&mut browser, "jürgen", "wrong").await;
    browser
        .wait_for_text("#refused", "Not connected: the handshake failed.")
        .await;
    browser.wait_for_text("#refused", "Safari").await;
    assert_eq!(
        browser
            .value("document.getElementById('password').value")
            .await,
        ""
    );
    let failed = server.log_line("login_failed").await;
    assert!(failed.contains("method=basic"), "{failed}");
    // A wrong password is not repeated.
    assert_eq!(browser.value("session.stage").await, "idle");

    log_in(&mut browser, "jürgen", PASSWORD).await;
    browser.wait_for_text("#state", "connected as jürgen").await;
    let opened = server.log_line(SESSION_OPENED).await;
    assert!(opened.contains("user=jürgen"), "{opened}");
    let explained = browser.text("[data-of=login][data-when=basic]").await;
    assert!(explained.contains("Authorization"), "{explained}");
    send_message(&mut browser, "hello").await;
    browser
        .wait_for_text("#log", "your submit context: hello")
        .await;
    assert_eq!(shown_messages(&mut browser, "sent").await, ["hello"]);

    // The page logs in again by itself.
    let address = server.address.to_string();
    server.signal(Signal::TERM);
    server.finish().await;
    browser.wait_for_text("#state", "reconnecting").await;
    let mut server = ServerProcess::spawn(files.command_with(&["--listen", &address])).await;
    browser.wait_for_text("#state", "connected as jürgen").await;
    server.log_line(SESSION_OPENED).await;
}

/// A page of another origin learns neither the description nor whether a path exists.
#[tokio::test]
#[ignore = "needs Chromium"]
async fn page_of_another_origin_learns_nothing() {
    let (server, other) = (files().serve().await, files().serve().await);
    let mut browser = Browser::start().await;
    // A refusal has no content security policy, so only the other origin stops the page.
    browser
        .open(&format!("http://{}/nowhere", other.address))
        .await;
    for path in ["/status", "/nowhere"] {
        let url = format!("http://{}{path}", server.address);
        for (mode, learned) in [("cors", "refused"), ("no-cors", "opaque 0 ")] {
            let read = format!(
                "fetch('{url}', {{ mode: '{mode}', headers: {{ Accept: 'application/json' }} }}).then(
                    async (it) => `${{it.type}} ${{it.status}} ${{await it.text()}}`,
                    () => 'refused')"
            );
            assert_eq!(browser.value(&read).await, learned, "{mode} {path}");
        }
    }
}

/// Former fault: a timer of more than 24 days ends at once, so the page asked without a pause.
#[tokio::test]
#[ignore = "needs Chromium"]
async fn absurd_retry_after_is_bounded() {
    let server = ServerProcess::start().await;
    let mut browser = open_page(&server).await;
    for (seconds, expected) in [
        ("2", 2),
        ("9999999999", 3600),
        ("-5", 0),
        ("Infinity", 3600),
        ("Sat, 28 Nov 2026 00:00:00 GMT", 0),
    ] {
        let response = format!(
            "answerOf(new Response(\"\", {{ status: 503, headers: {{ \"Retry-After\": {} }} }}), \"\")",
            json!(seconds)
        );
        let least = browser.value(&format!("{response}.least")).await;
        assert_eq!(least, json!(expected), "{seconds}");
    }
}
