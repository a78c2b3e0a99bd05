//! Splitting of the input into lines, and the meaning of a line.

use std::{io, num::NonZeroUsize};

use proto::{escape::Escaped, secret::Secret, text::without_byte_order_mark};

use super::{
    prompt::Prompt,
    records::{Records, Unit},
};

/// The treatment of the word `exit`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// A line `exit` ends the session.
    #[default]
    Commands,
    /// Every line is data.
    Literal,
}

impl Words {
    /// Returns true if a line that was entered at this prompt ends the session. Only the bare word
    /// `exit` does. Nothing is trimmed, so that every other text can be sent. A password may be any
    /// text, even `exit`.
    pub(super) fn end_session(self, line: &str, prompt: &Prompt) -> bool {
        match (self, prompt) {
            (Self::Commands, Prompt::Credentials | Prompt::Context) => line == "exit",
            (Self::Commands, Prompt::Password(_)) | (Self::Literal, _) => false,
        }
    }
}

/// The longest user name of a further login attempt in a pipe.
const MAX_RETRY_NAME_BYTES: usize = 64;

/// Returns true if a line of a pipe is another login attempt after a refused one: it begins with a
/// simple user name and a colon, and no space follows. Any other line is probably a message, which
/// must not be sent as credentials.
pub(crate) fn is_login_attempt(line: &str) -> bool {
    let Some((name, password)) = line.split_once(':') else {
        return false;
    };
    let is_simple = |byte: u8| byte.is_ascii_alphanumeric() || b"._@+-".contains(&byte);
    (1..=MAX_RETRY_NAME_BYTES).contains(&name.len())
        && name.bytes().all(is_simple)
        && !password.starts_with(' ')
}

/// Returns the line that a person or a pipe enters at this prompt as credentials, or `None` for an
/// empty one, which is asked for again.
pub(crate) fn login_line(line: String, prompt: &Prompt) -> Option<Secret> {
    match prompt {
        Prompt::Password(name) => Some(credentials(format!("{name}:{line}"))),
        Prompt::Credentials | Prompt::Context => (!line.is_empty()).then(|| credentials(line)),
    }
}

/// Returns a credentials line in NFC: the name and the password are compared in this form (RFC 8265).
fn credentials(line: String) -> Secret {
    let line = Secret::new(line);
    Secret::password(line.expose())
}

/// The number of input lines that were not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnsentLines {
    /// Exactly this number.
    Exactly(usize),
    /// At least this number: the count was stopped.
    AtLeast(usize),
}

/// The reason why the input cannot be read any further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    #[error("{unit} {line} of the input is not UTF-8")]
    NotUtf8 { unit: Unit, line: usize },
    #[error("{unit} {line} of the input is longer than {limit} bytes")]
    TooLong {
        unit: Unit,
        line: usize,
        limit: NonZeroUsize,
    },
    #[error(
        "line {line} of the input is no object of --json-input: {}",
        Escaped(problem)
    )]
    NoAction { line: usize, problem: String },
    #[error(
        "the line is not sent: a terminal passes on {MAX_TERMINAL_LINE_BYTES} bytes of a line, and this one may have been longer; send it from a file, through a pipe"
    )]
    CutByTerminal,
    #[error("the input cannot be read")]
    Read(#[source] io::Error),
}

impl InputError {
    /// Returns the number of lines that the error concerns. They were not sent.
    pub(crate) fn lines(&self) -> usize {
        match self {
            Self::NotUtf8 { .. } | Self::TooLong { .. } | Self::NoAction { .. } => 1,
            Self::CutByTerminal | Self::Read(_) => 0,
        }
    }
}

/// The longest line that a terminal driver passes on in canonical mode. It drops the rest in
/// silence, so a line of this length may have been longer.
const MAX_TERMINAL_LINE_BYTES: usize = 4095;

/// The byte of Ctrl-Z. A terminal whose suspend key is disabled passes it on as data.
const SUBSTITUTE: u8 = 0x1a;

