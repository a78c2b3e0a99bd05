//! Close codes and reasons: one table for both sides (RFC 6455 section 7.4 and the IANA WebSocket
//! Close Code Number Registry).

use std::{borrow::Cow, fmt};

use crate::credentials::Revoked;

/// The status code of a Close frame (RFC 6455 section 7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseCode(pub u16);

/// The reconnection policy of a client after a close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Do not reconnect: the same would happen again.
    No,
    /// Reconnect at once.
    Now,
    /// Reconnect after a random delay, so that the clients of a restarted server are spread out (RFC
    /// 6455 section 7.2.3).
    Jitter,
    /// Reconnect after a delay that grows with each attempt (RFC 6455 section 7.2.3).
    BackOff,
}

/// One row of the table.
struct Meaning {
    code: CloseCode,
    description: &'static str,
    retry: Retry,
}

const fn row(code: u16, description: &'static str, retry: Retry) -> Meaning {
    Meaning {
        code: CloseCode(code),
        description,
        retry,
    }
}

/// Every code with a meaning of its own. 1005 and 1006 must never be sent (RFC 6455 section
/// 7.4.1). These programs do not send 1014 either.
const MEANINGS: &[Meaning] = &[
    row(1000, "normal end", Retry::No),
    row(1001, "going away", Retry::Jitter),
    row(1002, "protocol error", Retry::No),
    row(1003, "unsupported message type", Retry::No),
    row(1005, "no close code", Retry::No),
    row(
        1006,
        "connection lost without a Close frame",
        Retry::BackOff,
    ),
    row(1007, "invalid UTF-8", Retry::No),
    row(1008, "policy violation", Retry::No),
    row(1009, "message too big", Retry::No),
    row(1011, "internal server error", Retry::BackOff),
    row(1012, "service restart", Retry::Jitter),
    row(
        1013,
        "server overloaded, or reader too slow",
        Retry::BackOff,
    ),
    row(1014, "bad gateway", Retry::BackOff),
    row(3000, "unauthorized", Retry::No),
    row(3003, "forbidden", Retry::No),
    row(3008, "timeout", Retry::Now),
];

impl CloseCode {
    /// The value for a Close frame without a code. It is never sent (RFC 6455 section 7.4.1).
    pub const ABSENT: Self = Self(1005);

    /// Returns true if a Close frame may carry the code (RFC 6455 section 7.4). 1012 to 1014 are
    /// registered since.
    pub fn may_be_sent(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }

    /// Returns true if the code has a meaning of its own here.
    pub fn is_in_table(self) -> bool {
        self.meaning().is_some()
    }

    fn meaning(self) -> Option<&'static Meaning> {
        MEANINGS.iter().find(|meaning| meaning.code == self)
    }

    /// Returns the meaning of the code, for display to a user.
    pub fn description(self) -> &'static str {
        match (self.meaning(), self.0) {
            (Some(meaning), _) => meaning.description,
            (None, 3000..=3999) => "registered application code",
            (None, 4000..=4999) => "private application code",
            (None, _) => "unknown close code",
        }
    }

    /// Returns the reconnection policy for this code.
    pub fn retry(self) -> Retry {
        self.meaning().map_or(Retry::No, |meaning| meaning.retry)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A reason for which these programs close a connection. Each has a code and a text for the Close
/// frame (RFC 6455 section 5.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The client's user or script ended the session.
    UserExit,
    /// The upstream of a stream has sent its last byte.
    StreamEnded,
    /// The server shuts down. It does not know if it will start again.
    ShuttingDown {
        /// The time after which the client should come back, in seconds.
        back_in: u16,
    },
    /// The server shuts down to start again.
    Restarting {
        /// The time after which the client should come back, in seconds.
        back_in: u16,
    },
    /// No message was exchanged during the idle timeout.
    Idle,
    /// The peer violated RFC 6455.
    ProtocolError,
    /// A text message was not UTF-8.
    InvalidUtf8,
    /// The peer sent a binary message to a service that accepts only text.
    TextOnly,
    /// The peer sent a text message to a service that accepts only binary messages.
    BinaryOnly,
    /// The peer exceeded the rate limit for control frames.
    TooManyControlFrames,
    /// An operator ended the session. The user may log in again.
    Kicked,
    /// A message exceeded the size limit.
    MessageTooBig,
    /// The bytes received before the login exceeded their limit.
    LoginTooLarge,
    /// This side had an internal error.
    Internal,
    /// No frame arrived within the timeout after a Ping.
    KeepaliveTimeout,
    /// The service could not connect to its upstream, or not in time.
    UpstreamUnavailable,
    /// The connection of the service to its upstream failed.
    UpstreamLost,
    /// The upstream of the service reads too slowly, or not at all.
    UpstreamStalled,
    /// The peer reads too slowly, or not at all.
    SlowReader,
    /// The server holds too many bytes for all peers together, and this one holds them for long.
    BuffersFull,
    /// The service has as many sessions as it allows.
    ServiceFull,
    /// The failure budget of the peer's address is exhausted.
    TooManyFailures,
    /// The server is already verifying as many logins as it allows.
    TooManyLogins {
        /// The time after which the client should come back, in seconds.
        back_in: u16,
    },
    /// Too many login attempts failed on this connection.
    TooManyAttempts,
    /// The session's user was removed.
    UserRemoved,
    /// The session's password was changed.
    PasswordChanged,
    /// The session's account has expired.
    AccountExpired,
    /// An operator revoked the login.
    LoginRevoked,
    /// The route does not admit this user.
    Forbidden,
    /// The user's access to the route was revoked.
    AccessRevoked,
    /// The login was not complete by its deadline.
    LoginTimeout,
}

