//! The console of a session: the source of lines and the sink of messages and notices.

use std::{
    io,
    task::{Context, Poll},
};

use super::{
    entry::Entry,
    event::{Event, Notice},
    input::{InputError, UnsentLines, Words},
    mode::Mode,
    prompt::Prompt,
    records::Records,
};
use crate::websocket::Payload;

/// An event of a console.
#[derive(Debug)]
pub(crate) enum ConsoleEvent {
    /// A line or another piece of the input was entered or read.
    Entered(Entry),
    /// The word `exit` was entered, and the goodbye was queued.
    Exit,
    /// The input ended.
    EndOfInput,
    /// The input of a pipe ended before its first byte.
    EmptyInput,
    /// Ctrl-C was pressed.
    Interrupted,
    /// The input cannot be read any further.
    BadInput(InputError),
    /// Queued output was written.
    Wrote,
    /// Stdout cannot be written any more.
    OutputFailed(io::Error),
}

/// The source of lines and the sink of messages and notices: a terminal or three streams.
pub(crate) trait Console {
    /// Returns the mode of the console.
    fn mode(&self) -> Mode;

    /// Returns the form of messages in the input.
    fn records(&self) -> Records;

    /// Polls for the next event. Queued output is written before a line is read. If `wanted` is
    /// `None`, no line is read. A prompt that is on the screen is not written again.
    fn poll_event(&mut self, cx: &mut Context<'_>, wanted: Option<&Prompt>) -> Poll<ConsoleEvent>;

    /// Queues the output for an event.
    fn tell(&mut self, event: Event<'_>);

    /// Tells a message of the session.
    fn message(&mut self, payload: Payload<'_>) {
        self.tell(Event::Message(payload));
    }

    /// Tells any other event.
    fn notice(&mut self, notice: Notice<'_>) {
        self.tell(Event::Notice(notice));
    }

    /// Returns the event for a line that was entered at a prompt. A word is obeyed here, so that the
    /// session never looks for one.
    fn entered(&mut self, line: String, prompt: &Prompt, words: Words) -> ConsoleEvent {
        if words.end_session(&line, prompt) {
            self.notice(Notice::Goodbye);
            ConsoleEvent::Exit
        } else {
            ConsoleEvent::Entered(Entry::Line(line))
        }
    }

    /// Returns true if the output queue accepts more.
    fn has_room(&self) -> bool;

    /// Returns true if all queued output was written.
    fn is_drained(&self) -> bool;

    /// Stops reading lines. A half-typed line stays on the screen.
    fn cancel_prompt(&mut self);

    /// Counts the input lines that were not sent and can be read without waiting for more input. A raw
    /// stream has none.
    async fn unsent_lines(&mut self) -> Option<UnsentLines>;

    /// Restores the terminal, if it is one. All queued output must have been written.
    async fn finish(self);
}
