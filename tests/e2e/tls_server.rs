//! A TLS server for tests.

use integration_tests::{
    Authority, IssuedCertificate, LoginMethod, SERVER_NAME, ServerFiles, ServerProcess, TlsClient,
    accounts,
};
use raw_peer::RawPeer;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The credentials of the only account.
pub(crate) const LINE: &str = "jane:1";

/// A server with a certificate, and a client that trusts it.
pub(crate) struct TlsServer {
    pub(crate) authority: Authority,
    pub(crate) issued: IssuedCertificate,
    pub(crate) files: ServerFiles,
    pub(crate) server: ServerProcess,
    pub(crate) client: TlsClient,
}

impl TlsServer {
    pub(crate) async fn new(configuration: &str) -> Self {
        Self::with_log(configuration, "info").await
    }

    pub(crate) async fn with_log(configuration: &str, detail: &str) -> Self {
        let authority = Authority::new();
        let issued = authority.issue(&[SERVER_NAME]);
        let files = ServerFiles::with_tls(configuration, &accounts(&[("jane", "1")]), &issued);
        let server = files.serve_with_log(detail).await;
        let client = TlsClient::trusting(&authority);
        Self {
            authority,
            issued,
            files,
            server,
            client,
        }
    }

    /// Issues another certificate for the server, with a new key.
    pub(crate) fn issue_next(&self) -> IssuedCertificate {
        self.authority.issue(&[SERVER_NAME])
    }

    pub(crate) async fn log_in(&self) -> RawPeer<TlsStream<TcpStream>> {
        let peer = self.client.connect(&self.server).await;
        LoginMethod::Message.log_in_on(peer, LINE).await
    }

    /// Returns the error of the next failed reload.
    pub(crate) async fn reload_error(&mut self) -> String {
        let line = self.server.log_line("ERROR").await;
        let (_, output) = line.split_once("nothing was reloaded: ").expect(&line);
        let (output, _) = output.split_once(" event=").expect(&line);
        output.replace(&self.files.path("").display().to_string(), "")
    }

    /// Returns the changed keys of the next reload.
    pub(crate) async fn changed_keys(&mut self) -> Option<String> {
        let line = self.server.log_line(" INFO audit: reloaded ").await;
        let (_, keys) = line.split_once(" changed=\"")?;
        Some(
            keys.split('"')
                .next()
                .expect("the quotation is closed")
                .to_owned(),
        )
    }
}
