//! How both programs read TOML: errors that say where and what to write, and values with units.
//!
//! A value is written with its unit (`"10s"`, `"64KiB"`), is never zero, and may be switched off
//! with `"off"` where its key allows that.

use std::{
    fmt::{self, Write as _},
    num::NonZeroUsize,
    time::Duration,
};

use bytesize::ByteSize;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, Visitor};

use crate::escape;

/// Reads a TOML document.
pub fn from_toml<T: DeserializeOwned>(source: &str) -> Result<T, TomlError> {
    toml::from_str(source).map_err(|error| TomlError::from_toml(source, &error))
}

/// Why a TOML document cannot be used: where, which key, and what to write.
///
/// It never repeats a value that stands in the document, because that may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TomlError {
    line: Option<usize>,
    key: Option<String>,
    problem: String,
}

impl TomlError {
    /// A problem with the value of a key, which is named as `section.key`, or as `key` where it
    /// stands in no section. The line is found in the document.
    pub fn at_key(source: &str, path: &str, problem: impl Into<String>) -> Self {
        let (section, key) = path.rsplit_once('.').unwrap_or(("", path));
        let line = keys(source).find(|found| found.section == section && found.key == key);
        Self {
            line: line.map(|found| found.line),
            key: Some(path.to_owned()),
            problem: problem.into(),
        }
    }

    /// A problem with what stands at a byte of the document.
    pub fn at_byte(source: &str, byte: usize, problem: impl Into<String>) -> Self {
        let before = source.get(..byte).unwrap_or(source);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let key = keys(source)
            .find(|found| found.line == line)
            .map(|found| found.path());
        Self {
            line: Some(line),
            key,
            problem: problem.into(),
        }
    }

    /// A problem with the document as a whole.
    pub fn whole(problem: impl Into<String>) -> Self {
        Self {
            line: None,
            key: None,
            problem: problem.into(),
        }
    }

    fn from_toml(source: &str, error: &toml::de::Error) -> Self {
        let problem = plain_words(error.message());
        let Some(span) = error.span() else {
            return Self::whole(problem);
        };
        let error = Self::at_byte(source, span.start, problem);
        // What stands where a key should in a document that is no TOML may be anything.
        let is_toml = toml::from_str::<toml::Table>(source).is_ok();
        if is_toml {
            error
        } else {
            Self { key: None, ..error }
        }
    }

    /// The line, counted from 1, where it is known.
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

impl fmt::Display for TomlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "`{key}`: ")?;
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for TomlError {}

/// A key of a document, and where it stands.
struct FoundKey<'a> {
    line: usize,
    section: &'a str,
    key: &'a str,
}

impl FoundKey<'_> {
    fn path(&self) -> String {
        if self.section.is_empty() {
            self.key.to_owned()
        } else {
            format!("{}.{}", self.section, self.key)
        }
    }
}

/// The keys of a document that are written one a line, in order.
fn keys(source: &str) -> impl Iterator<Item = FoundKey<'_>> {
    let mut section = "";
    source.lines().enumerate().filter_map(move |(index, line)| {
        let line = line.trim();
        if line.starts_with('[') {
            section = line.trim_matches(|c| matches!(c, '[' | ']' | ' '));
            return None;
        }
        let (key, _) = line.split_once('=')?;
        let key = key.trim();
        let bare = !key.is_empty()
            && key
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        bare.then_some(FoundKey {
            line: index + 1,
            section,
            key,
        })
    })
}

/// Takes the value out of serde's message about a wrong one, and turns its list of all known keys
/// into the one that was probably meant.
fn plain_words(message: &str) -> String {
    if message.starts_with("invalid ")
        && let Some((_, expected)) = message.rsplit_once(", expected ")
    {
        return format!("expected {expected}");
    }
    let Some(rest) = message.strip_prefix("unknown field `") else {
        return message.to_owned();
    };
    let mut quoted = rest.split('`').step_by(2);
    let unknown = quoted.next().unwrap_or_default();
    let known: Vec<&str> = quoted.filter(|name| !name.is_empty()).collect();
    let nearest = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(unknown, name), *name))
        .min()
        .filter(|(distance, name)| *distance <= name.len().div_ceil(3));
    match nearest {
        Some((_, name)) => format!("unknown key `{unknown}`; did you mean `{name}`?"),
        None => format!("unknown key `{unknown}`; known here: {}", known.join(", ")),
    }
}

