//! The header fields that a user adds to the request of an opening handshake.

use std::sync::Arc;

use proto::secret::Secret;

/// The names of fields whose values are secret (RFC 9110 section 11, RFC 6265).
const SECRET_NAMES: [&str; 3] = ["Authorization", "Cookie", "Proxy-Authorization"];

/// The origin of a field, which decides whether its value may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldSource {
    /// The command line, which other users of the machine can see.
    Argument,
    /// A file, whose values are all secret.
    File,
}

/// A header field of a request (RFC 9110 section 5).
#[derive(Debug)]
pub struct HeaderField {
    name: String,
    value: Secret,
    source: FieldSource,
}

impl HeaderField {
    /// Parses a line `Name: value`. Spaces and tabs around the value are dropped.
    ///
    /// # Errors
    ///
    /// The line is no header field, or one that the client sets itself. The error quotes no value.
    pub fn parse(line: &str, source: FieldSource) -> Result<Self, HeaderFieldError> {
        let (name, value) = line.split_once(':').ok_or(HeaderFieldError::NoColon)?;
        if !is_token(name) {
            return Err(HeaderFieldError::Name);
        }
        if let Some(error) = reserved(name) {
            return Err(error);
        }
        let value = value.trim_matches([' ', '\t']);
        if value.chars().any(|c| c.is_control() && c != '\t') {
            return Err(HeaderFieldError::Value(name.to_owned()));
        }
        Ok(Self {
            name: name.to_owned(),
            value: Secret::new(value),
            source,
        })
    }

    /// Returns the name, as it was written.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn value(&self) -> &Secret {
        &self.value
    }

    fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Returns true if the value is never shown, and not sent unencrypted over a network.
    pub(super) fn is_secret(&self) -> bool {
        self.source == FieldSource::File || SECRET_NAMES.iter().any(|name| self.is_named(name))
    }
}

/// Returns true for the name of a field or of a subprotocol (RFC 9110 section 5.6.2).
pub(super) fn is_token(text: &str) -> bool {
    let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_of_token)
}

/// Returns the error for a field that the client sets itself, or that would announce a body.
fn reserved(name: &str) -> Option<HeaderFieldError> {
    let remedy = match name.to_ascii_lowercase().as_str() {
        "upgrade" | "connection" | "sec-websocket-version" => {
            "the client sets it itself; leave it out"
        }
        "content-length" | "transfer-encoding" => "a handshake has no body; leave it out",
        "sec-websocket-protocol" => "use --subprotocol",
        "sec-websocket-key" => "use --websocket-key of ws-client handshake",
        name if name.starts_with("sec-websocket-") => "the client offers none; leave it out",
        _ => return None,
    };
    Some(HeaderFieldError::Reserved(name.to_owned(), remedy))
}

/// Additional header fields of a request, in their order.
#[derive(Debug, Clone, Default)]
pub struct HeaderFields(Arc<[HeaderField]>);

impl HeaderFields {
    /// Creates a list of fields.
    ///
    /// # Errors
    ///
    /// A field that a request has only once is there twice.
    pub fn new(fields: Vec<HeaderField>) -> Result<Self, HeaderFieldError> {
        for name in ["Host", "Origin", "Authorization"] {
            if fields.iter().filter(|field| field.is_named(name)).count() > 1 {
                return Err(HeaderFieldError::Twice(name));
            }
        }
        Ok(Self(fields.into()))
    }

    /// Returns true if there is a field with this name, in any case.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|field| field.is_named(name))
    }

    /// Returns true if a value must not be sent unencrypted over a network.
    pub fn hold_secrets(&self) -> bool {
        self.0.iter().any(HeaderField::is_secret)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &HeaderField> {
        self.0.iter()
    }
}

