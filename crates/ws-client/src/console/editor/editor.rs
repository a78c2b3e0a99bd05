//! The console of a person at a terminal, with line editing, masked secrets, and messages above the
//! current line.
//!
//! Editing blocks, so it runs on its own thread (`thread`), which takes commands and sends events.

use std::{
    collections::VecDeque,
    io::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    sync::mpsc::{Receiver, Sender, channel, error::TrySendError},
    time::timeout,
};

use super::{
    keys::EndKeys,
    thread::{EditorCommand, EditorEvent, EditorThread, write_chunks},
};
use crate::console::{
    Console, ConsoleEvent, EchoControl, EchoState, Event, InputError, Mode, OutputQueue, Prompt,
    Reader, Records, UnsentLines, Words,
};

/// The capacity of both channels, above the number of commands and events that can be in flight.
/// Neither side ever waits for capacity.
const QUEUE: usize = 8;

/// The time limit for the end of the thread. It ends at once, unless the terminal does not respond.
const FINISH_DEADLINE: Duration = Duration::from_secs(1);

/// The sequence that disables bracketed paste.
const LEAVE_BRACKETED_PASTE: &[u8] = b"\x1b[?2004l";

/// A handle to the line editor's thread, and its known state.
#[derive(Debug)]
pub(crate) struct Editor<H> {
    commands: Option<Sender<EditorCommand>>,
    events: Receiver<EditorEvent>,
    wake: Arc<AtomicBool>,
    /// The prompt that the thread shows.
    reading: Option<Prompt>,
    /// True while a print command is not confirmed.
    printing: bool,
    output: OutputQueue,
    /// Lines that were pasted together, or entered before they were asked for.
    lines: VecDeque<String>,
    words: Words,
    reader: Reader,
    /// Dropped last, after the thread has released the terminal.
    terminal: H,
}

impl<H: EchoControl> Editor<H> {
    /// Starts the thread on a terminal, with lines that were typed before.
    ///
    /// # Errors
    ///
    /// The thread cannot be started.
    pub(crate) fn start(
        terminal: H,
        typed_ahead: VecDeque<String>,
        words: Words,
    ) -> io::Result<Self> {
        let (mut editor, thread) = Self::new(terminal);
        editor.lines = typed_ahead;
        editor.words = words;
        std::thread::Builder::new()
            .name("editor".to_owned())
            .spawn(move || thread.run())?;
        Ok(editor)
    }

    /// Sets the queue of the output.
    pub(crate) fn with_output(self, output: OutputQueue) -> Self {
        Self { output, ..self }
    }

    /// Writes events to stdout instead of messages.
    pub(crate) fn with_events(self) -> Self {
        Self {
            reader: Reader::Events,
            ..self
        }
    }

    fn new(terminal: H) -> (Self, EditorThread) {
        let (commands, command_receiver) = channel(QUEUE);
        let (event_sender, events) = channel(QUEUE);
        let wake = Arc::new(AtomicBool::new(false));
        let thread = EditorThread {
            commands: command_receiver,
            events: event_sender,
            wake: Arc::clone(&wake),
            end_keys: EndKeys::default(),
            history: VecDeque::new(),
            rest: String::new(),
        };
        let editor = Self {
            commands: Some(commands),
            events,
            wake,
            reading: None,
            printing: false,
            output: OutputQueue::default(),
            lines: VecDeque::new(),
            words: Words::default(),
            reader: Reader::Terminal,
            terminal,
        };
        (editor, thread)
    }

    /// Sends a command, and returns it if the thread has ended.
    fn send_command(&mut self, command: EditorCommand) -> Result<(), EditorCommand> {
        let Some(commands) = &self.commands else {
            return Err(command);
        };
        let sent = commands.try_send(command);
        self.wake.store(true, Ordering::Relaxed);
        sent.map_err(TrySendError::into_inner)
    }

    /// Prints the queued output.
    fn print(&mut self) {
        let chunks = self.output.take();
        match self.send_command(EditorCommand::Print(chunks)) {
            Ok(()) => self.printing = true,
            // Without the thread there is no line to protect.
            Err(EditorCommand::Print(chunks)) => drop(write_chunks(&chunks)),
            Err(EditorCommand::Read(_) | EditorCommand::CancelPrompt) => {}
        }
    }

