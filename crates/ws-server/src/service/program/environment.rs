//! The environment of a program: the variables of CGI (RFC 3875 section 4.1), as `websocketd` sets
//! them, and those of the server that the route passes on.

use std::{collections::BTreeMap, env, ffi::OsString, os::unix::ffi::OsStringExt as _};

use crate::{
    service::{
        ConnectRequest, ForwardedField,
        program::{ProgramService, command::search_path, directory::Script, percent::decoded},
    },
    session::{LoginMethod, RequestScheme},
};

/// The value of `SERVER_SOFTWARE`.
const SOFTWARE: &str = concat!("ws-server/", env!("CARGO_PKG_VERSION"));

/// Header fields that a program must not see: credentials, and facts that only this server and its
/// trusted proxies may state. A name that begins with one of [`HIDDEN_PREFIXES`] is hidden, too.
const HIDDEN_FIELDS: [&str; 6] = [
    "authorization",
    "forwarded",
    "proxy",
    "remote-user",
    "x-real-ip",
    "x-remote-user",
];

/// `Proxy` is hidden because `HTTP_PROXY` is the proxy that many programs connect through.
const HIDDEN_PREFIXES: [&str; 2] = ["proxy-", "x-forwarded-"];

/// Returns the environment of the program for a request.
pub(super) fn environment(
    service: &ProgramService,
    request: ConnectRequest<'_>,
    script: Option<&Script>,
) -> Vec<(OsString, OsString)> {
    let passed = service.pass_env.iter().filter_map(|name| {
        let value = env::var_os(name)?;
        Some((OsString::from(name), value))
    });
    let mut all = vec![(OsString::from("PATH"), search_path())];
    all.extend(passed);
    // The variables of the request come last: they replace others of the same name.
    let of_request = variables(service, request, script).into_iter();
    all.extend(of_request.map(|(name, value)| (name.into(), OsString::from_vec(value))));
    all
}

/// Returns the variables of a request. `script` is the program, in a directory of programs.
fn variables(
    service: &ProgramService,
    request: ConnectRequest<'_>,
    script: Option<&Script>,
) -> BTreeMap<String, Vec<u8>> {
    let mut variables = BTreeMap::new();
    let mut set = |name: &str, value: &[u8]| {
        variables.insert(name.to_owned(), value.to_vec());
    };
    set("SERVER_SOFTWARE", SOFTWARE.as_bytes());
    set("GATEWAY_INTERFACE", b"CGI/1.1");
    set("SERVER_PROTOCOL", b"HTTP/1.1");
    set("REQUEST_METHOD", b"GET");
    for name in ["CONTENT_LENGTH", "CONTENT_TYPE", "REMOTE_IDENT"] {
        set(name, b"");
    }

    let connection = request.head.connection();
    let client = connection.client();
    let address = client.ip().to_canonical().to_string();
    set("REMOTE_ADDR", address.as_bytes());
    set("REMOTE_HOST", address.as_bytes());
    // The port of a client behind a proxy is not known.
    let port = match client.port() {
        0 => String::new(),
        port => port.to_string(),
    };
    set("REMOTE_PORT", port.as_bytes());
    let user = request.principal.user();
    set(
        "REMOTE_USER",
        user.map_or("", |user| user.as_str()).as_bytes(),
    );
    let method = match request.login {
        Some(LoginMethod::Basic) => "Basic",
        Some(LoginMethod::Message) => "Message",
        Some(LoginMethod::Ticket) => "Ticket",
        None => "",
    };
    set("AUTH_TYPE", method.as_bytes());

    let host = request.head.values("host").next().unwrap_or_default();
    let (name, port) = name_and_port(host);
    let default: &[u8] = match connection.scheme() {
        RequestScheme::Http => b"80",
        RequestScheme::Https => b"443",
    };
    set("SERVER_NAME", name);
    set("SERVER_PORT", port.unwrap_or(default));
    if connection.scheme() == RequestScheme::Https {
        set("HTTPS", b"on");
    }

    let path = decoded(request.path);
    match script {
        None => {
            set("SCRIPT_NAME", b"/");
            set("PATH_INFO", &path);
        }
        Some(script) => {
            let prefix = request.path.strip_suffix(request.rest).unwrap_or("/");
            let name = [&*decoded(prefix), &script.name].concat();
            set("SCRIPT_NAME", &name);
            set("PATH_INFO", &script.path_info);
        }
    }
    set("PATH_TRANSLATED", &path);
    set("QUERY_STRING", request.head.query().unwrap_or_default());
    set("REQUEST_URI", request.head.target());
    set(
        "UNIQUE_ID",
        request.connection.number().to_string().as_bytes(),
    );

    for (name, value) in request.head.fields() {
        if is_hidden(name, service) {
            continue;
        }
        let variable = format!("HTTP_{}", name.to_ascii_uppercase().replace('-', "_"));
        let separator: &[u8] = if name == "cookie" { b"; " } else { b", " };
        variables
            .entry(variable)
            .and_modify(|joined| {
                joined.extend_from_slice(separator);
                joined.extend_from_slice(value);
            })
            .or_insert_with(|| value.to_vec());
    }
    variables
}

/// Returns true if a field, whose name is in lower case, must not become a variable.
fn is_hidden(name: &str, service: &ProgramService) -> bool {
    // `X_Forwarded_For` and `X-Forwarded-For` would be one variable.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !name.bytes().all(is_plain)
        || HIDDEN_FIELDS.contains(&name)
        || HIDDEN_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
        || (name == "cookie" && !service.forward.contains(&ForwardedField::Cookie))
}

/// Splits the value of `Host`. An IPv6 address keeps its brackets.
fn name_and_port(host: &[u8]) -> (&[u8], Option<&[u8]>) {
    let colon = host.iter().rposition(|byte| *byte == b':');
    match colon {
        Some(colon) if host[colon + 1..].iter().all(u8::is_ascii_digit) => {
            let port = &host[colon + 1..];
            (&host[..colon], (!port.is_empty()).then_some(port))
        }
        Some(_) | None => (host, None),
    }
}

#[cfg(test)]
#[path = "tests/environment.rs"]
mod tests;
