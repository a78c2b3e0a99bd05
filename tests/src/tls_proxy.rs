//! A TLS proxy in front of a plain server.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy, split},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        version::{TLS12, TLS13},
    },
    server::TlsStream,
};

use crate::{IssuedCertificate, TEST_TIMEOUT};

/// A TLS-terminating proxy. Dropping it ends its connections without a `close_notify`.
#[derive(Debug)]
pub struct TlsProxy {
    address: SocketAddr,
    outcomes: mpsc::Receiver<RelayOutcome>,
    /// Holds the accepting task.
    _tasks: JoinSet<()>,
}

/// The outcome of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayOutcome {
    /// The TLS handshake failed.
    HandshakeFailed,
    /// The client sent this number of bytes and a `close_notify`.
    Closed(usize),
    /// The client sent this number of bytes and ended without a `close_notify`.
    Disconnected(usize),
}

impl IssuedCertificate {
    /// Returns a TLS server configuration with this certificate.
    pub fn server_config(&self) -> ServerConfig {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider supports both versions")
            .with_no_client_auth();
        self.complete(builder)
    }

    /// Completes a TLS server configuration with this certificate.
    pub fn complete(
        &self,
        builder: tokio_rustls::rustls::ConfigBuilder<
            ServerConfig,
            tokio_rustls::rustls::server::WantsServerCert,
        >,
    ) -> ServerConfig {
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(self.private_key.as_bytes());
        let chain = vec![certificate.expect("the text is PEM")];
        let config = builder.with_single_cert(chain, key.expect("the text is PEM"));
        config.expect("the key matches the certificate")
    }
}

impl TlsProxy {
    /// Starts a proxy for a server, on a free port of 127.0.0.1.
    pub async fn start(server: SocketAddr, issued: &IssuedCertificate) -> Self {
        Self::start_on("127.0.0.1", server, issued.server_config()).await
    }

    /// Starts a proxy on this host, with this TLS configuration.
    pub async fn start_on(host: &str, server: SocketAddr, config: ServerConfig) -> Self {
        let listener = TcpListener::bind((host, 0)).await;
        let listener = listener.expect("a port is free");
        let address = listener.local_addr().expect("the listener has an address");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (report, outcomes) = mpsc::channel(64);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.expect("a client can be accepted");
                let (acceptor, report) = (acceptor.clone(), report.clone());
                connections.spawn(async move {
                    let outcome = match acceptor.accept(client).await {
                        Ok(client) => relay(client, server).await,
                        Err(_) => RelayOutcome::HandshakeFailed,
                    };
                    // Tests may ignore the outcomes.
                    let _ = report.try_send(outcome);
                });
            }
        });
        Self {
            address,
            outcomes,
            _tasks: tasks,
        }
    }

    /// Returns the URL with the address.
    pub fn url(&self) -> String {
        format!("wss://{}", self.address)
    }

    /// Returns the URL with this host name.
    pub fn url_with_host(&self, name: &str) -> String {
        format!("wss://{name}:{}", self.address.port())
    }

    /// Returns the host and port.
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Returns the outcome of the next connection that ends.
    pub async fn next_outcome(&mut self) -> RelayOutcome {
        let outcome = timeout(TEST_TIMEOUT, self.outcomes.recv()).await;
        outcome
            .expect("a connection ends in time")
            .expect("the proxy is running")
    }
}

/// Relays both directions until both sides have ended.
async fn relay(client: TlsStream<TcpStream>, server: SocketAddr) -> RelayOutcome {
    let server = TcpStream::connect(server).await;
    let server = server.expect("the server accepts");
    let (mut from_client, mut to_client) = split(client);
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let (mut buffer, mut count) = (vec![0; 64 * 1024], 0);
        let outcome = loop {
            match from_client.read(&mut buffer).await {
                Ok(0) => break RelayOutcome::Closed(count),
                Err(_) => break RelayOutcome::Disconnected(count),
                Ok(read) => {
                    count += read;
                    // If the server has closed, keep reading the client.
                    let _ = to_server.write_all(&buffer[..read]).await;
                }
            }
        };
        drop(to_server);
        outcome
    };
    let down = async {
        let _ = copy(&mut from_server, &mut to_client).await;
        let _ = to_client.shutdown().await;
    };
    let (outcome, ()) = tokio::join!(up, down);
    outcome
}
