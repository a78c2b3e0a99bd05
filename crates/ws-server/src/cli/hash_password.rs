//! `ws-server hash-password`: asks for a password, and makes the line of the credentials file that
//! has its hash.
//!
//! At a terminal nothing of the password is shown, so it is asked for twice. Otherwise it is the
//! first line of stdin. It is never an argument, which every user of the machine could read.

use std::{
    io::{self, IsTerminal as _, Write as _, stderr, stdin},
    os::fd::AsFd,
};

use proto::{message::MAX_CREDENTIALS_BYTES, password::PasswordHash, secret::Secret};
use rustix::{
    io::retry_on_intr,
    termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr},
};
use tokio::{runtime, task::spawn_blocking};
use zeroize::Zeroizing;

use crate::process::signals::StopSignals;

/// What to do with the line.
pub(crate) const HINT: &str = "put this line into the [[user]] entry of the credentials file, \
                               in place of its `password` or older `password_hash`:";

/// The longest password that can be sent: the line of the login also has a name and a colon.
const MAX_PASSWORD_BYTES: usize = MAX_CREDENTIALS_BYTES - "n:".len();

/// The longest line that a terminal collects, and more than a password may have.
const MAX_LINE_BYTES: usize = 4096;

/// How often two answers may differ.
const MAX_ROUNDS: usize = 3;

const FIRST_PROMPT: &str = "password: ";
const SECOND_PROMPT: &str = "the same once more: ";
const NEXT_ROUND_PROMPT: &str = "the two are not the same, please start again\npassword: ";

/// The value of a special character that switches it off.
const DISABLED: u8 = 0;

/// Why there is no hash.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashPasswordError {
    /// A signal has ended the questions. The terminal is as it was before.
    #[error("interrupted")]
    Interrupted,
    /// Nothing was answered.
    #[error("a password is never empty; enter it at the terminal, or as one line of stdin")]
    Empty,
    /// No login could hold it.
    #[error("a password has at most {MAX_PASSWORD_BYTES} bytes, longer ones cannot be sent")]
    TooLong,
    /// It is no text.
    #[error("a password is UTF-8, other bytes cannot be sent")]
    NotUtf8,
    /// The answers were never the same.
    #[error("the two passwords were not the same, {MAX_ROUNDS} times")]
    NeverTheSame,
    /// Nothing can be read, or the terminal cannot be kept from showing it.
    #[error("cannot read the password")]
    Read(#[from] io::Error),
    /// There is no salt.
    #[error("the system has no random bytes")]
    Random(#[from] getrandom::Error),
}

/// Takes a password, and returns the line that says its hash in a credentials file.
pub(crate) fn password_line() -> Result<String, HashPasswordError> {
    let password = if stdin().is_terminal() {
        ask_at_terminal()?
    } else {
        checked(read_line(stdin())?)?
    };
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)?;
    // A hash has no character that TOML would escape.
    let hash = PasswordHash::new(&password, salt);
    Ok(format!("password_hash = \"{hash}\""))
}

/// Asks without showing what is typed. However this ends, the terminal is as it was before.
fn ask_at_terminal() -> Result<Secret, HashPasswordError> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let answer = runtime.block_on(async {
        // A signal from now on ends the questions, and not the process, which would leave a
        // terminal behind that shows nothing.
        let mut signals = StopSignals::new()?;
        let _hidden = Hidden::new(stdin())?;
        tokio::select! {
            answer = spawn_blocking(|| agree(ask)) => match answer {
                Ok(answer) => answer,
                Err(failed) => std::panic::resume_unwind(failed.into_panic()),
            },
            _ = signals.recv() => Err(HashPasswordError::Interrupted),
        }
    });
    // A question may still be waiting for its answer, and must not keep the process from ending.
    runtime.shutdown_background();
    answer
}

fn ask(prompt: &str) -> Result<Secret, HashPasswordError> {
    // Whoever has closed stderr knows what is asked for.
    let _ = stderr().write_all(prompt.as_bytes());
    read_line(stdin())
}

/// Asks for a password until two answers are the same.
fn agree(
    mut ask: impl FnMut(&str) -> Result<Secret, HashPasswordError>,
) -> Result<Secret, HashPasswordError> {
    let mut prompt = FIRST_PROMPT;
    for _ in 0..MAX_ROUNDS {
        let password = checked(ask(prompt)?)?;
        if password.matches(&ask(SECOND_PROMPT)?) {
            return Ok(password);
        }
        prompt = NEXT_ROUND_PROMPT;
    }
    Err(HashPasswordError::NeverTheSame)
}

