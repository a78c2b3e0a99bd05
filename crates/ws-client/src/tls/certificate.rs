//! The reasons why a certificate is refused, with their messages.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use proto::escape::escaped_start;
use tokio_rustls::rustls::{
    CertificateError,
    pki_types::{ServerName, UnixTime},
};

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
    /// The certificate names the address of the URL as a DNS name only.
    #[error(
        "has the address {0} as a DNS name, and must have it as an IP address; make one with \
         subjectAltName=IP:{0}"
    )]
    AddressAsDnsName(String),
    /// The certificate has no subjectAltName.
    #[error(
        "has no subjectAltName, and its common name does not count; make one with \
         subjectAltName={0}"
    )]
    NoName(String),
    /// A key or a signature is of an unsupported kind.
    #[error(
        "has a kind of key or signature that is not supported ({0}), itself or in its authority; \
         use ECDSA with P-256 or P-384, Ed25519, or RSA with 2048 bits or more, and SHA-256 or \
         SHA-384"
    )]
    UnsupportedAlgorithm(String),
    /// The certificate cannot be used, for this reason.
    #[error("{0}")]
    Unusable(&'static str),
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
        "does not fit the key of its signature ({0}): another key signed it, or the key is of a \
         kind that is not supported, such as RSA with fewer than 2048 bits; if neither explains it, \
         another server may answer in its place"
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
            } => wrong_name(expected, presented),
            CertificateError::UnknownIssuer => Self::UnknownAuthority {
                trust: trust.clone(),
                reason: reason(),
            },
            // An authority has the name of a trusted one and another key, or the server lacks the key
            // of its certificate.
            CertificateError::BadSignature => Self::SignatureMismatch(reason()),
            CertificateError::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id,
                ..
            } => Self::UnsupportedAlgorithm(algorithm(signature_algorithm_id)),
            CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
                signature_algorithm_id,
                public_key_algorithm_id,
            } => Self::UnsupportedAlgorithm(format!(
                "{} with {}",
                algorithm(public_key_algorithm_id),
                algorithm(signature_algorithm_id)
            )),
            CertificateError::UnhandledCriticalExtension => Self::Unusable(CRITICAL_EXTENSION),
            CertificateError::Other(other) => match other.0.downcast_ref() {
                Some(webpki::Error::CaUsedAsEndEntity) => Self::IsCa,
                Some(webpki::Error::UnsupportedCriticalExtension) => {
                    Self::Unusable(CRITICAL_EXTENSION)
                }
                Some(webpki::Error::UnsupportedCertVersion) => Self::Unusable(
                    "is not of version 3 of X.509, which TLS needs; make one with a subjectAltName",
                ),
                Some(webpki::Error::NameConstraintViolation) => Self::Unusable(
                    "is for a name that its authority may not certify (name constraints); use \
                     another name or another authority",
                ),
                Some(_) | None => Self::Other(escaped_start(&other.0.to_string(), SHOWN_REASON)),
            },
            _ => Self::Other(reason()),
        }
    }
}

/// The fault of a certificate with an unknown critical extension.
const CRITICAL_EXTENSION: &str =
    "has a critical extension that this client does not know; make one without it";

/// The first bytes of the identifiers of algorithms (DER, RFC 5280 section 4.1.1.2), with the names
/// of those algorithms.
const ALGORITHMS: &[(&[u8], &str)] = &[
    (b"\x2a\x86\x48\xce\x3d\x04\x01", "ECDSA with SHA-1"),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x01", "ECDSA with SHA-224"),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x02", "ECDSA with SHA-256"),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x03", "ECDSA with SHA-384"),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x04", "ECDSA with SHA-512"),
    (b"\x2b\x81\x04\x00\x23", "P-521"),
    (b"\x2b\x81\x04\x00\x22", "P-384"),
    (b"\x2b\x81\x04\x00\x0a", "secp256k1"),
    (b"\x2a\x86\x48\xce\x3d\x03\x01\x07", "P-256"),
    (b"\x2b\x65\x71", "Ed448"),
    (b"\x2b\x65\x70", "Ed25519"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", "RSA with MD5"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", "RSA with SHA-1"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", "RSA-PSS"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", "RSA with SHA-256"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", "RSA"),
    (b"\x2a\x86\x48\xce\x38\x04", "DSA"),
];

/// Returns the name of an algorithm by its identifier.
fn algorithm(id: &[u8]) -> String {
    let named = ALGORITHMS
        .iter()
        .find(|(oid, _)| id.windows(oid.len()).any(|bytes| bytes == *oid));
    named.map_or_else(
        || {
            let bytes: Vec<_> = id
                .iter()
                .take(20)
                .map(|byte| format!("{byte:02x}"))
                .collect();
            format!("algorithm {}", bytes.concat())
        },
        |(_, name)| (*name).to_owned(),
    )
}

/// Returns the fault of a certificate that is for other hosts.
fn wrong_name(expected: &ServerName<'_>, presented: &[String]) -> CertificateFailure {
    let (kind, host) = match expected {
        ServerName::IpAddress(address) => ("IP", IpAddr::from(*address).to_string()),
        _ => ("DNS", expected.to_str().into_owned()),
    };
    if presented.is_empty() {
        return CertificateFailure::NoName(format!("{kind}:{host}"));
    }
    let as_dns_name = format!("DnsName(\"{host}\")");
    if kind == "IP" && presented.contains(&as_dns_name) {
        return CertificateFailure::AddressAsDnsName(host);
    }
    CertificateFailure::WrongName {
        host,
        names: names(presented),
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
    if let Some(Ok(address)) = bare("IpAddress(", ")").map(str::parse::<IpAddr>) {
        return address.to_string();
    }
    let bare = bare("DnsName(\"", "\")").or_else(|| bare("IpAddress(", ")"));
    escaped_start(bare.unwrap_or(name), SHOWN_CHARACTERS)
}
