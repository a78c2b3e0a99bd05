//! The property of both sides of the login, driven by a script of messages and times.

use std::{
    num::NonZeroUsize,
    sync::LazyLock,
    time::{Duration, UNIX_EPOCH},
};

use proto::{
    close::CloseReason,
    credentials::Accounts,
    login::{
        Attempt, ClientAction, ClientLogin, LoginMessage, LoginPolicy, LoginVerdict, ServerAction,
        ServerLogin, WhenRefused,
    },
    message::{CONGRATULATION, SORRY},
    password::HashMemory,
    secret::Secret,
    text::nfc,
};

use super::script::{self, Message, ScriptReader};

/// The accounts, and the only two lines that log in.
static ACCOUNTS: LazyLock<Accounts> = LazyLock::new(|| {
    let jane = "[[user]]\nname = \"jane\"\npassword = \"with:colon\"\n";
    let admin = "[[user]]\nname = \"admin\"\npassword = \"123456\"\n";
    Accounts::from_toml(&[jane, admin].concat()).expect("the accounts are valid")
});
const VALID_LINES: [&str; 2] = ["admin:123456", "jane:with:colon"];

/// Returns the credentials line of a text: without one line break at its end, and in NFC.
fn credentials_line(text: &str) -> String {
    let line = text.strip_suffix("\r\n").or(text.strip_suffix('\n'));
    nfc(line.unwrap_or(text)).into_owned()
}

/// Checks both sides of the login. Only valid credentials log in, and the attempts are limited.
/// Each message gets one answer, after the required delay, and the login ends by the deadline. The
/// client is logged in when the server says so, and shows each answer.
///
/// # Panics
///
/// If the property does not hold.
pub fn check(data: &[u8]) {
    check_server(ScriptReader::new(data));
    check_client_and_server(ScriptReader::new(data));
}

/// Returns scripts that reach each ending.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let examples = script::examples().into_iter();
    // Found by fuzzing, when the line break was not in the model.
    let with_line_break = b"\x1d\x04\x01\x02\x06\x0dadmi:2134n5\xff\n\x07\x05\0a\xffb:c\0\0";
    examples
        .map(|(name, script)| (name.to_owned(), script))
        .chain([(
            "line break after credentials".to_owned(),
            with_line_break.to_vec(),
        )])
        .collect()
}

/// Reads a login policy from the script.
fn policy(script: &mut ScriptReader<'_>) -> LoginPolicy {
    LoginPolicy {
        deadline: Duration::from_secs(1 + u64::from(script.byte() % 60)),
        max_attempts: NonZeroUsize::MIN.saturating_add(usize::from(script.byte() % 8)),
    }
}

/// Drives the server's side with the messages of the script.
fn check_server(mut script: ScriptReader<'_>) {
    let mut server = ServerDriver::new(policy(&mut script));
    let mut now = Duration::ZERO;
    loop {
        now += script.pause();
        match server.step(&mut now, &mut script) {
            Step::Reading => match script.message() {
                Some(message) => server.receive(message),
                // The script has ended.
                None => now = server.policy.deadline,
            },
            Step::Busy | Step::Sent(_) => {}
            Step::LoggedIn | Step::Closed => return,
        }
    }
}

/// Drives both sides against each other. The lines of the script are the user's input.
fn check_client_and_server(mut script: ScriptReader<'_>) {
    let mut server = ServerDriver::new(policy(&mut script));
    let patience = Duration::from_secs(1 + u64::from(script.byte() % 20));
    let mut client = match script.byte() % 3 {
        0 => ClientLogin::ask(patience),
        1 => ClientLogin::with_line(script.line(), WhenRefused::Ask, patience),
        _ => ClientLogin::with_line(script.line(), WhenRefused::GiveUp, patience),
    };
    let mut now = Duration::ZERO;
    // The answer that the client has received and not shown yet.
    let mut unshown = None;
    let mut answered = None;
    loop {
        now += script.pause();
        match client.next(now) {
            ClientAction::Ask => {
                assert_eq!(unshown, None, "the answer is shown before the next prompt");
                if script.is_over() {
                    return;
                }
                if script.byte().is_multiple_of(4) {
                    // A server may send an unrequested message.
                    client.received(HINT.to_owned());
                    unshown = Some(HINT);
                } else {
                    client.offer(script.line());
                }
            }
            ClientAction::Show(text) => assert_eq!(Some(text.as_str()), unshown.take()),
            ClientAction::Send(line) => {
                assert_eq!(unshown, None);
                match server.answer(&line, &mut now, &mut script) {
                    Some((sent_at, answer)) => {
                        client.sent(sent_at);
                        match client.next(now) {
                            ClientAction::Await(until) => {
                                assert!(now < until && until == sent_at + patience);
                            }
                            ClientAction::TimedOut => {
                                assert!(now >= sent_at + patience);
                                return;
                            }
                            other => panic!("{other:?} instead of waiting for the answer"),
                        }
                        client.received(answer.to_owned());
                        unshown = (answer == SORRY).then_some(answer);
                        answered = Some(answer);
                    }
                    // The closed connection ends the client's login too.
                    None => return,
                }
            }
            ClientAction::LoggedIn(text) => {
                assert_eq!(text, CONGRATULATION);
                assert!(matches!(server.step(&mut now, &mut script), Step::LoggedIn));
                return;
            }
            ClientAction::Refused => {
                assert_eq!(answered, Some(SORRY));
                return;
            }
            action @ (ClientAction::Await(_) | ClientAction::TimedOut) => {
                panic!("{action:?} although each line was answered")
            }
        }
    }
}

/// An unrequested message.
const HINT: &str = "the server restarts at noon";

