//! The console of a person at a terminal: lines are edited, secrets are masked, and messages are
//! printed above the line that is being typed.

mod editor;
mod layout;
mod thread;

pub(crate) use self::editor::Editor;
