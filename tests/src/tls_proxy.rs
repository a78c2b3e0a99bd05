//! TLS in front of a server that speaks none, with a certificate of the test's.

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

/// Takes connections by TLS, and passes on what is in them. It is gone when this is dropped, and
/// its connections then end without a word.
#[derive(Debug)]
pub struct TlsProxy {
    address: SocketAddr,
    outcomes: mpsc::Receiver<RelayOutcome>,
    /// Holds the task that takes the connections.
    _tasks: JoinSet<()>,
}

/// What came of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayOutcome {
    /// The client did not agree to the handshake of TLS.
    HandshakeFailed,
    /// The client sent so many bytes by TLS, and said that it sends no more.
    Closed(usize),
    /// The client sent so many bytes by TLS, and was gone.
    Disconnected(usize),
}

impl IssuedCertificate {
    /// How a server speaks TLS with this certificate.
    pub fn server_config(&self) -> ServerConfig {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider speaks both versions")
            .with_no_client_auth();
        self.complete(builder)
    }

    /// Completes a configuration with this certificate.
    pub fn complete(
        &self,
        builder: tokio_rustls::rustls::ConfigBuilder<
            ServerConfig,
            tokio_rustls::rustls::server::WantsServerCert,
        >,
    ) -> ServerConfig {
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(self.private_key.as_bytes());
        let chain = vec![certificate.expect("it is PEM")];
        let config = builder.with_single_cert(chain, key.expect("it is PEM"));
        config.expect("the key is that of the certificate")
    }
}

impl TlsProxy {
    /// Stands in front of a server, on a free port of 127.0.0.1.
    pub async fn start(server: SocketAddr, issued: &IssuedCertificate) -> Self {
        Self::start_on("127.0.0.1", server, issued.server_config()).await
    }

    /// The same, on this host, and speaking TLS like this.
    pub async fn start_on(host: &str, server: SocketAddr, config: ServerConfig) -> Self {
        let listener = TcpListener::bind((host, 0)).await;
        let listener = listener.expect("there is a free port");
        let address = listener.local_addr().expect("it listens");
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
                    // A test need not look at all of them.
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

    /// Its URL.
    pub fn url(&self) -> String {
        format!("wss://{}", self.address)
    }

    /// Its URL by this name.
    pub fn url_with_host(&self, name: &str) -> String {
        format!("wss://{name}:{}", self.address.port())
    }

    /// Its host and port.
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// What came of the connection that ended next.
    pub async fn next_outcome(&mut self) -> RelayOutcome {
        let outcome = timeout(TEST_TIMEOUT, self.outcomes.recv()).await;
        outcome
            .expect("a connection ends in time")
            .expect("connections are taken")
    }
}

/// Passes on what comes, both ways, until both sides have ended.
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
                    // A server that is gone needs no more, and the client is still to be heard.
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
