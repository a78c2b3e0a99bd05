//! The exit codes, which scripts rely on.

use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All went well.
    Ok = 0,
    /// Something failed that has no code of its own.
    Failure = 1,
    /// The arguments, the configuration or the input cannot be used.
    Usage = 2,
    /// The login was refused, or the input ended before it succeeded.
    LoginRefused = 3,
    /// No connection came about.
    Unreachable = 4,
    /// There is no TLS with the server, or its certificate is not right.
    Tls = 5,
    /// The server's answer is not a WebSocket handshake, or a wrong one.
    HandshakeRefused = 6,
    /// The server kept silent for too long.
    TimedOut = 7,
    /// The connection was lost, or closed for an error.
    Closed = 8,
    /// Ctrl-C, or a signal that asks to end.
    Interrupted = 130,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn numbers_are_the_pinned_ones() {
        let numbers = [
            Exit::Ok,
            Exit::Failure,
            Exit::Usage,
            Exit::LoginRefused,
            Exit::Unreachable,
            Exit::Tls,
            Exit::HandshakeRefused,
            Exit::TimedOut,
            Exit::Closed,
            Exit::Interrupted,
        ]
        .map(Exit::code);
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 130]);
    }
}
