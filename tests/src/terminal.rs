//! A process at a pseudoterminal, and its screen.

use std::num::NonZeroU16;

use pty_process::{Command, Pty, Size};
use rustix::termios::{LocalModes, tcgetattr};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Child,
    time::{Instant, timeout_at},
};

use crate::{TEST_TIMEOUT, wait_for_exit};

const ROWS: NonZeroU16 = NonZeroU16::new(24).unwrap();
const COLUMNS: NonZeroU16 = NonZeroU16::new(80).unwrap();

/// The query for the cursor position.
const CURSOR_QUERY: &[u8] = b"\x1b[6n";

/// A process at its own pseudoterminal.
#[expect(missing_debug_implementations, reason = "vt100::Parser has none")]
pub struct Terminal {
    pty: Pty,
    child: Child,
    screen: vt100::Parser,
    /// All output of the process.
    written: Vec<u8>,
    /// The length of `written` that the screen has processed.
    shown: usize,
}

impl Terminal {
    /// Starts a process at a terminal of 80 columns and 24 rows.
    pub fn spawn(program: &str, arguments: &[&str]) -> Self {
        let (pty, pts) = pty_process::open().expect("a terminal can be made");
        pty.resize(Size::new(ROWS.get(), COLUMNS.get()))
            .expect("the terminal can be resized");
        let child = Command::new(program)
            .args(arguments)
            .current_dir(crate::fixtures())
            .env("TERM", "xterm-256color")
            .kill_on_drop(true)
            .spawn(pts)
            .expect("the process starts");
        let screen = vt100::Parser::new(ROWS, COLUMNS, 0);
        Self {
            pty,
            child,
            screen,
            written: Vec::new(),
            shown: 0,
        }
    }

    /// Types a text.
    pub async fn type_text(&mut self, text: &str) {
        self.pty
            .write_all(text.as_bytes())
            .await
            .expect("the terminal is open");
    }

    /// Waits until the screen contains a text.
    pub async fn expect(&mut self, text: &str) {
        self.expect_screen(&format!("{text:?}"), |screen| screen.contains(text))
            .await;
    }

    /// Waits until the screen meets a condition.
    pub async fn expect_screen(&mut self, what: &str, is_met: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + TEST_TIMEOUT;
        while !is_met(&self.contents()) {
            let read = timeout_at(deadline, self.read()).await;
            assert!(
                read == Ok(true),
                "timed out waiting for {what}; last read {read:?}, process {:?}:\n{:?}",
                self.child.try_wait(),
                self.written()
            );
        }
    }

    /// Waits for the exit, and returns the exit code.
    pub async fn finish(&mut self) -> Option<i32> {
        let deadline = Instant::now() + TEST_TIMEOUT;
        while timeout_at(deadline, self.read())
            .await
            .expect("the process ends in time")
        {}
        wait_for_exit(&mut self.child).await.code()
    }

    /// Returns the text of the screen.
    pub fn contents(&self) -> String {
        self.screen.screen().contents()
    }

    /// Returns all output of the process, displayed or not.
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&self.written).into_owned()
    }

    /// Returns whether the terminal echoes its input.
    pub fn echoes(&self) -> bool {
        let modes = tcgetattr(&self.pty).expect("the terminal is open");
        modes.local_modes.contains(LocalModes::ECHO)
    }

    /// Processes output of the process, and answers its cursor queries. Returns false at the end.
    async fn read(&mut self) -> bool {
        let mut bytes = [0; 4096];
        // Reading fails after the last writer has closed the terminal.
        let Ok(read @ 1..) = self.pty.read(&mut bytes).await else {
            return false;
        };
        self.written.extend_from_slice(&bytes[..read]);
        while let Some(at) = find(&self.written[self.shown..], CURSOR_QUERY) {
            let end = self.shown + at + CURSOR_QUERY.len();
            self.screen.process(&self.written[self.shown..end]);
            self.shown = end;
            let (row, column) = self.screen.screen().cursor_position();
            self.type_text(&format!("\x1b[{};{}R", row + 1, column + 1))
                .await;
        }
        // Hold back the start of a query until the rest arrives.
        let unfinished = (1..CURSOR_QUERY.len())
            .rev()
            .find(|len| self.written[self.shown..].ends_with(&CURSOR_QUERY[..*len]));
        let end = self.written.len() - unfinished.unwrap_or(0);
        self.screen.process(&self.written[self.shown..end]);
        self.shown = end;
        true
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}
