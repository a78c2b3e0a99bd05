//! Why a certificate is not taken, in words.

use chrono::{DateTime, Utc};
use proto::escape::Escaped;
use tokio_rustls::rustls::{CertificateError, pki_types::UnixTime};

use super::{
    trust::Trust,
    verifier::{KeyNotShown, SelfSigned},
};

/// How many of a certificate's names are shown.
const SHOWN_NAMES: usize = 5;

/// How much of one of them is shown.
const SHOWN_CHARACTERS: usize = 80;

/// What is wrong with a certificate, as it follows "the certificate of example.org". Whatever stands
/// in it of the certificate was escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFailure {
    /// Its time was over then.
    #[error(
        "expired on {0}; whoever runs the server has to renew it, unless the clock here is wrong"
    )]
    Expired(String),
    /// Its time begins then.
    #[error("is not valid before {0}; look at the clock here, or ask whoever runs the server")]
    Early(String),
    /// It is for others than the host.
    #[error(
        "is not for {host}, but for {names}; use a name that it is for, if that is the right server"
    )]
    WrongName {
        /// Whom it should be for.
        host: String,
        /// Whom it is for.
        names: String,
    },
    /// Only its own key vouches for it, and it is not one of those that are trusted.
    #[error("is self-signed{}", instead_of_self_signed(.0))]
    SelfSigned(Trust),
    /// It comes from somebody who is none of those that are trusted.
    #[error("comes from {}", instead_of_unknown(.0))]
    UnknownAuthority(Trust),
    /// It names one of those that are trusted, and is signed by another key.
    #[error(
        "names an authority that is trusted, but is signed by another key; that authority may have been made anew, or somebody uses its name"
    )]
    OtherKey,
    /// The server has not shown that it has the key of it.
    #[error(
        "is not its own: it does not have the key; it was set up with another one, or somebody else answers in its place"
    )]
    KeyNotShown,
    /// It is an authority's, and no server's.
    #[error(
        "is one for an authority (CA:TRUE), and not for a server; whoever runs the server has to make one with basicConstraints=CA:FALSE"
    )]
    OfAuthority,
    /// It is for another purpose.
    #[error("is not meant for servers; whoever runs the server has to use another one")]
    WrongPurpose,
    /// It cannot be used, for a reason that has no better words.
    #[error("cannot be used: {0}")]
    Unusable(String),
}

impl CertificateFailure {
    /// What an error means for those who trust these.
    pub(super) fn of(error: &CertificateError, trust: &Trust) -> Self {
        match error {
            CertificateError::ExpiredContext { not_after, .. } => Self::Expired(moment(*not_after)),
            CertificateError::NotValidYetContext { not_before, .. } => {
                Self::Early(moment(*not_before))
            }
            CertificateError::NotValidForNameContext {
                expected,
                presented,
            } => Self::WrongName {
                host: expected.to_str().into_owned(),
                names: names(presented),
            },
            CertificateError::UnknownIssuer => Self::UnknownAuthority(trust.clone()),
            CertificateError::BadSignature
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                Self::OtherKey
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::WrongPurpose
            }
            CertificateError::Other(other) if other.0.is::<SelfSigned>() => {
                Self::SelfSigned(trust.clone())
            }
            CertificateError::Other(other) if other.0.is::<KeyNotShown>() => Self::KeyNotShown,
            CertificateError::Other(other)
                if matches!(
                    other.0.downcast_ref(),
                    Some(webpki::Error::CaUsedAsEndEntity)
                ) =>
            {
                Self::OfAuthority
            }
            error => Self::Unusable(Escaped(&error.to_string()).to_string()),
        }
    }
}

fn instead_of_self_signed(trust: &Trust) -> String {
    match trust {
        Trust::File(path) => format!(
            ", and not in {}; if it is the right one, put it there",
            path.display()
        ),
        Trust::System | Trust::Anybody => ": nobody else vouches for it; if it is the right one, \
                                           name a file that holds it with --cacert FILE"
            .to_owned(),
    }
}

fn instead_of_unknown(trust: &Trust) -> String {
    match trust {
        Trust::File(path) => format!(
            "no authority in {}, and no others are trusted",
            path.display()
        ),
        Trust::System | Trust::Anybody => "an authority that this system does not trust; if it \
                                           can be trusted, name a file with its certificate with \
                                           --cacert FILE"
            .to_owned(),
    }
}

/// A moment, as people write it.
fn moment(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let moment = seconds.and_then(|seconds| DateTime::<Utc>::from_timestamp(seconds, 0));
    moment.map_or("a day that no calendar has".to_owned(), |moment| {
        moment.format("%Y-%m-%d %H:%M:%S UTC").to_string()
    })
}

