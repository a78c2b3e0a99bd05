//! Shutdown by signals.

use integration_tests::{DRAINING, ServerProcess};
use raw_peer::frame;
use rustix::process::Signal;

#[tokio::test]
async fn signal_closes_sessions_and_exits_with_0() {
    for signal in [Signal::INT, Signal::TERM] {
        let server = ServerProcess::start().await;
        let mut session = server.connect().await;
        session.log_in().await;
        server.signal(signal);
        assert_eq!(session.close().await.0, 1001);
        session.send(frame::close(1001, "")).await;
        session.end().await;
        let (code, stdout, log) = server.finish().await;
        assert_eq!(code, Some(0), "{log}");
        assert_eq!(stdout, "", "stdout has one line");
        assert!(log.contains("stopped"), "{log}");
    }
}

#[tokio::test]
async fn second_signal_exits_at_once() {
    let mut server =
        ServerProcess::start_with("[limits]\nclose_deadline = \"1h\"\ndrain_deadline = \"1h\"")
            .await;
    let mut session = server.connect().await;
    session.log_in().await;
    server.signal(Signal::TERM);
    server.log_line(DRAINING).await;
    // The session does not answer the Close frame, so the drain continues.
    assert_eq!(session.close().await.0, 1001);
    server.signal(Signal::TERM);
    let (code, _, log) = server.finish().await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("stopping at once"), "{log}");
}
