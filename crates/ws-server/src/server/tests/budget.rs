//! The failure budget of an address, over all its connections and both login methods.

use futures::FutureExt as _;
use proto::login::Attempt;

use crate::{
    access::{LoginContext, LoginMethod},
    route::Routes,
    server::tests::{harness::*, hashing},
};

/// The address of the harness's clients.
const ADDRESS: [u8; 4] = [192, 0, 2, 1];

const OTHER_ADDRESS: [u8; 4] = [192, 0, 2, 2];

fn config(max_failures: usize) -> Config {
    let mut config = Config::default();
    config.login.max_failures_per_address = NonZeroUsize::new(max_failures);
    // No failure drains during a test: the budget uses real time.
    config.login.failure_decay = seconds(1000);
    config
}

async fn fails_by_message(peer: &mut RawPeer<DuplexStream>, line: &str) {
    peer.send(frame::text(line)).await;
    assert_eq!(peer.text().await, SORRY);
}

async fn status(peer: &mut RawPeer<DuplexStream>, request: &str) -> String {
    peer.send(request).await;
    peer.head().await[9..12].to_owned()
}

#[tokio::test(start_paused = true)]
async fn budget_shared_by_connections_and_methods() {
    let server = TestServer::with(config(3));
    let mut open = server.connect();
    open.upgrade().await;
    fails_by_message(&mut open, "admin:1").await;
    fails_by_message(&mut open, "no credentials").await;
    let mut basic = server.connect();
    assert_eq!(status(&mut basic, &basic_handshake("admin:2")).await, "401");

    // Exhausted: right credentials are refused, too.
    fails_by_message(&mut open, CREDENTIALS).await;
    let expected = (1013, "too many wrong logins from this address".to_owned());
    assert_eq!(open.close().await, expected);
    for request in [HANDSHAKE.to_owned(), basic_handshake(CREDENTIALS)] {
        let mut peer = server.connect();
        peer.send(request).await;
        let head = peer.head().await;
        assert!(head.starts_with("HTTP/1.1 429 "), "{head}");
        assert!(head.contains("Retry-After: 1000\r\n"), "{head}");
    }
    // Only one of these three refusals was a login attempt.
    for (series, value) in [
        ("ws_server_budget_refusals_total", 3),
        (
            "ws_server_logins_total{method=\"message\",result=\"budget_spent\"}",
            1,
        ),
        (
            "ws_server_logins_total{method=\"basic\",result=\"budget_spent\"}",
            0,
        ),
    ] {
        assert_eq!(server.metric(series), value, "{series}");
    }
    server.connect_from(OTHER_ADDRESS).log_in().await;
}

#[tokio::test(start_paused = true)]
async fn malformed_authorization_counts_as_failure() {
    let server = TestServer::with(config(1));
    let request = handshake_with("Authorization: Bearer x");
    assert_eq!(status(&mut server.connect(), &request).await, "401");
    assert_eq!(status(&mut server.connect(), HANDSHAKE).await, "429");
}

#[tokio::test(start_paused = true)]
async fn successful_login_leaves_budget_unchanged() {
    let server = TestServer::with(config(2));
    let wrong = basic_handshake("admin:1");
    for _ in 0..3 {
        server.session().await;
    }
    assert_eq!(status(&mut server.connect(), &wrong).await, "401");
    server.session().await;
    assert_eq!(status(&mut server.connect(), &wrong).await, "401");
    assert_eq!(status(&mut server.connect(), HANDSHAKE).await, "429");
}

