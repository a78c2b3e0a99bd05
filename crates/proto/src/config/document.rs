//! TOML documents, and errors in them.

use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeOwned, Error as _, Visitor, value::Error as KeysError},
};
use toml::{Spanned, de::DeTable};

/// Deserialises a TOML document.
///
/// # Errors
///
/// Invalid TOML, an unknown or missing key, or a value that the type does not accept.
pub fn from_toml<T: DeserializeOwned>(source: &str) -> Result<T, TomlError> {
    from_table(source, parse_toml(source)?)
}

/// Parses a TOML document into a table whose keys and values carry their byte spans.
pub fn parse_toml(source: &str) -> Result<Spanned<DeTable<'_>>, TomlError> {
    DeTable::parse(source).map_err(|error| TomlError::from_toml(source, &error))
}

/// Deserialises a table of a TOML document. `source` is the whole document, for line numbers.
pub fn from_table<T: DeserializeOwned>(
    source: &str,
    table: Spanned<DeTable<'_>>,
) -> Result<T, TomlError> {
    T::deserialize(toml::de::Deserializer::from(table))
        .map_err(|error| TomlError::from_toml(source, &error))
}

/// Returns the field names that a struct deserialises. The result is empty for other types.
pub fn known_keys<T: DeserializeOwned>() -> &'static [&'static str] {
    /// A deserializer that records the struct's field names and then fails.
    struct Keys<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Keys<'_> {
        type Error = KeysError;

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _name: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, KeysError> {
            *self.0 = fields;
            self.deserialize_any(visitor)
        }

        fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, KeysError> {
            Err(KeysError::custom("only the keys are wanted"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
            option unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier
            ignored_any
        }
    }

    let mut keys = &[][..];
    // Always an error: there is no value.
    let _ = T::deserialize(Keys(&mut keys));
    keys
}

/// An error in a TOML document: the line, the key, and the problem with its remedy.
///
/// It never quotes a value of the document, because that may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TomlError {
    line: Option<usize>,
    key: Option<String>,
    problem: String,
}

impl TomlError {
    /// Creates an error for the value of a key. `path` is `section.key`, or `key` at the top level.
    /// The line is looked up in the document.
    pub fn at_key(source: &str, path: &str, problem: impl Into<String>) -> Self {
        let (section, key) = path.rsplit_once('.').unwrap_or(("", path));
        let line = keys(source).find(|found| found.section == section && found.key == key);
        Self {
            line: line.map(|found| found.line),
            key: Some(path.to_owned()),
            problem: problem.into(),
        }
    }

    /// Creates an error at a byte offset of the document.
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

    /// Creates an error for the document as a whole.
    pub fn whole(problem: impl Into<String>) -> Self {
        Self {
            line: None,
            key: None,
            problem: problem.into(),
        }
    }

    /// Creates an error for an unknown key at a byte offset. It suggests the most similar known key.
    pub fn unknown_key(source: &str, byte: usize, unknown: &str, known: &[&str]) -> Self {
        Self::at_byte(source, byte, suggestion(unknown, known))
    }

    fn from_toml(source: &str, error: &toml::de::Error) -> Self {
        let Some(span) = error.span() else {
            return Self::whole(redact(error.message()));
        };
        if toml::from_str::<toml::Table>(source).is_err() {
            // In invalid TOML, the text in the place of a key may be part of a secret.
            let problem = syntax_remedy(error.message());
            let key = None;
            return Self {
                key,
                ..Self::at_byte(source, span.start, problem)
            };
        }
        let problem = redact(error.message());
        let problem = bracket_remedy(source, span.start, &problem).unwrap_or(problem);
        Self::at_byte(source, span.start, problem)
    }

    /// Returns the line, counted from 1, if it is known.
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

/// A key of a document, with its line and section.
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

/// Returns the keys of a document that begin a line, in order.
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
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        bare.then_some(FoundKey {
            line: index + 1,
            section,
            key,
        })
    })
}

