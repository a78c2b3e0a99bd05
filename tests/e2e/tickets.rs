//! Tickets over restarts, changes of their secret and revocations, with both binaries.

use integration_tests::{
    ACCOUNTS, ADMIN, AdminClient, CONFIGURATION, HttpResponse, LoginMethod, RELOADED, ServerFiles,
    ServerProcess, accounts, assert_echo, authorization, ctl_ok, handshake_with, run, send_request,
    server_binary, wrong_credentials_response,
};
use raw_peer::frame;
use rustix::process::Signal;
use serde_json::Value;
use tokio::process::Command;

const SECRET: &str = "tickets.secret";

const KEPT: &str =
    "[login]\nticket_secret_file = \"tickets.secret\"\nrevocations_file = \"revocations.toml\"\n";

fn users() -> String {
    accounts(&[("admin", "123456"), ("jane", "x")])
}

/// Returns the output of `new-secret`.
async fn new_secret() -> String {
    let mut command = Command::new(server_binary());
    command.arg("new-secret");
    let finished = run(command, "").await;
    assert_eq!((finished.code, &*finished.stderr), (Some(0), ""));
    finished.stdout().to_owned()
}

/// Returns the files of a server whose tickets survive a restart.
async fn kept() -> ServerFiles {
    let files = ServerFiles::new(&format!("{ADMIN}{KEPT}"), &users());
    files.replace(SECRET, &new_secret().await);
    files.allow(SECRET, 0o600);
    files
}

async fn request(server: &ServerProcess, authorization: &str) -> HttpResponse {
    let request = format!("POST /ticket HTTP/1.1\r\nHost: localhost\r\n{authorization}\r\n\r\n");
    send_request(server.connect().await, &request).await
}

/// Returns a ticket for the user of a credentials line.
async fn ticket(server: &ServerProcess, line: &str) -> String {
    let response = request(server, &authorization(line)).await;
    assert_eq!(response.status_line, "HTTP/1.1 200 OK");
    let body: Value = serde_json::from_str(&response.body).unwrap();
    body["ticket"].as_str().unwrap().to_owned()
}

fn bearer(ticket: &str) -> String {
    format!("Authorization: Bearer {ticket}")
}

async fn assert_accepted(server: &ServerProcess, ticket: &str) {
    for method in LoginMethod::ALL {
        let mut session = method.log_in(server, &format!(":{ticket}")).await;
        assert_echo(&mut session, "hello").await;
    }
    let mut peer = server.connect().await;
    peer.send(handshake_with(&[&bearer(ticket)])).await;
    assert!(peer.head().await.starts_with("HTTP/1.1 101 "));
    let renewed = request(server, &bearer(ticket)).await;
    assert_eq!(renewed.status_line, "HTTP/1.1 200 OK");
}

async fn assert_refused(server: &ServerProcess, ticket: &str) {
    for method in LoginMethod::ALL {
        method.assert_rejected(server, &format!(":{ticket}")).await;
    }
    let handshake = handshake_with(&[&bearer(ticket)]);
    let response = send_request(server.connect().await, &handshake).await;
    assert_eq!(response, wrong_credentials_response());
    let renewed = request(server, &bearer(ticket)).await;
    assert_eq!(renewed.status_line, "HTTP/1.1 401 Unauthorized");
}

/// Kills a server, so that it cannot write anything at its end, and starts another one.
async fn restart(server: ServerProcess, files: &ServerFiles) -> ServerProcess {
    server.signal(Signal::KILL);
    server.finish().await;
    files.serve().await
}

#[tokio::test]
async fn restart_with_secret_file_keeps_tickets() {
    let files = kept().await;
    let server = files.serve().await;
    let ticket = ticket(&server, "jane:x").await;
    assert_accepted(&server, &ticket).await;
    let server = restart(server, &files).await;
    assert_accepted(&server, &ticket).await;
}

#[tokio::test]
async fn restart_without_secret_file_ends_tickets() {
    let files = ServerFiles::new("", &users());
    let server = files.serve().await;
    let ticket = ticket(&server, "jane:x").await;
    assert_accepted(&server, &ticket).await;
    let server = restart(server, &files).await;
    assert_refused(&server, &ticket).await;
}

