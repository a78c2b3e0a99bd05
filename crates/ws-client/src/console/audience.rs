//! Who sits before the console.

/// Who types the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// A person at a terminal, who can be asked.
    Person,
    /// A script at the other end of a pipe.
    Script,
}
