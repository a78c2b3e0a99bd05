//! Who is behind a proxy: whose word is taken for it, and what follows from it.

use integration_tests::{
    ACCOUNTS, Answer, CONFIGURATION, Files, SORRY, Server, Way, accounts, ask, authorization, echo,
    handshake_with, wrong_credentials,
};
use raw_peer::{HANDSHAKE, frame};

/// The address of the proxy that is trusted, and one that is not.
const PROXY: [u8; 4] = [127, 0, 0, 1];
const STRANGER: [u8; 4] = [127, 0, 0, 2];

const TRUSTED: &str = "trusted_proxies = [\"127.0.0.1\"]\n";

/// A budget of two failures, of which none is forgiven while a test runs.
const TWO_TRIES: &str = "[login]\nmax_failures_per_address = 2\nfailure_forgiven_after = \"1h\"\n";

/// A server with this configuration, and with jane.
async fn serve(configuration: &str) -> (Server, Files) {
    let files = Files::new(configuration, &accounts(&[("jane", "1")]));
    (files.serve().await, files)
}

/// Presents credentials from an address, with a field more.
async fn status_for(server: &Server, address: [u8; 4], field: &str, line: &str) -> u16 {
    let request = handshake_with(&[field, &authorization(line)]);
    let mut peer = server.connect_from(address).await;
    peer.send(request).await;
    let head = peer.head().await;
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    status.expect("it is HTTP").parse().expect("it is a status")
}

/// The address that the next failed login is said to come from.
async fn blamed(server: &mut Server) -> String {
    let line = server.log_line("event=login_failed").await;
    let (_, peer) = line.split_once(" peer=").expect("it says who");
    let (peer, _) = peer.split_once(" connection=").expect("it says which");
    peer.to_owned()
}

#[tokio::test]
async fn failures_are_those_of_whom_a_trusted_proxy_names() {
    let (mut server, _files) = serve(&format!("{TRUSTED}{TWO_TRIES}")).await;
    for (field, client) in [
        ("X-Forwarded-For: 203.0.113.7", "203.0.113.7"),
        ("x-forwarded-for: 203.0.113.8", "203.0.113.8"),
        // What a client wrote itself stands before what the proxy has added.
        ("X-Forwarded-For: 203.0.113.7, 203.0.113.9", "203.0.113.9"),
        (
            "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-For: 203.0.113.10",
            "203.0.113.10",
        ),
        // The proxy itself: it names nobody, or what is no address.
        ("X-Other: 203.0.113.7", "127.0.0.1"),
        ("X-Forwarded-For: 203.0.113.11, 127.0.0.1", "203.0.113.11"),
        ("X-Forwarded-For: 2001:db8::1", "2001:db8::1"),
    ] {
        for _ in 0..2 {
            assert_eq!(
                status_for(&server, PROXY, field, "jane:2").await,
                401,
                "{field}"
            );
            assert_eq!(blamed(&mut server).await, client, "{field}");
        }
        assert_eq!(
            status_for(&server, PROXY, field, "jane:1").await,
            429,
            "{field}"
        );
    }
    // A network of 64 bits is one address.
    let neighbour = "X-Forwarded-For: 2001:db8::2";
    assert_eq!(status_for(&server, PROXY, neighbour, "jane:1").await, 429);
    let other = "X-Forwarded-For: 203.0.113.12";
    assert_eq!(status_for(&server, PROXY, other, "jane:1").await, 101);
    let opened = server.log_line("session opened").await;
    assert!(opened.contains(" peer=203.0.113.12 user=jane"), "{opened}");
}

#[tokio::test]
async fn failures_by_messages_are_those_of_whom_a_trusted_proxy_names() {
    let (mut server, _files) = serve(&format!("{TRUSTED}{TWO_TRIES}")).await;
    let mut peer = server.connect_from(PROXY).await;
    peer.send(handshake_with(&["X-Forwarded-For: 203.0.113.7"]))
        .await;
    peer.head().await;
    for _ in 0..2 {
        peer.send(frame::text("jane:2")).await;
        assert_eq!(peer.text().await, SORRY);
        assert_eq!(blamed(&mut server).await, "203.0.113.7");
    }
    peer.send(frame::text("jane:1")).await;
    assert_eq!(peer.text().await, SORRY);
    let reason = "too many wrong logins from this address".to_owned();
    assert_eq!(peer.close().await, (1013, reason));
    // The proxy, and others behind it, have theirs.
    echo(&mut Way::Message.log_in(&server, "jane:1").await, "hello").await;
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let (mut server, _files) = serve(&format!("{TRUSTED}{TWO_TRIES}")).await;
    for client in ["203.0.113.7", "203.0.113.8"] {
        let field = format!("X-Forwarded-For: {client}");
        assert_eq!(status_for(&server, STRANGER, &field, "jane:2").await, 401);
        assert_eq!(blamed(&mut server).await, "127.0.0.2");
    }
    let field = "X-Forwarded-For: 203.0.113.9";
    assert_eq!(status_for(&server, STRANGER, field, "jane:1").await, 429);
    assert_eq!(status_for(&server, PROXY, field, "jane:1").await, 101);
}

