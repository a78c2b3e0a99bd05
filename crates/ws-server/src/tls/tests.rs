//! Valid and invalid certificates and keys.

use rcgen::{CertificateParams, KeyPair};

use super::{Tls, TlsError, certificates, private_key};

/// Returns a self-signed certificate and its key, as PEM.
fn issued() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn tls(certificate: &str, key: &str) -> Result<Tls, TlsError> {
    Tls::new(
        certificates(certificate.as_bytes())?,
        private_key(key.as_bytes())?,
    )
}

/// Returns the base64 lines of a PEM block.
fn body(pem: &str) -> &str {
    let body = pem.split("-----").nth(2).unwrap();
    body.trim_matches(['\r', '\n'])
}

#[test]
fn unusable_certificate_or_key_refused_with_reason() {
    let (certificate, key) = issued();
    assert!(tls(&certificate, &key).is_ok());
    let block =
        |name: &str, body: &str| format!("-----BEGIN {name}-----\n{body}\n-----END {name}-----\n");
    for (certificate, key, problem) in [
        ("", &*key, TlsError::NoCertificate),
        ("\0\0\u{1}", &key, TlsError::NoCertificate),
        (&key, &key, TlsError::NoCertificate),
        (
            &block("CERTIFICATE", "AAAA"),
            &key,
            TlsError::BrokenCertificate,
        ),
        (
            &block("CERTIFICATE", "!"),
            &key,
            TlsError::BrokenCertificate,
        ),
        (
            &certificate[..certificate.len() / 2],
            &key,
            TlsError::BrokenCertificate,
        ),
        (&certificate, "", TlsError::NoPrivateKey),
        (&certificate, &certificate, TlsError::NoPrivateKey),
        (
            &certificate,
            &key[..key.len() / 2],
            TlsError::UnusablePrivateKey,
        ),
        (
            &certificate,
            &block("PRIVATE KEY", "AAAA"),
            TlsError::UnusablePrivateKey,
        ),
        (
            &certificate,
            &block("EC PRIVATE KEY", body(&key)),
            TlsError::UnusablePrivateKey,
        ),
        (
            &certificate,
            &block("ENCRYPTED PRIVATE KEY", "AAAA"),
            TlsError::EncryptedPrivateKey,
        ),
        (
            &certificate,
            &block(
                "RSA PRIVATE KEY",
                "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA",
            ),
            TlsError::EncryptedPrivateKey,
        ),
        (&certificate, &issued().1, TlsError::KeyMismatch),
        (&(issued().0 + &certificate), &key, TlsError::KeyMismatch),
    ] {
        let found = tls(certificate, key).err();
        assert_eq!(found, Some(problem), "{certificate}{key}");
    }
}

/// Former fault: a byte order mark hid the first block of a file, and a missing line break the second one.
/// Strict clients refused the server, because the intermediate certificate was missing.
#[test]
fn joined_blocks_and_byte_order_mark_read() {
    let (certificate, key) = issued();
    let intermediate = issued().0;
    let joined = format!("{}{intermediate}", certificate.trim_end());
    assert_eq!(certificates(joined.as_bytes()).unwrap().len(), 2);
    let marked = |text: &str| format!("\u{feff}{text}");
    assert!(tls(&marked(&joined), &marked(&key)).is_ok());
    // Certificate and key in one file.
    let both = format!("{}{key}", certificate.trim_end());
    assert!(tls(&both, &both).is_ok());
}

/// A block that is not understood is not dropped in silence.
#[test]
fn skipped_block_refused_with_reason() {
    let (certificate, key) = issued();
    let indented = format!("{certificate}  {}", issued().0);
    let error = tls(&indented, &key).unwrap_err().to_string();
    let expected = "1 of 2 blocks CERTIFICATE in it can be read: write each ";
    assert!(error.starts_with(expected), "{error}");
    let error = tls(&certificate, &format!(" {key}"))
        .unwrap_err()
        .to_string();
    let expected = "0 of 1 blocks PRIVATE KEY in it can be read: write each ";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn changed_certificate_or_key_detected() {
    let (certificate, key) = issued();
    let one = tls(&certificate, &key).unwrap();
    // With a comment before it, and CR LF line breaks.
    let same = tls(
        &format!("a remark\n{certificate}"),
        &key.replace('\n', "\r\n"),
    )
    .unwrap();
    assert!(one.has_certificate_of(&same) && one.has_private_key_of(&same));

    let key_pair = KeyPair::from_pem(&key).unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let renewed = params.self_signed(&key_pair).unwrap().pem();
    let renewed = tls(&renewed, &key).unwrap();
    assert!(!one.has_certificate_of(&renewed) && one.has_private_key_of(&renewed));

    let longer = tls(&format!("{certificate}{}", issued().0), &key).unwrap();
    assert!(!one.has_certificate_of(&longer));

    let (certificate, key) = issued();
    let other = tls(&certificate, &key).unwrap();
    assert!(!one.has_certificate_of(&other) && !one.has_private_key_of(&other));
}

#[test]
fn debug_shows_no_private_key() {
    let (certificate, key) = issued();
    let tls = tls(&certificate, &key).unwrap();
    assert_eq!(format!("{tls:?}"), "Tls { .. }");
    let config = format!("{:?}", tls.config);
    let secret = KeyPair::from_pem(&key).unwrap().serialize_der();
    // The first bytes of the private number, as `Debug` formats them in decimal and in hex.
    let (list, digits) = (
        format!("{:?}", &secret[36..40]),
        format!("{:02x?}", &secret[36..40]),
    );
    let digits = digits.replace(", ", "");
    for shown in [&list, &digits] {
        let shown = shown.trim_matches(['[', ']']);
        assert!(!config.contains(shown), "{config}");
    }
}
