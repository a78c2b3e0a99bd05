//! Valid and invalid arguments, and the errors about them.

use std::ffi::OsString;

use clap::CommandFactory as _;

use super::arguments::{Arguments, parse};

#[test]
fn arguments_are_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn help_documents_exit_codes_and_streams() {
    let help = Arguments::command().render_long_help().to_string();
    for line in [
        "\nStreams:\n",
        "\nExit codes:\n",
        "  stdout gets the messages after the login, each followed by a newline, and nothing else.",
        "    16:40:05 jane: hello",
        "  --auth basic sends the credentials in the handshake (HTTP Basic).",
        "use it only with servers that accept Basic.",
        "In a room that sends JSON, only the client's own messages count",
        "  --auth none sends no credentials, for a server without a login.",
        "SSL_CERT_FILE and SSL_CERT_DIR name others.",
        "    5  TLS failed, or the certificate is invalid",
        "    8  the connection was lost, or closed with an error",
        "    9  fewer messages arrived than --count asks for",
        "  130  interrupted by Ctrl-C or a signal",
    ] {
        assert!(help.contains(line), "{help}");
    }
}

fn refused(arguments: &[&str]) -> clap::Error {
    let all = std::iter::once(&"ws-client").chain(arguments);
    parse(&all.map(OsString::from).collect::<Vec<_>>()).unwrap_err()
}

#[test]
fn wrong_arguments_exit_with_2_and_quote_no_url() {
    for arguments in [
        &["--nonsense"][..],
        &["--linger", "0s"],
        &["--max-message-bytes", "0"],
        &["--max-message", "0"],
        &["--count", "0"],
        &["-b", "-0"],
        &["-b", "--json"],
        &["-0", "--json-input"],
        &["-v", "-q"],
        &["-1", "--count", "1"],
        &["--timeout", "-1"],
        &["--linger", "ever"],
        &["--password-stdin"],
        &["--user", "a", "--password-stdin", "--password-file", "x"],
        &["--user", "a", "--password-command", "a 'b"],
        &["--user", "a", "--bearer-file", "x"],
        &["--password-file", "x"],
        &["--auth", "digest"],
        &["--auth"],
        &["--origin", "a b"],
        &["--cacert"],
        &["--cacert", "x", "--insecure", "wss://h"],
        &["handshake", "--cacert", "x", "--insecure", "wss://h"],
        &["handshake"],
        &["handshake", "ws://h", "--websocket-key", "short"],
        &["handshake", "ws://h", "--key", "short"],
        &["ws://admin:hunter2@h", "ws://b"],
        &["ws://b", "ws://admin:hunter2@h"],
        &["ws://b", "ws://admin:a@b hunter2/@h"],
        &["ws://b", "ws:admin:hunter2@h"],
        &["ws://b", "ws:\\\\admin:hunter2@h"],
        &["--ws://admin:hunter2@h"],
        &["--origin", "http://admin:hunter2 x@h"],
        &["handshake", "ws://b", "ws://a:hunter2@h"],
    ] {
        let error = refused(arguments);
        assert_eq!(error.exit_code(), 2, "{arguments:?}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn wrong_argument_is_named_without_its_password() {
    let said = refused(&["handshake", "ws://b", "ws://a:hunter2@h"]).to_string();
    assert!(said.contains(" argument 'ws://***@h' found"), "{said}");
}

#[test]
fn help_and_version_exit_with_0() {
    for asked in ["--help", "--version"] {
        let answer = refused(&["ws://admin:hunter2@h", asked]);
        assert_eq!(answer.exit_code(), 0, "{asked}");
        assert!(!answer.use_stderr(), "{asked}");
    }
}