/// Removes the value from serde's message, and replaces its list of known keys by the most similar
/// one.
fn redact(message: &str) -> String {
    if message.starts_with("invalid ")
        && let Some((_, expected)) = message.rsplit_once(", expected ")
    {
        return remedy(expected).to_owned();
    }
    if let Some(key) = message.strip_prefix("missing field ") {
        return format!("the key {key} is missing");
    }
    if let Some((key, known)) = unknown_and_known(message, "unknown field `") {
        suggestion(key, &known)
    } else if let Some((_, known)) = unknown_and_known(message, "unknown variant `") {
        format!("write {}", choice(&known))
    } else {
        message.to_owned()
    }
}

const LIST: &str = "write a list in brackets, such as [\"a\", \"b\"]";
const TABLE: &str = "write a table: its name in brackets on a line, and its keys below";

/// Returns the instruction for serde's description of the expected value.
fn remedy(expected: &str) -> &str {
    match expected {
        "a boolean" => "write true or false",
        "a string" | "path string" => "write a text in quotes",
        "a sequence" => LIST,
        "a map" => TABLE,
        _ if expected.starts_with("struct ") => TABLE,
        // Our own types describe themselves by an instruction.
        _ => expected,
    }
}

/// Returns the instruction for a message of the TOML parser. Its words are those of the grammar.
fn syntax_remedy(message: &str) -> &'static str {
    let quotes = [
        "expected `\"`",
        "expected `'`",
        "invalid basic",
        "invalid literal",
    ];
    let known: [(&[&str], &str); 9] = [
        (
            &["duplicate key"],
            "this key is written twice; write it once",
        ),
        (
            &["escape", "unicode"],
            "a backslash begins an escape: write two of them, or the text in single quotes",
        ),
        (
            &["must be quoted"],
            "write a text in quotes; numbers, true and false have none",
        ),
        (
            &["expected `true`", "expected `false`"],
            "write true or false, in lower case",
        ),
        (
            &quotes,
            "close the text with the quote that begins it, on the same line",
        ),
        (&["unclosed table"], "close the name of the table with `]`"),
        (&["unclosed array"], "close the list with `]`"),
        (
            &["unexpected key or value"],
            "write each key on a line of its own",
        ),
        (&["key with no value"], "write key = value"),
    ];
    let mut known = known.iter();
    let found = known.find(|(words, _)| words.iter().any(|word| message.contains(word)));
    found.map_or(
        "this is not TOML: write key = value, with texts in quotes",
        |(_, remedy)| remedy,
    )
}

/// Returns the instruction for a header `[user]` in place of `[[user]]`.
fn bracket_remedy(source: &str, byte: usize, problem: &str) -> Option<String> {
    let start = source.get(..byte)?.rfind('\n').map_or(0, |end| end + 1);
    let header = source.get(start..)?.lines().next()?.trim();
    let (name, _) = header.strip_prefix('[')?.split_once(']')?;
    (problem == LIST).then(|| format!("write [[{name}]], not [{name}]"))
}

/// Splits serde's message about an unknown name into that name and the known names. The unknown
/// name may contain backticks, so the search runs from the end.
fn unknown_and_known<'m>(message: &'m str, start: &str) -> Option<(&'m str, Vec<&'m str>)> {
    let rest = message.strip_prefix(start)?;
    let (unknown, known) = rest
        .rsplit_once("`, expected ")
        .or_else(|| rest.rsplit_once("`, there are no "))?;
    Some((unknown, known.split('`').skip(1).step_by(2).collect()))
}

/// Suggests the most similar known key, or lists all of them if none is similar.
fn suggestion(unknown: &str, known: &[&str]) -> String {
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

/// Returns the list `"a", "b" or "c"`.
fn choice(known: &[&str]) -> String {
    let quoted: Vec<_> = known.iter().map(|name| format!("\"{name}\"")).collect();
    match quoted.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        all => all.concat(),
    }
}
