//! The exit codes, on which scripts rely.

use std::process::ExitCode;

/// The result of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Success.
    Ok = 0,
    /// A failure without a code of its own.
    Failure = 1,
    /// The arguments, the configuration or the input are invalid.
    Usage = 2,
    /// The login was refused, or the input ended before it succeeded.
    LoginRefused = 3,
    /// No connection could be opened.
    Unreachable = 4,
    /// TLS failed, or the certificate is invalid.
    Tls = 5,
    /// The response is no valid opening handshake of a WebSocket.
    HandshakeRefused = 6,
    /// The server did not respond in time.
    TimedOut = 7,
    /// The connection was lost, or closed with an error.
    Closed = 8,
    /// An expectation failed: fewer messages arrived than were asked for.
    Unmet = 9,
    /// Ctrl-C was pressed, or a signal arrived.
    Interrupted = 130,
}

impl Exit {
    /// Returns the exit code as a number.
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
    fn exit_codes_are_pinned() {
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
            Exit::Unmet,
            Exit::Interrupted,
        ]
        .map(Exit::code);
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130]);
    }
}
