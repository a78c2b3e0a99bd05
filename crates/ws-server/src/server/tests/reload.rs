//! The effect of a reload on open and on new connections.

use crate::server::tests::{harness::*, routes};

fn reload(server: &TestServer, config: Config) {
    let accounts = Accounts::from_toml(ADMIN).unwrap();
    assert_eq!(server.0.reload(config, accounts), 0);
}

#[tokio::test(start_paused = true)]
async fn open_sessions_keep_service_after_reload() {
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
async fn new_caps_apply_to_new_connections_only() {
    let server = TestServer::new();
    let mut before = server.session().await;
    let mut config = Config::default();
    config.limits.max_connections = NonZeroUsize::MIN;
    reload(&server, config);
    let mut after = server.connect();
    after.send(HANDSHAKE).await;
    assert!(after.head().await.starts_with("HTTP/1.1 503 "));
    before.send(frame::text("hello")).await;
    assert_eq!(before.text().await, "your submit context: hello");
}
