//! The end of a program.

use std::fmt;

use rustix::process::WaitIdStatus;

/// The end of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProgramExit {
    /// An exit with this code.
    Code(i32),
    /// The signal that ended it.
    Signal(i32),
}

impl ProgramExit {
    /// Returns the end that a status of `waitid` reports.
    pub(super) fn of(status: &WaitIdStatus) -> Option<Self> {
        let code = status.exit_status().map(Self::Code);
        code.or_else(|| status.terminating_signal().map(Self::Signal))
    }
}

impl fmt::Display for ProgramExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(0) => f.write_str("program ended"),
            Self::Code(code) => write!(f, "program ended with {code}"),
            Self::Signal(signal) => write!(f, "program ended by signal {signal}"),
        }
    }
}
