//! The thread of the line editor. All terminal output is written here, so that none of it lands
//! inside the line that is being typed.

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

use super::{
    keys::{EndKey, EndKeyMode, EndKeys},
    layout::{self, Folded},
};
use crate::console::{OutputChunk, OutputStream, Prompt, columns, rows};

/// The longest delay of a message while a line is being typed.
const BREAK_INTERVAL: Duration = Duration::from_millis(20);

/// The number of lines that the arrow keys can recall.
const HISTORY_LINES: usize = 100;

/// A command to the thread.
#[derive(Debug)]
pub(super) enum EditorCommand {
    /// Read a line. A line at another prompt is discarded.
    Read(Prompt),
    /// Write this output above the current line.
    Print(Vec<OutputChunk>),
    /// Stop reading. The typed part of the line stays on the screen.
    CancelPrompt,
}

/// An event of the thread.
#[derive(Debug)]
pub(super) enum EditorEvent {
    /// A line was entered. Pasted text may hold line breaks.
    Line(Prompt, String),
    /// Ctrl-D was pressed.
    EndOfInput,
    /// Ctrl-C was pressed.
    Interrupted,
    /// The output of the last [`EditorCommand::Print`] was written.
    Printed(io::Result<()>),
    /// Lines cannot be read any more.
    Failed(io::Error),
}

/// The state of the thread.
#[derive(Debug)]
pub(super) struct EditorThread {
    pub(super) commands: Receiver<EditorCommand>,
    pub(super) events: Sender<EditorEvent>,
    /// Set with each new command. The line editor checks it while it waits for keys.
    pub(super) wake: Arc<AtomicBool>,
    pub(super) end_keys: EndKeys,
    pub(super) history: VecDeque<String>,
    /// The text behind the last line feed of a paste, for the next line.
    pub(super) rest: String,
}

/// A partly typed line.
#[derive(Default)]
struct LineBuffer {
    text: String,
    /// The byte offset of the cursor.
    cursor: usize,
}

/// The other side of the channels has ended.
struct Disconnected;

impl EditorThread {
    /// Handles commands until the channel closes.
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

    /// Reads one line, and handles commands meanwhile.
    fn read(&mut self, mut prompt: Prompt) -> Result<(), Disconnected> {
        let text = std::mem::take(&mut self.rest);
        let cursor = text.len();
        let mut buffer = LineBuffer { text, cursor };
        loop {
            // A new editor for each round. After a break, a reused one may assume its prompt at the
            // old position, and overwrite printed output.
            let mut editor = self.editor(&prompt, &buffer);
            let commands = loop {
                match editor.read_line(&BarePrompt(prompt.text())) {
                    Ok(Signal::Success(text)) => return self.entered(prompt, text),
                    Ok(Signal::CtrlC) => return self.send_event(EditorEvent::Interrupted),
                    Ok(Signal::CtrlD) => return self.send_event(EditorEvent::EndOfInput),
                    Ok(Signal::ExternalBreak(text)) => {
                        let end_key = self.end_keys.take();
                        let commands = match end_key {
                            // The text is sent by the next event, so the command waits.
                            Some(EndKey::LineFeed) => Vec::new(),
                            Some(EndKey::Interrupt) | None => self.queued(),
                        };
                        if end_key.is_none() && commands.is_empty() && !self.commands.is_closed() {
                            continue;
                        }
                        let cursor = editor.current_insertion_point();
                        buffer = LineBuffer { text, cursor };
                        erase(&prompt, &buffer);
                        match end_key {
                            Some(EndKey::LineFeed) => {
                                self.rest = split_behind_line_feed(&mut buffer.text);
                                show_line(&prompt, &buffer.text, "");
                                return self.entered(prompt, buffer.text);
                            }
                            Some(EndKey::Interrupt) if buffer.text.is_empty() => {
                                show_line(&prompt, "", "");
                                return self.send_event(EditorEvent::Interrupted);
                            }
                            Some(EndKey::Interrupt) => {
                                show_line(&prompt, &buffer.text, "^C");
                                buffer = LineBuffer::default();
                            }
                            None => {}
                        }
                        break commands;
                    }
                    // Other signals belong to features that are off.
                    Ok(_) => {}
                    Err(error) => return self.send_event(EditorEvent::Failed(error)),
                }
            };
            match self.apply(commands, prompt, &mut buffer)? {
                Some(_) if self.commands.is_closed() => return Err(Disconnected),
                Some(same_or_other) => prompt = same_or_other,
                None => return Ok(()),
            }
        }
    }

