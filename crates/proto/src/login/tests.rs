//! Both sides of the login, alone and against each other, on simulated time.

use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::{
    Attempt, ClientAction, ClientLogin, LoginMessage, LoginPolicy, LoginVerdict, ServerAction,
    ServerLogin, WhenRefused,
};
use crate::{
    close::CloseReason,
    credentials::Accounts,
    message::{CONGRATULATION, SORRY},
    password::HashMemory,
    secret::Secret,
};

const RIGHT: &str = "admin:123456";
const WRONG: &str = "admin:wrong";

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn accounts() -> Accounts {
    Accounts::from_toml("[[user]]\nname = \"admin\"\npassword = \"123456\"").unwrap()
}

/// Returns the verdict of a verifier that never throttles and is never busy.
fn verdict(attempt: &Attempt) -> LoginVerdict {
    let identity = match attempt {
        Attempt::Credentials(credentials) => accounts()
            .verify(credentials, UNIX_EPOCH, &mut HashMemory::default())
            .ok(),
        Attempt::Ticket(_) | Attempt::Malformed => None,
    };
    identity.map_or(LoginVerdict::Rejected, LoginVerdict::Accepted)
}

fn server() -> ServerLogin {
    ServerLogin::new(LoginPolicy::DEFAULT)
}

/// The result of one message to a server.
#[derive(Debug, PartialEq)]
enum Outcome {
    LoggedIn(String),
    Sorry { at: Duration },
    Closed { at: Duration, reason: CloseReason },
}

/// websocat sends the line break of each line.
#[test]
fn one_line_break_after_credentials_ignored() {
    for (text, password) in [
        ("admin:1\n", Some("1")),
        ("admin:1\r\n", Some("1")),
        ("admin:1\n\n", Some("1\n")),
        ("admin:1\r", Some("1\r")),
        ("admin:1 \n", Some("1 ")),
        ("admin:\n", None),
    ] {
        let found = match Attempt::from(LoginMessage::Text(text)) {
            Attempt::Credentials(credentials) => Some(credentials.password),
            Attempt::Ticket(_) | Attempt::Malformed => None,
        };
        let found = found.as_ref().map(Secret::expose);
        assert_eq!(found, password, "{text:?}");
    }
}

/// A user name is never empty, so a line that begins with `:` can be a ticket.
#[test]
fn line_of_colon_and_ticket_is_ticket() {
    const TICKET: &str = "wst1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAamFuZQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let attempt = |text: &str| Attempt::from(LoginMessage::Text(text));
    for line_break in ["", "\n", "\r\n"] {
        match attempt(&format!(":{TICKET}{line_break}")) {
            Attempt::Ticket(ticket) => assert_eq!(ticket.text().expose(), TICKET),
            other => panic!("{other:?}"),
        }
    }
    for text in [
        TICKET.to_owned(),
        format!("{TICKET}:"),
        format!("::{TICKET}"),
        format!(":{TICKET} "),
        format!(":{TICKET}\n\n"),
        format!("jane:{TICKET}"),
        ":wst1.".to_owned(),
        ":wst2.AAAA".to_owned(),
        ":password".to_owned(),
    ] {
        let is_ticket = matches!(attempt(&text), Attempt::Ticket(_));
        assert!(!is_ticket, "{text:?}");
    }
}

/// Drives the server through one message, and advances the time as it requests.
fn exchange(
    login: &mut ServerLogin,
    message: LoginMessage<'_>,
    mut now: Duration,
    chance: f64,
) -> Outcome {
    assert!(matches!(login.next(now), ServerAction::Read(_)));
    login.received(message);
    let mut replied_at = None;
    loop {
        match login.next(now) {
            ServerAction::Verify(attempt) => {
                login.verified(verdict(&attempt), now, chance);
            }
            ServerAction::Wait(until) => now = until,
            ServerAction::Send(text) => {
                assert!(replied_at.is_none(), "one message has one reply");
                assert!(text == SORRY || text == CONGRATULATION);
                replied_at = Some(now);
                login.sent();
            }
            ServerAction::Read(_) => {
                return Outcome::Sorry {
                    at: replied_at.unwrap(),
                };
            }
            ServerAction::LoggedIn(identity) => {
                return Outcome::LoggedIn(identity.user().to_string());
            }
            ServerAction::Close(reason) => return Outcome::Closed { at: now, reason },
        }
    }
}

