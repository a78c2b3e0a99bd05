//! The thread on which lines are edited. It owns the line editor, and everything that is written to
//! the terminal is written here, so that nothing is written into a line that is being typed.

use std::{
    borrow::Cow,
    collections::VecDeque,
    io::{self, Write},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use reedline::{
    Color, EditCommand, Emacs, FileBackedHistory, Highlighter, History as _, HistoryItem, KeyCode,
    KeyModifiers, PromptEditMode, PromptHistorySearch, Reedline, Signal, StyledText,
    default_emacs_keybindings,
};
use tokio::sync::mpsc::{Receiver, Sender, error::TryRecvError};

use super::layout;
use crate::console::{Mask, OutputChunk, OutputStream, Prompt, columns};

/// How soon a line that is being typed makes room for a message.
const BREAK_INTERVAL: Duration = Duration::from_millis(20);

/// How many lines can be called back with the arrow keys.
const HISTORY_LINES: usize = 100;

/// What the thread is told to do.
#[derive(Debug)]
pub(super) enum EditorCommand {
    /// Ask for a line. A line that was asked for with another prompt is given up.
    Read(Prompt),
    /// Write these texts, above the line that is being typed.
    Print(Vec<OutputChunk>),
    /// Ask for no more lines. What was typed of one stays on the screen.
    CancelPrompt,
}

/// What the thread has to tell.
#[derive(Debug)]
pub(super) enum EditorEvent {
    /// A line was entered. It holds line breaks where several lines were pasted.
    Line(Prompt, String),
    /// Ctrl-D.
    EndOfInput,
    /// Ctrl-C.
    Interrupted,
    /// The texts of the last [`EditorCommand::Print`] were written.
    Printed(io::Result<()>),
    /// No line can be read.
    Failed(io::Error),
}

/// The thread's side of the editor.
#[derive(Debug)]
pub(super) struct EditorThread {
    pub(super) commands: Receiver<EditorCommand>,
    pub(super) events: Sender<EditorEvent>,
    /// Set when there are new orders: the line editor looks at it while it waits for keys.
    pub(super) wake: Arc<AtomicBool>,
    pub(super) history: VecDeque<String>,
}

/// A line that is being typed.
#[derive(Default)]
struct LineBuffer {
    text: String,
    /// The byte before which the cursor stands.
    cursor: usize,
}

/// The other side of the channels is gone, and nobody wants anything any more.
struct Disconnected;

impl EditorThread {
    /// Follows orders until there are no more.
    pub(super) fn run(mut self) {
        while let Some(command) = self.commands.blocking_recv() {
            let done = match command {
                EditorCommand::Read(prompt) => self.read(prompt),
                EditorCommand::Print(chunks) => self.print(&chunks),
                EditorCommand::CancelPrompt => Ok(()),
            };
            if let Err(Disconnected) = done {
                return;
            }
        }
    }

    /// Reads one line, and follows orders in the meantime.
    fn read(&mut self, mut prompt: Prompt) -> Result<(), Disconnected> {
        let mut buffer = LineBuffer::default();
        loop {
            // Each round has an editor of its own. One that goes on after a break may believe that
            // its prompt still stands where it was, and paints over what was printed there.
            let mut editor = self.editor(&prompt, &buffer);
            let commands = loop {
                match editor.read_line(&BarePrompt(prompt.text())) {
                    Ok(Signal::Success(text)) => return self.entered(prompt, text),
                    Ok(Signal::CtrlC) => return self.send_event(EditorEvent::Interrupted),
                    Ok(Signal::CtrlD) => return self.send_event(EditorEvent::EndOfInput),
                    Ok(Signal::ExternalBreak(text)) => {
                        let commands = self.queued();
                        if commands.is_empty() && !self.commands.is_closed() {
                            continue;
                        }
                        let cursor = editor.current_insertion_point();
                        buffer = LineBuffer { text, cursor };
                        break commands;
                    }
                    // Other signals belong to features that are not switched on.
                    Ok(_) => {}
                    Err(error) => return self.send_event(EditorEvent::Failed(error)),
                }
            };
            erase(&prompt, &buffer);
            match self.apply(commands, prompt, &mut buffer)? {
                Some(_) if self.commands.is_closed() => return Err(Disconnected),
                Some(same_or_other) => prompt = same_or_other,
                None => return Ok(()),
            }
        }
    }

    /// Follows the orders that came while a line was being typed, and says what to ask for now.
    fn apply(
        &mut self,
        commands: Vec<EditorCommand>,
        prompt: Prompt,
        buffer: &mut LineBuffer,
    ) -> Result<Option<Prompt>, Disconnected> {
        let mut wanted = Some(prompt);
        for command in commands {
            match command {
                EditorCommand::Print(chunks) => self.print(&chunks)?,
                EditorCommand::Read(other) => {
                    wanted = Some(other);
                    *buffer = LineBuffer::default();
                }
                EditorCommand::CancelPrompt => {
                    let cancelled = wanted.take();
                    if let Some(prompt) = cancelled.filter(|_| !buffer.text.is_empty()) {
                        // It was not sent, and whoever typed it may want to keep it.
                        let shown = prompt.mask().apply(&buffer.text);
                        let _ = writeln!(io::stderr(), "{}{shown}", prompt.text());
                    }
                }
            }
        }
        Ok(wanted)
    }

    /// All orders that are there.
    fn queued(&mut self) -> Vec<EditorCommand> {
        let mut commands = Vec::new();
        loop {
            match self.commands.try_recv() {
                Ok(command) => commands.push(command),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return commands,
            }
        }
    }

    fn entered(&mut self, prompt: Prompt, text: String) -> Result<(), Disconnected> {
        let repeated = self.history.back() == Some(&text);
        if !prompt.mask().hides() && !text.is_empty() && !repeated {
            if self.history.len() == HISTORY_LINES {
                self.history.pop_front();
            }
            self.history.push_back(text.clone());
        }
        self.send_event(EditorEvent::Line(prompt, text))
    }

    fn print(&mut self, chunks: &[OutputChunk]) -> Result<(), Disconnected> {
        self.send_event(EditorEvent::Printed(write_chunks(chunks)))
    }

    fn send_event(&self, event: EditorEvent) -> Result<(), Disconnected> {
        self.events.blocking_send(event).map_err(|_| Disconnected)
    }

    /// A line editor for one line.
    ///
    /// reedline's own way to print while a line is edited (its feature `external_printer`) is not
    /// used: it takes the number of bytes for the number of columns and forgets the prompt, and so
    /// overwrites earlier lines as soon as something wide is typed.
    fn editor(&self, prompt: &Prompt, buffer: &LineBuffer) -> Reedline {
        let mut keys = default_emacs_keybindings();
        // A search shows something else than prompt and text, which could not be erased by their
        // size; and another program must not get to see the line.
        for key in ['r', 'o'] {
            keys.remove_binding(KeyModifiers::CONTROL, KeyCode::Char(key));
        }
        let mut editor = Reedline::create()
            .with_edit_mode(Box::new(Emacs::new(keys)))
            .with_highlighter(Box::new(Masked(prompt.mask())))
            .with_history(Box::new(self.history_for(prompt)))
            .with_ansi_colors(false)
            .use_bracketed_paste(true)
            .with_break_signal(Arc::clone(&self.wake))
            .with_poll_interval(BREAK_INTERVAL);
        if prompt.mask().hides() {
            // The empty prefix fits every line: none is remembered.
            editor = editor.with_history_exclusion_prefix(Some(String::new()));
        }
        if !buffer.text.is_empty() {
            editor.run_edit_commands(&[
                EditCommand::InsertString(buffer.text.clone()),
                EditCommand::MoveToPosition {
                    position: buffer.cursor,
                    select: false,
                },
            ]);
        }
        editor
    }

    /// The lines that can be called back: none where something secret is typed.
    fn history_for(&self, prompt: &Prompt) -> FileBackedHistory {
        let mut history = FileBackedHistory::new(HISTORY_LINES).unwrap_or_default();
        if !prompt.mask().hides() {
            for line in &self.history {
                // It is kept in memory only, which does not fail.
                let _ = history.save(HistoryItem::from_command_line(line));
            }
        }
        history
    }
}

/// Writes texts to stdout and stderr.
pub(super) fn write_chunks(chunks: &[OutputChunk]) -> io::Result<()> {
    let mut result = Ok(());
    for OutputChunk { stream, bytes } in chunks {
        match stream {
            OutputStream::Stdout => result = result.and(write_all(io::stdout().lock(), bytes)),
            // Nobody could be told that stderr is gone.
            OutputStream::Stderr => {
                let _ = write_all(io::stderr().lock(), bytes);
            }
        }
    }
    result
}

fn write_all(mut to: impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}

/// Takes prompt and text off the screen.
fn erase(prompt: &Prompt, buffer: &LineBuffer) {
    let columns = columns(io::stderr());
    let shown = prompt.mask().apply(&buffer.text);
    let before_cursor = shown.get(..buffer.cursor).unwrap_or(&shown);
    let row = layout::cursor_row(&prompt.text(), before_cursor, columns);
    let _ = write_all(io::stderr().lock(), layout::erase(row).as_bytes());
}

/// A prompt that is nothing but its text.
struct BarePrompt(Cow<'static, str>);

impl reedline::Prompt for BarePrompt {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0)
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_history_search_indicator(&self, _: PromptHistorySearch) -> Cow<'_, str> {
        Cow::Borrowed("")
    }
}

