//! TLS in the output of `ws-client handshake` and in command-line errors.

use std::sync::Arc;

use integration_tests::{IssuedCertificate, RelayOutcome, ServerProcess, TlsProxy, client, run};
use tokio_rustls::rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};

use super::trusted_authority::{LOOPBACK, TrustedAuthority};

#[tokio::test]
async fn handshake_command_reports_tls() {
    let server = ServerProcess::start().await;
    let trusted = TrustedAuthority::new();
    let issued = trusted.authority.issue(LOOPBACK);
    let mut with_alpn = issued.server_config();
    with_alpn.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let old = tls_1_2(&issued);
    for (config, version, cipher, protocol) in [
        (
            issued.server_config(),
            "TLS 1.3",
            "TLS13_",
            "nothing, which is as good",
        ),
        (with_alpn, "TLS 1.3", "TLS13_", "http/1.1"),
        (
            old,
            "TLS 1.2",
            "TLS_ECDHE_ECDSA_",
            "nothing, which is as good",
        ),
    ] {
        let mut proxy = TlsProxy::start_on("127.0.0.1", server.address, config).await;
        let cacert = trusted.cacert();
        let tool = ["handshake", &proxy.url(), "--cacert", &cacert];
        let finished = run(client(tool), "").await;
        assert_eq!(finished.code, Some(0), "{finished:?}");
        let report = finished.stdout();
        let authority = proxy.authority();
        let lines: Vec<&str> = report.lines().take(8).collect();
        assert_eq!(lines[0], format!("TLS with {authority}"));
        assert_eq!(lines[1], format!("  version      {version}"));
        assert!(
            lines[2].starts_with(&format!("  cipher       {cipher}")),
            "{report}"
        );
        assert_eq!(lines[3], format!("  ALPN         {protocol}"));
        assert_eq!(
            lines[4],
            format!("  certificate  right: it is for 127.0.0.1, by an authority in {cacert}")
        );
        assert_eq!(lines[5..7], ["", &format!("request to {authority}")]);
        assert_eq!(lines[7], "> GET / HTTP/1.1");
        let host = format!("\n> Host: {authority}\n");
        assert!(report.contains(&host), "{report}");
        assert!(
            report.ends_with("\nverdict: right, the WebSocket is open\n"),
            "{report}"
        );
        let outcome = proxy.next_outcome().await;
        assert!(matches!(outcome, RelayOutcome::Closed(_)), "{outcome:?}");
    }
}

/// Returns a configuration for TLS 1.2 only.
fn tls_1_2(issued: &IssuedCertificate) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_no_client_auth();
    issued.complete(builder)
}

/// In TLS 1.3 the client sends its request before it receives the alert.
#[tokio::test]
async fn demanded_client_certificate_is_reported() {
    let server = ServerProcess::start().await;
    let trusted = TrustedAuthority::new();
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    let pem = trusted.authority.certificate();
    roots
        .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
        .unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build();
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier.unwrap());
    let config = trusted.authority.issue(LOOPBACK).complete(builder);
    let proxy = TlsProxy::start_on("127.0.0.1", server.address, config).await;
    let finished = trusted.run(&proxy.url(), "").await;
    assert_eq!(finished.code, Some(5), "{finished:?}");
    assert_eq!(
        finished.stderr,
        format!(
            "ws-client: {} demands a client certificate, and ws-client cannot send one; connect to \
             a server or port that does not demand it\n",
            proxy.authority()
        )
    );
}

#[tokio::test]
async fn certificate_flags_on_ws_url_are_rejected() {
    let trusted = TrustedAuthority::new();
    let cacert = trusted.cacert();
    for (flags, name) in [
        (&["--insecure"][..], "--insecure"),
        (&["--cacert", &cacert], "--cacert"),
    ] {
        for start in [&[][..], &["handshake"]] {
            let arguments = [start, &["ws://127.0.0.1:1"], flags].concat();
            let finished = run(client(&arguments), "").await;
            assert_eq!(finished.code, Some(2), "{arguments:?}: {finished:?}");
            assert_eq!(
                finished.stderr,
                format!(
                    "ws-client: {name} is about certificates, and a ws:// URL has none; leave it \
                     out, or use wss://\n"
                )
            );
        }
    }
}

#[tokio::test]
async fn unusable_cacert_file_is_rejected() {
    let trusted = TrustedAuthority::new();
    let key = trusted.authority.issue(LOOPBACK).private_key;
    let certificate = trusted.authority.certificate();
    let broken = certificate.replacen("MII", "MIJ", 1);
    let unended = &certificate[..certificate.len() - 10];
    for (name, content, message) in [
        ("empty.pem", "", EMPTY),
        ("key.pem", &key, EMPTY),
        ("der", "\u{0}\u{1}0\u{82}", EMPTY),
        (
            "unended.pem",
            unended,
            "a certificate in it has no line -----END CERTIFICATE-----",
        ),
        (
            "broken.pem",
            &(certificate.clone() + &broken),
            "certificate 2 in it is broken",
        ),
    ] {
        let path = trusted.write(name, content);
        let path = path.to_str().unwrap();
        for start in [&[][..], &["handshake"]] {
            let arguments = [start, &["wss://127.0.0.1:1", "--cacert", path]].concat();
            let finished = run(client(&arguments), "").await;
            assert_eq!(finished.code, Some(2), "{arguments:?}: {finished:?}");
            assert_eq!(
                finished.stderr,
                format!("ws-client: the certificate file {path}: {message}\n")
            );
        }
    }
    let finished = run(
        client(["wss://127.0.0.1:1", "--cacert", "/nonexistent"]),
        "",
    )
    .await;
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert_eq!(
        finished.stderr,
        "ws-client: the certificate file /nonexistent cannot be read: No such file or directory \
         (os error 2)\n"
    );
}

const EMPTY: &str =
    "it holds no certificate; it must be PEM, which begins with -----BEGIN CERTIFICATE-----";
