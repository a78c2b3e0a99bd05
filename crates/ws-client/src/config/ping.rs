//! The times of pings.

use std::{str::FromStr, time::Duration};

use proto::config::TimeSpan;

use super::goal::Goal;
use crate::{console::Mode, time_argument::TimeArgument};

/// The default of both times, where pings are on.
const DEFAULT: Duration = Duration::from_secs(20);

/// The times of pings and their answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PingTimes {
    /// The silence after which a ping is sent.
    pub interval: Duration,
    /// The time after a ping in which anything must arrive.
    pub timeout: Duration,
}

/// The value of `--ping-interval`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PingInterval {
    /// A ping is sent after this silence.
    After(TimeSpan),
    /// No ping is sent.
    Off,
}

impl FromStr for PingInterval {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            Ok(Self::Off)
        } else {
            text.parse().map(|TimeArgument(span)| Self::After(span))
        }
    }
}

impl PingTimes {
    /// Returns the times, if pings are on. By default they are where a session may last for hours: at
    /// a terminal, and with `--linger forever`.
    pub(super) fn new(
        interval: Option<PingInterval>,
        timeout: Option<TimeSpan>,
        mode: Mode,
        goal: Goal,
    ) -> Option<Self> {
        let interval = match (interval, mode, goal) {
            (Some(PingInterval::After(span)), ..) => span.0,
            (None, Mode::Interactive, _) | (None, _, Goal::Stay) => DEFAULT,
            (Some(PingInterval::Off), ..)
            | (None, Mode::Pipe, Goal::AllAnswered(_) | Goal::Count(_)) => return None,
        };
        Some(Self {
            interval,
            timeout: timeout.map_or(DEFAULT, |span| span.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proto::config::TimeSpan;

    use super::{PingInterval, PingTimes};
    use crate::{config::Goal, console::Mode};

    #[test]
    fn pings_are_on_where_a_session_may_last() {
        let usual = PingTimes {
            interval: Duration::from_secs(20),
            timeout: Duration::from_secs(20),
        };
        let ends = Goal::default();
        for (interval, mode, goal, times) in [
            (None, Mode::Interactive, ends, Some(usual)),
            (None, Mode::Pipe, Goal::Stay, Some(usual)),
            (None, Mode::Pipe, ends, None),
            (Some("off"), Mode::Interactive, ends, None),
            (Some("off"), Mode::Pipe, Goal::Stay, None),
            (Some("20"), Mode::Pipe, ends, Some(usual)),
        ] {
            let interval = interval.map(|text| text.parse().unwrap());
            assert_eq!(PingTimes::new(interval, None, mode, goal), times);
        }
        let timeout = Some(TimeSpan(Duration::from_secs(3)));
        let interval = Some(PingInterval::After(TimeSpan(Duration::from_secs(2))));
        let times = PingTimes::new(interval, timeout, Mode::Pipe, ends).unwrap();
        assert_eq!(times.timeout, Duration::from_secs(3));
        assert_eq!(times.interval, Duration::from_secs(2));
        assert!("0".parse::<PingInterval>().is_err());
    }
}
