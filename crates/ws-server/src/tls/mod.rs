//! The certificate and private key of the server, validated when loaded.

mod certificate;
mod tls;
mod upstream_tls;

pub(crate) use self::{
    certificate::CertificateFlaw,
    tls::{CurrentTls, certificates, private_key},
};
pub use self::{
    tls::{Tls, TlsError},
    upstream_tls::UpstreamTls,
};