#[tokio::test(start_paused = true)]
async fn queued_login_refused_once_budget_exhausted() {
    let mut config = config(1);
    config.login.hash_workers = Some(NonZeroUsize::MIN);
    let server = TestServer::of(config, hashing::HASHED);
    let busy = server.0.verifier.acquire_worker().await;
    let mut wrong = server.connect();
    wrong.upgrade().await;
    let mut open = server.connect();
    open.upgrade().await;
    wrong.send(frame::text("admin:1")).await;
    sleep(Duration::from_millis(1)).await;
    open.send(frame::text(CREDENTIALS)).await;
    let mut basic = server.connect();
    basic.send(basic_handshake(CREDENTIALS)).await;
    sleep(Duration::from_millis(1)).await;
    drop(busy);
    assert_eq!(wrong.text().await, SORRY);
    assert_eq!(open.text().await, SORRY);
    assert_eq!(open.close().await.0, 1013);
    assert!(basic.head().await.starts_with("HTTP/1.1 429 "));
}

#[tokio::test]
async fn cancelled_hashing_counts_as_failure() {
    let server = TestServer::of(config(1), hashing::HASHED);
    let verifier = &server.0.verifier;
    let wrong = Attempt::Credentials(Credentials::parse("admin:1").unwrap());
    let context = LoginContext {
        address: ADDRESS.into(),
        connection: server.0.registry.next_id(),
        method: LoginMethod::Message,
    };
    let routes = Routes::echo("");
    let route = routes.find("/").unwrap();
    let cancelled = verifier.verify(wrong, context, Some(route)).now_or_never();
    assert!(cancelled.is_none(), "the hash is in progress");
    let counted = async {
        while verifier.check_budget(ADDRESS.into()).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(seconds(30), counted)
        .await
        .expect("the failure is counted");
}

#[tokio::test(start_paused = true)]
async fn reload_changes_policy_and_keeps_failures() {
    let server = TestServer::with(config(1));
    let wrong = basic_handshake("admin:1");
    assert_eq!(status(&mut server.connect(), &wrong).await, "401");
    assert_eq!(status(&mut server.connect(), &wrong).await, "429");
    let reload = |config| server.0.reload(config, Accounts::from_toml(ADMIN).unwrap());
    reload(config(2));
    assert_eq!(status(&mut server.connect(), &wrong).await, "401");
    assert_eq!(status(&mut server.connect(), &wrong).await, "429");
    let mut unlimited = Config::default();
    unlimited.login.max_failures_per_address = None;
    reload(unlimited);
    assert_eq!(status(&mut server.connect(), &wrong).await, "401");
    server.session().await;
}

#[tokio::test(start_paused = true)]
async fn budget_counts_for_forwarded_address() {
    let mut config = config(1);
    config.trusted_proxies.0 = vec!["192.0.2.1".parse().unwrap()];
    config.limits.max_unauthenticated_per_address = Some(NonZeroUsize::MIN);
    let server = TestServer::with(config);
    let one = handshake_with("X-Forwarded-For: 198.51.100.1");
    let other = handshake_with("X-Forwarded-For: 198.51.100.2");

    // Login by message.
    let mut peer = server.connect_from(ADDRESS);
    assert_eq!(status(&mut peer, &one).await, "101");
    assert_eq!(status(&mut server.connect_from(ADDRESS), &one).await, "503");
    let mut held = server.connect_from(ADDRESS);
    assert_eq!(status(&mut held, &other).await, "101");
    fails_by_message(&mut peer, "admin:1").await;
    drop(peer);
    sleep(seconds(6)).await;
    assert_eq!(status(&mut server.connect_from(ADDRESS), &one).await, "429");

    // Login by Basic credentials.
    let basic = |line, address: &str| {
        let field = format!("\r\nX-Forwarded-For: {address}\r\n\r\n");
        basic_handshake(line).replace("\r\n\r\n", &field)
    };
    for (line, address, answer) in [
        ("admin:1", "198.51.100.3", "401"),
        (CREDENTIALS, "198.51.100.4", "101"),
        (CREDENTIALS, "198.51.100.3", "429"),
    ] {
        sleep(seconds(6)).await;
        let mut peer = server.connect_from(ADDRESS);
        assert_eq!(status(&mut peer, &basic(line, address)).await, answer);
    }

    // Another peer is not a trusted proxy.
    assert_eq!(
        status(&mut server.connect_from(OTHER_ADDRESS), &one).await,
        "101"
    );
}
