//! The admin interface: `ws-server ctl`, health and metrics.

use std::{
    collections::HashSet,
    os::unix::fs::PermissionsExt as _,
    time::{Duration, Instant},
};

use integration_tests::{
    ACCOUNTS, ADMIN, AdminClient, CONFIGURATION, LoginMethod, RELOADED, SORRY, ServerFiles,
    ServerProcess, account, accounts, assert_echo, close_frame_of, ctl, ctl_ok, revoked_message,
    send_request,
};
use proto::close::CloseReason;
use raw_peer::{RawPeer, frame};
use rustix::process::Signal;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UnixListener},
};

const ROOM: &str = "[[route]]\npath = \"/\"\nservice = \"echo\"\n\
                    [[route]]\npath = \"/room/*\"\nservice = \"room\"\n";

fn files() -> ServerFiles {
    let configuration = format!("{ADMIN}{ROOM}");
    let users = accounts(&[("admin", "123456"), ("jane", "x"), ("joe", "x")]);
    ServerFiles::new(&configuration, &users)
}

/// Returns all sessions, as JSON.
async fn sessions(files: &ServerFiles) -> Vec<Value> {
    let printed = ctl_ok(files, &["sessions", "--json"]).await;
    let printed: Value = serde_json::from_str(&printed).unwrap();
    printed["sessions"].as_array().unwrap().clone()
}

/// Returns the ids of one user's sessions.
async fn ids_of(files: &ServerFiles, user: &str) -> Vec<u64> {
    let sessions = sessions(files).await;
    let of_user = sessions.iter().filter(|session| session["user"] == user);
    of_user.map(|it| it["id"].as_u64().unwrap()).collect()
}

async fn log_in(server: &ServerProcess, line: &str) -> RawPeer<TcpStream> {
    LoginMethod::Basic.log_in(server, line).await
}

#[tokio::test]
async fn sessions_are_listed_as_table_and_json() {
    let files = files();
    let server = files.serve().await;
    assert_eq!(ctl_ok(&files, &["sessions"]).await, "no sessions\n");
    assert_eq!(
        ctl_ok(&files, &["sessions", "--json"]).await,
        "{\"sessions\":[]}\n"
    );
    let mut jane = log_in(&server, "jane:x").await;
    assert_echo(&mut jane, "hello").await;
    let table = ctl_ok(&files, &["sessions"]).await;
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let [header, row] = rows.as_slice() else {
        panic!("{table}")
    };
    assert_eq!(header[..5], ["ID", "USER", "PEER", "PATH", "SINCE"]);
    assert_eq!((row[0], row[1], row[3]), ("1", "jane", "/"));
    assert!(row[2].starts_with("127.0.0.1:"), "{table}");
    assert_eq!(row[5..], ["1", "5", "1", "26"]);
    let listed = sessions(&files).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["peer"], row[2]);
    let keys: Vec<_> = listed[0].as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "bytes_in",
            "bytes_out",
            "ending",
            "id",
            "messages_in",
            "messages_out",
            "path",
            "peer",
            "seconds",
            "user"
        ]
    );
}