impl CloseReason {
    /// All reasons, for tests and tables. A time has an example value.
    pub const ALL: [Self; 31] = [
        Self::UserExit,
        Self::StreamEnded,
        Self::ShuttingDown { back_in: 7 },
        Self::Restarting { back_in: 7 },
        Self::Idle,
        Self::ProtocolError,
        Self::InvalidUtf8,
        Self::TextOnly,
        Self::BinaryOnly,
        Self::TooManyControlFrames,
        Self::Kicked,
        Self::MessageTooBig,
        Self::LoginTooLarge,
        Self::Internal,
        Self::KeepaliveTimeout,
        Self::UpstreamUnavailable,
        Self::UpstreamLost,
        Self::UpstreamStalled,
        Self::SlowReader,
        Self::BuffersFull,
        Self::ServiceFull,
        Self::TooManyFailures,
        Self::TooManyLogins { back_in: 7 },
        Self::TooManyAttempts,
        Self::UserRemoved,
        Self::PasswordChanged,
        Self::AccountExpired,
        Self::LoginRevoked,
        Self::Forbidden,
        Self::AccessRevoked,
        Self::LoginTimeout,
    ];

    /// Returns the code of the Close frame.
    pub fn code(self) -> CloseCode {
        CloseCode(match self {
            Self::UserExit | Self::StreamEnded => 1000,
            Self::ShuttingDown { .. } | Self::Idle => 1001,
            Self::Restarting { .. } => 1012,
            Self::ProtocolError => 1002,
            Self::TextOnly | Self::BinaryOnly => 1003,
            Self::InvalidUtf8 => 1007,
            Self::TooManyControlFrames | Self::Kicked => 1008,
            Self::MessageTooBig | Self::LoginTooLarge => 1009,
            Self::Internal
            | Self::KeepaliveTimeout
            | Self::UpstreamUnavailable
            | Self::UpstreamLost
            | Self::UpstreamStalled => 1011,
            Self::SlowReader
            | Self::BuffersFull
            | Self::ServiceFull
            | Self::TooManyFailures
            | Self::TooManyLogins { .. } => 1013,
            Self::TooManyAttempts
            | Self::UserRemoved
            | Self::PasswordChanged
            | Self::AccountExpired
            | Self::LoginRevoked => 3000,
            Self::Forbidden | Self::AccessRevoked => 3003,
            Self::LoginTimeout => 3008,
        })
    }