#[test]
fn right_credentials_log_in() {
    let outcome = exchange(&mut server(), LoginMessage::Text(RIGHT), seconds(1), 0.5);
    assert_eq!(outcome, Outcome::LoggedIn("admin".to_owned()));
}

#[test]
fn congratulation_sent_before_session_starts() {
    let mut login = server();
    login.received(LoginMessage::Text(RIGHT));
    let ServerAction::Verify(attempt) = login.next(seconds(0)) else {
        panic!()
    };
    login.verified(verdict(&attempt), seconds(0), 0.0);
    assert!(matches!(
        login.next(seconds(0)),
        ServerAction::Send(CONGRATULATION)
    ));
    login.sent();
    // The deadline passed after the send. The login stays valid.
    assert!(matches!(login.next(seconds(31)), ServerAction::LoggedIn(_)));
}

#[test]
fn message_without_right_credentials_is_refused() {
    let long = format!("admin:{}", "6".repeat(1024));
    for message in [
        LoginMessage::Text(WRONG),
        LoginMessage::Text("joe:123456"),
        LoginMessage::Text("admin"),
        LoginMessage::Text(""),
        LoginMessage::Text("admin:"),
        LoginMessage::Text(":123456"),
        LoginMessage::Text("admin:123456:x"),
        LoginMessage::Text(" admin:123456"),
        LoginMessage::Text(&long),
        LoginMessage::Binary,
    ] {
        let mut login = server();
        let outcome = exchange(&mut login, message, seconds(1), 0.5);
        assert_eq!(outcome, Outcome::Sorry { at: seconds(1) }, "{message:?}");
        assert_eq!(login.rejected_attempts(), 1);
    }
}

#[test]
fn replies_delayed_from_third_failed_attempt() {
    let mut login = server();
    let mut now = seconds(0);
    for (chance, delay) in [(1.0, 0), (1.0, 0), (0.0, 250), (0.5, 300), (1.0, 350)] {
        let outcome = exchange(&mut login, LoginMessage::Text(WRONG), now, chance);
        assert_eq!(
            outcome,
            Outcome::Sorry {
                at: now + millis(delay)
            }
        );
        now += millis(delay);
    }
}

#[test]
fn last_failed_attempt_answered_then_closed() {
    let mut login = server();
    for _ in 0..5 {
        let outcome = exchange(&mut login, LoginMessage::Text(WRONG), seconds(0), 0.0);
        assert!(matches!(outcome, Outcome::Sorry { .. }));
    }
    login.received(LoginMessage::Text(WRONG));
    assert!(matches!(login.next(seconds(1)), ServerAction::Verify(_)));
    login.verified(LoginVerdict::Rejected, seconds(1), 0.0);
    assert!(matches!(login.next(seconds(2)), ServerAction::Send(SORRY)));
    assert!(matches!(
        login.next(seconds(2)),
        ServerAction::Close(CloseReason::TooManyAttempts)
    ));
}

#[test]
fn unverified_attempt_closes_without_counting() {
    let mut refused = server();
    refused.received(LoginMessage::Text(RIGHT));
    assert!(matches!(refused.next(seconds(1)), ServerAction::Verify(_)));
    let retry_after = seconds(3);
    refused.verified(LoginVerdict::Throttled { retry_after }, seconds(1), 1.0);
    assert!(matches!(
        refused.next(seconds(1)),
        ServerAction::Send(SORRY)
    ));
    assert!(matches!(
        refused.next(seconds(1)),
        ServerAction::Close(CloseReason::TooManyFailures)
    ));
    assert_eq!(refused.rejected_attempts(), 0);

    let mut busy = server();
    busy.received(LoginMessage::Text(RIGHT));
    assert!(matches!(busy.next(seconds(1)), ServerAction::Verify(_)));
    busy.verified(LoginVerdict::Busy { back_in: 3 }, seconds(1), 1.0);
    assert!(
        matches!(
            busy.next(seconds(1)),
            ServerAction::Close(CloseReason::TooManyLogins { back_in: 3 })
        ),
        "right credentials are not reported as wrong"
    );
}

