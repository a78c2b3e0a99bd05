//! The echo of a terminal.

/// A state of the echo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Typing {
    Shown,
    Hidden,
}

/// A terminal whose echo can be switched.
pub(crate) trait Echo {
    fn set(&mut self, typing: Typing);
}
