//! What the page looks like in each of its states.
//!
//! With `PAGE_PICTURES=1` pictures of all of them are written to `target/page`, and the one of the
//! README to `.github/page.png`.

use std::{env, fs};

use integration_tests::{Browser, Colours, ServerProcess, echoed, root};
use rustix::process::Signal;

use crate::user_actions::{be_logged_in, drawn, log_in, say, visit, wait_for_answer};

const WIDE: [u32; 2] = [1280, 800];
const NARROW: [u32; 2] = [360, 740];

/// What the README shows.
const README_PICTURE: &str = "5-json-1280-light";

/// Looks at a state in each size and in both colours.
async fn look(browser: &mut Browser, state: &str) {
    for size in [NARROW, WIDE] {
        for colours in [Colours::Dark, Colours::Light] {
            look_once(browser, state, size, colours).await;
        }
    }
}

async fn look_once(browser: &mut Browser, state: &str, size: [u32; 2], colours: Colours) {
    browser.look(size, colours).await;
    let place = format!("{state}-{}-{colours:?}", size[0]).to_lowercase();
    drawn(browser).await;
    let overflows = "document.documentElement.scrollWidth > innerWidth
        || document.documentElement.scrollHeight > innerHeight";
    assert_eq!(browser.value(overflows).await, false, "{place}");
    let is_at_end = "(() => {
        const { scrollHeight, scrollTop, clientHeight } = document.getElementById('log');
        return scrollHeight - scrollTop - clientHeight < 2;
    })()";
    assert_eq!(browser.value(is_at_end).await, true, "{place}");
    if env::var_os("PAGE_PICTURES").is_none() {
        return;
    }
    let picture = browser.picture().await;
    let directory = root().join("target/page");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(format!("{place}.png")), &picture).unwrap();
    if place == README_PICTURE {
        fs::write(root().join(".github/page.png"), &picture).unwrap();
    }
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn every_state_fits_wide_and_narrow_windows() {
    let server = ServerProcess::start().await;
    let mut browser = visit(&server).await;
    look(&mut browser, "1-before-login").await;
    log_in(&mut browser, "admin", "wrong").await;
    browser.wait_for_text("#refused", "sorry").await;
    look(&mut browser, "2-wrong-login").await;
    be_logged_in(&mut browser).await;
    look(&mut browser, "3-logged-in").await;
    say(&mut browser, "Hello, server!").await;
    wait_for_answer(&mut browser, &echoed("Hello, server!")).await;
    look(&mut browser, "4-talk").await;
    browser.look(NARROW, Colours::Light).await;
    browser.click("#fold").await;
    look_once(&mut browser, "4-talk-and-wire", NARROW, Colours::Light).await;
    say(
        &mut browser,
        "{\"user\":\"admin\",\"tags\":[\"a\",\"b\"],\"big\":12345678901234567890}",
    )
    .await;
    browser
        .wait_for("document.querySelectorAll('#log > .received').length === 4")
        .await;
    look(&mut browser, "5-json").await;
    browser
        .value("document.getElementById('kind').value = 'hex'")
        .await;
    say(
        &mut browser,
        "48 65 6c 6c 6f 2c 20 62 79 74 65 73 21 00 01 02 fd fe ff",
    )
    .await;
    browser
        .wait_for("document.querySelectorAll('#log > .received').length === 5")
        .await;
    look(&mut browser, "6-binary").await;
    server.signal(Signal::TERM);
    browser.wait_for_text("#countdown", "Attempt").await;
    look(&mut browser, "7-reconnecting").await;
    browser.click("#give-up").await;
    look(&mut browser, "8-stopped").await;
}
