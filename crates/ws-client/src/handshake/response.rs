//! The head of a response (RFC 9112 sections 2 to 5): its end, status line and header fields.

use httparse::{EMPTY_HEADER, Header};

/// The greatest length of all heads of a response together, in bytes. Real ones have a few hundred.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;

/// The greatest number of header fields.
const MAX_FIELDS: usize = 100;

/// The position of the final head of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinalHead {
    /// The offset of its first byte, after the informational heads.
    pub start: usize,
    /// The offset after its last byte, if the head is complete.
    pub end: Option<usize>,
}

/// Finds the final head. Any number of heads with a status of 1xx may precede it (RFC 9110 section
/// 15.2), but 101 is final.
pub fn final_head(bytes: &[u8]) -> FinalHead {
    let bytes = &bytes[..bytes.len().min(MAX_HEAD_BYTES)];
    let mut start = 0;
    loop {
        match head_length(&bytes[start..]) {
            Some(length) if is_informational(&bytes[start..start + length]) => start += length,
            length => {
                let end = length.map(|length| start + length);
                return FinalHead { start, end };
            }
        }
    }
}

/// Returns true for a 1xx head that another one follows. A malformed head is final.
fn is_informational(head: &[u8]) -> bool {
    let head = Head::parse(head);
    let is_of_1xx = |status: StatusLine| (100..200).contains(&status.code) && status.code != 101;
    head.fields.is_ok() && head.status.is_ok_and(is_of_1xx)
}

/// Returns the length of a complete head, up to and including the first empty line.
fn head_length(bytes: &[u8]) -> Option<usize> {
    let mut line_start = 0;
    for (index, byte) in bytes.iter().enumerate() {
        if *byte != b'\n' {
            continue;
        }
        let line = &bytes[line_start..index];
        if line_start > 0 && (line.is_empty() || line == b"\r") {
            return Some(index + 1);
        }
        line_start = index + 1;
    }
    None
}

/// The status line of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusLine {
    /// The minor version of HTTP/1.
    pub minor_version: u8,
    /// The status code, such as 101.
    pub code: u16,
    /// The reason phrase.
    pub reason: String,
}

impl std::fmt::Display for StatusLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HTTP/1.{} {}", self.minor_version, self.code)?;
        if self.reason.is_empty() {
            Ok(())
        } else {
            write!(f, " {}", self.reason)
        }
    }
}

/// A header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    name: String,
    value: Vec<u8>,
}

/// A parsed head. A head without a status line is parsed too, so that the fields of such a server
/// can still be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The status line, unless it is missing or malformed.
    pub status: Result<StatusLine, Malformed>,
    /// The header fields, unless they are malformed.
    pub fields: Result<Vec<Field>, Malformed>,
}

/// The reason why a part of a head cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The reason, as it continues "the answer ...".
    pub why: &'static str,
    /// The malformed line, if it is known.
    pub line: Option<String>,
}

impl Head {
    /// Parses a head, up to and including its empty line.
    pub fn parse(head: &[u8]) -> Self {
        let mut headers = [EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(head) {
            Ok(httparse::Status::Complete(_)) => Self {
                status: Ok(StatusLine {
                    minor_version: response.version.unwrap_or_default(),
                    code: response.code.unwrap_or_default(),
                    reason: response.reason.unwrap_or_default().to_owned(),
                }),
                fields: Ok(owned(response.headers)),
            },
            Ok(httparse::Status::Partial) => Self {
                status: Err(INCOMPLETE),
                fields: Err(INCOMPLETE),
            },
            Err(error) => match (response.version, response.code) {
                // The parser sets these before it reads the first field.
                (Some(minor_version), Some(code)) => Self {
                    status: Ok(StatusLine {
                        minor_version,
                        code,
                        reason: response.reason.unwrap_or_default().to_owned(),
                    }),
                    fields: Err(broken_fields(error, after_first_line(head))),
                },
                (Some(_) | None, _) => Self::without_status(head),
            },
        }
    }

    /// Parses a head whose first line is no valid status line.
    fn without_status(head: &[u8]) -> Self {
        let first = first_line(head);
        let broken = |why| Malformed {
            why,
            line: Some(String::from_utf8_lossy(first).into_owned()),
        };
        if is_field(first) {
            return Self {
                status: Err(NO_STATUS_LINE),
                fields: parse_fields(head),
            };
        }
        match first.strip_prefix(b"HTTP/") {
            Some(version) if is_other_version(version) => Self {
                status: Err(broken("is of another version of HTTP; it must be HTTP/1.1")),
                fields: parse_fields(after_first_line(head)),
            },
            Some(_) => Self {
                status: Err(broken(NO_STATUS_LINE.why)),
                fields: parse_fields(after_first_line(head)),
            },
            None => Self {
                status: Err(broken(if is_tls_alert(head) {
                    "is TLS; the URL must begin with wss://"
                } else {
                    NO_STATUS_LINE.why
                })),
                fields: Err(Malformed {
                    why: "is not of HTTP",
                    line: None,
                }),
            },
        }
    }

    /// Returns the values of all fields with this name. Names are case-insensitive.
    pub fn values(&self, name: &str) -> Vec<String> {
        let fields = self.fields.as_deref().unwrap_or_default();
        let named = fields
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case(name));
        named
            .map(|field| String::from_utf8_lossy(&field.value).into_owned())
            .collect()
    }

