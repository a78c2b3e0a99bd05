//! What a reload changes for whoever comes next, and leaves to whoever is there.

use crate::server::tests::{harness::*, routes};

fn reload(server: &TestServer, config: Config) {
    let accounts = Accounts::from_toml(ADMIN).unwrap();
    assert_eq!(server.0.reload(config, accounts), 0);
}

#[tokio::test(start_paused = true)]
async fn sessions_keep_their_service_and_new_ones_have_the_new_one() {
    let server = TestServer::new();
    let mut before = server.session().await;
    reload(&server, routes::config("[echo]\nprefix = \"> \""));
    let mut after = server.session().await;
    for (peer, answer) in [
        (&mut before, "your submit context: hello"),
        (&mut after, "> hello"),
    ] {
        peer.send(frame::text("hello")).await;
        assert_eq!(peer.text().await, answer);
    }
}

#[tokio::test(start_paused = true)]
async fn new_caps_turn_nobody_out_and_hold_for_whoever_comes_next() {
    let server = TestServer::new();
    let mut before = server.session().await;
    let mut config = Config::default();
    config.limits.caps.connections = 1;
    reload(&server, config);
    let mut after = server.connect();
    after.send(HANDSHAKE).await;
    assert!(after.head().await.starts_with("HTTP/1.1 503 "));
    before.send(frame::text("hello")).await;
    assert_eq!(before.text().await, "your submit context: hello");
}
