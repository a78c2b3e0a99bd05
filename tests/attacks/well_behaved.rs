//! Checks that the server still serves a well-behaved client.

use integration_tests::{ServerProcess, close_frame_of, echoed};
use proto::close::CloseReason;
use raw_peer::frame;

/// Logs in, gets an echo and closes the connection.
pub(crate) async fn assert_served(server: &ServerProcess) {
    let mut peer = server.connect().await;
    peer.log_in().await;
    peer.send(frame::text("hello")).await;
    assert_eq!(peer.text().await, echoed("hello"));
    let (code, reason) = close_frame_of(CloseReason::UserExit);
    peer.send(frame::close(code, &reason)).await;
    assert_eq!(peer.close().await, (code, reason));
    peer.end().await;
}
