//! DNS rebinding: `Host` names of others, on the server and on the admin interface.

use integration_tests::{AdminClient, ServerFiles, accounts, send_request};
use raw_peer::RawPeer;
use tokio::net::TcpStream;

#[tokio::test]
async fn foreign_host_gets_421_everywhere_on_loopback() {
    let configuration = format!(
        "server_names = [\"chat.example.org\"]\n{}",
        integration_tests::ADMIN
    );
    let files = ServerFiles::new(&configuration, &accounts(&[("jane", "1")]));
    let mut server = files.serve().await;
    let scraped = AdminClient::for_server(&mut server).await;
    for (host, is_known) in [
        ("localhost", true),
        ("chat.example.org", true),
        ("rebound.example", false),
    ] {
        let page = format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
        );
        let response = send_request(server.connect().await, &page).await;
        let expected = if is_known {
            " 200 OK"
        } else {
            " 421 Misdirected Request"
        };
        assert_eq!(
            response.status_line,
            format!("HTTP/1.1{expected}"),
            "{host}"
        );
        let metrics = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let response = send_request(
            RawPeer::new(TcpStream::connect(scraped.address()).await.unwrap()),
            &metrics,
        )
        .await;
        assert_eq!(
            response.status_line,
            format!("HTTP/1.1{expected}"),
            "{host}"
        );
    }
}
