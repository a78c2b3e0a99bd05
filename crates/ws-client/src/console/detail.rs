//! The detail of stderr.

use super::event::{Event, Notice};

/// The detail of stderr.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Prompts, warnings and errors (`--quiet`).
    Quiet,
    /// The texts of the login as well.
    #[default]
    Usual,
    /// The states of the connection as well (`--verbose`).
    Verbose,
}

impl Detail {
    /// Returns the words of an event for stderr, or `None` for one that is not shown there.
    pub(super) fn words(self, event: &Event<'_>) -> Option<String> {
        match (event, self) {
            (Event::Notice(notice), Self::Quiet) if is_optional(notice) => None,
            (Event::Notice(notice), _) => Some(notice.words()),
            (event, Self::Verbose) => event.state().map(|state| format!("ws-client: {state}")),
            (_, Self::Quiet | Self::Usual) => None,
        }
    }
}

/// Returns true for a notice that reports no fault.
fn is_optional(notice: &Notice<'_>) -> bool {
    matches!(
        notice,
        Notice::CredentialsWanted(_)
            | Notice::LoginMessage(_)
            | Notice::Goodbye
            | Notice::NoSubprotocol(_)
    )
}

#[cfg(test)]
mod tests {
    use proto::close::CloseCode;

    use super::Detail;
    use crate::{
        console::{Event, Notice, Side},
        exit::Exit,
        websocket::{CloseFrame, Payload},
    };

    #[test]
    fn state_is_shown_if_verbose() {
        let frame = CloseFrame {
            code: CloseCode(1000),
            reason: "a\u{1b}".to_owned(),
        };
        let by = Side::Server;
        for (event, words) in [
            (Event::Connecting, "connecting"),
            (Event::Opened { url: "ws://h/" }, "connected to ws://h/"),
            (Event::LoggedIn { user: Some("jane") }, "logged in as jane"),
            (Event::LoggedIn { user: None }, "the session begins"),
            (
                Event::Message(Payload::Text("ab")),
                "received a text, 2 bytes",
            ),
            (
                Event::Sent(Payload::Binary(b"a")),
                "sent a binary message, 1 byte",
            ),
            (Event::Pong(b""), "received a pong, 0 bytes"),
            (Event::Closing, "closing"),
            (
                Event::Closed { frame: &frame, by },
                "the server sent Close 1000 \"a\\u{1b}\"",
            ),
            (Event::End(Exit::Closed), "exit code 8"),
        ] {
            let shown = Detail::Verbose.words(&event);
            assert_eq!(shown, Some(format!("ws-client: {words}")));
            assert_eq!(Detail::Usual.words(&event), None);
            assert_eq!(Detail::Quiet.words(&event), None);
        }
    }

    #[test]
    fn quiet_keeps_warnings_and_errors() {
        for (notice, is_kept) in [
            (Notice::Goodbye, false),
            (Notice::LoginMessage(Payload::Text("sorry")), false),
            (Notice::Text("warning: x"), true),
            (Notice::LoginRefused, true),
        ] {
            let event = Event::Notice(notice);
            assert_eq!(Detail::Quiet.words(&event).is_some(), is_kept);
            assert!(Detail::Usual.words(&event).is_some());
        }
    }
}
