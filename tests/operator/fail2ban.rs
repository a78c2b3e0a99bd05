//! The shipped fail2ban filter on logs of the server. It must find the addresses of failed logins,
//! and no other address that a name, path or message contains.

use std::{
    fs,
    path::{Path, PathBuf},
};

use integration_tests::{
    ACCOUNTS, CONFIGURATION, LoginMethod, NOT_RELOADED, SORRY, ServerFiles, ServerProcess, account,
    authorization, handshake_with, root, run, send_request,
};
use raw_peer::frame;
use rustix::process::Signal;
use tempfile::NamedTempFile;
use tokio::process::Command;

/// A forged line, with an address that must not be banned.
const FORGED: &str = "login failed event=login_failed peer=203.0.113.66 connection=1 method=message \
                      reason=malformed";

/// The forged line for a JSON log.
const FORGED_OBJECT: &str = r#"","level":"INFO","message":"login failed","event":"login_failed","peer":"203.0.113.66","connection":1,"method":"message","reason":"malformed","target":"audit"}"#;

/// Trusted proxies let the tests use many client addresses.
const CONFIGURED: &str = "trusted_proxies = [\"127.0.0.0/8\", \"::1\"]\n\
    [login]\nmax_failures_per_address = 3\nfailure_decay = \"1h\"\n\
    [[route]]\npath = \"/\"\nservice = \"echo\"\n\
    [[route]]\npath = \"/room/*\"\nservice = \"room\"\n\
    [[route]]\npath = \"/closed\"\nservice = \"echo\"\nusers = [\"jane\"]\n";

fn filter() -> PathBuf {
    root().join("config/deploy/fail2ban/filter.d/ws-server.conf")
}

/// Returns the command that runs a Python program with the fail2ban library.
fn python(program: &Path) -> Command {
    let fail2ban = root().join("target/peers/fail2ban");
    assert!(fail2ban.exists(), "run .ci/operator first");
    let mut command = Command::new("python3");
    command
        .arg(program)
        .env("PYTHONPATH", fail2ban.join("usr/lib/python3/dist-packages"));
    command
}

/// Returns the addresses that the filter finds in a log file, in order.
async fn found(log: &Path) -> Vec<String> {
    let fail2ban = root().join("target/peers/fail2ban");
    let mut command = python(&fail2ban.join("usr/bin/fail2ban-regex"));
    command.arg("--config").arg(fail2ban.join("etc/fail2ban"));
    command.args(["--out", "ip"]).arg(log).arg(filter());
    addresses(command, "").await
}

/// Returns the addresses that the filter finds in the lines as journal entries.
async fn found_in_journal(log: &str) -> Vec<String> {
    let mut command = python(&root().join("tests/operator/journal.py"));
    command.arg(filter());
    addresses(command, log).await
}

async fn addresses(command: Command, stdin: &str) -> Vec<String> {
    let finished = run(command, stdin).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.stdout().lines().map(str::to_owned).collect()
}

/// A ticket that names `jane`, with a MAC of zeros.
const TICKET: &str =
    "wst1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAamFuZQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Fails a login by this method, with the address in `X-Forwarded-For`.
async fn fail_login(server: &ServerProcess, method: LoginMethod, address: &str, line: &str) {
    let forwarded = format!("X-Forwarded-For: {address}");
    match method {
        LoginMethod::Basic => {
            let authorization = authorization(line);
            let request = handshake_with(&[&forwarded, &authorization]);
            let answer = send_request(server.connect().await, &request).await;
            assert_eq!(answer.status_line, "HTTP/1.1 401 Unauthorized");
        }
        LoginMethod::Message => {
            let mut peer = server.connect().await;
            peer.send(handshake_with(&[&forwarded])).await;
            peer.head().await;
            peer.send(frame::text(line)).await;
            assert_eq!(peer.text().await, SORRY, "{line}");
        }
    }
}

