//! Conformance of the server, for a logged-in peer.

use integration_tests::ServerProcess;

use crate::{login_proxy::LoginProxy, suite::Suite};

/// The configuration: an exact echo, and the longest message of the suite.
const CONFIGURATION: &str = "[limits]\nmax_message_bytes = \"16MiB\"\n[echo]\nprefix = \"\"\n";

#[tokio::test]
#[ignore = "needs the Autobahn testsuite of .ci/autobahn"]
async fn server_conforms_to_rfc_6455() {
    let server = ServerProcess::start_with(CONFIGURATION).await;
    assert_conforms("ws-server", &server, &[]).await;
}

/// The cases that send a message and then a violation. A relay ends at the violation, before the answer of
/// its upstream has arrived.
const BEFORE_ANSWER: [&str; 10] = [
    "3.2", "3.3", "3.4", "4.1.3", "4.1.4", "4.1.5", "4.2.3", "4.2.4", "4.2.5", "5.15",
];

#[tokio::test]
#[ignore = "needs the Autobahn testsuite of .ci/autobahn"]
async fn relay_conforms_to_rfc_6455() {
    let echo = "[[route]]\npath = \"/\"\nservice = \"echo\"\npublic = true\n\
                max_message_bytes = \"16MiB\"\n";
    let upstream = CONFIGURATION.to_owned() + echo;
    let upstream = ServerProcess::start_with(&upstream).await;
    let to = upstream.url();
    let relay = format!("[[route]]\npath = \"/\"\nservice = \"relay\"\nto = \"{to}\"\n");
    let relay = ServerProcess::start_with(&(CONFIGURATION.to_owned() + &relay)).await;
    assert_conforms("ws-server-relay", &relay, &BEFORE_ANSWER).await;
}

/// Runs the suite against a logged-in session of a server that echoes.
async fn assert_conforms(subject: &'static str, server: &ServerProcess, non_strict: &[&str]) {
    let proxy = LoginProxy::in_front_of(server.address).await;
    let suite = Suite::for_subject(subject);
    let url = format!("ws://{}", proxy.address());
    tokio::select! {
        () = suite.fuzz_server(&url) => {}
        never = proxy.run() => match never {},
    }
    suite.check(non_strict);
}
