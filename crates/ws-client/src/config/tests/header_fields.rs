//! The header fields of the command line.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
};

use super::fixtures::{directory, load, with_headers};
use crate::{
    config::{Auth, Cleartext, Config, Flags},
    console::Mode,
};

#[test]
fn header_fields_come_from_arguments_and_files() {
    let directory = directory(&[("fields", "\u{feff}X-A: 1\r\n\nCookie: c\n")]);
    let path = directory.path().join("fields");
    let at = format!("@{}", path.display());
    let load = || {
        let flags = with_headers("ws://127.0.0.1:1", &["X-B: 2", &at]);
        Config::load(flags, directory.path(), Mode::Pipe).unwrap()
    };
    let config = load();
    for name in ["x-a", "X-B", "cookie"] {
        assert!(config.fields.has(name), "{name}");
    }
    assert!(config.notices.is_empty());
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    assert!(load().notices[0].contains("chmod o= "));
}

#[test]
fn secret_field_without_tls_is_refused_off_loopback() {
    let files = [("fields", "X-A: 1")];
    let directory = directory(&files);
    let at = format!("@{}", directory.path().join("fields").display());
    for header in ["authorization: t0ken", "Cookie: t0ken", &at] {
        let error = load(&[], with_headers("ws://192.0.2.1", &[header])).unwrap_err();
        assert_eq!(
            error,
            "a secret header field sent to 192.0.2.1:80 could be read on the way, because ws:// is \
             not encrypted; use wss://, or say with --allow-insecure that the network can be trusted"
        );
        for url in ["wss://192.0.2.1", "ws://127.0.0.1"] {
            assert!(load(&[], with_headers(url, &[header])).is_ok(), "{url}");
        }
        let allowed = Flags {
            cleartext: Cleartext::Allowed,
            ..with_headers("ws://192.0.2.1", &[header])
        };
        assert!(load(&[], allowed).is_ok());
    }
    assert!(load(&[], with_headers("ws://192.0.2.1", &["X-A: 1"])).is_ok());
}

#[test]
fn unusable_header_is_refused_and_not_quoted() {
    let url = "ws://127.0.0.1:1";
    let basic = Flags {
        auth: Some(Auth::Basic),
        ..with_headers(url, &["Authorization: t0ken"])
    };
    let origin = Flags {
        origin: Some("http://a".parse().unwrap()),
        ..with_headers(url, &["origin: t0ken"])
    };
    for (flags, error) in [
        (
            with_headers(url, &["t0ken"]),
            "--header: a header field is written as \"Name: value\"",
        ),
        (
            with_headers(url, &["Upgrade: t0ken"]),
            "--header: Upgrade cannot be set: the client sets it itself; leave it out",
        ),
        (
            with_headers(url, &["Sec-WebSocket-Protocol: t0ken"]),
            "--header: Sec-WebSocket-Protocol cannot be set: use --subprotocol",
        ),
        (
            with_headers(url, &["X: a\nt0ken: b"]),
            "--header: the value of X has a control character, such as a line break; remove it",
        ),
        (
            with_headers(url, &["Host: a", "host: b"]),
            "--header: Host is given twice, and a request has it once; remove one",
        ),
        (
            with_headers(url, &["@/nonexistent"]),
            "the header file /nonexistent cannot be read: No such file or directory (os error 2)",
        ),
        (
            basic,
            "--header: Authorization is set by --auth basic as well; leave one of them out",
        ),
        (
            origin,
            "--header: Origin is set by --origin as well; leave one of them out",
        ),
    ] {
        assert_eq!(load(&[], flags).unwrap_err(), error);
    }
    let directory = directory(&[("fields", "A: b\n\nConnection: t0ken\n")]);
    let path = directory.path().join("fields");
    let error = load(&[], with_headers(url, &[&format!("@{}", path.display())])).unwrap_err();
    assert_eq!(
        error,
        format!(
            "the header file {}: line 3: Connection cannot be set: the client sets it itself; leave \
             it out",
            path.display()
        )
    );
}
