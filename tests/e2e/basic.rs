//! Login by Basic authentication in the handshake.

use integration_tests::{
    ADMIN_SESSION, AUTH_BASIC_HINT, CHALLENGE, CONGRATULATION, CREDENTIALS_PROMPT,
    CREDENTIALS_REFUSED, GOODBYE, HttpResponse, LOGIN_FAILED, LoginMethod, MESSAGE_PROMPT,
    SESSION_OPENED, SORRY, ServerFiles, ServerProcess, Terminal, account, assert_echo,
    authorization, client, client_binary, echoed, echoed_lines, handshake_with, run, send_request,
    server_binary, wrong_credentials_response,
};
use raw_peer::{HANDSHAKE, frame};
use rustix::process::Signal;
use tokio::process::Command;

/// The credentials of the development account.
const RIGHT: &str = "admin:123456";

/// The client's message for a 401.
const REFUSED: &str = "ws-client: the server answered HTTP/1.1 401 Unauthorized: it refuses the \
                       credentials, saying \"the username or password is wrong\"";

#[tokio::test]
async fn basic_login_is_complete_with_the_101() {
    let mut server = ServerProcess::start().await;
    let mut peer = server.connect().await;
    // Bytes right after the request are already a message.
    let request = handshake_with(&[&authorization(RIGHT)]).into_bytes();
    peer.send([request, frame::text("hello")].concat()).await;
    let answer = HttpResponse::parse(&peer.head().await);
    assert_eq!(answer.status_line, "HTTP/1.1 101 Switching Protocols");
    let fields: Vec<_> = answer
        .fields
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    assert_eq!(
        fields,
        [
            ("connection", "Upgrade"),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("upgrade", "websocket"),
        ]
    );
    assert_eq!(peer.text().await, echoed("hello"));
    let opened = server.log_line(SESSION_OPENED).await;
    assert!(opened.ends_with(ADMIN_SESSION), "{opened}");
    // After the login, credentials are an ordinary message.
    assert_echo(&mut peer, RIGHT).await;
    peer.send(frame::close(1000, "")).await;
    assert_eq!(peer.close().await, (1000, String::new()));
    peer.end().await;
}

#[tokio::test]
async fn wrong_or_repeated_basic_credentials_get_401() {
    let mut server = ServerProcess::start().await;
    let right = authorization(RIGHT);
    let wrong = authorization("admin:1");
    // The parser tests cover the other malformed values.
    let tries = [&[wrong.as_str()][..], &[&right, &right]];
    for (index, fields) in tries.iter().enumerate() {
        let answer = send_request(server.connect().await, &handshake_with(fields)).await;
        assert_eq!(answer, wrong_credentials_response(), "{fields:?}");
        let line = server.log_line(LOGIN_FAILED).await;
        let connection = index + 1;
        let why = if index == 0 {
            "user=\"admin\" reason=wrong_password"
        } else {
            "reason=malformed"
        };
        let expected =
            format!("event=login_failed peer=127.0.0.1 connection={connection} method=basic {why}");
        assert!(line.ends_with(&expected), "{line}");
    }
    let unknown = authorization("unknown:123456");
    let answer = send_request(server.connect().await, &handshake_with(&[&unknown])).await;
    assert_eq!(answer, wrong_credentials_response());
    let line = server.log_line(LOGIN_FAILED).await;
    assert!(line.ends_with(" reason=unknown_user"), "{line}");
    LoginMethod::Basic.log_in(&server, RIGHT).await;
}

#[tokio::test]
async fn required_basic_rejects_handshakes_without_it() {
    let server = ServerProcess::start_with("[login]\nbasic = \"required\"").await;
    let answer = send_request(server.connect().await, HANDSHAKE).await;
    let expected = HttpResponse::refusal(
        "401 Unauthorized",
        "a username and a password are required",
        &[CHALLENGE],
    );
    assert_eq!(answer, expected);
    LoginMethod::Basic.assert_rejected(&server, "admin:1").await;
    assert_echo(
        &mut LoginMethod::Basic.log_in(&server, RIGHT).await,
        "hello",
    )
    .await;
    let finished = run(client([server.url()]), format!("{RIGHT}\nhello\n")).await;
    assert_eq!(finished.code, Some(6), "{finished:?}");
    assert_eq!(finished.stdout(), "");
    let hint = AUTH_BASIC_HINT;
    assert!(finished.stderr.contains(hint), "{}", finished.stderr);
}

#[tokio::test]
async fn disabled_basic_ignores_the_credentials() {
    let server = ServerProcess::start_with("[login]\nbasic = \"off\"").await;
    let mut peer = server.connect().await;
    peer.send(handshake_with(&[&authorization(RIGHT)])).await;
    let head = peer.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    peer.send(frame::text("hello")).await;
    assert_eq!(peer.text().await, SORRY);
    peer.send(frame::text(RIGHT)).await;
    assert_eq!(peer.text().await, CONGRATULATION);
}

#[tokio::test]
async fn hash_password_output_logs_in_by_both_methods() {
    let mut command = Command::new(server_binary());
    command.arg("hash-password");
    let hashed = run(command, "pass:word\n").await;
    assert_eq!(hashed.code, Some(0), "{hashed:?}");
    let files = ServerFiles::new("", &account("jane", hashed.stdout()));
    let server = files.serve().await;
    for method in LoginMethod::ALL {
        assert_echo(&mut method.log_in(&server, "jane:pass:word").await, "hello").await;
        for wrong in ["jane:pass", "jane:pass:word ", "joe:pass:word"] {
            method.assert_rejected(&server, wrong).await;
        }
    }
}

