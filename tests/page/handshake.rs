//! Handshakes that do not open a connection, and what the page says about them.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use integration_tests::{Browser, LoginMethod, ServerFiles, ServerProcess, admin_account};
use raw_peer::{HANDSHAKE, frame};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::user_actions::{log_in, open_page, shown_notes};

/// A server before which another one stands, as a proxy does: it answers some requests by itself.
struct Front {
    address: SocketAddr,
    /// The heads of all requests.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Front {
    /// Runs `visit` with a front of a server. `answer` returns its own answer to a request head, or
    /// the head to pass on.
    async fn run(
        server: &ServerProcess,
        answer: impl Fn(&str) -> Result<String, String>,
        visit: impl AsyncFnOnce(Front),
    ) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = Self {
            address: listener.local_addr().unwrap(),
            heads: Arc::default(),
        };
        let heads = Arc::clone(&front.heads);
        tokio::select! {
            never = Self::serve(listener, server.address, heads, answer) => match never {},
            () = visit(front) => {}
        }
    }

    async fn serve(
        listener: TcpListener,
        server: SocketAddr,
        heads: Arc<Mutex<Vec<String>>>,
        answer: impl Fn(&str) -> Result<String, String>,
    ) -> Infallible {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            // A browser may open a connection only to have one.
            if head.is_empty() {
                continue;
            }
            let head = String::from_utf8(head).unwrap();
            let answered = answer(&head);
            heads.lock().unwrap().push(head);
            let response = match answered {
                Ok(response) => response.into_bytes(),
                Err(head) => {
                    let mut upstream = TcpStream::connect(server).await.unwrap();
                    upstream.write_all(head.as_bytes()).await.unwrap();
                    let mut response = Vec::new();
                    upstream.read_to_end(&mut response).await.unwrap();
                    response
                }
            };
            let _ = stream.write_all(&response).await;
            let _ = stream.shutdown().await;
        }
    }

    async fn open(&self) -> Browser {
        let mut browser = Browser::start().await;
        browser.open(&format!("http://{}/", self.address)).await;
        browser
    }

    /// Returns true if a browser has asked for a WebSocket.
    fn has_handshake(&self) -> bool {
        let heads = self.heads.lock().unwrap();
        heads.iter().any(|head| is_handshake(head))
    }
}

fn is_handshake(head: &str) -> bool {
    head.contains("Upgrade: websocket\r\n")
}

fn asks_for_description(head: &str) -> bool {
    head.contains("Accept: application/json\r\n")
}

fn response(status: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// An older server, a proxy with a page of its own, a newer server, a redirect, a path of another
/// service.
#[tokio::test]
#[ignore = "needs Chromium"]
async fn server_without_description_gets_nothing() {
    const HTML: &str = "Content-Type: text/html\r\n";
    const JSON: &str = "Content-Type: application/json\r\n";
    const TEXT: &str = "Content-Type: text/plain; charset=utf-8\r\n";
    const UNSAID: &str = "the answer does not say which login this path requires";
    let server = ServerProcess::start().await;
    for (status, fields, body, shown) in [
        (
            "426 Upgrade Required",
            TEXT,
            "use Upgrade\n",
            format!("the server answered 426, {UNSAID}"),
        ),
        (
            "200 OK",
            HTML,
            "<h1>Hello</h1>",
            format!("the server answered 200, {UNSAID}"),
        ),
        (
            "200 OK",
            JSON,
            "null",
            format!("the server answered 200, {UNSAID}"),
        ),
        (
            "200 OK",
            JSON,
            "{\"login\":\"ticket\",\"messages\":[]}",
            format!("the server answered 200, {UNSAID}"),
        ),
        (
            "302 Found",
            "Location: https://login.example.org/\r\n",
            "",
            format!("the server answered with a redirect: {UNSAID}"),
        ),
        (
            "404 Not Found",
            HTML,
            "<h1>Oops</h1>",
            "the server answered 404".to_owned(),
        ),
    ] {
        let answer = |head: &str| {
            if asks_for_description(head) || is_handshake(head) {
                Ok(response(status, fields, body))
            } else {
                Err(head.to_owned())
            }
        };
        Front::run(&server, answer, async |front| {
            let mut browser = front.open().await;
            log_in(&mut browser, "admin", "123456").await;
            browser.wait_for_text("#refused", "Not connected").await;
            assert_eq!(
                browser.text("#refused").await,
                format!("Not connected: {shown}.")
            );
            assert_eq!(browser.value("session.stage").await, "idle");
            let unsent = "[data-of=handshake][data-when=unsent]";
            assert!(browser.text(unsent).await.contains("sent no handshake"));
            assert!(!front.has_handshake());
        })
        .await;
    }
}

/// The server sees another `Host` than the browser, so the page has a foreign origin.
#[tokio::test]
#[ignore = "needs Chromium"]
async fn proxy_that_changes_host_is_explained() {
    let mut server = ServerFiles::with_admin("").serve().await;
    let address = server.address;
    let answer = |head: &str| {
        let mut lines: Vec<_> = head.split("\r\n").collect();
        let host = format!("Host: {address}");
        for line in &mut lines {
            if line.starts_with("Host: ") {
                *line = &host;
            }
        }
        Err(lines.join("\r\n"))
    };
    Front::run(&server, answer, async |front| {
        let mut browser = front.open().await;
        log_in(&mut browser, "admin", "123456").await;
        browser.wait_for_text("#refused", "Not connected").await;
        assert_eq!(
            browser.text("#refused").await,
            "Not connected: the handshake failed. The server answers other requests, so a proxy in \
             between may remove the field Upgrade, or change the field Host. If Host is changed, the \
             log of the server names the origin of this page."
        );
        assert_eq!(
            shown_notes(&mut browser).await,
            ["not connected: the handshake failed"]
        );
        assert!(front.has_handshake());
        // It is explained as a handshake, and not as a close.
        let steps = "['handshake', 'close'].map((name) =>
            document.getElementById(`step-${name}`).className)";
        assert_eq!(browser.value(steps).await, json!(["done now", ""]));
        let failed = "[data-of=handshake][data-when=failed]";
        assert!(browser.text(failed).await.contains("asked the first question again"));
        assert!(
            browser
                .text("[data-fill=response]")
                .await
                .starts_with("200 OK\n\n{\"login\":\"message\"")
        );
    })
    .await;
    let warning = server.log_line("may not connect").await;
    assert!(warning.contains("allowed_origins"), "{warning}");
}

