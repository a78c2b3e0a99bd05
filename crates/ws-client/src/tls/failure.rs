//! Why there is no TLS, in words.

use std::{fmt, io, time::Duration};

use proto::escape::Escaped;
use tokio_rustls::rustls::{AlertDescription, Error, InvalidMessage, PeerIncompatible};

use super::{certificate::CertificateFailure, trust::Trust};
use crate::exit::Exit;

/// Why there is no connection by TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsError {
    /// Host and port of the server.
    pub authority: String,
    /// What is wrong.
    pub failure: TlsFailure,
}

/// What is wrong, as it follows "example.org".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsFailure {
    /// The host's name can stand in no certificate.
    #[error("has no name that a certificate could be for")]
    BadName,
    /// The server kept silent for this long.
    #[error("did not complete the TLS handshake within {0:?}")]
    Silent(Duration),
    /// The server does not speak TLS.
    #[error(
        "does not speak TLS; look at the port, or use ws:// if the server is meant to be without TLS"
    )]
    NoTls,
    /// The server ended the connection, and gave no reason.
    #[error(
        "ended the connection within the TLS handshake; it may not speak TLS, or not to everybody"
    )]
    Ended,
    /// The connection failed.
    #[error("was lost within the TLS handshake: {0}")]
    Lost(io::ErrorKind),
    /// The certificate is not right.
    #[error(transparent)]
    Certificate(CertificateFailure),
    /// The server speaks only old versions of TLS.
    #[error("speaks only old versions of TLS, which are not safe; at least TLS 1.2 is needed")]
    OldVersion,
    /// The two sides have no way in common to do it.
    #[error(
        "found nothing in common for TLS: its versions, ciphers or keys are others than those of this client"
    )]
    NothingInCommon,
    /// The server does not know the name.
    #[error("does not know this name")]
    NameUnknown,
    /// The server wants a certificate of the client's.
    #[error("wants a certificate of the client, and ws-client has none")]
    CertificateWanted,
    /// The server does not speak HTTP behind TLS.
    #[error("does not speak HTTP/1.1 behind TLS")]
    NoHttp,
    /// The server broke it off, with this alert.
    #[error("broke off TLS with the alert {0}")]
    Alert(String),
    /// The server broke the rules of TLS.
    #[error("broke the rules of TLS: {0}")]
    Broken(String),
}

impl TlsFailure {
    /// What went wrong in the handshake of TLS, for those who trust these.
    pub(super) fn of_handshake(error: &io::Error, trust: &Trust) -> Self {
        match (of_tls(error), error.kind()) {
            (Some(Error::InvalidCertificate(error)), _) => {
                Self::Certificate(CertificateFailure::of(error, trust))
            }
            (Some(error), _) => Self::of_protocol(error),
            (
                None,
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe,
            ) => Self::Ended,
            (None, kind) => Self::Lost(kind),
        }
    }

    /// What went wrong on a stream behind the handshake of TLS, if it is TLS that did: a server may
    /// find only then that it wants something else.
    pub(crate) fn of_stream(error: &io::Error) -> Option<Self> {
        of_tls(error).map(Self::of_protocol)
    }

    fn of_protocol(error: &Error) -> Self {
        match error {
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
            | Error::AlertReceived(AlertDescription::ProtocolVersion) => Self::OldVersion,
            Error::PeerIncompatible(_)
            | Error::AlertReceived(
                AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity,
            ) => Self::NothingInCommon,
            Error::AlertReceived(AlertDescription::UnrecognisedName) => Self::NameUnknown,
            Error::AlertReceived(AlertDescription::NoApplicationProtocol) => Self::NoHttp,
            Error::AlertReceived(
                AlertDescription::CertificateRequired | AlertDescription::NoCertificate,
            ) => Self::CertificateWanted,
            Error::AlertReceived(alert) => Self::Alert(format!("{alert:?}")),
            error => Self::Broken(Escaped(&error.to_string()).to_string()),
        }
    }

