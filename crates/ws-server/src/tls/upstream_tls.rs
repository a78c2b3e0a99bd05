//! The TLS configuration for connections to upstreams.

use std::{fmt, io, sync::Arc};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName},
        sign::{CertifiedKey, SigningKey, SingleCertAndKey},
        version::{TLS12, TLS13},
    },
};

use crate::tls::{TlsError, tls::HTTP};

/// The TLS configuration for connections to upstreams. The name of the server is always checked.
#[derive(Clone)]
pub struct UpstreamTls(Arc<ClientConfig>);

impl UpstreamTls {
    /// Creates a configuration that trusts these authorities, or those of the system. `identity` is the
    /// certificate chain and key that an upstream may ask for.
    ///
    /// # Errors
    ///
    /// No authority can be used, or the key does not match the certificate.
    pub(crate) fn new(
        authorities: Option<Vec<CertificateDer<'static>>>,
        identity: Option<(Vec<CertificateDer<'static>>, Arc<dyn SigningKey>)>,
    ) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        if let Some(authorities) = authorities {
            for authority in authorities {
                roots
                    .add(authority)
                    .map_err(|_| TlsError::BrokenCertificate)?;
            }
        } else {
            // Systems may hold some that are too old to parse.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(TlsError::NoSystemRoots);
            }
        }
        let config = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has cipher suites for both versions")
            .with_root_certificates(roots);
        let mut config = match identity {
            None => config.with_no_client_auth(),
            Some((chain, key)) => {
                let certified = CertifiedKey::new(chain, key);
                certified
                    .keys_match()
                    .map_err(|_| TlsError::ClientKeyMismatch)?;
                let resolver = Arc::new(SingleCertAndKey::from(certified));
                config.with_client_cert_resolver(resolver)
            }
        };
        config.alpn_protocols = vec![HTTP.to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// Does the TLS handshake with the server of this name or address. The caller sets a deadline.
    ///
    /// # Errors
    ///
    /// The handshake failed, or the certificate is not trusted.
    pub(crate) async fn connect<S>(&self, host: &str, io: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        TlsConnector::from(Arc::clone(&self.0))
            .connect(name, io)
            .await
    }
}

impl fmt::Debug for UpstreamTls {
    /// Shows nothing of the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamTls").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio_rustls::{
        TlsAcceptor,
        rustls::{
            RootCertStore, ServerConfig,
            crypto::ring,
            pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
            server::WebPkiClientVerifier,
        },
    };

    use super::UpstreamTls;
    use crate::tls::{TlsError, private_key};

    type Issuer = CertifiedIssuer<'static, KeyPair>;

    fn authority() -> Issuer {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Issuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn certificate(authority: &Issuer) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()
    }

    /// Returns a certificate for this name and its key as PEM.
    fn issue(authority: &Issuer, name: &str) -> (Vec<CertificateDer<'static>>, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let issued = params.signed_by(&key, authority).unwrap();
        (vec![issued.der().clone()], key.serialize_pem())
    }

    /// Returns the first byte that a server for `localhost`, which asks for a certificate, receives from
    /// a client, or `None` if a handshake fails.
    async fn received(authority: &Issuer, client: &UpstreamTls, host: &str) -> Option<u8> {
        let (chain, key) = issue(authority, "localhost");
        let mut roots = RootCertStore::empty();
        roots.add(certificate(authority)).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(
                chain,
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            );
        let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
        let (ours, theirs) = duplex(1 << 16);
        let connect = async {
            let mut io = client.connect(host, ours).await.ok()?;
            io.write_u8(7).await.ok()?;
            io.flush().await.ok()?;
            Some(io)
        };
        let accept = async { acceptor.accept(theirs).await.ok()?.read_u8().await.ok() };
        let (_io, received) = tokio::join!(connect, accept);
        received
    }

    #[tokio::test]
    async fn name_and_authority_of_upstream_checked() {
        let (ours, other) = (authority(), authority());
        let client = |authority: &Issuer, with_identity: bool| {
            let identity = with_identity.then(|| {
                let (chain, key) = issue(&ours, "relay");
                (chain, private_key(key.as_bytes()).unwrap())
            });
            UpstreamTls::new(Some(vec![certificate(authority)]), identity).unwrap()
        };
        for (authority, with_identity, host, expected) in [
            (&ours, true, "localhost", Some(7)),
            (&ours, true, "other.example.org", None),
            (&ours, true, "127.0.0.1", None),
            (&other, true, "localhost", None),
            // The upstream asks for a certificate.
            (&ours, false, "localhost", None),
        ] {
            let client = client(authority, with_identity);
            assert_eq!(
                received(&ours, &client, host).await,
                expected,
                "{host} {with_identity}"
            );
        }
    }

    #[test]
    fn key_of_another_certificate_refused() {
        let authority = authority();
        let ((chain, _), (_, key)) = (issue(&authority, "a"), issue(&authority, "a"));
        let identity = (chain, private_key(key.as_bytes()).unwrap());
        let refused = UpstreamTls::new(Some(Vec::new()), Some(identity)).err();
        assert_eq!(refused, Some(TlsError::ClientKeyMismatch));
    }
}
