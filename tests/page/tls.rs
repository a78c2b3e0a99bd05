//! The page over HTTPS.

use integration_tests::{Authority, Browser, ServerFiles, ServerProcess, admin_account, echoed};
use serde_json::json;

use crate::user_actions::{log_in_as_admin, open_page, send_message, wait_for_reply};

/// Returns the page's text about the last received bytes, and whether it mentions TLS.
async fn explanation(browser: &mut Browser) -> (String, bool) {
    log_in_as_admin(browser).await;
    send_message(browser, "hello").await;
    wait_for_reply(browser, &echoed("hello")).await;
    browser
        .wait_for_text("#step-received", "26 bytes of text")
        .await;
    let bytes = browser.text("[data-fill=received]").await;
    let is_hidden = "document.querySelector('[data-of=tls]').hidden";
    let is_hidden = browser.value(is_hidden).await;
    assert_eq!(browser.problems().await, [""; 0]);
    (bytes, is_hidden == json!(false))
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn https_page_explains_tls() {
    let issued = Authority::new().issue(&["127.0.0.1"]);
    let files = ServerFiles::with_tls("", &admin_account(), &issued);
    let server = files.serve().await;
    let mut browser = Browser::start().await;
    browser.open(&format!("https://{}/", server.address)).await;
    let (bytes, mentions_tls) = explanation(&mut browser).await;
    assert_eq!(
        bytes,
        "2 bytes of header around 26 bytes of text: 28 bytes within TLS."
    );
    assert!(mentions_tls);
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn http_page_does_not_mention_tls() {
    let server = ServerProcess::start().await;
    let mut browser = open_page(&server).await;
    let (bytes, mentions_tls) = explanation(&mut browser).await;
    assert_eq!(
        bytes,
        "2 bytes of header around 26 bytes of text: 28 bytes on the wire."
    );
    assert!(!mentions_tls);
}
