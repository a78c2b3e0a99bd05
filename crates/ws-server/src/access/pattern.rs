//! Which paths a route is for.

use std::{fmt, str::FromStr, sync::Arc};

/// The greatest length of what may stand for the `*` of a path.
const MAX_REST_BYTES: usize = 128;

/// A path, or all paths that begin alike: `/room/*` is for `/room/lobby`, but neither for `/room/`
/// nor for `/room/a/b`. Paths are compared by bytes, as they stand in the request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pattern {
    /// This very path.
    Exact(Arc<str>),
    /// Whatever continues this by one segment; it ends in `/`.
    Below(Arc<str>),
}

/// A text that is not a [`Pattern`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a path such as \"/chat\", or \"/room/*\" for all paths of one more segment")]
pub struct PatternError;

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (path, is_below) = match text.strip_suffix('*') {
            Some(prefix) => (prefix, true),
            None => (text, false),
        };
        let is_path = path.starts_with('/')
            && path.bytes().all(is_of_path)
            && path.ends_with('/') >= is_below;
        if !is_path {
            Err(PatternError)
        } else if is_below {
            Ok(Self::Below(path.into()))
        } else {
            Ok(Self::Exact(path.into()))
        }
    }

    /// The path `/`.
    pub(crate) fn root() -> Self {
        Self::Exact("/".into())
    }

    /// Whether a path is one of these.
    pub(crate) fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == &**exact,
            Self::Below(prefix) => path.strip_prefix(&**prefix).is_some_and(|rest| {
                !rest.is_empty() && rest.len() <= MAX_REST_BYTES && !rest.contains('/')
            }),
        }
    }

    /// Whether some path is one of both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(path), other) | (other, Self::Exact(path)) => other.matches(path),
            (Self::Below(ours), Self::Below(other)) => ours == other,
        }
    }

    /// A path that matches, as an owned one; the same for all who ask for the same exact path.
    pub(crate) fn own(&self, path: &str) -> Arc<str> {
        match self {
            Self::Exact(exact) => Arc::clone(exact),
            Self::Below(_) => path.into(),
        }
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::parse(text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(path),
            Self::Below(prefix) => write!(f, "{prefix}*"),
        }
    }
}

/// What may stand in a path (RFC 3986 section 3.3), percent signs included.
fn is_of_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~!$&'()+,;=:@%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::{MAX_REST_BYTES, Pattern, PatternError};

    #[test]
    fn reads_paths_and_those_below() {
        for text in ["/", "/chat", "/a/b", "/room/", "/*", "/room/*", "/%7Ejane"] {
            assert_eq!(Pattern::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "", "chat", "*", "/room*", "/*/x", "/a*b*", "/a b", "/a?b", "/a#b", "/ä", "/room/**",
        ] {
            assert_eq!(Pattern::parse(text), Err(PatternError), "{text}");
        }
    }

    #[test]
    fn what_stands_for_the_star_has_a_bound() {
        let pattern = Pattern::parse("/room/*").unwrap();
        assert!(pattern.matches(&format!("/room/{}", "x".repeat(MAX_REST_BYTES))));
        assert!(!pattern.matches(&format!("/room/{}", "x".repeat(MAX_REST_BYTES + 1))));
    }
}