/// Every tenth session belongs to jane, every tenth to joe.
#[tokio::test]
async fn kick_and_revoke_end_only_the_named_sessions() {
    const SESSIONS: usize = 1000;
    let files = files();
    let limits = "[limits]\nmax_unauthenticated_per_address = \"off\"\n";
    files.overwrite(CONFIGURATION, &format!("{ADMIN}{limits}"));
    let mut server = files.serve().await;
    let admin = AdminClient::for_server(&mut server).await;
    let mut peers = Vec::new();
    for number in 0..SESSIONS {
        let user = match number % 10 {
            0 => "jane:x",
            1 => "joe:x",
            _ => "admin:123456",
        };
        peers.push((user, log_in(&server, user).await));
    }
    let listed = sessions(&files).await;
    let ids: Vec<_> = listed.iter().map(|it| it["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), SESSIONS);
    assert!(ids.is_sorted());
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), SESSIONS);
    let table = ctl_ok(&files, &["sessions"]).await;
    assert_eq!(table.lines().count(), SESSIONS + 1);

    // Kick every second session of joe.
    let joes = ids_of(&files, "joe").await;
    assert_eq!(joes.len(), SESSIONS / 10);
    for id in joes.iter().step_by(2) {
        let output = ctl_ok(&files, &["kick", &id.to_string()]).await;
        assert!(
            output.starts_with(&format!("closing connection {id}: joe, from 127.0.0.1:")),
            "{output}"
        );
    }
    let output = ctl_ok(&files, &["revoke", "jane"]).await;
    assert_eq!(output, revoked_message("jane", 100));
    let mut joes = 0;
    for (user, peer) in &mut peers {
        match *user {
            "jane:x" => {
                let expected = close_frame_of(CloseReason::LoginRevoked);
                assert_eq!(peer.close().await, expected);
            }
            "joe:x" if joes % 2 == 0 => {
                joes += 1;
                let expected = (1008, "disconnected by an operator".to_owned());
                assert_eq!(peer.close().await, expected);
            }
            user => {
                joes += usize::from(user == "joe:x");
                assert_echo(peer, "still here").await;
            }
        }
    }
    drop(peers);
    for (series, value) in [
        ("ws_server_revocations_total{cause=\"operator\"}", 100),
        ("ws_server_closes_total{code=\"1008\",side=\"server\"}", 50),
        ("ws_server_closes_total{code=\"3000\",side=\"server\"}", 100),
        (
            "ws_server_logins_total{method=\"basic\",result=\"ok\"}",
            1000,
        ),
        ("ws_server_handshakes_total{status=\"101\"}", 1000),
    ] {
        assert_eq!(admin.metric(series).await, value, "{series}");
    }
}

#[tokio::test]
async fn changed_password_lifts_a_revocation() {
    let files = files();
    let mut server = files.serve().await;
    ctl_ok(&files, &["revoke", "jane"]).await;
    LoginMethod::Message
        .assert_rejected(&server, "jane:x")
        .await;
    // Reading the same file again does not lift the revocation.
    let output = ctl_ok(&files, &["reload"]).await;
    assert_eq!(output, "reloaded: 3 users, 0 sessions ended\n");
    LoginMethod::Message
        .assert_rejected(&server, "jane:x")
        .await;
    let changed = accounts(&[("admin", "123456"), ("jane", "y")]);
    files.replace(ACCOUNTS, &changed);
    server.log_line(RELOADED).await;
    server.log_line(RELOADED).await;
    let mut jane = LoginMethod::Message.log_in(&server, "jane:y").await;
    assert_echo(&mut jane, "back").await;
}

#[tokio::test]
async fn reload_reports_changes_or_the_error() {
    let files = files();
    let server = files.serve().await;
    let mut joe = log_in(&server, "joe:x").await;
    files.overwrite(ACCOUNTS, &account("admin", "password = \"123456\""));
    let configuration = format!("worker_threads = 7\npage = false\n{ADMIN}");
    files.overwrite(CONFIGURATION, &configuration);
    let output = ctl_ok(&files, &["reload", "--json"]).await;
    let output: Value = serde_json::from_str(&output).unwrap();
    // The server itself may have applied the other changes before.
    assert_eq!(output["users"], 1);
    assert_eq!(
        output["at_next_start"],
        serde_json::json!(["worker_threads"])
    );
    let keys: Vec<_> = output.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["at_next_start", "changed", "sessions_ended", "users"]
    );
    assert_eq!(joe.close().await.0, 3000);
    files.overwrite(ACCOUNTS, "[[user]]\nname = \"admin\"\n");
    let refused = ctl(&files, &["reload", "--json"]).await;
    assert_eq!((refused.code, refused.stdout()), (Some(1), ""));
    assert!(
        refused
            .stderr
            .starts_with("ws-server: nothing was reloaded: ")
            && refused
                .stderr
                .contains("line 2: `user.name`: this user has no password"),
        "{}",
        refused.stderr
    );
}

