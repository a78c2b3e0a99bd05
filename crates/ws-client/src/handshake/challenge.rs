//! Which credentials a server says that it takes: the schemes of its challenges (RFC 9110 section
//! 11.6.1).

use std::fmt;

/// The scheme that the client knows.
pub(super) const BASIC: &str = "Basic";

/// The most schemes that are shown. A real server names one or two.
const MAX_SHOWN: usize = 4;

/// The longest name of a scheme that is shown. Real ones have a dozen characters at most.
const MAX_SCHEME_BYTES: usize = 32;

/// The schemes that the `WWW-Authenticate` fields of an answer name, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schemes(Vec<String>);

impl Schemes {
    /// Reads the values of the fields. Of one that is malformed, that is taken which looks like the
    /// name of a scheme.
    pub fn read(values: &[String]) -> Self {
        let elements = values.iter().flat_map(|value| elements(value));
        Self(elements.filter_map(scheme).map(str::to_owned).collect())
    }

    /// Whether none is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this one is among them. Their names are compared without case.
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

/// The elements of a list. A comma within quotes separates none.
fn elements(value: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    value.split(move |sign| {
        match sign {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        sign == ',' && !quoted
    })
}

/// The scheme that begins in an element, unless that is a further parameter of the one before.
fn scheme(element: &str) -> Option<&str> {
    let element = element.trim_matches([' ', '\t']);
    let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let end = element.bytes().position(|byte| !is_of_token(byte));
    let (name, rest) = element.split_at(end.unwrap_or(element.len()));
    let spaces = rest.trim_start_matches([' ', '\t']);
    let follows = rest.is_empty() || (spaces.len() < rest.len() && !spaces.starts_with('='));
    (follows && (1..=MAX_SCHEME_BYTES).contains(&name.len())).then_some(name)
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
    fn finds_the_schemes_among_their_parameters() {
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
    fn names_are_compared_without_case() {
        let schemes = Schemes::read(&["bASIC realm=x".to_owned()]);
        assert!(schemes.has("Basic"));
        assert!(!schemes.has("Bas"));
        assert!(!schemes.is_empty());
    }

    proptest! {
        #[test]
        fn any_value_is_read_and_short_to_show(
            values in prop::collection::vec(any::<String>(), 0..4),
        ) {
            let shown = Schemes::read(&values).to_string();
            prop_assert!(shown.len() < 200 && shown.is_ascii());
        }
    }
}
