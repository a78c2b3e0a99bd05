//! The terminal behind stdin: its attributes are changed while the program runs, and restored on
//! every exit path.

use std::{
    collections::VecDeque,
    io::{self, IsTerminal as _, Stdin, stderr, stdin, stdout},
    os::fd::AsFd,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    termios::{
        InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
    },
};

use super::echo_control::{EchoControl, EchoState};

/// The longest line that a terminal driver buffers.
const MAX_TYPED_BYTES: usize = 4096;

/// The value that disables a special character.
const DISABLED: u8 = 0;

/// A terminal that is restored on drop: at the end, after a signal, and when a panic unwinds.
///
/// The echo is off until the login succeeded, even without a prompt: the user may type credentials
/// ahead.
#[derive(Debug)]
pub(crate) struct Terminal<T: AsFd = Stdin> {
    tty: T,
    original: Termios,
    echo: EchoState,
    line_mode: LineMode,
}

/// The way in which lines are entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineMode {
    /// The terminal driver collects lines (canonical mode), with or without echo.
    Lines,
    /// The line editor echoes. Between two lines the echo is off and nothing is lost: typed-ahead
    /// input waits in the terminal for the next line.
    Editor,
}

/// A terminal and its use, with the lines that were typed before.
#[derive(Debug)]
pub(crate) enum TerminalSetup {
    /// For the line editor.
    Editor(Terminal, VecDeque<String>),
    Lines(Terminal, VecDeque<String>),
}

/// Acquires the terminal behind stdin, for the line editor if possible, and for whole lines
/// otherwise. The editor queries the cursor position on stdout, so stdout must be the terminal too.
///
/// # Errors
///
/// The attributes of the terminal cannot be read or set.
pub(crate) fn acquire() -> io::Result<TerminalSetup> {
    let all_terminals = stdout().is_terminal() && stderr().is_terminal();
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    let mut lines = VecDeque::new();
    if all_terminals && !dumb {
        lines = typed_ahead(&stdin())?;
        let mut terminal = Terminal::take(stdin(), LineMode::Editor)?;
        if crossterm::cursor::position().is_ok() {
            return Ok(TerminalSetup::Editor(terminal, lines));
        }
        // Keep the input that was typed meanwhile.
        terminal.set_echo(EchoState::On);
    }
    Ok(TerminalSetup::Lines(
        Terminal::take(stdin(), LineMode::Lines)?,
        lines,
    ))
}

/// Returns the lines that the terminal driver has completed. The editor would not recognise them,
/// because the driver turned carriage returns into line feeds. An incomplete line stays and reaches
/// the editor as later input.
///
/// # Errors
///
/// The terminal cannot be read.
fn typed_ahead(tty: &impl AsFd) -> io::Result<VecDeque<String>> {
    let mut lines = VecDeque::new();
    let mut line = [0; MAX_TYPED_BYTES];
    loop {
        let mut ready = [PollFd::new(tty, PollFlags::IN)];
        if poll(&mut ready, Some(&Timespec::default()))? == 0 {
            return Ok(lines);
        }
        // Zero bytes mean a typed end of input, or a closed terminal.
        let read = rustix::io::read(tty, &mut line)?;
        if read == 0 {
            return Ok(lines);
        }
        let text = String::from_utf8_lossy(&line[..read]);
        lines.push_back(text.trim_end_matches(['\r', '\n']).to_owned());
    }
}

impl<T: AsFd> Terminal<T> {
    fn take(tty: T, line_mode: LineMode) -> io::Result<Self> {
        let original = tcgetattr(&tty)?;
        let terminal = Self {
            tty,
            original,
            echo: EchoState::Off,
            line_mode,
        };
        terminal.apply()?;
        Ok(terminal)
    }

    fn apply(&self) -> io::Result<()> {
        let mut attributes = self.original.clone();
        match (self.line_mode, self.echo) {
            (LineMode::Lines, EchoState::On) => {}
            (LineMode::Lines, EchoState::Off) => {
                attributes.local_modes.remove(LocalModes::ECHO);
                // A stopped program would leave its shell without echo.
                attributes.special_codes[SpecialCodeIndex::VSUSP] = DISABLED;
            }
            (LineMode::Editor, _) => {
                // Signals stay on, so that Ctrl-C works between two lines.
                let modes = LocalModes::ECHO | LocalModes::ICANON;
                attributes.local_modes.remove(modes);
                // The editor recognises the return key by its carriage return.
                attributes
                    .input_modes
                    .remove(InputModes::ICRNL | InputModes::INLCR);
                // A stopped program would leave the terminal without echo. The editor has no use
                // for Ctrl-Z either.
                attributes.special_codes[SpecialCodeIndex::VSUSP] = DISABLED;
            }
        }
        Ok(tcsetattr(&self.tty, OptionalActions::Now, &attributes)?)
    }
}

impl<T: AsFd> EchoControl for Terminal<T> {
    fn set_echo(&mut self, echo: EchoState) {
        if self.echo == echo {
            return;
        }
        self.echo = echo;
        match self.line_mode {
            // A terminal that fails here is closed, which the next read reports.
            LineMode::Lines => drop(self.apply()),
            // The editor may be active, with attributes of its own.
            LineMode::Editor => {}
        }
    }
}

