//! Actions of operators on sessions, and metrics.

use proto::username::UserName;

use crate::{
    access::Revocations,
    peer::ConnectionId,
    server::{PublishError, ServerHandle, tests::harness::*},
};

const JANE: &str = "[[user]]\nname = \"jane\"\npassword = \"123456\"\n";

fn server_with_two_users() -> TestServer {
    TestServer::of(Config::default(), &format!("{ADMIN}\n{JANE}"))
}

impl TestServer {
    pub(super) fn handle(&self) -> ServerHandle {
        ServerHandle::new(None, Arc::clone(&self.0))
    }

    /// Returns the id of the user's only session.
    fn id_of(&self, user: &str) -> ConnectionId {
        let sessions = self.handle().sessions().into_iter();
        let mut of_user = sessions.filter(|(_, entry)| {
            let principal = &entry.admitted().unwrap().grant.principal;
            principal.to_string() == user
        });
        let (id, _) = of_user.next().unwrap();
        assert!(of_user.next().is_none(), "{user} has two sessions");
        id
    }

    async fn logged_in(&self, line: &str) -> RawPeer<DuplexStream> {
        let mut peer = self.connect();
        peer.send(basic_handshake(line)).await;
        assert!(peer.head().await.starts_with("HTTP/1.1 101 "));
        peer
    }

    /// Returns the value of a metric, by its name and labels.
    pub(super) fn metric(&self, series: &str) -> u64 {
        let metrics = self.handle().metrics(0);
        let value = metrics
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        let value = value.unwrap_or_else(|| panic!("{series} is not in {metrics}"));
        value.parse().unwrap()
    }
}

impl TestServer {
    /// Revokes the logins of a user. Returns the number of ended sessions.
    fn revoke(&self, user: &str) -> Option<usize> {
        self.handle().revoke(&name(user), "uid:1000", [7; 16])
    }
}

