//! The console of a session: the source of lines and the sink of messages and notices.

use std::{
    io,
    task::{Context, Poll},
};

use super::{
    input::{InputError, Words},
    mode::Mode,
    prompt::{GOODBYE, Prompt},
};
use crate::websocket::Payload;

/// An event of a console.
#[derive(Debug)]
pub(crate) enum ConsoleEvent {
    /// A line was entered or read.
    Line(String),
    /// The word `exit` was entered, and the goodbye was queued.
    Exit,
    /// The input ended.
    EndOfInput,
    /// Ctrl-C was pressed.
    Interrupted,
    /// The input cannot be read any further.
    BadInput(InputError),
    /// Queued output was written.
    Wrote,
    /// Stdout cannot be written any more.
    OutputFailed(io::Error),
}

/// The number of input lines that were not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnsentLines {
    /// Exactly this number.
    Exactly(usize),
    /// At least this number: the count was stopped.
    AtLeast(usize),
}

/// The source of lines and the sink of messages and notices: a terminal or three streams.
pub(crate) trait Console {
    /// Returns the mode of the console.
    fn mode(&self) -> Mode;

    /// Polls for the next event. Queued output is written before a line is read. If `wanted` is
    /// `None`, no line is read. A prompt that is on the screen is not written again.
    fn poll_event(&mut self, cx: &mut Context<'_>, wanted: Option<&Prompt>) -> Poll<ConsoleEvent>;

    /// Queues a message of the server for stdout.
    fn message(&mut self, payload: Payload<'_>);

    /// Queues a line for stderr. Server text in it must be escaped already.
    fn notice(&mut self, text: &str);

    /// Queues a line about the program itself for stderr.
    fn say(&mut self, line: &str) {
        self.notice(&format!("ws-client: {line}"));
    }

    /// Returns the event for a line that was entered at a prompt. A word is obeyed here, so that the
    /// session never looks for one.
    fn entered(&mut self, line: String, prompt: &Prompt, words: Words) -> ConsoleEvent {
        if words.end_session(&line, prompt) {
            self.notice(GOODBYE);
            ConsoleEvent::Exit
        } else {
            ConsoleEvent::Line(line)
        }
    }

    /// Returns true if the output queue accepts more.
    fn has_room(&self) -> bool;

    /// Returns true if all queued output was written.
    fn is_drained(&self) -> bool;

    /// Stops reading lines. A half-typed line stays on the screen.
    fn cancel_prompt(&mut self);

    /// Counts the input lines that were not sent and can be read without waiting for more input.
    async fn unsent_lines(&mut self) -> UnsentLines;

    /// Restores the terminal, if it is one. All queued output must have been written.
    async fn finish(self);
}
