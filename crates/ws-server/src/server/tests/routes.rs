//! Routes: services, access, limits and revocation.

use std::path::Path;

use crate::{
    server::tests::harness::*,
    service::{HistoryPolicy, Unrestricted},
};

pub(super) const TWO: &str = "[[user]]\nname = \"admin\"\npassword = \"123456\"\n\
                   [[user]]\nname = \"jane\"\npassword = \"x\"";

/// Basic credentials of `admin:123456` and `jane:x`.
pub(super) const AS_ADMIN: &str = "Authorization: Basic YWRtaW46MTIzNDU2\r\n";
pub(super) const AS_JANE: &str = "Authorization: Basic amFuZTp4\r\n";

pub(super) const ROUTES: &str = "[[route]]\npath = \"/\"\nservice = \"echo\"\nprefix = \">\"\n\
                      [[route]]\npath = \"/room/*\"\nservice = \"room\"\n\
                      [[route]]\npath = \"/only\"\nservice = \"echo\"\nusers = [\"jane\"]\n\
                      [[route]]\npath = \"/public\"\nservice = \"room\"\npublic = true\n\
                      [[route]]\npath = \"/small\"\nservice = \"echo\"\n\
                      max_message_bytes = \"1KiB\"\nsubprotocols = [\"v1\"]\n\
                      allowed_origins = [\"https://page.example.org\"]\n";

pub(super) fn config(source: &str) -> Config {
    Config::parse(source, Path::new("config")).unwrap()
}

pub(super) fn accounts(source: &str) -> Accounts {
    Accounts::from_toml(source).unwrap()
}

pub(super) fn server() -> TestServer {
    TestServer(Arc::new(ServerState::new(config(ROUTES), accounts(TWO))))
}

/// Requests an upgrade at a path, with additional fields. Returns the status line.
async fn upgrade(peer: &mut RawPeer<DuplexStream>, path: &str, fields: &str) -> String {
    let request = HANDSHAKE
        .replace("GET / ", &format!("GET {path} "))
        .replace("\r\n\r\n", &format!("\r\n{fields}\r\n"));
    peer.send(request).await;
    peer.head().await.lines().next().unwrap().to_owned()
}

/// Connects to a path with additional fields, and expects the upgrade.
pub(super) async fn session(
    server: &TestServer,
    path: &str,
    fields: &str,
) -> RawPeer<DuplexStream> {
    let mut peer = server.connect();
    let status = upgrade(&mut peer, path, fields).await;
    assert_eq!(status, "HTTP/1.1 101 Switching Protocols");
    peer
}

