//! The server side of the login: it reads credentials, requests their verification, replies, and
//! enforces the deadline.

use std::{num::NonZeroUsize, time::Duration};

use crate::{
    close::CloseReason,
    credentials::Identity,
    login::{Attempt, LoginMessage, LoginVerdict},
    message::{CONGRATULATION, SORRY},
};

/// The number of the first failed attempt whose reply is delayed.
const FIRST_DELAYED_ATTEMPT: usize = 3;

/// The minimum delay of the reply to a failed attempt. It slows down guessing. The random part,
/// up to [`DELAY_SPREAD`], is independent of the guess.
const DELAY: Duration = Duration::from_millis(250);

/// The upper bound of the random part of the delay.
const DELAY_SPREAD: Duration = Duration::from_millis(100);

/// The limits of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginPolicy {
    /// The time from the 101 response until an attempt is accepted. Failed attempts do not extend it.
    pub deadline: Duration,
    /// The number of failed attempts after which the connection is closed.
    pub max_attempts: NonZeroUsize,
}

impl LoginPolicy {
    /// The default limits: 30 seconds, and six attempts, as many as OpenSSH allows.
    pub const DEFAULT: Self = Self {
        deadline: Duration::from_secs(30),
        max_attempts: NonZeroUsize::new(6).unwrap(),
    };
}

/// The next action of the server.
#[derive(Debug)]
pub enum ServerAction {
    /// Read one message, at most until this time, and pass it to [`ServerLogin::received`].
    Read(Duration),
    /// Verify this attempt and pass the verdict to [`ServerLogin::verified`]. Do not read meanwhile.
    Verify(Attempt),
    /// Wait until this time.
    Wait(Duration),
    /// Send this text, and call [`ServerLogin::sent`] after it was flushed.
    Send(&'static str),
    /// The login succeeded and the client has the reply: start the session.
    LoggedIn(Identity),
    /// The login failed: close the connection for this reason.
    Close(CloseReason),
}

/// The server side of the login.
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
    /// [`ServerAction::Verify`] was returned, and the verdict is pending.
    Verifying,
    /// The attempt failed. The reply is sent at this time. The connection is closed after it, if there
    /// is a reason.
    Refusing(Duration, Option<CloseReason>),
    Accepting(Identity),
    /// The congratulation was returned as [`ServerAction::Send`], and [`ServerLogin::sent`] not yet
    /// called.
    Congratulating(Identity),
    Accepted(Identity),
    Closing(CloseReason),
}

impl ServerLogin {
    /// Creates a login that begins at time zero.
    pub fn new(policy: LoginPolicy) -> Self {
        Self {
            policy,
            rejected_attempts: 0,
            state: State::Reading,
        }
    }

    /// Returns the next action at this time, counted from the start of the login.
    ///
    /// # Panics
    ///
    /// If it is called before the deadline between [`ServerAction::Verify`] and
    /// [`ServerLogin::verified`], or between [`ServerAction::Send`] and [`ServerLogin::sent`] of the
    /// congratulation, or after the login has ended.
    pub fn next(&mut self, now: Duration) -> ServerAction {
        let deadline = self.policy.deadline;
        // Once the congratulation is sent, the login has succeeded: the deadline no longer applies.
        if now >= deadline && !matches!(self.state, State::Accepted(_) | State::Closing(_)) {
            return ServerAction::Close(CloseReason::LoginTimeout);
        }
        match std::mem::replace(&mut self.state, State::Verifying) {
            State::Reading => {
                self.state = State::Reading;
                ServerAction::Read(deadline)
            }
            State::Checking(attempt) => ServerAction::Verify(attempt),
            State::Verifying | State::Congratulating(_) => {
                unreachable!(
                    "`next` was called before `verified` or `sent`, or after the end of the login"
                )
            }
            State::Refusing(at, close) if now < at => {
                self.state = State::Refusing(at, close);
                ServerAction::Wait(at.min(deadline))
            }
            State::Refusing(_, close) => {
                self.state = close.map_or(State::Reading, State::Closing);
                ServerAction::Send(SORRY)
            }
            State::Accepting(identity) => {
                self.state = State::Congratulating(identity);
                ServerAction::Send(CONGRATULATION)
            }
            State::Accepted(identity) => ServerAction::LoggedIn(identity),
            State::Closing(reason) => ServerAction::Close(reason),
        }
    }

    /// Supplies the message for [`ServerAction::Read`].
    pub fn received(&mut self, message: LoginMessage<'_>) {
        self.state = State::Checking(message.into());
    }

    /// Supplies the verdict for [`ServerAction::Verify`]. `chance` is uniformly random from 0 to 1; it
    /// scales the random part of the delay.
    pub fn verified(&mut self, verdict: LoginVerdict, now: Duration, chance: f64) {
        self.state = match verdict {
            LoginVerdict::Accepted(identity) => State::Accepting(identity),
            LoginVerdict::Rejected => self.refuse(now, chance),
            LoginVerdict::Throttled { .. } => {
                State::Refusing(now, Some(CloseReason::TooManyFailures))
            }
            LoginVerdict::Busy { back_in } => {
                State::Closing(CloseReason::TooManyLogins { back_in })
            }
            LoginVerdict::Forbidden => State::Closing(CloseReason::Forbidden),
        };
    }

    /// Reports that the text of [`ServerAction::Send`] was flushed. Without this call the login does not
    /// succeed: a session never starts for a client that did not take the congratulation in time.
    pub fn sent(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Verifying) {
            State::Congratulating(identity) => State::Accepted(identity),
            other => other,
        };
    }

    /// Returns the number of failed attempts.
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
