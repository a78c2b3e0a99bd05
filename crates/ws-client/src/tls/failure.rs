//! The reasons why TLS fails, with their messages.

use std::{fmt, io, time::Duration};

use proto::escape::escaped_start;
use tokio_rustls::rustls::{AlertDescription, Error, InvalidMessage, PeerIncompatible};

use super::{
    certificate::{CertificateFailure, SHOWN_REASON},
    trust::Trust,
};
use crate::exit::Exit;

/// An error of TLS with a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConnectError {
    /// Host and port of the server.
    pub authority: String,
    /// The reason.
    pub failure: TlsFailure,
}

/// A reason why TLS fails. Three of them, and those of [`CertificateFailure`], tell the user what to
/// do. The others quote the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsFailure {
    /// The server does not speak TLS.
    NoTls,
    /// Client and server have no TLS version or cipher suite in common.
    Incompatible,
    /// The server demands a client certificate.
    ClientCertificateDemanded,
    /// The server did not complete the TLS handshake within this time.
    TimedOut(Duration),
    /// The certificate is refused.
    Certificate(CertificateFailure),
    /// TLS failed, for the reason that the library gives.
    Other(String),
}

impl TlsFailure {
    /// Converts an error of the TLS handshake. `trust` is what the certificate was checked against.
    pub(super) fn from_handshake(error: &io::Error, trust: &Trust) -> Self {
        match tls_error(error) {
            Some(Error::InvalidCertificate(error)) => {
                Self::Certificate(CertificateFailure::from_error(error, trust))
            }
            Some(error) => Self::from_protocol(error),
            None => Self::other(error),
        }
    }

    /// Converts an error after the TLS handshake, if it is one of TLS. With TLS 1.3, a server
    /// refuses the client only then.
    pub(crate) fn from_stream(error: &io::Error) -> Option<Self> {
        tls_error(error).map(Self::from_protocol)
    }

    fn from_protocol(error: &Error) -> Self {
        match error {
            Error::AlertReceived(AlertDescription::CertificateRequired) => {
                Self::ClientCertificateDemanded
            }
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::MessageTooLarge
                | InvalidMessage::InvalidEmptyPayload,
            ) => Self::NoTls,
            Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            )
            | Error::AlertReceived(
                AlertDescription::ProtocolVersion
                | AlertDescription::HandshakeFailure
                | AlertDescription::InsufficientSecurity,
            ) => Self::Incompatible,
            error => Self::other(error),
        }
    }

    /// Quotes a message of the library, escaped and shortened.
    pub(super) fn other(error: &dyn fmt::Display) -> Self {
        Self::Other(escaped_start(&error.to_string(), SHOWN_REASON))
    }

    /// Returns the exit code of the program after this failure.
    pub fn exit(&self) -> Exit {
        match self {
            Self::TimedOut(_) => Exit::TimedOut,
            Self::NoTls
            | Self::Incompatible
            | Self::ClientCertificateDemanded
            | Self::Certificate(_)
            | Self::Other(_) => Exit::Tls,
        }
    }
}

/// Returns the TLS error inside an I/O error, if there is one.
fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

impl fmt::Display for TlsConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { authority, failure } = self;
        match failure {
            TlsFailure::NoTls => write!(
                f,
                "{authority} does not speak TLS; look at the port, or use ws:// if the server is \
                 meant to be without TLS"
            ),
            TlsFailure::Incompatible => write!(
                f,
                "{authority} has no version or cipher of TLS in common with this client; it needs \
                 TLS 1.2 or 1.3"
            ),
            TlsFailure::ClientCertificateDemanded => write!(
                f,
                "{authority} demands a client certificate, and ws-client cannot send one; connect \
                 to a server or port that does not demand it"
            ),
            TlsFailure::TimedOut(span) => {
                write!(
                    f,
                    "{authority} did not complete the TLS handshake within {span:?}"
                )
            }
            TlsFailure::Certificate(failure) => {
                write!(f, "the certificate of {authority} {failure}")
            }
            TlsFailure::Other(reason) => write!(f, "TLS with {authority} failed: {reason}"),
        }
    }
}

