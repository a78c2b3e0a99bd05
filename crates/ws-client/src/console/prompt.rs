//! The texts of the dialogue with a person, each defined only here. The server's texts are in
//! [`proto::message`].

use std::borrow::Cow;

use proto::{login::LoginPolicy, username::UserName};

/// The text after `exit` was entered.
pub(crate) const GOODBYE: &str = "you have enter \"exit\", goodbye";

/// A request for a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Prompt {
    /// A line `username:password`.
    Credentials,
    /// The password of a user whose name is known.
    Password(UserName),
    /// A message.
    Context,
}

/// The part of a typed line that is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mask {
    /// Everything is shown.
    Nothing,
    /// Everything behind the first `:` is hidden.
    AfterColon,
    /// Everything is hidden.
    Everything,
}

impl Prompt {
    /// Returns the text of the prompt. The input follows its trailing space.
    pub(crate) fn text(&self) -> Cow<'static, str> {
        match self {
            Self::Credentials => "please enter your username and password: ".into(),
            Self::Password(name) => format!("password for {name}: ").into(),
            Self::Context => "please enter your context: ".into(),
        }
    }

    /// Returns the mask for the input at this prompt.
    pub(crate) fn mask(&self) -> Mask {
        match self {
            Self::Credentials => Mask::AfterColon,
            Self::Password(_) => Mask::Everything,
            Self::Context => Mask::Nothing,
        }
    }
}

/// Returns the line above the first prompt for credentials. A server does not tell its limits. So
/// for `login`, the line has the limits of ws-server.
pub(crate) fn credentials_hint(login: TypedLogin) -> String {
    let format = "enter username:password";
    match login {
        TypedLogin::Message => {
            let LoginPolicy {
                deadline,
                max_attempts,
            } = LoginPolicy::DEFAULT;
            let seconds = deadline.as_secs();
            format!("{format} (default of ws-server: {max_attempts} attempts in {seconds} s)")
        }
        TypedLogin::Handshake => format.to_owned(),
    }
}

/// The way in which typed credentials are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TypedLogin {
    /// As a message on the open connection, which the server closes after too many attempts or at a
    /// deadline.
    Message,
    /// In the opening handshake. No connection is open while a person types.
    Handshake,
}

impl Mask {
    /// Returns true if the typed line holds a secret.
    pub(crate) fn hides(self) -> bool {
        match self {
            Self::Nothing => false,
            Self::AfterColon | Self::Everything => true,
        }
    }

    /// Masks a line for display. The result has the same length in bytes, because the editor cuts
    /// it at the cursor's byte offset.
    pub(crate) fn apply(self, line: &str) -> String {
        let visible = match self {
            Self::Nothing => line.len(),
            Self::AfterColon => line.find(':').map_or(line.len(), |colon| colon + 1),
            Self::Everything => 0,
        };
        let (visible, hidden) = line.split_at(visible);
        let mut shown = String::with_capacity(line.len());
        shown.push_str(visible);
        shown.extend(std::iter::repeat_n('*', hidden.len()));
        shown
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{GOODBYE, Mask, Prompt, TypedLogin, credentials_hint};
    use proto::username::UserName;

    #[test]
    fn prompt_texts_are_pinned() {
        assert_eq!(GOODBYE, "you have enter \"exit\", goodbye");
        for (prompt, text) in [
            (
                Prompt::Credentials,
                "please enter your username and password: ",
            ),
            (
                Prompt::Password(UserName::parse("jane").unwrap()),
                "password for jane: ",
            ),
            (Prompt::Context, "please enter your context: "),
        ] {
            assert_eq!(prompt.text(), text);
        }
    }

    #[test]
    fn hint_names_format_deadline_and_attempts() {
        assert_eq!(
            credentials_hint(TypedLogin::Message),
            "enter username:password (default of ws-server: 6 attempts in 30 s)"
        );
        assert_eq!(
            credentials_hint(TypedLogin::Handshake),
            "enter username:password"
        );
    }

    #[test]
    fn credentials_are_hidden_behind_first_colon() {
        for (line, shown) in [
            ("admin", "admin"),
            ("admin:", "admin:"),
            ("admin:123456", "admin:******"),
            ("admin:a:b", "admin:***"),
            (":x", ":*"),
            ("admin:ü", "admin:**"),
            ("admin:12\nhello", "admin:********"),
        ] {
            assert_eq!(Mask::AfterColon.apply(line), shown);
        }
    }

    #[test]
    fn password_is_hidden_and_message_is_shown() {
        assert_eq!(Mask::Everything.apply("a:b"), "***");
        assert_eq!(Mask::Nothing.apply("a:b"), "a:b");
    }

    proptest! {
        #[test]
        fn masked_line_keeps_its_length(line in any::<String>()) {
            for mask in [Mask::Nothing, Mask::AfterColon, Mask::Everything] {
                prop_assert_eq!(mask.apply(&line).len(), line.len());
            }
        }
    }
}