/// The revocation is kept too, and so is its end.
#[tokio::test]
async fn revoked_tickets_stay_dead_over_restarts() {
    let files = kept().await;
    let server = files.serve().await;
    let before = ticket(&server, "jane:x").await;
    let of_admin = ticket(&server, "admin:123456").await;
    ctl_ok(&files, &["revoke", "jane"]).await;
    assert_refused(&server, &before).await;
    let server = restart(server, &files).await;
    assert_refused(&server, &before).await;
    ctl_ok(&files, &["allow", "jane"]).await;
    assert_refused(&server, &before).await;
    let after = ticket(&server, "jane:x").await;
    let server = restart(server, &files).await;
    assert_refused(&server, &before).await;
    assert_accepted(&server, &after).await;
    assert_accepted(&server, &of_admin).await;
}

#[tokio::test]
async fn new_secret_ends_tickets_of_the_old_one() {
    let files = kept().await;
    let mut server = files.serve().await;
    let old_secret = std::fs::read_to_string(files.path(SECRET)).unwrap();
    let old = ticket(&server, "jane:x").await;
    let next_secret = new_secret().await;
    let replace = async |server: &mut ServerProcess, text: &str| {
        // In place, so that the mode stays.
        files.overwrite(SECRET, text);
        let line = server.log_line(RELOADED).await;
        assert!(
            line.contains("changed=\"login.ticket_secret_file\""),
            "{line}"
        );
    };
    replace(&mut server, &format!("{next_secret}{old_secret}")).await;
    let new = ticket(&server, "jane:x").await;
    assert_accepted(&server, &old).await;
    assert_accepted(&server, &new).await;
    replace(&mut server, &next_secret).await;
    assert_refused(&server, &old).await;
    assert_accepted(&server, &new).await;
}

#[tokio::test]
async fn invalid_secret_file_prevents_start() {
    let files = ServerFiles::new(
        "[login]\nticket_secret_file = \"tickets.secret\"\n",
        &users(),
    );
    let refused = async |files: &ServerFiles| {
        let finished = run(files.command(), "").await;
        assert_eq!(finished.code, Some(2), "{finished:?}");
        finished.stderr
    };
    let error = refused(&files).await;
    let problem = "`login.ticket_secret_file`: tickets of this secret outlive a restart, and \
                   revocations would not: write revocations_file too\n";
    assert!(error.ends_with(problem), "{error}");
    files.replace(CONFIGURATION, KEPT);
    let error = refused(&files).await;
    let path = files.path(SECRET);
    let missing = format!(
        "ws-server: cannot read {}: No such file or directory (os error 2)\n",
        path.display()
    );
    assert_eq!(error, missing);
    files.replace(SECRET, &new_secret().await);
    files.allow(SECRET, 0o644);
    let error = refused(&files).await;
    assert!(error.contains("run `chmod go= "), "{error}");
    files.allow(SECRET, 0o600);
    files.serve().await;
}

#[tokio::test]
async fn new_secrets_are_64_random_digits() {
    let secrets = [new_secret().await, new_secret().await];
    assert_ne!(secrets[0], secrets[1]);
    for secret in secrets {
        let digits = secret.strip_suffix('\n').unwrap();
        assert_eq!(digits.len(), 64, "{secret}");
        assert!(
            digits
                .bytes()
                .all(|byte| b"0123456789abcdef".contains(&byte))
        );
    }
}

/// Logs in by each method, with valid, forged and ended tickets, at the most detailed level.
#[tokio::test]
async fn no_log_contains_a_ticket_or_secret() {
    for (detail, format) in [("trace", "text"), ("trace", "json"), ("error", "text")] {
        let files = kept().await;
        let secret = std::fs::read_to_string(files.path(SECRET)).unwrap();
        let mut command = files.command();
        command.args(["--log-format", format]);
        let server = ServerProcess::spawn_with_log(command, detail).await;
        let first = ticket(&server, "jane:x").await;
        assert_accepted(&server, &first).await;
        let renewed = request(&server, &bearer(&first)).await;
        let renewed: Value = serde_json::from_str(&renewed.body).unwrap();
        let renewed = renewed["ticket"].as_str().unwrap();
        let forged = [&first[..first.len() - 3], "AAA"].concat();
        assert_refused(&server, &forged).await;
        for malformed in [&first[..first.len() - 3], &format!("{first}\n\n"), "wst1."] {
            let line = format!(":{malformed}");
            LoginMethod::Message.assert_rejected(&server, &line).await;
        }
        ctl_ok(&files, &["revoke", "jane"]).await;
        assert_refused(&server, &first).await;
        let mut peer = server.connect().await;
        peer.upgrade().await;
        // An invalid frame with a ticket in it.
        peer.send(frame::masked(0xF1, first.as_bytes())).await;
        assert_eq!(peer.close().await.0, 1002);
        server.signal(Signal::TERM);
        let (code, stdout, log) = server.finish().await;
        assert_eq!((code, &*stdout), (Some(0), ""));
        for part in ["ticket_issued", "ticket_invalid", "revoked", "method"] {
            assert!(log.contains(part), "{part}: {log}");
        }
        for ticket in [&first, renewed, &forged] {
            let text = ticket.strip_prefix("wst1.").unwrap();
            // The begin holds times only, and the middle the name.
            for part in [&text[20..60], &text[text.len() - 40..text.len() - 4]] {
                assert!(!log.contains(part), "{log}");
                let bytes = format!("{:?}", part.as_bytes());
                assert!(!log.contains(bytes.trim_matches(['[', ']'])), "{log}");
            }
        }
        assert!(
            !log.contains("wst1.") && !log.contains(secret.trim()),
            "{log}"
        );
        let parsed = std::fs::read_to_string(files.path("revocations.toml")).unwrap();
        assert!(!parsed.contains("wst1."));
    }
}