#[test]
fn pending_login_closes_at_deadline() {
    let late = seconds(30);
    let closes = |login: &mut ServerLogin| {
        matches!(
            login.next(late),
            ServerAction::Close(CloseReason::LoginTimeout)
        )
    };

    let mut reading = server();
    assert!(matches!(reading.next(seconds(29)), ServerAction::Read(until) if until == late));
    assert!(closes(&mut reading));

    let mut verifying = server();
    verifying.received(LoginMessage::Text(RIGHT));
    assert!(matches!(
        verifying.next(seconds(29)),
        ServerAction::Verify(_)
    ));
    assert!(closes(&mut verifying));

    let mut verified_late = server();
    verified_late.received(LoginMessage::Text(RIGHT));
    let ServerAction::Verify(attempt) = verified_late.next(seconds(29)) else {
        panic!()
    };
    verified_late.verified(verdict(&attempt), late, 0.0);
    assert!(closes(&mut verified_late));

    let mut sending = server();
    sending.received(LoginMessage::Text(RIGHT));
    let ServerAction::Verify(attempt) = sending.next(seconds(29)) else {
        panic!()
    };
    sending.verified(verdict(&attempt), seconds(29), 0.0);
    let congratulation = sending.next(seconds(29));
    assert!(matches!(congratulation, ServerAction::Send(CONGRATULATION)));
    assert!(closes(&mut sending));

    let nearly_late = millis(29_900);
    let mut delaying = server();
    for _ in 0..2 {
        exchange(&mut delaying, LoginMessage::Text(WRONG), seconds(0), 0.0);
    }
    delaying.received(LoginMessage::Binary);
    assert!(matches!(
        delaying.next(nearly_late),
        ServerAction::Verify(Attempt::Malformed)
    ));
    delaying.verified(LoginVerdict::Rejected, nearly_late, 0.0);
    assert!(
        matches!(delaying.next(nearly_late), ServerAction::Wait(until) if until == late),
        "a delay never outlasts the deadline"
    );
    assert!(closes(&mut delaying));
}

/// Drives both sides against each other until the login ends. `lines` is the user's input. Returns
/// the output that the user sees, and the result of the login.
fn dialogue(client: &mut ClientLogin, lines: &[&str]) -> (Vec<String>, Result<(), CloseReason>) {
    let (mut server, mut now) = (server(), seconds(0));
    let mut lines = lines.iter();
    let mut seen = Vec::new();
    let mut closed = None;
    loop {
        let line = match client.next(now) {
            ClientAction::Ask => {
                seen.push("?".to_owned());
                match closed {
                    Some(reason) => return (seen, Err(reason)),
                    None => client.offer(Secret::new(*lines.next().expect("a line is left"))),
                }
                continue;
            }
            ClientAction::Show(text) => {
                seen.push(text);
                continue;
            }
            ClientAction::LoggedIn(text) => {
                seen.push(text);
                return (seen, Ok(()));
            }
            ClientAction::Refused | ClientAction::TimedOut => {
                return (seen, Err(closed.unwrap_or(CloseReason::UserExit)));
            }
            ClientAction::Await(_) => panic!("each line has a reply before the next action"),
            ClientAction::Send(line) => line,
        };
        client.sent(now);
        server.received(LoginMessage::Text(line.expose()));
        loop {
            match server.next(now) {
                ServerAction::Verify(attempt) => {
                    server.verified(verdict(&attempt), now, 0.5);
                }
                ServerAction::Wait(until) => now = until,
                ServerAction::Send(text) => {
                    assert!(matches!(client.next(now), ClientAction::Await(_)));
                    client.received(text.to_owned());
                    server.sent();
                }
                ServerAction::Read(_) | ServerAction::LoggedIn(_) => break,
                ServerAction::Close(reason) => {
                    closed = Some(reason);
                    break;
                }
            }
        }
    }
}

#[test]
fn login_succeeds_after_two_refused_lines() {
    let mut client = ClientLogin::ask(seconds(10));
    let (seen, end) = dialogue(&mut client, &["admin:1", "joe:123456", RIGHT]);
    assert_eq!(seen, ["?", SORRY, "?", SORRY, "?", CONGRATULATION]);
    assert_eq!(end, Ok(()));
}

#[test]
fn six_failed_attempts_close_connection() {
    let mut client = ClientLogin::ask(seconds(10));
    let (seen, end) = dialogue(&mut client, &[WRONG; 7]);
    assert_eq!(seen.iter().filter(|text| *text == SORRY).count(), 6);
    assert_eq!(end, Err(CloseReason::TooManyAttempts));
}