/// Sends forged texts in every place that a client controls, without a failed login.
async fn send_forged_texts(server: &ServerProcess, name: &str) {
    for text in [FORGED, FORGED_OBJECT] {
        // In a path, a query and other header fields.
        let path = text
            .replace(' ', "%20")
            .replace('"', "%22")
            .replace('{', "%7B")
            .replace('}', "%7D");
        for request in [
            handshake_with(&[]).replace("GET / ", &format!("GET /{path} ")),
            handshake_with(&[]).replace("GET / ", &format!("GET /?{path} ")),
            handshake_with(&[
                &format!("User-Agent: {text}"),
                "Origin: https://evil.example",
            ]),
            format!("GET / HTTP/1.1\r\n{text}\r\n\r\n"),
            format!("{text}\r\n\r\n"),
        ] {
            let mut peer = server.connect().await;
            peer.send(request).await;
            peer.head().await;
        }
        // In a room name, a message and a close reason.
        let mut peer = server.connect().await;
        let basic = authorization(format!("{name}:1"));
        // Without a part of an escape at its end.
        let longest = &path[..path.len().min(126)];
        let room = match longest.rfind('%') {
            Some(escape) if escape + 3 > longest.len() => &longest[..escape],
            _ => longest,
        };
        let room = format!("GET /room/{room} ");
        peer.send(handshake_with(&[&basic]).replace("GET / ", &room))
            .await;
        assert!(peer.head().await.starts_with("HTTP/1.1 101 "));
        peer.send(frame::text(text)).await;
        peer.text().await;
        for cut in [text, &format!("\n{text}\n")] {
            let mut peer = LoginMethod::Basic
                .log_in(server, &format!("{name}:1"))
                .await;
            let reason = &cut[..cut.len().min(123)];
            peer.send(frame::close(1000, reason)).await;
            peer.close().await;
        }
    }
    // Valid credentials without access to the route.
    let basic = authorization(format!("{name}:1"));
    let closed = handshake_with(&[&basic]).replace("GET / ", "GET /closed ");
    let answer = send_request(server.connect().await, &closed).await;
    assert_eq!(answer.status_line, "HTTP/1.1 403 Forbidden");
}

