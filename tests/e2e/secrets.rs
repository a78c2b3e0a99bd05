//! No output of the programs contains a password, a hash, a message or an attempted user name, at
//! any log level.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use integration_tests::{
    ACCOUNTS, CONFIGURATION, CREDENTIALS_PROMPT, HANDSHAKE_REFUSED, LOGIN_FAILED, LoginMethod,
    MESSAGE_PROMPT, RELOADED, SESSION_ENDED, SESSION_OPENED, ServerFiles, ServerProcess, Terminal,
    account, assert_echo, authorization, client, client_binary, handshake_with, run, send_request,
    server_binary, users_of_file,
};
use raw_peer::frame;
use rustix::process::Signal;
use tokio::process::Command;

/// The user. Its name may appear only with a successful login.
const USER: &str = "canaryuser";

/// Each of these begins with a word of its own.
const PASSWORD: &str = "pwcanary-0";
const NEXT_PASSWORD: &str = "nextcanary-1";
const WRONG_PASSWORD: &str = "wrongcanary-2";
const UNKNOWN_NAME: &str = "namecanary-3";
const MESSAGE: &str = "textcanary-4";
const QUERY: &str = "querycanary-5";

/// Returns the secrets by kind. Parts are enough: a secret that is split is disclosed too.
fn secrets(hashes: &[&str]) -> BTreeMap<&'static str, Vec<String>> {
    let basic = |name: &str, password: &str| STANDARD.encode(format!("{name}:{password}"));
    let words = [
        PASSWORD,
        NEXT_PASSWORD,
        WRONG_PASSWORD,
        UNKNOWN_NAME,
        MESSAGE,
        QUERY,
    ];
    let basic = [PASSWORD, NEXT_PASSWORD, WRONG_PASSWORD]
        .into_iter()
        .flat_map(|password| [basic(USER, password), basic(UNKNOWN_NAME, password)])
        // Omit the start, which encodes the name, and the end, which depends only on the length.
        .map(|value| value[value.len() / 2..value.len() - 4].to_owned());
    // Some of the mistakes truncate the hash.
    let hashes = hashes
        .iter()
        .flat_map(|hash| hash.rsplit('$').take(2))
        .map(|part| part[..part.len() / 2].to_owned());
    BTreeMap::from([
        (
            "a word",
            words
                .iter()
                .map(|word| word[..word.len() - 2].to_owned())
                .collect(),
        ),
        ("a Basic value", basic.collect()),
        ("a hash or its salt", hashes.collect()),
    ])
}

#[track_caller]
fn assert_no_secret(program: &str, output: &str, secrets: &BTreeMap<&str, Vec<String>>) {
    for (kind, secrets) in secrets {
        for secret in secrets {
            assert!(
                !output.contains(secret),
                "{program} prints {kind}, {secret}:\n{output}"
            );
            // The form that a derived `Debug` prints.
            let bytes = format!("{:?}", secret.as_bytes());
            let bytes = bytes.trim_matches(['[', ']']);
            assert!(
                !output.contains(bytes),
                "{program} prints {kind}, {secret}, as bytes:\n{output}"
            );
        }
    }
}

/// Returns the output of `ws-server hash-password`, and the hash in it.
async fn hashed(password: &str) -> (String, String) {
    let mut command = Command::new(server_binary());
    command.arg("hash-password").env("RUST_LOG", "trace");
    let finished = run(command, format!("{password}\n")).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let line = finished.stdout().to_owned();
    let hash = line
        .split('"')
        .nth(1)
        .expect("the hash is quoted")
        .to_owned();
    assert!(!finished.stderr.contains(&password[..8]), "{finished:?}");
    (line, hash)
}

#[tokio::test]
async fn trace_log_contains_no_secret() {
    nothing_secret_is_logged("trace", "text").await;
}

#[tokio::test]
async fn json_trace_log_contains_no_secret() {
    nothing_secret_is_logged("trace", "json").await;
}

/// The audit is logged at every level.
#[tokio::test]
async fn audit_contains_no_secret() {
    for format in ["text", "json"] {
        nothing_secret_is_logged("error", format).await;
    }
}