/// A password that somebody can log in with.
fn checked(password: Secret) -> Result<Secret, HashPasswordError> {
    match password.expose().len() {
        0 => Err(HashPasswordError::Empty),
        1..=MAX_PASSWORD_BYTES => Ok(password),
        _ => Err(HashPasswordError::TooLong),
    }
}

/// Reads what stands before the end of the line, or of the input. The standard library's reader
/// would keep a copy that nobody wipes, so it is not used.
fn read_line(input: impl AsFd) -> Result<Secret, HashPasswordError> {
    let mut buffer = Zeroizing::new([0; MAX_LINE_BYTES]);
    let mut filled = 0;
    let end = loop {
        let read = retry_on_intr(|| rustix::io::read(&input, &mut buffer[filled..]))
            .map_err(io::Error::from)?;
        let line = &buffer[..filled + read];
        match line[filled..].iter().position(|byte| *byte == b'\n') {
            Some(end) => break filled + end,
            // No line that fills the buffer is a password, so its end is of no interest.
            None if read == 0 => break filled,
            None => filled += read,
        }
    };
    let line = &buffer[..end];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = std::str::from_utf8(line).map_err(|_| HashPasswordError::NotUtf8)?;
    Ok(Secret::new(line))
}

/// A terminal that does not show what is typed, until this is dropped: at the end, after a signal,
/// and when a panic unwinds.
struct Hidden<T: AsFd> {
    tty: T,
    original: Termios,
}

impl<T: AsFd> Hidden<T> {
    fn new(tty: T) -> io::Result<Self> {
        let original = tcgetattr(&tty)?;
        let mut attributes = original.clone();
        attributes.local_modes.remove(LocalModes::ECHO);
        // The return key is shown, so that each question has a line of its own.
        attributes.local_modes.insert(LocalModes::ECHONL);
        // What would stop or crash the process leaves the terminal to a shell, silent as it is; a
        // crash also leaves the password in a file.
        for key in [SpecialCodeIndex::VSUSP, SpecialCodeIndex::VQUIT] {
            attributes.special_codes[key] = DISABLED;
        }
        let hidden = Self { tty, original };
        tcsetattr(&hidden.tty, OptionalActions::Now, &attributes)?;
        Ok(hidden)
    }
}

impl<T: AsFd> Drop for Hidden<T> {
    fn drop(&mut self) {
        // What was typed ahead may be a password, and must not reach the shell that reads next. A
        // terminal that does not obey is gone.
        let _ = tcsetattr(&self.tty, OptionalActions::Flush, &self.original);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::{self, Read as _, Write as _},
        os::fd::OwnedFd,
    };

    use proto::secret::Secret;
    use rustix::{
        event::{PollFd, PollFlags, poll},
        pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
        termios::{LocalModes, SpecialCodeIndex, Termios, tcgetattr},
    };

    use super::{
        FIRST_PROMPT, HashPasswordError, Hidden, MAX_PASSWORD_BYTES, NEXT_ROUND_PROMPT,
        SECOND_PROMPT, agree, checked, read_line,
    };

    /// What comes of these answers, and what was asked for.
    fn answered(answers: &[&str]) -> (Result<String, String>, Vec<String>) {
        let (mut answers, mut asked) = (answers.iter(), Vec::new());
        let password = agree(|prompt| {
            asked.push(prompt.to_owned());
            Ok(Secret::new(*answers.next().expect("not more is asked")))
        });
        let password = password.map(|password| password.expose().to_owned());
        (password.map_err(|error| error.to_string()), asked)
    }

    #[test]
    fn two_equal_answers_are_the_password() {
        let (password, asked) = answered(&["secret", "secret"]);
        assert_eq!(password, Ok("secret".to_owned()));
        assert_eq!(asked, [FIRST_PROMPT, SECOND_PROMPT]);
    }

    #[test]
    fn two_different_answers_are_asked_for_again_three_times_in_all() {
        let (password, asked) = answered(&["secret", "secrte", "secret", "secret"]);
        assert_eq!(password, Ok("secret".to_owned()));
        let rounds = [
            FIRST_PROMPT,
            SECOND_PROMPT,
            NEXT_ROUND_PROMPT,
            SECOND_PROMPT,
        ];
        assert_eq!(asked, rounds);

        let (password, asked) = answered(&["a", "b", "b", "a", "a", ""]);
        let error = "the two passwords were not the same, 3 times";
        assert_eq!(password, Err(error.to_owned()));
        assert_eq!(asked.len(), 6);
    }

