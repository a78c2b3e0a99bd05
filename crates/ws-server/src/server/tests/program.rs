//! The program service, between connections on pipes and processes of shells.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::server::tests::{
    harness::*,
    routes::{AS_ADMIN, AS_JANE, TWO, accounts, config, session},
    stream::{STEP, on_workers},
};

/// Limits that end a stalled session soon.
const SOON: &str = "[limits]\nwrite_deadline = \"300ms\"\nclose_deadline = \"300ms\"\n";

/// Returns the configuration of a server that runs a shell script at `/`. `keys` are further lines of the
/// route, and tables below it.
fn route(script: &str, keys: &str) -> String {
    let script = toml::Value::from(script);
    format!(
        "[[route]]\npath = \"/\"\nservice = \"program\"\n\
         command = [\"/bin/bash\", \"-c\", {script}]\n{keys}"
    )
}

pub(super) fn server(script: &str, keys: &str) -> TestServer {
    TestServer(Arc::new(ServerState::new(
        config(&route(script, keys)),
        accounts(TWO),
    )))
}

/// Connects with Basic credentials.
pub(super) async fn connected(server: &TestServer) -> RawPeer<DuplexStream> {
    session(server, "/", AS_ADMIN).await.with_timeout(STEP)
}

/// Returns the texts that a program writes until its session closes, and the Close frame.
async fn output(script: &str, keys: &str) -> (Vec<String>, (u16, String)) {
    let server = server(script, keys);
    let mut client = connected(&server).await;
    rest(&mut client).await
}

/// Returns the texts until the Close frame, and the Close frame.
async fn rest(client: &mut RawPeer<DuplexStream>) -> (Vec<String>, (u16, String)) {
    let mut texts = Vec::new();
    loop {
        let frame = client.frame().await;
        if frame.first == 0x88 {
            return (texts, frame.close());
        }
        // The server pings a client that sends nothing.
        if frame.first == 0x89 {
            continue;
        }
        assert_eq!(frame.first, 0x81);
        texts.push(String::from_utf8(frame.payload).unwrap());
    }
}

fn ended() -> (u16, String) {
    (1000, "program ended".to_owned())
}

/// Returns the state letter of a process, or `None` if it does not exist.
fn state(pid: &str) -> Option<char> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.chars().next()
}

/// Waits until a condition holds.
pub(super) async fn until(what: &str, condition: impl Fn() -> bool) {
    let holds = async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(STEP, holds).await.expect(what);
}

/// Waits until a process has ended. In a test, another process reaps orphans.
async fn until_ended(pid: &str) {
    until("the process ends", || {
        matches!(state(pid), None | Some('Z'))
    })
    .await;
}

/// Waits until no program runs, and each leader of a group is reaped.
async fn until_idle(server: &TestServer) {
    until("no program runs", || {
        server.metric("ws_server_programs") == 0
    })
    .await;
}

#[test]
fn lines_pass_both_ways_after_each_login() {
    on_workers(async || {
        let server = server(
            "echo \"$REMOTE_USER $AUTH_TYPE\"; while read -r a; do echo \"<$a>\"; done",
            "",
        );
        for (fields, hello) in [(AS_ADMIN, "admin Basic"), ("", "jane Message")] {
            let mut client = session(&server, "/", fields).await.with_timeout(STEP);
            if fields.is_empty() {
                client.send(frame::text("jane:x")).await;
                assert_eq!(client.text().await, CONGRATULATION);
            }
            assert_eq!(client.text().await, hello);
            client.send(frame::text("one")).await;
            client.send(frame::text("two three\n")).await;
            client.send(frame::text("")).await;
            for text in ["<one>", "<two three>", "<>"] {
                assert_eq!(client.text().await, text);
            }
            client.send(frame::close(1000, "done")).await;
            assert_eq!(client.close().await, (1000, "done".to_owned()));
        }
        until_idle(&server).await;
    });
}

/// A quick program showed nothing, and a last line without a line break was lost.
#[test]
fn all_output_of_quick_program_is_delivered() {
    on_workers(async || {
        for _ in 0..20 {
            let (texts, close) = output("echo first; printf last", "").await;
            assert_eq!(texts, ["first", "last"]);
            assert_eq!(close, ended());
        }
        let (texts, close) = output("seq 20000", "").await;
        assert_eq!(texts.len(), 20_000);
        assert_eq!((&*texts[19_999], close), ("20000", ended()));
        assert_eq!(output(":", "").await, (Vec::new(), ended()));
    });
}

