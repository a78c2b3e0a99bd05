//! The certificate and private key of the server, validated when loaded.

mod certificate;
mod tls;

pub use self::tls::{Tls, TlsError};
pub(crate) use self::{
    certificate::CertificateFlaw,
    tls::{CurrentTls, certificates, private_key},
};
