//! Why a WebSocket connection is closed: one table of codes for both ends (RFC 6455 section 7.4 and
//! the IANA WebSocket Close Code Number Registry).

use std::fmt;

use crate::credentials::Revoked;

/// A close code as it stands in a Close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseCode(pub u16);

/// Whether, and how, a client may come back after a close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Not without a change on the client's side: the same would happen again.
    No,
    /// At once.
    Now,
    /// After a random moment, so that all the clients of a restarted server do not come at once.
    Jitter,
    /// After a pause that grows from try to try.
    BackOff,
}

/// One row of the table.
struct Meaning {
    code: CloseCode,
    words: &'static str,
    retry: Retry,
}

const fn row(code: u16, words: &'static str, retry: Retry) -> Meaning {
    Meaning {
        code: CloseCode(code),
        words,
        retry,
    }
}

/// Every code that has a meaning here. Ours never send 1005 and 1006 (nobody may), 1012 and 1014.
const MEANINGS: &[Meaning] = &[
    row(1000, "normal end", Retry::No),
    row(1001, "it is going away", Retry::Jitter),
    row(1002, "protocol error", Retry::No),
    row(1003, "this kind of message is not taken here", Retry::No),
    row(1005, "closed without a code", Retry::No),
    row(1006, "lost without a close frame", Retry::BackOff),
    row(1007, "a text was not UTF-8", Retry::No),
    row(1008, "against the server's policy", Retry::No),
    row(1009, "too big", Retry::No),
    row(1011, "the server failed", Retry::BackOff),
    row(1012, "the server restarts", Retry::Jitter),
    row(
        1013,
        "the server is overloaded, or this reader too slow",
        Retry::BackOff,
    ),
    row(1014, "a gateway failed", Retry::BackOff),
    row(3000, "not authorized, or no longer", Retry::No),
    row(3003, "no right to be here, or no longer", Retry::No),
    row(3008, "time-out", Retry::Now),
];

impl CloseCode {
    /// Stands for a Close frame that had no code. It is never sent.
    pub const ABSENT: Self = Self(1005);

    /// Whether it is one of those that have a meaning of their own here.
    pub fn is_in_table(self) -> bool {
        self.meaning().is_some()
    }

    fn meaning(self) -> Option<&'static Meaning> {
        MEANINGS.iter().find(|meaning| meaning.code == self)
    }

    /// What the code means, in words for a person.
    pub fn words(self) -> &'static str {
        match (self.meaning(), self.0) {
            (Some(meaning), _) => meaning.words,
            (None, 3000..=3999) => "a reason registered by some application",
            (None, 4000..=4999) => "a reason of this server's own",
            (None, _) => "an unknown reason",
        }
    }

    /// Whether a client may come back.
    pub fn retry(self) -> Retry {
        self.meaning().map_or(Retry::No, |meaning| meaning.retry)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Each reason for which one of ours closes a connection, with the code and the text that go into
/// the Close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The person or the script is done.
    UserExit,
    /// The server shuts down.
    ShuttingDown,
    /// Nothing was said for the idle time-out.
    Idle,
    /// The peer broke RFC 6455.
    ProtocolError,
    /// A text message was not UTF-8.
    InvalidUtf8,
    /// The peer sent a binary message where only text is taken.
    TextOnly,
    /// The peer sent control frames faster than is allowed.
    TooManyControlFrames,
    /// An operator of the server ended the session. The login may be used again.
    Kicked,
    /// A message was longer than is allowed.
    MessageTooBig,
    /// More bytes came before the login than a login needs.
    LoginTooLarge,
    /// This side failed.
    Internal,
    /// Nothing came back after a ping.
    KeepaliveTimeout,
    /// The peer does not read what was sent to it.
    SlowReader,
    /// Too many logins from the peer's address were wrong.
    TooManyFailures,
    /// Too many logins are being checked already.
    TooManyLogins,
    /// Too many wrong logins on one connection.
    TooManyAttempts,
    /// The user that had logged in was removed.
    UserRemoved,
    /// The password that had logged in was changed.
    PasswordChanged,
    /// The account that had logged in was limited in time, and the time is over.
    AccountExpired,
    /// An operator of the server took the login back.
    LoginRevoked,
    /// The user has no right to what is at this path.
    Forbidden,
    /// The right to what is at this path was taken away.
    AccessRevoked,
    /// The login came too late.
    LoginTimeout,
}

