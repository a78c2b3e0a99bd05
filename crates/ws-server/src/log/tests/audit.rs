//! Audit lines in both formats, and the absence of secrets in them.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, UNIX_EPOCH},
};

use proto::{
    close::CloseReason, credentials::Accounts, message::Credentials, password::HashMemory,
    username::UserName,
};
use serde_json::{Value, json};

use super::*;
use crate::{
    access::LoginMethod,
    log::{LogFormat, logged},
    registry::ConnectionRegistry,
};

fn name(text: &str) -> UserName {
    UserName::parse(text).unwrap()
}

fn context(address: &str, method: LoginMethod) -> LoginContext {
    LoginContext {
        address: address.parse::<IpAddr>().unwrap(),
        connection: Arc::new(ConnectionRegistry::default()).next_id(),
        method,
    }
}

fn accounts() -> Accounts {
    let source = "[[user]]\nname = \"jane\"\npassword = \"1\"";
    Accounts::from_toml(source).unwrap()
}

fn jane() -> Principal {
    let credentials = Credentials::parse("jane:1").unwrap();
    let verified = accounts().verify(&credentials, UNIX_EPOCH, &mut HashMemory::default());
    Principal::User(verified.unwrap())
}

/// Returns the logged line as text, without its time.
fn text(work: impl FnOnce()) -> String {
    let line = logged(LogFormat::Text, work);
    let (time, rest) = line.split_once(' ').unwrap();
    humantime::parse_rfc3339(time).unwrap();
    rest.trim_start().to_owned()
}

/// Returns the logged line as JSON, without its time.
fn object(work: impl FnOnce()) -> Value {
    let line = logged(LogFormat::Json, work);
    assert_eq!(line.matches('\n').count(), 1, "{line}");
    let mut object: Value = serde_json::from_str(&line).unwrap();
    let time = object.as_object_mut().unwrap().remove("timestamp");
    humantime::parse_rfc3339(time.unwrap().as_str().unwrap()).unwrap();
    object
}

#[test]
fn each_event_logs_one_line_in_both_formats() {
    let jane = jane();
    let connection = context("192.0.2.1", LoginMethod::Basic).connection;
    let peer = Peer::Direct(([192, 0, 2, 1], 1024).into());
    let lines: [(&dyn Fn(), &str, Value); 11] = [
        (
            &|| {
                login_ok(
                    &context("::ffff:192.0.2.1", LoginMethod::Basic),
                    &name("jane"),
                );
            },
            "INFO audit: logged in event=login_ok peer=192.0.2.1 connection=1 method=basic \
             user=\"jane\"\n",
            json!({"level": "INFO", "target": "audit", "message": "logged in",
                "event": "login_ok", "peer": "192.0.2.1", "connection": 1, "method": "basic",
                "user": "jane"}),
        ),
        (
            &|| session_revoked(connection, &jane, CloseReason::UserRemoved),
            "INFO audit: session revoked event=session_revoked connection=1 user=\"jane\" \
             cause=\"login revoked: the user was removed\"\n",
            json!({"level": "INFO", "target": "audit", "message": "session revoked",
                "event": "session_revoked", "connection": 1, "user": "jane",
                "cause": "login revoked: the user was removed"}),
        ),
        (
            &|| reloaded("SIGHUP", 2, Some("page"), 1),
            "INFO audit: reloaded event=reloaded cause=\"SIGHUP\" users=2 changed=\"page\" \
             sessions_ended=1\n",
            json!({"level": "INFO", "target": "audit", "message": "reloaded",
                "event": "reloaded", "cause": "SIGHUP", "users": 2, "changed": "page",
                "sessions_ended": 1}),
        ),
        (
            &|| reload_failed("SIGHUP", "a\nb"),
            "ERROR audit: nothing was reloaded: a\\nb event=reload_failed cause=\"SIGHUP\"\n",
            json!({"level": "ERROR", "target": "audit", "message": "nothing was reloaded: a\\nb",
                "event": "reload_failed", "cause": "SIGHUP"}),
        ),
        (
            &|| drain_started("SIGTERM"),
            "INFO audit: stopping event=drain_started cause=\"SIGTERM\"\n",
            json!({"level": "INFO", "target": "audit", "message": "stopping",
                "event": "drain_started", "cause": "SIGTERM"}),
        ),
        (
            &|| drain_aborted("SIGTERM"),
            "WARN audit: stopping at once event=drain_aborted cause=\"SIGTERM\"\n",
            json!({"level": "WARN", "target": "audit", "message": "stopping at once",
                "event": "drain_aborted", "cause": "SIGTERM"}),
        ),
        (
            &|| drain_ended(3),
            "INFO audit: stopped event=drain_ended cut_off=3\n",
            json!({"level": "INFO", "target": "audit", "message": "stopped",
                "event": "drain_ended", "cut_off": 3}),
        ),
        (
            &|| kicked("uid:0", connection, peer, Some(&jane)),
            "INFO audit: connection ended by an operator event=kicked by=\"uid:0\" \
             peer=192.0.2.1 connection=1 user=\"jane\"\n",
            json!({"level": "INFO", "target": "audit", "event": "kicked",
                "message": "connection ended by an operator", "by": "uid:0",
                "peer": "192.0.2.1", "connection": 1, "user": "jane"}),
        ),
        (
            &|| kicked("uid:0", connection, peer, None),
            "INFO audit: connection ended by an operator event=kicked by=\"uid:0\" \
             peer=192.0.2.1 connection=1\n",
            json!({"level": "INFO", "target": "audit", "event": "kicked",
                "message": "connection ended by an operator", "by": "uid:0",
                "peer": "192.0.2.1", "connection": 1}),
        ),
        (
            &|| user_revoked("uid:0", &name("jane"), 2),
            "INFO audit: user revoked by an operator event=user_revoked by=\"uid:0\" \
             user=\"jane\" sessions_ended=2\n",
            json!({"level": "INFO", "target": "audit", "message": "user revoked by an operator",
                "event": "user_revoked", "by": "uid:0", "user": "jane", "sessions_ended": 2}),
        ),
        (
            &|| lines_lost(7),
            "WARN audit: log lines lost: stderr was not read in time, or writing to it failed \
             event=lines_lost lines=7\n",
            json!({"level": "WARN", "target": "audit", "message":
                "log lines lost: stderr was not read in time, or writing to it failed",
                "event": "lines_lost", "lines": 7}),
        ),
    ];
    for (line, as_text, as_object) in lines {
        assert_eq!(text(line), as_text);
        assert_eq!(object(line), as_object);
    }
}

