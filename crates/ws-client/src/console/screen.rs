//! The screen on which messages are shown: how wide it is, and when and where that is.

use std::{io::stdout, os::fd::AsFd};

use chrono::{DateTime, Local, TimeZone};
use rustix::termios::tcgetwinsize;

/// The width that is assumed of a terminal that does not know its own.
const USUAL_COLUMNS: u16 = 80;

/// What a screen is like at this moment.
#[derive(Debug)]
pub(crate) struct Screen<Z: TimeZone> {
    /// The time, in the zone of whoever sits before it.
    pub(crate) now: DateTime<Z>,
    /// How many columns it has.
    pub(crate) columns: u16,
}

impl Screen<Local> {
    /// The screen behind stdout.
    pub(crate) fn here() -> Self {
        Self {
            now: Local::now(),
            columns: columns(stdout()),
        }
    }
}

/// How many columns a terminal has.
pub(crate) fn columns(terminal: impl AsFd) -> u16 {
    match tcgetwinsize(terminal) {
        Ok(size) if size.ws_col > 0 => size.ws_col,
        Ok(_) | Err(_) => USUAL_COLUMNS,
    }
}
