//! The `Retry-After` field (RFC 9110 section 10.2.3) of a server that refuses temporarily.

use std::{fmt, time::Duration};

use proto::escape::Escaped;

/// The number of characters of a date that are shown. An HTTP date has 29.
const MAX_DATE_CHARS: usize = 40;

/// The time after which to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryAfter {
    /// The field is missing or malformed.
    Unspecified,
    /// After a delay.
    Delay(Duration),
    /// After an HTTP date, as the server wrote it.
    Date(String),
}

impl RetryAfter {
    /// Parses the field values, of which only the first counts.
    pub fn read(values: &[String]) -> Self {
        match values {
            [] => Self::Unspecified,
            [first, ..] => match first.trim().parse() {
                Ok(seconds) => Self::Delay(Duration::from_secs(seconds)),
                // A generated HTTP date ends in GMT (RFC 9110 section 5.6.7).
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
    fn delay_and_date_are_shown() {
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
