//! `ws-server hash-password`: reads a password, and prints its hash as a line for the credentials
//! file.
//!
//! At a terminal the password is not echoed, so it is read twice. Otherwise it is the first line of
//! stdin. An argument would be visible to every user of the machine.
//!
//! rpassword is not used: it restores the echo when its reader returns, so Ctrl-C leaves the
//! terminal without echo.

use std::{
    future::poll_fn,
    io::{self, IsTerminal as _, Write as _, stderr, stdin},
    os::fd::AsFd,
    task::Poll,
};

use proto::{
    message::MAX_CREDENTIALS_BYTES, password::PasswordHash, secret::Secret,
    text::without_byte_order_mark,
};
use rustix::{
    io::retry_on_intr,
    termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr},
};
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    task::spawn_blocking,
};
use zeroize::Zeroizing;

/// The instruction for the printed line.
pub(crate) const HINT: &str = "put this line into the [[user]] entry of the credentials file, \
                               in place of its `password` or older `password_hash`:";

/// The longest usable password: the credentials line also has a name and a colon.
const MAX_PASSWORD_BYTES: usize = MAX_CREDENTIALS_BYTES - "n:".len();

/// The size of the line buffer: the longest line of a terminal, and longer than any password.
const MAX_LINE_BYTES: usize = 4096;

/// The number of attempts to enter the same password twice.
const MAX_ROUNDS: usize = 3;

const FIRST_PROMPT: &str = "password: ";
const SECOND_PROMPT: &str = "repeat the password: ";
const NEXT_ROUND_PROMPT: &str = "the passwords differ, try again\npassword: ";

/// The value that disables a special character of a terminal (`_POSIX_VDISABLE`).
const DISABLED: u8 = 0;

/// The reason why no hash is printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashPasswordError {
    /// A signal ended the prompt. The terminal is restored.
    #[error("interrupted")]
    Interrupted,
    /// The password is empty.
    #[error("the password is empty: enter it at the terminal, or as one line of stdin")]
    Empty,
    /// The password does not fit a login.
    #[error("the password is too long: a login has room for {MAX_PASSWORD_BYTES} bytes")]
    TooLong,
    /// The password is not UTF-8.
    #[error("the password is not UTF-8: a login cannot contain it")]
    NotUtf8,
    /// The repetition differed each time.
    #[error("the two passwords differed {MAX_ROUNDS} times")]
    Mismatch,
    /// Stdin cannot be read, or the echo cannot be turned off.
    #[error("cannot read the password")]
    Read(#[from] io::Error),
    /// The salt cannot be generated.
    #[error("the system has no random bytes")]
    Random(#[from] getrandom::Error),
}

/// Reads a password, and returns the line with its hash for a credentials file.
///
/// # Errors
///
/// No valid password was entered, a signal arrived, or the system failed.
pub(crate) fn password_line() -> Result<String, HashPasswordError> {
    let password = if stdin().is_terminal() {
        prompt_at_terminal()?
    } else {
        checked(&read_line(stdin())?)?
    };
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)?;
    // A PHC string has no character that TOML escapes.
    let hash = PasswordHash::new(&password, salt);
    Ok(format!("password_hash = \"{hash}\""))
}

/// Prompts for the password without echo. The terminal is restored in every case.
fn prompt_at_terminal() -> Result<Secret, HashPasswordError> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let password = runtime.block_on(async {
        // From here a signal ends the prompt instead of the process, which would leave the
        // terminal without echo.
        let mut signals = EndSignals::new()?;
        let _echo_off = EchoOff::new(stdin())?;
        tokio::select! {
            joined = spawn_blocking(|| read_twice(prompt)) => match joined {
                Ok(password) => password,
                Err(failed) => std::panic::resume_unwind(failed.into_panic()),
            },
            () = signals.recv() => Err(HashPasswordError::Interrupted),
        }
    });
    // The blocking read may still wait for input. Do not wait for it.
    runtime.shutdown_background();
    password
}

