//! The console of a person at a terminal, with line editing, masked secrets, and messages above the
//! current line.

mod editor;
mod keys;
mod layout;
mod thread;

pub(crate) use self::editor::Editor;
