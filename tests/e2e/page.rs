//! GET requests for the server's address without an upgrade. The `page` tests check the page itself
//! in a browser.

use integration_tests::{ServerProcess, TEST_TIMEOUT};
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
