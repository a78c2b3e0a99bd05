//! The events of a run, as data. A console tells them in its own form.

use std::{io, time::Duration};

use proto::message::CredentialsError;

use super::{
    input::{InputError, UnsentLines},
    prompt::TypedLogin,
};
use crate::{
    connect::ConnectError,
    exit::Exit,
    handshake::Subprotocols,
    websocket::{CloseFrame, Closed, Payload},
};

/// An event that a console tells.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// A connection is being opened.
    Connecting,
    /// The opening handshake with this URL succeeded.
    Opened {
        /// The URL.
        url: &'a str,
    },
    /// The login succeeded, or none is needed.
    LoggedIn {
        /// The user, if the client knows the name.
        user: Option<&'a str>,
    },
    /// A message of the session, for stdout.
    Message(Payload<'a>),
    /// A message of the session was sent.
    Sent(Payload<'a>),
    /// A pong with this payload.
    Pong(&'a [u8]),
    /// The client starts the closing handshake.
    Closing,
    /// The server's Close frame arrived.
    Closed {
        /// The frame.
        frame: &'a CloseFrame,
        /// The side that started the closing handshake.
        by: Side,
    },
    /// Anything else, for stderr.
    Notice(Notice<'a>),
    /// The run ends with this code.
    End(Exit),
}

/// A side of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

impl Side {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// An event that is no message of the session.
#[derive(Debug)]
pub(crate) enum Notice<'a> {
    /// A notice of the configuration or the transport, in words.
    Text(&'a str),
    /// Credentials are asked for the first time.
    CredentialsWanted(TypedLogin),
    /// A typed line is not sent as credentials.
    LineNotSent(CredentialsError),
    /// The server sent a message during the login.
    LoginMessage(Payload<'a>),
    /// The server accepted a login that was not sent, while a person may be typing a secret.
    UnaskedLogin,
    /// The line that was typed meanwhile was dropped.
    LineDropped,
    /// The word `exit` was entered.
    Goodbye,
    /// The input ended before the login succeeded.
    InputEndedAtLogin,
    /// A line of the input cannot be used, or the input cannot be read.
    BadInput(&'a InputError),
    /// The piped input does not begin with credentials.
    NoCredentials(CredentialsError),
    /// The log cannot be written.
    LogFailed(&'a io::Error),
    /// The messages cannot be written.
    OutputFailed(&'a io::Error),
    /// No connection was opened.
    ConnectFailed(&'a ConnectError),
    /// The configured credentials were refused.
    LoginRefused,
    /// A login was refused, and the next line of the pipe is no other attempt.
    NoFurtherCredentials,
    /// A room without a login was reached.
    NoLogin,
    /// A room without a login received credentials.
    CredentialsExposed,
    /// The server selected none of these subprotocols.
    NoSubprotocol(&'a Subprotocols),
    /// The server did not answer the credentials in time.
    LoginTimedOut(Duration),
    /// The server accepted no data for this long.
    Stalled(Duration),
    /// The server ended the connection.
    Closed(&'a Closed),
    /// The server did not close its side in time.
    CloseTimedOut(Duration),
    /// This number of messages got no answer.
    Unanswered(usize),
    /// This number of lines was not sent.
    Unsent(UnsentLines),
    /// The piped input was empty, and there is nothing to wait for.
    EmptyInput,
    /// The time limit of the run was reached.
    TimeUp(Duration),
    /// Fewer messages arrived than were asked for.
    TooFewMessages {
        /// The number of messages that arrived.
        received: usize,
        /// The number of messages that were asked for.
        wanted: usize,
    },
    /// Lines followed the word `exit`.
    LinesAfterExit,
}
