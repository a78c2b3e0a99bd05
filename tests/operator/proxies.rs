//! nginx and Caddy with TLS in front of `ws-server`, with the shipped configurations.

use std::net::Ipv4Addr;

use integration_tests::{
    Authority, CONGRATULATION, LOGIN_FAILED_EVENT, LoginMethod, Nginx, SESSION_OPENED, ServerFiles,
    ServerProcess, accounts, assert_echo, authorization, handshake_with, loopback_address,
    peer_program, run_ok,
};
use raw_peer::{HANDSHAKE, RawPeer, frame};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    process::Command,
};
use tokio_rustls::client::TlsStream;

use crate::reverse_proxy::{
    CADDY, HOST, NGINX, ReverseProxy, changed, directory, server_configuration,
};

/// Generates the tests of all cases for one proxy. `$start` starts the proxy for a server, and
/// `$file` is its shipped configuration.
macro_rules! tests_of {
    ($start:expr, $file:expr; $($case:ident)+) => {
        $(
            #[tokio::test]
            #[ignore = "needs the programs of .ci/operator"]
            async fn $case() {
                let (server, files) = super::serve($file, super::$case::CONFIGURATION).await;
                let proxy = $start(&server).await;
                super::$case::case(server, proxy).await;
                drop(files);
            }
        )+
    };
}

mod nginx {
    use crate::reverse_proxy::{NGINX, ReverseProxy};

    tests_of! { ReverseProxy::nginx, NGINX;
        session_is_logged_with_the_client_address
        failed_logins_count_for_the_client_address
        pages_of_its_host_may_connect_and_no_others
        browser_gets_the_page
        plain_http_is_redirected_or_refused
    }
}

mod caddy {
    use crate::reverse_proxy::{CADDY, ReverseProxy};

    tests_of! { ReverseProxy::caddy, CADDY;
        session_is_logged_with_the_client_address
        failed_logins_count_for_the_client_address
        pages_of_its_host_may_connect_and_no_others
        browser_gets_the_page
        plain_http_is_redirected_or_refused
    }
}

/// Starts a server as the shipped file documents it, with more configuration and one account.
async fn serve(file: &str, configuration: &str) -> (ServerProcess, ServerFiles) {
    let configuration = format!("{}\n{configuration}", server_configuration(file));
    let files = ServerFiles::new(&configuration, &accounts(&[("jane", "1")]));
    (files.serve().await, files)
}

/// Sends a request for the proxy's host, and returns the head of the response.
async fn head<S: AsyncRead + AsyncWrite + Unpin>(mut peer: RawPeer<S>, request: &str) -> String {
    exchange(&mut peer, request).await
}

/// Sends a request for the proxy's host on an open connection, and returns the head of the
/// response.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    peer: &mut RawPeer<S>,
    request: &str,
) -> String {
    peer.send(request.replace("Host: localhost", &format!("Host: {HOST}")))
        .await;
    peer.head().await
}

/// Logs in from this address.
async fn log_in(
    proxy: &ReverseProxy,
    address: Ipv4Addr,
    method: LoginMethod,
) -> RawPeer<TlsStream<TcpStream>> {
    let mut peer = proxy.connect_from(address).await;
    let request = match method {
        LoginMethod::Message => HANDSHAKE.to_owned(),
        LoginMethod::Basic => handshake_with(&[&authorization("jane:1")]),
    };
    let head = exchange(&mut peer, &request).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    if method == LoginMethod::Message {
        peer.send(frame::text("jane:1")).await;
        assert_eq!(peer.text().await, CONGRATULATION);
    }
    peer
}

mod session_is_logged_with_the_client_address {
    use super::*;

    pub(super) const CONFIGURATION: &str = "";

    pub(super) async fn case(mut server: ServerProcess, proxy: ReverseProxy) {
        let client = loopback_address(7);
        for method in LoginMethod::ALL {
            let mut session = log_in(&proxy, client, method).await;
            assert_echo(&mut session, "hello").await;
            let opened = server.log_line(SESSION_OPENED).await;
            assert!(opened.contains(" peer=127.1.0.7 user=jane "), "{opened}");
        }
        // The proxy replaces the addresses that the client claims.
        for field in [
            "X-Forwarded-For: 203.0.113.7",
            "Forwarded: for=203.0.113.7",
            "X-Forwarded-For: 127.0.0.1",
        ] {
            let request = handshake_with(&[&authorization("jane:1"), field]);
            let head = head(proxy.connect_from(client).await, &request).await;
            assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
            let opened = server.log_line(SESSION_OPENED).await;
            assert!(opened.contains(" peer=127.1.0.7 user=jane "), "{opened}");
        }
    }
}

mod failed_logins_count_for_the_client_address {
    use super::*;

    pub(super) const CONFIGURATION: &str =
        "[login]\nmax_failures_per_address = 2\nfailure_decay = \"1h\"\n";