#[tokio::test]
async fn audit_and_metrics_name_the_method() {
    let files = ServerFiles::new("[admin]\nlisten = \"127.0.0.1:0\"\n", &users());
    let mut server = files.serve().await;
    let admin = AdminClient::for_server(&mut server).await;
    let first = ticket(&server, "jane:x").await;
    let line = server.log_line("event=ticket_issued").await;
    assert!(line.contains(" user=\"jane\" expires=20"), "{line}");
    let _session = LoginMethod::Message
        .log_in(&server, &format!(":{first}"))
        .await;
    let line = server.log_line("event=login_ok").await;
    assert!(line.contains(" method=ticket user=\"jane\""), "{line}");
    let forged = [&first[..first.len() - 3], "AAA"].concat();
    LoginMethod::Basic
        .assert_rejected(&server, &format!(":{forged}"))
        .await;
    let line = server.log_line("event=login_failed").await;
    let part = " method=ticket user=\"jane\" reason=ticket_invalid";
    assert!(line.contains(part), "{line}");
    for (series, count) in [
        ("ws_server_tickets_issued_total", 1),
        ("ws_server_logins_total{method=\"ticket\",result=\"ok\"}", 1),
        (
            "ws_server_logins_total{method=\"ticket\",result=\"ticket_invalid\"}",
            1,
        ),
        ("ws_server_logins_total{method=\"basic\",result=\"ok\"}", 1),
    ] {
        assert_eq!(admin.metric(series).await, count, "{series}");
    }
}

/// A changed password ends the tickets within a second, and no other user's.
#[tokio::test]
async fn changed_password_ends_tickets_of_its_user() {
    let files = ServerFiles::new("", &users());
    let mut server = files.serve().await;
    let jane = ticket(&server, "jane:x").await;
    let admin = ticket(&server, "admin:123456").await;
    files.replace(ACCOUNTS, &accounts(&[("admin", "123456"), ("jane", "y")]));
    server.log_line(RELOADED).await;
    assert_refused(&server, &jane).await;
    assert_accepted(&server, &admin).await;
    files.replace(ACCOUNTS, &accounts(&[("admin", "123456")]));
    server.log_line(RELOADED).await;
    assert_refused(&server, &jane).await;
    assert_accepted(&server, &admin).await;
}

#[tokio::test]
async fn program_sees_login_by_ticket() {
    let route = "[[route]]\npath = \"/\"\nservice = \"program\"\ncommand = [\"/bin/sh\", \"-c\", \
                 \"echo $AUTH_TYPE $REMOTE_USER\"]\n";
    let files = ServerFiles::new(route, &users());
    let server = files.serve().await;
    let ticket = ticket(&server, "jane:x").await;
    for method in LoginMethod::ALL {
        let mut session = method.log_in(&server, &format!(":{ticket}")).await;
        assert_eq!(session.text().await, "Ticket jane");
    }
    let mut session = LoginMethod::Basic.log_in(&server, "jane:x").await;
    assert_eq!(session.text().await, "Basic jane");
}

#[tokio::test]
async fn route_at_reserved_path_is_refused() {
    let route = "[[route]]\npath = \"/ticket\"\nservice = \"echo\"\n";
    let files = ServerFiles::new(route, &users());
    let finished = run(files.command(), "").await;
    assert_eq!(finished.code, Some(2), "{finished:?}");
    let problem = "this path is reserved for the tickets of logins; write another\n";
    assert!(finished.stderr.ends_with(problem), "{finished:?}");
    // A pattern leaves the path out.
    files.replace(CONFIGURATION, &route.replace("/ticket", "/*"));
    let server = files.serve().await;
    ticket(&server, "jane:x").await;
}