#[tokio::test]
async fn publish_sends_to_the_room() {
    let files = files();
    let server = files.serve().await;
    let mut peer = server.connect().await;
    peer.send(
        integration_tests::handshake_with(&[&integration_tests::authorization("jane:x")])
            .replace("GET / ", "GET /room/lobby "),
    )
    .await;
    assert!(peer.head().await.starts_with("HTTP/1.1 101 "));
    peer.send(frame::text("here")).await;
    peer.text().await;
    let output = ctl_ok(&files, &["publish", "/room/lobby", "we restart at noon"]).await;
    assert_eq!(output, "published in /room/lobby: we restart at noon\n");
    let received = peer.text().await;
    assert!(
        received.starts_with(r#"{"from":"server:operator","text":"we restart at noon","#),
        "{received}"
    );
}

/// A member that does not read is waited for until it is evicted.
#[tokio::test]
async fn busy_room_refuses_publish() {
    let files = files();
    let server = files.serve().await;
    let mut peer = server.connect().await;
    let authorization = integration_tests::authorization("jane:x");
    let request = integration_tests::handshake_with(&[&authorization]);
    peer.send(request.replace("GET / ", "GET /room/lobby "))
        .await;
    assert!(peer.head().await.starts_with("HTTP/1.1 101 "));
    let text = "x".repeat(1 << 20);
    let post = format!(
        "POST /room/lobby HTTP/1.1\r\nHost: localhost\r\n{authorization}\r\n\
         Content-Length: {}\r\n\r\n{text}",
        text.len()
    );
    let mut posts = 0;
    loop {
        let response = send_request(server.connect().await, &post).await;
        if response.status_line.starts_with("HTTP/1.1 503 ") {
            break;
        }
        assert_eq!(response.status_line, "HTTP/1.1 204 No Content");
        posts += 1;
        assert!(posts < 50, "the room is never busy");
    }
    let refused = ctl(&files, &["publish", "/room/lobby", "hello"]).await;
    assert_eq!(
        refused.stderr,
        "ws-server: the room is busy: a member reads too slowly; try again later\n"
    );
    assert_eq!((refused.code, refused.stdout()), (Some(1), ""));
}

#[tokio::test]
async fn purge_drops_what_new_members_would_get() {
    let files = files();
    let mut server = files.serve().await;
    ctl_ok(&files, &["publish", "/room/lobby", "jane:secret"]).await;
    let output = ctl_ok(&files, &["purge", "/room/%6Cobby"]).await;
    assert_eq!(output, "dropped the history of /room/lobby: 1 message\n");
    let line = server.log_line("history_purged").await;
    assert!(line.contains("path=\"/room/lobby\" messages=1"), "{line}");
    ctl_ok(&files, &["publish", "/room/lobby", "hello"]).await;
    let mut peer = server.connect().await;
    peer.send(
        integration_tests::handshake_with(&[&integration_tests::authorization("jane:x")])
            .replace("GET / ", "GET /room/lobby "),
    )
    .await;
    assert!(peer.head().await.starts_with("HTTP/1.1 101 "));
    let received = peer.text().await;
    assert!(
        received.starts_with(r#"{"from":"server:operator","text":"hello","#),
        "{received}"
    );
    let output = ctl_ok(&files, &["purge", "/room/quiet", "--json"]).await;
    assert_eq!(output, "{\"room\":\"/room/quiet\",\"messages\":0}\n");
}

#[tokio::test]
async fn failed_commands_report_error_and_exit_code() {
    let files = files();
    let server = files.serve().await;
    for (arguments, problem) in [
        (&["kick", "99"][..], "there is no open connection 99"),
        (&["revoke", "bob"], "there is no user `bob`"),
        (&["revoke", "a:b"], "there is no user `a:b`"),
        (&["revoke", "-x", "--json"], "there is no user `-x`"),
        (&["publish", "/", "x"], "there is no room at this path"),
        (&["purge", "/nowhere"], "there is no room at this path"),
        (
            &["publish", "/room/a", ""],
            "the text must have 1 to 1048576 bytes",
        ),
    ] {
        let refused = ctl(&files, arguments).await;
        assert_eq!(refused.stderr, format!("ws-server: {problem}\n"));
        assert_eq!((refused.code, refused.stdout()), (Some(1), ""));
    }
    for arguments in [&["kick"][..], &["kick", "x"], &["fly"], &[]] {
        assert_eq!(ctl(&files, arguments).await.code, Some(2), "{arguments:?}");
    }
    server.signal(Signal::TERM);
    server.finish().await;
    let gone = ctl(&files, &["sessions"]).await;
    assert_eq!(gone.code, Some(4));
    assert!(
        gone.stderr.contains("cannot connect to the server at "),
        "{gone:?}"
    );

    files.overwrite(CONFIGURATION, "listen = 1\n");
    let refused = ctl(&files, &["sessions"]).await;
    assert_eq!(refused.code, Some(2));
    let start = "ws-server: cannot look up the socket (--socket FILE names it): ";
    assert!(refused.stderr.starts_with(start), "{refused:?}");

    let silent = ServerFiles::new("", "");
    let refused = ctl(&silent, &["sessions"]).await;
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains(" names no socket: write listen = "),
        "{refused:?}"
    );
}

/// Another program may listen on the socket.
#[tokio::test]
async fn unexpected_response_is_reported_with_exit_1() {
    let files = files();
    let socket = UnixListener::bind(files.path("admin.sock")).unwrap();
    for (answer, problem) in [
        ("", "the connection to the server failed: "),
        ("hello\r\n\r\n", "the connection to the server failed: "),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
            "the connection to the server failed: ",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            "this is not the socket of a ws-server: unexpected response, status 200 OK\n",
        ),
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}",
            "this is not the socket of a ws-server: unexpected response, status 404 Not Found\n",
        ),
        (
            "HTTP/1.1 409 Conflict\r\nContent-Length: 19\r\n\r\n{\"error\":\"a\\u009b\"}",
            "a\\u{9b}\n",
        ),
    ] {
        let serve = async {
            let (mut stream, _) = socket.accept().await.unwrap();
            // Read the whole request: closing with unread data would reset the connection.
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let (refused, ()) = tokio::join!(ctl(&files, &["sessions"]), serve);
        let expected = format!("ws-server: {problem}");
        assert!(
            refused.stderr.starts_with(&expected),
            "{answer:?}: {refused:?}"
        );
        assert_eq!((refused.code, refused.stdout()), (Some(1), ""));
    }

    let endless = async {
        let (mut stream, _) = socket.accept().await.unwrap();
        assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let spaces = vec![b' '; 1 << 16];
        while stream.write_all(&spaces).await.is_ok() {}
    };
    let (refused, ()) = tokio::join!(ctl(&files, &["sessions"]), endless);
    assert_eq!(
        refused.stderr,
        "ws-server: this is not the socket of a ws-server: the response is too long\n"
    );
    assert_eq!(refused.code, Some(1));
}