#[tokio::test]
async fn nobody_at_all_is_believed_by_default() {
    let (mut server, _files) = serve(TWO_TRIES).await;
    for client in ["203.0.113.7", "203.0.113.8"] {
        let field = format!("X-Forwarded-For: {client}");
        assert_eq!(status_for(&server, PROXY, &field, "jane:2").await, 401);
        assert_eq!(blamed(&mut server).await, "127.0.0.1");
    }
    let field = "X-Forwarded-For: 203.0.113.9";
    assert_eq!(status_for(&server, PROXY, field, "jane:1").await, 429);
}

/// A proxy passes on the field that it does not write itself, as the client sent it.
#[tokio::test]
async fn the_other_field_is_not_looked_at() {
    let x_forwarded_for = "X-Forwarded-For: 203.0.113.7";
    let forwarded = "Forwarded: for=203.0.113.8";
    let both = format!("{x_forwarded_for}\r\n{forwarded}");
    for (configured, expected) in [
        (
            "",
            [
                (x_forwarded_for, "203.0.113.7"),
                (forwarded, "127.0.0.1"),
                (&both, "203.0.113.7"),
            ],
        ),
        (
            "forwarded_field = \"Forwarded\"\n",
            [
                (x_forwarded_for, "127.0.0.1"),
                (forwarded, "203.0.113.8"),
                (&both, "203.0.113.8"),
            ],
        ),
    ] {
        let (mut server, _files) = serve(&format!("{TRUSTED}{configured}")).await;
        for (field, client) in expected {
            assert_eq!(status_for(&server, PROXY, field, "jane:2").await, 401);
            assert_eq!(blamed(&mut server).await, client, "{configured}{field}");
        }
    }
}

#[tokio::test]
async fn places_are_those_of_whom_a_trusted_proxy_names() {
    let full = || {
        let text = "the server is full, try again later";
        Answer::refusal("503 Service Unavailable", text, &[("retry-after", "5")])
    };
    let configuration = format!("{TRUSTED}[limits]\nmax_unauthenticated_per_address = 1\n");
    let (server, _files) = serve(&configuration).await;
    let mut waiting = Vec::new();
    for client in ["203.0.113.7", "203.0.113.8", "203.0.113.9"] {
        let request = handshake_with(&[&format!("X-Forwarded-For: {client}")]);
        let mut peer = server.connect_from(PROXY).await;
        peer.send(&request).await;
        let head = peer.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{client}: {head}");
        waiting.push(peer);
        let another = server.connect_from(PROXY).await;
        assert_eq!(ask(another, &request).await, full(), "{client}");
    }
    // Whoever is not believed has one address, whatever it says.
    let mut stranger = server.connect_from(STRANGER).await;
    stranger.upgrade().await;
    let request = handshake_with(&["X-Forwarded-For: 203.0.113.10"]);
    let another = server.connect_from(STRANGER).await;
    assert_eq!(ask(another, &request).await, full());
    // Whoever has logged in makes room.
    stranger.send(frame::text("jane:1")).await;
    stranger.text().await;
    echo(&mut stranger, "hello").await;
    let mut another = server.connect_from(STRANGER).await;
    another.send(HANDSHAKE).await;
    assert!(another.head().await.starts_with("HTTP/1.1 101 "));
}

#[tokio::test]
async fn a_proxy_that_is_trusted_from_now_on_is_believed_from_now_on() {
    let (mut server, files) = serve("").await;
    let field = "X-Forwarded-For: 203.0.113.7";
    let wrong = handshake_with(&[field, &authorization("jane:2")]);
    assert_eq!(
        ask(server.connect().await, &wrong).await,
        wrong_credentials()
    );
    assert_eq!(blamed(&mut server).await, "127.0.0.1");
    files.replace(CONFIGURATION, TRUSTED);
    files.replace(ACCOUNTS, &accounts(&[("jane", "3")]));
    let reloaded = server.log_line("reloaded").await;
    assert!(
        reloaded.contains(" changed=\"trusted_proxies\" "),
        "{reloaded}"
    );
    assert_eq!(
        ask(server.connect().await, &wrong).await,
        wrong_credentials()
    );
    assert_eq!(blamed(&mut server).await, "203.0.113.7");
}