/// The reason why a header field cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFieldError {
    /// There is no `:`.
    #[error("a header field is written as \"Name: value\"")]
    NoColon,
    /// The name is no token.
    #[error("the name of a header field has letters, digits and - only, and no space before its :")]
    Name,
    /// The value has a line break or another control character.
    #[error("the value of {0} has a control character, such as a line break; remove it")]
    Value(String),
    /// The client sets the field itself.
    #[error("{0} cannot be set: {1}")]
    Reserved(String, &'static str),
    /// The field is given twice.
    #[error("{0} is given twice, and a request has it once; remove one")]
    Twice(&'static str),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{FieldSource, HeaderField, HeaderFieldError, HeaderFields};

    fn parse(line: &str) -> Result<HeaderField, HeaderFieldError> {
        HeaderField::parse(line, FieldSource::Argument)
    }

    #[test]
    fn field_is_name_and_trimmed_value() {
        for (line, name, value) in [
            ("X-A: b", "X-A", "b"),
            ("x:b:c", "x", "b:c"),
            ("A: \t b c\t ", "A", "b c"),
            ("A:", "A", ""),
            ("A: ü", "A", "ü"),
        ] {
            let field = parse(line).unwrap();
            assert_eq!((field.name(), field.value().expose()), (name, value));
        }
    }

    #[test]
    fn forged_fields_are_rejected() {
        let value = |name: &str| HeaderFieldError::Value(name.to_owned());
        for (line, error) in [
            ("X-A", HeaderFieldError::NoColon),
            ("", HeaderFieldError::NoColon),
            (": b", HeaderFieldError::Name),
            ("X A: b", HeaderFieldError::Name),
            ("X-A : b", HeaderFieldError::Name),
            ("X\r\nY: b", HeaderFieldError::Name),
            ("ü: b", HeaderFieldError::Name),
            ("X: a\r\nUpgrade: h2c", value("X")),
            ("X: a\nb", value("X")),
            ("X: a\0", value("X")),
            ("X: \u{85}", value("X")),
        ] {
            assert_eq!(parse(line).err(), Some(error), "{line:?}");
        }
        for line in [
            "Upgrade: x",
            "connection: close",
            "Content-Length: 1",
            "transfer-encoding: chunked",
            "SEC-WEBSOCKET-KEY: x",
            "Sec-WebSocket-Version: 8",
            "Sec-WebSocket-Protocol: x",
            "Sec-WebSocket-Extensions: x",
            "Sec-WebSocket-Other: x",
        ] {
            let error = parse(line).unwrap_err();
            assert!(matches!(error, HeaderFieldError::Reserved(..)), "{line}");
        }
    }

    #[test]
    fn field_of_a_request_is_there_once() {
        let fields = |lines: &[&str]| {
            HeaderFields::new(lines.iter().map(|line| parse(line).unwrap()).collect())
        };
        assert!(fields(&["A: b", "a: c"]).is_ok());
        for (lines, name) in [
            (["Host: a", "host: b"], "Host"),
            (["Origin: a", "ORIGIN: b"], "Origin"),
            (["Authorization: a", "authorization: b"], "Authorization"),
        ] {
            let error = fields(&lines).unwrap_err();
            assert_eq!(error, HeaderFieldError::Twice(name));
        }
    }

    #[test]
    fn credentials_and_fields_of_files_are_secret() {
        for (line, source, is_secret) in [
            ("X-A: b", FieldSource::Argument, false),
            ("X-A: b", FieldSource::File, true),
            ("authorization: b", FieldSource::Argument, true),
            ("Cookie: b", FieldSource::Argument, true),
            ("Proxy-Authorization: b", FieldSource::Argument, true),
        ] {
            let field = HeaderField::parse(line, source).unwrap();
            assert_eq!(field.is_secret(), is_secret, "{line}");
            assert_eq!(
                HeaderFields::new(vec![field]).unwrap().hold_secrets(),
                is_secret
            );
        }
    }

    proptest! {
        #[test]
        fn no_line_breaks_out_of_its_field(line in "[A-Za-z:\r\n\t ü\0]{0,20}") {
            if let Ok(field) = parse(&line) {
                let written = format!("{}: {}", field.name(), field.value().expose());
                prop_assert!(!written.contains(['\r', '\n', '\0']));
            }
        }
    }
}
