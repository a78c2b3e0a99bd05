//! The transport under a WebSocket: TCP, or TLS with a checked certificate.

mod arguments;
mod certificate;
mod failure;
mod transport;
mod trust;
mod verifier;

pub use self::{
    arguments::TrustArguments,
    certificate::CertificateFailure,
    failure::{TlsConnectError, TlsFailure},
    transport::{TlsSettings, TlsSummary, TransportKind},
    trust::{Trust, TrustError},
};
