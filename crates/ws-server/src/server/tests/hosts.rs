//! Requests by foreign names (DNS rebinding) and from pages of foreign origins.

use std::path::Path;

use crate::{
    log::{LogFormat, Record},
    server::tests::harness::*,
};

fn server(source: &str) -> TestServer {
    TestServer::with(Config::parse(source, Path::new("")).unwrap())
}

/// Returns the head of the response to a handshake with this `Host`, and `Origin` of the same host.
async fn response(server: &TestServer, host: &str) -> String {
    let mut peer = server.connect();
    let request = handshake_with(&format!("Origin: http://{host}"));
    peer.send(request.replace("Host: localhost", &format!("Host: {host}")))
        .await;
    peer.head().await
}

/// A page whose name was made to resolve to this machine got a 101, because its origin is the host.
#[tokio::test(start_paused = true)]
async fn foreign_host_on_loopback_gets_421() {
    let server = server("server_names = [\"chat.example.org\"]");
    for host in ["localhost:5678", "127.0.0.1:5678", "chat.example.org"] {
        let head = response(&server, host).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{host}: {head}");
    }
    let head = response(&server, "rebound.example:5678").await;
    assert!(
        head.starts_with("HTTP/1.1 421 Misdirected Request"),
        "{head}"
    );
    for accept in ["text/html", "application/json"] {
        let mut peer = server.connect();
        peer.send(format!(
            "GET / HTTP/1.1\r\nHost: rebound.example\r\nAccept: {accept}\r\n\r\n"
        ))
        .await;
        let response = String::from_utf8(peer.rest().await).unwrap();
        assert!(response.starts_with("HTTP/1.1 421 "), "{response}");
        assert!(
            response.ends_with(
                "\r\n\r\nthe Host is not a name of this server, which server_names in its \
                 configuration lists\n"
            ),
            "{response}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn exposed_server_checks_host_if_names_are_given() {
    let exposed = "listen = \"0.0.0.0:5678\"\nallow_insecure = true\n";
    let any = server(exposed);
    let head = response(&any, "any.example").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let named = server(&format!("{exposed}server_names = [\"chat.example.org\"]"));
    for (host, status) in [("chat.example.org", 101), ("localhost", 421)] {
        let head = response(&named, host).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
}

/// The harness connects from this address.
#[tokio::test(start_paused = true)]
async fn host_from_trusted_proxy_is_not_checked() {
    let server = server("trusted_proxies = [\"192.0.2.1\"]");
    let head = response(&server, "chat.example.org").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
}

#[tokio::test(start_paused = true)]
async fn foreign_host_refused_before_login() {
    let server = TestServer::new();
    let mut peer = server.connect();
    let request = basic_handshake("admin:wrong");
    peer.send(request.replace("Host: localhost", "Host: rebound.example"))
        .await;
    let head = peer.head().await;
    assert!(head.starts_with("HTTP/1.1 421 "), "{head}");
}

/// The response and the log said neither the origin nor the key.
#[tokio::test(start_paused = true)]
async fn foreign_origin_is_warned_of_with_what_to_write() {
    let record = Record::new(LogFormat::Text);
    let _log = tracing::dispatcher::set_default(&record.log());
    let server = server(
        "[[route]]\npath = \"/\"\nservice = \"echo\"\n[[route]]\npath = \"/own\"\n\
         service = \"echo\"\nallowed_origins = []",
    );
    for (path, origin) in [
        ("/", "https://App.example"),
        ("/", "https://app.example:443"),
        ("/own", "http://other.example:81"),
        ("/", "null"),
        ("/", "not an origin"),
    ] {
        let mut peer = server.connect();
        let request = handshake_with(&format!("Origin: {origin}"));
        peer.send(request.replace("GET / ", &format!("GET {path} ")))
            .await;
        let head = peer.head().await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    }
    let log = record.text();
    let warnings = log.lines().filter_map(|line| line.split_once(" WARN "));
    let texts: Vec<_> = warnings
        .map(|(_, text)| text.split_once(" connection=").unwrap().0)
        .collect();
    assert_eq!(
        texts,
        [
            "a page of https://app.example may not connect: to allow it, write allowed_origins = \
             [\"https://app.example\"]",
            "a page of http://other.example:81 may not connect: to allow it, write \
             allowed_origins = [\"http://other.example:81\"] in the [[route]] of /own",
            "a page of null may not connect: to allow it, write allowed_origins = [\"null\"]",
            "the Origin of a request is malformed",
        ]
    );
}
