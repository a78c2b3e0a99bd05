//! The mode of a console.

/// The mode of a console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A person at a terminal, who can be prompted.
    Interactive,
    /// A program or a file behind stdin.
    Pipe,
}
