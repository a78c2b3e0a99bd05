//! Times on the command line.

use std::{str::FromStr, time::Duration};

use proto::config::TimeSpan;

/// A time on the command line: a number of seconds, or a time span with units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeArgument(pub TimeSpan);

impl FromStr for TimeArgument {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_number = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let seconds = text.parse().ok().filter(|_| is_number);
        let span = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        match span {
            // The checks of a time span with units apply.
            Some(span) => format!("{}ns", span.as_nanos()).parse(),
            None => text.parse(),
        }
        .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proto::config::TimeSpan;

    use super::TimeArgument;

    #[test]
    fn bare_number_is_seconds() {
        for (text, span) in [
            ("10", Duration::from_secs(10)),
            ("0.5", Duration::from_millis(500)),
            ("500ms", Duration::from_millis(500)),
            ("1m 30s", Duration::from_secs(90)),
        ] {
            assert_eq!(text.parse(), Ok(TimeArgument(TimeSpan(span))), "{text}");
        }
        for text in [
            "",
            "0",
            "0.0",
            "-1",
            "1e3",
            ".",
            "inf",
            "NaN",
            "99999999999",
        ] {
            assert!(text.parse::<TimeArgument>().is_err(), "{text}");
        }
    }
}
