//! The audit log: logins, revocations and reloads.

use integration_tests::{
    ACCOUNTS, CONFIGURATION, LoginMethod, ServerFiles, ServerProcess, accounts, assert_echo,
};
use proto::close::CloseReason;
use raw_peer::frame;
use rustix::process::Signal;

/// Returns the events of the audit lines, up to a line that contains this text.
async fn audit_events_up_to(server: &mut ServerProcess, text: &str) -> Vec<String> {
    let lines = server.log_up_to(text).await;
    let lines = lines.iter().filter(|line| line.contains(" audit: "));
    lines
        .map(|line| {
            let (_, event) = line.split_once(" event=").expect("the line has an event");
            event.to_owned()
        })
        .collect()
}

#[tokio::test]
async fn login_is_audited_with_method_and_connection() {
    let files = ServerFiles::new("", &accounts(&[("jane doe", "1")]));
    let mut server = files.serve().await;
    for (connection, method) in [(1, LoginMethod::Message), (2, LoginMethod::Basic)] {
        let mut session = method.log_in(&server, "jane doe:1").await;
        assert_echo(&mut session, "hello").await;
        let opened = format!("session opened connection={connection} ");
        let expected = format!(
            "login_ok peer=127.0.0.1 connection={connection} method={} user=\"jane doe\"",
            match method {
                LoginMethod::Message => "message",
                LoginMethod::Basic => "basic",
            }
        );
        assert_eq!(audit_events_up_to(&mut server, &opened).await, [expected]);
    }
}

#[tokio::test]
async fn each_revoked_session_is_audited_once_with_cause() {
    let path = |users: &str| format!("[[route]]\npath = \"/\"\nservice = \"echo\"\n{users}");
    let before = accounts(&[("joe", "1"), ("jane", "1"), ("jim", "1"), ("ann", "1")]);
    let files = ServerFiles::new(&path(""), &before);
    let mut server = files.serve().await;
    let mut sessions = Vec::new();
    for name in ["joe", "jane", "jane", "jim", "ann"] {
        let mut session = LoginMethod::Message
            .log_in(&server, &format!("{name}:1"))
            .await;
        assert_echo(&mut session, "hello").await;
        sessions.push(session);
    }
    files.replace(
        ACCOUNTS,
        &accounts(&[("joe", "1"), ("jim", "2"), ("ann", "1")]),
    );
    files.replace(CONFIGURATION, &path("users = [\"joe\", \"jim\"]"));
    server.signal(Signal::HUP);
    let mut events = audit_events_up_to(&mut server, "event=reloaded").await;
    events.retain(|event| !event.starts_with("login_ok "));
    let reloaded = events.pop().unwrap();
    assert!(reloaded.starts_with("reloaded cause=\"SIGHUP\" users=3 changed=\"route 1."));
    assert!(reloaded.ends_with(" sessions_ended=4"), "{reloaded}");
    events.sort_unstable();
    let expected = [
        (2, "jane", CloseReason::UserRemoved),
        (3, "jane", CloseReason::UserRemoved),
        (4, "jim", CloseReason::PasswordChanged),
        (5, "ann", CloseReason::AccessRevoked),
    ]
    .map(|(connection, user, cause)| {
        format!(
            "session_revoked connection={connection} user=\"{user}\" cause=\"{}\"",
            cause.text()
        )
    });
    assert_eq!(events, expected);
    for session in &mut sessions[1..] {
        session.close().await;
    }
    assert_echo(&mut sessions[0], "still here").await;
}

#[tokio::test]
async fn drain_is_audited_with_cause_and_cut_off_count() {
    let configuration = "[limits]\ndrain_deadline = \"1s\"\nclose_deadline = \"1h\"\n";
    let files = ServerFiles::new(configuration, &accounts(&[("jane", "1")]));
    let server = files.serve().await;
    let mut jane = LoginMethod::Message.log_in(&server, "jane:1").await;
    assert_echo(&mut jane, "hello").await;
    server.signal(Signal::INT);
    // The session gets the Close frame and does not answer it.
    assert_eq!(jane.frame().await.first, frame::close(1001, "")[0]);
    let (code, _, log) = server.finish().await;
    assert_eq!(code, Some(0));
    for line in [
        "INFO audit: stopping event=drain_started cause=\"SIGINT\"\n",
        "INFO audit: stopped event=drain_ended cut_off=1\n",
    ] {
        assert_eq!(log.matches(line).count(), 1, "{log}");
    }
}
