//! When a server that refuses for now is to be tried again (`Retry-After`, RFC 9110 section
//! 10.2.3).

use std::{fmt, time::Duration};

use proto::escape::Escaped;

/// The longest moment that is shown. A date of HTTP has 29 characters.
const MAX_DATE_CHARS: usize = 40;

/// When to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryAfter {
    /// The server does not say, or not in words of HTTP.
    Unspecified,
    /// After so long.
    Delay(Duration),
    /// After a moment, in the server's own words.
    Date(String),
}

impl RetryAfter {
    /// Reads the values of the fields, of which there should be one.
    pub fn read(values: &[String]) -> Self {
        match values {
            [] => Self::Unspecified,
            [first, ..] => match first.trim().parse() {
                Ok(seconds) => Self::Delay(Duration::from_secs(seconds)),
                // Every date of HTTP is written so.
                Err(_) if first.trim().ends_with(" GMT") => Self::Date(first.trim().to_owned()),
                Err(_) => Self::Unspecified,
            },
        }
    }
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unspecified => f.write_str("try again later"),
            Self::Delay(span) => write!(f, "try again in {span:?}"),
            Self::Date(moment) => {
                let short: String = moment.chars().take(MAX_DATE_CHARS).collect();
                write!(f, "try again after {}", Escaped(&short))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RetryAfter;

    #[test]
    fn says_when_to_try_again() {
        let long = "x".repeat(100) + " GMT";
        let short = format!("try again after {}", &long[..40]);
        for (values, said) in [
            (&[][..], "try again later"),
            (&[""], "try again later"),
            (&["3"], "try again in 3s"),
            (&[" 120 ", "7"], "try again in 120s"),
            (
                &["Wed, 25 Nov 2026 16:30:00 GMT"],
                "try again after Wed, 25 Nov 2026 16:30:00 GMT",
            ),
            (&["-1"], "try again later"),
            (&["soon"], "try again later"),
            (&["a\x1b[2J GMT"], "try again after a\\u{1b}[2J GMT"),
            (&["99999999999999999999"], "try again later"),
            (&[long.as_str()], short.as_str()),
        ] {
            let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
            assert_eq!(RetryAfter::read(&values).to_string(), said, "{values:?}");
        }
    }
}
