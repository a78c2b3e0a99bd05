//! A TOML document, and what may be wrong with it.

use std::fmt;

use serde::de::DeserializeOwned;

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
