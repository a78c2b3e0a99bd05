//! How the server ends.

use integration_tests::Server;
use raw_peer::frame;
use rustix::process::Signal;

#[tokio::test]
async fn a_signal_ends_everybody_in_order() {
    for signal in [Signal::INT, Signal::TERM] {
        let server = Server::start().await;
        let mut session = server.connect().await;
        session.log_in().await;
        let mut upgraded = server.connect().await;
        upgraded.upgrade().await;
        let mut asking = server.connect().await;
        asking.send("GET / HT").await;
        server.signal(signal);
        for peer in [&mut session, &mut upgraded] {
            assert_eq!(
                peer.close().await,
                (1001, "server is shutting down".to_owned())
            );
            peer.send(frame::close(1001, "")).await;
            peer.end().await;
        }
        assert!(asking.head().await.starts_with("HTTP/1.1 503 "));
        drop(asking);
        let (code, stdout, log) = server.finish().await;
        assert_eq!(code, Some(0), "{log}");
        assert_eq!(stdout, "", "stdout has one line");
        assert!(log.contains("stopped"), "{log}");
    }
}

#[tokio::test]
async fn a_second_signal_ends_the_server_at_once() {
    let mut server =
        Server::with("[limits]\nclose_deadline = \"1h\"\ndrain_deadline = \"1h\"").await;
    let mut session = server.connect().await;
    session.log_in().await;
    server.signal(Signal::TERM);
    server.log_line("ending all connections").await;
    // The session does not answer the Close frame, so that the drain takes its time.
    assert_eq!(session.close().await.0, 1001);
    server.signal(Signal::TERM);
    let (code, _, log) = server.finish().await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("stopping at once"), "{log}");
}

#[tokio::test]
async fn whoever_does_not_end_in_time_is_cut_off() {
    let server =
        Server::with("[limits]\nclose_deadline = \"1h\"\ndrain_deadline = \"100ms\"").await;
    let mut session = server.connect().await;
    session.log_in().await;
    server.signal(Signal::INT);
    let (code, _, log) = server.finish().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(
        log.contains("INFO audit: stopped event=drain_ended cut_off=1"),
        "{log}"
    );
    assert_eq!(session.close().await.0, 1001);
}
