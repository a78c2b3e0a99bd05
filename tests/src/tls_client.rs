//! A raw client over TLS.

use std::{io, sync::Arc};

use raw_peer::RawPeer;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion,
        client::Resumption,
        crypto::{
            CryptoProvider,
            ring::{self, cipher_suite::TLS13_AES_128_GCM_SHA256},
        },
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
        version::{TLS12, TLS13},
    },
};

use crate::{Authority, IssuedCertificate, ServerProcess};

/// The host name in the certificates of test servers.
pub const SERVER_NAME: &str = "localhost";

/// A TLS client that trusts one authority. It does not resume sessions, so each connection shows
/// the certificate.
#[derive(Debug, Clone)]
pub struct TlsClient(ClientConfig);

impl TlsClient {
    /// Creates a client that trusts this authority, with all supported versions.
    pub fn trusting(authority: &Authority) -> Self {
        Self::new(authority, ring::default_provider(), &[&TLS13, &TLS12])
    }

    /// Creates a client with TLS 1.3 and the cheapest cipher, to compare servers.
    pub fn comparing(authority: &Authority) -> Self {
        let mut provider = ring::default_provider();
        provider.cipher_suites = vec![TLS13_AES_128_GCM_SHA256];
        Self::new(authority, provider, &[&TLS13])
    }

    fn new(
        authority: &Authority,
        provider: CryptoProvider,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        let added = roots.add(certificate(&authority.certificate()));
        added.expect("an authority can be trusted");
        let mut config = ClientConfig::builder_with_provider(provider.into())
            .with_protocol_versions(versions)
            .expect("the provider supports the versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Self(config)
    }

    /// Returns the first message of a handshake.
    pub fn client_hello(&self) -> Vec<u8> {
        let name = ServerName::try_from(SERVER_NAME).expect("the name is valid");
        let client = ClientConnection::new(Arc::new(self.0.clone()), name);
        let mut hello = Vec::new();
        let written = client
            .expect("the configuration is complete")
            .write_tls(&mut hello);
        written.expect("memory can be written");
        hello
    }

    /// Connects over TLS.
    pub async fn connect(&self, server: &ServerProcess) -> RawPeer<TlsStream<TcpStream>> {
        let stream = self.try_connect(server).await;
        RawPeer::new(stream.expect("the server is trusted"))
    }

    /// Connects over TLS, or returns the error.
    pub async fn try_connect(&self, server: &ServerProcess) -> io::Result<TlsStream<TcpStream>> {
        let stream = server.connect().await.into_inner();
        self.handshake(SERVER_NAME, stream).await
    }

    /// Performs the TLS handshake with a server of this name.
    pub async fn handshake(
        &self,
        name: &'static str,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(name).expect("the name is valid");
        let connector = TlsConnector::from(Arc::new(self.0.clone()));
        connector.connect(name, stream).await
    }

    /// Returns whether a new connection gets this certificate.
    pub async fn is_shown(&self, server: &ServerProcess, issued: &IssuedCertificate) -> bool {
        let stream = self.try_connect(server).await;
        let stream = stream.expect("the server is trusted");
        let chain = stream.get_ref().1.peer_certificates();
        let shown = chain.and_then(<[_]>::first);
        shown == Some(&certificate(&issued.certificate))
    }
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("the text is a certificate")
}
