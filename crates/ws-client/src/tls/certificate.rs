//! The reasons why a certificate is refused, with their messages.

use chrono::{DateTime, Utc};
use proto::escape::escaped_start;
use tokio_rustls::rustls::{CertificateError, pki_types::UnixTime};

use super::trust::Trust;

/// The number of a certificate's names that are shown.
const SHOWN_NAMES: usize = 5;

/// The number of characters of one name that are shown.
const SHOWN_CHARACTERS: usize = 80;

/// The number of characters of a library message that are shown.
pub(super) const SHOWN_REASON: usize = 200;

/// A fault of a certificate, as it continues "the certificate of example.org". Text of the
/// certificate is escaped. Faults that a client's user cannot repair are quoted from the library.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFailure {
    /// The certificate has expired, or is not valid yet.
    #[error("{0}")]
    OutOfDate(String),
    /// The certificate is for other hosts.
    #[error(
        "is not for {host}, but for {names}; use a name that it is for, if that is the right server"
    )]
    WrongName {
        /// The host of the URL.
        host: String,
        /// The hosts in the certificate.
        names: String,
    },
    /// No trusted authority has signed the certificate.
    #[error("could not be verified by {trust} ({reason}); {}", advice(.trust))]
    UnknownAuthority {
        /// The trusted authorities.
        trust: Trust,
        /// The message of the library.
        reason: String,
    },
    /// A signature was made by another key than that of the certificate or of its authority. This can
    /// be an attack, so the advice is not to trust the certificate.
    #[error(
        "does not fit the key of its signature ({0}); the server or its authority was set up with \
         another key, or another server answers in its place"
    )]
    SignatureMismatch(String),
    /// The certificate is one for an authority, as `openssl req -x509` makes it by default.
    #[error(
        "is one for an authority (CA:TRUE), not for a server; make one with \
         basicConstraints=CA:FALSE"
    )]
    IsCa,
    /// The certificate cannot be used, for the reason that the library gives.
    #[error("cannot be used: {0}")]
    Other(String),
}

impl CertificateFailure {
    /// Converts an error of the library. `trust` is what the certificate was checked against.
    pub(super) fn from_error(error: &CertificateError, trust: &Trust) -> Self {
        let reason = || escaped_start(&error.to_string(), SHOWN_REASON);
        match error {
            CertificateError::ExpiredContext { not_after, .. } => {
                let end = format_time(*not_after);
                let text =
                    format!("expired on {end}; renew it, or correct the clock of this machine");
                Self::OutOfDate(text)
            }
            CertificateError::NotValidYetContext { not_before, .. } => {
                let start = format_time(*not_before);
                let text =
                    format!("is not valid before {start}; check the clocks of both machines");
                Self::OutOfDate(text)
            }
            CertificateError::NotValidForNameContext {
                expected,
                presented,
            } => Self::WrongName {
                host: expected.to_str().into_owned(),
                names: names(presented),
            },
            CertificateError::UnknownIssuer => Self::UnknownAuthority {
                trust: trust.clone(),
                reason: reason(),
            },
            // An authority has the name of a trusted one and another key, or the server lacks the key
            // of its certificate.
            CertificateError::BadSignature
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                Self::SignatureMismatch(reason())
            }
            CertificateError::Other(other)
                if matches!(
                    other.0.downcast_ref(),
                    Some(webpki::Error::CaUsedAsEndEntity)
                ) =>
            {
                Self::IsCa
            }
            _ => Self::Other(reason()),
        }
    }
}

fn advice(trust: &Trust) -> &'static str {
    match trust {
        Trust::File(_) => {
            "if it is the right server, add its certificate, or that of its authority, to the file"
        }
        Trust::System | Trust::Insecure => {
            "if it is the right server, name a file with its certificate, or that of its \
             authority, with --cacert FILE"
        }
    }
}

/// Formats a time in UTC.
fn format_time(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let moment = seconds.and_then(|seconds| DateTime::<Utc>::from_timestamp(seconds, 0));
    moment.map_or("a day that no calendar has".to_owned(), |moment| {
        moment.format("%Y-%m-%d %H:%M:%S UTC").to_string()
    })
}

/// Returns the first names of a certificate, and the number of the others.
fn names(presented: &[String]) -> String {
    let shown: Vec<String> = presented
        .iter()
        .take(SHOWN_NAMES)
        .map(|name| shown(name))
        .collect();
    match presented.len().saturating_sub(SHOWN_NAMES) {
        0 if shown.is_empty() => "no name".to_owned(),
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Returns a name without the wrapper that the library prints around it.
fn shown(name: &str) -> String {
    let bare = |kind: &str, end: &str| name.strip_prefix(kind)?.strip_suffix(end);
    let bare = bare("DnsName(\"", "\")").or_else(|| bare("IpAddress(", ")"));
    escaped_start(bare.unwrap_or(name), SHOWN_CHARACTERS)
}
