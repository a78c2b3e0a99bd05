//! Actions of a keyboard user on the page.

use integration_tests::{Browser, ServerProcess};

/// Opens the page of a server in a new browser.
pub(crate) async fn open_page(server: &ServerProcess) -> Browser {
    let mut browser = Browser::start().await;
    browser.open(&page_url(server)).await;
    browser
}

/// Returns the URL of the page.
pub(crate) fn page_url(server: &ServerProcess) -> String {
    format!("http://{}/", server.address)
}

/// Fills in the login form, which has the focus, and submits it.
pub(crate) async fn log_in(browser: &mut Browser, name: &str, password: &str) {
    browser
        .value("document.getElementById('name').select()")
        .await;
    browser.type_text(name).await;
    browser.press("Tab", 0).await;
    browser.type_text(password).await;
    browser.press("Enter", 0).await;
}

/// Logs in as the development account, and waits for the connected state.
pub(crate) async fn log_in_as_admin(browser: &mut Browser) {
    log_in(browser, "admin", "123456").await;
    browser.wait_for_text("#state", "connected as admin").await;
}

/// Types a message into the focused field and sends it.
pub(crate) async fn send_message(browser: &mut Browser, text: &str) {
    browser.type_text(text).await;
    browser.press("Enter", 0).await;
}

/// Returns the texts of the "sent" or "received" messages, oldest first.
pub(crate) async fn shown_messages(browser: &mut Browser, kind: &str) -> Vec<String> {
    let bodies = format!(
        "Array.from(document.querySelectorAll('#log > .{kind} > .body'), (body) => body.textContent)"
    );
    serde_json::from_value(browser.value(&bodies).await).expect("the value is an array of strings")
}

/// Returns the notes between the messages, without their times.
pub(crate) async fn shown_notes(browser: &mut Browser) -> Vec<String> {
    let notes =
        "Array.from(document.querySelectorAll('#log > .note > bdi'), (it) => it.textContent)";
    serde_json::from_value(browser.value(notes).await).expect("the value is an array of strings")
}

/// Waits until the last received message has this text.
pub(crate) async fn wait_for_reply(browser: &mut Browser, text: &str) {
    browser
        .wait_for(&format!(
            "[...document.querySelectorAll('#log > .received > .body')].at(-1)?.textContent === {}",
            serde_json::json!(text)
        ))
        .await;
}

/// Waits until the page has painted and run its deferred work.
pub(crate) async fn wait_for_paint(browser: &mut Browser) {
    browser
        .value("new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))")
        .await;
}
