//! Whether a terminal shows what is typed.

/// Whether a terminal shows what is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Typing {
    Shown,
    Hidden,
}

/// Tells a terminal whether to show what is typed.
pub(crate) trait Echo {
    fn set(&mut self, typing: Typing);
}
