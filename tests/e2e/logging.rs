//! The log on stderr: its lines, its formats, and a reader that is slow or missing.

use std::{
    fs::File,
    process::Stdio,
    time::{Duration, Instant},
};

use integration_tests::{
    ADMIN, ADMIN_SESSION, CONFIGURATION, HANDSHAKE_REFUSED, LOGIN_FAILED, SESSION_ENDED,
    SESSION_OPENED, ServerFiles, ServerProcess, TEST_TIMEOUT, echoed, fixture, run, send_request,
    send_signal, wait_for_exit,
};
use raw_peer::{HANDSHAKE, RawPeer, frame};
use rustix::process::Signal;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    net::{TcpStream, UnixStream},
    process::{Child, Command},
    time::timeout,
};

#[tokio::test]
async fn session_is_logged_when_opened_and_ended() {
    let mut server = ServerProcess::start().await;
    let mut peer = server.connect().await;
    peer.log_in().await;
    let opened = server.log_line(SESSION_OPENED).await;
    assert!(opened.contains(" INFO "), "{opened}");
    assert!(opened.contains("connection=1 peer=127.0.0.1:"), "{opened}");
    assert!(opened.ends_with(ADMIN_SESSION), "{opened}");
    peer.send(frame::text("hello")).await;
    peer.text().await;
    peer.send(frame::close(1000, "bye\x1b[2J")).await;
    peer.close().await;
    let ended = server.log_line(SESSION_ENDED).await;
    for part in [
        " user=admin ",
        " cause=closed by the peer: bye\\u{1b}[2J ",
        " code=1000 ",
        " messages_in=1 bytes_in=5 messages_out=1 bytes_out=26",
    ] {
        assert!(ended.contains(part), "{part:?} is not in {ended}");
    }
}

#[tokio::test]
async fn start_logs_files_warning_and_client_command() {
    let mut server = ServerProcess::start().await;
    let read = server.log_line("read ").await;
    assert!(
        read.contains("server.toml") && read.contains("credentials.toml"),
        "{read}"
    );
    let warning = server.log_line("development password").await;
    assert!(warning.contains(" WARN "), "{warning}");
    server.log_line("cargo run -p ws-client").await;
}

#[tokio::test]
async fn failed_login_log_has_no_name_and_no_password() {
    let mut server = ServerProcess::start().await;
    let mut peer = server.connect().await;
    peer.upgrade().await;
    peer.send(frame::text("hunter2\x1b[31m:hunter3")).await;
    peer.text().await;
    let line = server.log_line(LOGIN_FAILED).await;
    let expected = "event=login_failed peer=127.0.0.1 connection=1 method=message reason=malformed";
    assert!(line.ends_with(expected), "{line}");
    peer.send(frame::text("hunter2:hunter3")).await;
    peer.text().await;
    let line = server.log_line(LOGIN_FAILED).await;
    let (_, name) = line
        .split_once(" user=\"unknown:")
        .expect("the field has a value");
    let (hash, rest) = name.split_at(8);
    assert!(hash.chars().all(|c| c.is_ascii_hexdigit()), "{line}");
    assert_eq!(rest, "\" reason=unknown_user");
}

