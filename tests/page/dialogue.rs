//! Login, messages and disconnect on the page.

use integration_tests::{
    Browser, CLOSED_BY_USER_EXIT, SESSION_ENDED, SESSION_OPENED, ServerProcess, echoed,
};
use proto::{
    key::Key,
    message::{CONGRATULATION, SORRY},
};
use serde_json::{Value, json};

use crate::user_actions::{
    log_in, log_in_as_admin, open_page, send_message, shown_messages, shown_notes, wait_for_paint,
    wait_for_reply,
};

#[tokio::test]
#[ignore = "needs Chromium"]
async fn wrong_login_is_shown_and_can_be_retried() {
    let mut server = ServerProcess::start().await;
    let mut browser = open_page(&server).await;
    log_in(&mut browser, "admin", "1").await;
    browser.wait_for_text("#refused", SORRY).await;
    assert_eq!(browser.text("#state").await, "not logged in");
    assert_eq!(
        browser.value("document.activeElement.id").await,
        "password",
        "the password has the focus"
    );
    log_in_as_admin(&mut browser).await;
    assert_eq!(
        browser.text("title").await,
        "connected as admin · ws-server"
    );
    assert_eq!(
        shown_messages(&mut browser, "sent").await,
        ["admin:••••••", "admin:••••••"]
    );
    assert_eq!(
        shown_messages(&mut browser, "received").await,
        [SORRY, CONGRATULATION]
    );
    assert_eq!(shown_notes(&mut browser).await, ["connected to /"]);
    let opened = server.log_line(SESSION_OPENED).await;
    assert!(opened.contains("user=admin"), "{opened}");
    assert_eq!(browser.problems().await, [""; 0]);
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn password_is_masked_and_not_kept_in_the_page() {
    let server = ServerProcess::start().await;
    let mut browser = open_page(&server).await;
    let kind = "document.getElementById('password').type";
    assert_eq!(browser.value(kind).await, "password");
    log_in_as_admin(&mut browser).await;
    let everything = "document.documentElement.outerHTML
        + [...document.querySelectorAll('input, textarea')].map((field) => field.value)";
    let everything = browser.value(everything).await;
    assert!(!everything.as_str().unwrap().contains("123456"));
    let stored = browser.value("localStorage.length + sessionStorage.length + document.cookie");
    assert_eq!(stored.await, "0");
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn text_json_and_binary_are_displayed_by_type() {
    // The number exceeds JavaScript's precision, and a string contains a brace.
    const JSON: &str = r#"{"a":[1,{}],"b":"}\"","c":12345678901234567890}"#;

    let server = ServerProcess::start().await;
    let mut browser = open_page(&server).await;
    log_in_as_admin(&mut browser).await;

    send_message(&mut browser, "grüße").await;
    wait_for_reply(&mut browser, &echoed("grüße")).await;

    send_message(&mut browser, JSON).await;
    let json = "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": \"}\\\"\",\n  \
                \"c\": 12345678901234567890\n}";
    // A text that only ends in JSON is not JSON.
    wait_for_reply(&mut browser, &echoed(JSON)).await;

    browser
        .value("document.getElementById('kind').value = 'hex'")
        .await;
    send_message(&mut browser, "48 69 0").await;
    browser.wait_for_text("#hint", "two hex digits").await;
    browser.type_text("0").await;
    browser.press("Enter", 0).await;
    let bytes = format!("0000  {:48} Hi·", "48 69 00");
    wait_for_reply(&mut browser, &bytes).await;

    let sent = shown_messages(&mut browser, "sent").await;
    assert_eq!(sent[1..], ["grüße", json, &bytes]);
    let meta = "Array.from(document.querySelectorAll('#log .meta'),
        (meta) => [2, 3].map((part) => meta.children[part].textContent).join(' '))";
    assert_eq!(
        browser.value(meta).await,
        json!([
            "12 B login",
            "76 B text",
            "7 B text",
            "28 B text",
            "47 B JSON",
            "68 B text",
            "3 B binary",
            "3 B binary"
        ])
    );
    assert_eq!(browser.problems().await, [""; 0]);
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn wire_panel_shows_handshake_and_frames() {
    let server = ServerProcess::start().await;
    let mut browser = open_page(&server).await;
    for _ in 0..2 {
        browser
            .wait_for("document.querySelector('[data-fill=accept]').textContent")
            .await;
        let key = browser.text("[data-fill=key]").await;
        let accept = browser.text("[data-fill=accept]").await;
        assert_eq!(Key::parse(&key).unwrap().accept(), accept);
        browser.click("#redraw").await;
        let other = json!(key);
        browser
            .wait_for(&format!(
                "document.querySelector('[data-fill=key]').textContent !== {other}"
            ))
            .await;
    }
    log_in_as_admin(&mut browser).await;
    let request = text_of(&mut browser, "[data-fill=request]").await;
    assert!(
        request.starts_with(&format!("GET / HTTP/1.1\nHost: {}\n", server.address)),
        "{request}"
    );
    assert_eq!(
        text_of(&mut browser, "[data-fill=login-frame]").await,
        "81FIN, text8cMASK, length 12·· ·· ·· ··masking keyadmin:••••••12 bytes, masked"
    );
    assert!(
        text_of(&mut browser, "[data-of=verdict]:not([hidden])")
            .await
            .starts_with("The credentials are right.")
    );

    let long = "x".repeat(200);
    send_message(&mut browser, &long).await;
    wait_for_reply(&mut browser, &echoed(&long)).await;
    browser
        .wait_for("document.getElementById('step-received').open")
        .await;
    assert_eq!(
        text_of(&mut browser, "[data-fill=sent]").await,
        "8 bytes of header around 200 bytes of text: 208 bytes on the wire."
    );
    assert_eq!(
        text_of(&mut browser, "[data-fill=received]").await,
        "4 bytes of header around 221 bytes of text: 225 bytes on the wire."
    );
    let frame = text_of(&mut browser, "[data-fill=sent-frame]").await;
    let header = "81FIN, textfeMASK, length follows00 c8length 200·· ·· ·· ··masking key";
    assert!(frame.starts_with(header), "{frame}");

    // A step that the user opened stays open.
    browser.click("#step-handshake summary").await;
    browser
        .value("document.getElementById('text').focus()")
        .await;
    send_message(&mut browser, "hello").await;
    wait_for_reply(&mut browser, &echoed("hello")).await;
    browser
        .wait_for_text("#step-handshake", "GET / HTTP/1.1")
        .await;
    assert_eq!(
        browser
            .value("document.getElementById('step-push').className")
            .await,
        "",
        "no push was received"
    );
    browser.click("#fold").await;
    browser
        .wait_for("document.getElementById('wire').hidden")
        .await;
    assert_eq!(browser.problems().await, [""; 0]);
}

/// Returns the text of an element, visible or not.
async fn text_of(browser: &mut Browser, selector: &str) -> String {
    let text = format!("document.querySelector({}).textContent", json!(selector));
    browser.value(&text).await.as_str().unwrap().to_owned()
}

/// Returns the variants of an explanation that are shown.
async fn shown_variants(browser: &mut Browser, group: &str) -> Value {
    let shown = format!(
        "Array.from(document.querySelectorAll('[data-of={group}]:not([hidden])'),
            (it) => it.dataset.when)"
    );
    browser.value(&shown).await
}

/// Calls the page's receive function with room events.
#[tokio::test]
#[ignore = "needs Chromium"]
async fn room_events_are_displayed_by_sender() {
    let server = ServerProcess::start().await;
    let mut browser = open_page(&server).await;
    log_in_as_admin(&mut browser).await;
    for message in [
        json!({"joined": "jane", "at": "2026-11-25T16:40:00.123Z"}),
        json!({"from": "jane", "text": "<b>hello</b>", "at": "2026-11-25T16:40:01.123Z"}),
        json!({"lost": 12}),
        json!({"left": "jane", "at": "2026-11-25T16:40:02.123Z"}),
    ] {
        browser
            .value(&format!("received({})", json!(message.to_string())))
            .await;
    }
    assert_eq!(
        shown_messages(&mut browser, "received").await[1..],
        ["jane: <b>hello</b>"]
    );
    assert_eq!(
        shown_notes(&mut browser).await,
        [
            "connected to /",
            "jane joined",
            "too slow for the room: 12 messages lost",
            "jane left"
        ]
    );
    let time = "document.querySelector('#log > .received:nth-of-type(5) time').dateTime";
    assert_eq!(browser.value(time).await, "2026-11-25T16:40:01.123Z");
    // The page counts an unrequested message as a push.
    browser
        .wait_for("document.getElementById('step-push').open")
        .await;
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn page_is_usable_by_keyboard() {
    let server = ServerProcess::start().await;
    let mut browser = open_page(&server).await;
    // The `autofocus` attribute takes effect after loading.
    browser
        .wait_for("document.activeElement.id === 'name'")
        .await;
    let mut walked = Vec::new();
    browser
        .value("document.getElementById('path').focus()")
        .await;
    for _ in 0..4 {
        walked.push(
            browser
                .value("document.activeElement.id || document.activeElement.type")
                .await,
        );
        browser.press("Tab", 0).await;
    }
    assert_eq!(walked, ["path", "name", "password", "connect"]);
    browser
        .value("document.getElementById('name').focus()")
        .await;
    log_in_as_admin(&mut browser).await;
    assert_eq!(browser.value("document.activeElement.id").await, "text");
    browser.type_text("one").await;
    browser.press("Enter", SHIFT).await;
    browser.type_text("two").await;
    browser.press("Enter", 0).await;
    wait_for_reply(&mut browser, &echoed("one\ntwo")).await;
    let unlabelled = "[...document.querySelectorAll('input, textarea, select')]
        .filter((field) => field.labels.length === 0).map((field) => field.id)";
    assert_eq!(browser.value(unlabelled).await, json!([]));
}

/// The modifier bit of the Shift key in the `DevTools` protocol.
const SHIFT: u8 = 8;

#[tokio::test]
#[ignore = "needs Chromium"]
async fn log_keeps_the_last_thousand_rows() {
    let server = ServerProcess::start().await;
    let mut browser = open_page(&server).await;
    log_in_as_admin(&mut browser).await;
    browser
        .value("for (let number = 0; number < 600; number += 1) send(`${number}`)")
        .await;
    wait_for_reply(&mut browser, &echoed("599")).await;
    let log = "document.getElementById('log')";
    assert_eq!(
        browser.value(&format!("{log}.childElementCount")).await,
        1000
    );
    wait_for_paint(&mut browser).await;
    let below = format!("{log}.scrollHeight - {log}.scrollTop - {log}.clientHeight");
    assert_eq!(browser.value(&below).await, 0);
    assert_eq!(browser.problems().await, [""; 0]);
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn disconnect_closes_and_clears_credentials() {
    let mut server = ServerProcess::start().await;
    let mut browser = open_page(&server).await;
    log_in_as_admin(&mut browser).await;
    browser.click("#disconnect").await;
    browser.wait_for_text("#state", "not connected").await;
    assert_eq!(
        shown_notes(&mut browser).await,
        ["connected to /", "closed: 1000 \"user exit\", normal end"]
    );
    assert_eq!(browser.value("session.credentials").await, json!(null));
    // The user ended it, so there is nothing to say about reconnecting.
    assert_eq!(shown_variants(&mut browser, "return").await, json!([]));
    assert_eq!(
        shown_variants(&mut browser, "close").await,
        json!(["browser"])
    );
    let ended = server.log_line(SESSION_ENDED).await;
    assert!(ended.contains(CLOSED_BY_USER_EXIT), "{ended}");
    assert_eq!(browser.problems().await, [""; 0]);
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn scrolled_log_keeps_its_position() {
    let server = ServerProcess::start().await;
    let mut browser = open_page(&server).await;
    log_in_as_admin(&mut browser).await;
    browser
        .value("for (let number = 0; number < 30; number += 1) send(`${number}`)")
        .await;
    wait_for_reply(&mut browser, &echoed("29")).await;
    wait_for_paint(&mut browser).await;
    let top = "document.getElementById('log').scrollTop";
    browser.value(&format!("{top} = 100")).await;
    wait_for_paint(&mut browser).await;
    send_message(&mut browser, "hello").await;
    wait_for_reply(&mut browser, &echoed("hello")).await;
    wait_for_paint(&mut browser).await;
    assert_eq!(browser.value(top).await, 100);
}
