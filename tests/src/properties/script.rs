//! A reader of bytes as the events of a login.

use std::time::Duration;

use proto::secret::Secret;

/// A reader of a script. After the last byte nothing more happens.
pub(super) struct ScriptReader<'a> {
    rest: &'a [u8],
}

/// A message of a client.
pub(super) enum Message {
    Text(String),
    Binary,
}

impl<'a> ScriptReader<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// Returns whether the script has ended.
    pub(super) fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns the next byte, or zero at the end.
    pub(super) fn byte(&mut self) -> u8 {
        match self.rest {
            [first, rest @ ..] => {
                self.rest = rest;
                *first
            }
            [] => 0,
        }
    }

    /// Returns the next pause: mostly zero, at most half a minute.
    pub(super) fn pause(&mut self) -> Duration {
        match self.byte() {
            0..=191 => Duration::ZERO,
            byte => Duration::from_millis(u64::from(byte - 191).pow(2) * 7),
        }
    }

    /// Returns a number from 0 to 1.
    pub(super) fn chance(&mut self) -> f64 {
        f64::from(self.byte()) / 255.0
    }

    /// Returns the next message, or `None` at the end.
    pub(super) fn message(&mut self) -> Option<Message> {
        if self.is_over() {
            return None;
        }
        Some(match self.byte() % 8 {
            0 => Message::Binary,
            kind => Message::Text(self.line_of(kind)),
        })
    }

    /// Returns the next line of input.
    pub(super) fn line(&mut self) -> Secret {
        let kind = self.byte() % 8;
        Secret::new(self.line_of(kind))
    }

    fn line_of(&mut self, kind: u8) -> String {
        match kind {
            0 | 1 => "admin:wrong".to_owned(),
            2 => "admin:123456".to_owned(),
            3 => "jane:with:colon".to_owned(),
            4 => "jane:123456".to_owned(),
            5 => "x".repeat(4 * usize::from(self.byte())) + ":y",
            _ => {
                let len = usize::from(self.byte() % 32).min(self.rest.len());
                let (text, rest) = self.rest.split_at(len);
                self.rest = rest;
                String::from_utf8_lossy(text).into_owned()
            }
        }
    }
}

/// Returns scripts that reach each ending: 30 s and 6 attempts, then one or two bytes for each
/// event.
pub(super) fn examples() -> Vec<(&'static str, Vec<u8>)> {
    let wrong = [0, 0, 1, 9, 0, 0, 0];
    let long = [b"\x1d\x05\0\0\x05\xff".to_vec(), wrong.to_vec()].concat();
    vec![
        ("right_at_once", b"\x1d\x05\0\0\x02\0\0\0\0\0".to_vec()),
        ("right_with_a_colon", b"\x1d\x05\0\0\x03\0\0\0\0\0".to_vec()),
        (
            "wrong_then_right",
            [b"\x1d\x05\0\0".as_slice(), &wrong, b"\x02\0\0\0\0"].concat(),
        ),
        (
            "too_many_wrong_ones",
            [b"\x1d\x05".as_slice(), &wrong.repeat(8)].concat(),
        ),
        ("binary", b"\x1d\x01\0\0\x08\0\0\0\x08\0\0\0".to_vec()),
        ("late", b"\0\x05\0\xff\xff\0\x02\xff\0\0\0".to_vec()),
        ("late_verdict", b"\0\x05\0\0\x02\0\xff\xff\0".to_vec()),
        ("too_long", long),
        (
            "a_line_of_its_own",
            b"\x1d\x05\x01\x02\x06\x0dadmin:123456\0\0\x07\x05a\xffb:c\0\0".to_vec(),
        ),
    ]
}
