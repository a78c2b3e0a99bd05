//! Conformance of the server, for a logged-in peer.

use integration_tests::ServerProcess;

use crate::{login_proxy::LoginProxy, suite::Suite};

/// The configuration: an exact echo, and the longest message of the suite.
const CONFIGURATION: &str = "[limits]\nmax_message_bytes = \"16MiB\"\n[echo]\nprefix = \"\"\n";

#[tokio::test]
#[ignore = "needs the Autobahn testsuite of .ci/autobahn"]
async fn server_conforms_to_rfc_6455() {
    let server = ServerProcess::start_with(CONFIGURATION).await;
    let proxy = LoginProxy::in_front_of(server.address).await;
    let suite = Suite::for_subject("ws-server");
    let url = format!("ws://{}", proxy.address());
    tokio::select! {
        () = suite.fuzz_server(&url) => {}
        never = proxy.run() => match never {},
    }
    suite.check();
}
