//! The console: the source of lines and the sink of messages and notices.

mod console;
mod echo_control;
pub(crate) mod editor;
mod event;
mod folding;
mod input;
mod mode;
mod output;
mod prompt;
mod render;
mod room_message;
mod sanitize;
mod screen;
mod stdio;
mod terminal;
mod words;

pub(crate) use self::{
    console::{Console, ConsoleEvent},
    echo_control::{EchoControl, EchoState},
    event::{Event, Notice},
    input::{InputError, UnsentLines, is_login_attempt, login_line},
    output::{OutputChunk, OutputQueue, OutputStream},
    prompt::{Prompt, TypedLogin},
    room_message::RoomMessage,
    screen::{columns, rows},
    stdio::{PromptMode, StdioConsole},
    terminal::{Terminal, TerminalSetup, acquire},
};
pub use self::{
    input::Words,
    mode::Mode,
    render::{Reader, message},
};
