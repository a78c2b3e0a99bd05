//! A well-behaved session during a benchmark.

use std::time::{Duration, Instant};

use raw_peer::{RawPeer, frame};
use tokio::{net::TcpStream, time::sleep};

use crate::{LoginMethod, ServerProcess, TEST_TIMEOUT, echoed};

/// The pause between a reply and the next message.
const THINK_TIME: Duration = Duration::from_millis(5);

/// A session that sends a short message, waits for the echo and pauses.
#[derive(Debug)]
pub struct WellBehavedClient {
    peer: RawPeer<TcpStream>,
    latencies: Vec<Duration>,
}

impl WellBehavedClient {
    /// Logs in with a credentials line.
    pub async fn new(server: &ServerProcess, credentials: &str) -> Self {
        let peer = server.connect().await.with_timeout(TEST_TIMEOUT);
        let peer = LoginMethod::Message.log_in_on(peer, credentials).await;
        let latencies = Vec::new();
        Self { peer, latencies }
    }

    /// Sends the next message, waits for the echo and pauses.
    pub async fn echo(&mut self) {
        // 64 bytes, different each time.
        let text = format!("{:064}", self.latencies.len());
        let sent = Instant::now();
        self.peer.send(frame::text(&text)).await;
        let answer = self.peer.text().await;
        self.latencies.push(sent.elapsed());
        assert_eq!(answer, echoed(&text));
        sleep(THINK_TIME).await;
    }

    /// Returns the latency of each echo.
    pub fn latencies(&self) -> &[Duration] {
        &self.latencies
    }
}
