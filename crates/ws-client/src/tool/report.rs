//! The report of the `handshake` tool: the bytes on the wire and the checks.

use std::fmt;

use proto::key::{GUID, Key};

use super::lesson::{write_refusal, write_request};
use crate::{
    exit::Exit,
    handshake::{
        CheckOutcome, HandshakeError, RawResponse, Request, ResponsePart, StatusLine, Verdict,
        excerpt,
    },
    tls::TlsSummary,
};

/// The number of lines of a head that are shown. More of them would tell nothing new.
const MAX_LINES: usize = 120;

/// The number of bytes of a line that are shown.
const MAX_LINE_BYTES: usize = 1024;

/// The text of the report, and the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeReport {
    /// The text for stdout.
    pub text: String,
    /// The exit code.
    pub exit: Exit,
}

impl HandshakeReport {
    /// Creates the report on a request, its response, and the TLS connection under both.
    pub fn new(tls_summary: Option<TlsSummary>, request: &Request, response: &RawResponse) -> Self {
        let verdict = Verdict::check(response, request.key(), request.subprotocols());
        let tls = tls_summary.map_or(String::new(), |tls_summary| format!("{tls_summary}\n"));
        let text = format!("{tls}{}", ReportDisplay(request, response, &verdict));
        let exit = verdict.error().map_or(Exit::Ok, |error| error.exit());
        Self { text, exit }
    }
}

/// A formatter of the report.
struct ReportDisplay<'a>(&'a Request, &'a RawResponse, &'a Verdict);

impl fmt::Display for ReportDisplay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(request, response, verdict) = self;
        write_report(f, request, response, verdict)
    }
}

fn write_report(
    to: &mut fmt::Formatter<'_>,
    request: &Request,
    response: &RawResponse,
    verdict: &Verdict,
) -> fmt::Result {
    writeln!(to, "request to {}", request.endpoint().authority())?;
    write_lines(to, '>', request.masked().as_bytes())?;
    write_request(to, request)?;
    writeln!(to, "\nresponse")?;
    if response.bytes.is_empty() {
        writeln!(to, "  nothing came")?;
    } else {
        write_lines(to, '<', response.heads())?;
    }
    let refusal = verdict.status().filter(|status| status.code != 101);
    if refusal.is_none() {
        write_rest(to, response)?;
    }
    if !verdict.checks().is_empty() {
        writeln!(to, "\nchecks")?;
    }
    for check in verdict.checks() {
        writeln!(
            to,
            "  {:<5}  {}: {}",
            check.outcome,
            check.part.name(),
            check.found
        )?;
        writeln!(to, "         {} ({})", check.why, check.part.section())?;
    }
    if let Some(status) = refusal {
        write_refusal(to, status, response)?;
    }
    write_accept(to, request.key(), refusal)?;
    write_verdict(to, verdict)
}

/// Writes the lines of a head, each with a sign for its sender.
fn write_lines(to: &mut fmt::Formatter<'_>, sign: char, head: &[u8]) -> fmt::Result {
    let head = head.strip_suffix(b"\n").unwrap_or(head);
    let lines = head.split(|byte| *byte == b'\n');
    for line in lines.clone().take(MAX_LINES) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            writeln!(to, "{sign}")?;
        } else {
            writeln!(to, "{sign} {}", excerpt(line, MAX_LINE_BYTES))?;
        }
    }
    match lines.count().saturating_sub(MAX_LINES) {
        0 => Ok(()),
        more => writeln!(to, "{sign} ... and {more} more lines"),
    }
}

/// Writes the number of bytes behind the head of an upgrade.
fn write_rest(to: &mut fmt::Formatter<'_>, response: &RawResponse) -> fmt::Result {
    match response.rest().len() {
        0 => Ok(()),
        length => writeln!(to, "  {length} more bytes follow the head"),
    }
}

/// Shows the computation of the accept value.
fn write_accept(
    to: &mut fmt::Formatter<'_>,
    key: &Key,
    refusal: Option<&StatusLine>,
) -> fmt::Result {
    const SECTION: &str = "RFC 6455 section 4.2.2, item 5.4";
    match refusal {
        None => writeln!(to, "\nhow the key becomes the accept value ({SECTION})")?,
        Some(_) => writeln!(to, "\nthe accept value that a 101 would have ({SECTION})")?,
    }
    writeln!(to, "  key         {}", key.as_str())?;
    writeln!(to, "              as in the request, not decoded")?;
    writeln!(to, "  GUID        {GUID}")?;
    writeln!(to, "              the same for every connection")?;
    writeln!(to, "  one string  {}{GUID}", key.as_str())?;
    writeln!(to, "  SHA-1       {}", key.digest_hex())?;
    writeln!(
        to,
        "              20 raw bytes, shown as 40 hexadecimal digits"
    )?;
    writeln!(to, "  base64      {}", key.accept())?;
    writeln!(
        to,
        "              of the 20 raw bytes, not of the 40 digits"
    )
}

fn write_verdict(to: &mut fmt::Formatter<'_>, verdict: &Verdict) -> fmt::Result {
    let Some(error) = verdict.error() else {
        return writeln!(to, "\nverdict: right, the WebSocket is open");
    };
    let count = wrong_fields(verdict);
    match (error, count) {
        (error @ HandshakeError::Wrong(..), 2..) => {
            writeln!(to, "\nverdict: WRONG in {count} parts; {error}")
        }
        (error, _) => writeln!(to, "\nverdict: WRONG; {error}"),
    }
}

/// Counts the wrong parts. A missing status line and its missing status count as one.
fn wrong_fields(verdict: &Verdict) -> usize {
    let mut wrong = verdict
        .checks()
        .iter()
        .filter(|check| check.outcome == CheckOutcome::Wrong);
    let count = wrong.clone().count();
    let no_status =
        verdict.status().is_none() && wrong.any(|check| check.part == ResponsePart::Status);
    count - usize::from(no_status)
}