    #[test]
    fn what_nobody_can_log_in_with_is_refused_before_it_is_asked_for_again() {
        let longest = "x".repeat(MAX_PASSWORD_BYTES);
        assert_eq!(answered(&[&longest, &longest]).0, Ok(longest.clone()));
        for (answer, error) in [
            (
                String::new(),
                "a password is never empty; enter it at the terminal, or as one line of stdin",
            ),
            (
                longest + "x",
                "a password has at most 1022 bytes, longer ones cannot be sent",
            ),
        ] {
            let (password, asked) = answered(&[&answer]);
            assert_eq!(password, Err(error.to_owned()));
            assert_eq!(asked, [FIRST_PROMPT]);
        }
    }

    /// Reads a line of what a pipe delivers in these pieces.
    fn line_of(pieces: &[&[u8]]) -> Result<String, HashPasswordError> {
        let (reader, mut writer) = io::pipe().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for piece in pieces {
                    // The reader may have seen enough.
                    let _ = writer.write_all(piece);
                }
            });
            let line = read_line(&reader);
            drop(reader);
            line.map(|line| line.expose().to_owned())
        })
    }

    #[test]
    fn a_line_ends_with_its_first_line_feed_or_with_the_input() {
        let pieces: [(&[&[u8]], &str); 8] = [
            (&[b"secret\n"], "secret"),
            (&[b"secret"], "secret"),
            (&[b"secret\r\n"], "secret"),
            (&[b"sec", b"ret", b"\n"], "secret"),
            (&[b" a:\r\xc3\xbc \n"], " a:\r\u{fc} "),
            (&[b"secret\nanother\n"], "secret"),
            (&[b"\nsecret\n"], ""),
            (&[], ""),
        ];
        for (pieces, line) in pieces {
            assert_eq!(line_of(pieces).unwrap(), line, "{pieces:?}");
        }
    }

    #[test]
    fn a_line_that_is_no_password_is_refused_however_long_it_is() {
        let error = line_of(&[b"secr\xff\n"]).unwrap_err();
        assert!(matches!(error, HashPasswordError::NotUtf8), "{error:?}");
        let endless = line_of(&[&vec![b'x'; 1 << 20]]).unwrap();
        let error = checked(Secret::new(endless)).unwrap_err();
        assert!(matches!(error, HashPasswordError::TooLong), "{error:?}");
    }

    /// Both ends of a terminal of the test's own.
    fn pseudo_terminal() -> (OwnedFd, File) {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let tty = File::options()
            .read(true)
            .write(true)
            .open(name.into_string().unwrap())
            .unwrap();
        (controller, tty)
    }

    fn shown(attributes: &Termios) -> String {
        format!("{attributes:?}")
    }

    #[test]
    fn the_terminal_shows_nothing_and_stops_nothing_until_it_is_restored() {
        let (_controller, tty) = pseudo_terminal();
        let before = shown(&tcgetattr(&tty).unwrap());
        let hidden = Hidden::new(&tty).unwrap();
        let during = tcgetattr(&tty).unwrap();
        assert!(!during.local_modes.contains(LocalModes::ECHO));
        let lines_and_signals = LocalModes::ICANON | LocalModes::ISIG;
        assert!(during.local_modes.contains(lines_and_signals));
        assert_eq!(during.special_codes[SpecialCodeIndex::VSUSP], 0);
        assert_eq!(during.special_codes[SpecialCodeIndex::VQUIT], 0);
        drop(hidden);
        assert_eq!(shown(&tcgetattr(&tty).unwrap()), before);
    }

    #[test]
    fn what_was_typed_ahead_reaches_no_shell() {
        let (controller, mut tty) = pseudo_terminal();
        let mut keys = File::from(controller);
        let hidden = Hidden::new(tty.try_clone().unwrap()).unwrap();
        keys.write_all(b"secret\n").unwrap();
        // It takes a moment from one end of a terminal to the other.
        let mut arrived = [PollFd::new(&tty, PollFlags::IN)];
        assert_eq!(poll(&mut arrived, None).unwrap(), 1);
        drop(hidden);
        keys.write_all(b"next\n").unwrap();
        let mut line = [0; 5];
        tty.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"next\n");
    }

    #[test]
    fn the_terminal_is_restored_by_a_panic() {
        let (_controller, tty) = pseudo_terminal();
        let before = shown(&tcgetattr(&tty).unwrap());
        let failed = std::panic::catch_unwind(|| {
            let _hidden = Hidden::new(&tty).unwrap();
            assert_ne!(shown(&tcgetattr(&tty).unwrap()), before);
            std::panic::resume_unwind(Box::new("as a panic does"));
        });
        assert!(failed.is_err());
        assert_eq!(shown(&tcgetattr(&tty).unwrap()), before);
    }
}