/// Writes a text as a TOML string.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            _ if escape::is_unsafe(c) => {
                // Writing to a string does not fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A time span such as `"10s"`, `"1m 30s"` or `"250ms"`; never zero, and at most a year, so that it
/// can be added to any point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeSpan(pub Duration);

impl TimeSpan {
    const MAX: Duration = Duration::from_hours(365 * 24);
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", humantime::format_duration(self.0))
    }
}

impl std::str::FromStr for TimeSpan {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match humantime::parse_duration(text) {
            Ok(Duration::ZERO) => Err("a time span is never zero"),
            Ok(span) if span > Self::MAX => Err("write at most one year"),
            Ok(span) => Ok(Self(span)),
            Err(_) => Err(Self::EXPECTED),
        }
    }
}

/// A number of bytes such as `"64KiB"`, `"1MB"` or `4096`; never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub NonZeroUsize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.get();
        let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units
            .into_iter()
            .find(|(unit, _)| bytes.is_multiple_of(*unit))
        {
            Some((unit, name)) => write!(f, "\"{}{name}\"", bytes / unit),
            None => write!(f, "{bytes}"),
        }
    }
}

impl std::str::FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let size: ByteSize = text.parse().map_err(|_| Self::EXPECTED)?;
        usize::try_from(size.as_u64())
            .ok()
            .and_then(NonZeroUsize::new)
            .map(Self)
            .ok_or("a size is never zero")
    }
}

/// A number of things; never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub NonZeroUsize);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A limit that `"off"` switches off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit<T> {
    /// There is no limit.
    Off,
    /// The limit is this.
    At(T),
}

impl<T> Limit<T> {
    /// The limit, where there is one.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Off => None,
            Self::At(value) => Some(value),
        }
    }
}

impl<T: fmt::Display> fmt::Display for Limit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("\"off\""),
            Self::At(value) => value.fmt(f),
        }
    }
}

/// A value that is written as a string, or as a whole number, or as either.
trait Setting: Sized {
    const EXPECTED: &'static str;

    fn from_text(text: &str) -> Result<Self, &'static str>;

    fn from_number(number: u64) -> Result<Self, &'static str>;
}

impl Setting for TimeSpan {
    const EXPECTED: &'static str = "write a time span such as \"10s\" or \"1m 30s\"";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        text.parse()
    }

    fn from_number(_: u64) -> Result<Self, &'static str> {
        Err(Self::EXPECTED)
    }
}

impl Setting for Size {
    const EXPECTED: &'static str = "write a size such as \"64KiB\" or \"1MiB\"";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        text.parse()
    }

    fn from_number(number: u64) -> Result<Self, &'static str> {
        let size = usize::try_from(number).ok().and_then(NonZeroUsize::new);
        size.map(Self).ok_or("a size is never zero")
    }
}

impl Setting for Count {
    const EXPECTED: &'static str = "write a whole number above zero";

    fn from_text(_: &str) -> Result<Self, &'static str> {
        Err(Self::EXPECTED)
    }

    fn from_number(number: u64) -> Result<Self, &'static str> {
        let count = usize::try_from(number).ok().and_then(NonZeroUsize::new);
        count.map(Self).ok_or(Self::EXPECTED)
    }
}

impl<T: Setting> Setting for Limit<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_text(text: &str) -> Result<Self, &'static str> {
        if text == "off" {
            Ok(Self::Off)
        } else {
            T::from_text(text).map(Self::At)
        }
    }

    fn from_number(number: u64) -> Result<Self, &'static str> {
        T::from_number(number).map(Self::At)
    }
}

struct SettingVisitor<T>(std::marker::PhantomData<T>);

impl<T: Setting> Visitor<'_> for SettingVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        T::from_number(number).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        let number = u64::try_from(number).map_err(|_| E::custom(T::EXPECTED))?;
        self.visit_u64(number)
    }
}

macro_rules! deserialize_setting {
    ($($setting:ty),*) => {$(
        impl<'de> Deserialize<'de> for $setting {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(SettingVisitor(std::marker::PhantomData))
            }
        }
    )*};
}