/// The names in a certificate, as far as they are shown.
fn names(presented: &[String]) -> String {
    let shown: Vec<String> = presented
        .iter()
        .take(SHOWN_NAMES)
        .map(|name| shown(name))
        .collect();
    match presented.len().saturating_sub(SHOWN_NAMES) {
        0 if shown.is_empty() => "nobody".to_owned(),
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A name as it is shown. The library puts its kind around it.
fn shown(name: &str) -> String {
    let bare = |kind: &str, end: &str| name.strip_prefix(kind)?.strip_suffix(end);
    let bare = bare("DnsName(\"", "\")").or_else(|| bare("IpAddress(", ")"));
    let mut shown = Escaped(bare.unwrap_or(name)).to_string();
    if let Some((end, _)) = shown.char_indices().nth(SHOWN_CHARACTERS) {
        shown.truncate(end);
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use proto::escape::is_unsafe;
    use tokio_rustls::rustls::{
        CertificateError, OtherError,
        pki_types::{ServerName, UnixTime},
    };

    use super::{CertificateFailure, SelfSigned, shown};
    use crate::tls::Trust;

    fn said(error: &CertificateError, trust: &Trust) -> String {
        CertificateFailure::of(error, trust).to_string()
    }

    fn wrong_name(presented: &[&str]) -> CertificateError {
        CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("example.org").unwrap(),
            presented: presented.iter().map(ToString::to_string).collect(),
        }
    }

    fn other(error: impl std::error::Error + Send + Sync + 'static) -> CertificateError {
        CertificateError::Other(OtherError(Arc::new(error)))
    }

    #[test]
    fn every_failure_has_words() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        for (error, words) in [
            (
                CertificateError::ExpiredContext {
                    time: at(1_800_000_000),
                    not_after: at(1_795_594_085),
                },
                "expired on 2026-11-25 08:08:05 UTC; whoever runs the server has to renew it, \
                 unless the clock here is wrong",
            ),
            (
                CertificateError::NotValidYetContext {
                    time: at(0),
                    not_before: at(1),
                },
                "is not valid before 1970-01-01 00:00:01 UTC; look at the clock here, or ask \
                 whoever runs the server",
            ),
            (
                CertificateError::BadSignature,
                "names an authority that is trusted, but is signed by another key; that authority \
                 may have been made anew, or somebody uses its name",
            ),
            (
                other(webpki::Error::CaUsedAsEndEntity),
                "is one for an authority (CA:TRUE), and not for a server; whoever runs the server \
                 has to make one with basicConstraints=CA:FALSE",
            ),
            (
                CertificateError::InvalidPurpose,
                "is not meant for servers; whoever runs the server has to use another one",
            ),
            (CertificateError::BadEncoding, "cannot be used: BadEncoding"),
            (
                wrong_name(&[
                    "DnsName(\"*.example.org\")",
                    "IpAddress(::1)",
                    "DirectoryName",
                ]),
                "is not for example.org, but for *.example.org, ::1, DirectoryName; use a name \
                 that it is for, if that is the right server",
            ),
            (
                wrong_name(&[]),
                "is not for example.org, but for nobody; use a name that it is for, if that is \
                 the right server",
            ),
            (
                other(SelfSigned),
                "is self-signed: nobody else vouches for it; if it is the right one, name a file \
                 that holds it with --cacert FILE",
            ),
            (
                CertificateError::UnknownIssuer,
                "comes from an authority that this system does not trust; if it can be trusted, \
                 name a file with its certificate with --cacert FILE",
            ),
        ] {
            assert_eq!(said(&error, &Trust::System), words);
        }
    }

    #[test]
    fn who_names_a_file_is_told_of_it() {
        let file = Trust::File("ca.pem".into());
        assert_eq!(
            said(&other(SelfSigned), &file),
            "is self-signed, and not in ca.pem; if it is the right one, put it there"
        );
        assert_eq!(
            said(&CertificateError::UnknownIssuer, &file),
            "comes from no authority in ca.pem, and no others are trusted"
        );
    }

    /// Whoever makes a certificate can write into it what they like.
    #[test]
    fn names_in_a_certificate_are_safe_for_a_terminal() {
        let nasty = wrong_name(&["DnsName(\"\u{1b}[2J\u{202e}a\nb\")"]);
        let words = said(&nasty, &Trust::System);
        assert!(!words.chars().any(is_unsafe), "{words}");
        assert!(words.contains("for \\u{1b}[2J\\u{202e}a\\nb;"), "{words}");
        let long = format!("DnsName(\"{}\")", "ü".repeat(1000));
        assert_eq!(shown(&long), format!("{}...", "ü".repeat(80)));
    }
}