impl std::error::Error for TlsConnectError {}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc, time::Duration};

    use proto::escape::is_unsafe;
    use tokio_rustls::rustls::{
        AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible,
        pki_types::{ServerName, UnixTime},
    };

    use super::{TlsConnectError, TlsFailure};
    use crate::{exit::Exit, tls::Trust};

    fn failure(error: impl Into<Error>) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, error.into())
    }

    fn shown(error: &io::Error, trust: &Trust) -> String {
        let failure = TlsFailure::from_handshake(error, trust);
        assert_eq!(failure.exit(), Exit::Tls);
        let authority = "[::1]:443".to_owned();
        TlsConnectError { authority, failure }.to_string()
    }

    fn wrong_name(presented: &[&str]) -> io::Error {
        failure(CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("example.org").unwrap(),
            presented: presented.iter().map(ToString::to_string).collect(),
        })
    }

    #[test]
    fn tls_failures_are_told_in_words() {
        let alert = |alert| failure(Error::AlertReceived(alert));
        let incompatible = "[::1]:443 has no version or cipher of TLS in common with this client; \
                            it needs TLS 1.2 or 1.3";
        for (error, words) in [
            (
                failure(InvalidMessage::InvalidContentType),
                "[::1]:443 does not speak TLS; look at the port, or use ws:// if the server is \
                 meant to be without TLS",
            ),
            (alert(AlertDescription::ProtocolVersion), incompatible),
            (alert(AlertDescription::HandshakeFailure), incompatible),
            (
                failure(PeerIncompatible::ServerDoesNotSupportTls12Or13),
                incompatible,
            ),
            (
                alert(AlertDescription::CertificateRequired),
                "[::1]:443 demands a client certificate, and ws-client cannot send one; connect to \
                 a server or port that does not demand it",
            ),
            (
                io::Error::new(io::ErrorKind::UnexpectedEof, "eof\u{1b}"),
                "TLS with [::1]:443 failed: eof\\u{1b}",
            ),
        ] {
            assert_eq!(shown(&error, &Trust::System), words);
        }
    }

    #[test]
    fn certificate_failures_are_told_in_words() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let file = Trust::File("ca.pem".into());
        for (error, trust, words) in [
            (
                failure(CertificateError::ExpiredContext {
                    time: at(1_800_000_000),
                    not_after: at(1_795_594_085),
                }),
                &file,
                "expired on 2026-11-25 08:08:05 UTC; renew it, or correct the clock of this machine",
            ),
            (
                failure(CertificateError::NotValidYetContext {
                    time: at(0),
                    not_before: at(1),
                }),
                &file,
                "is not valid before 1970-01-01 00:00:01 UTC; check the clocks of both machines",
            ),
            (
                wrong_name(&["DnsName(\"*.a.b\")", "IpAddress(::1)", "DirectoryName"]),
                &file,
                "is not for example.org, but for *.a.b, ::1, DirectoryName; use a name that it is \
                 for, if that is the right server",
            ),
            (
                wrong_name(&["a", "b", "c", "d", "e", "f", "g"]),
                &file,
                "is not for example.org, but for a, b, c, d, e and 2 more; use a name that it is \
                 for, if that is the right server",
            ),
            (
                wrong_name(&[]),
                &file,
                "has no subjectAltName, and its common name does not count; make one with \
                 subjectAltName=DNS:example.org",
            ),
            (
                failure(CertificateError::UnknownIssuer),
                &Trust::System,
                "could not be verified by an authority that this system trusts (UnknownIssuer); if \
                 it is the right server, name a file with its certificate, or that of its \
                 authority, with --cacert FILE",
            ),
            (
                failure(CertificateError::BadSignature),
                &file,
                "does not fit the key of its signature (BadSignature): another key signed it, or \
                 the key is of a kind that is not supported, such as RSA with fewer than 2048 bits; \
                 if neither explains it, another server may answer in its place",
            ),
            (
                failure(CertificateError::Other(OtherError(Arc::new(
                    webpki::Error::CaUsedAsEndEntity,
                )))),
                &file,
                "is one for an authority (CA:TRUE), not for a server; make one with \
                 basicConstraints=CA:FALSE",
            ),
            (
                failure(CertificateError::BadEncoding),
                &file,
                "cannot be used: BadEncoding",
            ),
        ] {
            let words = format!("the certificate of [::1]:443 {words}");
            assert_eq!(shown(&error, trust), words);
        }
    }

    #[test]
    fn certificate_of_unusable_form_is_told_in_words() {
        for (error, words) in [
            (
                failure(CertificateError::NotValidForNameContext {
                    expected: ServerName::try_from("127.0.0.1").unwrap(),
                    presented: vec!["DnsName(\"127.0.0.1\")".to_owned()],
                }),
                "has the address 127.0.0.1 as a DNS name, and must have it as an IP address; make \
                 one with subjectAltName=IP:127.0.0.1",
            ),
            (
                failure(CertificateError::NotValidForNameContext {
                    expected: ServerName::try_from("::1").unwrap(),
                    presented: vec!["IpAddress(0::2)".to_owned()],
                }),
                "is not for ::1, but for ::2; use a name that it is for, if that is the right server",
            ),
            (
                failure(CertificateError::UnsupportedSignatureAlgorithmContext {
                    signature_algorithm_id: b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04".to_vec(),
                    supported_algorithms: Vec::new(),
                }),
                "has a kind of key or signature that is not supported (ECDSA with SHA-512), itself \
                 or in its authority; use ECDSA with P-256 or P-384, Ed25519, or RSA with 2048 bits \
                 or more, and SHA-256 or SHA-384",
            ),
            (
                failure(
                    CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
                        signature_algorithm_id: b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"
                            .to_vec(),
                        public_key_algorithm_id:
                            b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23"
                                .to_vec(),
                    },
                ),
                "has a kind of key or signature that is not supported (P-521 with ECDSA with \
                 SHA-256), itself or in its authority; use ECDSA with P-256 or P-384, Ed25519, or \
                 RSA with 2048 bits or more, and SHA-256 or SHA-384",
            ),
            (
                failure(CertificateError::Other(OtherError(Arc::new(
                    webpki::Error::NameConstraintViolation,
                )))),
                "is for a name that its authority may not certify (name constraints); use another \
                 name or another authority",
            ),
            (
                failure(CertificateError::Other(OtherError(Arc::new(
                    webpki::Error::UnsupportedCertVersion,
                )))),
                "is not of version 3 of X.509, which TLS needs; make one with a subjectAltName",
            ),
        ] {
            let words = format!("the certificate of [::1]:443 {words}");
            assert_eq!(shown(&error, &Trust::System), words);
        }
    }

    /// A certificate may contain any text.
    #[test]
    fn text_of_a_certificate_is_escaped_and_cut() {
        let name = format!("DnsName(\"\u{1b}[2J\u{202e}{}\")", "ü".repeat(1000));
        let other = OtherError(Arc::new(io::Error::other("\u{1b}[2J".repeat(1000))));
        for error in [
            wrong_name(&[&name]),
            failure(CertificateError::Other(other)),
        ] {
            let words = shown(&error, &Trust::System);
            assert!(!words.chars().any(is_unsafe), "{words}");
            assert!(words.len() < 1000, "{words}");
        }
    }

    #[test]
    fn lost_stream_is_no_failure_of_tls() {
        let lost = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(TlsFailure::from_stream(&lost), None);
        let alert = failure(Error::AlertReceived(AlertDescription::CertificateRequired));
        assert!(TlsFailure::from_stream(&alert).is_some());
    }
}
