//! The terminal behind stdin: its attributes are changed while the program runs, and restored on
//! every way out of it.

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

/// The longest line that a terminal collects by itself.
const MAX_TYPED_BYTES: usize = 4096;

/// The value of a special character that switches it off.
const DISABLED: u8 = 0;

/// Restores the terminal when it is dropped: at the end, after a signal, and when a panic unwinds.
///
/// What is typed stays hidden until the login is through, even while nothing is asked for: it may
/// be credentials that somebody types ahead.
#[derive(Debug)]
pub(crate) struct Terminal<T: AsFd = Stdin> {
    tty: T,
    original: Termios,
    echo: EchoState,
    line_mode: LineMode,
}

/// How lines are typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineMode {
    /// The terminal collects a line by itself, and shows it or not.
    Lines,
    /// The line editor shows what is typed. Between two lines nothing is shown, and nothing lost:
    /// what is typed ahead waits in the terminal for the next line.
    Editor,
}

/// A terminal, and what it is good for.
#[derive(Debug)]
pub(crate) enum TerminalSetup {
    /// The lines were typed before the terminal was taken over.
    Editor(Terminal, VecDeque<String>),
    Lines(Terminal, VecDeque<String>),
}

/// Takes the terminal behind stdin for the line editor if it can carry one, and for whole lines
/// otherwise. The editor has to know where the cursor is: it asks the terminal on stdout, which is
/// no place for questions unless it is that terminal.
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
        // What was typed meanwhile is still wanted.
        terminal.set_echo(EchoState::On);
    }
    Ok(TerminalSetup::Lines(
        Terminal::take(stdin(), LineMode::Lines)?,
        lines,
    ))
}

/// The whole lines that a terminal has collected already. The editor would not know them for lines,
/// because the terminal has turned their return keys into line feeds. The beginning of a further
/// line stays where it is, and comes to the editor as if it was typed later.
fn typed_ahead(tty: &impl AsFd) -> io::Result<VecDeque<String>> {
    let mut lines = VecDeque::new();
    let mut line = [0; MAX_TYPED_BYTES];
    loop {
        let mut ready = [PollFd::new(tty, PollFlags::IN)];
        if poll(&mut ready, Some(&Timespec::default()))? == 0 {
            return Ok(lines);
        }
        // Nothing is read where the end of the input was typed, or the terminal is gone.
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
                // Whoever stops the program here gets a shell, which shows again what is typed.
                attributes.special_codes[SpecialCodeIndex::VSUSP] = DISABLED;
            }
            (LineMode::Editor, _) => {
                // Signals stay on, so that Ctrl-C works while nothing is edited.
                let modes = LocalModes::ECHO | LocalModes::ICANON;
                attributes.local_modes.remove(modes);
                // The editor knows the return key by the byte that the key sends.
                attributes
                    .input_modes
                    .remove(InputModes::ICRNL | InputModes::INLCR);
                // A program that was stopped would leave the terminal silent; the editor has no
                // use for Ctrl-Z either.
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
            // A terminal that does not obey is gone, and reading from it says so.
            LineMode::Lines => drop(self.apply()),
            // The editor may be at work, and keeps its own attributes.
            LineMode::Editor => {}
        }
    }
}

impl<T: AsFd> Drop for Terminal<T> {
    fn drop(&mut self) {
        let action = match self.echo {
            EchoState::On => OptionalActions::Now,
            // What was typed ahead may be a password. It must not reach the shell that reads next,
            // and its history.
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

    /// Both ends of a terminal of the test's own.
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
    fn whole_lines_that_were_typed_ahead_are_taken_and_the_rest_is_left() {
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
    fn lines_are_hidden_until_they_may_be_seen() {
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
    fn nothing_is_shown_or_stopped_between_edited_lines() {
        let (_controller, tty) = pseudo_terminal();
        let mut terminal = Terminal::take(&tty, LineMode::Editor).unwrap();
        terminal.set_echo(EchoState::On);
        assert!(!modes(&tty).intersects(LocalModes::ECHO | LocalModes::ICANON));
        assert!(modes(&tty).contains(LocalModes::ISIG));
        let attributes = tcgetattr(&tty).unwrap();
        assert_eq!(attributes.special_codes[SpecialCodeIndex::VSUSP], 0);
    }

    #[test]
    fn the_terminal_is_restored_even_by_a_panic() {
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
    fn what_was_typed_ahead_at_the_login_reaches_no_shell() {
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
            // It takes a moment from one end of a terminal to the other.
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
