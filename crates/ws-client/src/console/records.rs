//! The form of messages in a pipe.

use std::fmt;

/// The form of messages in a pipe, in both directions.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Records {
    /// A text is a line. Binary messages are written as they came.
    #[default]
    Lines,
    /// Each message ends with NUL.
    Null,
    /// The input and the output are streams of bytes: what one read returns is one binary message, and
    /// messages are written as they came.
    Raw,
    /// A line of the input is a JSON object, which names an action. The output has lines.
    Json,
}

impl Records {
    /// Returns the byte at which a record of the input ends. The login of a raw stream is a line.
    pub(super) fn delimiter(self) -> u8 {
        match self {
            Self::Lines | Self::Raw | Self::Json => b'\n',
            Self::Null => 0,
        }
    }

    /// Returns the bytes that follow a text on stdout.
    pub(super) fn after_text(self) -> &'static [u8] {
        match self {
            Self::Lines | Self::Json => b"\n",
            Self::Null => b"\0",
            Self::Raw => b"",
        }
    }

    /// Returns the bytes that follow a binary message on stdout.
    pub(super) fn after_binary(self) -> &'static [u8] {
        match self {
            Self::Lines | Self::Raw | Self::Json => b"",
            Self::Null => b"\0",
        }
    }

    /// Returns the name of a piece of the input.
    pub(super) fn unit(self) -> Unit {
        match self {
            Self::Lines | Self::Raw | Self::Json => Unit::Line,
            Self::Null => Unit::Record,
        }
    }
}

/// The content of stdout.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// The messages.
    #[default]
    Messages,
    /// All events, as JSON objects.
    Events,
}

/// A piece of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Line,
    Record,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Line => "line",
            Self::Record => "record",
        })
    }
}