fn name(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

async fn assert_echo(peer: &mut RawPeer<DuplexStream>) {
    peer.send(frame::text("hello")).await;
    assert_eq!(peer.text().await, "your submit context: hello");
}

#[tokio::test(start_paused = true)]
async fn kick_ends_connection_and_allows_new_login() {
    let server = server_with_two_users();
    let mut jane = server.logged_in("jane:123456").await;
    let mut admin = server.session().await;
    let id = server.id_of("jane");
    let kicked = server.handle().kick(id).expect("the connection is open");
    let user = kicked.admitted().unwrap().grant.principal.to_string();
    assert_eq!(user, "jane");
    assert!(
        server.handle().kick(id).is_none(),
        "the connection is ending already"
    );
    let expected = (1008, "disconnected by an operator".to_owned());
    assert_eq!(jane.close().await, expected);
    assert_echo(&mut admin).await;
    assert_echo(&mut server.logged_in("jane:123456").await).await;
    assert!(server.handle().kick(ConnectionId::from(99)).is_none());
    let closed = "ws_server_closes_total{code=\"1008\",side=\"server\"}";
    assert_eq!(server.metric(closed), 1);
}

#[tokio::test(start_paused = true)]
async fn unauthenticated_connection_can_be_kicked() {
    let server = TestServer::new();
    let mut peer = server.connect();
    peer.upgrade().await;
    assert!(server.handle().sessions().is_empty());
    assert!(server.handle().kick(ConnectionId::from(1)).is_some());
    assert_eq!(peer.close().await.0, 1008);
}

#[tokio::test(start_paused = true)]
async fn revoked_user_refused_until_credential_changes() {
    let server = server_with_two_users();
    let mut jane = server.logged_in("jane:123456").await;
    let mut again = server.logged_in("jane:123456").await;
    let mut admin = server.session().await;
    assert_eq!(server.revoke("joe"), None);
    assert_eq!(server.revoke("jane"), Some(2));
    assert_eq!(server.revoke("jane"), Some(0));
    for peer in [&mut jane, &mut again] {
        let expected = (3000, "login revoked: by an operator".to_owned());
        assert_eq!(peer.close().await, expected);
    }
    assert_echo(&mut admin).await;

    let refused = async || {
        let mut by_basic = server.connect();
        by_basic.send(basic_handshake("jane:123456")).await;
        assert!(by_basic.head().await.starts_with("HTTP/1.1 401 "));
        let mut by_message = server.connect();
        by_message.upgrade().await;
        by_message.send(frame::text("jane:123456")).await;
        assert_eq!(by_message.text().await, SORRY);
    };
    refused().await;
    let other_users = "[[user]]\nname = \"bob\"\npassword = \"x\"\n";
    for accounts in [
        // The same accounts in another order.
        format!("{JANE}# and\n{ADMIN}"),
        // A change of another account.
        format!("{JANE}{other_users}"),
        format!("{ADMIN}\n{JANE}expires = 2999-01-01T00:00:00Z"),
    ] {
        server.reload(&accounts);
        refused().await;
    }
    // The account was missing for a while, as it is while a file is written in two parts.
    server.reload(ADMIN);
    server.reload(&format!("{ADMIN}\n{JANE}"));
    refused().await;
    server.reload(&format!("{ADMIN}\n{}", JANE.replace("123456", "654321")));
    assert!(!server.handle().allow(&name("jane")), "it has lapsed");
    assert_echo(&mut server.logged_in("jane:654321").await).await;
    // A revocation that has lapsed does not come back with the old password.
    server.reload(&format!("{ADMIN}\n{JANE}"));
    assert_echo(&mut server.logged_in("jane:123456").await).await;

    for (series, value) in [
        ("ws_server_revocations_total{cause=\"operator\"}", 2),
        (
            "ws_server_logins_total{method=\"basic\",result=\"revoked\"}",
            5,
        ),
        (
            "ws_server_logins_total{method=\"message\",result=\"revoked\"}",
            5,
        ),
        ("ws_server_logins_total{method=\"basic\",result=\"ok\"}", 4),
        (
            "ws_server_logins_total{method=\"message\",result=\"ok\"}",
            1,
        ),
    ] {
        assert_eq!(server.metric(series), value, "{series}");
    }
}

#[tokio::test(start_paused = true)]
async fn allowed_user_logs_in_again() {
    let server = server_with_two_users();
    server.revoke("jane");
    server.revoke("admin");
    let revocations = server.handle().revocations();
    let users: Vec<_> = revocations.iter().map(|(user, _)| user.as_str()).collect();
    assert_eq!(users, ["admin", "jane"]);
    assert!(server.handle().allow(&name("jane")));
    assert!(!server.handle().allow(&name("jane")));
    assert_echo(&mut server.logged_in("jane:123456").await).await;
    let mut admin = server.connect();
    admin.send(basic_handshake("admin:123456")).await;
    assert!(admin.head().await.starts_with("HTTP/1.1 401 "));
}

#[tokio::test(start_paused = true)]
async fn restored_revocation_of_other_password_lapses() {
    let server = server_with_two_users();
    server.revoke("jane");
    let revocations = Revocations::clone(&server.handle().revocations());
    for (password, status) in [("123456", 401), ("654321", 101)] {
        let accounts = format!("{ADMIN}\n{}", JANE.replace("123456", password));
        let restarted = TestServer::of(Config::default(), &accounts);
        restarted.handle().restore(revocations.clone());
        let mut jane = restarted.connect();
        jane.send(basic_handshake(&format!("jane:{password}")))
            .await;
        let head = jane.head().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
}

/// The pipe holds one byte, so the server waits between the verification and the admission.
#[tokio::test(start_paused = true)]
async fn revoke_before_congratulation_prevents_session() {
    let server = TestServer::new();
    let mut peer = server.connect_through(1);
    peer.upgrade().await;
    peer.send(frame::text(CREDENTIALS)).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(server.revoke("admin"), Some(0));
    assert_eq!(peer.text().await, CONGRATULATION);
    assert_eq!(peer.close().await.0, 3000);
    assert_eq!(server.metric("ws_server_connections{state=\"user\"}"), 0);
}

#[tokio::test(start_paused = true)]
async fn publish_accepted_only_by_rooms() {
    let route = "[[route]]\npath = \"/\"\nservice = \"echo\"\n[[route]]\npath = \"/room/*\"\n\
                 service = \"room\"\nmax_message_bytes = \"1KiB\"";
    let config = Config::parse(route, std::path::Path::new("")).unwrap();
    let server = TestServer::with(config);
    let mut member = server.connect();
    let request = basic_handshake("admin:123456").replace("GET / ", "GET /room/lobby ");
    member.send(request).await;
    assert!(member.head().await.starts_with("HTTP/1.1 101 "));
    // The reply shows that the member has joined.
    member.send(frame::text("here")).await;
    member.text().await;
    let handle = server.handle();
    let publish =
        async |path: &str, text: &str| handle.publish(path, "server:operator", text).await;
    assert_eq!(publish("/room/lobby", "soon").await, Ok(()));
    let received = member.text().await;
    assert!(
        received.starts_with(r#"{"from":"server:operator","text":"soon","at":""#),
        "{received}"
    );
    assert_eq!(publish("/room/lobby", &"x".repeat(1024)).await, Ok(()));
    let refused = Err(PublishError::Length { most: 1024 });
    assert_eq!(publish("/room/lobby", &"x".repeat(1025)).await, refused);
    assert_eq!(publish("/room/lobby", "").await, refused);
    for path in [
        "/",
        "/nowhere",
        "room/lobby",
        // A request cannot have such a path, so the room cannot have members.
        "/room/lobby?why",
        "/room/lobby#why",
        "/room/lobby\n",
        "/room/../room/lobby",
    ] {
        assert_eq!(
            publish(path, "soon").await,
            Err(PublishError::NoRoom),
            "{path}"
        );
    }
    for (series, value) in [
        ("ws_server_rooms", 1),
        ("ws_server_room_members", 1),
        ("ws_server_messages_total{direction=\"in\"}", 1),
    ] {
        assert_eq!(server.metric(series), value, "{series}");
    }
}

#[tokio::test(start_paused = true)]
async fn purge_accepted_only_for_rooms() {
    let route = "[[route]]\npath = \"/\"\nservice = \"echo\"\n[[route]]\npath = \"/room/*\"\n\
                 service = \"room\"";
    let config = Config::parse(route, std::path::Path::new("")).unwrap();
    let server = TestServer::with(config);
    let handle = server.handle();
    for text in ["one", "two"] {
        handle.publish("/room/café", "jane", text).await.unwrap();
    }
    for (path, dropped) in [
        ("/room/quiet", Some(0)),
        // Another spelling of the same path.
        ("/room/caf%c3%a9", Some(2)),
        ("/room/caf%C3%A9", Some(0)),
        ("/", None),
        ("/nowhere", None),
        ("room/lobby", None),
    ] {
        assert_eq!(handle.purge(path), dropped, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_count_connections_by_state_and_end() {
    let server = TestServer::new();
    let mut waiting = server.connect();
    waiting.upgrade().await;
    let mut session = server.session().await;
    assert_echo(&mut session).await;
    for (state, number) in [("unauthenticated", 1), ("user", 1), ("guest", 0)] {
        let series = format!("ws_server_connections{{state=\"{state}\"}}");
        assert_eq!(server.metric(&series), number, "{state}");
    }
    session.send(frame::close(4242, "mine")).await;
    session.close().await;
    // No peer may send this code: the server closes with 1002 of its own.
    let mut invalid = server.session().await;
    invalid.send(frame::close(1005, "")).await;
    assert_eq!(invalid.close().await.0, 1002);
    invalid.end().await;
    let mut refused = server.connect();
    refused
        .send("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    refused.head().await;
    let mut broken = server.connect();
    broken.send("nonsense\r\n\r\n").await;
    broken.head().await;
    drop(server.connect());
    drop((waiting, refused, broken, session));
    while !server.0.tasks.is_empty() {
        sleep(Duration::from_millis(1)).await;
    }
    for (series, value) in [
        ("ws_server_handshakes_total{status=\"101\"}", 3),
        ("ws_server_handshakes_total{status=\"404\"}", 1),
        ("ws_server_handshakes_total{status=\"400\"}", 1),
        ("ws_server_handshakes_total{status=\"none\"}", 1),
        // One of thousands of codes that a client can choose.
        ("ws_server_closes_total{code=\"other\",side=\"client\"}", 1),
        ("ws_server_closes_total{code=\"1002\",side=\"server\"}", 1),
        ("ws_server_closes_total{code=\"none\",side=\"none\"}", 1),
        ("ws_server_messages_total{direction=\"in\"}", 1),
        ("ws_server_message_bytes_total{direction=\"out\"}", 26),
        ("ws_server_connections{state=\"user\"}", 0),
        ("ws_server_connections{state=\"unauthenticated\"}", 0),
    ] {
        assert_eq!(server.metric(series), value, "{series}");
    }
}

#[tokio::test(start_paused = true)]
async fn response_counted_before_connection_ends() {
    let server = TestServer::new();
    let mut refused = server.connect();
    refused
        .send("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    refused.rest().await;
    assert_eq!(
        server.metric("ws_server_handshakes_total{status=\"404\"}"),
        1
    );
}
