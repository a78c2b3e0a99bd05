//! Trust in server certificates.

use std::sync::Arc;

use integration_tests::{
    Authority, CREDENTIALS_PROMPT, CREDENTIALS_REFUSED, MESSAGE_PROMPT, ProcessOutput,
    RelayOutcome, ServerProcess, Terminal, TlsProxy, client, client_binary, echoed_lines, run,
    self_signed, welcome_and_goodbye,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};

use super::trusted_authority::{LOOPBACK, TrustedAuthority};

#[tokio::test]
async fn dialogue_works_by_address_and_by_name() {
    let server = ServerProcess::start().await;
    let trusted = TrustedAuthority::new();
    let issued = trusted.authority.issue(LOOPBACK);
    for host in ["127.0.0.1", "::1", "localhost"] {
        let bound = if host == "::1" { "::1" } else { "127.0.0.1" };
        let mut proxy = TlsProxy::start_on(bound, server.address, issued.server_config()).await;
        let url = match host {
            "localhost" => proxy.url_with_host(host),
            _ => proxy.url(),
        };
        let finished = trusted.run(&url, "admin:123456\nhello\nexit\n").await;
        assert_eq!(finished.code, Some(0), "{url}: {finished:?}");
        assert_eq!(finished.stdout(), echoed_lines(["hello"]));
        assert_eq!(finished.stderr, welcome_and_goodbye());
        let outcome = proxy.next_outcome().await;
        assert!(
            matches!(outcome, RelayOutcome::Closed(100..)),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn untrusted_certificate_is_reported_before_sending() {
    let server = ServerProcess::start().await;
    let trusted = TrustedAuthority::new();
    let other = Authority::named("another authority");
    let same_name = Authority::new();
    let authority = &trusted.authority;
    let file = trusted.cacert();
    let unverified = format!("could not be verified by an authority in {file} (");
    let mismatch = "does not fit the key of its signature (".to_owned();
    for (issued, expected) in [
        (authority.issue_expired(LOOPBACK), "expired on "),
        (
            authority.issue(&["localhost", "*.example.org", "10.1.2.3"]),
            "is not for 127.0.0.1, but for localhost, *.example.org, 10.1.2.3; ",
        ),
        (self_signed(LOOPBACK), &unverified),
        (other.issue(LOOPBACK), &unverified),
        // The issuer has the name of the trusted authority and another key.
        (same_name.issue(LOOPBACK), &mismatch),
    ] {
        let mut proxy = TlsProxy::start(server.address, &issued).await;
        let finished = trusted.run(&proxy.url(), "admin:123456\nhello\n").await;
        assert_eq!(finished.code, Some(5), "{finished:?}");
        assert_eq!(finished.stdout(), "");
        let start = format!(
            "ws-client: the certificate of {} {expected}",
            proxy.authority()
        );
        assert!(finished.stderr.starts_with(&start), "{start}{finished:?}");
        assert_eq!(proxy.next_outcome().await, RelayOutcome::HandshakeFailed);
        // `ws-client handshake` verifies in the same way.
        let tool = ["handshake", &proxy.url(), "--cacert", &file];
        let finished = run(client(tool), "").await;
        assert_eq!(finished.code, Some(5), "{finished:?}");
        assert_eq!(finished.stdout(), "");
        assert!(finished.stderr.starts_with(&start), "{finished:?}");
        assert_eq!(proxy.next_outcome().await, RelayOutcome::HandshakeFailed);
    }
}

/// Certificates are public, so the client must verify the signature with its key.
#[tokio::test]
async fn certificate_with_wrong_key_is_reported() {
    let server = ServerProcess::start().await;
    let trusted = TrustedAuthority::new();
    let issued = trusted.authority.issue(LOOPBACK);
    let other = trusted.authority.issue(LOOPBACK);
    let chain = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(other.private_key.as_bytes()).unwrap();
    let key = ring::sign::any_supported_type(&key).unwrap();
    let pair = Arc::new(CertifiedKey::new(vec![chain], key));
    for version in [&TLS12, &TLS13] {
        let config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&pair))));
        let mut proxy = TlsProxy::start_on("127.0.0.1", server.address, config).await;
        let finished = trusted.run(&proxy.url(), "admin:123456\nhello\n").await;
        assert_eq!(finished.code, Some(5), "{finished:?}");
        assert_eq!(finished.stdout(), "");
        let expected = format!(
            "ws-client: the certificate of {} does not fit the key of its signature (",
            proxy.authority()
        );
        assert!(finished.stderr.starts_with(&expected), "{finished:?}");
        assert_eq!(proxy.next_outcome().await, RelayOutcome::HandshakeFailed);
    }
}