impl CloseReason {
    /// All reasons, for tests and tables.
    pub const ALL: [Self; 23] = [
        Self::UserExit,
        Self::ShuttingDown,
        Self::Idle,
        Self::ProtocolError,
        Self::InvalidUtf8,
        Self::TextOnly,
        Self::TooManyControlFrames,
        Self::Kicked,
        Self::MessageTooBig,
        Self::LoginTooLarge,
        Self::Internal,
        Self::KeepaliveTimeout,
        Self::SlowReader,
        Self::TooManyFailures,
        Self::TooManyLogins,
        Self::TooManyAttempts,
        Self::UserRemoved,
        Self::PasswordChanged,
        Self::AccountExpired,
        Self::LoginRevoked,
        Self::Forbidden,
        Self::AccessRevoked,
        Self::LoginTimeout,
    ];

    /// The code of the Close frame.
    pub fn code(self) -> CloseCode {
        CloseCode(match self {
            Self::UserExit => 1000,
            Self::ShuttingDown | Self::Idle => 1001,
            Self::ProtocolError => 1002,
            Self::TextOnly => 1003,
            Self::InvalidUtf8 => 1007,
            Self::TooManyControlFrames | Self::Kicked => 1008,
            Self::MessageTooBig | Self::LoginTooLarge => 1009,
            Self::Internal | Self::KeepaliveTimeout => 1011,
            Self::SlowReader | Self::TooManyFailures | Self::TooManyLogins => 1013,
            Self::TooManyAttempts
            | Self::UserRemoved
            | Self::PasswordChanged
            | Self::AccountExpired
            | Self::LoginRevoked => 3000,
            Self::Forbidden | Self::AccessRevoked => 3003,
            Self::LoginTimeout => 3008,
        })
    }

    /// The reason text of the Close frame.
    pub fn text(self) -> &'static str {
        match self {
            Self::UserExit => "user exit",
            Self::ShuttingDown => "server is shutting down",
            Self::Idle => "idle",
            Self::ProtocolError => "protocol error",
            Self::InvalidUtf8 => "text is not UTF-8",
            Self::TextOnly => "this service takes text messages",
            Self::TooManyControlFrames => "too many control frames",
            Self::Kicked => "disconnected by an operator",
            Self::MessageTooBig => "message too big",
            Self::LoginTooLarge => "too many bytes before the login",
            Self::Internal => "internal error",
            Self::KeepaliveTimeout => "keepalive timeout",
            Self::SlowReader => "reader too slow",
            Self::TooManyFailures => "too many wrong logins from this address",
            Self::TooManyLogins => "too many logins at once",
            Self::TooManyAttempts => "too many wrong logins",
            Self::UserRemoved => "login revoked: the user was removed",
            Self::PasswordChanged => "login revoked: the password was changed",
            Self::AccountExpired => "login revoked: the account has expired",
            Self::LoginRevoked => "login revoked: by an operator",
            Self::Forbidden => "this user has no right to be here",
            Self::AccessRevoked => "the right to this route was taken away",
            Self::LoginTimeout => "login timeout",
        }
    }
}

impl From<Revoked> for CloseReason {
    fn from(revoked: Revoked) -> Self {
        match revoked {
            Revoked::Removed => Self::UserRemoved,
            Revoked::Changed => Self::PasswordChanged,
            Revoked::Expired => Self::AccountExpired,
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{CloseCode, CloseReason, MEANINGS, Retry};

    #[test]
    fn each_code_stands_in_the_table_once() {
        let codes: HashSet<_> = MEANINGS.iter().map(|meaning| meaning.code).collect();
        assert_eq!(codes.len(), MEANINGS.len());
    }

    #[test]
    fn each_reason_fits_a_close_frame_and_has_a_code_that_may_be_sent() {
        for reason in CloseReason::ALL {
            let code = reason.code();
            assert!(code.meaning().is_some(), "{reason:?}");
            assert!(
                !matches!(code.0, 1004..=1006 | 1012 | 1014 | 1015),
                "{reason:?}"
            );
            assert!(reason.text().len() <= 123, "{reason:?}");
        }
        let distinct: HashSet<_> = CloseReason::ALL.map(CloseReason::text).into();
        assert_eq!(distinct.len(), CloseReason::ALL.len());
    }

    #[test]
    fn says_whether_to_come_back() {
        for (code, retry) in [
            (1000, Retry::No),
            (1001, Retry::Jitter),
            (1002, Retry::No),
            (1007, Retry::No),
            (1009, Retry::No),
            (1011, Retry::BackOff),
            (1012, Retry::Jitter),
            (1013, Retry::BackOff),
            (1014, Retry::BackOff),
            (3000, Retry::No),
            (3003, Retry::No),
            (3008, Retry::Now),
            (4242, Retry::No),
        ] {
            assert_eq!(CloseCode(code).retry(), retry, "{code}");
        }
    }

    #[test]
    fn has_words_for_codes_outside_the_table() {
        assert_eq!(
            CloseCode(3500).words(),
            "a reason registered by some application"
        );
        assert_eq!(CloseCode(4242).words(), "a reason of this server's own");
        assert_eq!(CloseCode(17).words(), "an unknown reason");
    }
}
