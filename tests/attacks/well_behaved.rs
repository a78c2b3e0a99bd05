//! Checks that the server still serves a well-behaved client.

use integration_tests::{ServerProcess, echoed};
use raw_peer::frame;

/// Logs in, gets an echo and closes the connection.
pub(crate) async fn assert_served(server: &ServerProcess) {
    let mut peer = server.connect().await;
    peer.log_in().await;
    peer.send(frame::text("hello")).await;
    assert_eq!(peer.text().await, echoed("hello"));
    peer.send(frame::close(1000, "user exit")).await;
    assert_eq!(peer.close().await, (1000, "user exit".to_owned()));
    peer.end().await;
}
