//! Messages as bodies of `POST` requests, valid and invalid.

use crate::{
    registry::ConnectionEntry,
    server::{
        handle::PublishError,
        tests::{
            harness::*,
            routes::{
                AS_ADMIN, AS_JANE, ROUTES, TWO, accounts, ask, config, post, server, session,
            },
        },
    },
    service::HistoryPolicy,
    session::{Outbox, OutboxPolicy, OverflowPolicy},
};

/// Asserts that the member's own message is the next one in the room.
async fn assert_nothing_published(member: &mut RawPeer<DuplexStream>) {
    member.send(frame::text("the end")).await;
    let received = member.text().await;
    assert!(received.contains(r#""text":"the end""#), "{received}");
}

/// Returns a request head with `Expect: 100-continue`, without its body.
fn announced(length: usize, fields: &str) -> String {
    format!(
        "POST /room/a HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: {length}\r\n\
         Expect: 100-continue\r\n\r\n"
    )
}

#[tokio::test(start_paused = true)]
async fn access_revoked_during_body_refuses_publish() {
    let without_jane = "[[user]]\nname = \"admin\"\npassword = \"123456\"";
    let for_admin = "path = \"/room/*\"\nusers = [\"admin\"]";
    let for_admin = ROUTES.replace("path = \"/room/*\"", for_admin);
    let elsewhere = ROUTES.replace("/room/*", "/other/*");
    for (routes, users) in [
        (ROUTES, without_jane),
        (for_admin.as_str(), TWO),
        (elsewhere.as_str(), TWO),
    ] {
        let server = server();
        let mut jane = server.connect();
        jane.send(announced(5, AS_JANE)).await;
        assert_eq!(jane.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
        server.0.reload(config(routes), accounts(users));
        jane.send("hello").await;
        let answer = jane.head().await;
        assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
        server.0.reload(config(ROUTES), accounts(TWO));
        let mut member = session(&server, "/room/a", AS_ADMIN).await;
        assert_nothing_published(&mut member).await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_100_continue_for_refused_request() {
    let server = server();
    for (length, fields, status) in [
        (5, "", "401 Unauthorized"),
        (5, "Authorization: Basic eDp5\r\n", "401 Unauthorized"),
        ((1 << 20) + 1, AS_JANE, "413 Payload Too Large"),
    ] {
        let mut peer = server.connect();
        peer.send(announced(length, fields)).await;
        let answer = peer.head().await;
        let expected = format!("HTTP/1.1 {status}\r\n");
        assert!(answer.starts_with(&expected), "{answer}");
    }
    let mut longest = server.connect();
    longest.send(announced(1 << 20, AS_JANE)).await;
    assert_eq!(longest.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
}

#[tokio::test(start_paused = true)]
async fn chunked_body_published_only_if_complete() {
    let server = server();
    let mut member = session(&server, "/room/a", AS_ADMIN).await;
    let head = format!(
        "POST /room/a HTTP/1.1\r\nHost: localhost\r\n{AS_JANE}Transfer-Encoding: chunked\r\n\r\n"
    );
    let mut incomplete = server.connect();
    incomplete.send(format!("{head}5\r\nhello\r\n")).await;
    incomplete.finish().await;
    incomplete.rest().await;
    let mut short = server.connect();
    short
        .send(post("/room/a", AS_JANE, "hello").replace(": 5", ": 6"))
        .await;
    short.finish().await;
    short.rest().await;
    let kibibyte = format!("400\r\n{}\r\n", "x".repeat(1024));
    let too_long = kibibyte.repeat(1025);
    let answer = ask(&server, &format!("{head}{too_long}")).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_nothing_published(&mut member).await;

    let answer = ask(&server, &format!("{head}3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    assert!(member.text().await.contains(r#""text":"hello""#));
}

#[tokio::test(start_paused = true)]
async fn slow_body_ends_at_deadline() {
    let server = server();
    let mut slow = server.connect();
    let start = Instant::now();
    slow.send(announced(5, AS_JANE)).await;
    assert_eq!(slow.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    slow.send("hell").await;
    assert_eq!(slow.rest().await, b"");
    assert_eq!(start.elapsed(), seconds(10));
}

#[tokio::test(start_paused = true)]
async fn connection_publishes_once() {
    let server = server();
    let mut member = session(&server, "/room/a", AS_ADMIN).await;
    assert_nothing_published(&mut member).await;
    let two = post("/room/a", AS_JANE, "one") + &post("/room/a", AS_JANE, "two");
    let answers = ask(&server, &two).await;
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
    assert!(member.text().await.contains(r#""text":"one""#));
    assert_nothing_published(&mut member).await;
}

#[tokio::test(start_paused = true)]
async fn failed_login_of_post_counts_in_budget() {
    let server = server();
    let wrong = post("/room/a", "Authorization: Basic eDp5\r\n", "x");
    for _ in 0..20 {
        assert!(ask(&server, &wrong).await.starts_with("HTTP/1.1 401 "));
    }
    let right = post("/room/a", AS_JANE, "x");
    for request in [wrong, right] {
        let answer = ask(&server, &request).await;
        assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn post_refused_with_basic_off() {
    let off = format!("[login]\nbasic = \"off\"\n{ROUTES}");
    let server = TestServer::of(config(&off), TWO);
    let answer = ask(&server, &post("/room/a", AS_JANE, "hello")).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let answer = ask(&server, &post("/room/a", AS_JANE, "")).await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert!(
        answer.to_lowercase().contains("allow: get, head\r\n"),
        "{answer}"
    );
}

#[tokio::test(start_paused = true)]
async fn full_server_refuses_post() {
    let mut config = config(ROUTES);
    config.limits.max_connections = NonZeroUsize::MIN;
    let server = TestServer::of(config, TWO);
    let _session = session(&server, "/", AS_ADMIN).await;
    let answer = ask(&server, &post("/room/a", AS_JANE, "hello")).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
}

/// Adds a member with a full queue to `/room/a`. Publishers wait for it, because its socket is not
/// blocked. Returns its entry, and the subscription to keep.
fn full_member(server: &TestServer) -> (Arc<ConnectionEntry>, impl Sized) {
    let entry = Arc::new(ConnectionEntry::default());
    let policy = OutboxPolicy {
        max_texts: NonZeroUsize::MIN,
        max_bytes: NonZeroUsize::MIN,
        overflow: OverflowPolicy::Evict,
    };
    let outbox = Outbox::new(Arc::clone(&entry), policy);
    let history = HistoryPolicy { texts: 0, bytes: 0 };
    let greeting = || Some("hello".to_owned().into());
    let path = "/room/a".into();
    let hub = &server.0.hub;
    let subscribed = hub.subscribe(&path, "slow".into(), outbox, history, greeting);
    (entry, subscribed)
}

#[tokio::test(start_paused = true)]
async fn busy_room_refuses_publish_after_a_second() {
    let server = server();
    let (entry, _subscribed) = full_member(&server);
    let start = Instant::now();
    let answer = ask(&server, &post("/room/a", AS_JANE, "hello")).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let lines = answer.to_lowercase();
    assert_retry_after(&lines);
    assert_eq!(start.elapsed(), seconds(1));
    let handle = server.handle();
    let publish = handle.publish("/room/a", "server:operator", "hello");
    assert_eq!(publish.await, Err(PublishError::Busy));
    assert_eq!(start.elapsed(), seconds(2));
    assert_eq!(entry.pushed().as_deref(), Some("hello"));
    assert_eq!(entry.pushed(), None);
    let answer = ask(&server, &post("/room/a", AS_JANE, "hello")).await;
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn access_revoked_during_wait_refuses_publish() {
    let server = server();
    let (entry, _subscribed) = full_member(&server);
    let mut jane = server.connect();
    jane.send(post("/room/a", AS_JANE, "revoked")).await;
    sleep(Duration::from_millis(500)).await;
    server.0.reload(config(ROUTES), accounts(ADMIN));
    assert_eq!(entry.pushed().as_deref(), Some("hello"));
    let answer = jane.head().await;
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
    assert_eq!(entry.pushed(), None);
}
