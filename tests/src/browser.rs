//! A headless browser, driven over the `DevTools` protocol.
//!
//! The protocol is JSON over a WebSocket. A `WebDriver` in between was refused: it lacks console
//! messages, colour schemes and the frames of the page's own WebSocket.

use std::{future::pending, process::Stdio, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStderr, Command},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

use crate::TEST_TIMEOUT;

/// The name of the program in Debian.
const PROGRAM: &str = "chromium";

/// The start of the stderr line with the `DevTools` URL.
const READY: &str = "DevTools listening on ws://";

/// The time limit of the start, which is slow on two busy CPUs.
const START: Duration = Duration::from_mins(2);

/// A colour scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColourScheme {
    /// Dark text on a light background.
    Light,
    /// Light text on a dark background.
    Dark,
}

/// A browser with one tab. Dropping it kills the process.
#[derive(Debug)]
pub struct Browser {
    devtools: WebSocketStream<TcpStream>,
    /// The `DevTools` session of the tab.
    tab: Option<String>,
    calls: u64,
    problems: Vec<String>,
    /// The log on stderr. It is read all the time, because a full pipe would block the browser.
    log: Option<Lines<BufReader<ChildStderr>>>,
    _child: Child,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser with an empty tab.
    pub async fn start() -> Self {
        let profile = TempDir::new().expect("a directory can be made");
        let mut child = Command::new(PROGRAM)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args([
                "--headless=new",
                "--remote-debugging-port=0",
                // The sandbox works neither as root nor in most containers, and the tests open only
                // their own pages.
                "--no-sandbox",
                "--disable-gpu",
                // Containers have little shared memory.
                "--disable-dev-shm-usage",
                // The certificates of tests come from unknown authorities.
                "--ignore-certificate-errors",
                // The browser should connect only to the page.
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-default-browser-check",
                "--no-first-run",
                "--hide-scrollbars",
                "--lang=en-GB",
                "about:blank",
            ])
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{PROGRAM}: {error}: run .ci/browser first"));
        let mut log = BufReader::new(child.stderr.take().expect("the stream is piped")).lines();
        let ready = async {
            loop {
                let line = log.next_line().await.expect("the log can be read");
                let line = line.expect("the log names the DevTools URL");
                if let Some(place) = line.strip_prefix(READY) {
                    return place.to_owned();
                }
            }
        };
        let place = timeout(START, ready)
            .await
            .expect("the browser starts in time");
        let (address, _) = place.split_once('/').expect("the URL has a path");
        let stream = TcpStream::connect(address)
            .await
            .expect("DevTools accepts connections");
        let limits = WebSocketConfig::default()
            .max_message_size(None)
            .max_frame_size(None);
        let (devtools, _) = client_async_with_config(format!("ws://{place}"), stream, Some(limits))
            .await
            .expect("DevTools accepts the handshake");
        let mut browser = Self {
            devtools,
            tab: None,
            calls: 0,
            problems: Vec::new(),
            log: Some(log),
            _child: child,
            _profile: profile,
        };
        let target = browser
            .call("Target.createTarget", json!({"url": "about:blank"}))
            .await;
        let attached = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", attached).await;
        browser.tab = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({})).await;
        }
        browser
    }

    /// Opens a URL, and waits until the page is complete.
    pub async fn open(&mut self, url: &str) {
        let went = self.call("Page.navigate", json!({"url": url})).await;
        assert_eq!(went["errorText"], Value::Null, "{url}");
        // The response may precede the new document.
        self.wait_for(&format!(
            "location.href === {} && document.readyState === 'complete'",
            json!(url)
        ))
        .await;
    }

    /// Evaluates a JavaScript expression in the page, and awaits a promise.
    pub async fn value(&mut self, expression: &str) -> Value {
        let asked = json!({
            "expression": expression,
            "awaitPromise": true,
            "returnByValue": true,
            // The content security policy applies to tests too.
            "allowUnsafeEvalBlockedByCSP": false,
        });
        let mut answer = self.call("Runtime.evaluate", asked).await;
        let thrown = &answer["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {thrown}");
        answer["result"]["value"].take()
    }

    /// Returns the rendered text of the first element that matches a selector.
    pub async fn text(&mut self, selector: &str) -> String {
        let found = format!("document.querySelector({}).innerText", json!(selector));
        let text = self.value(&found).await;
        text.as_str().expect("the element has a text").to_owned()
    }

    /// Waits until a JavaScript expression is true in the page.
    pub async fn wait_for(&mut self, condition: &str) {
        // The page checks the condition on each change. A new document starts without the observer.
        let wait = format!(
            "new Promise((resolve) => {{
                const check = () => {{ if ({condition}) {{ observer.disconnect(); resolve(); }} }};
                const observer = new MutationObserver(check);
                const changes = {{ subtree: true, childList: true, attributes: true,
                    characterData: true }};
                observer.observe(document, changes);
                document.addEventListener('readystatechange', check);
                check();
            }})"
        );
        let asked = json!({"expression": wait, "awaitPromise": true, "returnByValue": true});
        let waited = async {
            loop {
                let answer = self.try_call("Runtime.evaluate", asked.clone()).await;
                match answer {
                    Ok(answer) => {
                        let thrown = &answer["exceptionDetails"];
                        assert!(thrown.is_null(), "{condition}: {thrown}");
                        return;
                    }
                    // The document was replaced; ask the next one.
                    Err(error) => assert!(error.contains("context"), "{condition}: {error}"),
                }
            }
        };
        if timeout(TEST_TIMEOUT, waited).await.is_err() {
            let page = self.text("body").await;
            panic!("timed out waiting for {condition}: {page}");
        }
    }

    /// Waits until an element contains a text.
    pub async fn wait_for_text(&mut self, selector: &str, text: &str) {
        let (selector, text) = (json!(selector), json!(text));
        self.wait_for(&format!(
            "document.querySelector({selector})?.innerText.includes({text})"
        ))
        .await;
    }

    /// Types a text into the focused element.
    pub async fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text})).await;
    }

    /// Presses a key with these modifiers (1 Alt, 2 Control, 4 Meta, 8 Shift).
    pub async fn press(&mut self, key: &str, modifiers: u8) {
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Tab" => (9, ""),
            " " => (32, " "),
            _ => panic!("no key code for {key}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({
                "type": kind,
                "key": key,
                "code": if key == " " { "Space" } else { key },
                "windowsVirtualKeyCode": code,
                "text": if kind == "keyDown" { text } else { "" },
                "modifiers": modifiers,
            });
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Clicks the middle of an element.
    pub async fn click(&mut self, selector: &str) {
        let middle = format!(
            "(() => {{
                const found = document.querySelector({});
                found.scrollIntoView({{ block: 'nearest' }});
                const {{ x, y, width, height }} = found.getBoundingClientRect();
                return [x + width / 2, y + height / 2];
            }})()",
            json!(selector)
        );
        let middle = self.value(&middle).await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({
                "type": kind, "x": middle[0], "y": middle[1], "button": "left", "clickCount": 1,
            });
            self.call("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Sets the size of the viewport and the colour scheme.
    pub async fn set_viewport(&mut self, [width, height]: [u32; 2], colours: ColourScheme) {
        let is_phone = width < height;
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone,
        });
        self.call("Emulation.setDeviceMetricsOverride", metrics)
            .await;
        let scheme = match colours {
            ColourScheme::Light => "light",
            ColourScheme::Dark => "dark",
        };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", media).await;
    }

    /// Returns a screenshot as a PNG.
    pub async fn screenshot(&mut self) -> Vec<u8> {
        let taken = self
            .call("Page.captureScreenshot", json!({"format": "png"}))
            .await;
        let data = taken["data"].as_str().expect("a screenshot is base64");
        STANDARD.decode(data).expect("a screenshot is base64")
    }

    /// Returns the problems in the page since the last call: exceptions, console errors and
    /// warnings, and policy violations.
    pub async fn problems(&mut self) -> Vec<String> {
        // Events before this response have been received with it.
        self.value("0").await;
        std::mem::take(&mut self.problems)
    }

    async fn call(&mut self, method: &str, parameters: Value) -> Value {
        let answer = timeout(TEST_TIMEOUT, self.try_call(method, parameters)).await;
        let answer = answer.unwrap_or_else(|_| panic!("{method} timed out"));
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    async fn try_call(&mut self, method: &str, parameters: Value) -> Result<Value, String> {
        self.calls += 1;
        let id = self.calls;
        let mut call = json!({"id": id, "method": method, "params": parameters});
        if let Some(tab) = &self.tab {
            call["sessionId"] = json!(tab);
        }
        let sent = self.devtools.send(Message::text(call.to_string())).await;
        sent.expect("the browser is running");
        loop {
            let message = self.next().await;
            let text = message.to_text().expect("the protocol is text");
            let mut message: Value = serde_json::from_str(text).expect("the protocol is JSON");
            if message["id"] == id {
                return match message["error"]["message"].as_str() {
                    Some(error) => Err(error.to_owned()),
                    None => Ok(message["result"].take()),
                };
            }
            self.problems.extend(problem(&message));
        }
    }

    /// Returns the next message of the `DevTools` protocol, and reads the log meanwhile.
    async fn next(&mut self) -> Message {
        loop {
            let line = async {
                match &mut self.log {
                    Some(log) => log.next_line().await,
                    None => pending().await,
                }
            };
            tokio::select! {
                message = self.devtools.next() => {
                    let message = message.expect("the browser is running");
                    return message.expect("the browser is running");
                }
                line = line => if !matches!(line, Ok(Some(_))) {
                    self.log = None;
                }
            }
        }
    }
}

/// Returns the problem that an event reports, if any.
fn problem(event: &Value) -> Option<String> {
    let parameters = &event["params"];
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(parameters["exceptionDetails"].to_string()),
        "Runtime.consoleAPICalled" => {
            let kind = parameters["type"].as_str()?;
            matches!(kind, "error" | "warning" | "assert").then(|| parameters["args"].to_string())
        }
        "Log.entryAdded" => {
            let entry = &parameters["entry"];
            let level = entry["level"].as_str()?;
            matches!(level, "error" | "warning").then(|| {
                let text = entry["text"].as_str().unwrap_or_default();
                format!("{}: {text}", entry["source"].as_str().unwrap_or_default())
            })
        }
        _ => None,
    }
}
