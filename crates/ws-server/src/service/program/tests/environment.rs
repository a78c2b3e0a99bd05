//! The variables of a request, and attempts to forge them.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use super::variables;
use crate::{
    service::{
        ConnectRequest, ForwardedField,
        program::{ProgramService, Programs, directory::Script},
    },
    session::{ConnectionId, Limits, Principal, RequestConnection, RequestHead, RequestScheme},
};

fn service(keys: &str) -> ProgramService {
    toml::from_str(&format!("command = [\"/bin/true\"]\n{keys}")).unwrap()
}

/// Returns the variables of a guest's request.
fn of(service: &ProgramService, head: &RequestHead, path: &str) -> BTreeMap<String, String> {
    of_script(service, head, path, "", None)
}

/// Returns the variables of a guest's request to a program of a directory.
fn of_script(
    service: &ProgramService,
    head: &RequestHead,
    path: &str,
    rest: &str,
    script: Option<&Script>,
) -> BTreeMap<String, String> {
    let connection = ConnectionId::from(7);
    let request = ConnectRequest {
        connection,
        route: "/**",
        principal: &Principal::Guest(connection),
        login: None,
        head,
        path,
        rest,
        subprotocols: &[],
        max_message_bytes: 1024,
        limits: &Arc::new(Limits::default()),
        programs: &Arc::new(Programs::default()),
    };
    let variables = variables(service, request, script).into_iter();
    let text = |value: Vec<u8>| String::from_utf8(value).unwrap();
    variables.map(|(name, value)| (name, text(value))).collect()
}

#[test]
fn variables_of_cgi_are_set() {
    let fields = [("Host", "[::1]:8080"), ("User-Agent", "test")];
    let head = RequestHead::of("/a%20b/%C3%A9?c=%20d", &fields);
    let variables = of(&service(""), &head, "/a%20b/%C3%A9");
    let expected = [
        ("AUTH_TYPE", ""),
        ("CONTENT_LENGTH", ""),
        ("CONTENT_TYPE", ""),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("HTTP_HOST", "[::1]:8080"),
        ("HTTP_USER_AGENT", "test"),
        ("PATH_INFO", "/a b/\u{e9}"),
        ("PATH_TRANSLATED", "/a b/\u{e9}"),
        ("QUERY_STRING", "c=%20d"),
        ("REMOTE_ADDR", "192.0.2.1"),
        ("REMOTE_HOST", "192.0.2.1"),
        ("REMOTE_IDENT", ""),
        ("REMOTE_PORT", "1024"),
        ("REMOTE_USER", ""),
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", "/a%20b/%C3%A9?c=%20d"),
        ("SCRIPT_NAME", "/"),
        ("SERVER_NAME", "[::1]"),
        ("SERVER_PORT", "8080"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        (
            "SERVER_SOFTWARE",
            concat!("ws-server/", env!("CARGO_PKG_VERSION")),
        ),
        ("UNIQUE_ID", "7"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(variables, BTreeMap::from(expected));
}

#[test]
fn server_name_and_port_come_from_host() {
    for (host, name, port) in [
        ("example.org", "example.org", "80"),
        ("example.org:", "example.org", "80"),
        ("example.org:81", "example.org", "81"),
        ("[::1]", "[::1]", "80"),
        ("", "", "80"),
    ] {
        let variables = of(&service(""), &RequestHead::of("/", &[("Host", host)]), "/");
        let found = (&*variables["SERVER_NAME"], &*variables["SERVER_PORT"]);
        assert_eq!(found, (name, port), "{host}");
    }
}

/// `Proxy` became `HTTP_PROXY`, through which a program then connected. `Authorization` was shown to
/// programs, and `X_Forwarded_For` was taken for `X-Forwarded-For`.
#[test]
fn forged_and_secret_fields_are_left_out() {
    let fields = [
        ("Proxy", "http://evil.example"),
        ("PROXY", "http://evil.example"),
        ("Proxy-Authorization", "Basic eDp5"),
        ("Proxy-Connection", "close"),
        ("Authorization", "Basic eDp5"),
        ("authorization", "Bearer x"),
        ("Cookie", "session=1"),
        ("Remote-User", "admin"),
        ("Remote_User", "admin"),
        ("X-Remote-User", "admin"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("x_forwarded_for", "127.0.0.1"),
        ("X-Forwarded-User", "admin"),
        ("X-Forwarded_User", "admin"),
        ("X-Forwarded-Proto", "https"),
        ("Forwarded", "for=127.0.0.1"),
        ("X-Real-IP", "127.0.0.1"),
        ("Http~Proxy", "x"),
        ("User_Agent", "forged"),
        ("X.A", "x"),
        ("X-Kept", "one"),
        ("x-kept", "two"),
    ];
    let found = of(&service(""), &RequestHead::of("/", &fields), "/");
    let of_fields: Vec<_> = found
        .iter()
        .filter(|(name, _)| name.starts_with("HTTP"))
        .collect();
    let kept = (&"HTTP_X_KEPT".to_owned(), &"one, two".to_owned());
    assert_eq!(of_fields, [kept]);
    assert_eq!(found["REMOTE_USER"], "");
    assert_eq!(found["REMOTE_ADDR"], "192.0.2.1");
}

#[test]
fn cookie_is_passed_on_request() {
    let service = service("forward = [\"cookie\"]");
    assert_eq!(service.forward, [ForwardedField::Cookie]);
    let head = RequestHead::of("/", &[("Cookie", "a=1"), ("Cookie", "b=2")]);
    assert_eq!(of(&service, &head, "/")["HTTP_COOKIE"], "a=1; b=2");
}

#[test]
fn tls_is_stated() {
    let client: SocketAddr = ([192, 0, 2, 1], 1024).into();
    let connection = RequestConnection::direct(client, None, RequestScheme::Https);
    let request = http::Request::get("/").body(()).unwrap();
    let head = RequestHead::new(&request.into_parts().0, connection, |bytes| bytes);
    let variables = of(&service(""), &head, "/");
    assert_eq!(variables["HTTPS"], "on");
    assert_eq!(variables["SERVER_PORT"], "443");
}

#[test]
fn script_name_and_path_info_split_at_program() {
    let head = RequestHead::of("/a%20b/sub/c/%3Fd?e", &[]);
    for (path, rest, path_info, name) in [
        ("/a%20b/sub/c/%3Fd", "sub/c/%3Fd", "/?d", "/a b/sub/c"),
        ("/sub/c", "sub/c", "", "/sub/c"),
    ] {
        let script = Script {
            file: "/srv/sub/c".into(),
            name: b"sub/c".to_vec(),
            path_info: path_info.into(),
        };
        let variables = of_script(&service(""), &head, path, rest, Some(&script));
        assert_eq!(variables["SCRIPT_NAME"], name);
        assert_eq!(variables["PATH_INFO"], path_info);
        assert_eq!(variables["REQUEST_URI"], "/a%20b/sub/c/%3Fd?e");
    }
}
