//! The certificate and the private key of the server, checked when they are loaded.

mod certificate;
mod tls;

pub use self::tls::{Tls, TlsError};
pub(crate) use self::{
    certificate::CertificateFlaw,
    tls::{CurrentTls, certificates, private_key},
};