    /// Returns true if the list in a field contains a token, in any case. Only spaces and tabs may
    /// surround a token (RFC 9110 section 5.6.3).
    pub fn names(&self, name: &str, token: &str) -> bool {
        let values = self.values(name);
        let mut tokens = values.iter().flat_map(|value| value.split(','));
        tokens.any(|item| item.trim_matches([' ', '\t']).eq_ignore_ascii_case(token))
    }
}

const INCOMPLETE: Malformed = Malformed {
    why: "ends in the middle of its head",
    line: None,
};

const NO_STATUS_LINE: Malformed = Malformed {
    why: "does not begin with a status line; it must be like HTTP/1.1 101 Switching Protocols",
    line: None,
};

/// Returns true if the bytes begin as a TLS alert record, which a TLS server sends in response to
/// HTTP.
fn is_tls_alert(answer: &[u8]) -> bool {
    answer.starts_with(&[21, 3])
}

fn parse_fields(lines: &[u8]) -> Result<Vec<Field>, Malformed> {
    let mut headers = [EMPTY_HEADER; MAX_FIELDS];
    match httparse::parse_headers(lines, &mut headers) {
        Ok(httparse::Status::Complete((_, headers))) => Ok(owned(headers)),
        Ok(httparse::Status::Partial) => Err(INCOMPLETE),
        Err(error) => Err(broken_fields(error, lines)),
    }
}

fn broken_fields(error: httparse::Error, lines: &[u8]) -> Malformed {
    if error == httparse::Error::TooManyHeaders {
        return Malformed {
            why: "has more than 100 fields",
            line: None,
        };
    }
    let mut lines = lines
        .split(|byte| *byte == b'\n')
        .map(strip_carriage_return);
    let line = lines.find(|line| !line.is_empty() && !is_field(line));
    Malformed {
        why: "has a line that is not a header field",
        line: line.map(|line| String::from_utf8_lossy(line).into_owned()),
    }
}

/// Returns the first non-empty line, without its line end.
fn first_line(head: &[u8]) -> &[u8] {
    let head = skip_leading_line_ends(head);
    let end = head.iter().position(|byte| *byte == b'\n');
    strip_carriage_return(&head[..end.unwrap_or(head.len())])
}

/// Returns everything after the first non-empty line.
fn after_first_line(head: &[u8]) -> &[u8] {
    let head = skip_leading_line_ends(head);
    let end = head.iter().position(|byte| *byte == b'\n');
    end.map_or(&[], |end| &head[end + 1..])
}

fn skip_leading_line_ends(head: &[u8]) -> &[u8] {
    let start = head.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    start.map_or(&[], |start| &head[start..])
}

fn strip_carriage_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Returns true for a header field: a name, a colon directly behind it, a value without control
/// bytes (RFC 9112 section 5).
fn is_field(line: &[u8]) -> bool {
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let is_of_value = |byte: &u8| *byte == b'\t' || !byte.is_ascii_control();
    match line.iter().position(|byte| !is_of_name(byte)) {
        Some(end @ 1..) => line[end] == b':' && line[end + 1..].iter().all(is_of_value),
        Some(0) | None => false,
    }
}

