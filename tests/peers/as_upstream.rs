//! Servers of other libraries behind a relay of `ws-server`.

use integration_tests::{LoginMethod, ServerFiles, ServerProcess};
use raw_peer::{RawPeer, frame};
use tokio::net::TcpStream;

use crate::scripted_peer::{Event, Library, ScriptedPeer, closed, text};

/// Starts a server with a relay to this URL.
pub(crate) async fn relay_to(url: &str) -> ServerProcess {
    let route = format!("[[route]]\npath = \"/\"\nservice = \"relay\"\nto = \"{url}\"\n");
    ServerFiles::with_admin(&route).serve().await
}

/// Logs in to a relay whose upstream is a server of this library. Returns all three.
async fn connected(
    library: Library,
    method: LoginMethod,
) -> (RawPeer<TcpStream>, ServerProcess, ScriptedPeer) {
    let (mut upstream, url) = ScriptedPeer::server(library).await;
    let server = relay_to(&url).await;
    let client = method.log_in(&server, "admin:123456").await;
    assert_eq!(upstream.event().await, Event::Opened);
    (client, server, upstream)
}

pub(crate) async fn messages_pass_both_ways(library: Library) {
    for method in LoginMethod::ALL {
        let (mut client, _server, mut upstream) = connected(library, method).await;
        let mebibyte = "0123456789abcdef".repeat(1_048_576 / 16);
        for message in ["", "hello", "caf\u{e9}", &mebibyte] {
            client.send(frame::text(message)).await;
            assert!(upstream.next_text().await == message);
            upstream.text(message).await;
            assert!(client.text().await == message);
        }
        let bytes: Vec<u8> = (0..=u8::MAX).collect();
        client.send(frame::binary(&bytes)).await;
        assert_eq!(upstream.event().await, Event::Binary(bytes.clone()));
        upstream.binary(&bytes).await;
        assert_eq!(client.frame().await.payload, bytes);
        client.send(frame::close(1000, "done")).await;
        assert_eq!(upstream.event().await, closed(1000, "done"));
        assert_eq!(client.close().await, (1000, "done".to_owned()));
        upstream.finish().await;
    }
}

pub(crate) async fn close_of_upstream_passes_through(library: Library) {
    let (mut client, _server, mut upstream) = connected(library, LoginMethod::Basic).await;
    client.send(frame::text("hello")).await;
    assert_eq!(upstream.event().await, text("hello"));
    upstream.text("last words").await;
    upstream.close(4242, "enough").await;
    assert_eq!(client.text().await, "last words");
    assert_eq!(client.close().await, (4242, "enough".to_owned()));
    client.send(frame::close(4242, "")).await;
    client.end().await;
    assert_eq!(upstream.event().await, closed(4242, "enough"));
    upstream.finish().await;
}