#[tokio::test]
async fn exit_of_program_decides_close() {
    let failed = (1011, "program ended with 3".to_owned());
    assert_eq!(
        output("echo a; exit 3", "").await,
        (vec!["a".into()], failed)
    );
    let killed = (1011, "program ended by signal 9".to_owned());
    let server = server("kill -9 $$", "");
    assert_eq!(rest(&mut connected(&server).await).await, (vec![], killed));
    let exits = |result| {
        server.metric(&format!(
            "ws_server_program_exits_total{{result=\"{result}\"}}"
        ))
    };
    assert_eq!([exits("ok"), exits("failed"), exits("signal")], [0, 0, 1]);
}

#[tokio::test]
async fn output_becomes_lines_of_text() {
    let (texts, _) = output(r"printf 'a\r\n\xff\xc3\xa9\n\nb\n'", "").await;
    assert_eq!(texts, ["a", "\u{fffd}\u{e9}", "", "b"]);
}

#[tokio::test]
async fn overlong_line_ends_session() {
    let keys = "max_line_bytes = 10\n";
    let too_long = (1011, "a line of the program is too long".to_owned());
    let (texts, close) = output("echo 1234567890; echo 12345678901; sleep 1000", keys).await;
    assert_eq!(
        (texts, close),
        (vec!["1234567890".into()], too_long.clone())
    );
    let (_, close) = output("tr '\\0' x </dev/zero", keys).await;
    assert_eq!(close, too_long);
}

#[tokio::test]
async fn message_with_line_break_split_or_refused() {
    let script = "while read -r a; do echo \"<$a>\"; done";
    let split = server(script, "");
    let mut client = connected(&split).await;
    client.send(frame::text("one\ntwo\n")).await;
    assert_eq!(client.text().await, "<one>");
    assert_eq!(client.text().await, "<two>");
    let refusing = server(script, "multiline = \"refuse\"\n");
    let mut client = connected(&refusing).await;
    client.send(frame::text("one\n")).await;
    assert_eq!(client.text().await, "<one>");
    client.send(frame::text("one\ntwo")).await;
    let refused = (1003, "a line break in a message".to_owned());
    assert_eq!(client.close().await, refused);
}

/// Messages of the other type vanished.
#[tokio::test]
async fn other_type_of_message_is_answered() {
    let lines = server("cat", "");
    let mut client = connected(&lines).await;
    client.send(frame::binary(b"x")).await;
    let refused = (1003, "this service takes text messages".to_owned());
    assert_eq!(client.close().await, refused);
    let bytes = server("cat", "mode = \"binary\"\n");
    let mut client = connected(&bytes).await;
    client.send(frame::text("text")).await;
    let echoed = client.frame().await;
    assert_eq!((echoed.first, &*echoed.payload), (0x82, &b"text"[..]));
}

#[test]
fn bytes_pass_both_ways_unchanged() {
    on_workers(async || {
        let server = server("cat", "mode = \"binary\"\n");
        let mut client = connected(&server).await;
        let sent: Vec<u8> = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
        for message in sent.chunks(100_000) {
            client.send(frame::binary(message)).await;
            let mut received = Vec::new();
            while received.len() < message.len() {
                received.extend(client.frame().await.payload);
            }
            assert!(received == message);
        }
    });
}

/// One ended direction ended the other one.
#[test]
fn ended_stream_does_not_end_the_other() {
    on_workers(async || {
        let writes = server("exec <&-; echo started; sleep 0.2; echo later", "");
        let mut client = connected(&writes).await;
        assert_eq!(client.text().await, "started");
        for _ in 0..100 {
            client.send(frame::text("dropped")).await;
        }
        assert_eq!(rest(&mut client).await, (vec!["later".into()], ended()));
        let reads = server("exec >&- 2>&-; read -r a; read -r b; exit ${#b}", "");
        let mut client = connected(&reads).await;
        client.send(frame::text("one")).await;
        client.send(frame::text("12345")).await;
        let close = (1011, "program ended with 5".to_owned());
        assert_eq!(client.close().await, close);
    });
}