#[tokio::test]
async fn drain_for_restart_tells_clients_to_come_back() {
    let files = files();
    let server = files.serve().await;
    let mut jane = log_in(&server, "jane:x").await;
    let output = ctl_ok(&files, &["drain", "--restart"]).await;
    assert_eq!(
        output,
        "draining: closing 1 session, then the server exits\n"
    );
    let expected = close_frame_of(CloseReason::Restarting { back_in: 2 });
    assert_eq!(jane.close().await, expected);
    jane.send(frame::close(1012, "")).await;
    let (code, _, log) = server.finish().await;
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test]
async fn drain_closes_sessions_and_exits_with_0() {
    let files = files();
    let mut server = files.serve().await;
    let admin = AdminClient::for_server(&mut server).await;
    let mut jane = log_in(&server, "jane:x").await;
    for (path, body) in [("/livez", "alive\n"), ("/readyz", "ready\n")] {
        let answer = admin.request("GET", path).await;
        assert_eq!(answer.status_line, "HTTP/1.1 200 OK");
        assert_eq!(answer.body, body);
    }
    let output = ctl_ok(&files, &["drain"]).await;
    assert_eq!(
        output,
        "draining: closing 1 session, then the server exits\n"
    );
    let expected = close_frame_of(CloseReason::ShuttingDown { back_in: 2 });
    assert_eq!(jane.close().await, expected);
    // The session has not answered the Close frame, so the server drains: alive, not ready.
    let answer = admin.request("GET", "/readyz").await;
    assert_eq!(answer.status_line, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(answer.body, "draining\n");
    let answer = admin.request("GET", "/livez").await;
    assert_eq!(answer.status_line, "HTTP/1.1 200 OK");
    // A SIGTERM during a drain does not shorten it.
    server.signal(Signal::TERM);
    ctl_ok(&files, &["sessions"]).await;
    jane.send(frame::close(1001, "")).await;
    let (code, _, log) = server.finish().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(!files.path("admin.sock").exists());
}

#[tokio::test]
async fn tcp_address_refuses_commands_and_sessions() {
    let files = files();
    let mut server = files.serve().await;
    let admin = AdminClient::for_server(&mut server).await;
    for (method, path, status) in [
        ("GET", "/sessions", "403 Forbidden"),
        ("POST", "/kick", "403 Forbidden"),
        ("POST", "/revoke", "403 Forbidden"),
        ("POST", "/reload", "403 Forbidden"),
        ("POST", "/drain", "403 Forbidden"),
        ("POST", "/publish", "403 Forbidden"),
        ("POST", "/purge", "403 Forbidden"),
        ("POST", "/metrics", "405 Method Not Allowed"),
        ("GET", "/", "404 Not Found"),
    ] {
        let answer = admin.request(method, path).await;
        assert_eq!(answer.status_line, format!("HTTP/1.1 {status}"), "{path}");
    }
    let socket = std::fs::metadata(files.path("admin.sock")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o7777, 0o600);
    // The server still accepts logins.
    log_in(&server, "jane:x").await;
}

/// The TCP address gets more connections than are served at once.
#[tokio::test]
async fn idle_tcp_connections_do_not_block_the_socket() {
    let files = files();
    let mut server = files.serve().await;
    let admin = AdminClient::for_server(&mut server).await;
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(TcpStream::connect(admin.address()).await.unwrap());
    }
    let start = Instant::now();
    for _ in 0..3 {
        assert_eq!(ctl_ok(&files, &["sessions"]).await, "no sessions\n");
    }
    // The idle connections are closed only later.
    assert!(start.elapsed() < Duration::from_secs(20));
    drop(idle);
    admin.metrics().await;
}

