//! The value of `--linger`.

use std::str::FromStr;

use proto::config::TimeSpan;

use crate::time_argument::TimeArgument;

/// The value of `--linger`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linger {
    /// A silence of this length ends the session after the end of the input.
    For(TimeSpan),
    /// The end of the input does not end the session.
    Forever,
}

impl FromStr for Linger {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "forever" {
            Ok(Self::Forever)
        } else {
            text.parse().map(|TimeArgument(span)| Self::For(span))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proto::config::TimeSpan;

    use super::Linger;

    #[test]
    fn linger_is_a_time_or_forever() {
        let span = TimeSpan(Duration::from_secs(2));
        assert_eq!("2".parse(), Ok(Linger::For(span)));
        assert_eq!("forever".parse(), Ok(Linger::Forever));
        for text in ["", "0", "ever"] {
            assert!(text.parse::<Linger>().is_err(), "{text}");
        }
    }
}
