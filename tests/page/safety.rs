//! Protection of the page by escaping and by its content security policy.

use integration_tests::ServerProcess;
use serde_json::json;

use crate::user_actions::{
    log_in_as_admin, open_page, send_message, shown_messages, wait_for_reply,
};

#[tokio::test]
#[ignore = "needs Chromium"]
async fn received_text_never_becomes_markup() {
    let server = ServerProcess::start_with("[echo]\nprefix = \"\"").await;
    let mut browser = open_page(&server).await;
    log_in_as_admin(&mut browser).await;
    let elements = "document.querySelectorAll('a, b, img, script, style, svg').length
        - document.querySelectorAll('.cell > b').length";
    let before = browser.value(elements).await;
    for text in [
        "<script>window.ran = 1</script>",
        "<img src=x onerror=\"window.ran = 1\">",
        "{\"<b>\": \"<svg onload='window.ran = 1'>\"}",
        "</style></script><a href=\"javascript:window.ran = 1\">here</a>",
    ] {
        send_message(&mut browser, text).await;
        let shown_as = if text.starts_with('{') {
            "{\n  \"<b>\": \"<svg onload='window.ran = 1'>\"\n}"
        } else {
            text
        };
        wait_for_reply(&mut browser, shown_as).await;
        assert_eq!(
            shown_messages(&mut browser, "sent").await.last().unwrap(),
            shown_as
        );
    }
    assert_eq!(browser.value(elements).await, before);
    let kinds = "[...new Set(Array.from(document.querySelectorAll('#log *'),
        (element) => element.localName))].sort()";
    assert_eq!(
        browser.value(kinds).await,
        json!(["bdi", "div", "li", "span", "time"])
    );
    assert_eq!(browser.value("window.ran").await, json!(null));
    assert_eq!(browser.problems().await, [""; 0]);
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn policy_blocks_injected_scripts() {
    let server = ServerProcess::start().await;
    let mut browser = open_page(&server).await;
    for attempt in [
        "document.body.append(Object.assign(document.createElement('script'),
            { textContent: 'window.ran = 1' }))",
        "(() => {
            const script = document.createElement('script');
            script.append('window.ran = 1');
            document.body.append(script);
        })()",
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\">')",
        "document.body.setAttribute('onclick', 'window.ran = 1'), document.body.click()",
        "setTimeout('window.ran = 1')",
        "new Function('window.ran = 1')()",
        "import('data:text/javascript,window.ran = 1')",
    ] {
        let tried = format!(
            "(async () => {{ try {{ await ({attempt}); }} catch {{ /* forbidden */ }} }})()"
        );
        browser.value(&tried).await;
        // Let deferred scripts run.
        browser
            .value("new Promise((resolve) => setTimeout(resolve))")
            .await;
        assert_eq!(browser.value("window.ran").await, json!(null), "{attempt}");
        assert_ne!(browser.problems().await, [""; 0], "{attempt}");
    }
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn policy_blocks_other_origins_and_frames() {
    let (server, other) = (ServerProcess::start().await, ServerProcess::start().await);
    let mut browser = open_page(&server).await;
    let fetched = format!(
        "fetch('http://{}/').then(() => 'fetched', () => 'refused')",
        other.address
    );
    assert_eq!(browser.value(&fetched).await, "refused");
    let connected = format!(
        "new Promise((resolve) => {{
            document.addEventListener('securitypolicyviolation', (event) =>
                resolve(event.effectiveDirective));
            new WebSocket('ws://{}/').onopen = () => resolve('connected');
        }})",
        other.address
    );
    assert_eq!(browser.value(&connected).await, "connect-src");
    let framed = format!(
        "new Promise((resolve) => {{
            const frame = document.createElement('iframe');
            document.addEventListener('securitypolicyviolation', (event) =>
                resolve(event.effectiveDirective));
            frame.onload = () => resolve('framed');
            frame.src = 'http://{}/';
            document.body.append(frame);
        }})",
        server.address
    );
    assert_eq!(browser.value(&framed).await, "frame-src");
}

/// The browser computes the SHA-256 hashes itself.
#[tokio::test]
#[ignore = "needs Chromium"]
async fn policy_hashes_match_the_page() {
    let server = ServerProcess::start().await;
    let mut browser = open_page(&server).await;
    let hashes = "(async () => {
        const page = await fetch('/', { headers: { Accept: 'text/html' } });
        const text = await page.text();
        const hash = async (start, end) => {
            const part = text.slice(text.indexOf(start) + start.length, text.indexOf(end));
            const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(part));
            return `'sha256-${btoa(String.fromCharCode(...new Uint8Array(digest)))}'`;
        };
        return {
            policy: page.headers.get('Content-Security-Policy'),
            script: await hash('<script>', '</script>'),
            style: await hash('<style>', '</style>'),
        };
    })()";
    let found = browser.value(hashes).await;
    let policy = found["policy"].as_str().unwrap();
    for directive in ["script", "style"] {
        let source = format!(" {directive}-src {};", found[directive].as_str().unwrap());
        assert!(policy.contains(&source), "{source}: {policy}");
    }
    assert_eq!(browser.problems().await, [""; 0]);
}
