//! The checks of a response (RFC 6455 section 4.1, steps 1 to 6 of the validation; field values by
//! section 4.2.2), part by part.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use proto::{escape::escaped_start, key::Key};

use super::{
    bearer::BEARER,
    challenge::{BASIC, Schemes},
    error::{HandshakeError, status_meaning},
    raw_response::{RawResponse, ReadError},
    response::{Head, MAX_HEAD_BYTES, StatusLine},
    response_part::ResponsePart,
    subprotocol::Subprotocols,
};

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckOutcome {
    /// The part is valid.
    Right,
    /// The part is invalid, and the handshake fails.
    Wrong,
}

/// A check of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartCheck {
    /// The part.
    pub part: ResponsePart,
    /// The result.
    pub outcome: CheckOutcome,
    /// The value that was found, escaped and shortened, or a word for a missing one.
    pub found: String,
    /// The reason for the result.
    pub why: String,
}

/// The result of all checks of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    incomplete: Option<ReadError>,
    is_empty: bool,
    has_subprotocol: bool,
    status: Option<StatusLine>,
    /// The error for the status, unless that is 1xx.
    refused: Option<HandshakeError>,
    checks: Vec<PartCheck>,
}

impl Verdict {
    /// Checks a response to a request with this key, which offered these subprotocols and no extension.
    pub fn check(response: &RawResponse, key: &Key, offered: &Subprotocols) -> Self {
        let incomplete = response.incomplete();
        // If the heads are too long, the final one may be missing.
        let is_empty = response.final_head().is_empty() && incomplete != Some(ReadError::TooLong);
        let mut head_bytes = response.final_head().to_vec();
        if incomplete.is_some() {
            // A truncated head is checked as if it ended here.
            head_bytes.extend_from_slice(b"\r\n\r\n");
        }
        let head = Head::parse(&head_bytes);
        let refused = HandshakeError::from_status(&head);
        let mut checks = Vec::new();
        if !is_empty {
            checks.push(status_line(&head));
            checks.push(status(&head, refused.as_ref()));
            checks.push(fields(&head, incomplete));
        }
        // Malformed fields are not checked, so none is reported as missing.
        if !is_empty && head.fields.is_ok() {
            // A refusal needs none of these. A response without a status may be meant as a 101.
            if head.status.as_ref().map_or(101, |status| status.code) == 101 {
                checks.push(token(&head, ResponsePart::Upgrade, "websocket"));
                checks.push(token(&head, ResponsePart::Connection, "upgrade"));
                checks.push(accept(&head, key));
                checks.push(not_offered(&head, ResponsePart::Extensions));
                checks.push(subprotocol(&head, offered));
            }
            if let Some(HandshakeError::Unauthorized(_, schemes)) = &refused {
                checks.push(challenge(&head, schemes));
            }
        }
        Self {
            incomplete,
            is_empty,
            has_subprotocol: !head.values(ResponsePart::Subprotocol.name()).is_empty(),
            status: head.status.ok(),
            refused,
            checks,
        }
    }

    /// Returns the checks in the order of the response.
    pub fn checks(&self) -> &[PartCheck] {
        &self.checks
    }

    /// Returns the status line, if there is one.
    pub fn status(&self) -> Option<&StatusLine> {
        self.status.as_ref()
    }

    /// Returns true if the server selected a subprotocol.
    pub fn has_subprotocol(&self) -> bool {
        self.has_subprotocol
    }

    /// Returns the error of the handshake, or `None` if it succeeded.
    pub fn error(&self) -> Option<HandshakeError> {
        match (self.incomplete, &self.refused) {
            (Some(ReadError::TimedOut(time)), _) => return Some(HandshakeError::TimedOut(time)),
            (Some(ReadError::Closed), _) if self.is_empty => {
                return Some(HandshakeError::Closed);
            }
            // A 1xx without a final response is reported as such.
            (_, Some(refused)) => return Some(refused.clone()),
            (Some(ReadError::Closed | ReadError::TooLong) | None, _) => {}
        }
        let wrong = |check: &&PartCheck| check.outcome == CheckOutcome::Wrong;
        self.checks
            .iter()
            .find(wrong)
            .map(|check| HandshakeError::Wrong(check.part, check.why.clone()))
    }
}

fn right(part: ResponsePart, found: impl Into<String>, why: impl Into<String>) -> PartCheck {
    PartCheck {
        part,
        outcome: CheckOutcome::Right,
        found: found.into(),
        why: why.into(),
    }
}

fn wrong(part: ResponsePart, found: impl Into<String>, why: impl Into<String>) -> PartCheck {
    PartCheck {
        part,
        outcome: CheckOutcome::Wrong,
        found: found.into(),
        why: why.into(),
    }
}

const ABSENT: &str = "absent";

fn status_line(head: &Head) -> PartCheck {
    let part = ResponsePart::StatusLine;
    match &head.status {
        Ok(line) if line.minor_version == 1 => {
            right(part, shown(&line.to_string()), "a status line of HTTP/1.1")
        }
        Ok(line) => wrong(
            part,
            shown(&line.to_string()),
            "HTTP/1.0 has no upgrade; it must be HTTP/1.1",
        ),
        Err(broken) => wrong(
            part,
            broken.line.as_deref().map_or(ABSENT.to_owned(), shown),
            format!("the answer {}", broken.why),
        ),
    }
}

fn status(head: &Head, refused: Option<&HandshakeError>) -> PartCheck {
    let part = ResponsePart::Status;
    match &head.status {
        Ok(line) if line.code == 101 => right(part, "101", status_meaning(101)),
        Ok(line) => {
            let meaning = status_meaning(line.code);
            let why = match refused {
                Some(HandshakeError::Busy(_, retry)) => {
                    format!("{meaning}; {retry}; it must be 101")
                }
                Some(_) | None => format!("{meaning}; it must be 101"),
            };
            wrong(part, line.code.to_string(), why)
        }
        Err(_) => wrong(part, ABSENT, "without a status the upgrade is not accepted"),
    }
}

