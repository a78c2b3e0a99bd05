//! The transport under a WebSocket: TCP, or TLS with a checked certificate.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use proto::escape::Escaped;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, ProtocolVersion, SignatureScheme,
        client::{ResolvesClientCert, Resumption},
        crypto::ring,
        pki_types::{InvalidDnsNameError, ServerName},
        sign::CertifiedKey,
        version::{TLS12, TLS13},
    },
};
use url::Host;

use super::{
    failure::{TlsConnectError, TlsFailure},
    trust::{Trust, TrustError},
    verifier::verifier,
};
use crate::endpoint::{Endpoint, Scheme};

/// The ALPN protocol (RFC 7301): a WebSocket begins as HTTP/1.1.
const HTTP: &[u8] = b"http/1.1";

/// The transport under a WebSocket.
#[derive(Debug, Clone)]
pub enum TransportKind {
    /// TCP alone.
    Tcp,
    /// TLS over TCP.
    Tls(TlsSettings),
}

impl TransportKind {
    /// Returns the transport for a URL. `asked` is the trust that was asked for with the URL,
    /// `otherwise` the default.
    ///
    /// # Errors
    ///
    /// No root certificate can be loaded, or trust was asked for and the URL is `ws://`.
    pub fn new(
        endpoint: &Endpoint,
        asked: Option<Trust>,
        otherwise: Trust,
    ) -> Result<Self, TrustError> {
        match (endpoint.scheme(), asked) {
            (Scheme::Ws, None) => Ok(Self::Tcp),
            (Scheme::Ws, Some(trust)) => Err(TrustError::NothingToCheck(trust.flag())),
            (Scheme::Wss, asked) => TlsSettings::new(asked.unwrap_or(otherwise)).map(Self::Tls),
        }
    }

    /// Returns the error for a server that ended the last connection without an answer, if it had
    /// asked for a client certificate. With TLS 1.3 it refuses the client after the TLS handshake,
    /// and its alert may be lost.
    pub(crate) fn certificate_demanded(&self, endpoint: &Endpoint) -> Option<TlsConnectError> {
        match self {
            Self::Tls(tls) if tls.has_request() => Some(TlsConnectError {
                authority: endpoint.authority(),
                failure: TlsFailure::ClientCertificateDemanded,
            }),
            Self::Tls(_) | Self::Tcp => None,
        }
    }

    /// Returns the warning to print before each connection, if any.
    pub fn warning(&self) -> Option<&'static str> {
        match self {
            Self::Tls(TlsSettings {
                trust: Trust::Insecure,
                ..
            }) => Some(
                "warning: --insecure checks no certificate; others may read and change what is sent",
            ),
            Self::Tcp | Self::Tls(_) => None,
        }
    }
}

/// A TLS configuration and the trust behind it.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    config: Arc<ClientConfig>,
    trust: Trust,
    requests: Arc<CertificateRequests>,
}

/// A source of client certificates that has none, and remembers that the server asked for one. A
/// server that demands one may end the connection without a word.
#[derive(Debug, Default)]
struct CertificateRequests(AtomicBool);

impl ResolvesClientCert for CertificateRequests {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

impl TlsSettings {
    fn new(trust: Trust) -> Result<Self, TrustError> {
        let provider = Arc::new(ring::default_provider());
        let verifier = verifier(&trust, &provider)?;
        let requests = Arc::new(CertificateRequests::default());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider speaks both versions")
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(Arc::clone(&requests) as Arc<dyn ResolvesClientCert>);
        config.alpn_protocols = vec![HTTP.to_vec()];
        // A second connection has other credentials, so there is nothing to resume.
        config.resumption = Resumption::disabled();
        Ok(Self {
            config: Arc::new(config),
            trust,
            requests,
        })
    }

    /// Performs the TLS handshake. Nothing else is sent before the certificate was checked.
    ///
    /// # Errors
    ///
    /// The host is no valid server name, or the handshake fails.
    pub(crate) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        endpoint: &Endpoint,
        stream: S,
    ) -> Result<TlsStream<S>, TlsConnectError> {
        let failed = |failure| TlsConnectError {
            authority: endpoint.authority(),
            failure,
        };
        let name =
            server_name(endpoint.host()).map_err(|error| failed(TlsFailure::other(&error)))?;
        self.requests.0.store(false, Ordering::Relaxed);
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let connected = connector.connect(name, stream).await;
        connected.map_err(|error| {
            let failure = TlsFailure::from_handshake(&error, &self.trust);
            let is_of_certificate = matches!(failure, TlsFailure::Certificate(_));
            if self.has_request() && !is_of_certificate {
                failed(TlsFailure::ClientCertificateDemanded)
            } else {
                failed(failure)
            }
        })
    }

