//! The echo of a terminal.

/// The state of a terminal's echo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EchoState {
    On,
    Off,
}

/// A terminal whose echo can be switched.
pub(crate) trait EchoControl {
    fn set_echo(&mut self, state: EchoState);
}