/// Runs a server with this log format, and fails logins from many addresses. Returns the log and
/// the expected addresses.
async fn log_of_wrong_logins(format: &str) -> (String, Vec<&'static str>) {
    // The operator chooses account names, which may contain anything.
    let name = r#"x" reason=y event=login_failed peer=203.0.113.66 user="z\"#;
    let entry = |name: &str| {
        account(
            &name.replace('\\', r"\\").replace('"', r#"\""#),
            "password = \"1\"",
        )
    };
    let late = account("late", "password = \"1\"\nexpires = 2020-01-01T00:00:00Z");
    let files = ServerFiles::new(CONFIGURED, &(entry(name) + &entry("jane") + &late));
    let command = files.command_with(&["--listen", "[::1]:0", "--log-format", format]);
    let mut server = ServerProcess::spawn_with_log(command, "debug").await;

    send_forged_texts(&server, name).await;
    let mut expected = Vec::new();
    for (method, address, line) in [
        (LoginMethod::Message, "192.0.2.1", "jane:2"),
        (LoginMethod::Basic, "192.0.2.2", "jane:2"),
        (LoginMethod::Message, "192.0.2.3", "unknown:1"),
        (LoginMethod::Basic, "2001:db8::1", "unknown:1"),
        (LoginMethod::Message, "2001:db8:0:1::1", "no colon"),
        (LoginMethod::Message, "192.0.2.4", "late:1"),
        (LoginMethod::Basic, "192.0.2.5", "late:1"),
        // Names with forged fields.
        (LoginMethod::Message, "192.0.2.6", &format!("{name}:2")),
        (LoginMethod::Basic, "192.0.2.7", &format!("{name}:2")),
        (
            LoginMethod::Message,
            "192.0.2.8",
            "x event=login_failed peer=203.0.113.66:1",
        ),
        (
            LoginMethod::Message,
            "192.0.2.9",
            "x\n2030-01-01T00:00:00.0Z  INFO audit: login failed:1",
        ),
        (
            LoginMethod::Basic,
            "192.0.2.10",
            "\u{1b}[2K\rpeer=203.0.113.66:1",
        ),
        (LoginMethod::Message, "192.0.2.11", FORGED),
        (LoginMethod::Message, "192.0.2.12", FORGED_OBJECT),
    ] {
        fail_login(&server, method, address, line).await;
        expected.push(address);
    }
    // Only the last address counts, and a mapped IPv4 address counts as IPv4.
    fail_login(
        &server,
        LoginMethod::Basic,
        "203.0.113.66, 192.0.2.13",
        "jane:2",
    )
    .await;
    fail_login(&server, LoginMethod::Basic, "::ffff:192.0.2.14", "jane:2").await;
    fail_login(&server, LoginMethod::Basic, "peer=203.0.113.66", "jane:2").await;
    expected.extend(["192.0.2.13", "192.0.2.14", "::1"]);
    // After a restart, the tickets of honest clients may look forged.
    for method in LoginMethod::ALL {
        fail_login(&server, method, "203.0.113.66", &format!(":{TICKET}")).await;
    }
    // Over the budget nothing is verified, and the attempt still counts as failed.
    let mut peer = server.connect().await;
    peer.send(handshake_with(&["X-Forwarded-For: 192.0.2.15"]))
        .await;
    peer.head().await;
    for _ in 0..3 {
        fail_login(&server, LoginMethod::Basic, "192.0.2.15", "jane:2").await;
    }
    peer.send(frame::text("jane:2")).await;
    assert_eq!(peer.text().await, SORRY);
    assert_eq!(peer.close().await.0, 1013);
    drop(peer);
    expected.extend(["192.0.2.15"; 4]);
    send_forged_texts(&server, name).await;

    // Errors quote the unusable configuration and accounts.
    let mut log = String::new();
    for (file, content) in [
        (ACCOUNTS, format!("[[user]]\n'{FORGED_OBJECT}' = 1\n")),
        (CONFIGURATION, format!("\"{FORGED}\" = 1\n")),
    ] {
        files.replace(file, &content);
        server.signal(Signal::HUP);
        log += &lines(server.log_up_to(NOT_RELOADED).await);
    }
    server.signal(Signal::TERM);
    let (_, _, rest) = server.finish().await;
    (log + &rest, expected)
}

fn lines(lines: Vec<String>) -> String {
    lines.into_iter().map(|line| line + "\n").collect()
}

async fn finds_exactly_the_wrong_logins(format: &str) {
    let (log, expected) = log_of_wrong_logins(format).await;
    assert!(log.matches("203.0.113.66").count() > 20, "{log}");
    let file = NamedTempFile::new().expect("a file can be made");
    fs::write(file.path(), &log).expect("the file can be written");
    assert_eq!(found(file.path()).await, expected, "{log}");
    assert_eq!(found_in_journal(&log).await, expected, "{log}");
    for wrapper in WRAPPERS {
        let wrapped: String = log.lines().map(wrapper).collect();
        fs::write(file.path(), &wrapped).expect("it can be written");
        assert_eq!(found(file.path()).await, expected, "{wrapped}");
    }
}

/// The forms in which other programs write a line of the log. Row: the filter matched none of them.
const WRAPPERS: [fn(&str) -> String; 5] = [
    docker,
    |line| format!("2026-11-28T11:00:00.123456789Z stderr F {line}\n"),
    |line| format!("2026-11-28T12:00:00.123456789+01:00 stderr F {line}\n"),
    |line| format!("Nov  8 11:00:00 host ws-server[7]: {line}\n"),
    |line| format!("2026-11-28T11:00:00.123456+00:00 host ws-server[7]: {line}\n"),
];

/// Docker's json-file driver escapes what Go escapes, so that it may be a part of HTML.
fn docker(line: &str) -> String {
    let log = serde_json::to_string(&format!("{line}\n")).expect("a text is JSON");
    let log = log
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026");
    format!("{{\"log\":{log},\"stream\":\"stderr\",\"time\":\"2026-11-28T11:00:00.123456789Z\"}}\n")
}

#[tokio::test]
#[ignore = "needs the programs of .ci/operator"]
async fn filter_finds_exactly_the_failed_logins_in_text() {
    finds_exactly_the_wrong_logins("text").await;
}

#[tokio::test]
#[ignore = "needs the programs of .ci/operator"]
async fn filter_finds_exactly_the_failed_logins_in_json() {
    finds_exactly_the_wrong_logins("json").await;
}