#[test]
fn action_in_a_room_logs_one_line() {
    let lines: [(&dyn Fn(), &str, Value); 2] = [
        (
            &|| published("uid:0", "/room/a b", 5),
            "INFO audit: published by an operator event=published by=\"uid:0\" \
             path=\"/room/a b\" bytes=5\n",
            json!({"level": "INFO", "target": "audit", "message": "published by an operator",
                "event": "published", "by": "uid:0", "path": "/room/a b", "bytes": 5}),
        ),
        (
            &|| history_purged("uid:0", "/room/lobby", 3),
            "INFO audit: history dropped by an operator event=history_purged by=\"uid:0\" \
             path=\"/room/lobby\" messages=3\n",
            json!({"level": "INFO", "target": "audit", "message": "history dropped by an operator",
                "event": "history_purged", "by": "uid:0", "path": "/room/lobby", "messages": 3}),
        ),
    ];
    for (line, as_text, as_object) in lines {
        assert_eq!(text(line), as_text);
        assert_eq!(object(line), as_object);
    }
}

#[test]
fn failed_login_logs_reason_and_known_name() {
    let accounts = accounts();
    let retry_after = Duration::from_secs(1);
    for (failure, reason) in [
        (LoginFailure::UnknownUser, "unknown_user"),
        (LoginFailure::WrongPassword, "wrong_password"),
        (LoginFailure::Expired, "expired"),
        (LoginFailure::Forbidden, "no_right"),
        (
            LoginFailure::BudgetExhausted { retry_after },
            "budget_spent",
        ),
        (LoginFailure::QueueFull { back_in: 1 }, "queue_full"),
        (LoginFailure::Internal { back_in: 1 }, "internal"),
    ] {
        let jane = name("jane");
        let known = Name::of(&jane, &accounts);
        let fail = || {
            let context = context("2001:db8::1", LoginMethod::Message);
            login_failed(
                &context,
                Some(&known),
                failure,
                &UnverifiedLimiter::default(),
            );
        };
        let expected = format!(
            "INFO audit: login failed event=login_failed peer=2001:db8::1 connection=1 \
             method=message user=\"jane\" reason={reason}\n"
        );
        assert_eq!(text(fail), expected);
        let expected = json!({"level": "INFO", "target": "audit", "message": "login failed",
            "event": "login_failed", "peer": "2001:db8::1", "connection": 1, "method": "message",
            "user": "jane", "reason": reason});
        assert_eq!(object(fail), expected);
    }
    let malformed = || {
        let context = context("192.0.2.1", LoginMethod::Basic);
        login_failed(
            &context,
            None,
            LoginFailure::Malformed,
            &UnverifiedLimiter::default(),
        );
    };
    let expected = "INFO audit: login failed event=login_failed peer=192.0.2.1 connection=1 \
                    method=basic reason=malformed\n";
    assert_eq!(text(malformed), expected);
}