/// Runs valid and failed logins by both methods, messages, mistakes in both files, reloads and a
/// revocation, and checks the log.
async fn nothing_secret_is_logged(detail: &str, format: &str) {
    let (line, hash) = hashed(PASSWORD).await;
    let (next_line, next_hash) = hashed(NEXT_PASSWORD).await;
    let secrets = secrets(&[&hash, &next_hash]);
    let files = ServerFiles::new("", &account(USER, &line));
    let mut command = files.command();
    command.args(["--log-format", format]);
    let mut server = ServerProcess::spawn_with_log(command, detail).await;
    let mut log = String::new();

    let request = handshake_with(&[]).replace("GET / ", &format!("GET /{QUERY}?{QUERY} "));
    send_request(server.connect().await, &request).await;
    let mut sessions = Vec::new();
    for method in LoginMethod::ALL {
        for (name, password) in [
            (USER, WRONG_PASSWORD),
            (UNKNOWN_NAME, PASSWORD),
            // The password in the place of the name.
            (PASSWORD, USER),
        ] {
            method
                .assert_rejected(&server, &format!("{name}:{password}"))
                .await;
        }
        let mut session = method.log_in(&server, &format!("{USER}:{PASSWORD}")).await;
        assert_echo(&mut session, MESSAGE).await;
        session.send(frame::binary(MESSAGE.as_bytes())).await;
        assert_eq!(session.frame().await.payload, MESSAGE.as_bytes());
        session.send(frame::ping(MESSAGE.as_bytes())).await;
        assert_eq!(session.frame().await.payload, MESSAGE.as_bytes());
        sessions.push(session);
    }
    for message in [
        PASSWORD.to_owned(),
        format!("{USER} {PASSWORD}"),
        format!("{PASSWORD}:"),
    ] {
        let mut peer = server.connect().await;
        peer.upgrade().await;
        peer.send(frame::text(&message)).await;
        peer.text().await;
        // An invalid frame with a secret in it.
        peer.send(frame::masked(0xF1, PASSWORD.as_bytes())).await;
        assert_eq!(peer.close().await.0, 1002);
    }
    let twice = authorization(format!("{USER}:{PASSWORD}"));
    send_request(server.connect().await, &handshake_with(&[&twice, &twice])).await;
    let of_another_kind = format!("Authorization: Bearer {PASSWORD}");
    send_request(server.connect().await, &handshake_with(&[&of_another_kind])).await;
    let in_the_target = format!("GET http://{USER}:{PASSWORD}@localhost/ ");
    send_request(
        server.connect().await,
        &handshake_with(&[]).replace("GET / ", &in_the_target),
    )
    .await;

    for mistake in mistakes(&hash) {
        files.replace(ACCOUNTS, &mistake);
        server.signal(Signal::HUP);
        log += &server.log_up_to("ERROR").await.join("\n");
    }
    files.replace(ACCOUNTS, &account(USER, &next_line));
    files.replace(
        CONFIGURATION,
        "log_level = \"trace\"\n[echo]\nprefix = \"\"\n",
    );
    server.signal(Signal::HUP);
    log += &server.log_up_to(RELOADED).await.join("\n");
    for session in &mut sessions {
        assert_eq!(session.close().await.0, 3000);
        session.send(frame::close(1000, "")).await;
        session.end().await;
    }
    LoginMethod::Message
        .log_in(&server, &format!("{USER}:{NEXT_PASSWORD}"))
        .await;
    server.signal(Signal::TERM);
    let (code, stdout, rest) = server.finish().await;
    assert_eq!((code, stdout.as_str()), (Some(0), ""));
    log += &rest;
    // The expected events were logged.
    let of_audit = [LOGIN_FAILED, "login_ok", "session_revoked", "drain_ended"];
    let of_detail = ["DEBUG", HANDSHAKE_REFUSED, SESSION_OPENED, SESSION_ENDED];
    for part in of_audit {
        assert!(log.contains(part), "{part:?} is not in {log}");
    }
    for part in of_detail {
        assert_eq!(log.contains(part), detail == "trace", "{part:?}: {log}");
    }
    assert_no_secret("the server", &log, &secrets);
    assert_only_users_are_named(&log);
}

/// Asserts that only names of users appear in the log. Unknown names appear as hashes that identify
/// equal names.
#[track_caller]
fn assert_only_users_are_named(log: &str) {
    let named = log.lines().filter(|line| line.contains(USER));
    for line in named {
        let is_user = [
            format!(" user={USER} "),
            format!(" user=\"{USER}\""),
            format!("\"user\":\"{USER}\""),
        ];
        assert!(is_user.iter().any(|user| line.contains(user)), "{line}");
    }
    let unknown = log.split("unknown:").skip(1).map(|rest| &rest[..8]);
    let mut tries = BTreeMap::new();
    for hash in unknown {
        *tries.entry(hash).or_insert(0) += 1;
    }
    assert_eq!(tries.into_values().collect::<Vec<_>>(), [2, 2], "{log}");
}

/// Returns credentials files with a mistake, most of them next to a secret.
fn mistakes(hash: &str) -> Vec<String> {
    let user = |lines: &str| account(USER, lines);
    vec![
        // The parser stops inside the secret.
        user(&format!("password = \"{PASSWORD}")),
        user(&format!("password = \"{PASSWORD}\\q\"")),
        user(&format!("password = {PASSWORD}")),
        user(&format!("password = \"{PASSWORD}\" \"{PASSWORD}\"")),
        user(&format!("password = [\"{PASSWORD}\"]")),
        user(&format!("pasword = \"{PASSWORD}\"")),
        user(&format!(
            "password = \"{PASSWORD}\"\npassword = \"{PASSWORD}\""
        )),
        user(&format!(
            "password = \"{PASSWORD}\"\npassword_hash = \"{hash}\""
        )),
        user(&format!("password_hash = \"{PASSWORD}\"")),
        user(&format!("password_hash = \"{hash}{PASSWORD}\"")),
        user(&format!(
            "password_hash = \"{}\"",
            hash.replace("argon2id", "argon2i")
        )),
        user(&format!(
            "password_hash = \"{}\"",
            hash.replace("t=2", "t=99")
        )),
        user(&format!("password_hash = \"{}\"", &hash[..hash.len() - 10])),
        user(&format!("password = \"{}\"", PASSWORD.repeat(200))),
        user(&format!(
            "password = \"{PASSWORD}\"\nexpires = \"tomorrow\""
        )),
        // A password in the place of a name.
        account(&format!("{PASSWORD}:{USER}"), "password = \"x\""),
    ]
}