#[tokio::test]
async fn self_signed_certificate_in_cacert_is_trusted() {
    let server = ServerProcess::start().await;
    let trusted = TrustedAuthority::new();
    let issued = self_signed(LOOPBACK);
    let both = trusted.authority.certificate() + &issued.certificate;
    trusted.write("authority.pem", &both);
    for issued in [issued, trusted.authority.issue(LOOPBACK)] {
        let proxy = TlsProxy::start(server.address, &issued).await;
        let finished = trusted.run(&proxy.url(), "admin:123456\nhello\n").await;
        assert_eq!(finished.code, Some(0), "{finished:?}");
    }
}

/// Runs a client with these system roots and no others.
async fn with_system_roots(url: &str, roots: &str) -> ProcessOutput {
    let mut command = client([url]);
    command
        .env("SSL_CERT_FILE", roots)
        .env_remove("SSL_CERT_DIR");
    run(command, "admin:123456\nhello\n").await
}

#[tokio::test]
async fn system_roots_are_trusted_without_cacert() {
    let server = ServerProcess::start().await;
    let trusted = TrustedAuthority::new();
    let issued = trusted.authority.issue(LOOPBACK);
    let proxy = TlsProxy::start(server.address, &issued).await;
    let finished = with_system_roots(&proxy.url(), &trusted.cacert()).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stdout(), echoed_lines(["hello"]));

    let other = trusted.write(
        "other.pem",
        &Authority::named("another authority").certificate(),
    );
    let finished = with_system_roots(&proxy.url(), other.to_str().unwrap()).await;
    assert_eq!(finished.code, Some(5), "{finished:?}");
    let expected = "could not be verified by an authority that this system trusts (";
    assert!(finished.stderr.contains(expected), "{finished:?}");
}

/// `--cacert` replaces the system roots.
#[tokio::test]
async fn cacert_replaces_the_system_roots() {
    let server = ServerProcess::start().await;
    let (trusted, system) = (TrustedAuthority::new(), TrustedAuthority::new());
    let issued = system.authority.issue(LOOPBACK);
    let proxy = TlsProxy::start(server.address, &issued).await;
    let mut command = client([proxy.url(), "--cacert".to_owned(), trusted.cacert()]);
    command.env("SSL_CERT_FILE", system.cacert());
    let finished = run(command, "").await;
    assert_eq!(finished.code, Some(5), "{finished:?}");
}

#[tokio::test]
async fn missing_system_roots_are_reported() {
    let trusted = TrustedAuthority::new();
    let empty = trusted.write("empty.pem", "");
    for (roots, why) in [
        (empty.to_str().unwrap(), ""),
        (
            "/nonexistent",
            " (failed to read PEM from file: No such file or directory (os error 2) at \
             '/nonexistent')",
        ),
    ] {
        let finished = with_system_roots("wss://127.0.0.1:1", roots).await;
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert_eq!(
            finished.stderr,
            format!(
                "ws-client: this system trusts no authority{why}, so no certificate can be \
                 checked; install its certificates (often called ca-certificates), or name a file \
                 with those to be trusted with --cacert FILE\n"
            )
        );
    }
}