#[tokio::test]
async fn piped_client_logs_in_with_its_first_line() {
    let server = ServerProcess::start().await;
    let command = client([server.url().as_str(), "--auth", "basic"]);
    let finished = run(command, format!("{RIGHT}\nhello\n{RIGHT}\nexit\n")).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stdout(), echoed_lines(["hello", RIGHT]));
    assert_eq!(finished.stderr, format!("{GOODBYE}\n"));
}

#[tokio::test]
async fn piped_client_sends_nothing_after_a_401() {
    let mut server = ServerProcess::start().await;
    let command = client([server.url().as_str(), "--auth", "basic"]);
    let finished = run(command, format!("admin:1\n{RIGHT}\nhello\n")).await;
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert_eq!(finished.stdout(), "");
    let expected = format!("{REFUSED}\nws-client: 2 lines were not sent\n");
    assert_eq!(finished.stderr, expected);
    server.log_line(LOGIN_FAILED).await;
    server.signal(Signal::TERM);
    let (_, _, log) = server.finish().await;
    assert!(!log.contains(LOGIN_FAILED), "the client tried again: {log}");
}

#[tokio::test]
async fn interactive_client_prompts_again_after_a_401() {
    let mut server = ServerProcess::start().await;
    let mut terminal = Terminal::spawn(&client_binary(), &[&server.url(), "--auth", "basic"]);
    terminal.expect(CREDENTIALS_PROMPT.trim_end()).await;
    terminal.type_text("admin:canary\r").await;
    terminal.expect(CREDENTIALS_REFUSED).await;
    server.log_line(LOGIN_FAILED).await;
    let asked_again = |screen: &str| screen.matches(CREDENTIALS_PROMPT.trim_end()).count() == 2;
    terminal
        .expect_screen("the second prompt", asked_again)
        .await;
    terminal.type_text("admin:123456\r").await;
    terminal.expect(MESSAGE_PROMPT.trim_end()).await;
    terminal.type_text("hello\r").await;
    terminal.expect(&echoed("hello")).await;
    terminal.type_text("exit\r").await;
    assert_eq!(terminal.finish().await, Some(0));
    let lines: Vec<String> = terminal
        .contents()
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    let written = terminal.written();
    for secret in ["canary", "123456"] {
        assert!(!written.contains(secret), "{written:?}");
    }
    assert_eq!(
        lines,
        [
            "ws-client: enter username:password".to_owned(),
            format!("{CREDENTIALS_PROMPT}admin:******"),
            REFUSED.to_owned(),
            format!("{CREDENTIALS_PROMPT}admin:******"),
            format!("{MESSAGE_PROMPT}hello"),
            echoed("hello"),
            format!("{MESSAGE_PROMPT}exit"),
            GOODBYE.to_owned(),
        ]
    );
}

/// A header field of the user is a login like that of `--auth basic`.
#[tokio::test]
async fn authorization_header_logs_in_or_exits_with_3() {
    let server = ServerProcess::start().await;
    for (line, code, stdout) in [
        (RIGHT, 0, echoed_lines(["hi"])),
        ("admin:1", 3, String::new()),
    ] {
        let field = authorization(line);
        let url = server.url();
        let arguments = [url.as_str(), "--auth", "none", "-H", &field];
        let finished = run(client(arguments), "hi\n").await;
        assert_eq!(finished.code, Some(code), "{finished:?}");
        assert_eq!(finished.stdout(), stdout);
        let secret = field.rsplit(' ').next().unwrap();
        assert!(!finished.stderr.contains(secret), "{finished:?}");
    }
}

#[tokio::test]
async fn header_fields_reach_the_handshake_masked() {
    let server = ServerProcess::start().await;
    let url = server.url();
    let field = authorization(RIGHT);
    let shown = run(
        client(["handshake", "-H", "X-A: b", "-H", &field, &url]),
        "",
    )
    .await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    for line in [
        "> X-A: b\n",
        "> Authorization: ***\n",
        "  X-A\n         added",
    ] {
        assert!(shown.stdout().contains(line), "{shown:?}");
    }
    // The server answers only to its own names on loopback.
    let other = run(
        client([&url, "--auth", "none", "-H", "Host: example.org"]),
        "",
    )
    .await;
    assert_eq!(other.code, Some(6), "{other:?}");
    assert!(other.stderr.contains("421"), "{other:?}");
    let forged = run(client([&url, "--auth", "none", "-H", "Upgrade: h2c"]), "").await;
    assert_eq!(forged.code, Some(2), "{forged:?}");
}

#[tokio::test]
async fn subprotocol_is_offered_and_its_absence_reported() {
    let server = ServerProcess::start_with("subprotocols = [\"v1\"]").await;
    let url = server.url();
    let input = format!("{RIGHT}\nhi\n");
    let notice = "ws-client: the server selected no subprotocol; the request offered v2\n";
    for (offered, has_notice) in [(&["v2", "v1"][..], false), (&["v2"], true)] {
        let flags = offered.iter().flat_map(|name| ["-s", name]);
        let finished = run(client(flags.chain([url.as_str()])), &input).await;
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert_eq!(finished.stdout(), echoed_lines(["hi"]));
        assert_eq!(finished.stderr.contains(notice), has_notice, "{finished:?}");
    }
    let shown = run(client(["handshake", "-s", "v2", "-s", "v1", &url]), "").await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    for line in [
        "> Sec-WebSocket-Protocol: v2, v1\n",
        "< Sec-WebSocket-Protocol: v1\n",
        "  right  Sec-WebSocket-Protocol: v1\n         it is one of those offered: v2, v1",
    ] {
        assert!(shown.stdout().contains(line), "{shown:?}");
    }
    let twice = run(client(["-s", "a", "-s", "a", &url]), "").await;
    assert_eq!(twice.code, Some(2), "{twice:?}");
}
