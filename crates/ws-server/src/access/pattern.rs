//! The pattern of the paths that a route serves.

use std::{fmt, str::FromStr, sync::Arc};

use crate::access::normalize_path;

/// The greatest length of the segment that matches `*`, in bytes.
const MAX_SEGMENT_BYTES: usize = 128;

/// The greatest length of the segments that match `**` together, in bytes.
const MAX_TREE_BYTES: usize = 1024;

/// A path, or a prefix of paths. `/room/*` matches `/room/lobby`, but neither `/room/` nor
/// `/room/a/b`. `/app/**` matches `/app/`, `/app/a` and `/app/a/b`, but not `/app`. Patterns and paths
/// are in normal form ([`normalize_path`]) and compared by bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathPattern {
    /// One path.
    Exact(Arc<str>),
    /// The paths that continue this prefix by one segment. The prefix ends in `/`.
    Prefix(Arc<str>),
    /// The paths that continue this prefix by any number of segments. The prefix ends in `/`.
    Tree(Arc<str>),
}

/// A text that is not a [`PathPattern`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "write a path such as \"/chat\", \"/room/*\" for all paths of one more segment, or \"/app/**\" \
     for any depth"
)]
pub struct PathPatternError;

impl PathPattern {
    /// Parses a pattern, and normalises its path.
    ///
    /// # Errors
    ///
    /// A text without a leading `/`, with a character that no path has, with a `*` that is not its
    /// last segment, or without a normal form.
    pub fn parse(text: &str) -> Result<Self, PathPatternError> {
        type Variant = fn(Arc<str>) -> PathPattern;
        let (path, variant): (_, Variant) = match (text.strip_suffix("**"), text.strip_suffix('*'))
        {
            (Some(prefix), _) => (prefix, Self::Tree),
            (None, Some(prefix)) => (prefix, Self::Prefix),
            (None, None) => (text, Self::Exact),
        };
        let is_path = path.starts_with('/')
            && path.bytes().all(is_path_char)
            && (path.len() == text.len() || path.ends_with('/'));
        let path = normalize_path(path).map_err(|_| PathPatternError)?;
        if is_path {
            Ok(variant(path.into()))
        } else {
            Err(PathPatternError)
        }
    }

    /// Returns the pattern of the path `/`.
    pub(crate) fn root() -> Self {
        Self::Exact("/".into())
    }

    /// Returns true if the pattern matches a path.
    pub(crate) fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == &**exact,
            Self::Prefix(prefix) => path.strip_prefix(&**prefix).is_some_and(|rest| {
                !rest.is_empty() && rest.len() <= MAX_SEGMENT_BYTES && !rest.contains('/')
            }),
            Self::Tree(prefix) => path
                .strip_prefix(&**prefix)
                .is_some_and(|rest| rest.len() <= MAX_TREE_BYTES),
        }
    }

    /// Returns the part of a matching path that `*` or `**` stands for. It is empty for an exact path.
    pub(crate) fn rest<'p>(&self, path: &'p str) -> &'p str {
        match self {
            Self::Exact(_) => "",
            Self::Prefix(prefix) | Self::Tree(prefix) => {
                path.strip_prefix(&**prefix).unwrap_or_default()
            }
        }
    }

    /// Returns true if some path matches both patterns.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(path), other) | (other, Self::Exact(path)) => other.matches(path),
            (Self::Prefix(ours), Self::Prefix(other)) => ours == other,
            // A tree contains the paths of each prefix below it.
            (Self::Tree(tree), Self::Prefix(prefix)) | (Self::Prefix(prefix), Self::Tree(tree)) => {
                prefix.starts_with(&**tree)
            }
            (Self::Tree(ours), Self::Tree(other)) => {
                ours.starts_with(&**other) || other.starts_with(&**ours)
            }
        }
    }

    /// Returns a path that matches as an `Arc`. All callers with an exact path share one.
    pub(crate) fn to_arc(&self, path: &str) -> Arc<str> {
        match self {
            Self::Exact(exact) => Arc::clone(exact),
            Self::Prefix(_) | Self::Tree(_) => path.into(),
        }
    }
}

impl FromStr for PathPattern {
    type Err = PathPatternError;

    fn from_str(text: &str) -> Result<Self, PathPatternError> {
        Self::parse(text)
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(path),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
            Self::Tree(prefix) => write!(f, "{prefix}**"),
        }
    }
}

/// Returns true for a byte that a path may contain (RFC 3986 section 3.3), including `%`, or that is
/// encoded in its normal form.
fn is_path_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~!$&'()+,;=:@%".contains(&byte) || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::{MAX_SEGMENT_BYTES, MAX_TREE_BYTES, PathPattern, PathPatternError};

    #[test]
    fn path_and_prefix_patterns_parsed() {
        for text in [
            "/", "/chat", "/a/b", "/room/", "/*", "/room/*", "/~jane", "/**", "/app/**",
        ] {
            assert_eq!(PathPattern::parse(text).unwrap().to_string(), text);
        }
        for (text, normal) in [("/%7ejane/*", "/~jane/*"), ("/caf\u{e9}", "/caf%C3%A9")] {
            assert_eq!(PathPattern::parse(text).unwrap().to_string(), normal);
        }
        for text in [
            "", "chat", "*", "/room*", "/*/x", "/a*b*", "/a b", "/a?b", "/a#b", "/a%", "/..",
            "//*", "/a%2Fb", "**", "/app**", "/**/x", "/app/***", "/*/**", "//**", "/../**",
        ] {
            assert_eq!(PathPattern::parse(text), Err(PathPatternError), "{text}");
        }
    }

    #[test]
    fn wildcard_segment_length_limited() {
        let pattern = PathPattern::parse("/room/*").unwrap();
        assert!(pattern.matches(&format!("/room/{}", "x".repeat(MAX_SEGMENT_BYTES))));
        assert!(!pattern.matches(&format!("/room/{}", "x".repeat(MAX_SEGMENT_BYTES + 1))));
        let pattern = PathPattern::parse("/app/**").unwrap();
        assert!(pattern.matches(&format!("/app/{}", "/x".repeat(MAX_TREE_BYTES / 2))));
        assert!(!pattern.matches(&format!("/app/{}", "x".repeat(MAX_TREE_BYTES + 1))));
    }

    #[test]
    fn rest_is_what_the_wildcard_stands_for() {
        for (pattern, path, rest) in [
            ("/app", "/app", ""),
            ("/app/*", "/app/a", "a"),
            ("/app/**", "/app/", ""),
            ("/app/**", "/app/a/b", "a/b"),
            ("/**", "/", ""),
        ] {
            let pattern = PathPattern::parse(pattern).unwrap();
            assert!(pattern.matches(path), "{path}");
            assert_eq!(pattern.rest(path), rest, "{path}");
        }
    }
}