/// A long line on stderr stopped the program.
#[test]
fn endless_stderr_does_not_stop_program() {
    on_workers(async || {
        let script = "head -c 3000000 /dev/zero >&2; echo done; seq 100000 >&2";
        let (texts, close) = output(script, "").await;
        assert_eq!((texts, close), (vec!["done".into()], ended()));
    });
}

#[tokio::test]
async fn stderr_becomes_messages_if_configured() {
    let keys = "stderr = \"message\"\n";
    let (texts, close) = output("echo error >&2; printf last >&2", keys).await;
    assert_eq!(
        (texts, close),
        (vec!["error".into(), "last".into()], ended())
    );
}

/// A program gets all messages before the end of its input, even if the client leaves at once.
#[test]
fn messages_before_close_reach_program() {
    on_workers(async || {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("input");
        let server = server(
            &format!("cat >{0}.part; mv {0}.part {0}", file.display()),
            "",
        );
        let mut client = connected(&server).await;
        let line = "x".repeat(999);
        for _ in 0..300 {
            client.send(frame::text(&line)).await;
        }
        client.send(frame::close(1000, "")).await;
        client.close().await;
        until("the program has read all", || file.exists()).await;
        assert_eq!(fs::metadata(file).unwrap().len(), 300_000);
    });
}

#[test]
fn process_started_by_program_ends_with_session() {
    on_workers(async || {
        let server = server(
            "sleep 1000 >/dev/null 2>&1 & echo $!; cat",
            "grace = \"50ms\"\n",
        );
        let mut client = connected(&server).await;
        let grandchild = client.text().await;
        assert!(state(&grandchild).is_some());
        client.send(frame::close(1000, "")).await;
        client.close().await;
        until_ended(&grandchild).await;
        until_idle(&server).await;
    });
}

/// Signals did not reach the processes that a program had started.
#[test]
fn signals_reach_processes_of_program() {
    on_workers(async || {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("signals");
        let script = format!(
            "(trap 'echo int >>{0}' INT; trap 'echo term >>{0}; exit' TERM; echo ready; \
             while :; do sleep 0.01; done) & trap : INT TERM; wait; wait; wait",
            file.display()
        );
        let server = server(&script, "grace = \"300ms\"\n");
        let mut client = connected(&server).await;
        assert_eq!(client.text().await, "ready");
        client.send(frame::close(1000, "")).await;
        client.close().await;
        let read = || fs::read_to_string(&file).unwrap_or_default();
        until("the signal arrives", || read().contains("term")).await;
        until_idle(&server).await;
    });
}

#[test]
fn program_that_ignores_signals_is_killed() {
    on_workers(async || {
        let script = "trap '' INT TERM; echo $$; while :; do sleep 1000; done";
        let server = server(script, "grace = \"50ms\"\n");
        let mut client = connected(&server).await;
        let leader = client.text().await;
        client.send(frame::close(1000, "")).await;
        client.close().await;
        until_idle(&server).await;
        assert_eq!(state(&leader), None, "the leader is reaped");
    });
}

/// A process that holds the output may write for the grace time, and ends with the session.
#[test]
fn process_left_behind_does_not_keep_session() {
    on_workers(async || {
        let server = server(
            "(echo soon; sleep 1000) & echo $!; read -r line; printf end",
            "grace = \"50ms\"\n",
        );
        let mut client = connected(&server).await;
        let (first, second) = (client.text().await, client.text().await);
        let left = [first, second]
            .into_iter()
            .find(|text| text != "soon")
            .unwrap();
        client.send(frame::text("")).await;
        assert_eq!(rest(&mut client).await, (vec!["end".into()], ended()));
        until_ended(&left).await;
        until_idle(&server).await;
    });
}

#[test]
fn endless_output_of_process_left_behind_is_cut() {
    on_workers(async || {
        let keys = "grace = \"50ms\"\n";
        let (texts, close) = output("yes & echo last; exit 7", keys).await;
        assert_eq!(close, (1011, "program ended with 7".to_owned()));
        assert!(texts.iter().any(|text| text == "last"));
    });
}

