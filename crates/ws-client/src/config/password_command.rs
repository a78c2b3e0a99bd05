//! The command that prints a password.

use std::{ffi::OsStr, io, process::Stdio, time::Duration};

use proto::{
    message::{Credentials, MAX_CREDENTIALS_BYTES},
    secret::Secret,
    text::without_byte_order_mark,
    username::UserName,
};
use tokio::{io::AsyncReadExt as _, process::Command, time::timeout};
use zeroize::Zeroizing;

/// The time limit of the command. A person may have to unlock a key ring.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The number of output bytes that are kept. The password is on the first line, and a longer line
/// cannot be one.
const MAX_OUTPUT_BYTES: usize = MAX_CREDENTIALS_BYTES + 8;

/// A program and its arguments, started without a shell. The first line that it prints is the
/// password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordCommand(Vec<String>);

impl PasswordCommand {
    /// Splits a text into words at spaces. Quotes and backslashes keep a word together, as in a shell.
    /// Nothing is expanded.
    ///
    /// # Errors
    ///
    /// There is no word, or a quote is not closed.
    pub fn parse(text: &str) -> Result<Self, PasswordCommandError> {
        let words = words(text).ok_or(PasswordCommandError::Quote)?;
        if words.first().is_none_or(String::is_empty) {
            return Err(PasswordCommandError::NoProgram);
        }
        Ok(Self(words))
    }

    /// Runs the command, and returns the credentials of this user.
    ///
    /// # Errors
    ///
    /// The command cannot be started, fails, takes longer than 30 s, or prints no usable password.
    pub(crate) async fn credentials(
        &self,
        name: UserName,
    ) -> Result<Credentials, PasswordCommandError> {
        let output = timeout(TIMEOUT, self.output())
            .await
            .map_err(|_| PasswordCommandError::TimedOut)??;
        let line = output.split(|byte| *byte == b'\n').next();
        let line = line.unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = without_byte_order_mark(line);
        let line = std::str::from_utf8(line).map_err(|_| PasswordCommandError::Encoding)?;
        if line.is_empty() {
            return Err(PasswordCommandError::Empty);
        }
        let password = Secret::password(line);
        let credentials = Credentials { name, password };
        if credentials.line().expose().len() > MAX_CREDENTIALS_BYTES {
            return Err(PasswordCommandError::TooLong);
        }
        Ok(credentials)
    }

    /// Runs the command, and returns the first bytes of its output. All other output is dropped. The
    /// command is killed when the future is dropped.
    async fn output(&self) -> Result<Zeroizing<Vec<u8>>, PasswordCommandError> {
        let [program, arguments @ ..] = self.0.as_slice() else {
            return Err(PasswordCommandError::NoProgram);
        };
        let program = OsStr::new(program);
        // Stdin holds the messages. A command that asks a person opens the terminal itself.
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(PasswordCommandError::Run)?;
        let mut output = Zeroizing::new(vec![0; MAX_OUTPUT_BYTES]);
        let mut length = 0;
        if let Some(stdout) = &mut child.stdout {
            let mut dropped = Zeroizing::new([0; 512]);
            loop {
                let target = match &mut output[length..] {
                    [] => &mut dropped[..],
                    rest => rest,
                };
                let read = stdout.read(target).await;
                match read.map_err(PasswordCommandError::Run)? {
                    0 => break,
                    count => length = MAX_OUTPUT_BYTES.min(length + count),
                }
            }
        }
        let status = child.wait().await.map_err(PasswordCommandError::Run)?;
        if !status.success() {
            return Err(PasswordCommandError::Failed(status.to_string()));
        }
        output.truncate(length);
        Ok(output)
    }
}

