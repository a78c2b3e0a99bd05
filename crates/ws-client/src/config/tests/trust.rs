//! The trust in certificates.

use super::fixtures::{CERTIFICATE, insecure, load, url};
use crate::{
    config::Flags,
    tls::{TransportKind, Trust},
};

#[test]
fn cacert_of_file_is_relative_to_the_file() {
    let files = [
        (
            "config/client.toml",
            "url = \"wss://h\"\ncacert = \"ca.pem\"\n",
        ),
        ("config/ca.pem", CERTIFICATE),
        ("config/empty", ""),
    ];
    for flags in [Flags::default(), url("wss://h/other")] {
        let config = load(&files, flags).unwrap();
        let trust = format!("{:?}", config.transport);
        assert!(trust.contains("config/ca.pem"), "{trust}");
    }
    // A URL without TLS ignores it, and a flag overrides it.
    let config = load(&files, url("ws://127.0.0.1")).unwrap();
    assert!(matches!(config.transport, TransportKind::Tcp));
    assert_eq!(config.transport.warning(), None);
    let config = load(&files, insecure(Flags::default())).unwrap();
    assert!(config.transport.warning().is_some());
    let gone = Flags {
        trust: Some(Trust::File("/nonexistent".into())),
        ..Flags::default()
    };
    assert_eq!(
        load(&files, gone).unwrap_err(),
        "the certificate file /nonexistent cannot be read: No such file or directory (os error 2)"
    );
    let wrong = "url = \"wss://h\"\ncacert = \"empty\"\n";
    let files = [("config/client.toml", wrong), files[2]];
    assert_eq!(
        load(&files, Flags::default()).unwrap_err(),
        "the certificate file config/empty: it holds no certificate; it must be PEM, which begins \
         with -----BEGIN CERTIFICATE-----"
    );
}

/// A checkout could otherwise make a foreign server pass for any other one.
#[test]
fn cacert_of_file_is_for_its_origin_only() {
    let trusting = "url = \"wss://h\"\ncacert = \"ca.pem\"\n";
    let files = [
        ("config/client.toml", trusting),
        ("config/ca.pem", CERTIFICATE),
    ];
    for elsewhere in ["wss://other", "wss://h:8443"] {
        // A system without root certificates reports that.
        let Ok(config) = load(&files, url(elsewhere)) else {
            continue;
        };
        let trust = format!("{:?}", config.transport);
        assert!(!trust.contains("config/ca.pem"), "{trust}");
        let notice = format!(
            "config/client.toml is for wss://h:443 and is not used for {}",
            if elsewhere == "wss://other" {
                "wss://other:443"
            } else {
                elsewhere
            }
        );
        assert!(config.notices[0].ends_with(&notice), "{:?}", config.notices);
    }
    let config = load(&files, url("ws://127.0.0.1")).unwrap();
    assert!(config.notices.is_empty());
    let config = load(&files, insecure(url("wss://other"))).unwrap();
    assert!(config.notices.is_empty());
}

#[test]
fn insecure_is_no_key_of_the_file() {
    let file = [("config/client.toml", "insecure = true\n")];
    let error = load(&file, Flags::default()).unwrap_err();
    assert!(error.contains("unknown key `insecure`"), "{error}");
}
