//! A proxy between a client that knows no login and a server that requires one.

use std::{convert::Infallible, net::SocketAddr};

use integration_tests::{CONGRATULATION, ServerProcess, echoed};
use raw_peer::{CREDENTIALS, RawPeer, frame};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// A proxy that forwards the handshake, logs in, and then copies bytes.
#[derive(Debug)]
pub(crate) struct LoginProxy {
    listener: TcpListener,
    server: SocketAddr,
}

impl LoginProxy {
    /// Creates a proxy for this server, on a free port.
    pub(crate) async fn in_front_of(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        Self {
            listener: listener.expect("a port is free"),
            server,
        }
    }

    /// Returns the address for clients.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listener
            .local_addr()
            .expect("the listener has an address")
    }

    /// Serves all clients concurrently.
    ///
    /// # Panics
    ///
    /// If the server rejects a login.
    pub(crate) async fn run(self) -> Infallible {
        let mut relays = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => {
                    let (client, _) = accepted.expect("a client can be accepted");
                    relays.spawn(relay(client, self.server));
                }
                Some(ended) = relays.join_next() => ended.expect("the relay succeeds"),
            }
        }
    }
}

/// Relays one connection until it ends.
async fn relay(client: TcpStream, server: SocketAddr) {
    let server = TcpStream::connect(server).await;
    let server = server.expect("the server accepts");
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("TCP_NODELAY can be set");
    }
    let (mut client, mut server) = (RawPeer::new(client), RawPeer::new(server));
    server.send(client.head().await).await;
    let answer = server.head().await;
    server.send(frame::text(CREDENTIALS)).await;
    assert_eq!(server.text().await, CONGRATULATION);
    // Forward the response only now: until the login is complete the client must not send.
    client.send(answer).await;
    let (mut client, mut server) = (client.into_inner(), server.into_inner());
    // If one side ends without a shutdown, so does the other.
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

#[tokio::test]
async fn proxy_relays_bytes_unchanged_after_the_login() {
    let server = ServerProcess::start().await;
    let proxy = LoginProxy::in_front_of(server.address).await;
    let client = TcpStream::connect(proxy.address()).await.unwrap();
    let mut client = RawPeer::new(client);
    let dialogue = async {
        client.upgrade().await;
        client.send(frame::text("hello")).await;
        assert_eq!(client.text().await, echoed("hello"));
        // Either side may shut down first and still receive the rest.
        client.send(frame::text("last message")).await;
        client.finish().await;
        assert_eq!(client.text().await, echoed("last message"));
        client.end().await;
    };
    tokio::select! {
        () = dialogue => {}
        never = proxy.run() => match never {},
    }
}
