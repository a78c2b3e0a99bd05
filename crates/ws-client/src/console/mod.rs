//! The console: the source of lines and the sink of messages and notices.

mod console;
mod echo_control;
pub(crate) mod editor;
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

pub(crate) use self::{
    console::{Console, ConsoleEvent, UnsentLines},
    echo_control::{EchoControl, EchoState},
    input::{InputError, is_login_attempt, login_line},
    output::{OutputChunk, OutputQueue, OutputStream},
    prompt::{Prompt, TypedLogin, credentials_hint},
    render::message_on,
    room_message::RoomMessage,
    sanitize::{hexadecimal, safe_lines},
    screen::{Screen, columns, rows},
    stdio::{PromptMode, StdioConsole},
    terminal::{Terminal, TerminalSetup, acquire},
};
pub use self::{
    input::Words,
    mode::Mode,
    render::{Reader, message},
};