/// The handshake fails, and the second question has another answer than the first.
#[tokio::test]
#[ignore = "needs Chromium"]
async fn failed_handshake_is_explained_by_next_answer() {
    let server = ServerProcess::start().await;
    let is_open = Mutex::new(true);
    let answer = |head: &str| {
        let text = "Content-Type: text/plain\r\n";
        let mut is_open = is_open.lock().unwrap();
        if is_handshake(head) {
            *is_open = false;
            Ok(response("403 Forbidden", text, "no\n"))
        } else if asks_for_description(head) && !*is_open {
            Ok(response("403 Forbidden", text, "only from the office\n"))
        } else {
            Err(head.to_owned())
        }
    };
    Front::run(&server, answer, async |front| {
        let mut browser = front.open().await;
        log_in(&mut browser, "admin", "123456").await;
        browser.wait_for_text("#refused", "Not connected").await;
        assert_eq!(
            browser.text("#refused").await,
            "Not connected: the server answered 403, only from the office."
        );
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn exhausted_budget_is_explained_and_waited_for() {
    let configuration = "[login]\nmax_failures_per_address = 1\nfailure_decay = \"4s\"\n";
    let files = ServerFiles::new(configuration, &admin_account());
    let server = files.serve().await;
    let mut browser = open_page(&server).await;
    LoginMethod::Message
        .assert_rejected(&server, "admin:wrong")
        .await;
    log_in(&mut browser, "admin", "123456").await;
    browser
        .wait_for_text(
            "#countdown",
            "The server answered 429, too many wrong logins from this address, try again later. \
             Attempt 1 in",
        )
        .await;
    assert_eq!(browser.text("#state").await, "not connected, trying again");
    // Not before `Retry-After`, which the page adds to its own delay.
    browser.wait_for_text("#state", "connected as admin").await;
    assert_eq!(
        browser.value("session.failures").await,
        0,
        "the delay begins anew after a login"
    );
    let refusals = browser.problems().await;
    assert_eq!(refusals.len(), 1, "one attempt was refused: {refusals:?}");
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn full_server_is_explained_and_waited_for() {
    let server = ServerProcess::start_with("[limits]\nmax_connections = 8\n").await;
    let mut browser = open_page(&server).await;
    // The browser may have a connection to spare.
    let mut others = Vec::new();
    loop {
        let mut other = server.connect().await;
        other.send(HANDSHAKE).await;
        if other.head().await.starts_with("HTTP/1.1 503 ") {
            break;
        }
        others.push(other);
    }
    log_in(&mut browser, "admin", "123456").await;
    browser
        .wait_for_text(
            "#countdown",
            "The server answered 503, the server is full, try again later. Attempt 1 in",
        )
        .await;
    for mut other in others {
        other.send(frame::close(1000, "")).await;
        other.close().await;
    }
    browser.wait_for_text("#state", "connected as admin").await;
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn unreachable_server_is_explained() {
    let server = ServerProcess::start().await;
    let mut browser = open_page(&server).await;
    drop(server);
    log_in(&mut browser, "admin", "123456").await;
    browser
        .wait_for_text("#countdown", "The server cannot be reached. Attempt 1 in")
        .await;
    assert_eq!(shown_notes(&mut browser).await, [""; 0]);
    browser.click("#give-up").await;
    browser.wait_for_text("#state", "not connected").await;
    assert_eq!(browser.value("session.credentials").await, json!(null));
}

/// The form shows the login of the path once the server answers.
#[tokio::test]
#[ignore = "needs Chromium"]
async fn form_asks_again_until_the_server_answers() {
    let server = ServerProcess::start().await;
    let failures = Mutex::new(2);
    let answer = |head: &str| {
        let mut failures = failures.lock().unwrap();
        if asks_for_description(head) && *failures > 0 {
            *failures -= 1;
            return Ok(response("503 Service Unavailable", "", ""));
        }
        Err(head.to_owned())
    };
    Front::run(&server, answer, async |front| {
        let mut browser = front.open().await;
        browser
            .wait_for_text("#path-note", "The server answered 503.")
            .await;
        browser
            .wait_for("document.getElementById('path-note').textContent === ''")
            .await;
        assert_eq!(*failures.lock().unwrap(), 0);
    })
    .await;
}
