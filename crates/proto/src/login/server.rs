//! The server's half: it awaits credentials, has them checked, answers, and gives up in time.

use std::{num::NonZeroUsize, time::Duration};

use super::{Attempt, LoginMessage, LoginVerdict};
use crate::{
    close::CloseReason,
    credentials::Identity,
    message::{CONGRATULATION, SORRY},
};

/// The wrong try from which on answers are delayed.
const FIRST_DELAYED_ATTEMPT: usize = 3;

/// The least delay of an answer to a wrong try, and how much chance adds to it. It slows guessing
/// down by a time that tells nothing about the guess.
const DELAY: Duration = Duration::from_millis(250);
const DELAY_SPREAD: Duration = Duration::from_millis(100);

/// What a server demands of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginPolicy {
    /// The time from the upgrade to the end of the login. Nothing extends it.
    pub deadline: Duration,
    /// The number of wrong tries after which the connection is closed.
    pub max_attempts: NonZeroUsize,
}

impl LoginPolicy {
    /// What is demanded where nothing else is configured: half a minute, and as many tries as
    /// OpenSSH gives.
    pub const DEFAULT: Self = Self {
        deadline: Duration::from_secs(30),
        max_attempts: NonZeroUsize::new(6).unwrap(),
    };
}

/// What the server's side is to do next.
#[derive(Debug)]
pub enum ServerAction {
    /// Read one message, until this time at the latest, and pass it to [`ServerLogin::received`].
    Read(Duration),
    /// Check this try, and pass the verdict to [`ServerLogin::verified`]. Nothing is read meanwhile.
    Verify(Attempt),
    /// Do nothing until this time.
    Wait(Duration),
    /// Send this text.
    Send(&'static str),
    /// The login is over: the client has been told, and the session begins.
    LoggedIn(Identity),
    /// The login is over: close the connection for this reason.
    Close(CloseReason),
}

/// The server's half of the login.
#[derive(Debug)]
pub struct ServerLogin {
    policy: LoginPolicy,
    rejected_attempts: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    Reading,
    Checking(Attempt),
    /// A try was handed out and its verdict is awaited.
    Verifying,
    /// A try is refused at this time, and the connection closed after it if there is a reason.
    Refusing(Duration, Option<CloseReason>),
    Welcoming(Identity),
    Welcomed(Identity),
    Closing(CloseReason),
}

impl ServerLogin {
    /// A login that begins now.
    pub fn new(policy: LoginPolicy) -> Self {
        Self {
            policy,
            rejected_attempts: 0,
            state: State::Reading,
        }
    }

    /// What to do at this time.
    ///
    /// # Panics
    ///
    /// If it is called between [`ServerAction::Verify`] and [`ServerLogin::verified`] before the
    /// deadline, or after the login was over: both are mistakes of the caller.
    pub fn next(&mut self, now: Duration) -> ServerAction {
        let deadline = self.policy.deadline;
        // A client that was already welcomed is in, however late it is by now.
        if now >= deadline && !matches!(self.state, State::Welcomed(_) | State::Closing(_)) {
            return ServerAction::Close(CloseReason::LoginTimeout);
        }
        match std::mem::replace(&mut self.state, State::Verifying) {
            State::Reading => {
                self.state = State::Reading;
                ServerAction::Read(deadline)
            }
            State::Checking(attempt) => ServerAction::Verify(attempt),
            State::Verifying => unreachable!("the verdict comes before the next action"),
            State::Refusing(at, close) if now < at => {
                self.state = State::Refusing(at, close);
                ServerAction::Wait(at.min(deadline))
            }
            State::Refusing(_, close) => {
                self.state = close.map_or(State::Reading, State::Closing);
                ServerAction::Send(SORRY)
            }
            State::Welcoming(identity) => {
                self.state = State::Welcomed(identity);
                ServerAction::Send(CONGRATULATION)
            }
            State::Welcomed(identity) => ServerAction::LoggedIn(identity),
            State::Closing(reason) => ServerAction::Close(reason),
        }
    }

    /// Takes the message that [`ServerAction::Read`] asked for.
    pub fn received(&mut self, message: LoginMessage<'_>) {
        self.state = State::Checking(message.into());
    }

    /// Takes the verdict that [`ServerAction::Verify`] asked for. `chance` is drawn evenly from 0
    /// to 1, and spreads the delay of an answer.
    pub fn verified(&mut self, verdict: LoginVerdict, now: Duration, chance: f64) {
        self.state = match verdict {
            LoginVerdict::Accepted(identity) => State::Welcoming(identity),
            LoginVerdict::Rejected => self.refuse(now, chance),
            LoginVerdict::Throttled { .. } => {
                State::Refusing(now, Some(CloseReason::TooManyFailures))
            }
            LoginVerdict::Busy => State::Closing(CloseReason::TooManyLogins),
            LoginVerdict::Forbidden => State::Closing(CloseReason::Forbidden),
        };
    }

    /// How many tries were wrong so far.
    pub fn rejected_attempts(&self) -> usize {
        self.rejected_attempts
    }

    fn refuse(&mut self, now: Duration, chance: f64) -> State {
        self.rejected_attempts += 1;
        let at = if self.rejected_attempts < FIRST_DELAYED_ATTEMPT {
            now
        } else {
            now + DELAY + DELAY_SPREAD.mul_f64(chance.clamp(0.0, 1.0))
        };
        let is_last = self.rejected_attempts >= self.policy.max_attempts.get();
        State::Refusing(at, is_last.then_some(CloseReason::TooManyAttempts))
    }
}