/// The source of the bytes of a [`LineSplitter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Stream,
    Terminal,
}

/// A splitter of bytes into lines. A line ends before `\n`, without one `\r`. The last line needs
/// no `\n`. A byte order mark before the first line is skipped. Records end before NUL instead.
#[derive(Debug)]
pub(crate) struct LineSplitter {
    bytes: Vec<u8>,
    /// The offset of the next line.
    start: usize,
    /// There is no `\n` before this offset, so that a long line is searched only once.
    searched: usize,
    lines: usize,
    /// The greatest length of a line, which bounds the buffer.
    limit: NonZeroUsize,
    source: Source,
    records: Records,
}

impl LineSplitter {
    pub(crate) fn new(limit: NonZeroUsize) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            searched: 0,
            lines: 0,
            limit,
            source: Source::Stream,
            records: Records::default(),
        }
    }

    /// Creates a splitter of the lines of a terminal. A line that the terminal may have cut is an
    /// error, and Ctrl-Z is dropped: it is no part of a password.
    pub(crate) fn for_terminal(limit: NonZeroUsize) -> Self {
        Self {
            source: Source::Terminal,
            ..Self::new(limit)
        }
    }

    /// Sets the form of the input.
    pub(super) fn with_records(self, records: Records) -> Self {
        Self { records, ..self }
    }

    /// Takes the bytes behind the last line, unless there are none.
    pub(super) fn take_bytes(&mut self) -> Option<Vec<u8>> {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.drain(..self.start);
        (self.start, self.searched) = (0, 0);
        // A stream is no line, and its first byte is input.
        self.lines += usize::from(!bytes.is_empty());
        (!bytes.is_empty()).then_some(bytes)
    }

    /// Appends bytes that were read.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the number of lines so far.
    pub(super) fn count(&self) -> usize {
        self.lines
    }

    /// Returns true if there was no line yet.
    pub(crate) fn is_untouched(&self) -> bool {
        self.lines == 0
    }

    /// Returns the next complete line.
    pub(crate) fn next_line(&mut self) -> Option<Result<String, InputError>> {
        let delimiter = self.records.delimiter();
        let unsearched = &self.bytes[self.searched..];
        let Some(length) = unsearched.iter().position(|byte| *byte == delimiter) else {
            self.searched = self.bytes.len();
            let begun = self.bytes.len() - self.start;
            // Room for `\r`, and for a byte order mark.
            let more = if self.lines == 0 { 4 } else { 1 };
            let most = self.limit.get().saturating_add(more);
            return (begun > most).then(|| Err(self.too_long()));
        };
        let end = self.searched + length;
        let line = self.line(self.start..end);
        self.start = end + 1;
        self.searched = self.start;
        Some(line)
    }

    /// Returns the last line at the end of the input, if it has no `\n`.
    pub(crate) fn finish(&mut self) -> Option<Result<String, InputError>> {
        let rest = self.start..self.bytes.len();
        self.start = rest.end;
        self.searched = rest.end;
        let is_first = self.lines == 0;
        let is_empty = match &self.bytes[rest.clone()] {
            // Nothing but a byte order mark.
            bytes if is_first => without_byte_order_mark(bytes).is_empty(),
            bytes => bytes.is_empty(),
        };
        (!is_empty).then(|| self.line(rest))
    }

    fn line(&mut self, range: std::ops::Range<usize>) -> Result<String, InputError> {
        let mut line = &self.bytes[range];
        if self.source == Source::Terminal && line.len() >= MAX_TERMINAL_LINE_BYTES {
            self.lines += 1;
            return Err(InputError::CutByTerminal);
        }
        if self.lines == 0 {
            line = without_byte_order_mark(line);
        }
        let line = match self.records {
            Records::Lines | Records::Raw | Records::Json => {
                line.strip_suffix(b"\r").unwrap_or(line)
            }
            Records::Null => line,
        };
        if line.len() > self.limit.get() {
            return Err(self.too_long());
        }
        self.lines += 1;
        let line = std::str::from_utf8(line).map_err(|_| InputError::NotUtf8 {
            unit: self.records.unit(),
            line: self.lines,
        });
        line.map(|line| match self.source {
            Source::Terminal => line.replace(char::from(SUBSTITUTE), ""),
            Source::Stream => line.to_owned(),
        })
    }

    fn too_long(&self) -> InputError {
        InputError::TooLong {
            unit: self.records.unit(),
            line: self.lines + 1,
            limit: self.limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use proto::username::UserName;

    use super::{InputError, LineSplitter, Prompt, Secret, Words, is_login_attempt, login_line};
    use std::num::NonZeroUsize;

    fn splitter(limit: usize) -> LineSplitter {
        LineSplitter::new(NonZeroUsize::new(limit).unwrap())
    }

    fn lines(input: &[u8], chunk: usize) -> Vec<Result<String, String>> {
        let mut splitter = splitter(1000);
        let mut lines = Vec::new();
        for bytes in input.chunks(chunk) {
            splitter.push(bytes);
            lines.extend(std::iter::from_fn(|| splitter.next_line()));
        }
        lines.extend(splitter.finish());
        let said = |line: Result<String, InputError>| line.map_err(|error| error.to_string());
        lines.into_iter().map(said).collect()
    }

    #[test]
    fn only_the_bare_word_exit_ends_the_session() {
        for prompt in [Prompt::Credentials, Prompt::Context] {
            assert!(Words::Commands.end_session("exit", &prompt));
            for text in ["", "exit ", " exit", "Exit", "exit\r", "quit", "exit now"] {
                assert!(!Words::Commands.end_session(text, &prompt), "{text}");
            }
            assert!(!Words::Literal.end_session("exit", &prompt));
        }
        let password = Prompt::Password(UserName::parse("jane").unwrap());
        assert!(!Words::Commands.end_session("exit", &password));
    }

    #[test]
    fn login_attempt_is_name_and_colon() {
        let longest = format!("{}:", "n".repeat(64));
        for line in [
            "a:b",
            "a:",
            "jane.d_o-e+x@example.org:1 2",
            "exit:x",
            &longest,
        ] {
            assert!(is_login_attempt(line), "{line}");
        }
        let too_long = format!("n{longest}");
        for line in [
            "",
            "hello",
            ":b",
            "note: buy milk",
            "see https://x",
            "a b:c",
            "ünï:x",
            "{\"a\":1}",
            &too_long,
        ] {
            assert!(!is_login_attempt(line), "{line}");
        }
    }

    #[test]
    fn password_may_be_exit_or_empty() {
        let password = Prompt::Password(UserName::parse("jane").unwrap());
        for (prompt, line, expected) in [
            (&Prompt::Credentials, "admin:1", Some("admin:1")),
            (&Prompt::Credentials, "exit:", Some("exit:")),
            (&password, "exit", Some("jane:exit")),
            (&password, "", Some("jane:")),
            (&Prompt::Credentials, "", None),
        ] {
            let found = login_line(line.to_owned(), prompt);
            assert_eq!(found.as_ref().map(Secret::expose), expected);
        }
    }

    #[test]
    fn line_ends_before_newline_and_one_carriage_return() {
        for (input, expected) in [
            (&b""[..], &[][..]),
            (b"a", &["a"]),
            (b"a\n", &["a"]),
            (b"a\r\n", &["a"]),
            (b"a\r\r\n", &["a\r"]),
            (b"\n\r\n", &["", ""]),
            (b"a\rb\nc\r", &["a\rb", "c"]),
            ("ü\n你好".as_bytes(), &["ü", "你好"]),
        ] {
            for chunk in [1, 2, 100] {
                let found: Vec<_> = lines(input, chunk)
                    .into_iter()
                    .map(Result::unwrap)
                    .collect();
                assert_eq!(found, expected, "{input:?} by {chunk}");
            }
        }
    }

    /// Former fault: a byte order mark became part of the first line, so its credentials were wrong.
    #[test]
    fn byte_order_mark_of_piped_input_is_skipped() {
        for (input, expected) in [
            ("\u{feff}a:b\nc\n", &["a:b", "c"][..]),
            ("\u{feff}\r\na", &["", "a"]),
            ("\u{feff}a", &["a"]),
            ("\u{feff}", &[]),
            ("a\n\u{feff}b", &["a", "\u{feff}b"]),
        ] {
            for chunk in [1, 2, 100] {
                let found: Result<Vec<_>, _> = lines(input.as_bytes(), chunk).into_iter().collect();
                assert_eq!(found.unwrap(), expected, "{input:?} by {chunk}");
            }
        }
    }

    /// Former fault: the same password in NFC and NFD was two passwords.
    #[test]
    fn typed_credentials_are_normalised_to_nfc() {
        let password = Prompt::Password(UserName::parse("jane").unwrap());
        for (prompt, line) in [
            (&Prompt::Credentials, "jane:cafe\u{301}"),
            (&password, "cafe\u{301}"),
        ] {
            let line = login_line(line.to_owned(), prompt).unwrap();
            assert_eq!(line.expose(), "jane:caf\u{e9}");
        }
    }

    #[test]
    fn line_not_utf8_is_reported_by_number() {
        assert_eq!(
            lines(b"a\n\xff\nb\n", 100)[1],
            Err("line 2 of the input is not UTF-8".into())
        );
        assert_eq!(
            lines(b"a\nb\n\xc3", 100)[2],
            Err("line 3 of the input is not UTF-8".into())
        );
    }

    #[test]
    fn line_over_the_limit_is_an_error() {
        let mut longest = splitter(4);
        longest.push(b"abcd\r\nabcd");
        assert_eq!(longest.next_line().unwrap().unwrap(), "abcd");
        assert!(longest.next_line().is_none());
        longest.push(b"ef");
        assert_eq!(
            longest.next_line().unwrap().unwrap_err().to_string(),
            "line 2 of the input is longer than 4 bytes"
        );
        let mut whole = splitter(4);
        whole.push(b"abcde\n");
        assert!(matches!(
            whole.next_line(),
            Some(Err(InputError::TooLong { line: 1, .. }))
        ));
    }

    /// A terminal without its suspend key passes Ctrl-Z on, and cuts a line in silence.
    #[test]
    fn terminal_line_loses_ctrl_z_and_is_never_cut() {
        let mut terminal = LineSplitter::for_terminal(NonZeroUsize::new(1 << 20).unwrap());
        terminal.push(b"admin:12\x1a3456\x1a\n");
        assert_eq!(terminal.next_line().unwrap().unwrap(), "admin:123456");
        // Cut within a character.
        let cut = "ü".repeat(3000);
        terminal.push(&cut.as_bytes()[..4095]);
        terminal.push(b"\nnext\n");
        let error = terminal.next_line().unwrap().unwrap_err();
        assert!(matches!(error, InputError::CutByTerminal), "{error}");
        assert_eq!(terminal.next_line().unwrap().unwrap(), "next");
        terminal.push(&[b'x'; 4094]);
        terminal.push(b"\n");
        assert_eq!(terminal.next_line().unwrap().unwrap().len(), 4094);
        // A pipe may have anything.
        assert_eq!(lines(b"\x1aa\n", 100), [Ok("\x1aa".to_owned())]);
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_chunk_size(
            text in "([a-zü]{0,5}[\r\n]{0,2}){0,20}",
            chunk in 1_usize..9,
        ) {
            prop_assert_eq!(lines(text.as_bytes(), chunk), lines(text.as_bytes(), 1 << 20));
        }
    }
}