const WARNING: &str = "ws-client: warning: --insecure checks no certificate; others may read and \
                       change what is sent\n";

#[tokio::test]
async fn insecure_accepts_any_certificate_and_warns() {
    let server = ServerProcess::start().await;
    let authority = Authority::new();
    for issued in [
        self_signed(&["elsewhere.example"]),
        authority.issue_expired(LOOPBACK),
    ] {
        let proxy = TlsProxy::start(server.address, &issued).await;
        let finished = run(
            client([proxy.url().as_str(), "--insecure"]),
            "admin:123456\nhello\n",
        )
        .await;
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert_eq!(finished.stdout(), echoed_lines(["hello"]));
        let rest = finished.stderr.strip_prefix(WARNING);
        assert!(
            rest.is_some_and(|rest| rest.starts_with("congratulation")),
            "{finished:?}"
        );
        let tool = client(["handshake", "--insecure", &proxy.url()]);
        let finished = run(tool, "").await;
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert_eq!(finished.stderr, WARNING);
        let line = "\n  certificate  NOT CHECKED, because of --insecure\n";
        assert!(finished.stdout().contains(line), "{finished:?}");
    }
}

#[tokio::test]
async fn insecure_warns_for_each_connection() {
    let server = ServerProcess::start().await;
    let proxy = TlsProxy::start(server.address, &self_signed(LOOPBACK)).await;
    let arguments = [&proxy.url(), "--insecure", "--auth", "basic"];
    let mut terminal = Terminal::spawn(&client_binary(), &arguments);
    for (shown, typed) in [
        (CREDENTIALS_PROMPT.trim_end(), "admin:1\r"),
        (CREDENTIALS_REFUSED, "admin:123456\r"),
        (MESSAGE_PROMPT.trim_end(), "exit\r"),
    ] {
        terminal.expect(shown).await;
        terminal.type_text(typed).await;
    }
    assert_eq!(terminal.finish().await, Some(0));
    let written = terminal.written();
    assert_eq!(written.matches(WARNING.trim_end()).count(), 2, "{written}");
}

#[tokio::test]
async fn server_without_tls_is_reported() {
    let server = ServerProcess::start().await;
    let url = server.url().replace("ws://", "wss://");
    let trusted = TrustedAuthority::new();
    let finished = trusted.run(&url, "admin:123456\n").await;
    assert_eq!(finished.code, Some(5), "{finished:?}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    for (answer, expected) in [
        (
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
            format!("{authority} does not speak TLS; "),
        ),
        (
            "220 mail.example ESMTP\r\n",
            format!("{authority} does not speak TLS; "),
        ),
        (
            "",
            format!("TLS with {authority} failed: tls handshake eof"),
        ),
    ] {
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut hello = [0; 5];
            stream.read_exact(&mut hello).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            // The client sends nothing after the TLS handshake.
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            (hello[0], String::from_utf8_lossy(&rest).contains("GET"))
        };
        let url = format!("wss://{authority}");
        let (finished, seen) = tokio::join!(trusted.run(&url, ""), serve);
        assert_eq!(finished.code, Some(5), "{finished:?}");
        let expected = format!("ws-client: {expected}");
        assert!(finished.stderr.starts_with(&expected), "{finished:?}");
        assert_eq!(seen, (22, false), "only a TLS handshake record");
    }
}

#[tokio::test]
async fn ws_url_to_a_tls_port_is_reported() {
    let trusted = TrustedAuthority::new();
    let server = ServerProcess::start().await;
    let proxy = TlsProxy::start(server.address, &trusted.authority.issue(LOOPBACK)).await;
    let url = proxy.url().replace("wss://", "ws://");
    let finished = run(client([url.as_str()]), "admin:123456\n").await;
    assert_eq!(finished.code, Some(6), "{finished:?}");
    assert_eq!(
        finished.stderr,
        "ws-client: the server's answer is no WebSocket handshake: status line: the answer is TLS; \
         the URL must begin with wss://\n"
    );
}