#[tokio::test]
async fn check_config_prints_no_secret() {
    let (line, hash) = hashed(PASSWORD).await;
    let secrets = secrets(&[&hash]);
    let plain = format!("password = \"{PASSWORD}\"");
    let good = [account(USER, &line), account(USER, &plain)];
    let all = good.iter().map(|good| (good.clone(), 0));
    for (content, code) in all.chain(mistakes(&hash).into_iter().map(|bad| (bad, 2))) {
        let files = ServerFiles::new("", &content);
        let mut command = files.command_with(&["--check-config"]);
        command.env("RUST_LOG", "trace");
        let finished = run(command, "").await;
        assert_eq!(finished.code, Some(code), "{content}: {finished:?}");
        assert_no_secret("the check", &format!("{finished:?}"), &secrets);
        assert_no_secret("stdout", finished.stdout(), &secrets);
        assert_no_secret("stderr", &finished.stderr, &secrets);
        let holds = users_of_file(ACCOUNTS, USER);
        assert_eq!(
            finished.stdout().ends_with(&holds),
            code == 0,
            "{finished:?}"
        );
    }
}

#[tokio::test]
async fn failed_start_prints_no_secret() {
    let (_, hash) = hashed(PASSWORD).await;
    let secrets = secrets(&[&hash]);
    for content in mistakes(&hash) {
        let files = ServerFiles::new("", &content);
        let mut command = files.command();
        command.env("RUST_LOG", "trace");
        let finished = run(command, "").await;
        assert_eq!(finished.code, Some(2), "{content}: {finished:?}");
        assert_eq!(finished.stdout(), "");
        assert_no_secret("the server", &finished.stderr, &secrets);
    }
}

/// The client prints messages, and no other secret.
#[tokio::test]
async fn piped_client_prints_no_secret() {
    let (line, hash) = hashed(PASSWORD).await;
    let secrets = secrets(&[&hash]);
    let files = ServerFiles::new(
        "[login]\nmax_failures_per_address = 5\n",
        &account(USER, &line),
    );
    let server = files.serve().await;
    for (auth, input, code) in [
        (
            "message",
            format!("{USER}:{WRONG_PASSWORD}\n{USER}:{PASSWORD}\n"),
            0,
        ),
        ("basic", format!("{USER}:{PASSWORD}\n"), 0),
        (
            "message",
            format!("{UNKNOWN_NAME}:{PASSWORD}\n{WRONG_PASSWORD}\n"),
            3,
        ),
        (
            "basic",
            format!("{USER}:{WRONG_PASSWORD}\n{USER}:{PASSWORD}\n"),
            3,
        ),
        ("basic", format!("{PASSWORD}\n"), 2),
    ] {
        let mut command = client([server.url().as_str(), "--auth", auth]);
        command
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "full");
        let finished = run(command, &input).await;
        assert_eq!(finished.code, Some(code), "{auth}, {input}: {finished:?}");
        assert_eq!(finished.stdout(), "");
        assert_no_secret("the client", &finished.stderr, &secrets);
    }
    // A password in a URL is rejected without repeating it.
    let url = server
        .url()
        .replace("ws://", &format!("ws://{USER}:{PASSWORD}@"));
    for arguments in [vec![url.as_str()], vec!["handshake", &url]] {
        let finished = run(client(arguments), "").await;
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert_no_secret("the client", &format!("{finished:?}"), &secrets);
    }
}

#[tokio::test]
async fn interactive_client_prints_no_secret() {
    let (line, hash) = hashed(PASSWORD).await;
    let secrets = secrets(&[&hash]);
    let files = ServerFiles::new("", &account(USER, &line));
    let server = files.serve().await;
    for auth in ["message", "basic"] {
        let mut terminal = Terminal::spawn(&client_binary(), &[&server.url(), "--auth", auth]);
        for password in [WRONG_PASSWORD, PASSWORD] {
            terminal.expect(CREDENTIALS_PROMPT.trim_end()).await;
            terminal.type_text(&format!("{USER}:{password}\r")).await;
        }
        terminal.expect(MESSAGE_PROMPT.trim_end()).await;
        terminal.type_text("exit\r").await;
        assert_eq!(terminal.finish().await, Some(0));
        assert_no_secret("the client", &terminal.written(), &secrets);
    }
}
