//! A process at a terminal, and what its screen shows.

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

/// How a program asks a terminal where its cursor is.
const CURSOR_QUERY: &[u8] = b"\x1b[6n";

/// A process that runs at a terminal of its own.
#[expect(missing_debug_implementations, reason = "the screen has none")]
pub struct Terminal {
    pty: Pty,
    child: Child,
    screen: vt100::Parser,
    /// Everything that was ever written to the terminal.
    written: Vec<u8>,
    /// Up to where `written` went to the screen.
    shown: usize,
}

impl Terminal {
    /// Starts a process at a terminal of 80 columns and 24 rows.
    pub fn spawn(program: &str, arguments: &[&str]) -> Self {
        let (pty, pts) = pty_process::open().expect("a terminal can be made");
        pty.resize(Size::new(ROWS.get(), COLUMNS.get()))
            .expect("it can be resized");
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

    /// Types.
    pub async fn type_text(&mut self, text: &str) {
        self.pty
            .write_all(text.as_bytes())
            .await
            .expect("the terminal is there");
    }

    /// Waits until the screen shows a text.
    pub async fn expect(&mut self, text: &str) {
        self.expect_screen(&format!("{text:?}"), |screen| screen.contains(text))
            .await;
    }

    /// Waits until the screen is as it should be.
    pub async fn expect_screen(&mut self, what: &str, is_met: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + TEST_TIMEOUT;
        while !is_met(&self.contents()) {
            let read = timeout_at(deadline, self.read()).await;
            assert!(
                read == Ok(true),
                "{what} is not shown, the last read was {read:?}, the process {:?}:\n{:?}",
                self.child.try_wait(),
                self.written()
            );
        }
    }

    /// Waits for the end of the process, and returns its exit code.
    pub async fn finish(&mut self) -> Option<i32> {
        let deadline = Instant::now() + TEST_TIMEOUT;
        while timeout_at(deadline, self.read())
            .await
            .expect("the process ends in time")
        {}
        wait_for_exit(&mut self.child).await.code()
    }

    /// What the screen shows.
    pub fn contents(&self) -> String {
        self.screen.screen().contents()
    }

    /// Everything that was ever written to the terminal, shown or not.
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&self.written).into_owned()
    }

    /// Whether the terminal shows by itself what is typed.
    pub fn echoes(&self) -> bool {
        let modes = tcgetattr(&self.pty).expect("the terminal is there");
        modes.local_modes.contains(LocalModes::ECHO)
    }

    /// Shows what the process has written, and answers what it asks the terminal. Returns false
    /// when there will be nothing more.
    async fn read(&mut self) -> bool {
        let mut bytes = [0; 4096];
        // A terminal that nobody writes to any more cannot be read.
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
        // The start of a query is kept back until the rest of it has come.
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