#[tokio::test(start_paused = true)]
async fn path_selects_service() {
    let server = server();
    let mut echo = session(&server, "/", AS_ADMIN).await;
    echo.send(frame::text("hello")).await;
    assert_eq!(echo.text().await, ">hello");
    let mut admin = session(&server, "/room/a", AS_ADMIN).await;
    let mut jane = session(&server, "/room/a", AS_JANE).await;
    let mut elsewhere = session(&server, "/room/b", AS_JANE).await;
    // A member gets each message once, live or from the history.
    admin.send(frame::text("one")).await;
    jane.send(frame::text("two")).await;
    for member in [&mut admin, &mut jane] {
        for _ in 0..2 {
            let received = member.text().await;
            let (name, text) = if received.contains("one") {
                ("admin", "one")
            } else {
                ("jane", "two")
            };
            let start = format!(r#"{{"from":"{name}","text":"{text}","at":""#);
            assert!(received.starts_with(&start), "{received}");
        }
    }
    elsewhere.send(frame::text("alone")).await;
    assert!(elsewhere.text().await.contains(r#""text":"alone""#));
    let mut nowhere = server.connect();
    let status = upgrade(&mut nowhere, "/room/", AS_ADMIN).await;
    assert_eq!(status, "HTTP/1.1 404 Not Found");
}

#[tokio::test(start_paused = true)]
async fn user_without_access_refused_by_both_methods() {
    let server = server();
    let mut basic = server.connect();
    let status = upgrade(&mut basic, "/only", AS_ADMIN).await;
    assert_eq!(status, "HTTP/1.1 403 Forbidden");
    session(&server, "/only", AS_JANE).await;

    let mut messages = session(&server, "/only", "").await;
    messages.send(frame::text("admin:123456")).await;
    let forbidden = (3003, "this user has no access to this route".to_owned());
    assert_eq!(messages.close().await, forbidden);
    let mut messages = session(&server, "/only", "").await;
    messages.send(frame::text("jane:x")).await;
    assert_eq!(messages.text().await, CONGRATULATION);
}

/// Former fault: other spellings of a room were other rooms, and a message to them reached no member.
#[tokio::test(start_paused = true)]
async fn spellings_of_one_room_share_it() {
    let server = server();
    let mut member = session(&server, "/room/caf%C3%A9", AS_ADMIN).await;
    // The reply shows that the member has joined.
    member.send(frame::text("here")).await;
    member.text().await;
    for path in ["/room/caf%c3%a9", "/room/caf\u{e9}", "/%72oom/%63af%C3%A9"] {
        let answer = ask(&server, &post(path, AS_JANE, "hello")).await;
        assert!(answer.starts_with("HTTP/1.1 204 "), "{path}: {answer}");
        let received = member.text().await;
        assert!(received.contains(r#""text":"hello""#), "{path}: {received}");
        let handle = server.handle();
        let published = handle.publish(path, "server:operator", "soon").await;
        assert_eq!(published, Ok(()), "{path}");
        assert!(member.text().await.contains(r#""text":"soon""#), "{path}");
        let mut other = session(&server, path, AS_JANE).await;
        other.send(frame::text("from another spelling")).await;
        let received = member.text().await;
        assert!(received.contains("from another spelling"), "{path}");
    }
    assert_eq!(server.metric("ws_server_rooms"), 1);
    // Latin-1.
    let mut request = b"GET /room/caf\xe9 ".to_vec();
    request.extend_from_slice(&HANDSHAKE.as_bytes()["GET / ".len()..]);
    let mut peer = server.connect();
    peer.send(request).await;
    assert!(peer.head().await.starts_with("HTTP/1.1 400 "));
}

/// Each spelling of the path is refused, or the path and its rights apply.
#[tokio::test(start_paused = true)]
async fn path_spelling_cannot_bypass_access() {
    let server = server();
    for (target, status) in [
        ("/only?public", "403 Forbidden"),
        ("http://localhost/only", "403 Forbidden"),
        ("HTTP://LOCALHOST/only?/public", "403 Forbidden"),
        ("/only/", "404 Not Found"),
        ("/ONLY", "404 Not Found"),
        ("/%6Fnly", "403 Forbidden"),
        ("//only", "400 Bad Request"),
        ("/public/../only", "400 Bad Request"),
        ("/./only", "400 Bad Request"),
        ("/room/../only", "400 Bad Request"),
        ("/only%00", "400 Bad Request"),
        ("/public%2F..%2fonly", "400 Bad Request"),
        ("http://localhost//only", "400 Bad Request"),
        ("http://elsewhere/only", "400 Bad Request"),
        ("only", "400 Bad Request"),
        ("*", "400 Bad Request"),
    ] {
        let mut admin = server.connect();
        let answer = upgrade(&mut admin, target, AS_ADMIN).await;
        assert_eq!(answer, format!("HTTP/1.1 {status}"), "{target}");
        let answer = ask(&server, &post(target, AS_ADMIN, "x")).await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{target}: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn public_route_admits_guests() {
    let server = server();
    let mut guest = session(&server, "/public", "").await;
    guest.send(frame::text("hello")).await;
    let received = guest.text().await;
    assert!(
        received.starts_with(r#"{"from":"guest:1","text":"hello""#),
        "{received}"
    );
    let mut jane = session(&server, "/public", AS_JANE).await;
    jane.send(frame::text("hello")).await;
    assert!(jane.text().await.contains(r#""from":"guest:1""#));
    assert!(jane.text().await.contains(r#""from":"jane""#));
    let mut wrong = server.connect();
    let status = upgrade(&mut wrong, "/public", "Authorization: Basic eDp5\r\n").await;
    assert_eq!(status, "HTTP/1.1 401 Unauthorized");
}

#[tokio::test(start_paused = true)]
async fn public_route_ignores_required_basic() {
    let required = format!("[login]\nbasic = \"required\"\n{ROUTES}");
    let server = TestServer::of(config(&required), TWO);
    session(&server, "/public", "").await;
    let mut other = server.connect();
    let status = upgrade(&mut other, "/room/a", "").await;
    assert_eq!(status, "HTTP/1.1 401 Unauthorized");
}

#[tokio::test(start_paused = true)]
async fn route_overrides_subprotocols() {
    let config = config(&format!("subprotocols = [\"v0\"]\n{ROUTES}"));
    let server = TestServer::of(config, TWO);
    for (path, chosen) in [("/small", "v1"), ("/", "v0")] {
        let mut peer = server.connect();
        let offer = "Sec-WebSocket-Protocol: v0, v1";
        peer.send(handshake_with(offer).replace("GET / ", &format!("GET {path} ")))
            .await;
        let head = peer.head().await.to_lowercase();
        let field = format!("\r\nsec-websocket-protocol: {chosen}\r\n");
        assert!(head.contains(&field), "{path}: {head}");
    }
}

/// Otherwise guests from one address could use all slots.
#[tokio::test(start_paused = true)]
async fn guest_counts_for_its_address_until_end() {
    let mut config = config(ROUTES);
    config.limits.max_unauthenticated = NonZeroUsize::new(2).map(Count);
    config.limits.max_unauthenticated_per_address = NonZeroUsize::new(2);
    let server = TestServer::of(config, TWO);
    let _first = session(&server, "/public", "").await;
    let mut second = session(&server, "/public", "").await;
    let mut third = server.connect();
    let full = "HTTP/1.1 503 Service Unavailable";
    assert_eq!(upgrade(&mut third, "/public", "").await, full);
    let mut user = server.connect();
    assert_eq!(upgrade(&mut user, "/", AS_JANE).await, full);
    // Guests use no slot of users from other addresses.
    let mut user = server.connect_from([192, 0, 2, 2]);
    let status = upgrade(&mut user, "/", AS_JANE).await;
    assert_eq!(status, "HTTP/1.1 101 Switching Protocols");

    second.send(frame::close(1000, "")).await;
    second.close().await;
    second.end().await;
    session(&server, "/public", "").await;
}

#[tokio::test(start_paused = true)]
async fn route_overrides_message_limit_and_origins() {
    let server = server();
    let mut small = session(&server, "/small", AS_ADMIN).await;
    small.send(frame::text(&"x".repeat(1025))).await;
    assert_eq!(small.close().await.0, 1009);
    let mut large = session(&server, "/", AS_ADMIN).await;
    large.send(frame::text(&"x".repeat(1025))).await;
    assert_eq!(large.text().await.len(), 1026);
    for (path, status) in [
        ("/small", "HTTP/1.1 101 Switching Protocols"),
        ("/", "HTTP/1.1 403 Forbidden"),
    ] {
        let mut page = server.connect();
        let origin = "Origin: https://page.example.org\r\n";
        assert_eq!(upgrade(&mut page, path, origin).await, status, "{path}");
    }
}

/// Sends a request and reads the whole response.
pub(super) async fn ask(server: &TestServer, request: &str) -> String {
    let mut peer = server.connect();
    peer.send(request).await;
    String::from_utf8(peer.rest().await).unwrap()
}

pub(super) fn post(path: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test(start_paused = true)]
async fn post_publishes_in_room_with_access() {
    let server = server();
    let mut member = session(&server, "/room/a", AS_ADMIN).await;
    member.send(frame::text("I am here")).await;
    member.text().await;
    let answer = ask(&server, &post("/room/a", AS_JANE, "deployed")).await;
    assert!(
        answer.starts_with("HTTP/1.1 204 No Content\r\n"),
        "{answer}"
    );
    assert!(
        answer.to_lowercase().contains("connection: close\r\n"),
        "{answer}"
    );
    let received = member.text().await;
    assert!(
        received.starts_with(r#"{"from":"jane","text":"deployed","at":""#),
        "{received}"
    );

    let too_long = "x".repeat((1 << 20) + 1);
    let evil = format!("{AS_JANE}Origin: https://evil.example.org\r\n");
    for (request, status) in [
        (post("/room/a", "", "x"), "401 Unauthorized"),
        (post("/public", "", "x"), "401 Unauthorized"),
        (
            post("/room/a", "Authorization: Basic eDp5\r\n", "x"),
            "401 Unauthorized",
        ),
        (post("/room/a", AS_JANE, ""), "400 Bad Request"),
        (post("/room/a", AS_JANE, &too_long), "413 Payload Too Large"),
        (post("/room/a", &evil, "x"), "403 Forbidden"),
        (post("/", AS_JANE, "x"), "400 Bad Request"),
        (post("/", AS_JANE, ""), "405 Method Not Allowed"),
        (
            HANDSHAKE.replace("GET / ", "PUT /room/a "),
            "405 Method Not Allowed",
        ),
    ] {
        let answer = ask(&server, &request).await;
        let expected = format!("HTTP/1.1 {status}\r\n");
        let head = &request[..request.len().min(200)];
        assert!(answer.starts_with(&expected), "{head}: {answer}");
    }
    // None of these was published.
    member.send(frame::text("the end")).await;
    assert!(member.text().await.contains(r#""text":"the end""#));
}

#[tokio::test(start_paused = true)]
async fn own_messages_delivered_before_close() {
    let server = server();
    let mut peer = session(&server, "/room/a", AS_ADMIN).await;
    let mut all = frame::text("hello").repeat(100);
    all.extend(frame::close(1000, "user exit"));
    peer.send(all).await;
    for _ in 0..100 {
        assert!(peer.text().await.contains(r#""text":"hello""#));
    }
    assert_eq!(peer.close().await, (1000, "user exit".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn pushes_do_not_starve_peer_messages() {
    let room = "[[route]]\npath = \"/\"\nservice = \"room\"\nmax_queued = 1000\n";
    let server = TestServer::with(config(room));
    let mut peer = session(&server, "/", AS_ADMIN).await;
    peer.send(frame::ping(b"idle")).await;
    assert_eq!(peer.frame().await.first, 0x8A);
    peer.send(frame::ping(b"ping")).await;
    let history = HistoryPolicy { texts: 0, bytes: 0 };
    for _ in 0..1000 {
        server
            .0
            .hub
            .publish(
                &"/".into(),
                "jane",
                &"x".to_owned().into(),
                history,
                Unrestricted,
            )
            .await;
    }
    let mut pushed = 0;
    while peer.frame().await.first != 0x8A {
        pushed += 1;
    }
    assert!(pushed <= 256, "{pushed} texts before the Pong");
}

#[tokio::test(start_paused = true)]
async fn lost_access_ends_only_affected_sessions() {
    let server = server();
    let mut jane = session(&server, "/only", AS_JANE).await;
    let mut removed = session(&server, "/small", AS_JANE).await;
    let mut guest = session(&server, "/public", "").await;
    let mut stays = session(&server, "/room/a", AS_JANE).await;
    stays.send(frame::text("before")).await;
    stays.text().await;
    let next = ROUTES
        .replace("users = [\"jane\"]", "users = [\"admin\"]")
        .replace("/small", "/other")
        .replace("public = true", "public = false");
    assert_eq!(server.0.reload(config(&next), accounts(TWO)), 3);
    let revoked = (3003, "access to this route was revoked".to_owned());
    for peer in [&mut jane, &mut removed, &mut guest] {
        assert_eq!(peer.close().await, revoked);
    }
    // A room continues after a reload.
    let mut late = session(&server, "/room/a", AS_ADMIN).await;
    assert!(late.text().await.contains(r#""text":"before""#));
    late.send(frame::text("after")).await;
    assert!(stays.text().await.contains(r#""text":"after""#));
    session(&server, "/only", AS_ADMIN).await;
    session(&server, "/other", AS_ADMIN).await;
}
