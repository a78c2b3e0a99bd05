//! The head of a server's answer: where it ends, and what is in it.

use httparse::{EMPTY_HEADER, Header};

/// The greatest length of a head, in bytes. Real ones have a few hundred.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;

/// The greatest number of fields in a head.
const MAX_FIELDS: usize = 100;

/// Where a head ends, if all of it is there: behind the first empty line.
pub fn head_length(bytes: &[u8]) -> Option<usize> {
    let bytes = &bytes[..bytes.len().min(MAX_HEAD_BYTES)];
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
    pub status: Result<StatusLine, Broken>,
    /// The fields, unless they are broken.
    pub fields: Result<Vec<Field>, Broken>,
}

/// Why a part of a head cannot be read, in words that complete "the answer ...".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken(pub &'static str);

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
            Err(error) => Self {
                // The parser sets these before it reads the first field.
                status: match (response.version, response.code) {
                    (Some(minor_version), Some(code)) => Ok(StatusLine {
                        minor_version,
                        code,
                        reason: response.reason.unwrap_or_default().to_owned(),
                    }),
                    (Some(_) | None, _) => Err(Broken("does not begin with a status line")),
                },
                fields: if response.code.is_some() {
                    Err(broken_fields(error))
                } else {
                    fields_alone(head)
                },
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
}

const INCOMPLETE: Broken = Broken("ends in the middle of its head");

fn fields_alone(head: &[u8]) -> Result<Vec<Field>, Broken> {
    let mut headers = [EMPTY_HEADER; MAX_FIELDS];
    match httparse::parse_headers(head, &mut headers) {
        Ok(httparse::Status::Complete((_, headers))) => Ok(owned(headers)),
        Ok(httparse::Status::Partial) => Err(INCOMPLETE),
        Err(error) => Err(broken_fields(error)),
    }
}

fn broken_fields(error: httparse::Error) -> Broken {
    Broken(match error {
        httparse::Error::TooManyHeaders => "has more than 100 fields",
        _ => "has a line that is not a header field",
    })
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

    use super::{Broken, Head, MAX_HEAD_BYTES, head_length};

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
        assert_eq!(head_length(&bytes), Some(MAX_HEAD_BYTES));
        bytes.insert(0, b'x');
        assert_eq!(head_length(&bytes), None);
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
        assert_eq!(
            head.status,
            Err(Broken("does not begin with a status line"))
        );
        assert_eq!(head.values("upgrade"), ["websocket"]);
    }

    #[test]
    fn too_many_fields_are_not_read() {
        let head = format!("HTTP/1.1 101 Go\r\n{}\r\n", "A: b\r\n".repeat(101));
        let head = Head::parse(head.as_bytes());
        assert_eq!(head.status.unwrap().code, 101);
        assert_eq!(head.fields, Err(Broken("has more than 100 fields")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let head = Head::parse(&bytes);
            prop_assert!(head.values("Upgrade").len() <= 100);
            prop_assert!(head_length(&bytes).is_none_or(|length| length <= bytes.len()));
        }
    }
}
