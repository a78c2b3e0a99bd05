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
    (reason.code().0, reason.text().to_owned())
}

/// Returns the stderr of a client after a successful login and `exit`.
pub fn welcome_and_goodbye() -> String {
    format!("{}\n{GOODBYE}\n", CONGRATULATION.replace("\r\n", "\n"))
}