deserialize_setting!(
    TimeSpan,
    Size,
    Count,
    Limit<TimeSpan>,
    Limit<Size>,
    Limit<Count>
);

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::{Count, Limit, Size, TimeSpan, TomlError, from_toml, quoted};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        listen: Option<String>,
        limits: Option<Limits>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Limits {
        deadline: Option<TimeSpan>,
        bytes: Option<Size>,
        count: Option<Count>,
        ping: Option<Limit<TimeSpan>>,
    }

    fn limits(source: &str) -> Limits {
        from_toml::<File>(&format!("[limits]\n{source}"))
            .unwrap()
            .limits
            .unwrap()
    }

    #[test]
    fn values_print_as_they_may_be_written() {
        for text in ["\"10s\"", "\"1m 30s\"", "\"250ms\""] {
            assert_eq!(
                limits(&format!("deadline = {text}"))
                    .deadline
                    .unwrap()
                    .to_string(),
                text
            );
        }
        for (text, printed) in [
            ("\"64KiB\"", "\"64KiB\""),
            ("1048576", "\"1MiB\""),
            ("\"1MB\"", "1000000"),
            ("\"1.5 KiB\"", "1536"),
        ] {
            assert_eq!(
                limits(&format!("bytes = {text}"))
                    .bytes
                    .unwrap()
                    .to_string(),
                printed
            );
        }
        assert_eq!(limits("count = 3").count.unwrap().to_string(), "3");
        assert_eq!(limits("ping = \"off\"").ping, Some(Limit::Off));
        assert_eq!(
            limits("ping = \"20s\"").ping.unwrap().to_string(),
            "\"20s\""
        );
    }

    #[test]
    fn quoted_text_reads_as_it_was() {
        for text in [
            "",
            "plain",
            "a \"b\" \\c",
            "line\r\nbreak\t\u{1b}\u{202e}",
            "你好",
        ] {
            let file: File = from_toml(&format!("listen = {}", quoted(text))).unwrap();
            assert_eq!(file.listen.as_deref(), Some(text));
        }
    }

    #[test]
    fn a_document_without_a_key_leaves_it_out() {
        let file: File = from_toml("listen = \"127.0.0.1:5678\"").unwrap();
        assert_eq!(file.listen.as_deref(), Some("127.0.0.1:5678"));
        assert!(file.limits.is_none());
    }

    #[test]
    fn errors_say_line_key_and_what_to_write() {
        for (source, message) in [
            (
                "# comment\nlisten = 5",
                "line 2: `listen`: expected a string",
            ),
            (
                "lisen = \"x\"",
                "line 1: `lisen`: unknown key `lisen`; did you mean `listen`?",
            ),
            (
                "[limts]",
                "line 1: unknown key `limts`; did you mean `limits`?",
            ),
            (
                "something = 1",
                "line 1: `something`: unknown key `something`; known here: listen, limits",
            ),
            (
                "[limits]\ndeadline = 10",
                "line 2: `limits.deadline`: write a time span such as \"10s\" or \"1m 30s\"",
            ),
            (
                "[limits]\ndeadline = \"0s\"",
                "line 2: `limits.deadline`: a time span is never zero",
            ),
            (
                "[limits]\nbytes = 0",
                "line 2: `limits.bytes`: a size is never zero",
            ),
            (
                "[limits]\nbytes = \"much\"",
                "line 2: `limits.bytes`: write a size such as \"64KiB\" or \"1MiB\"",
            ),
            (
                "[limits]\ncount = -1",
                "line 2: `limits.count`: write a whole number above zero",
            ),
            (
                "[limits]\ncount = \"off\"",
                "line 2: `limits.count`: write a whole number above zero",
            ),
            (
                "[limits]\nping = \"of\"",
                "line 2: `limits.ping`: write a time span such as \"10s\" or \"1m 30s\"",
            ),
        ] {
            assert_eq!(from_toml::<File>(source).unwrap_err().to_string(), message);
        }
        let error = from_toml::<File>("listen = \"x\"\nlisten = \"y\"").unwrap_err();
        assert_eq!(error.to_string(), "line 2: duplicate key");
    }

    #[test]
    fn a_key_is_found_in_its_section() {
        let source = "deadline = 1\n[limits]\n  deadline = 2\n[login]\ndeadline = 3\n";
        for (path, line) in [
            ("deadline", 1),
            ("limits.deadline", 3),
            ("login.deadline", 5),
        ] {
            assert_eq!(TomlError::at_key(source, path, "no").line(), Some(line));
        }
        let absent = TomlError::at_key(source, "echo.prefix", "no");
        assert_eq!(absent.to_string(), "`echo.prefix`: no");
    }
}
