//! The client side of the login: it offers credentials until the server accepts them.

use std::time::Duration;

use crate::{message::is_congratulation, secret::Secret};

/// The action after the server has refused configured credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenRefused {
    /// Ask the user for other credentials.
    Ask,
    /// Give up: there is no terminal for a prompt.
    GiveUp,
}

/// The next action of the client.
#[derive(Debug)]
pub enum ClientAction {
    /// Get a credentials line and pass it to [`ClientLogin::offer`]. Pass texts that arrive meanwhile
    /// to [`ClientLogin::received`].
    Ask,
    /// Send this line as one text message, and call [`ClientLogin::sent`] after it was written.
    Send(Secret),
    /// Read one text message, at most until this time, and pass it to [`ClientLogin::received`]. The
    /// time also limits the sending of a line that is not yet written.
    Await(Duration),
    /// Display this text from the server. The login is not complete.
    Show(String),
    /// The login succeeded, with this text from the server.
    LoggedIn(String),
    /// The login failed: the configured credentials were refused, and there is no prompt.
    Refused,
    /// The login failed: the server did not reply in time.
    TimedOut,
}

/// The client side of the login.
#[derive(Debug)]
pub struct ClientLogin {
    /// The limit for sending a line, and again for the reply to it.
    reply_timeout: Duration,
    when_refused: WhenRefused,
    state: State,
}

#[derive(Debug)]
enum State {
    Asking,
    LineReady(Secret),
    /// [`ClientAction::Send`] was returned, and [`ClientLogin::sent`] not yet called.
    Sending {
        until: Duration,
    },
    Awaiting {
        until: Duration,
    },
    Showing {
        text: String,
        then: Box<State>,
    },
    LoggedIn(String),
    Refused,
}

impl ClientLogin {
    /// Creates a login that asks for each line.
    pub fn ask(reply_timeout: Duration) -> Self {
        Self {
            reply_timeout,
            when_refused: WhenRefused::Ask,
            state: State::Asking,
        }
    }

    /// Creates a login that offers a configured line first.
    pub fn with_line(line: Secret, when_refused: WhenRefused, reply_timeout: Duration) -> Self {
        Self {
            reply_timeout,
            when_refused,
            state: State::LineReady(line),
        }
    }

    /// Returns the next action. `now` is the time since any fixed start. Do not call it after
    /// [`ClientAction::LoggedIn`] or [`ClientAction::TimedOut`]: it would ask for another line.
    pub fn next(&mut self, now: Duration) -> ClientAction {
        match std::mem::replace(&mut self.state, State::Asking) {
            State::Asking => ClientAction::Ask,
            State::LineReady(line) => {
                self.state = State::Sending {
                    until: now + self.reply_timeout,
                };
                ClientAction::Send(line)
            }
            State::Sending { until } | State::Awaiting { until } if now >= until => {
                ClientAction::TimedOut
            }
            State::Sending { until } => {
                self.state = State::Sending { until };
                ClientAction::Await(until)
            }
            State::Awaiting { until } => {
                self.state = State::Awaiting { until };
                ClientAction::Await(until)
            }
            State::Showing { text, then } => {
                self.state = *then;
                ClientAction::Show(text)
            }
            State::LoggedIn(text) => ClientAction::LoggedIn(text),
            State::Refused => {
                self.state = State::Refused;
                ClientAction::Refused
            }
        }
    }

    /// Supplies the line for [`ClientAction::Ask`].
    pub fn offer(&mut self, line: Secret) {
        self.state = State::LineReady(line);
    }

    /// Reports that the line of [`ClientAction::Send`] was written. A text received after this may be
    /// the reply to it.
    pub fn sent(&mut self, now: Duration) {
        if matches!(self.state, State::Sending { .. }) {
            self.state = State::Awaiting {
                until: now + self.reply_timeout,
            };
        }
    }

    /// Handles a text from the server, in any state. Before [`ClientLogin::sent`], a text other than
    /// a congratulation is not a reply: it is displayed, and the state stays the same.
    pub fn received(&mut self, text: String) {
        if is_congratulation(&text) {
            self.state = State::LoggedIn(text);
            return;
        }
        let state = std::mem::replace(&mut self.state, State::Asking);
        self.state = match (state, self.when_refused) {
            (
                State::Showing {
                    text: earlier,
                    then,
                },
                _,
            ) => State::Showing {
                text: format!("{earlier}\n{text}"),
                then,
            },
            (State::Awaiting { .. }, WhenRefused::Ask) => State::Showing {
                text,
                then: Box::new(State::Asking),
            },
            (State::Awaiting { .. }, WhenRefused::GiveUp) => State::Showing {
                text,
                then: Box::new(State::Refused),
            },
            (unanswered, _) => State::Showing {
                text,
                then: Box::new(unanswered),
            },
        };
    }
}