/// Writes an executable shell script.
fn write_script(file: &Path, script: &str) {
    fs::write(file, format!("#!/bin/bash\n{script}\n")).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn path_selects_program_of_directory() {
    on_workers(async || {
        let directory = tempfile::tempdir().unwrap();
        let sub = directory.path().join("sub");
        fs::create_dir(&sub).unwrap();
        fs::set_permissions(&sub, fs::Permissions::from_mode(0o755)).unwrap();
        let show = "echo \"$0 $SCRIPT_NAME $PATH_INFO $PATH_TRANSLATED\"";
        write_script(&directory.path().join("a.sh"), show);
        write_script(&sub.join("b c"), show);
        let text = directory.path().join("text");
        fs::write(&text, "no program").unwrap();
        fs::set_permissions(&text, fs::Permissions::from_mode(0o644)).unwrap();
        let root = directory.path().display();
        let source = format!(
            "[[route]]\npath = \"/bin/**\"\nservice = \"program\"\ndirectory = \"{root}\"\n"
        );
        let server = TestServer(Arc::new(ServerState::new(config(&source), accounts(TWO))));
        for (path, shown) in [
            ("/bin/a.sh", format!("{root}/a.sh /bin/a.sh  /bin/a.sh")),
            (
                "/bin/sub/b%20c/d?e=f",
                format!("{root}/sub/b c /bin/sub/b c /d /bin/sub/b c/d"),
            ),
        ] {
            let mut client = session(&server, path, AS_ADMIN).await.with_timeout(STEP);
            assert_eq!(rest(&mut client).await, (vec![shown], ended()));
        }
        for (path, status) in [
            ("/bin/absent", "404 "),
            ("/bin/", "404 "),
            ("/bin/sub", "404 "),
            ("/bin/text", "502 "),
            ("/bin/..%2Fa.sh", "400 "),
        ] {
            let mut client = server.connect().with_timeout(STEP);
            let request = HANDSHAKE.replace("GET / ", &format!("GET {path} "));
            let request = request.replace("\r\n\r\n", &format!("\r\n{AS_ADMIN}\r\n"));
            client.send(request).await;
            let head = client.head().await;
            assert!(
                head.starts_with(&format!("HTTP/1.1 {status}")),
                "{path}: {head}"
            );
        }
        // Before the login, a client does not learn which programs there are.
        let mut client = session(&server, "/bin/absent", "").await.with_timeout(STEP);
        client.send(frame::text("jane:x")).await;
        assert_eq!(client.text().await, CONGRATULATION);
        assert_eq!(
            client.close().await,
            (1011, "upstream unavailable".to_owned())
        );
        let results = |result: &str| {
            server.metric(&format!(
                "ws_server_upstream_connections_total{{route=\"/bin/**\",result=\"{result}\"}}"
            ))
        };
        assert_eq!((results("not_found"), results("unavailable")), (4, 1));
        until_idle(&server).await;
    });
}

#[test]
fn revocation_kick_and_drain_end_program() {
    on_workers(async || {
        let keys = "grace = \"50ms\"\n";
        for end in ["revocation", "kick", "drain"] {
            let server = server("echo $$; exec sleep 1000", keys);
            let mut client = session(&server, "/", AS_JANE).await.with_timeout(STEP);
            let leader = client.text().await;
            let close = match end {
                "revocation" => {
                    server.0.reload(config(&route("", keys)), accounts(ADMIN));
                    CloseReason::UserRemoved
                }
                "kick" => {
                    let (id, _) = server.handle().sessions().remove(0);
                    assert!(server.handle().kick(id).is_some());
                    CloseReason::Kicked
                }
                _ => CloseReason::ShuttingDown { back_in: 2 },
            };
            let drain = async {
                if end == "drain" {
                    server.0.end_all().await;
                }
            };
            let (found, ()) = tokio::join!(client.close(), drain);
            assert_eq!(found, (close.code().0, close.text().into_owned()), "{end}");
            until_idle(&server).await;
            assert_eq!(state(&leader), None, "{end}");
        }
    });
}

#[tokio::test]
async fn processes_of_route_are_bounded() {
    let keys = "max_processes = 1\ngrace = \"50ms\"\n";
    let server = server("cat", keys);
    let first = connected(&server).await;
    let mut basic = server.connect().with_timeout(STEP);
    basic.send(handshake_with(AS_ADMIN.trim_end())).await;
    let answer = basic.head().await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let mut message = session(&server, "/", "").await.with_timeout(STEP);
    message.send(frame::text("jane:x")).await;
    assert_eq!(message.text().await, CONGRATULATION);
    let full = (1013, "service is full, try again later".to_owned());
    assert_eq!(message.close().await, full);
    // A reload does not forget the processes that run.
    server.0.reload(config(&route("cat", keys)), accounts(TWO));
    let mut basic = server.connect().with_timeout(STEP);
    basic.send(handshake_with(AS_ADMIN.trim_end())).await;
    assert!(basic.head().await.starts_with("HTTP/1.1 503 "));
    drop(first);
    until_idle(&server).await;
    connected(&server).await;
}

#[tokio::test]
async fn program_that_vanished_is_502() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("program");
    fs::write(&file, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let source = format!(
        "[[route]]\npath = \"/\"\nservice = \"program\"\ncommand = [\"{}\"]\n",
        file.display()
    );
    let server = TestServer(Arc::new(ServerState::new(config(&source), accounts(TWO))));
    fs::remove_file(&file).unwrap();
    let mut basic = server.connect().with_timeout(STEP);
    basic.send(handshake_with(AS_ADMIN.trim_end())).await;
    assert!(basic.head().await.starts_with("HTTP/1.1 502 "));
    until_idle(&server).await;
}

/// A login that fails must not start a program.
#[tokio::test]
async fn program_not_started_before_login() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("started");
    let server = server(&format!("echo >>{}; echo started; cat", file.display()), "");
    let mut message = session(&server, "/", "").await.with_timeout(STEP);
    message.send(frame::text("jane:wrong")).await;
    assert_eq!(message.text().await, SORRY);
    let mut jane = session(&server, "/", AS_JANE).await.with_timeout(STEP);
    assert_eq!(jane.text().await, "started");
    assert_eq!(fs::read_to_string(file).unwrap(), "\n");
}