/// Shows a line with its secret part hidden.
struct Masked(Mask);

impl Highlighter for Masked {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        let mut shown = StyledText::new();
        shown.push((Color::Default.normal(), self.0.apply(line)));
        shown
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::VecDeque,
        sync::{Arc, atomic::AtomicBool},
    };

    use proto::username::UserName;
    use reedline::{Highlighter as _, History as _};
    use tokio::sync::mpsc::{Receiver, channel};

    use super::{EditorCommand, EditorEvent, EditorThread, HISTORY_LINES, LineBuffer, Masked};
    use crate::console::{Mask, Prompt};

    fn thread() -> (EditorThread, Receiver<EditorEvent>) {
        let (_, commands) = channel(1);
        let (events, events_out) = channel(200);
        let thread = EditorThread {
            commands,
            events,
            wake: Arc::new(AtomicBool::new(false)),
            history: VecDeque::new(),
        };
        (thread, events_out)
    }

    #[test]
    fn secrets_are_not_remembered() {
        let (mut thread, _events) = thread();
        let jane = Prompt::Password(UserName::parse("jane").unwrap());
        for prompt in [Prompt::Credentials, jane] {
            let _ = thread.entered(prompt, "admin:123456".into());
        }
        assert!(thread.history.is_empty());
    }

    #[test]
    fn messages_are_remembered_for_messages_only() {
        let (mut thread, _events) = thread();
        for line in ["a", "b", "b", "", "c"] {
            let _ = thread.entered(Prompt::Context, line.into());
        }
        assert_eq!(thread.history, ["a", "b", "c"]);
        assert_eq!(thread.history_for(&Prompt::Context).count_all().unwrap(), 3);
        let secret = thread.history_for(&Prompt::Credentials);
        assert_eq!(secret.count_all().unwrap(), 0);
    }

    #[test]
    fn the_oldest_lines_are_forgotten() {
        let (mut thread, _events) = thread();
        for number in 0..=HISTORY_LINES {
            let _ = thread.entered(Prompt::Context, number.to_string());
        }
        assert_eq!(thread.history.len(), HISTORY_LINES);
        assert_eq!(thread.history[0], "1");
    }

    #[test]
    fn last_words_are_printed_after_the_last_line_was_given_up() {
        let (mut thread, mut events_out) = thread();
        let commands = vec![
            EditorCommand::CancelPrompt,
            EditorCommand::Print(Vec::new()),
        ];
        let wanted = thread.apply(commands, Prompt::Context, &mut LineBuffer::default());
        assert!(matches!(wanted, Ok(None)));
        assert!(matches!(
            events_out.try_recv(),
            Ok(EditorEvent::Printed(Ok(())))
        ));
    }

    #[test]
    fn another_prompt_begins_an_empty_line() {
        let (mut thread, _events) = thread();
        let mut buffer = LineBuffer {
            text: "admin:12".into(),
            cursor: 8,
        };
        let commands = vec![EditorCommand::Read(Prompt::Context)];
        let wanted = thread.apply(commands, Prompt::Credentials, &mut buffer);
        assert!(matches!(wanted, Ok(Some(Prompt::Context))));
        assert!(buffer.text.is_empty());
    }

    #[test]
    fn the_editor_gets_a_masked_line() {
        let shown = Masked(Mask::AfterColon).highlight("admin:123456", 0);
        let shown: String = shown.buffer.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(shown, "admin:******");
    }
}
