//! The place where lines come from and texts go to: a terminal, or streams.

mod console;
pub(crate) mod editor;
mod input;
mod output;
mod prompt;
mod render;
mod room_message;
mod screen;
mod stdio;
mod terminal;

pub use self::render::{Payload, Reader, message};
pub(crate) use self::{
    console::{Console, ConsoleTurn, Leftover},
    input::{Command, InputError, Offer},
    output::{Channel, Outbox, Segment},
    prompt::{GOODBYE, Mask, Prompt},
    render::{hexadecimal, message_on, safe_lines},
    room_message::RoomMessage,
    screen::{Screen, columns},
    stdio::{Asking, Echo, Streams, Typing},
    terminal::{Taken, Terminal, take_over},
};
