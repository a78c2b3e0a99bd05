//! Client addresses behind trusted proxies.

use integration_tests::{
    ACCOUNTS, CONFIGURATION, LOGIN_FAILED_EVENT, RELOADED, SESSION_OPENED, ServerFiles,
    ServerProcess, accounts, authorization, handshake_with, send_request,
    wrong_credentials_response,
};

/// The address of the trusted proxy.
const PROXY: [u8; 4] = [127, 0, 0, 1];

const TRUSTED: &str = "trusted_proxies = [\"127.0.0.1\"]\n";

/// A budget of two failures that do not expire during a test.
const TWO_TRIES: &str = "[login]\nmax_failures_per_address = 2\nfailure_decay = \"1h\"\n";

/// Starts a server with this configuration and one account.
async fn serve(configuration: &str) -> (ServerProcess, ServerFiles) {
    let files = ServerFiles::new(configuration, &accounts(&[("jane", "1")]));
    (files.serve().await, files)
}

/// Sends credentials from an address, with one more header field. Returns the status.
async fn status_for(server: &ServerProcess, address: [u8; 4], field: &str, line: &str) -> u16 {
    let request = handshake_with(&[field, &authorization(line)]);
    let mut peer = server.connect_from(address).await;
    peer.send(request).await;
    let head = peer.head().await;
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    status
        .expect("the response has a status")
        .parse()
        .expect("the status is valid")
}

/// Returns the peer address that the next failed login is logged with.
async fn failed_login_peer(server: &mut ServerProcess) -> String {
    let line = server.log_line(LOGIN_FAILED_EVENT).await;
    let (_, peer) = line.split_once(" peer=").expect("the line has a peer");
    let (peer, _) = peer
        .split_once(" connection=")
        .expect("the line has a connection");
    peer.to_owned()
}

#[tokio::test]
async fn failures_count_for_the_forwarded_address() {
    let (mut server, _files) = serve(&format!("{TRUSTED}{TWO_TRIES}")).await;
    for (field, client) in [
        ("X-Forwarded-For: 203.0.113.7", "203.0.113.7"),
        ("x-forwarded-for: 203.0.113.8", "203.0.113.8"),
        // The proxy appends its address to the values that the client sent.
        ("X-Forwarded-For: 203.0.113.7, 203.0.113.9", "203.0.113.9"),
        (
            "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-For: 203.0.113.10",
            "203.0.113.10",
        ),
        // Without a usable address in the field, the proxy itself is the client.
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
            assert_eq!(failed_login_peer(&mut server).await, client, "{field}");
        }
        assert_eq!(
            status_for(&server, PROXY, field, "jane:1").await,
            429,
            "{field}"
        );
    }
    // An IPv6 network of 64 bits counts as one address.
    let neighbour = "X-Forwarded-For: 2001:db8::2";
    assert_eq!(status_for(&server, PROXY, neighbour, "jane:1").await, 429);
    let other = "X-Forwarded-For: 203.0.113.12";
    assert_eq!(status_for(&server, PROXY, other, "jane:1").await, 101);
    let opened = server.log_line(SESSION_OPENED).await;
    assert!(opened.contains(" peer=203.0.113.12 user=jane"), "{opened}");
}

#[tokio::test]
async fn trusted_proxy_applies_after_a_reload() {
    let (mut server, files) = serve("").await;
    let field = "X-Forwarded-For: 203.0.113.7";
    let wrong = handshake_with(&[field, &authorization("jane:2")]);
    assert_eq!(
        send_request(server.connect().await, &wrong).await,
        wrong_credentials_response()
    );
    assert_eq!(failed_login_peer(&mut server).await, "127.0.0.1");
    files.replace(CONFIGURATION, TRUSTED);
    files.replace(ACCOUNTS, &accounts(&[("jane", "3")]));
    let reloaded = server.log_line(RELOADED).await;
    assert!(
        reloaded.contains(" changed=\"trusted_proxies\" "),
        "{reloaded}"
    );
    assert_eq!(
        send_request(server.connect().await, &wrong).await,
        wrong_credentials_response()
    );
    assert_eq!(failed_login_peer(&mut server).await, "203.0.113.7");
}