impl std::str::FromStr for PasswordCommand {
    type Err = PasswordCommandError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// Splits a text into words, or returns `None` if a quote is not closed or a backslash ends the text.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().push(characters.next()?),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// The reason why a command supplies no password. No error quotes the output.
#[derive(Debug, thiserror::Error)]
pub enum PasswordCommandError {
    /// A quote is not closed, or a backslash ends the text.
    #[error(
        "a quote is not closed, or a \\ is the last character; write the command as in a shell"
    )]
    Quote,
    /// There is no word.
    #[error("name a program, as in \"secret-tool lookup service example\"")]
    NoProgram,
    /// The command cannot be started or read.
    #[error("it cannot be run")]
    Run(#[source] io::Error),
    /// The command failed.
    #[error("it failed: {0}")]
    Failed(String),
    /// The command took too long.
    #[error("it did not end within {TIMEOUT:?}")]
    TimedOut,
    /// The first line is empty or missing.
    #[error("it printed no password; its first line must be the password")]
    Empty,
    /// The first line is not UTF-8.
    #[error("its first line is not UTF-8")]
    Encoding,
    /// Name and password together are longer than a server accepts.
    #[error("name and password together have at most {MAX_CREDENTIALS_BYTES} bytes")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use proto::username::UserName;

    use super::{PasswordCommand, PasswordCommandError, words};

    #[test]
    fn words_are_split_without_expansion() {
        for (text, expected) in [
            ("pass show x", &["pass", "show", "x"][..]),
            ("  a\t b ", &["a", "b"]),
            ("a 'b  c' \"d 'e\" f\\ g", &["a", "b  c", "d 'e", "f g"]),
            ("a '' x\"\"y", &["a", "", "xy"]),
            (
                "a $HOME `b` $(c) ~ * ; |",
                &["a", "$HOME", "`b`", "$(c)", "~", "*", ";", "|"],
            ),
            ("a '\\' \"\\\"\"", &["a", "\\", "\""]),
        ] {
            assert_eq!(words(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn malformed_command_is_an_error() {
        for text in ["a 'b", "a \"b", "a \\"] {
            let error = PasswordCommand::parse(text).unwrap_err();
            assert!(matches!(error, PasswordCommandError::Quote), "{text}");
        }
        for text in ["", "  ", "'' a"] {
            let error = PasswordCommand::parse(text).unwrap_err();
            assert!(matches!(error, PasswordCommandError::NoProgram), "{text}");
        }
    }

    async fn password(command: &str) -> Result<String, String> {
        let command = PasswordCommand::parse(command).unwrap();
        let credentials = command.credentials(UserName::parse("jane").unwrap()).await;
        credentials
            .map(|credentials| credentials.password.expose().to_owned())
            .map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn first_line_is_the_password() {
        for (command, expected) in [
            ("printf 'a b'", "a b"),
            ("printf 'a:b\\r\\nmore\\n'", "a:b"),
            ("printf '\\357\\273\\277x\\n'", "x"),
            ("sh -c 'echo x; head -c 1000000 /dev/zero'", "x"),
            // Stdin is not that of the client.
            ("sh -c 'cat; echo x'", "x"),
        ] {
            assert_eq!(
                password(command).await.as_deref(),
                Ok(expected),
                "{command}"
            );
        }
    }

    #[tokio::test]
    async fn unusable_output_is_an_error() {
        for (command, expected) in [
            ("/nonexistent/program", "it cannot be run"),
            ("sh -c 'echo x; exit 3'", "it failed: exit status: 3"),
            (
                "true",
                "it printed no password; its first line must be the password",
            ),
            (
                "printf '\\nx\\n'",
                "it printed no password; its first line must be the password",
            ),
            ("printf '\\377\\n'", "its first line is not UTF-8"),
            (
                "sh -c 'head -c 5000 /dev/zero | tr \"\\\\0\" x'",
                "name and password together have at most 1024 bytes",
            ),
        ] {
            assert_eq!(
                password(command).await,
                Err(expected.to_owned()),
                "{command}"
            );
        }
    }

    /// The clock is paused, so the time limit is reached as soon as nothing else can happen.
    #[tokio::test(start_paused = true)]
    async fn command_that_does_not_end_is_stopped() {
        let found = password("sleep 3600").await;
        assert_eq!(found, Err("it did not end within 30s".to_owned()));
    }
}
