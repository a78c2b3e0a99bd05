//! The screen on which messages are shown: its width, time and time zone.

use std::{io::stdout, os::fd::AsFd};

use chrono::{DateTime, Local, TimeZone};
use rustix::termios::tcgetwinsize;

/// The assumed width of a terminal that reports none.
const USUAL_COLUMNS: u16 = 80;

/// The assumed height of a terminal that reports none.
const USUAL_ROWS: u16 = 24;

/// The properties of a screen at this moment.
#[derive(Debug)]
pub(crate) struct Screen<Z: TimeZone> {
    /// The current time in the user's zone.
    pub(crate) now: DateTime<Z>,
    /// The number of columns.
    pub(crate) columns: u16,
}

impl Screen<Local> {
    /// Returns the screen behind stdout.
    pub(crate) fn here() -> Self {
        Self {
            now: Local::now(),
            columns: columns(stdout()),
        }
    }
}

/// Returns the number of rows of a terminal.
pub(crate) fn rows(terminal: impl AsFd) -> u16 {
    match tcgetwinsize(terminal) {
        Ok(size) if size.ws_row > 0 => size.ws_row,
        Ok(_) | Err(_) => USUAL_ROWS,
    }
}

/// Returns the number of columns of a terminal.
pub(crate) fn columns(terminal: impl AsFd) -> u16 {
    match tcgetwinsize(terminal) {
        Ok(size) if size.ws_col > 0 => size.ws_col,
        Ok(_) | Err(_) => USUAL_COLUMNS,
    }
}
