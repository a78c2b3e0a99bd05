//! The texts that users see and that more than one test expects.
//!
//! The README's dialogue and the unit tests of the crates pin them. A test that is about something else
//! takes them from here, so that a changed text is changed in few places.

use std::fmt::Display;

use proto::close::CloseReason;

pub use proto::message::{CONGRATULATION, SORRY};

/// The prefix of an echo, by default.
pub const PREFIX: &str = "your submit context: ";

/// The prompt of the client for credentials.
pub const CREDENTIALS_PROMPT: &str = "please enter your username and password: ";

/// The prompt of the client for messages.
pub const MESSAGE_PROMPT: &str = "please enter your context: ";

/// The client's answer to `exit`.
pub const GOODBYE: &str = "you have enter \"exit\", goodbye";

/// Returns the echo of a text.
pub fn echoed(text: impl Display) -> String {
    format!("{PREFIX}{text}")
}

/// Returns the echoes of texts, a line each.
pub fn echoed_lines<T: Display>(texts: impl IntoIterator<Item = T>) -> String {
    let lines = texts.into_iter().map(|text| echoed(text) + "\n");
    lines.collect()
}

/// Returns the code and the text of the Close frame for a reason.
pub fn close_frame_of(reason: CloseReason) -> (u16, String) {
    (reason.code().0, reason.text().to_owned())
}

/// Returns what a client that has said nothing wrong prints on stderr: the congratulation and its answer to
/// `exit`.
pub fn welcome_and_goodbye() -> String {
    format!("{}\n{GOODBYE}\n", CONGRATULATION.replace("\r\n", "\n"))
}
