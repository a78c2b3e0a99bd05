//! Pushes into sessions, with peers that read and peers that do not.

use std::pin::pin;

use futures::future::{Either, select};

use crate::{
    server::tests::{
        harness::*,
        routes::{AS_ADMIN, AS_JANE, TWO, accounts, config, session},
    },
    service::{HistoryPolicy, Unrestricted},
};

const NOTHING: HistoryPolicy = HistoryPolicy { texts: 0, bytes: 0 };

fn server(options: &str) -> TestServer {
    server_with("", options)
}

fn server_with(limits: &str, options: &str) -> TestServer {
    let route = "[[route]]\npath = \"/\"\nservice = \"room\"\n";
    TestServer::of(
        config(&format!("[limits]\n{limits}\n{route}{options}")),
        TWO,
    )
}

impl TestServer {
    async fn publish(&self, text: String) {
        let text = text.into();
        self.0
            .hub
            .publish(&"/".into(), "jane", &text, NOTHING, Unrestricted)
            .await;
    }
}

/// Waits until the session is idle.
async fn wait_until_idle(peer: &mut RawPeer<DuplexStream>) {
    peer.send(frame::ping(b"idle")).await;
    assert_eq!(peer.frame().await.first, 0x8A);
}

#[tokio::test(start_paused = true)]
async fn pushes_do_not_replace_pongs() {
    let server = server("");
    let mut peer = session(&server, "/", AS_ADMIN).await;
    let start = Instant::now();
    let push = pin!(async {
        loop {
            sleep(seconds(1)).await;
            server.publish("still here?".to_owned()).await;
        }
    });
    let read = pin!(async {
        loop {
            let frame = peer.frame().await;
            if frame.first == 0x88 {
                return frame.close();
            }
        }
    });
    // `push` never ends.
    let Either::Right((close, _)) = select(push, read).await;
    assert_eq!(close, (1011, "keepalive timeout".to_owned()));
    assert!((seconds(40)..=seconds(60)).contains(&start.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn stalled_reader_leaves_at_write_deadline() {
    let server = server("presence = true");
    let _stalled = session(&server, "/", AS_ADMIN).await;
    let mut other = session(&server, "/", AS_JANE).await;
    while !other.text().await.starts_with(r#"{"joined":"jane""#) {}
    let start = Instant::now();
    server.publish("x".repeat(300_000)).await;
    assert_eq!(other.text().await.len(), 300_000);
    let mut next = other.frame().await;
    while next.first == 0x89 {
        other.send(frame::pong(b"")).await;
        next = other.frame().await;
    }
    let left = String::from_utf8(next.payload).unwrap();
    assert!(left.starts_with(r#"{"left":"admin""#), "{left}");
    assert!((seconds(30)..=seconds(60)).contains(&start.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn slow_reader_gets_written_texts_then_1013() {
    let server = server("max_queued = 4");
    let mut slow = session(&server, "/", AS_ADMIN).await;
    let mut other = session(&server, "/", AS_JANE).await;
    wait_until_idle(&mut slow).await;
    // More than the pipe and the queue can hold.
    for number in 0..40 {
        server.publish(format!("{number:10000}")).await;
        assert_eq!(other.text().await.len(), 10_000);
    }
    let mut received = 0;
    loop {
        let frame = slow.frame().await;
        if frame.first == 0x88 {
            assert_eq!(frame.close().0, 1013);
            break;
        }
        let text = String::from_utf8(frame.payload).unwrap();
        assert_eq!(text, format!("{received:10000}"));
        received += 1;
    }
    assert!((6..40).contains(&received), "{received}");
}

/// Releasing large buffers rebuilds the WebSocket, which must still wake the task.
#[tokio::test(start_paused = true)]
async fn session_works_after_buffer_release() {
    let server = server_with("ping_interval = \"off\"", "");
    let mut peer = session(&server, "/", AS_ADMIN).await;
    wait_until_idle(&mut peer).await;
    for _ in 0..3 {
        for length in [5000, 5000, 40_000] {
            server.publish("x".repeat(length)).await;
        }
        for length in [5000, 5000, 40_000] {
            assert_eq!(peer.text().await.len(), length);
        }
        sleep(seconds(15)).await;
        peer.send(frame::text("hello")).await;
        assert!(peer.text().await.contains(r#""text":"hello""#));
        sleep(seconds(15)).await;
        server.publish("more".to_owned()).await;
        assert_eq!(peer.text().await, "more");
    }
}

#[tokio::test(start_paused = true)]
async fn pushes_before_close_delivered() {
    let server = server("");
    let mut peer = session(&server, "/", AS_ADMIN).await;
    wait_until_idle(&mut peer).await;
    for number in 0..200 {
        server.publish(format!("{number}")).await;
    }
    peer.send(frame::close(1000, "user exit")).await;
    for number in 0..200 {
        assert_eq!(peer.text().await, format!("{number}"));
    }
    assert_eq!(peer.close().await, (1000, "user exit".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn idle_timeout_reset_by_pushes() {
    let server = server_with("idle_timeout = \"1m\"\nping_interval = \"off\"", "");
    let mut peer = session(&server, "/", AS_ADMIN).await;
    for _ in 0..10 {
        sleep(seconds(30)).await;
        server.publish("not idle".to_owned()).await;
        assert_eq!(peer.text().await, "not idle");
    }
    let idle_since = Instant::now();
    assert_eq!(peer.close().await.0, 1001);
    let idle = idle_since.elapsed();
    assert!((seconds(60)..=seconds(120)).contains(&idle), "{idle:?}");
}

#[tokio::test(start_paused = true)]
async fn revoked_session_gets_no_queued_pushes() {
    let server = server("");
    let mut peer = session(&server, "/", AS_ADMIN).await;
    wait_until_idle(&mut peer).await;
    for _ in 0..5 {
        server.publish("not for admin".to_owned()).await;
    }
    let for_jane = "[[route]]\npath = \"/\"\nservice = \"room\"\nusers = [\"jane\"]";
    server.0.reload(config(for_jane), accounts(TWO));
    let frame = peer.frame().await;
    assert_eq!(frame.first, 0x88);
    assert_eq!(frame.close().0, 3003);
}