#[test]
fn program_that_does_not_read_ends_session() {
    on_workers(async || {
        let server = server("exec sleep 1000", &format!("grace = \"50ms\"\n{SOON}"));
        let mut peer = connected(&server).await.into_inner();
        let message = frame::text(&"x".repeat(100_000));
        let mut sent = 0;
        // The messages that neither the program nor the server reads block the client.
        while let Ok(written) = timeout(seconds(2), peer.write_all(&message)).await
            && written.is_ok()
        {
            sent += message.len();
            assert!(sent < 64 << 20, "the server reads without limit");
        }
        let mut client = RawPeer::new(peer).with_timeout(STEP);
        let stalled = (1011, "upstream too slow".to_owned());
        assert_eq!(client.close().await, stalled);
        until_idle(&server).await;
    });
}

#[test]
fn client_that_does_not_read_stops_program() {
    on_workers(async || {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("written");
        // The program notes each line that it could write.
        let script = format!(
            "line=$(printf '%01000d' 0); while echo $line; do printf . >>{}; done",
            file.display()
        );
        let server = server(&script, &format!("grace = \"50ms\"\n{SOON}"));
        let mut peer = connected(&server).await.into_inner();
        until_idle(&server).await;
        let lines = fs::metadata(&file).unwrap().len();
        assert!(lines < 2000, "{lines} lines of 1000 bytes are buffered");
        let mut unread = Vec::new();
        let end = timeout(STEP, peer.read_to_end(&mut unread)).await;
        end.expect("the connection ends").unwrap();
    });
}

#[tokio::test]
async fn program_inherits_only_named_variables() {
    let keys = "pass_env = [\"CARGO_MANIFEST_DIR\", \"NOT_SET\"]\n";
    let (texts, _) = output("env", keys).await;
    let names = |text: &String| text.split('=').next().unwrap().to_owned();
    let names: Vec<String> = texts.iter().map(names).collect();
    let has = |name: &str| names.iter().any(|it| it == name);
    assert!(has("PATH") && has("CARGO_MANIFEST_DIR") && has("UNIQUE_ID"));
    assert!(!has("HOME") && !has("NOT_SET") && !has("CARGO_PKG_NAME"));
}
