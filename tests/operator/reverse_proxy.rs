//! Reverse proxies with TLS, started with the shipped configurations.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::Stdio,
};

use integration_tests::{
    Authority, IssuedCertificate, Nginx, ServerProcess, TEST_TIMEOUT, TlsClient, connect_from,
    loopback_address, peer_program, shipped,
};
use raw_peer::RawPeer;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStderr, Command},
    time::timeout,
};
use tokio_rustls::client::TlsStream;

/// The host name in the shipped files.
pub(crate) const HOST: &str = "ws.example.org";

/// The shipped files.
pub(crate) const NGINX: &str = "deploy/nginx/ws-server.conf";
pub(crate) const CADDY: &str = "deploy/caddy/Caddyfile";

/// The server's address in the shipped files.
const SERVER: &str = "127.0.0.1:5678";

/// A reverse proxy. Dropping it ends the process.
pub(crate) struct ReverseProxy {
    /// The address of the TLS port.
    pub(crate) secure: SocketAddr,
    /// The address of the plain port.
    pub(crate) plain: SocketAddr,
    client: TlsClient,
    _process: ProxyProcess,
}

/// The proxy process, held so that it keeps running.
enum ProxyProcess {
    Nginx(#[expect(dead_code, reason = "held to keep it running")] Nginx),
    Caddy(#[expect(dead_code, reason = "held to keep it running")] Caddy),
}

/// A Caddy process. Dropping it kills the process.
struct Caddy {
    _child: Child,
    /// Keeps the stderr pipe open.
    _log: Lines<BufReader<ChildStderr>>,
    _directory: TempDir,
}

impl ReverseProxy {
    /// Starts nginx in front of a server.
    pub(crate) async fn nginx(server: &ServerProcess) -> Self {
        Self::nginx_with(server, &[]).await
    }

    /// Starts nginx with more replacements in its configuration.
    pub(crate) async fn nginx_with(server: &ServerProcess, changes: &[(&str, &str)]) -> Self {
        let authority = Authority::new();
        let directory = directory(&authority);
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [plain, secure] = [0, 1].map(|index: usize| listeners[index].local_addr().unwrap());
        let [server, plain_listen, secure_listen] =
            [server.address, plain, secure].map(|address| address.to_string());
        let configuration = changed(
            NGINX,
            &[
                (SERVER, &server),
                ("listen 80;", &format!("listen {plain_listen};")),
                ("listen 443 ssl;", &format!("listen {secure_listen} ssl;")),
                ("listen [::]:80;", ""),
                ("listen [::]:443 ssl;", ""),
                (
                    "/etc/letsencrypt/live/ws.example.org/fullchain.pem",
                    "cert.pem",
                ),
                (
                    "/etc/letsencrypt/live/ws.example.org/privkey.pem",
                    "key.pem",
                ),
            ],
        );
        let configuration = replace_all(configuration, changes);
        Self {
            secure,
            plain,
            client: TlsClient::trusting(&authority),
            _process: ProxyProcess::Nginx(Nginx::start(directory, &configuration, listeners).await),
        }
    }

    /// Starts Caddy in front of a server.
    pub(crate) async fn caddy(server: &ServerProcess) -> Self {
        let authority = Authority::new();
        let directory = directory(&authority);
        // Caddy does not report the ports that it bound. An address that no other test uses keeps
        // them free.
        let address = loopback_address(usize::from(server.address.port()));
        let ports = [(); 2].map(|()| {
            let listener = TcpListener::bind((address, 0)).unwrap();
            listener.local_addr().unwrap().port()
        });
        let [plain, secure] = ports.map(|port| SocketAddr::from((address, port)));
        let site = format!(
            "{HOST} {{\n\tbind {address}\n\ttls {0}/cert.pem {0}/key.pem",
            directory.path().display()
        );
        let server = server.address.to_string();
        let configuration = changed(CADDY, &[(SERVER, &server), ("ws.example.org {", &site)]);
        let ports = format!(
            "{{\n\tadmin off\n\thttp_port {}\n\thttps_port {}\n}}\n",
            plain.port(),
            secure.port()
        );
        let file = directory.path().join("Caddyfile");
        fs::write(&file, ports + &configuration).unwrap();
        Self {
            secure,
            plain,
            client: TlsClient::trusting(&authority),
            _process: ProxyProcess::Caddy(Caddy::start(directory, &file).await),
        }
    }

    /// Connects over TLS from this address.
    pub(crate) async fn connect_from(&self, address: Ipv4Addr) -> RawPeer<TlsStream<TcpStream>> {
        let stream = connect_from(address, self.secure).await.unwrap();
        RawPeer::new(self.client.handshake(HOST, stream).await.unwrap())
    }

    /// Connects without TLS.
    pub(crate) async fn connect_plain(port: SocketAddr) -> RawPeer<TcpStream> {
        RawPeer::new(TcpStream::connect(port).await.unwrap())
    }
}

impl Caddy {
    async fn start(directory: TempDir, file: &Path) -> Self {
        let mut child = Command::new(peer_program("caddy/usr/bin/caddy"))
            .args(["run", "--config"])
            .arg(file)
            .env("HOME", directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut output = String::new();
        while !output.contains("serving initial configuration") {
            let line = timeout(TEST_TIMEOUT, log.next_line())
                .await
                .unwrap()
                .unwrap();
            output += &line.unwrap_or_else(|| panic!("Caddy does not start: {output}"));
        }
        Self {
            _child: child,
            _log: log,
            _directory: directory,
        }
    }
}

/// Returns the server's configuration in the first comment of a shipped file.
pub(crate) fn server_configuration(file: &str) -> String {
    let file = fs::read_to_string(shipped(file)).unwrap();
    let lines = file.lines().take_while(|line| line.starts_with('#'));
    let keys = lines.filter_map(|line| line.strip_prefix("#   "));
    let keys: Vec<_> = keys.filter(|line| line.contains(" = ")).collect();
    assert_eq!(keys.len(), 3, "{keys:?}");
    keys.join("\n")
}

/// Returns a shipped file after its first comment, with these texts replaced. Each must occur once.
pub(crate) fn changed(file: &str, changes: &[(&str, &str)]) -> String {
    let file = fs::read_to_string(shipped(file)).unwrap();
    let (_, file) = file.split_once("\n\n").unwrap();
    replace_all(file.to_owned(), changes)
}

fn replace_all(mut text: String, changes: &[(&str, &str)]) -> String {
    for (from, to) in changes {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text = text.replace(from, to);
    }
    text
}

/// Creates a directory with a certificate for the host and its key.
pub(crate) fn directory(authority: &Authority) -> TempDir {
    let directory = TempDir::new().unwrap();
    let IssuedCertificate {
        certificate,
        private_key,
    } = authority.issue(&[HOST]);
    fs::write(directory.path().join("cert.pem"), certificate).unwrap();
    fs::write(directory.path().join("key.pem"), private_key).unwrap();
    directory
}