    /// Returns true if the server of the last connection asked for a client certificate.
    fn has_request(&self) -> bool {
        self.requests.0.load(Ordering::Relaxed)
    }

    /// Returns the parameters of an established connection.
    pub(crate) fn summary<S>(&self, endpoint: &Endpoint, stream: &TlsStream<S>) -> TlsSummary {
        let (_, connection) = stream.get_ref();
        let version = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
            Some(_) | None => "unknown",
        };
        let cipher_suite = connection
            .negotiated_cipher_suite()
            .map_or("unknown".to_owned(), |suite| format!("{:?}", suite.suite()));
        let protocol = connection.alpn_protocol().map_or_else(
            || "nothing, which is as good".to_owned(),
            |protocol| Escaped(&String::from_utf8_lossy(protocol)).to_string(),
        );
        TlsSummary {
            authority: endpoint.authority(),
            version,
            cipher_suite,
            protocol,
            certificate: match &self.trust {
                Trust::Insecure => "NOT CHECKED, because of --insecure".to_owned(),
                trust => format!("right: it is for {}, by {trust}", endpoint.host()),
            },
        }
    }
}

/// Returns the name or address that the certificate must be for.
fn server_name(host: &Host<String>) -> Result<ServerName<'static>, InvalidDnsNameError> {
    match host {
        Host::Domain(name) => ServerName::try_from(name.clone()),
        Host::Ipv4(address) => Ok(ServerName::from(*address)),
        Host::Ipv6(address) => Ok(ServerName::from(*address)),
    }
}

/// The parameters of a TLS connection, for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSummary {
    authority: String,
    version: &'static str,
    cipher_suite: String,
    protocol: String,
    certificate: String,
}

impl fmt::Display for TlsSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "TLS with {}", self.authority)?;
        writeln!(f, "  version      {}", self.version)?;
        writeln!(f, "  cipher       {}", self.cipher_suite)?;
        writeln!(f, "  ALPN         {}", self.protocol)?;
        writeln!(f, "  certificate  {}", self.certificate)
    }
}

#[cfg(test)]
mod tests {
    use super::{TransportKind, Trust, TrustError, server_name};
    use crate::endpoint::Endpoint;

    fn endpoint(url: &str) -> Endpoint {
        Endpoint::parse(url).unwrap()
    }

    #[test]
    fn server_name_is_dns_name_or_ip_address() {
        for (url, name) in [
            ("wss://Example.org", "DnsName(\"example.org\")"),
            ("wss://example.org.", "DnsName(\"example.org\")"),
            ("wss://127.0.0.1", "IpAddress(V4(Ipv4Addr([127, 0, 0, 1])))"),
            (
                "wss://[::1]",
                "IpAddress(V6(Ipv6Addr([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])))",
            ),
        ] {
            let found = server_name(endpoint(url).host()).unwrap();
            assert_eq!(format!("{found:?}"), name, "{url}");
        }
        assert!(server_name(endpoint("wss://a..b").host()).is_err());
    }

    #[test]
    fn plain_websocket_rejects_trust_flags() {
        let plain = endpoint("ws://127.0.0.1");
        let transport = TransportKind::new(&plain, None, Trust::File("/nonexistent".into()));
        assert!(matches!(transport, Ok(TransportKind::Tcp)));
        for (trust, flag) in [
            (Trust::Insecure, "--insecure"),
            (Trust::File("/nonexistent".into()), "--cacert"),
        ] {
            let error = TransportKind::new(&plain, Some(trust), Trust::System).unwrap_err();
            assert!(matches!(error, TrustError::NothingToCheck(found) if found == flag));
        }
    }

    #[test]
    fn insecure_transport_has_a_warning() {
        let insecure =
            TransportKind::new(&endpoint("wss://h"), Some(Trust::Insecure), Trust::System);
        let warning = insecure.unwrap().warning().unwrap();
        assert!(warning.contains("--insecure"), "{warning}");
        assert_eq!(TransportKind::Tcp.warning(), None);
    }
}
