//! The page in a room with another member.

use integration_tests::{Browser, CONGRATULATION, ServerFiles, accounts};
use raw_peer::{HANDSHAKE, frame};

use crate::user_actions::{log_in, send_message, shown_messages};

const PATH: &str = "/room/lobby";

#[tokio::test]
#[ignore = "needs Chromium"]
async fn page_exchanges_messages_with_a_member() {
    let configuration = "[[route]]\npath = \"/room/*\"\nservice = \"room\"\npresence = true\n";
    let accounts = accounts(&[("admin", "123456"), ("jane", "x")]);
    let server = ServerFiles::new(configuration, &accounts).serve().await;
    let mut browser = Browser::start().await;
    // The page is at the path of each route.
    browser
        .open(&format!("http://{}{PATH}", server.address))
        .await;
    log_in(&mut browser, "admin", "123456").await;
    browser.wait_for_text("#state", "connected as admin").await;

    let mut other = server.connect().await;
    other
        .send(HANDSHAKE.replace("GET / ", &format!("GET {PATH} ")))
        .await;
    assert!(other.head().await.starts_with("HTTP/1.1 101 "));
    other.send(frame::text("jane:x")).await;
    assert_eq!(other.text().await, CONGRATULATION);
    browser.wait_for_text("#log", "jane joined").await;

    // The page sent nothing, so the message counts as a push.
    other.send(frame::text("<b>hello</b>")).await;
    browser.wait_for_text("#log", "jane: <b>hello</b>").await;
    browser
        .wait_for("document.getElementById('step-push').open")
        .await;

    send_message(&mut browser, "hello yourself").await;
    browser.wait_for_text("#log", "admin: hello yourself").await;
    loop {
        let text = other.text().await;
        if text.contains("hello yourself") {
            assert!(
                text.starts_with("{\"from\":\"admin\",\"text\":\"hello yourself\""),
                "{text}"
            );
            break;
        }
    }
    let is_binary_offered = "!document.getElementById('hex').disabled";
    assert_eq!(browser.value(is_binary_offered).await, false);
    drop(other);
    browser.wait_for_text("#log", "jane left").await;
    let received = shown_messages(&mut browser, "received").await;
    assert_eq!(
        received[1..],
        ["jane: <b>hello</b>", "admin: hello yourself"]
    );
    assert_eq!(browser.problems().await, [""; 0]);
}
