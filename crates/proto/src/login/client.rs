//! The client's half: it offers credentials until the server says congratulation.

use std::time::Duration;

use crate::{message::is_congratulation, secret::Secret};

/// What to do when the server refuses credentials that were configured rather than typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenRefused {
    /// Ask the person for others.
    Ask,
    /// Give up: nobody is there to be asked.
    GiveUp,
}

/// What the client's side is to do next.
#[derive(Debug)]
pub enum ClientAction {
    /// Get a credentials line, and pass it to [`ClientLogin::offer`]. Texts that the server sends
    /// meanwhile go to [`ClientLogin::received`].
    Ask,
    /// Send this line as one text message, and call [`ClientLogin::sent`] when it has left.
    Send(Secret),
    /// Read one text message, until this time at the latest, and pass it to
    /// [`ClientLogin::received`].
    Await(Duration),
    /// Show this text of the server's, which was not a congratulation.
    Show(String),
    /// The login is over: the server said this.
    LoggedIn(String),
    /// The login is over: the configured credentials were refused, and nobody can be asked.
    Refused,
    /// The login is over: the server did not answer in time.
    TimedOut,
}

/// The client's half of the login.
#[derive(Debug)]
pub struct ClientLogin {
    /// The longest time that the server may take for an answer.
    patience: Duration,
    when_refused: WhenRefused,
    state: State,
}

#[derive(Debug)]
enum State {
    Asking,
    Sending(Secret),
    /// The line was handed out, and has not left yet.
    Leaving {
        until: Duration,
    },
    Awaiting {
        until: Duration,
    },
    Showing {
        text: String,
        then: Box<State>,
    },
    Welcomed(String),
    GivenUp,
}

impl ClientLogin {
    /// A login in which a person, or a script, is asked for each line.
    pub fn ask(patience: Duration) -> Self {
        Self {
            patience,
            when_refused: WhenRefused::Ask,
            state: State::Asking,
        }
    }

    /// A login that offers a configured line first.
    pub fn with_line(line: Secret, when_refused: WhenRefused, patience: Duration) -> Self {
        Self {
            patience,
            when_refused,
            state: State::Sending(line),
        }
    }

    /// What to do at this time, as a span since any fixed moment.
    pub fn next(&mut self, now: Duration) -> ClientAction {
        match std::mem::replace(&mut self.state, State::Asking) {
            State::Asking => ClientAction::Ask,
            State::Sending(line) => {
                self.state = State::Leaving {
                    until: now + self.patience,
                };
                ClientAction::Send(line)
            }
            State::Leaving { until } | State::Awaiting { until } if now >= until => {
                ClientAction::TimedOut
            }
            State::Leaving { until } => {
                self.state = State::Leaving { until };
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
            State::Welcomed(text) => ClientAction::LoggedIn(text),
            State::GivenUp => {
                self.state = State::GivenUp;
                ClientAction::Refused
            }
        }
    }

    /// Takes the line that [`ClientAction::Ask`] asked for.
    pub fn offer(&mut self, line: Secret) {
        self.state = State::Sending(line);
    }

    /// The line that [`ClientAction::Send`] handed out has left. What the server says from now on
    /// may be the answer to it.
    pub fn sent(&mut self, now: Duration) {
        if matches!(self.state, State::Leaving { .. }) {
            self.state = State::Awaiting {
                until: now + self.patience,
            };
        }
    }

    /// Takes a text that the server sent, whether or not it was awaited. Only after
    /// [`ClientLogin::sent`] is it taken for an answer; before that it is shown, and the login goes
    /// on where it was.
    pub fn received(&mut self, text: String) {
        if is_congratulation(&text) {
            self.state = State::Welcomed(text);
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
                then: Box::new(State::GivenUp),
            },
            (unanswered, _) => State::Showing {
                text,
                then: Box::new(unanswered),
            },
        };
    }
}