fn prompt(prompt: &str) -> Result<Secret, HashPasswordError> {
    // Ignore a closed stderr.
    let _ = stderr().write_all(prompt.as_bytes());
    read_line(stdin()).map(|line| without_ctrl_z(&line))
}

/// Removes the byte of Ctrl-Z, which a terminal without its suspend key passes on as data.
fn without_ctrl_z(line: &Secret) -> Secret {
    Secret::new(line.expose().replace('\u{1a}', ""))
}

/// The signals that by default end a program and can be handled. An unhandled one would leave the
/// terminal without echo.
struct EndSignals([Signal; 7]);

impl EndSignals {
    /// Installs the handlers.
    ///
    /// # Errors
    ///
    /// A handler cannot be installed.
    fn new() -> io::Result<Self> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
            signal(SignalKind::quit())?,
            signal(SignalKind::alarm())?,
            signal(SignalKind::user_defined1())?,
            signal(SignalKind::user_defined2())?,
        ]))
    }

    /// Waits for the next signal.
    async fn recv(&mut self) {
        poll_fn(|cx| {
            let mut signals = self.0.iter_mut();
            if signals.any(|signal| signal.poll_recv(cx).is_ready()) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// Reads the password and its repetition, up to [`MAX_ROUNDS`] times, until they are equal.
fn read_twice(
    mut read: impl FnMut(&str) -> Result<Secret, HashPasswordError>,
) -> Result<Secret, HashPasswordError> {
    let mut prompt = FIRST_PROMPT;
    for _ in 0..MAX_ROUNDS {
        let password = checked(&read(prompt)?)?;
        let repetition = read(SECOND_PROMPT)?;
        if password.matches(&Secret::password(repetition.expose())) {
            return Ok(password);
        }
        prompt = NEXT_ROUND_PROMPT;
    }
    Err(HashPasswordError::Mismatch)
}

/// Normalises the password as a login does, and checks that a login can contain it.
fn checked(password: &Secret) -> Result<Secret, HashPasswordError> {
    let password = Secret::password(password.expose());
    match password.expose().len() {
        0 => Err(HashPasswordError::Empty),
        1..=MAX_PASSWORD_BYTES => Ok(password),
        _ => Err(HashPasswordError::TooLong),
    }
}

/// Reads up to the end of the line or of the input, without a leading byte order mark. The buffered reader of the standard library is
/// not used: its buffer would keep a copy that is never zeroed.
fn read_line(input: impl AsFd) -> Result<Secret, HashPasswordError> {
    let mut buffer = Zeroizing::new([0; MAX_LINE_BYTES]);
    let mut filled = 0;
    let end = loop {
        let read = retry_on_intr(|| rustix::io::read(&input, &mut buffer[filled..]))
            .map_err(io::Error::from)?;
        let line = &buffer[..filled + read];
        match line[filled..].iter().position(|byte| *byte == b'\n') {
            Some(end) => break filled + end,
            // End of input, or a full buffer, which is too long for a password anyway.
            None if read == 0 => break filled,
            None => filled += read,
        }
    };
    let line = without_byte_order_mark(&buffer[..end]);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = std::str::from_utf8(line).map_err(|_| HashPasswordError::NotUtf8)?;
    Ok(Secret::new(line))
}

/// A terminal without echo. Drop restores it: at the end, after a signal, and during a panic.
struct EchoOff<T: AsFd> {
    tty: T,
    original: Termios,
}

impl<T: AsFd> EchoOff<T> {
    fn new(tty: T) -> io::Result<Self> {
        let original = tcgetattr(&tty)?;
        let mut attributes = original.clone();
        attributes.local_modes.remove(LocalModes::ECHO);
        // Still echo the line feed, so that each prompt begins on its own line.
        attributes.local_modes.insert(LocalModes::ECHONL);
        // Ctrl-Z would leave the shell a terminal without echo.
        attributes.special_codes[SpecialCodeIndex::VSUSP] = DISABLED;
        let echo_off = Self { tty, original };
        tcsetattr(&echo_off.tty, OptionalActions::Now, &attributes)?;
        Ok(echo_off)
    }
}

impl<T: AsFd> Drop for EchoOff<T> {
    fn drop(&mut self) {
        // Flush unread input: it may be a password, and the shell would read it next. A failure
        // means that the terminal is gone.
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
        EchoOff, EndSignals, FIRST_PROMPT, HashPasswordError, MAX_PASSWORD_BYTES,
        NEXT_ROUND_PROMPT, SECOND_PROMPT, checked, read_line, read_twice, without_ctrl_z,
    };

    /// Runs [`read_twice`] with these inputs. Returns its result and the prompts.
    fn enter(inputs: &[&str]) -> (Result<String, String>, Vec<String>) {
        let (mut inputs, mut prompts) = (inputs.iter(), Vec::new());
        let password = read_twice(|prompt| {
            prompts.push(prompt.to_owned());
            Ok(Secret::new(*inputs.next().expect("no further prompt")))
        });
        let password = password.map(|password| password.expose().to_owned());
        (password.map_err(|error| error.to_string()), prompts)
    }

    #[test]
    fn equal_passwords_accepted() {
        let (password, prompts) = enter(&["secret", "secret"]);
        assert_eq!(password, Ok("secret".to_owned()));
        assert_eq!(prompts, [FIRST_PROMPT, SECOND_PROMPT]);
    }

    /// Former fault: the same password in NFC and NFD was two passwords.
    #[test]
    fn composed_and_decomposed_password_equal() {
        let (password, _) = enter(&["cafe\u{301}", "caf\u{e9}"]);
        assert_eq!(password, Ok("caf\u{e9}".to_owned()));
    }

    #[test]
    fn differing_passwords_prompted_three_times() {
        let (password, prompts) = enter(&["secret", "secrte", "secret", "secret"]);
        assert_eq!(password, Ok("secret".to_owned()));
        let rounds = [
            FIRST_PROMPT,
            SECOND_PROMPT,
            NEXT_ROUND_PROMPT,
            SECOND_PROMPT,
        ];
        assert_eq!(prompts, rounds);

        let (password, prompts) = enter(&["a", "b", "b", "a", "a", ""]);
        let error = "the two passwords differed 3 times";
        assert_eq!(password, Err(error.to_owned()));
        assert_eq!(prompts.len(), 6);
    }

    #[test]
    fn unusable_password_refused_before_repetition() {
        let longest = "x".repeat(MAX_PASSWORD_BYTES);
        assert_eq!(enter(&[&longest, &longest]).0, Ok(longest.clone()));
        for (input, error) in [
            (
                String::new(),
                "the password is empty: enter it at the terminal, or as one line of stdin",
            ),
            (
                longest + "x",
                "the password is too long: a login has room for 1022 bytes",
            ),
        ] {
            let (password, prompts) = enter(&[&input]);
            assert_eq!(password, Err(error.to_owned()));
            assert_eq!(prompts, [FIRST_PROMPT]);
        }
    }

    /// An unhandled signal would end this process.
    #[tokio::test]
    async fn every_ending_signal_is_handled() {
        use rustix::process::{Signal, getpid, kill_process};
        let mut signals = EndSignals::new().unwrap();
        for signal in [Signal::QUIT, Signal::HUP, Signal::ALARM, Signal::USR1] {
            kill_process(getpid(), signal).unwrap();
            signals.recv().await;
        }
    }

    #[test]
    fn ctrl_z_is_no_part_of_a_password() {
        let typed = Secret::new("sec\u{1a}ret\u{1a}");
        assert_eq!(without_ctrl_z(&typed).expose(), "secret");
    }

    /// Reads a line from a pipe that delivers these pieces.
    fn line_of(pieces: &[&[u8]]) -> Result<String, HashPasswordError> {
        let (reader, mut writer) = io::pipe().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for piece in pieces {
                    // Fails if the reader has finished.
                    let _ = writer.write_all(piece);
                }
            });
            let line = read_line(&reader);
            drop(reader);
            line.map(|line| line.expose().to_owned())
        })
    }

    #[test]
    fn line_ends_at_line_feed_or_end_of_input() {
        let pieces: [(&[&[u8]], &str); 11] = [
            (&[b"secret\n"], "secret"),
            (&[b"secret"], "secret"),
            (&[b"secret\r\n"], "secret"),
            (&[b"sec", b"ret", b"\n"], "secret"),
            (&[b" a:\r\xc3\xbc \n"], " a:\r\u{fc} "),
            (&[b"secret\nanother\n"], "secret"),
            (&[b"\nsecret\n"], ""),
            (&[], ""),
            // Row: with a byte order mark, the hash matched no password that can be typed.
            (&[b"\xef\xbb\xbfsecret\n"], "secret"),
            (&[b"\xef\xbb", b"\xbfsecret\n"], "secret"),
            (&[b"\xef\xbb\xbf"], ""),
        ];
        for (pieces, line) in pieces {
            assert_eq!(line_of(pieces).unwrap(), line, "{pieces:?}");
        }
    }

    #[test]
    fn non_utf8_or_overlong_line_refused() {
        let error = line_of(&[b"secr\xff\n"]).unwrap_err();
        assert!(matches!(error, HashPasswordError::NotUtf8), "{error:?}");
        let endless = line_of(&[&vec![b'x'; 1 << 20]]).unwrap();
        let error = checked(&Secret::new(endless)).unwrap_err();
        assert!(matches!(error, HashPasswordError::TooLong), "{error:?}");
    }

    /// Opens a pseudo-terminal, and returns both ends.
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
    fn echo_and_suspend_key_off_until_restored() {
        let (_controller, tty) = pseudo_terminal();
        let before = shown(&tcgetattr(&tty).unwrap());
        let echo_off = EchoOff::new(&tty).unwrap();
        let during = tcgetattr(&tty).unwrap();
        assert!(!during.local_modes.contains(LocalModes::ECHO));
        let lines_and_signals = LocalModes::ICANON | LocalModes::ISIG;
        assert!(during.local_modes.contains(lines_and_signals));
        assert_eq!(during.special_codes[SpecialCodeIndex::VSUSP], 0);
        // Ctrl-\ sends a signal, which is handled. Without it the key would be part of the password.
        assert_ne!(during.special_codes[SpecialCodeIndex::VQUIT], 0);
        drop(echo_off);
        assert_eq!(shown(&tcgetattr(&tty).unwrap()), before);
    }

    #[test]
    fn unread_input_flushed_on_restore() {
        let (controller, mut tty) = pseudo_terminal();
        let mut keys = File::from(controller);
        let echo_off = EchoOff::new(tty.try_clone().unwrap()).unwrap();
        keys.write_all(b"secret\n").unwrap();
        // The input takes a moment from one end to the other.
        let mut arrived = [PollFd::new(&tty, PollFlags::IN)];
        assert_eq!(poll(&mut arrived, None).unwrap(), 1);
        drop(echo_off);
        keys.write_all(b"next\n").unwrap();
        let mut line = [0; 5];
        tty.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"next\n");
    }

    #[test]
    fn panic_restores_terminal() {
        let (_controller, tty) = pseudo_terminal();
        let before = shown(&tcgetattr(&tty).unwrap());
        let failed = std::panic::catch_unwind(|| {
            let _echo_off = EchoOff::new(&tty).unwrap();
            assert_ne!(shown(&tcgetattr(&tty).unwrap()), before);
            std::panic::resume_unwind(Box::new("a panic"));
        });
        assert!(failed.is_err());
        assert_eq!(shown(&tcgetattr(&tty).unwrap()), before);
    }
}
