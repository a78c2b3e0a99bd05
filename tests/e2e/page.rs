//! Requests for the page and for the description of a path. The `page` tests check the page itself in
//! a browser.

use integration_tests::{HttpResponse, ServerProcess, TEST_TIMEOUT, send_request};
use tokio::time::timeout;

const BROWSER: &str = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";
const CURL: &str = "Accept: */*\r\n";

/// Sends a request for `/` with this header field, and returns the whole response.
async fn answer(server: &ServerProcess, field: &str) -> String {
    let mut peer = server.connect().await;
    peer.send(format!(
        "GET / HTTP/1.1\r\nHost: {}\r\n{field}\r\n",
        server.address
    ))
    .await;
    // The end of the connection ends the response.
    let answer = timeout(TEST_TIMEOUT, peer.rest()).await;
    String::from_utf8(answer.expect("the end comes in time")).unwrap()
}

#[tokio::test]
async fn browser_gets_the_page_and_curl_gets_426() {
    let server = ServerProcess::start().await;
    let page = answer(&server, BROWSER).await;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(page.ends_with("</html>\n"), "{page}");
    let refusal = answer(&server, CURL).await;
    assert!(
        refusal.starts_with("HTTP/1.1 426 Upgrade Required\r\n"),
        "{refusal}"
    );
}

#[tokio::test]
async fn disabled_page_gets_426() {
    let server = ServerProcess::start_with("page = false").await;
    let refusal = answer(&server, BROWSER).await;
    assert!(
        refusal.starts_with("HTTP/1.1 426 Upgrade Required\r\n"),
        "{refusal}"
    );
}

const ROUTES: &str = "[[route]]\npath = \"/room/*\"\nservice = \"room\"\n\
                      [[route]]\npath = \"/status\"\nservice = \"room\"\npublic = true\n\
                      subprotocols = [\"chat\"]\n";

/// Sends a request without an upgrade.
async fn read(server: &ServerProcess, method: &str, path: &str, accept: &str) -> HttpResponse {
    let host = server.address;
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\n\r\n");
    send_request(server.connect().await, &request).await
}

#[tokio::test]
async fn page_is_at_the_path_of_each_route() {
    let server = ServerProcess::start_with(ROUTES).await;
    for (path, status) in [
        ("/", "200 OK"),
        ("/room/lobby", "200 OK"),
        ("/status?from=mail", "200 OK"),
        ("/room/a/b", "404 Not Found"),
        ("/favicon.ico", "404 Not Found"),
    ] {
        let get = read(&server, "GET", path, "text/html").await;
        assert_eq!(get.status_line, format!("HTTP/1.1 {status}"), "{path}");
        let head = read(&server, "HEAD", path, "text/html").await;
        assert_eq!(head.fields, get.fields, "{path}");
        assert_eq!((head.status_line, &*head.body), (get.status_line, ""));
    }
}

#[tokio::test]
async fn description_says_the_login_of_each_path() {
    let required = format!("page = false\n[login]\nbasic = \"required\"\n{ROUTES}");
    for (configuration, login) in [(ROUTES, "message"), (&*required, "basic")] {
        let server = ServerProcess::start_with(configuration).await;
        for (path, described) in [
            (
                "/room/%6Cobby",
                format!("{{\"login\":\"{login}\",\"messages\":[\"text\"],\"subprotocols\":[]}}\n"),
            ),
            (
                "/status",
                "{\"login\":\"none\",\"messages\":[\"text\"],\"subprotocols\":[\"chat\"]}\n"
                    .to_owned(),
            ),
        ] {
            let get = read(&server, "GET", path, "application/json").await;
            assert_eq!(
                (&*get.status_line, &get.body),
                ("HTTP/1.1 200 OK", &described)
            );
            assert_eq!(get.field("cache-control"), "no-store");
            let head = read(&server, "HEAD", path, "application/json").await;
            assert_eq!((head.fields, head.body), (get.fields, String::new()));
        }
        let unknown = read(&server, "GET", "/", "application/json").await;
        assert_eq!(
            unknown,
            HttpResponse::refusal("404 Not Found", "there is nothing at this path", &[])
        );
        let put = read(&server, "PUT", "/room/lobby", "application/json").await;
        assert_eq!(put.status_line, "HTTP/1.1 405 Method Not Allowed");
        assert_eq!(put.field("allow"), "GET, HEAD, POST");
    }
}

#[tokio::test]
async fn browser_that_does_not_read_blocks_no_other() {
    let server = ServerProcess::start().await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        let mut peer = server.connect().await;
        peer.send(format!(
            "GET / HTTP/1.1\r\nHost: {}\r\n{BROWSER}\r\n",
            server.address
        ))
        .await;
        silent.push(peer);
    }
    let page = answer(&server, BROWSER).await;
    assert!(page.ends_with("</html>\n"), "{page}");
}
