//! The forms of messages in a pipe, with a real server.

use integration_tests::{
    CONGRATULATION, PREFIX, SESSION_ENDED, ServerFiles, ServerProcess, Terminal, admin_account,
    client, client_binary, run,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// Returns bytes of all values, in an order without a period.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    next.take(count).collect()
}

#[tokio::test]
async fn bytes_of_a_stream_pass_unchanged() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    let route =
        format!("[[route]]\npath = \"/\"\nservice = \"stream\"\nto = \"tcp://{upstream}\"\n");
    let files = ServerFiles::new(&route, &admin_account());
    let server = files.serve().await;
    let bytes = [&b"exit\nexit\r\n\0"[..], &noise(500_000)].concat();
    let echo = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut chunk = vec![0; 10_000];
        while let Ok(count @ 1..) = stream.read(&mut chunk).await {
            stream.write_all(&chunk[..count]).await.unwrap();
        }
    };
    let url = server.url();
    let arguments = [
        &url,
        "-b",
        "-u",
        "admin",
        "--password-command",
        "echo 123456",
    ];
    let (finished, ()) = tokio::join!(run(client(arguments), &bytes), echo);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stdout == bytes, "{} bytes", finished.stdout.len());
}

#[tokio::test]
async fn records_hold_line_breaks() {
    let server = ServerProcess::start().await;
    let input = "admin:123456\0a\nb\0exit\0";
    for flag in ["-0", "--null"] {
        let finished = run(client([&server.url(), flag]), input).await;
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        assert_eq!(finished.stdout(), format!("{PREFIX}a\nb\0{PREFIX}exit\0"));
    }
}

#[tokio::test]
async fn literal_lines_have_no_words() {
    let server = ServerProcess::start().await;
    let finished = run(client([&server.url(), "--literal"]), "admin:123456\nexit\n").await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(finished.stdout(), format!("{PREFIX}exit\n"));
}

#[tokio::test]
async fn records_of_a_terminal_are_refused() {
    for flag in ["-b", "-0", "--json-input"] {
        let mut terminal = Terminal::spawn(&client_binary(), &[flag]);
        terminal.expect("are for a pipe").await;
        assert_eq!(terminal.finish().await, Some(2));
    }
}

#[tokio::test]
async fn objects_send_and_close_with_any_code() {
    let mut server = ServerProcess::start().await;
    let input = "admin:123456\n{\"send\":\"a\\nb\"}\n{\"ping\":\"x\"}\n";
    let finished = run(client([&server.url(), "--json", "--json-input"]), input).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    for event in [
        format!("{{\"event\":\"message\",\"text\":\"{PREFIX}a\\nb\"}}\n"),
        "{\"event\":\"pong\",\"base64\":\"eA==\"}\n".to_owned(),
    ] {
        assert!(finished.stdout().contains(&event), "{}", finished.stdout());
    }
    server.log_line(SESSION_ENDED).await;
    let input = "admin:123456\n{\"close\":4321,\"reason\":\"done\"}\n";
    let finished = run(client([&server.url(), "--json-input"]), input).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let ended = server.log_line(SESSION_ENDED).await;
    assert!(ended.contains("code=4321"), "{ended}");
    let input = "admin:123456\n{\"close\":1006}\n";
    let finished = run(client([&server.url(), "--json-input"]), input).await;
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    let notice =
        "line 2 of the input is no object of --json-input: close code 1006 must not be sent";
    assert!(finished.stderr.contains(notice), "{}", finished.stderr);
}

#[tokio::test]
async fn log_has_both_directions_and_no_login() {
    let server = ServerProcess::start().await;
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("log");
    let arguments = [&server.url(), "--log", path.to_str().unwrap()];
    for _ in 0..2 {
        let finished = run(client(arguments), "admin:1\nadmin:123456\nhello\n").await;
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        assert_eq!(finished.stdout(), format!("{PREFIX}hello\n"));
    }
    let log = std::fs::read_to_string(&path).unwrap();
    for text in ["123456", "admin:1", "sorry", "congratulation"] {
        assert!(!log.contains(text), "{log}");
    }
    let fields = |line: &str| -> String {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(object["at"].as_str().unwrap().ends_with('Z'), "{line}");
        let field = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
        ["event", "direction", "text"].map(field).join(" ")
    };
    let run = [
        "state  ",
        "open  ",
        "login  ",
        "message sent hello",
        &format!("message received {PREFIX}hello"),
        "state  ",
        "close  ",
        "end  ",
    ];
    let found: Vec<_> = log.lines().map(fields).collect();
    assert_eq!(found, [run, run].concat());
    let arguments = [&server.url(), "--log", "/nonexistent/log"];
    let finished = integration_tests::run(client(arguments), "").await;
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
}

#[tokio::test]
async fn detail_of_stderr_is_chosen() {
    let server = ServerProcess::start().await;
    let (url, input) = (server.url(), "admin:123456\nhello\n");
    let quiet = run(client([&url, "-q"]), input).await;
    assert_eq!((quiet.code, &*quiet.stderr), (Some(0), ""));
    let verbose = run(client([&url, "--verbose"]), input).await;
    assert_eq!(verbose.stdout(), quiet.stdout());
    let welcome = CONGRATULATION.replace("\r\n", "\n");
    let bytes = PREFIX.len() + 5;
    let expected = [
        "ws-client: connecting",
        &format!("ws-client: connected to {url}/"),
        &welcome,
        "ws-client: logged in as admin",
        "ws-client: sent a text, 5 bytes",
        &format!("ws-client: received a text, {bytes} bytes"),
        "ws-client: closing",
        "ws-client: the server sent Close 1000 \"user exit\"",
        "ws-client: exit code 0",
        "",
    ];
    assert_eq!(verbose.stderr, expected.join("\n"));
    let quiet = run(client(["-q", "ws://127.0.0.1:1"]), "").await;
    assert!(quiet.stderr.contains("could not connect"), "{quiet:?}");
}
