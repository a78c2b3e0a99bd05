//! The head of a server's answer: where it ends, and what is in it.

use httparse::{EMPTY_HEADER, Header};

/// The greatest length of all heads of an answer together, in bytes. Real ones have a few hundred.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;

/// The greatest number of fields in a head.
const MAX_FIELDS: usize = 100;

/// Where the final head of an answer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinalHead {
    /// Where it begins: behind the informational heads.
    pub start: usize,
    /// Where it ends, if all of it is there.
    pub end: Option<usize>,
}

/// Looks for the head that is not followed by another one. Heads with a status of 1xx only inform,
/// and any number of them may come first (RFC 9110 section 15.2); but 101 is the last word of HTTP.
pub fn final_head(bytes: &[u8]) -> FinalHead {
    let bytes = &bytes[..bytes.len().min(MAX_HEAD_BYTES)];
    let mut start = 0;
    loop {
        match head_length(&bytes[start..]) {
            Some(length) if informs(&bytes[start..start + length]) => start += length,
            length => {
                let end = length.map(|length| start + length);
                return FinalHead { start, end };
            }
        }
    }
}

/// Whether a head is one of 1xx that another one follows. One that is broken is the answer itself.
fn informs(head: &[u8]) -> bool {
    let head = Head::parse(head);
    let is_of_1xx = |status: StatusLine| (100..200).contains(&status.code) && status.code != 101;
    head.fields.is_ok() && head.status.is_ok_and(is_of_1xx)
}

/// Where a head ends, if all of it is there: behind the first empty line.
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

/// The first line of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusLine {
    /// The minor version of HTTP/1.
    pub minor_version: u8,
    /// The status, such as 101.
    pub code: u16,
    /// What follows it.
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

/// One field of a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    name: String,
    value: Vec<u8>,
}

/// What could be read of a head. A head without a status line is read as well, so that the fields
/// of a server that forgets it can still be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The first line, unless it is missing or broken.
    pub status: Result<StatusLine, Malformed>,
    /// The fields, unless they are broken.
    pub fields: Result<Vec<Field>, Malformed>,
}

/// Why a part of a head cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The reason, in words that complete "the answer ...".
    pub why: &'static str,
    /// The line that cannot be read, if it is a certain one.
    pub line: Option<String>,
}

impl Head {
    /// Reads a head, up to and with its empty line.
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
                    fields: Err(broken_fields(error, behind_first_line(head))),
                },
                (Some(_) | None, _) => Self::without_status(head),
            },
        }
    }

    /// Reads a head whose first line is no status line that can be read.
    fn without_status(head: &[u8]) -> Self {
        let first = first_line(head);
        let broken = |why| Malformed {
            why,
            line: Some(String::from_utf8_lossy(first).into_owned()),
        };
        if is_field(first) {
            return Self {
                status: Err(NO_STATUS_LINE),
                fields: fields_alone(head),
            };
        }
        match first.strip_prefix(b"HTTP/") {
            Some(version) if is_other_version(version) => Self {
                status: Err(broken("is of another version of HTTP; it must be HTTP/1.1")),
                fields: fields_alone(behind_first_line(head)),
            },
            Some(_) => Self {
                status: Err(broken(NO_STATUS_LINE.why)),
                fields: fields_alone(behind_first_line(head)),
            },
            None => Self {
                status: Err(broken(if is_of_tls(head) {
                    "is one of TLS; the URL must begin with wss:// here"
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

    /// The values of a field, which may stand on several lines. Names are compared without case.
    pub fn values(&self, name: &str) -> Vec<String> {
        let fields = self.fields.as_deref().unwrap_or_default();
        let named = fields
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case(name));
        named
            .map(|field| String::from_utf8_lossy(&field.value).into_owned())
            .collect()
    }

    /// Whether the list in a field has this token, in whatever case. Around a token may stand
    /// spaces and tabs, and no other white space (RFC 9110 section 5.6.3).
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

/// Whether it begins as a record of TLS, an alert: what a server that speaks TLS says to HTTP.
fn is_of_tls(answer: &[u8]) -> bool {
    answer.starts_with(&[21, 3])
}

fn fields_alone(lines: &[u8]) -> Result<Vec<Field>, Malformed> {
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
    let mut lines = lines.split(|byte| *byte == b'\n').map(without_return);
    let line = lines.find(|line| !line.is_empty() && !is_field(line));
    Malformed {
        why: "has a line that is not a header field",
        line: line.map(|line| String::from_utf8_lossy(line).into_owned()),
    }
}

/// The first line that is not empty, without its end.
fn first_line(head: &[u8]) -> &[u8] {
    let head = without_leading_ends(head);
    let end = head.iter().position(|byte| *byte == b'\n');
    without_return(&head[..end.unwrap_or(head.len())])
}

/// What follows the first line that is not empty.
fn behind_first_line(head: &[u8]) -> &[u8] {
    let head = without_leading_ends(head);
    let end = head.iter().position(|byte| *byte == b'\n');
    end.map_or(&[], |end| &head[end + 1..])
}

fn without_leading_ends(head: &[u8]) -> &[u8] {
    let start = head.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    start.map_or(&[], |start| &head[start..])
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Whether a line is a field: a name, a colon at once, and a value without control bytes.
fn is_field(line: &[u8]) -> bool {
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let is_of_value = |byte: &u8| *byte == b'\t' || !byte.is_ascii_control();
    match line.iter().position(|byte| !is_of_name(byte)) {
        Some(end @ 1..) => line[end] == b':' && line[end + 1..].iter().all(is_of_value),
        Some(0) | None => false,
    }
}

/// Whether what follows `HTTP/` begins with a version that is neither 1.0 nor 1.1.
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
    fn a_head_ends_behind_its_empty_line() {
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
    fn a_head_has_a_greatest_length() {
        let mut bytes = vec![b'x'; MAX_HEAD_BYTES - 4];
        bytes.extend_from_slice(b"\r\n\r\n");
        assert_eq!(final_head(&bytes).end, Some(MAX_HEAD_BYTES));
        bytes.insert(0, b'x');
        assert_eq!(final_head(&bytes).end, None);
    }

    #[test]
    fn all_heads_together_have_a_greatest_length() {
        let hint = b"HTTP/1.1 103 x\r\n\r\n";
        let mut bytes = hint.repeat(MAX_HEAD_BYTES / hint.len());
        let start = bytes.len();
        bytes.extend_from_slice(b"HTTP/1.1 101 x\r\n\r\n");
        assert_eq!(final_head(&bytes), FinalHead { start, end: None });
    }

    #[test]
    fn only_1xx_before_101_informs() {
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
    fn fields_are_found_whatever_their_case_and_line() {
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
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let head = Head::parse(&bytes);
            prop_assert!(head.values("Upgrade").len() <= 100);
            let found = final_head(&bytes);
            prop_assert!(found.end.is_none_or(|end| found.start < end && end <= bytes.len()));
        }
    }
}
