//! Texts that users see and several tests assert.
//!
//! Unit tests of the crates and the README's dialogue pin them. Other tests use these constants, so
//! that a changed text needs few edits.

use std::fmt::Display;

use proto::close::CloseReason;

pub use proto::message::{CONGRATULATION, SORRY};

/// The default prefix of an echo.
pub const PREFIX: &str = "your submit context: ";

/// The client's prompt for credentials.
pub const CREDENTIALS_PROMPT: &str = "please enter your username and password: ";

/// The client's prompt for messages.
pub const MESSAGE_PROMPT: &str = "please enter your context: ";

/// The client's answer to `exit`.
pub const GOODBYE: &str = "you have enter \"exit\", goodbye";

/// The client's message for a 401.
pub const CREDENTIALS_REFUSED: &str = "it refuses the credentials";

/// The client's advice for a 401 without credentials.
pub const AUTH_BASIC_HINT: &str = "ws-client --auth basic sends them";

/// The client's message for a connection that ended without a Close frame.
pub const CONNECTION_LOST: &str = "the connection was lost";

/// The server's log message for a new session.
pub const SESSION_OPENED: &str = "session opened";

/// The end of that log line for the development account without a route.
pub const ADMIN_SESSION: &str = " user=admin path=/";

/// The server's log message for the end of a session.
pub const SESSION_ENDED: &str = "session ended";

/// The fields of that log line for [`CloseReason::UserExit`].
pub const CLOSED_BY_USER_EXIT: &str = "cause=closed by the peer: user exit code=1000";

/// The server's log message for a failed login.
pub const LOGIN_FAILED: &str = "login failed";

/// The audit event of a failed login.
pub const LOGIN_FAILED_EVENT: &str = "event=login_failed";

/// The server's log message for a refused handshake.
pub const HANDSHAKE_REFUSED: &str = "handshake refused";

/// The server's log message for a reload. Also part of [`NOT_RELOADED`].
pub const RELOADED: &str = "reloaded";

/// The start of the server's error for a failed reload.
pub const NOT_RELOADED: &str = "nothing was reloaded";

/// Part of the server's log message for changed keys that take effect after a restart.
pub const AFTER_RESTART: &str = "after a restart";

/// The server's log message at the start of a drain.
pub const DRAINING: &str = "ending all connections";

/// Returns the echo of a text.
pub fn echoed(text: impl Display) -> String {
    format!("{PREFIX}{text}")
}

/// Returns the echoes of texts, one per line.
pub fn echoed_lines<T: Display>(texts: impl IntoIterator<Item = T>) -> String {
    let lines = texts.into_iter().map(|text| echoed(text) + "\n");
    lines.collect()
}

/// Returns the code and the text of the Close frame for a reason.
pub fn close_frame_of(reason: CloseReason) -> (u16, String) {
    (reason.code().0, reason.text().into_owned())
}

/// Returns the stderr of a client after a successful login and `exit`.
pub fn welcome_and_goodbye() -> String {
    format!("{}\n{GOODBYE}\n", CONGRATULATION.replace("\r\n", "\n"))
}

/// Returns the output of `ws-server ctl revoke`.
pub fn revoked_message(user: &str, sessions: usize) -> String {
    format!(
        "logins of {user} revoked until the credential changes or `ctl allow`; {sessions} sessions \
         ended\na restart of the server forgets this: set login.revocations_file, or remove the \
         user from the credentials file\n"
    )
}

/// Returns the last line of `--check-config` for a credentials file with one user.
pub fn users_of_file(file: &str, user: &str) -> String {
    format!("{file} holds 1 user: {user} (passwords are not shown)\n")
}
