//! The authentication schemes of `WWW-Authenticate` (RFC 9110 section 11.6.1).

use std::fmt;

/// The scheme that the client supports (RFC 7617).
pub(super) const BASIC: &str = "Basic";

/// The number of schemes that are shown. Real servers name one or two.
const MAX_SHOWN: usize = 4;

/// The longest scheme name that is accepted. The longest registered one has 13 characters.
const MAX_SCHEME_BYTES: usize = 32;

/// The schemes of the `WWW-Authenticate` fields, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schemes(Vec<String>);

impl Schemes {
    /// Parses the field values. Each part of a malformed value that looks like a scheme name is taken
    /// for one.
    pub fn read(values: &[String]) -> Self {
        let elements = values.iter().flat_map(|value| elements(value));
        Self(elements.filter_map(scheme).map(str::to_owned).collect())
    }

    /// Returns true if no scheme is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if a scheme is named. Scheme names are case-insensitive.
    pub fn has(&self, wanted: &str) -> bool {
        self.0.iter().any(|name| name.eq_ignore_ascii_case(wanted))
    }
}

impl fmt::Display for Schemes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().take(MAX_SHOWN).enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            f.write_str(name)?;
        }
        if self.0.len() > MAX_SHOWN {
            f.write_str(", ...")?;
        }
        Ok(())
    }
}

/// Splits a list at its commas, except inside quotes.
fn elements(value: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    value.split(move |character| {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        character == ',' && !quoted
    })
}

/// Returns the scheme that begins in an element, or `None` for a further parameter of the previous
/// scheme.
fn scheme(element: &str) -> Option<&str> {
    let element = element.trim_matches([' ', '\t']);
    let is_token_char =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let end = element.bytes().position(|byte| !is_token_char(byte));
    let (name, rest) = element.split_at(end.unwrap_or(element.len()));
    let spaces = rest.trim_start_matches([' ', '\t']);
    // A scheme ends the element, or a space and its parameters follow: `realm =x` is a parameter.
    let is_scheme = rest.is_empty() || (spaces.len() < rest.len() && !spaces.starts_with('='));
    (is_scheme && (1..=MAX_SCHEME_BYTES).contains(&name.len())).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Schemes;

    fn read(values: &[&str]) -> String {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        Schemes::read(&values).to_string()
    }

    #[test]
    fn schemes_are_found_among_their_parameters() {
        for (values, schemes) in [
            (&[][..], ""),
            (&[""], ""),
            (&["Basic"], "Basic"),
            (&["Basic realm=\"ws-server\", charset=\"UTF-8\""], "Basic"),
            (&["basic realm = \"a\" , charset=x,Bearer"], "basic, Bearer"),
            (&["Basic realm=\"x, Digest y\""], "Basic"),
            (
                &["Basic realm=\"a \\\" b, Digest c\", Digest d=e"],
                "Basic, Digest",
            ),
            (&["Negotiate YWJj==, Basic realm=\"x\""], "Negotiate, Basic"),
            (&["Negotiate", "Basic realm=x"], "Negotiate, Basic"),
            (&[", ,\tNTLM ,"], "NTLM"),
            (&["A, B, C, D, E"], "A, B, C, D, ..."),
            (&["realm=\"x\""], ""),
            (&["realm =x"], ""),
            (&["\"Basic\"", "B\u{e4}sic x", "Basic: x", "="], ""),
            (&["Basic realm=\"never closed, Digest x"], "Basic"),
        ] {
            assert_eq!(read(values), schemes, "{values:?}");
        }
        assert_eq!(read(&["x".repeat(33).as_str()]), "");
    }

    #[test]
    fn scheme_names_are_case_insensitive() {
        let schemes = Schemes::read(&["bASIC realm=x".to_owned()]);
        assert!(schemes.has("Basic"));
        assert!(!schemes.has("Bas"));
        assert!(!schemes.is_empty());
    }

    proptest! {
        #[test]
        fn any_value_parses_and_is_short_when_shown(
            values in prop::collection::vec(any::<String>(), 0..4),
        ) {
            let shown = Schemes::read(&values).to_string();
            prop_assert!(shown.len() < 200 && shown.is_ascii());
        }
    }
}