/// The server's side, and its history.
struct ServerDriver {
    login: ServerLogin,
    policy: LoginPolicy,
    /// The last message, if it was a text.
    line: Option<String>,
    /// The time at which the last message was rejected.
    refused_at: Duration,
    messages: usize,
    answers: usize,
}

/// A step of the server.
enum Step {
    /// Waits for a message.
    Reading,
    /// Works.
    Busy,
    /// Sent an answer.
    Sent(&'static str),
    LoggedIn,
    Closed,
}

impl ServerDriver {
    fn new(policy: LoginPolicy) -> Self {
        Self {
            login: ServerLogin::new(policy),
            policy,
            line: None,
            refused_at: Duration::ZERO,
            messages: 0,
            answers: 0,
        }
    }

    /// Returns whether the last message logs in.
    fn is_accepted(&self) -> bool {
        let line = self.line.as_deref();
        line.is_some_and(|line| VALID_LINES.contains(&line))
    }

    fn is_logged_in(&self) -> bool {
        self.is_accepted() && self.answers == self.messages
    }

    /// Passes a requested message to the login.
    fn receive(&mut self, message: Message) {
        self.messages += 1;
        assert!(self.messages <= self.policy.max_attempts.get());
        self.line = match message {
            Message::Text(line) => {
                self.login.received(LoginMessage::Text(&line));
                Some(credentials_line(&line))
            }
            Message::Binary => {
                self.login.received(LoginMessage::Binary);
                None
            }
        };
    }

    /// Passes a line to the login. Returns the time of sending and the answer, or `None` if the
    /// connection is closed.
    fn answer(
        &mut self,
        line: &Secret,
        now: &mut Duration,
        script: &mut ScriptReader<'_>,
    ) -> Option<(Duration, &'static str)> {
        let mut sent_at = None;
        loop {
            match (self.step(now, script), sent_at) {
                (Step::Reading, None) => {
                    let line = Message::Text(line.expose().to_owned());
                    self.receive(line);
                    sent_at = Some(*now);
                }
                (Step::Reading, Some(_)) => panic!("the server reads before it answers"),
                (Step::Busy, _) => {}
                (Step::Sent(answer), Some(sent_at)) => return Some((sent_at, answer)),
                (Step::Sent(answer), None) => panic!("an answer without a message: {answer}"),
                (Step::LoggedIn, _) => panic!("the server logs in without an answer"),
                (Step::Closed, _) => return None,
            }
        }
    }

    /// Performs the next action of the login, and asserts that it is allowed at this time. The
    /// script decides how much time passes.
    fn step(&mut self, now: &mut Duration, script: &mut ScriptReader<'_>) -> Step {
        let deadline = self.policy.deadline;
        let late = *now >= deadline;
        match self.login.next(*now) {
            ServerAction::Read(until) => {
                assert!(!late && until == deadline);
                assert_eq!(self.answers, self.messages, "each message has one answer");
                assert!(!self.is_accepted());
                Step::Reading
            }
            ServerAction::Verify(attempt) => {
                assert!(!late);
                assert_eq!(
                    self.answers + 1,
                    self.messages,
                    "each attempt is verified once"
                );
                *now += script.pause();
                let identity = match attempt {
                    Attempt::Credentials(credentials) => {
                        let line = self.line.as_deref();
                        assert_eq!(Some(credentials.line().expose()), line);
                        let verified =
                            ACCOUNTS.verify(&credentials, UNIX_EPOCH, &mut HashMemory::default());
                        verified.ok()
                    }
                    Attempt::Ticket(ticket) => {
                        let line = format!(":{}", ticket.text().expose());
                        assert_eq!(Some(&*line), self.line.as_deref());
                        None
                    }
                    Attempt::Malformed => None,
                };
                assert_eq!(identity.is_some(), self.is_accepted());
                self.refused_at = *now;
                let verdict = identity.map_or(LoginVerdict::Rejected, LoginVerdict::Accepted);
                self.login.verified(verdict, *now, script.chance());
                Step::Busy
            }
            ServerAction::Wait(until) => {
                assert!(!late && *now < until && until <= deadline);
                assert!(self.messages >= 3 && !self.is_accepted());
                // A timer may fire early.
                *now = until.min(*now + Duration::from_millis(1) + script.pause());
                Step::Busy
            }
            ServerAction::Send(text) => {
                assert!(!late);
                self.answers += 1;
                assert_eq!(self.answers, self.messages, "each message has one answer");
                assert_eq!(
                    text,
                    if self.is_accepted() {
                        CONGRATULATION
                    } else {
                        SORRY
                    }
                );
                let held_back = now.saturating_sub(self.refused_at);
                let is_delayed = !self.is_accepted() && self.messages >= 3;
                assert!(!is_delayed || held_back >= Duration::from_millis(250));
                self.login.sent();
                Step::Sent(text)
            }
            ServerAction::LoggedIn(identity) => {
                assert!(self.is_logged_in());
                let line = self.line.as_deref().unwrap_or_default();
                assert!(line.starts_with(&format!("{}:", identity.user())));
                Step::LoggedIn
            }
            ServerAction::Close(CloseReason::TooManyAttempts) => {
                assert!(!self.is_accepted());
                assert_eq!(self.messages, self.policy.max_attempts.get());
                assert_eq!(
                    self.answers, self.messages,
                    "the last message is answered too"
                );
                assert_eq!(self.login.rejected_attempts(), self.messages);
                Step::Closed
            }
            ServerAction::Close(reason) => {
                assert_eq!(reason, CloseReason::LoginTimeout);
                assert!(late && !self.is_logged_in());
                Step::Closed
            }
        }
    }
}