    /// Handles the commands that arrived while a line was typed. Returns the prompt to show next,
    /// if any.
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
                        // The line was not sent, and the user may want to copy it.
                        show_line(&prompt, &buffer.text, "");
                    }
                }
            }
        }
        Ok(wanted)
    }

    /// Takes all commands in the channel.
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

    /// Creates an editor for one line.
    ///
    /// reedline's own printing during editing (feature `external_printer`) was refused. It takes
    /// bytes for columns and forgets the prompt, so it overwrites earlier lines once wide text is
    /// typed.
    fn editor(&self, prompt: &Prompt, buffer: &LineBuffer) -> Reedline {
        let mut keys = default_emacs_keybindings();
        // Ctrl-R shows a search line that could not be erased by its size. Ctrl-O would show the
        // line to an external editor.
        for key in ['r', 'o'] {
            keys.remove_binding(KeyModifiers::CONTROL, KeyCode::Char(key));
        }
        let mut editor = Reedline::create()
            .with_edit_mode(Box::new(EndKeyMode::new(
                Emacs::new(keys),
                self.end_keys.clone(),
                Arc::clone(&self.wake),
            )))
            .with_highlighter(Box::new(Masked(prompt.clone())))
            .with_history(Box::new(self.history_for(prompt)))
            .with_ansi_colors(false)
            .use_bracketed_paste(true)
            .with_break_signal(Arc::clone(&self.wake))
            .with_poll_interval(BREAK_INTERVAL);
        if prompt.mask().hides() {
            // The empty prefix matches every line, so none is stored.
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

    /// Returns the history for the arrow keys, which is empty where a secret is typed.
    fn history_for(&self, prompt: &Prompt) -> FileBackedHistory {
        let mut history = FileBackedHistory::new(HISTORY_LINES).unwrap_or_default();
        if !prompt.mask().hides() {
            for line in &self.history {
                // An in-memory history cannot fail.
                let _ = history.save(HistoryItem::from_command_line(line));
            }
        }
        history
    }
}

/// Writes chunks to stdout and stderr.
///
/// # Errors
///
/// Stdout cannot be written.
pub(super) fn write_chunks(chunks: &[OutputChunk]) -> io::Result<()> {
    let mut result = Ok(());
    for OutputChunk { stream, bytes } in chunks {
        match stream {
            OutputStream::Stdout => result = result.and(write_all(io::stdout().lock(), bytes)),
            // There is no place to report errors of stderr.
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

/// Erases prompt and input from the screen.
fn erase(prompt: &Prompt, buffer: &LineBuffer) {
    let shown = shown(prompt, &buffer.text);
    let before_cursor = shown.before_cursor(buffer.cursor);
    let row = layout::cursor_row(&prompt.text(), before_cursor, columns(io::stderr()));
    let _ = write_all(io::stderr().lock(), layout::erase(row).as_bytes());
}

/// Returns a draft as it is shown: masked, and folded if it is high.
fn shown(prompt: &Prompt, text: &str) -> Folded {
    let masked = prompt.mask().apply(text);
    let (columns, rows) = (columns(io::stderr()), rows(io::stderr()));
    layout::folded(&prompt.text(), masked, columns, rows)
}

/// Writes a line that is no longer edited, masked, with a mark behind it.
fn show_line(prompt: &Prompt, text: &str, mark: &str) {
    let shown = prompt.mask().apply(text);
    // There is no place to report errors of stderr.
    let _ = writeln!(io::stderr(), "{}{shown}{mark}", prompt.text());
}

/// Cuts a text before its last line feed, and returns what follows it.
fn split_behind_line_feed(text: &mut String) -> String {
    let Some(line_feed) = text.rfind('\n') else {
        return String::new();
    };
    let rest = text.split_off(line_feed + 1);
    text.truncate(line_feed);
    rest
}

/// A prompt without decoration.
struct BarePrompt(Cow<'static, str>);

impl reedline::Prompt for BarePrompt {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.0.trim_end())
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    /// Returns the trailing space of the prompt. With an empty indicator, reedline 0.52.1 subtracts
    /// from zero where a draft is higher than the screen and the cursor is at its begin.
    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed(" ")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_history_search_indicator(&self, _: PromptHistorySearch) -> Cow<'_, str> {
        Cow::Borrowed("")
    }
}

/// A highlighter that masks the secret part of a line, and folds a high draft.
struct Masked(Prompt);

impl Highlighter for Masked {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        let mut styled = StyledText::new();
        styled.push((Color::Default.normal(), shown(&self.0, line).into_text()));
        styled
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

    use super::{
        EditorCommand, EditorEvent, EditorThread, EndKeys, HISTORY_LINES, LineBuffer, Masked,
        split_behind_line_feed,
    };
    use crate::console::Prompt;

    fn thread() -> (EditorThread, Receiver<EditorEvent>) {
        let (_, commands) = channel(1);
        let (events, events_out) = channel(200);
        let thread = EditorThread {
            commands,
            events,
            wake: Arc::new(AtomicBool::new(false)),
            end_keys: EndKeys::default(),
            history: VecDeque::new(),
            rest: String::new(),
        };
        (thread, events_out)
    }

    #[test]
    fn secrets_are_not_in_the_history() {
        let (mut thread, _events) = thread();
        let jane = Prompt::Password(UserName::parse("jane").unwrap());
        for prompt in [Prompt::Credentials, jane] {
            let _ = thread.entered(prompt, "admin:123456".into());
        }
        assert!(thread.history.is_empty());
    }

    #[test]
    fn messages_are_recalled_at_message_prompts_only() {
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
    fn full_history_drops_the_oldest_line() {
        let (mut thread, _events) = thread();
        for number in 0..=HISTORY_LINES {
            let _ = thread.entered(Prompt::Context, number.to_string());
        }
        assert_eq!(thread.history.len(), HISTORY_LINES);
        assert_eq!(thread.history[0], "1");
    }

    #[test]
    fn output_after_cancelled_prompt_is_printed() {
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
    fn other_prompt_begins_an_empty_line() {
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
    fn text_behind_line_feed_is_kept() {
        for (text, entered, rest) in [
            ("a\n", "a", ""),
            ("a\nb\nc", "a\nb", "c"),
            ("\n", "", ""),
            ("a", "a", ""),
        ] {
            let mut text = text.to_owned();
            assert_eq!(split_behind_line_feed(&mut text), rest);
            assert_eq!(text, entered);
        }
    }

    #[test]
    fn highlighter_masks_the_line() {
        let shown = Masked(Prompt::Credentials).highlight("admin:123456", 0);
        let shown: String = shown.buffer.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(shown, "admin:******");
    }
}