fn fields(head: &Head, incomplete: Option<ReadError>) -> PartCheck {
    let part = ResponsePart::Fields;
    match (&head.fields, incomplete) {
        (_, Some(ReadError::TooLong)) => wrong(
            part,
            format!("more than {MAX_HEAD_BYTES} bytes"),
            "a head that long is no answer to a handshake",
        ),
        (_, Some(ReadError::Closed)) => wrong(
            part,
            "an early end",
            "the connection ended before the empty line that ends the head",
        ),
        (_, Some(ReadError::TimedOut(_))) => wrong(
            part,
            "an early end",
            "the empty line that ends the head did not come in time",
        ),
        (Err(broken), None) => wrong(
            part,
            // In quotes, because the mistake may be a leading space.
            broken.line.as_deref().map_or_else(
                || "something else".to_owned(),
                |line| format!("\"{}\"", shown(line)),
            ),
            format!("the answer {}", broken.why),
        ),
        (Ok(_), None) => right(
            part,
            "well-formed",
            "every line is a field, and an empty one ends them",
        ),
    }
}

fn challenge(head: &Head, schemes: &Schemes) -> PartCheck {
    let part = ResponsePart::Challenge;
    let values = head.values(part.name());
    let found = found(&values);
    if values.is_empty() {
        let why = "the field is missing; a 401 must name an authentication scheme";
        wrong(part, found, why)
    } else if schemes.is_empty() {
        wrong(part, found, "it names no authentication scheme")
    } else if schemes.has(BASIC) {
        right(
            part,
            found,
            "it accepts Basic, which ws-client --auth basic sends",
        )
    } else if schemes.has(BEARER) {
        right(
            part,
            found,
            "it accepts Bearer, which ws-client --bearer-file sends",
        )
    } else {
        right(
            part,
            found,
            format!("it accepts {schemes}; ws-client supports only Basic and Bearer"),
        )
    }
}

fn token(head: &Head, part: ResponsePart, wanted: &str) -> PartCheck {
    let values = head.values(part.name());
    let found = found(&values);
    if head.names(part.name(), wanted) {
        right(part, found, format!("it names {wanted}"))
    } else if values.is_empty() {
        wrong(
            part,
            found,
            format!("the field is missing; it must name {wanted}"),
        )
    } else {
        wrong(part, found, format!("it must name {wanted}"))
    }
}

fn accept(head: &Head, key: &Key) -> PartCheck {
    let part = ResponsePart::Accept;
    let values = head.values(part.name());
    let expected = key.accept();
    let must = format!("it must be {expected}, which follows from the key");
    let found = found(&values);
    match values.as_slice() {
        [] => wrong(part, found, format!("the field is missing; {must}")),
        [value] if *value == expected => {
            right(part, found, "it is the value computed from the key")
        }
        [value] => wrong(part, found, format!("{must}{}", explain_accept(value, key))),
        _ => wrong(part, found, format!("there is more than one; {must}")),
    }
}

/// Explains a wrong accept value, to help repair the server.
fn explain_accept(value: &str, key: &Key) -> String {
    if value == key.as_str() {
        return "; this is the key itself, not hashed".to_owned();
    }
    let hex = key.digest_hex();
    if value.eq_ignore_ascii_case(&hex) {
        return "; this is the hash in hexadecimal, and not in base64".to_owned();
    }
    let Ok(bytes) = BASE64_STANDARD.decode(value) else {
        return "; this is not base64".to_owned();
    };
    match std::str::from_utf8(&bytes) {
        Ok(text) if text.eq_ignore_ascii_case(&hex) => {
            "; this is base64 of the hash in hexadecimal, and not of its 20 raw bytes".to_owned()
        }
        Ok(text) if !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) => {
            format!("; this is \"{text}\" in base64, a constant")
        }
        Ok(_) | Err(_) if bytes.len() == 20 => "; this is the hash of something else".to_owned(),
        Ok(_) | Err(_) => format!(
            "; this is {} bytes in base64, and not the 20 of a hash",
            bytes.len()
        ),
    }
}

fn not_offered(head: &Head, part: ResponsePart) -> PartCheck {
    let values = head.values(part.name());
    if values.is_empty() {
        right(part, ABSENT, "the request offers none, so none is selected")
    } else {
        wrong(
            part,
            found(&values),
            "the request did not offer it, so it must not be there",
        )
    }
}

fn subprotocol(head: &Head, offered: &Subprotocols) -> PartCheck {
    let part = ResponsePart::Subprotocol;
    if offered.is_empty() {
        return not_offered(head, part);
    }
    let values = head.values(part.name());
    let found = found(&values);
    match values.as_slice() {
        [] => right(
            part,
            found,
            format!("the request offers {offered}, and the server selected none"),
        ),
        [value] if offered.offer(value) => right(
            part,
            found,
            format!("it is one of those offered: {offered}"),
        ),
        [_] => wrong(
            part,
            found,
            format!("it must be one of those offered: {offered}"),
        ),
        _ => wrong(part, found, "there is more than one; a server selects one"),
    }
}

/// Joins the values of a field into one line.
fn found(values: &[String]) -> String {
    if values.is_empty() {
        ABSENT.to_owned()
    } else {
        shown(&values.join(", "))
    }
}

/// Escapes and shortens a text of the server.
fn shown(text: &str) -> String {
    escaped_start(text, 120)
}

impl fmt::Display for CheckOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Right => "right",
            Self::Wrong => "WRONG",
        })
    }
}