/// At trace level the WebSocket library logs whole messages.
#[tokio::test]
async fn trace_log_has_no_password_and_no_message() {
    let command = ServerProcess::command(&fixture("server.toml"));
    let mut server = ServerProcess::spawn_with_log(command, "trace").await;
    let mut refused = server.connect().await;
    refused
        .send("GET /canary-path HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    refused.head().await;
    drop(refused);
    let detail = server.log_line(HANDSHAKE_REFUSED).await;
    assert!(
        detail.contains("DEBUG") && !detail.contains("canary"),
        "{detail}"
    );
    let mut peer = server.connect().await;
    peer.send(HANDSHAKE.replace("GET / ", "GET /?token=canary-query "))
        .await;
    peer.head().await;
    peer.send(frame::text("canary-name:canary-password")).await;
    peer.text().await;
    peer.send(frame::text("admin:123456")).await;
    peer.text().await;
    peer.send(frame::text("canary-message")).await;
    peer.text().await;
    peer.send(frame::close(1000, "")).await;
    peer.close().await;
    server.signal(Signal::TERM);
    let (_, _, log) = server.finish().await;
    assert!(log.contains(SESSION_ENDED), "{log}");
    for secret in ["canary", "123456"] {
        assert!(!log.contains(secret), "{secret} is in {log}");
    }
}

/// Each line is a JSON object, for any text that a peer sends.
#[tokio::test]
async fn json_log_has_one_object_per_line() {
    let mut command = ServerProcess::command(&fixture("server.toml"));
    command.args(["--log-format", "json"]);
    let server = ServerProcess::spawn_with_log(command, "debug").await;
    for name in ["x\" \\ event=login_ok", "x\u{1b}\n{}", "admin"] {
        let mut peer = server.connect().await;
        peer.upgrade().await;
        peer.send(frame::text(&format!("{name}:1"))).await;
        peer.text().await;
        peer.send(frame::text("admin:123456")).await;
        peer.text().await;
        peer.send(frame::close(1000, "\"}\n\u{1b}\u{202e}\u{9b}{"))
            .await;
        peer.close().await;
    }
    server.signal(Signal::TERM);
    let (_, _, log) = server.finish().await;
    let (mut objects, mut of_audit) = (Vec::new(), Vec::new());
    for line in log.lines() {
        assert!(!line.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{line}");
        let object: Value = serde_json::from_str(line).expect("the line is a JSON object");
        for key in ["timestamp", "level", "target", "message"] {
            assert!(object[key].is_string(), "{key} is not in {line}");
        }
        let time = object["timestamp"].as_str().unwrap();
        assert!(humantime::parse_rfc3339(time).is_ok(), "{line}");
        let connection = &object["connection"];
        assert!(connection.is_null() || connection.is_u64(), "{line}");
        if object["target"] == "audit" {
            let event = object["event"].as_str().unwrap().to_owned();
            of_audit.push((event, object["reason"].as_str().map(str::to_owned)));
        }
        objects.push(object);
    }
    let failed = |reason: &str| ("login_failed".to_owned(), Some(reason.to_owned()));
    let event = |event: &str| (event.to_owned(), None);
    let expected = [
        failed("unknown_user"),
        event("login_ok"),
        failed("malformed"),
        event("login_ok"),
        failed("wrong_password"),
        event("login_ok"),
        event("drain_started"),
        event("drain_ended"),
    ];
    assert_eq!(of_audit, expected, "{log}");
    let causes = objects.iter().filter_map(|object| object["cause"].as_str());
    let escaped = "closed by the peer: \"}\\n\\u{1b}\\u{202e}\\u{9b}{";
    assert_eq!(causes.filter(|cause| *cause == escaped).count(), 3, "{log}");
}

#[tokio::test]
async fn log_format_flag_overrides_the_configuration() {
    for (key, flag, is_json) in [
        ("json", None, true),
        ("json", Some("text"), false),
        ("text", Some("json"), true),
    ] {
        let files = ServerFiles::with_admin(&format!("log_format = \"{key}\"\n"));
        let mut command = files.command();
        if let Some(flag) = flag {
            command.args(["--log-format", flag]);
        }
        let mut server = ServerProcess::spawn(command).await;
        let line = server.log_line("read ").await;
        assert_eq!(line.starts_with('{'), is_json, "{key} {flag:?}: {line}");
    }
    let files = ServerFiles::with_admin("log_format = \"xml\"\n");
    let finished = run(files.command_with(&["--log-format", "json"]), "").await;
    assert_eq!(finished.code, Some(2));
    let expected = "line 1: `log_format`: write \"text\" or \"json\"\n";
    assert!(finished.stderr.ends_with(expected), "{finished:?}");
    assert!(finished.stderr.starts_with("ws-server: "), "{finished:?}");
}

/// Ends a session with a close reason that makes its log line long.
async fn end_with_long_log_line(address: &str) {
    let mut peer = RawPeer::new(TcpStream::connect(address).await.unwrap());
    peer.log_in().await;
    peer.send(frame::close(1000, &"\u{1b}".repeat(123))).await;
    peer.close().await;
}

/// Starts a server with this stderr. Returns the process and its address.
async fn spawn_with_stderr(stderr: impl Into<Stdio>) -> (Child, String) {
    let mut command = ServerProcess::command(&fixture("server.toml"));
    command.env("RUST_LOG", "info");
    spawn_logging_to(stderr, command).await
}

async fn spawn_logging_to(stderr: impl Into<Stdio>, mut command: Command) -> (Child, String) {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let line = stdout.next_line().await.unwrap().unwrap();
    let address = line.strip_prefix("listening on ws://").unwrap().to_owned();
    (child, address)
}

/// Logs in, and asserts that an echo arrives promptly.
async fn assert_served(address: &str) {
    let served = async {
        let mut peer = RawPeer::new(TcpStream::connect(address).await.unwrap());
        peer.log_in().await;
        let start = Instant::now();
        peer.send(frame::text("hello")).await;
        assert_eq!(peer.text().await, echoed("hello"));
        start.elapsed()
    };
    let took = timeout(TEST_TIMEOUT, served)
        .await
        .expect("the server answers in time");
    assert!(took < Duration::from_millis(500), "{took:?}");
}

/// Stops a server, and returns the rest of its stdout.
async fn stop(mut child: Child) -> String {
    let mut stdout = child.stdout.take().unwrap();
    send_signal(&child, Signal::TERM);
    let start = Instant::now();
    assert_eq!(wait_for_exit(&mut child).await.code(), Some(0));
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "the server waits for its log"
    );
    let mut output = String::new();
    stdout.read_to_string(&mut output).await.unwrap();
    output
}

/// The sessions whose log lines, of more than 900 bytes each, fill the pipe and the log queue.
const SESSIONS_TO_FILL_THE_LOG: usize = 1500;

#[tokio::test]
async fn unread_log_does_not_block_the_server() {
    let (child, address) = spawn_with_stderr(Stdio::piped()).await;
    for _ in 0..SESSIONS_TO_FILL_THE_LOG {
        end_with_long_log_line(&address).await;
    }
    assert_served(&address).await;
    assert_eq!(stop(child).await, "", "stdout has only the address");
}

/// An invalid `RUST_LOG` is reported at start, and not again by a reload.
#[tokio::test]
async fn unread_log_does_not_block_a_reload() {
    let files = ServerFiles::with_admin("log_level = \"warn\"\n");
    let mut command = files.command();
    command.env("RUST_LOG", "info,x=nonsense");
    let (child, address) = spawn_logging_to(Stdio::piped(), command).await;
    for _ in 0..SESSIONS_TO_FILL_THE_LOG {
        end_with_long_log_line(&address).await;
    }
    files.replace(
        CONFIGURATION,
        "log_level = \"info\"\n[echo]\nprefix = \"> \"\n",
    );
    let reloaded = async {
        loop {
            let mut peer = RawPeer::new(TcpStream::connect(&address).await.unwrap());
            peer.log_in().await;
            peer.send(frame::text("hello")).await;
            if peer.text().await == "> hello" {
                break;
            }
        }
    };
    timeout(TEST_TIMEOUT, reloaded)
        .await
        .expect("the reload applies in time");
    assert_eq!(stop(child).await, "");
}

#[tokio::test]
async fn lost_log_lines_are_counted_and_reported() {
    let (mut child, address) = spawn_with_stderr(Stdio::piped()).await;
    for _ in 0..SESSIONS_TO_FILL_THE_LOG {
        end_with_long_log_line(&address).await;
    }
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut lines = Vec::new();
    let lost = loop {
        let line = timeout(TEST_TIMEOUT, log.next_line())
            .await
            .expect("the report is logged in time");
        let line = line.unwrap().unwrap();
        if let Some((_, lost)) = line.split_once(" event=lines_lost lines=") {
            assert!(line.contains(" WARN audit: "), "{line}");
            break lost.parse::<usize>().unwrap();
        }
        lines.push(line);
    };
    // Each session logs three lines; the start logs lines without a connection.
    let of_sessions = |lines: &[String]| {
        let counted = lines.iter().filter(|line| line.contains(" connection="));
        counted.count()
    };
    assert!(lost > 0);
    assert_eq!(of_sessions(&lines) + lost, 3 * SESSIONS_TO_FILL_THE_LOG);

    // After the report no more lines are lost.
    assert_served(&address).await;
    assert_eq!(stop(child).await, "");
    let mut rest = Vec::new();
    while let Some(line) = log.next_line().await.unwrap() {
        rest.push(line);
    }
    let ended = rest.iter().any(|line| line.contains("event=drain_ended"));
    assert!(ended, "{rest:#?}");
    assert!(
        !rest.iter().any(|line| line.contains("lines_lost")),
        "{rest:#?}"
    );
}

#[tokio::test]
async fn lost_log_lines_are_a_metric() {
    let files = ServerFiles::with_admin(ADMIN);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (child, _) = spawn_logging_to(full, files.command()).await;
    let lost = async {
        loop {
            let stream = UnixStream::connect(files.path("admin.sock")).await.unwrap();
            let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            let metrics = send_request(RawPeer::new(stream), request).await.body;
            let lost = metrics
                .lines()
                .find_map(|line| line.strip_prefix("ws_server_log_lines_lost_total "));
            if lost.unwrap().parse::<u64>().unwrap() > 0 {
                break;
            }
        }
    };
    timeout(TEST_TIMEOUT, lost)
        .await
        .expect("the metric counts in time");
    assert_eq!(stop(child).await, "");
}

#[tokio::test]
async fn unwritable_log_does_not_block_the_server() {
    // A pipe without a reader.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let full = File::options().write(true).open("/dev/full").unwrap();
    for stderr in [Stdio::from(writer), full.into()] {
        let (child, address) = spawn_with_stderr(stderr).await;
        for _ in 0..10 {
            end_with_long_log_line(&address).await;
        }
        assert_served(&address).await;
        assert_eq!(stop(child).await, "");
    }
}
