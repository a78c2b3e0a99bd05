//! What a session needs of the place where lines come from and texts go to.

use std::{
    io,
    task::{Context, Poll},
};

use super::{input::InputError, mode::Mode, prompt::Prompt};
use crate::websocket::Payload;

/// Something that happened at the console.
#[derive(Debug)]
pub(crate) enum ConsoleEvent {
    /// A line was typed, or read.
    Line(String),
    /// There will be no more lines.
    EndOfInput,
    /// Ctrl-C.
    Interrupted,
    /// The input cannot be used any further.
    BadInput(InputError),
    /// Some of the queued texts were written.
    Wrote,
    /// Nothing can be written any more.
    OutputFailed(io::Error),
}

/// How many lines were left unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnsentLines {
    /// So many, and no more.
    Exactly(usize),
    /// So many, and perhaps more.
    AtLeast(usize),
}

/// Where lines come from and texts go to: a terminal, or streams.
pub(crate) trait Console {
    /// Who is at the other end.
    fn mode(&self) -> Mode;

    /// The next thing that happens. Texts that were queued are written before a line is looked for.
    /// A line is asked for with this prompt, where somebody is there to be asked, or not at all if
    /// there is no prompt; what was asked for once stays asked for.
    fn poll_event(&mut self, cx: &mut Context<'_>, wanted: Option<&Prompt>) -> Poll<ConsoleEvent>;

    /// Queues a message of the server's for stdout.
    fn message(&mut self, payload: Payload<'_>);

    /// Queues a line for stderr. Whatever a server said in it was escaped before.
    fn notice(&mut self, text: &str);

    /// Queues a line about the program itself for stderr.
    fn say(&mut self, line: &str) {
        self.notice(&format!("ws-client: {line}"));
    }

    /// Whether the queue is short enough for more.
    fn has_room(&self) -> bool;

    /// Whether everything that was queued was written.
    fn is_drained(&self) -> bool;

    /// Asks for no more lines. A line that is half typed stays on the screen.
    fn cancel_prompt(&mut self);

    /// Counts the lines that will not be sent any more, as far as that takes no time.
    async fn unsent_lines(&mut self) -> UnsentLines;

    /// Gives the terminal back, if it is one. Everything that was queued was written before.
    async fn finish(self);
}