    /// Returns the reason text of the Close frame. A client may look for `back in 7 s` at its end.
    pub fn text(self) -> Cow<'static, str> {
        let (text, back_in) = self.parts();
        match back_in {
            Some(seconds) => format!("{text}, back in {seconds} s").into(),
            None => text.into(),
        }
    }

    /// Returns the text, and the time after which the client should come back.
    fn parts(self) -> (&'static str, Option<u16>) {
        let back_in = match self {
            Self::ShuttingDown { back_in }
            | Self::Restarting { back_in }
            | Self::TooManyLogins { back_in } => Some(back_in),
            Self::UserExit
            | Self::StreamEnded
            | Self::Idle
            | Self::ProtocolError
            | Self::InvalidUtf8
            | Self::TextOnly
            | Self::BinaryOnly
            | Self::TooManyControlFrames
            | Self::Kicked
            | Self::MessageTooBig
            | Self::LoginTooLarge
            | Self::Internal
            | Self::KeepaliveTimeout
            | Self::UpstreamUnavailable
            | Self::UpstreamLost
            | Self::UpstreamStalled
            | Self::SlowReader
            | Self::BuffersFull
            | Self::ServiceFull
            | Self::TooManyFailures
            | Self::TooManyAttempts
            | Self::UserRemoved
            | Self::PasswordChanged
            | Self::AccountExpired
            | Self::LoginRevoked
            | Self::Forbidden
            | Self::AccessRevoked
            | Self::LoginTimeout => None,
        };
        let text = match self {
            Self::UserExit => "user exit",
            Self::StreamEnded => "end of stream",
            Self::ShuttingDown { .. } => "server is shutting down",
            Self::Restarting { .. } => "server is restarting",
            Self::Idle => "idle",
            Self::ProtocolError => "protocol error",
            Self::InvalidUtf8 => "text is not UTF-8",
            Self::TextOnly => "this service takes text messages",
            Self::BinaryOnly => "this service takes binary messages",
            Self::TooManyControlFrames => "too many control frames",
            Self::Kicked => "disconnected by an operator",
            Self::MessageTooBig => "message too big",
            Self::LoginTooLarge => "too many bytes before the login",
            Self::Internal => "internal error",
            Self::KeepaliveTimeout => "keepalive timeout",
            Self::UpstreamUnavailable => "upstream unavailable",
            Self::UpstreamLost => "upstream connection lost",
            Self::UpstreamStalled => "upstream too slow",
            Self::SlowReader => "reader too slow",
            Self::BuffersFull => "too many bytes buffered",
            Self::ServiceFull => "service is full, try again later",
            Self::TooManyFailures => "too many wrong logins from this address",
            Self::TooManyLogins { .. } => "too many logins at once",
            Self::TooManyAttempts => "too many wrong logins",
            Self::UserRemoved => "login revoked: the user was removed",
            Self::PasswordChanged => "login revoked: the password was changed",
            Self::AccountExpired => "login revoked: the account has expired",
            Self::LoginRevoked => "login revoked: by an operator",
            Self::Forbidden => "this user has no access to this route",
            Self::AccessRevoked => "access to this route was revoked",
            Self::LoginTimeout => "login timeout",
        };
        (text, back_in)
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
        f.write_str(&self.text())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{CloseCode, CloseReason, MEANINGS, Retry};

    #[test]
    fn close_codes_unique_in_table() {
        let codes: HashSet<_> = MEANINGS.iter().map(|meaning| meaning.code).collect();
        assert_eq!(codes.len(), MEANINGS.len());
    }

    #[test]
    fn close_reasons_valid_in_close_frame() {
        for reason in CloseReason::ALL {
            let code = reason.code();
            assert!(code.meaning().is_some(), "{reason:?}");
            assert!(!matches!(code.0, 1004..=1006 | 1014 | 1015), "{reason:?}");
            assert!(reason.text().len() <= 123, "{reason:?}");
        }
        let distinct: HashSet<_> = CloseReason::ALL.map(CloseReason::text).into();
        assert_eq!(distinct.len(), CloseReason::ALL.len());
    }

    #[test]
    fn reason_names_time_to_come_back() {
        for (reason, text) in [
            (
                CloseReason::ShuttingDown { back_in: 7 },
                "server is shutting down, back in 7 s",
            ),
            (
                CloseReason::Restarting { back_in: u16::MAX },
                "server is restarting, back in 65535 s",
            ),
            (
                CloseReason::TooManyLogins { back_in: 1 },
                "too many logins at once, back in 1 s",
            ),
            (CloseReason::Idle, "idle"),
        ] {
            assert_eq!(reason.text(), text);
            assert_eq!(reason.to_string(), text);
        }
    }

    #[test]
    fn close_codes_map_to_retry_policy() {
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
    fn codes_outside_table_described_by_range() {
        assert_eq!(CloseCode(3500).description(), "registered application code");
        assert_eq!(CloseCode(4242).description(), "private application code");
        assert_eq!(CloseCode(17).description(), "unknown close code");
    }
}