    pub(super) async fn case(mut server: ServerProcess, proxy: ReverseProxy) {
        let [guesser, other] = [loopback_address(8), loopback_address(9)];
        for number in ["1", "2"] {
            // A different claimed address each time.
            let forged = format!("X-Forwarded-For: 203.0.113.{number}");
            let request = handshake_with(&[&authorization("jane:2"), &forged]);
            let head = head(proxy.connect_from(guesser).await, &request).await;
            assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
            let failed = server.log_line(LOGIN_FAILED_EVENT).await;
            assert!(failed.contains(" peer=127.1.0.8 "), "{failed}");
        }
        let right = handshake_with(&[&authorization("jane:1")]);
        let refused = head(proxy.connect_from(guesser).await, &right).await;
        assert!(refused.starts_with("HTTP/1.1 429 "), "{refused}");
        let taken = head(proxy.connect_from(other).await, &right).await;
        assert!(taken.starts_with("HTTP/1.1 101 "), "{taken}");
    }
}

mod pages_of_its_host_may_connect_and_no_others {
    use super::*;

    pub(super) const CONFIGURATION: &str = "";

    pub(super) async fn case(_server: ServerProcess, proxy: ReverseProxy) {
        for (origin, answer) in [
            (format!("https://{HOST}"), "HTTP/1.1 101 "),
            ("https://example.com".to_owned(), "HTTP/1.1 403 "),
        ] {
            let request = handshake_with(&[&format!("Origin: {origin}")]);
            let head = head(proxy.connect_from(loopback_address(1)).await, &request).await;
            assert!(head.starts_with(answer), "{origin}: {head}");
        }
    }
}

mod browser_gets_the_page {
    use super::*;

    pub(super) const CONFIGURATION: &str = "";

    pub(super) async fn case(_server: ServerProcess, proxy: ReverseProxy) {
        let request = "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n";
        let head = head(proxy.connect_from(loopback_address(1)).await, request).await;
        let head = head.to_lowercase();
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        for field in [
            "\r\ncontent-security-policy: ",
            "\r\nstrict-transport-security: max-age=31536000\r\n",
        ] {
            assert!(head.contains(field), "{head}");
        }
    }
}

mod plain_http_is_redirected_or_refused {
    use super::*;

    pub(super) const CONFIGURATION: &str = "";

    pub(super) async fn case(_server: ServerProcess, proxy: ReverseProxy) {
        for request in [HANDSHAKE, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
            let redirect = head(ReverseProxy::connect_plain(proxy.plain).await, request).await;
            let moved = ["HTTP/1.1 301 ", "HTTP/1.1 308 "];
            assert!(
                moved.iter().any(|status| redirect.starts_with(status)),
                "{redirect}"
            );
            let location = format!("\r\nLocation: https://{HOST}");
            assert!(redirect.contains(&location), "{redirect}");
            let refused = head(ReverseProxy::connect_plain(proxy.secure).await, request).await;
            assert!(refused.contains(" 400 Bad Request"), "{refused}");
        }
    }
}

/// nginx closes idle connections. The server's pings keep them open.
#[tokio::test]
#[ignore = "needs the programs of .ci/operator"]
async fn pings_keep_an_idle_session_through_nginx() {
    // Both times are shorter than the shipped ones, by the same factor.
    let (server, _files) = serve(NGINX, "[limits]\nping_interval = \"400ms\"").await;
    let changes = [("proxy_read_timeout 90s;", "proxy_read_timeout 1800ms;")];
    let proxy = ReverseProxy::nginx_with(&server, &changes).await;
    let mut session = log_in(&proxy, loopback_address(1), LoginMethod::Message).await;
    // Six pings take longer than the read timeout of nginx.
    for _ in 0..6 {
        let ping = session.frame().await;
        assert_eq!(ping.first, 0x89, "{ping:?}");
        session.send(frame::pong(&ping.payload)).await;
    }
    assert_echo(&mut session, "hello").await;
}

#[tokio::test]
#[ignore = "needs the programs of .ci/operator"]
async fn nginx_accepts_the_shipped_file() {
    let directory = directory(&Authority::new());
    let site = changed(
        NGINX,
        &[
            // Unprivileged ports. `nginx -t` accepts ports that are in use.
            ("listen 80;", "listen 20080;"),
            ("listen [::]:80;", "listen [::]:20080;"),
            ("listen 443 ssl;", "listen 20443 ssl;"),
            ("listen [::]:443 ssl;", "listen [::]:20443 ssl;"),
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
    let mut command = Nginx::command(&directory, &site);
    command.arg("-t");
    let text = run_ok(command).await;
    assert!(text.contains("test is successful"), "{text}");
    assert!(!text.contains("[warn]"), "{text}");
}

#[tokio::test]
#[ignore = "needs the programs of .ci/operator"]
async fn caddy_accepts_the_shipped_file() {
    let home = TempDir::new().unwrap();
    let file = integration_tests::shipped(CADDY);
    let mut command = Command::new(peer_program("caddy/usr/bin/caddy"));
    command.arg("validate").arg("--config").arg(&file);
    command.env("HOME", home.path());
    let text = run_ok(command).await;
    assert!(text.contains("Valid configuration"), "{text}");
    assert!(!text.contains("\"level\":\"warn\""), "{text}");
}
