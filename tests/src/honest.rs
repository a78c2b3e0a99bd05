//! A session that is served while something else goes on.

use std::time::{Duration, Instant};

use proto::message::is_congratulation;
use raw_peer::{RawPeer, frame};
use tokio::{net::TcpStream, time::sleep};

use crate::{PATIENCE, Server, echoed};

/// How long it thinks between an answer and the next message.
const THOUGHT: Duration = Duration::from_millis(5);

/// A session that sends a short message, waits for its answer, thinks, and sends the next one.
#[derive(Debug)]
pub struct Honest {
    peer: RawPeer<TcpStream>,
    waits: Vec<Duration>,
}

impl Honest {
    /// Logs in with a credentials line.
    pub async fn new(server: &Server, credentials: &str) -> Self {
        let mut peer = server.connect().await.with_timeout(PATIENCE);
        peer.upgrade().await;
        peer.send(frame::text(credentials)).await;
        let welcome = peer.text().await;
        assert!(is_congratulation(&welcome), "{welcome}");
        let waits = Vec::new();
        Self { peer, waits }
    }

    /// Sends the next message, waits for its answer, and thinks.
    pub async fn echo(&mut self) {
        // 64 bytes, each time others.
        let text = format!("{:064}", self.waits.len());
        let sent = Instant::now();
        self.peer.send(frame::text(&text)).await;
        let answer = self.peer.text().await;
        self.waits.push(sent.elapsed());
        assert_eq!(answer, echoed(&text));
        sleep(THOUGHT).await;
    }

    /// How long it waited for each answer.
    pub fn waits(&self) -> &[Duration] {
        &self.waits
    }
}
