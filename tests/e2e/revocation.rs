//! Revocation of logins with open sessions.

use std::{
    convert::Infallible,
    future::pending,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use integration_tests::{
    ACCOUNTS, CONGRATULATION, LoginMethod, RELOADED, SESSION_ENDED, SESSION_OPENED, SORRY,
    ServerFiles, ServerProcess, TEST_TIMEOUT, account, accounts, assert_echo, client,
    close_frame_of, echoed, spawn, wait_for_exit,
};
use proto::close::CloseReason;
use raw_peer::{RawPeer, frame};
use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// The longest time until a revoked session ends.
const REVOCATION_LIMIT: Duration = Duration::from_secs(1);

/// The accounts at the start of each test.
const JANE_AND_JOE: &[(&str, &str)] = &[("jane", "1"), ("joe", "2")];

/// Opens a session. The echo shows that it is registered: right after the login response a reload
/// might not find it yet.
async fn session(method: LoginMethod, server: &ServerProcess, line: &str) -> RawPeer<TcpStream> {
    let mut peer = method.log_in(server, line).await;
    assert_echo(&mut peer, "hello").await;
    peer
}

/// Reloads the files. Returns the logged number of ended sessions, and the time.
async fn reload(server: &mut ServerProcess) -> (usize, Instant) {
    server.signal(Signal::HUP);
    let line = server.log_line(RELOADED).await;
    let reloaded_at = Instant::now();
    let (_, ended) = line
        .rsplit_once("sessions_ended=")
        .expect("the line has a count");
    (ended.parse().expect("the value is a number"), reloaded_at)
}

/// Asserts that a session ends in time with this reason.
async fn assert_revoked(peer: &mut RawPeer<TcpStream>, since: Instant, reason: CloseReason) {
    assert_eq!(peer.close().await, close_frame_of(reason));
    assert!(since.elapsed() <= REVOCATION_LIMIT, "{:?}", since.elapsed());
    peer.send(frame::close(3000, "")).await;
    peer.end().await;
}

#[tokio::test]
async fn removed_user_loses_only_its_sessions() {
    let files = ServerFiles::new("", &accounts(JANE_AND_JOE));
    let mut server = files.serve().await;
    let mut janes = Vec::new();
    let mut joes = Vec::new();
    for method in LoginMethod::ALL {
        janes.push(session(method, &server, "jane:1").await);
        joes.push(session(method, &server, "joe:2").await);
    }
    let mut pending_login = server.connect().await;
    pending_login.upgrade().await;
    files.replace(ACCOUNTS, &accounts(&[("joe", "2")]));
    let (ended, since) = reload(&mut server).await;
    assert_eq!(ended, 2);
    for jane in &mut janes {
        assert_revoked(jane, since, CloseReason::UserRemoved).await;
    }
    for joe in &mut joes {
        assert_echo(joe, "still here").await;
    }
    // A pending login may continue with a remaining account only.
    pending_login.send(frame::text("jane:1")).await;
    assert_eq!(pending_login.text().await, SORRY);
    pending_login.send(frame::text("joe:2")).await;
    assert_eq!(pending_login.text().await, CONGRATULATION);
    for method in LoginMethod::ALL {
        method.assert_rejected(&server, "jane:1").await;
    }
}

/// No signal is sent: saving the file is enough.
#[tokio::test]
async fn saved_file_revokes_without_a_signal() {
    let files = ServerFiles::new("", &accounts(JANE_AND_JOE));
    let mut server = files.serve().await;
    let mut jane = session(LoginMethod::Message, &server, "jane:1").await;
    files.overwrite(ACCOUNTS, &accounts(&[("joe", "2")]));
    let [reloaded, ended] = server.log_lines(["reloaded", SESSION_ENDED]).await;
    assert_revoked(&mut jane, Instant::now(), CloseReason::UserRemoved).await;
    assert!(reloaded.ends_with(" sessions_ended=1"), "{reloaded}");
    let cause = format!(
        " user=jane cause={} code=3000 ",
        CloseReason::UserRemoved.text()
    );
    assert!(ended.contains(&cause), "{ended}");
}

#[tokio::test]
async fn expired_account_loses_only_its_sessions() {
    let files = ServerFiles::new("", &accounts(JANE_AND_JOE));
    let mut server = files.serve().await;
    let mut janes = Vec::new();
    for method in LoginMethod::ALL {
        janes.push(session(method, &server, "jane:1").await);
    }
    let mut joe = session(LoginMethod::Message, &server, "joe:2").await;
    // The `expires` key has a resolution of one second.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let expires = UNIX_EPOCH + Duration::from_secs(now.as_secs() + 3);
    let moment = humantime::format_rfc3339_seconds(expires);
    let limited = format!("password = \"1\"\nexpires = {moment}");
    files.replace(
        ACCOUNTS,
        &format!("{}{}", account("jane", &limited), accounts(&[("joe", "2")])),
    );
    // An expiry in the future does not end the session.
    assert_eq!(reload(&mut server).await.0, 0);
    for jane in &mut janes {
        assert_echo(jane, "still here").await;
    }
    janes.push(session(LoginMethod::Message, &server, "jane:1").await);
    for jane in &mut janes {
        assert_eq!(
            jane.close().await,
            close_frame_of(CloseReason::AccountExpired)
        );
        let late = SystemTime::now().duration_since(expires);
        let late = late.expect("no session ends before the expiry");
        assert!(late <= REVOCATION_LIMIT, "{late:?}");
    }
    let lines = server.log_up_to("accounts have expired").await;
    let line = lines.last().expect("the line was found");
    assert!(line.ends_with(" sessions=3"), "{line}");
    let audited = format!(
        " user=\"jane\" cause=\"{}\"",
        CloseReason::AccountExpired.text()
    );
    let audited = lines
        .iter()
        .filter(|line| line.contains("event=session_revoked ") && line.ends_with(&audited));
    assert_eq!(audited.count(), 3, "{lines:#?}");
    assert_echo(&mut joe, "still here").await;
    for method in LoginMethod::ALL {
        method.assert_rejected(&server, "jane:1").await;
    }
}

/// A session that sends and reads all the time ends like any other.
#[tokio::test]
async fn streaming_session_is_revoked() {
    for method in LoginMethod::ALL {
        let files = ServerFiles::new("", &accounts(JANE_AND_JOE));
        let server = files.serve().await;
        let jane = session(method, &server, "jane:1").await.into_inner();
        let mut joe = session(method, &server, "joe:2").await;
        let (reader, mut writer) = jane.into_split();
        let mut reader = RawPeer::new(tokio::io::join(reader, tokio::io::sink()));
        let write = async {
            let messages = frame::text("again and again").repeat(100);
            while writer.write_all(&messages).await.is_ok() {}
            // Keep the connection: the frames that the server sent are still to be read.
            pending::<Infallible>().await
        };
        let read = async {
            let echo_of_it = echoed("again and again");
            assert_eq!(reader.text().await, echo_of_it);
            files.replace(ACCOUNTS, &accounts(&[("joe", "2")]));
            let since = Instant::now();
            server.signal(Signal::HUP);
            loop {
                let frame = reader.frame().await;
                if frame.first == 0x88 {
                    break (frame.close(), since.elapsed());
                }
                // Every reply is complete.
                assert_eq!(String::from_utf8_lossy(&frame.payload), echo_of_it);
            }
        };
        let both = async {
            tokio::select! {
                never = write => match never {},
                closed = read => closed,
            }
        };
        let ended = timeout(TEST_TIMEOUT, both).await;
        let (close, took) = ended.expect("the session ends in time");
        assert_eq!(close, close_frame_of(CloseReason::UserRemoved));
        assert!(took <= REVOCATION_LIMIT, "{took:?}");
        assert_echo(&mut joe, "still here").await;
    }
}

/// A user that is added again is a new login, also for later reloads.
#[tokio::test]
async fn readded_user_keeps_new_sessions() {
    let files = ServerFiles::new("", &accounts(JANE_AND_JOE));
    let mut server = files.serve().await;
    let mut before = session(LoginMethod::Message, &server, "jane:1").await;
    files.replace(ACCOUNTS, &accounts(&[("joe", "2")]));
    let (ended, since) = reload(&mut server).await;
    assert_eq!(ended, 1);
    assert_revoked(&mut before, since, CloseReason::UserRemoved).await;
    files.replace(ACCOUNTS, &accounts(JANE_AND_JOE));
    assert_eq!(reload(&mut server).await.0, 0);
    let mut after = Vec::new();
    for method in LoginMethod::ALL {
        after.push(session(method, &server, "jane:1").await);
    }
    // The order, another user and another password change.
    let users = [("joe", "3"), ("jim", "4"), ("jane", "1")];
    files.replace(ACCOUNTS, &accounts(&users));
    assert_eq!(reload(&mut server).await.0, 0);
    for jane in &mut after {
        assert_echo(jane, "still here").await;
    }
}

/// An account that was absent only between two reloads keeps its sessions.
#[tokio::test]
async fn unchanged_accounts_revoke_no_session() {
    let files = ServerFiles::new("", &accounts(JANE_AND_JOE));
    let mut server = files.serve().await;
    let mut jane = session(LoginMethod::Basic, &server, "jane:1").await;
    files.replace(ACCOUNTS, &accounts(&[("joe", "2")]));
    files.replace(ACCOUNTS, &accounts(JANE_AND_JOE));
    assert_eq!(reload(&mut server).await.0, 0);
    // An unusable file ends no session either.
    files.replace(ACCOUNTS, "");
    server.signal(Signal::HUP);
    server.log_line("ERROR").await;
    assert_echo(&mut jane, "still here").await;
}

/// A session ends once, with the first reason.
#[tokio::test]
async fn concurrent_reloads_revoke_a_session_once() {
    let files = ServerFiles::new("", &accounts(JANE_AND_JOE));
    let server = files.serve().await;
    let mut jane = session(LoginMethod::Message, &server, "jane:1").await;
    files.replace(ACCOUNTS, &accounts(&[("joe", "2")]));
    for _ in 0..10 {
        server.signal(Signal::HUP);
    }
    assert_eq!(jane.close().await, close_frame_of(CloseReason::UserRemoved));
    jane.send(frame::close(3000, "")).await;
    jane.end().await;
    server.signal(Signal::TERM);
    let (code, _, log) = server.finish().await;
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(log.matches(SESSION_ENDED).count(), 1, "{log}");
    assert_eq!(log.matches("sessions_ended=1").count(), 1, "{log}");
}

/// The reason is on stderr, and the exit code tells scripts.
#[tokio::test]
async fn client_prints_the_revocation_reason() {
    for auth in ["message", "basic"] {
        let files = ServerFiles::new("", &accounts(JANE_AND_JOE));
        let mut server = files.serve().await;
        let mut child = spawn(client([server.url().as_str(), "--auth", auth]));
        let mut stdin = child.stdin.take().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        stdin.write_all(b"jane:1\n").await.unwrap();
        server.log_line(SESSION_OPENED).await;
        files.replace(ACCOUNTS, &accounts(&[("jane", "2")]));
        assert_eq!(reload(&mut server).await.0, 1);
        let mut output = String::new();
        let read = timeout(TEST_TIMEOUT, stderr.read_to_string(&mut output)).await;
        read.unwrap().unwrap();
        assert_eq!(
            wait_for_exit(&mut child).await.code(),
            Some(8),
            "{auth}: {output}"
        );
        let last = output.lines().last().unwrap();
        let expected = format!(
            "ws-client: the server closed the connection, saying \"{}\" (3000, unauthorized)",
            CloseReason::PasswordChanged.text()
        );
        assert_eq!(last, expected, "{auth}");
        drop(stdin);
    }
}