/// An account's name may contain quotes and text that looks like fields.
#[test]
fn name_with_quotes_cannot_forge_fields() {
    let forged = r#"x" reason=y event=login_failed peer=203.0.113.6 user="z\"#;
    let source = format!("[[user]]\nname = '{forged}'\npassword = \"1\"");
    let accounts = Accounts::from_toml(&source).unwrap();
    let name = name(forged);
    let known = Name::of(&name, &accounts);
    let fail = || {
        let context = context("192.0.2.1", LoginMethod::Basic);
        login_failed(
            &context,
            Some(&known),
            LoginFailure::WrongPassword,
            &UnverifiedLimiter::default(),
        );
    };
    let escaped = r#"x\" reason=y event=login_failed peer=203.0.113.6 user=\"z\\"#;
    let expected = format!(
        "INFO audit: login failed event=login_failed peer=192.0.2.1 connection=1 method=basic \
         user=\"{escaped}\" reason=wrong_password\n"
    );
    assert_eq!(text(fail), expected);
    assert_eq!(object(fail)["user"], forged);
}

#[test]
fn unknown_name_logged_as_keyed_hash() {
    let accounts = accounts();
    let shown = |text: &str| Name::of(&name(text), &accounts).as_str().to_owned();
    let hash = shown("hunter2");
    let digits = hash.strip_prefix("unknown:").unwrap();
    assert_eq!(digits.len(), 8, "{hash}");
    assert!(digits.chars().all(|c| c.is_ascii_hexdigit()), "{hash}");
    assert_eq!(shown("hunter2"), hash);
    assert_ne!(shown("hunter3"), hash);
    // An unkeyed hash would allow a dictionary attack.
    let without_key: [u8; 32] = Sha256::digest("hunter2").into();
    assert_ne!(digits, format!("{:02x?}", &without_key[..4]));
    assert_eq!(shown("jane"), "jane");
    assert!(
        UserName::parse(&hash).is_err(),
        "the hash is not a valid user name"
    );
}

#[test]
fn unverified_attempts_logged_once_a_second() {
    let unverified = UnverifiedLimiter::default();
    let exhausted = LoginFailure::BudgetExhausted {
        retry_after: Duration::ZERO,
    };
    let start = Instant::now();
    let due = |failure, millis| {
        unverified.due(
            LoginMethod::Basic,
            failure,
            start + Duration::from_millis(millis),
        )
    };
    assert_eq!(due(exhausted, 0), Some(0));
    assert_eq!(due(exhausted, 1), None);
    assert_eq!(due(exhausted, 999), None);
    assert_eq!(
        due(LoginFailure::QueueFull { back_in: 1 }, 999),
        Some(0),
        "each reason has its own limit"
    );
    assert_eq!(due(exhausted, 1000), Some(2));
    assert_eq!(due(exhausted, 2500), Some(0));
    for failure in [LoginFailure::Malformed, LoginFailure::WrongPassword] {
        assert_eq!(due(failure, 2500), Some(0));
        assert_eq!(
            due(failure, 2500),
            Some(0),
            "verified attempts are not limited"
        );
    }
    // The failure budget does not limit tickets. A flood of forged ones hides no other failure.
    let due = |failure, millis| {
        unverified.due(
            LoginMethod::Ticket,
            failure,
            start + Duration::from_millis(millis),
        )
    };
    assert_eq!(due(LoginFailure::ForgedTicket, 0), Some(0));
    assert_eq!(due(LoginFailure::ForgedTicket, 999), None);
    for (failure, suppressed) in [
        (LoginFailure::Revoked, Some(0)),
        (LoginFailure::ExpiredTicket, None),
        (LoginFailure::UnknownUser, None),
    ] {
        assert_eq!(due(failure, 999), suppressed, "{failure:?}");
    }
    assert_eq!(due(LoginFailure::ForgedTicket, 1000), Some(1));
    let unverified = UnverifiedLimiter::default();
    let more = || {
        let context = context("192.0.2.1", LoginMethod::Basic);
        for _ in 0..3 {
            login_failed(&context, None, exhausted, &unverified);
        }
    };
    assert_eq!(text(more).matches('\n').count(), 1);
}
