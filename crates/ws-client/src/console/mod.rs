//! The console: the source of lines and the sink of messages and notices.

mod console;
mod detail;
mod echo_control;
pub(crate) mod editor;
mod entry;
mod event;
mod folding;
mod input;
mod json;
mod json_input;
mod message_log;
mod mode;
mod output;
mod prompt;
mod records;
mod render;
mod room_message;
mod sanitize;
mod screen;
mod stdio;
mod terminal;
mod words;

#[cfg(test)]
pub(crate) use self::records::Unit;
pub(crate) use self::{
    console::{Console, ConsoleEvent},
    echo_control::{EchoControl, EchoState},
    entry::Entry,
    event::{Event, Notice, Side},
    input::{InputError, UnsentLines, is_login_attempt, login_line},
    message_log::MessageLog,
    output::{OutputChunk, OutputQueue, OutputStream},
    prompt::{Prompt, TypedLogin},
    room_message::RoomMessage,
    screen::{columns, rows},
    stdio::{PromptMode, StdioConsole},
    terminal::{Terminal, TerminalSetup, acquire},
};
pub use self::{
    detail::Detail,
    input::Words,
    mode::Mode,
    records::{Output, Records},
    render::{Reader, message},
};