    /// The exit code that this failure ends the program with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Silent(_) => Exit::TimedOut,
            Self::BadName
            | Self::NoTls
            | Self::Ended
            | Self::Lost(_)
            | Self::Certificate(_)
            | Self::OldVersion
            | Self::NothingInCommon
            | Self::NameUnknown
            | Self::CertificateWanted
            | Self::NoHttp
            | Self::Alert(_)
            | Self::Broken(_) => Exit::Tls,
        }
    }
}

/// The error of TLS that a stream tells, if it is one.
fn of_tls(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { authority, failure } = self;
        match failure {
            TlsFailure::Certificate(failure) => {
                write!(f, "the certificate of {authority} {failure}")
            }
            failure => write!(f, "{authority} {failure}"),
        }
    }
}

impl std::error::Error for TlsError {}

#[cfg(test)]
mod tests {
    use std::io;

    use tokio_rustls::rustls::{
        AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible, PeerMisbehaved,
    };

    use super::{TlsError, TlsFailure};
    use crate::exit::Exit;
    use crate::tls::Trust;

    fn failure(error: impl Into<Error>) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, error.into())
    }

    #[test]
    fn every_failure_has_words() {
        const OLD: &str =
            "speaks only old versions of TLS, which are not safe; at least TLS 1.2 is needed";
        for (error, words) in [
            (
                failure(InvalidMessage::InvalidContentType),
                "does not speak TLS; look at the port, or use ws:// if the server is meant to be \
                 without TLS",
            ),
            (
                failure(Error::AlertReceived(AlertDescription::ProtocolVersion)),
                OLD,
            ),
            (
                failure(PeerIncompatible::ServerDoesNotSupportTls12Or13),
                OLD,
            ),
            (
                failure(Error::AlertReceived(AlertDescription::HandshakeFailure)),
                "found nothing in common for TLS: its versions, ciphers or keys are others than \
                 those of this client",
            ),
            (
                failure(Error::AlertReceived(AlertDescription::UnrecognisedName)),
                "does not know this name",
            ),
            (
                failure(Error::AlertReceived(AlertDescription::InternalError)),
                "broke off TLS with the alert InternalError",
            ),
            (
                failure(PeerMisbehaved::SelectedUnofferedApplicationProtocol),
                "broke the rules of TLS: peer misbehaved: SelectedUnofferedApplicationProtocol",
            ),
            (
                io::ErrorKind::UnexpectedEof.into(),
                "ended the connection within the TLS handshake; it may not speak TLS, or not to \
                 everybody",
            ),
            (
                io::ErrorKind::HostUnreachable.into(),
                "was lost within the TLS handshake: host unreachable",
            ),
        ] {
            let failure = TlsFailure::of_handshake(&error, &Trust::System);
            assert_eq!(failure.exit(), Exit::Tls);
            assert_eq!(failure.to_string(), words);
        }
    }

    #[test]
    fn it_is_said_whose_failure_it_is() {
        for (error, words) in [
            (
                failure(CertificateError::BadEncoding),
                "the certificate of [::1]:443 cannot be used: BadEncoding",
            ),
            (
                failure(Error::AlertReceived(AlertDescription::CertificateRequired)),
                "[::1]:443 wants a certificate of the client, and ws-client has none",
            ),
        ] {
            let error = TlsError {
                authority: "[::1]:443".to_owned(),
                failure: TlsFailure::of_handshake(&error, &Trust::System),
            };
            assert_eq!(error.to_string(), words);
        }
    }

    #[test]
    fn what_is_not_tls_is_no_failure_of_it() {
        let lost = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(TlsFailure::of_stream(&lost), None);
        let alert = failure(Error::AlertReceived(AlertDescription::CertificateRequired));
        let found = TlsFailure::of_stream(&alert);
        assert_eq!(found, Some(TlsFailure::CertificateWanted));
    }
}