    /// Converts an event of the thread. Most of them are events of the console.
    fn take(&mut self, event: EditorEvent) -> Option<ConsoleEvent> {
        match event {
            EditorEvent::Line(prompt, text) => {
                let mut lines = split(&text);
                if self.reading.as_ref() != Some(&prompt) && prompt.mask().hides() {
                    // The login succeeded without this line, which must not be sent as a message.
                    lines.pop_front();
                } else {
                    self.reading = None;
                }
                self.lines.append(&mut lines);
                None
            }
            EditorEvent::EndOfInput => {
                self.reading = None;
                Some(ConsoleEvent::EndOfInput)
            }
            EditorEvent::Interrupted => {
                self.reading = None;
                Some(ConsoleEvent::Interrupted)
            }
            EditorEvent::Printed(result) => {
                self.printing = false;
                Some(match result {
                    Ok(()) => ConsoleEvent::Wrote,
                    Err(error) => ConsoleEvent::OutputFailed(error),
                })
            }
            EditorEvent::Failed(error) => Some(ConsoleEvent::BadInput(InputError::Read(error))),
        }
    }
}

/// Splits entered text into lines, because pasted text may hold several.
fn split(text: &str) -> VecDeque<String> {
    let line = |line: &str| line.strip_suffix('\r').unwrap_or(line).to_owned();
    let mut lines: VecDeque<String> = text.split('\n').map(line).collect();
    if lines.len() > 1 && lines.back().is_some_and(String::is_empty) {
        lines.pop_back();
    }
    lines
}

impl<H: EchoControl> Console for Editor<H> {
    fn mode(&self) -> Mode {
        Mode::Interactive
    }

    fn records(&self) -> Records {
        Records::Lines
    }

    fn poll_event(&mut self, cx: &mut Context<'_>, wanted: Option<&Prompt>) -> Poll<ConsoleEvent> {
        if !self.printing && !self.output.is_empty() {
            self.print();
        }
        while let Poll::Ready(event) = self.events.poll_recv(cx) {
            let Some(event) = event else {
                self.printing = false;
                let error = io::Error::other("the line editor ended");
                return Poll::Ready(ConsoleEvent::BadInput(InputError::Read(error)));
            };
            if let Some(event) = self.take(event) {
                return Poll::Ready(event);
            }
        }
        let Some(prompt) = wanted else {
            return Poll::Pending;
        };
        if let Some(line) = self.lines.pop_front() {
            return Poll::Ready(self.entered(line, prompt, self.words));
        }
        if self.reading.as_ref() != Some(prompt) {
            self.terminal.set_echo(if prompt.mask().hides() {
                EchoState::Off
            } else {
                EchoState::On
            });
            // The end of the thread is noticed by its event channel.
            let _ = self.send_command(EditorCommand::Read(prompt.clone()));
            self.reading = Some(prompt.clone());
        }
        Poll::Pending
    }

    fn tell(&mut self, event: Event<'_>) {
        self.output.push_event(&event, self.reader);
    }

    fn has_room(&self) -> bool {
        self.output.has_room()
    }

    fn is_drained(&self) -> bool {
        self.output.is_empty() && !self.printing
    }

    fn cancel_prompt(&mut self) {
        if self.reading.take().is_some() {
            let _ = self.send_command(EditorCommand::CancelPrompt);
        }
    }

    async fn unsent_lines(&mut self) -> Option<UnsentLines> {
        Some(UnsentLines::Exactly(self.lines.len()))
    }

