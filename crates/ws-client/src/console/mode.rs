//! The kind of user at the console.

/// The kind of user that the lines come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A person at a terminal, who can be asked.
    Interactive,
    /// A script at the other end of a pipe.
    Pipe,
}
