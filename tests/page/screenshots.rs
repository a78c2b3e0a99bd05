//! The layout of the page in each of its states.
//!
//! With `PAGE_PICTURES=1` the tests write screenshots of all states to `target/page`, and that of
//! the README to `.github/page.png`.

use std::{env, fs};

use integration_tests::{Browser, ColourScheme, SORRY, ServerFiles, ServerProcess, echoed, root};
use rustix::process::Signal;

use crate::user_actions::{
    log_in, log_in_as_admin, open_page, send_message, wait_for_paint, wait_for_reply,
};

const WIDE: [u32; 2] = [1280, 800];
const NARROW: [u32; 2] = [360, 740];

/// The screenshot in the README.
const README_PICTURE: &str = "5-json-1280-light";

/// Checks the layout of a state in each window size and colour scheme.
async fn check_layouts(browser: &mut Browser, state: &str) {
    for size in [NARROW, WIDE] {
        for colours in [ColourScheme::Dark, ColourScheme::Light] {
            check_layout(browser, state, size, colours).await;
        }
    }
}

async fn check_layout(browser: &mut Browser, state: &str, size: [u32; 2], colours: ColourScheme) {
    browser.set_viewport(size, colours).await;
    let name = format!("{state}-{}-{colours:?}", size[0]).to_lowercase();
    wait_for_paint(browser).await;
    let overflows = "document.documentElement.scrollWidth > innerWidth
        || document.documentElement.scrollHeight > innerHeight";
    assert_eq!(browser.value(overflows).await, false, "{name}");
    let is_at_end = "(() => {
        const { scrollHeight, scrollTop, clientHeight } = document.getElementById('log');
        return scrollHeight - scrollTop - clientHeight < 2;
    })()";
    assert_eq!(browser.value(is_at_end).await, true, "{name}");
    if env::var_os("PAGE_PICTURES").is_none() {
        return;
    }
    let picture = browser.screenshot().await;
    let directory = root().join("target/page");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(format!("{name}.png")), &picture).unwrap();
    if name == README_PICTURE {
        fs::write(root().join(".github/page.png"), &picture).unwrap();
    }
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn every_state_fits_wide_and_narrow_windows() {
    let server = ServerProcess::start().await;
    let mut browser = open_page(&server).await;
    check_layouts(&mut browser, "1-before-login").await;
    log_in(&mut browser, "admin", "wrong").await;
    browser.wait_for_text("#refused", SORRY).await;
    check_layouts(&mut browser, "2-wrong-login").await;
    log_in_as_admin(&mut browser).await;
    check_layouts(&mut browser, "3-logged-in").await;
    send_message(&mut browser, "Hello, server!").await;
    wait_for_reply(&mut browser, &echoed("Hello, server!")).await;
    check_layouts(&mut browser, "4-messages").await;
    browser.set_viewport(NARROW, ColourScheme::Light).await;
    browser.click("#fold").await;
    check_layout(
        &mut browser,
        "4-messages-and-wire",
        NARROW,
        ColourScheme::Light,
    )
    .await;
    send_message(
        &mut browser,
        "{\"user\":\"admin\",\"tags\":[\"a\",\"b\"],\"big\":12345678901234567890}",
    )
    .await;
    browser
        .wait_for("document.querySelectorAll('#log > .received').length === 4")
        .await;
    check_layouts(&mut browser, "5-json").await;
    browser
        .value("document.getElementById('kind').value = 'hex'")
        .await;
    send_message(
        &mut browser,
        "48 65 6c 6c 6f 2c 20 62 79 74 65 73 21 00 01 02 fd fe ff",
    )
    .await;
    browser
        .wait_for("document.querySelectorAll('#log > .received').length === 5")
        .await;
    check_layouts(&mut browser, "6-binary").await;
    server.signal(Signal::TERM);
    browser.wait_for_text("#countdown", "Attempt").await;
    check_layouts(&mut browser, "7-reconnecting").await;
    browser.click("#give-up").await;
    check_layouts(&mut browser, "8-stopped").await;
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn every_kind_of_path_fits_the_windows() {
    const ROUTES: &str = "[[route]]\npath = \"/room/*\"\nservice = \"room\"\n\
                          [[route]]\npath = \"/status\"\nservice = \"room\"\npublic = true\n";
    let files = ServerFiles::with_admin(&format!("[login]\nbasic = \"required\"\n{ROUTES}"));
    let server = files.serve().await;
    let url = |path: &str| format!("http://{}{path}", server.address);
    let mut browser = Browser::start().await;
    browser.open(&url("/status")).await;
    browser.wait_for_text("#path-note", "public").await;
    check_layouts(&mut browser, "9-public").await;
    browser.open(&url("/room/lobby")).await;
    browser.wait_for_text("#path-note", "handshake").await;
    check_layouts(&mut browser, "10-basic").await;
    log_in(&mut browser, "admin", "wrong").await;
    browser
        .wait_for_text("#refused", "the handshake failed")
        .await;
    check_layouts(&mut browser, "11-basic-refused").await;
    browser.open(&url("/")).await;
    browser.wait_for_text("#path-note", "404").await;
    check_layouts(&mut browser, "12-no-route").await;
    log_in(&mut browser, "admin", "123456").await;
    browser.wait_for_text("#refused", "404").await;
    check_layouts(&mut browser, "13-refused").await;
    drop(server);
    log_in(&mut browser, "admin", "123456").await;
    browser
        .wait_for_text("#countdown", "cannot be reached")
        .await;
    check_layouts(&mut browser, "14-unreachable").await;
}