    async fn finish(mut self) {
        // Without a command sender the thread ends, and closes the event channel.
        self.commands = None;
        self.wake.store(true, Ordering::Relaxed);
        let ended = async { while self.events.recv().await.is_some() {} };
        if timeout(FINISH_DEADLINE, ended).await.is_err() {
            let mut stdout = io::stdout();
            let _ = stdout.write_all(LEAVE_BRACKETED_PASTE);
            let _ = stdout.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::{
        Console as _, ConsoleEvent, Editor, EditorCommand, EditorEvent, EditorThread, split,
    };
    use crate::{
        console::{EchoControl, EchoState, Notice, Prompt},
        websocket::Payload,
    };

    struct Untouched;

    impl EchoControl for Untouched {
        fn set_echo(&mut self, _: EchoState) {}
    }

    fn poll(editor: &mut Editor<Untouched>, wanted: Option<&Prompt>) -> Poll<ConsoleEvent> {
        editor.poll_event(&mut Context::from_waker(Waker::noop()), wanted)
    }

    fn line(editor: &mut Editor<Untouched>, wanted: &Prompt) -> Option<String> {
        match poll(editor, Some(wanted)) {
            Poll::Ready(ConsoleEvent::Entered(entry)) => entry.into_line(),
            Poll::Ready(_) | Poll::Pending => None,
        }
    }

    fn enter(thread: &mut EditorThread, prompt: Prompt, text: &str) {
        assert!(
            matches!(thread.commands.try_recv(), Ok(EditorCommand::Read(asked)) if asked == prompt)
        );
        let event = EditorEvent::Line(prompt, text.to_owned());
        thread.events.try_send(event).unwrap();
    }

    #[test]
    fn pasted_lines_are_split() {
        for (text, lines) in [
            ("", &[""][..]),
            ("a", &["a"]),
            ("a\nb", &["a", "b"]),
            ("a\r\nb\n", &["a", "b"]),
            ("a\n\nb", &["a", "", "b"]),
            ("\n", &[""]),
        ] {
            assert_eq!(split(text), lines, "{text:?}");
        }
    }

    #[test]
    fn pasted_lines_are_credentials_then_messages() {
        let (mut editor, mut thread) = Editor::new(Untouched);
        assert_eq!(line(&mut editor, &Prompt::Credentials), None);
        enter(
            &mut thread,
            Prompt::Credentials,
            "admin:123456\nfirst\nsecond",
        );
        let credentials = line(&mut editor, &Prompt::Credentials);
        assert_eq!(credentials.as_deref(), Some("admin:123456"));
        assert_eq!(
            line(&mut editor, &Prompt::Context).as_deref(),
            Some("first")
        );
        assert_eq!(
            line(&mut editor, &Prompt::Context).as_deref(),
            Some("second")
        );
        assert!(thread.commands.try_recv().is_err());
    }

    #[test]
    fn late_credentials_are_not_sent_as_message() {
        let (mut editor, mut thread) = Editor::new(Untouched);
        assert_eq!(line(&mut editor, &Prompt::Credentials), None);
        // The login succeeds without them.
        assert_eq!(line(&mut editor, &Prompt::Context), None);
        enter(&mut thread, Prompt::Credentials, "admin:123456");
        assert_eq!(line(&mut editor, &Prompt::Context), None);
        enter(&mut thread, Prompt::Context, "hello");
        assert_eq!(
            line(&mut editor, &Prompt::Context).as_deref(),
            Some("hello")
        );
    }

    #[test]
    fn same_prompt_is_sent_once() {
        let (mut editor, mut thread) = Editor::new(Untouched);
        for _ in 0..3 {
            assert!(poll(&mut editor, Some(&Prompt::Context)).is_pending());
        }
        assert!(matches!(
            thread.commands.try_recv(),
            Ok(EditorCommand::Read(_))
        ));
        assert!(thread.commands.try_recv().is_err());
    }

    #[test]
    fn output_during_print_is_printed_together() {
        let (mut editor, mut thread) = Editor::new(Untouched);
        for text in ["a", "b", "c"] {
            editor.message(Payload::Text(text));
            assert!(poll(&mut editor, None).is_pending());
        }
        assert!(matches!(
            thread.commands.try_recv(),
            Ok(EditorCommand::Print(_))
        ));
        assert!(thread.commands.try_recv().is_err());
        thread
            .events
            .try_send(EditorEvent::Printed(Ok(())))
            .unwrap();
        assert!(matches!(
            poll(&mut editor, None),
            Poll::Ready(ConsoleEvent::Wrote)
        ));
        assert!(poll(&mut editor, None).is_pending());
        match thread.commands.try_recv() {
            Ok(EditorCommand::Print(chunks)) => assert_eq!(chunks[0].bytes, b"b\nc\n"),
            other => panic!("nothing is printed: {other:?}"),
        }
        assert!(!editor.is_drained());
    }

    #[test]
    fn ended_thread_ends_input_and_keeps_no_output() {
        let (mut editor, thread) = Editor::new(Untouched);
        editor.message(Payload::Text("lost"));
        assert!(poll(&mut editor, None).is_pending());
        drop(thread);
        for _ in 0..2 {
            assert!(poll(&mut editor, None).is_ready());
            assert!(editor.is_drained());
            editor.notice(Notice::Text("a notice of the test"));
        }
        assert!(matches!(
            poll(&mut editor, Some(&Prompt::Context)),
            Poll::Ready(ConsoleEvent::BadInput(_))
        ));
    }
}
