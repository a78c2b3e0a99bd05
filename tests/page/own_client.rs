//! The page of `crates/ws-server/docs/own-client.md`, as an operator of another site would have it.

use std::{convert::Infallible, fs, net::SocketAddr};

use integration_tests::{
    ACCOUNTS, Browser, CONFIGURATION, ServerFiles, ServerProcess, accounts, echoed, root,
    server_binary,
};
use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    process::Command,
};

/// The accounts of the server.
const USERS: [(&str, &str); 2] = [("admin", "123456"), ("jane", "secret")];

/// The URL in the page.
const PAGE_URL: &str = "ws://127.0.0.1:5678/";

/// Returns the page, for a server at this address.
fn page(server: SocketAddr) -> String {
    let page = root().join("crates/ws-server/docs/own-client.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, block) = page.split_once("\n```html\n").unwrap();
    let (block, _) = block.split_once("\n```\n").unwrap();
    assert_eq!(block.matches(PAGE_URL).count(), 1);
    block.replace(PAGE_URL, &format!("ws://{server}/"))
}

/// Answers each request with this page.
async fn serve(listener: TcpListener, page: String) -> Infallible {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                break;
            }
        }
        let response = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{page}",
            page.len()
        );
        // A browser may open a connection only to have one.
        let _ = stream.write_all(response.as_bytes()).await;
    }
}

/// Fills in the form and submits it.
async fn log_in(browser: &mut Browser, password: &str) {
    browser
        .value("document.getElementById('name').value = 'admin'")
        .await;
    browser
        .value("document.getElementById('password').value = ''; document.getElementById('password').focus()")
        .await;
    browser.type_text(password).await;
    browser.press("Enter", 0).await;
}

/// A refused login, a login, a restarted server, and a revocation.
#[tokio::test]
#[ignore = "needs Chromium"]
async fn page_of_another_site_follows_the_close_codes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let files = ServerFiles::new(
        &format!("allowed_origins = [\"{origin}\"]"),
        &accounts(&USERS),
    );
    let server = files.serve().await;
    let address = server.address;
    let mut browser = Browser::start().await;
    let site = serve(listener, page(address));
    let visit = visit(&mut browser, &origin, &files, server);
    tokio::select! {
        never = site => match never {},
        () = visit => {}
    }
}

/// The visit of that page.
async fn visit(browser: &mut Browser, origin: &str, files: &ServerFiles, server: ServerProcess) {
    let address = server.address;
    browser.open(&format!("{origin}/")).await;
    log_in(browser, "1").await;
    browser
        .wait_for_text("#state", "login refused: sorry")
        .await;
    log_in(browser, "123456").await;
    browser.wait_for_text("#log", &echoed("hello")).await;
    assert_eq!(browser.text("#state").await, "logged in");

    server.signal(Signal::TERM);
    server.finish().await;
    let retry = "closed: 1001 server is shutting down, back in 2 s; next attempt in ";
    browser.wait_for_text("#state", retry).await;
    let mut command = Command::new(server_binary());
    command
        .arg("--config")
        .arg(files.path(CONFIGURATION))
        .args(["--listen", &address.to_string()]);
    let _server = ServerProcess::spawn(command).await;
    let twice = format!("{0}\n{0}\n", echoed("hello"));
    browser.wait_for_text("#log", twice.trim()).await;

    files.replace(ACCOUNTS, &accounts(&USERS[1..]));
    browser
        .wait_for_text("#state", "closed: 3000 login revoked: the user was removed")
        .await;
    assert_eq!(
        browser
            .value("document.getElementById('form').hidden")
            .await,
        false
    );
}

/// Without an entry in `allowed_origins`, the page sees 1006 and nothing else.
#[tokio::test]
#[ignore = "needs Chromium"]
async fn page_of_an_unknown_origin_sees_1006() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let server = ServerProcess::start().await;
    let mut browser = Browser::start().await;
    let visit = async {
        browser.open(&format!("{origin}/")).await;
        log_in(&mut browser, "123456").await;
        let state = "closed: 1006; next attempt in ";
        browser.wait_for_text("#state", state).await;
    };
    tokio::select! {
        never = serve(listener, page(server.address)) => match never {},
        () = visit => {}
    }
}