#[tokio::test]
async fn public_address_serves_no_admin_path() {
    let files = files();
    let server = files.serve().await;
    for path in [
        "/livez",
        "/readyz",
        "/metrics",
        "/sessions",
        "/kick",
        "/revoke",
        "/reload",
        "/drain",
        "/publish",
        "/purge",
    ] {
        for method in ["GET", "POST"] {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            let answer = send_request(server.connect().await, &request).await;
            assert_eq!(
                answer.status_line, "HTTP/1.1 404 Not Found",
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn admin_is_off_without_an_address() {
    let files = ServerFiles::with_admin("");
    let server = files.serve().await;
    server.signal(Signal::TERM);
    let (code, _, log) = server.finish().await;
    assert_eq!(code, Some(0));
    assert!(!log.contains("operator"), "{log}");
    assert!(!files.path("admin.sock").exists());
}

#[tokio::test]
async fn metrics_contain_no_name_and_no_address() {
    let files = files();
    let mut server = files.serve().await;
    let admin = AdminClient::for_server(&mut server).await;
    let mut jane = log_in(&server, "jane:x").await;
    assert_echo(&mut jane, "hello").await;
    let mut unknown = server.connect().await;
    unknown.upgrade().await;
    unknown
        .send(frame::text("canary-name:canary-password"))
        .await;
    assert_eq!(unknown.text().await, SORRY);
    let metrics = admin.metrics().await;
    for secret in ["jane", "canary", "127.0.0.1", "hello", "room/"] {
        assert!(!metrics.contains(secret), "{secret} is in {metrics}");
    }
    let labels: HashSet<&str> = metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once('{')?.1.split_once('}')?.0))
        .flat_map(|labels| labels.split(',').map(|it| it.split('=').next().unwrap()))
        .collect();
    let mut labels: Vec<_> = labels.into_iter().collect();
    labels.sort_unstable();
    assert_eq!(
        labels,
        [
            "cause",
            "direction",
            "method",
            "result",
            "state",
            "status",
            "version"
        ]
    );
}

#[tokio::test]
async fn taken_admin_socket_fails_the_start() {
    let files = files();
    let server = files.serve().await;
    let second = integration_tests::run(files.command(), "").await;
    assert_eq!(second.code, Some(2), "{second:?}");
    assert!(
        second
            .stderr
            .contains("admin.sock: another server already listens on this socket"),
        "{}",
        second.stderr
    );
    // The first server keeps its socket.
    ctl_ok(&files, &["sessions"]).await;
    drop(server);
}