/// Returns true if the text behind `HTTP/` begins with a version other than 1.0 and 1.1.
fn is_other_version(text: &[u8]) -> bool {
    let version = text.split(|byte| *byte == b' ').next().unwrap_or_default();
    version.first().is_some_and(u8::is_ascii_digit)
        && version
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'.')
        && version != b"1.0"
        && version != b"1.1"
}

fn owned(headers: &[Header<'_>]) -> Vec<Field> {
    let owned = |header: &Header<'_>| Field {
        name: header.name.to_owned(),
        value: header.value.to_owned(),
    };
    headers.iter().map(owned).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{FinalHead, Head, MAX_HEAD_BYTES, NO_STATUS_LINE, final_head, head_length};

    #[test]
    fn head_ends_behind_its_empty_line() {
        for (bytes, length) in [
            (&b"HTTP/1.1 101 x\r\nA: b\r\n\r\nframes"[..], Some(24)),
            (b"HTTP/1.1 101 x\r\n\r\n", Some(18)),
            (b"HTTP/1.1 101 x\nA: b\n\nframes", Some(21)),
            (b"A: b\r\n\r\n", Some(8)),
            (b"HTTP/1.1 101 x\r\nA: b\r\n", None),
            (b"HTTP/1.1 101 x\r\nA: b\r\n\r", None),
            (b"\r\n\r\n", Some(4)),
            (b"", None),
        ] {
            assert_eq!(head_length(bytes), length, "{bytes:?}");
        }
    }

    #[test]
    fn head_over_the_limit_is_incomplete() {
        let mut bytes = vec![b'x'; MAX_HEAD_BYTES - 4];
        bytes.extend_from_slice(b"\r\n\r\n");
        assert_eq!(final_head(&bytes).end, Some(MAX_HEAD_BYTES));
        bytes.insert(0, b'x');
        assert_eq!(final_head(&bytes).end, None);
    }

    #[test]
    fn heads_over_the_limit_together_are_incomplete() {
        let hint = b"HTTP/1.1 103 x\r\n\r\n";
        let mut bytes = hint.repeat(MAX_HEAD_BYTES / hint.len());
        let start = bytes.len();
        bytes.extend_from_slice(b"HTTP/1.1 101 x\r\n\r\n");
        assert_eq!(final_head(&bytes), FinalHead { start, end: None });
    }

    #[test]
    fn only_1xx_except_101_is_informational() {
        for (line, start) in [
            ("HTTP/1.1 100 Continue", 25),
            ("HTTP/1.1 199", 16),
            ("\r\nHTTP/1.0 103 x", 20),
            ("HTTP/1.1 101 Go", 0),
            ("HTTP/1.1 101", 0),
            ("HTTP/1.1 200 OK", 0),
            ("HTTP/1.1 1000 x", 0),
            ("HTTP/1.1 1x0 x", 0),
            ("HTTP/2 103 x", 0),
            ("A: b", 0),
        ] {
            let bytes = format!("{line}\r\n\r\nHTTP/1.1 101 Go\r\n\r\n");
            assert_eq!(final_head(bytes.as_bytes()).start, start, "{line}");
        }
    }

    #[test]
    fn fields_are_found_in_any_case_and_line() {
        let head = Head::parse(b"HTTP/1.1 101 Go\r\nconnection: a\r\nCONNECTION:  b, c \r\n\r\n");
        assert_eq!(head.status.clone().unwrap().to_string(), "HTTP/1.1 101 Go");
        assert_eq!(head.values("Connection"), ["a", "b, c"]);
        assert!(head.values("Upgrade").is_empty());
    }

    #[test]
    fn fields_without_a_status_line_are_read() {
        let head = Head::parse(b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
        assert_eq!(head.status, Err(NO_STATUS_LINE));
        assert_eq!(head.values("upgrade"), ["websocket"]);
    }

    #[test]
    fn too_many_fields_are_not_read() {
        let head = format!("HTTP/1.1 101 Go\r\n{}\r\n", "A: b\r\n".repeat(101));
        let head = Head::parse(head.as_bytes());
        assert_eq!(head.status.unwrap().code, 101);
        assert_eq!(head.fields.unwrap_err().why, "has more than 100 fields");
    }

    proptest! {
        #[test]
        fn any_bytes_parse_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let head = Head::parse(&bytes);
            prop_assert!(head.values("Upgrade").len() <= 100);
            let found = final_head(&bytes);
            prop_assert!(found.end.is_none_or(|end| found.start < end && end <= bytes.len()));
        }
    }
}
