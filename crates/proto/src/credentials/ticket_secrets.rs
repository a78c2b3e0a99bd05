//! The secrets that the keys of tickets are derived from, and their file.

use std::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// The least number of hexadecimal digits of a secret: 32 bytes, as many as its MAC has.
const MIN_DIGITS: usize = 64;

/// The greatest number of hexadecimal digits of a secret.
const MAX_DIGITS: usize = 1024;

/// The secrets of tickets: one, and a second one while it is replaced. Its `Debug` shows none.
pub struct TicketSecrets {
    /// The secret of new tickets.
    current: Zeroizing<Vec<u8>>,
    /// Another secret whose tickets are accepted.
    other: Option<Zeroizing<Vec<u8>>>,
}

impl TicketSecrets {
    /// Creates the secrets of a process from random bytes. Tickets end with the process.
    pub fn of_process(random: [u8; 32]) -> Self {
        Self {
            current: Zeroizing::new(random.to_vec()),
            other: None,
        }
    }

    /// Parses the text of a file: one line of at least 64 hexadecimal digits, and optionally a second
    /// one. The first is the secret of new tickets. Tickets of both are accepted.
    ///
    /// # Errors
    ///
    /// No line, more than two, or a line of another form. The error quotes nothing.
    pub fn parse(text: &str) -> Result<Self, TicketSecretsError> {
        let mut lines = text.lines();
        let first = lines.next().ok_or(TicketSecretsError::Lines)?;
        let second = lines.next();
        if lines.next().is_some() {
            return Err(TicketSecretsError::Lines);
        }
        let parse = |number, line| secret(line).ok_or(TicketSecretsError::Form { number });
        Ok(Self {
            current: parse(1, first)?,
            other: second.map(|line| parse(2, line)).transpose()?,
        })
    }

    /// Returns the secret of new tickets.
    pub(super) fn current(&self) -> &[u8] {
        &self.current
    }

    /// Returns the secrets whose tickets are accepted.
    pub(super) fn accepted(&self) -> impl Iterator<Item = &[u8]> {
        let accepted = std::iter::once(&self.current).chain(&self.other);
        accepted.map(|secret| secret.as_slice())
    }
}

impl PartialEq for TicketSecrets {
    /// Compares in constant time.
    fn eq(&self, other: &Self) -> bool {
        let is_same = |ours: &[u8], other: &[u8]| bool::from(ours.ct_eq(other));
        is_same(&self.current, &other.current)
            && match (&self.other, &other.other) {
                (Some(ours), Some(other)) => is_same(ours, other),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            }
    }
}

impl fmt::Debug for TicketSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketSecrets(***)")
    }
}

/// Decodes a line of hexadecimal digits.
fn secret(line: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits = line.as_bytes();
    if !(MIN_DIGITS..=MAX_DIGITS).contains(&digits.len()) || !digits.len().is_multiple_of(2) {
        return None;
    }
    let mut secret = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    for pair in digits.chunks_exact(2) {
        let mut byte = 0;
        for digit in pair {
            let value = char::from(*digit).to_digit(16)?;
            byte = byte * 16 + u8::try_from(value).ok()?;
        }
        secret.push(byte);
    }
    Some(secret)
}

/// A malformed file of ticket secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TicketSecretsError {
    /// The file has no line, or more than two.
    #[error("write one secret, or two while it is replaced, each on a line of its own")]
    Lines,
    /// A line is not a secret.
    #[error(
        "line {number}: a secret has {MIN_DIGITS} to {MAX_DIGITS} hexadecimal digits, an even number; \
         `ws-server new-secret` prints one"
    )]
    Form {
        /// The number of the line.
        number: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::{TicketSecrets, TicketSecretsError};

    #[test]
    fn file_of_one_or_two_secrets_accepted() {
        let (first, second) = ("00ff".repeat(16), "aB".repeat(40));
        let one = TicketSecrets::parse(&first).unwrap();
        assert_eq!(one.current(), [0, 0xff].repeat(16));
        assert_eq!(one.accepted().count(), 1);
        for end in ["", "\n", "\r\n"] {
            let text = format!("{first}\r\n{second}{end}");
            let two = TicketSecrets::parse(&text).unwrap();
            let accepted: Vec<_> = two.accepted().map(<[u8]>::to_vec).collect();
            assert_eq!(accepted, [[0, 0xff].repeat(16), vec![0xab; 40]]);
            assert_eq!(two.current(), accepted[0]);
            assert!(two != one && two == TicketSecrets::parse(&text).unwrap());
        }
    }

    #[test]
    fn malformed_file_refused() {
        let secret = "0f".repeat(32);
        let form = |number| TicketSecretsError::Form { number };
        for (text, error) in [
            (String::new(), TicketSecretsError::Lines),
            ("\n".to_owned(), form(1)),
            (secret[1..].to_owned(), form(1)),
            (secret[2..].to_owned(), form(1)),
            (format!("{secret}0"), form(1)),
            (format!(" {secret}"), form(1)),
            (secret.replacen('f', "g", 1), form(1)),
            (secret.replacen("f0", "+1", 1), form(1)),
            (secret.repeat(17), form(1)),
            (format!("{secret}\n\n"), form(2)),
            (format!("{secret}\nabc\n"), form(2)),
            (
                format!("{secret}\n{secret}\n{secret}"),
                TicketSecretsError::Lines,
            ),
        ] {
            let read = TicketSecrets::parse(&text);
            assert_eq!(read.unwrap_err(), error, "{text:?}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let secrets = TicketSecrets::of_process([7; 32]);
        assert_eq!(format!("{secrets:?}"), "TicketSecrets(***)");
    }
}
