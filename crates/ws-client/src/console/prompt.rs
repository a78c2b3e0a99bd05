//! The words of the dialogue with a person. Each exact text stands here and nowhere else; what the
//! server answers is in [`proto::message`].

use std::borrow::Cow;

use proto::username::UserName;

/// What is said to somebody who typed `exit`.
pub(crate) const GOODBYE: &str = "you have enter \"exit\", goodbye";

/// What a line is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Prompt {
    /// A line `username:password`.
    Credentials,
    /// The password of a user whose name is known.
    Password(UserName),
    /// A message.
    Context,
}

/// Which part of a typed line nobody may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mask {
    /// Everything is shown.
    Nothing,
    /// What follows the first `:` is hidden.
    AfterColon,
    /// Everything is hidden.
    Everything,
}

impl Prompt {
    /// The text of the prompt. It ends with a space, and what is typed follows at once.
    pub(crate) fn text(&self) -> Cow<'static, str> {
        match self {
            Self::Credentials => "please enter your username and password: ".into(),
            Self::Password(name) => format!("password for {name}: ").into(),
            Self::Context => "please enter your context: ".into(),
        }
    }

    /// What is hidden of the answer.
    pub(crate) fn mask(&self) -> Mask {
        match self {
            Self::Credentials => Mask::AfterColon,
            Self::Password(_) => Mask::Everything,
            Self::Context => Mask::Nothing,
        }
    }
}

impl Mask {
    /// Whether the typed line holds a secret.
    pub(crate) fn hides(self) -> bool {
        match self {
            Self::Nothing => false,
            Self::AfterColon | Self::Everything => true,
        }
    }

    /// The line as it may be shown. It has the length of the line in bytes, because the editor
    /// cuts the shown text at the byte where the cursor stands in the typed one.
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

    use super::{GOODBYE, Mask, Prompt};
    use proto::username::UserName;

    #[test]
    fn texts_are_the_pinned_ones() {
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
    fn hides_what_follows_the_first_colon() {
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
    fn hides_all_of_a_password_and_nothing_of_a_message() {
        assert_eq!(Mask::Everything.apply("a:b"), "***");
        assert_eq!(Mask::Nothing.apply("a:b"), "a:b");
    }

    proptest! {
        #[test]
        fn what_is_shown_has_the_length_of_the_line(line in any::<String>()) {
            for mask in [Mask::Nothing, Mask::AfterColon, Mask::Everything] {
                prop_assert_eq!(mask.apply(&line).len(), line.len());
            }
        }
    }
}