#[test]
fn configured_credentials_sent_without_prompt() {
    for when_refused in [WhenRefused::Ask, WhenRefused::GiveUp] {
        let mut client = ClientLogin::with_line(Secret::new(RIGHT), when_refused, seconds(10));
        assert_eq!(
            dialogue(&mut client, &[]),
            (vec![CONGRATULATION.to_owned()], Ok(()))
        );
    }
}

#[test]
fn refused_configured_credentials_prompt_or_fail() {
    let mut at_terminal = ClientLogin::with_line(Secret::new(WRONG), WhenRefused::Ask, seconds(10));
    let (seen, end) = dialogue(&mut at_terminal, &[RIGHT]);
    assert_eq!(seen, [SORRY, "?", CONGRATULATION]);
    assert_eq!(end, Ok(()));

    let mut in_pipe = ClientLogin::with_line(Secret::new(WRONG), WhenRefused::GiveUp, seconds(10));
    let (seen, end) = dialogue(&mut in_pipe, &[]);
    assert_eq!(seen, [SORRY]);
    assert_eq!(end, Err(CloseReason::UserExit));
}

#[test]
fn silent_server_times_out() {
    let mut client = ClientLogin::with_line(Secret::new(RIGHT), WhenRefused::Ask, seconds(10));
    assert!(matches!(client.next(seconds(0)), ClientAction::Send(_)));
    client.sent(seconds(1));
    assert!(matches!(client.next(seconds(1)), ClientAction::Await(until) if until == seconds(11)));
    assert!(matches!(client.next(seconds(10)), ClientAction::Await(until) if until == seconds(11)));
    assert!(matches!(client.next(seconds(11)), ClientAction::TimedOut));
}

#[test]
fn unsent_line_times_out() {
    let mut client = ClientLogin::with_line(Secret::new(RIGHT), WhenRefused::Ask, seconds(10));
    assert!(matches!(client.next(seconds(1)), ClientAction::Send(_)));
    assert!(matches!(client.next(seconds(2)), ClientAction::Await(until) if until == seconds(11)));
    assert!(matches!(client.next(seconds(11)), ClientAction::TimedOut));
}

/// A server may send texts before the client has sent its line.
#[test]
fn text_before_line_sent_is_no_reply() {
    let shown = |client: &mut ClientLogin, expected: &str| matches!(client.next(seconds(0)), ClientAction::Show(text) if text == expected);
    let mut client = ClientLogin::with_line(Secret::new(RIGHT), WhenRefused::GiveUp, seconds(10));
    client.received("welcome".to_owned());
    assert!(shown(&mut client, "welcome"));
    let ClientAction::Send(line) = client.next(seconds(0)) else {
        panic!("nothing to send")
    };
    assert_eq!(line.expose(), RIGHT);
    client.received("to the".to_owned());
    client.received("tutorial".to_owned());
    assert!(shown(&mut client, "to the\ntutorial"));
    assert!(
        matches!(client.next(seconds(0)), ClientAction::Await(_)),
        "a text before the line was sent does not end the login"
    );
    client.sent(seconds(0));
    client.received(SORRY.to_owned());
    assert!(shown(&mut client, SORRY));
    assert!(matches!(client.next(seconds(0)), ClientAction::Refused));
}

proptest! {
    /// Each message has exactly one reply, no login succeeds without the password, and the sixth
    /// failed attempt closes.
    #[test]
    fn arbitrary_lines_never_log_in(
        lines in proptest::collection::vec(
            prop_oneof![
                Just("admin:12345".to_owned()),
                Just("admin:1234567".to_owned()),
                Just("Admin:123456".to_owned()),
                any::<String>(),
            ],
            0..10,
        ),
        chance in 0.0_f64..=1.0,
    ) {
        let mut login = server();
        let mut now = seconds(0);
        for (index, line) in lines.iter().filter(|line| *line != RIGHT).enumerate() {
            match exchange(&mut login, LoginMessage::Text(line), now, chance) {
                Outcome::Sorry { at } => {
                    prop_assert!(index < 5);
                    prop_assert!(at >= now && at <= now + millis(350));
                    now = at;
                }
                Outcome::Closed { reason, .. } => {
                    prop_assert_eq!(reason, CloseReason::TooManyAttempts);
                    prop_assert_eq!(index, 5);
                    break;
                }
                Outcome::LoggedIn(user) => prop_assert!(false, "{user} logged in with {line:?}"),
            }
        }
    }
}