impl<T: AsFd> Drop for Terminal<T> {
    fn drop(&mut self) {
        let action = match self.echo {
            EchoState::On => OptionalActions::Now,
            // Typed-ahead input may be a password, which must not reach the next shell and its
            // history.
            EchoState::Off => OptionalActions::Flush,
        };
        let _ = tcsetattr(&self.tty, action, &self.original);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::OwnedFd};

    use rustix::{
        event::{PollFd, PollFlags, poll},
        pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
        termios::{LocalModes, SpecialCodeIndex, Termios, tcgetattr},
    };

    use super::{EchoControl as _, EchoState, LineMode, Terminal, typed_ahead};

    /// Returns both ends of a pseudo-terminal.
    fn pseudo_terminal() -> (OwnedFd, File) {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new())
            .unwrap()
            .into_string()
            .unwrap();
        let tty = File::options().read(true).write(true).open(name).unwrap();
        (controller, tty)
    }

    fn shown(attributes: &Termios) -> String {
        format!("{attributes:?}")
    }

    fn modes(tty: &File) -> LocalModes {
        tcgetattr(tty).unwrap().local_modes
    }

    #[test]
    fn typed_ahead_lines_are_taken_and_rest_stays() {
        use std::io::{Read as _, Write as _};
        let (controller, mut tty) = pseudo_terminal();
        assert!(typed_ahead(&tty).unwrap().is_empty());
        let mut keys = File::from(controller);
        keys.write_all("admin:1\r\rünï\rhal".as_bytes()).unwrap();
        let mut arrived = [PollFd::new(&tty, PollFlags::IN)];
        assert_eq!(poll(&mut arrived, None).unwrap(), 1);
        assert_eq!(typed_ahead(&tty).unwrap(), ["admin:1", "", "ünï"]);
        let _terminal = Terminal::take(tty.try_clone().unwrap(), LineMode::Editor).unwrap();
        let mut rest = [0; 3];
        tty.read_exact(&mut rest).unwrap();
        assert_eq!(&rest, b"hal");
    }

    #[test]
    fn echo_is_off_until_switched_on() {
        let (_controller, tty) = pseudo_terminal();
        let mut terminal = Terminal::take(&tty, LineMode::Lines).unwrap();
        assert!(!modes(&tty).contains(LocalModes::ECHO));
        assert!(modes(&tty).contains(LocalModes::ICANON | LocalModes::ISIG));
        terminal.set_echo(EchoState::On);
        assert!(modes(&tty).contains(LocalModes::ECHO));
        terminal.set_echo(EchoState::Off);
        assert!(!modes(&tty).contains(LocalModes::ECHO));
    }

    #[test]
    fn editor_mode_disables_echo_and_suspend() {
        let (_controller, tty) = pseudo_terminal();
        let mut terminal = Terminal::take(&tty, LineMode::Editor).unwrap();
        terminal.set_echo(EchoState::On);
        assert!(!modes(&tty).intersects(LocalModes::ECHO | LocalModes::ICANON));
        assert!(modes(&tty).contains(LocalModes::ISIG));
        let attributes = tcgetattr(&tty).unwrap();
        assert_eq!(attributes.special_codes[SpecialCodeIndex::VSUSP], 0);
    }

    #[test]
    fn panic_restores_the_terminal() {
        for line_mode in [LineMode::Lines, LineMode::Editor] {
            let (_controller, tty) = pseudo_terminal();
            let before = shown(&tcgetattr(&tty).unwrap());
            let failed = std::panic::catch_unwind(|| {
                let _terminal = Terminal::take(&tty, line_mode).unwrap();
                assert_ne!(shown(&tcgetattr(&tty).unwrap()), before);
                std::panic::resume_unwind(Box::new("as a panic does"));
            });
            assert!(failed.is_err());
            assert_eq!(shown(&tcgetattr(&tty).unwrap()), before);
        }
    }

    #[test]
    fn input_typed_ahead_at_login_is_dropped() {
        use std::io::{Read as _, Write as _};
        for (echo, left) in [
            (EchoState::Off, "next\n"),
            (EchoState::On, "secret\nnext\n"),
        ] {
            let (controller, mut tty) = pseudo_terminal();
            let mut keys = File::from(controller);
            let mut terminal = Terminal::take(tty.try_clone().unwrap(), LineMode::Lines).unwrap();
            terminal.set_echo(echo);
            keys.write_all(b"secret\n").unwrap();
            // The line needs a moment to pass the terminal.
            let mut arrived = [PollFd::new(&tty, PollFlags::IN)];
            assert_eq!(poll(&mut arrived, None).unwrap(), 1);
            drop(terminal);
            keys.write_all(b"next\n").unwrap();
            let mut read = vec![0; left.len()];
            tty.read_exact(&mut read).unwrap();
            assert_eq!(String::from_utf8(read).unwrap(), left);
        }
    }
}
