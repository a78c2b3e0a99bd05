//! A load of messages with every reply checked.

use std::{io, time::Duration};

use futures::future::join_all;
use raw_peer::frame;
use tokio::time::{Instant, timeout};

use crate::{BenchServer, TEST_TIMEOUT, bench_stream::BenchStream, echoed};

/// The size of the read buffer.
const READ_BYTES: usize = 256 * 1024;

/// The parameters of a load.
#[derive(Debug, Clone, Copy)]
pub struct Workload {
    /// The name of the benchmark row.
    pub name: &'static str,
    /// The number of concurrent connections.
    pub connections: usize,
    /// The messages in flight on each connection.
    pub in_flight: usize,
    /// The length of each message.
    pub bytes: usize,
}

/// Logged-in connections that generate a load.
#[derive(Debug)]
pub struct LoadGenerator(Vec<LoadConnection>);

impl LoadGenerator {
    /// Logs in all connections.
    pub async fn new(bench_server: &BenchServer, workload: Workload) -> Self {
        let mut connections = Vec::new();
        for index in 0..workload.connections {
            let stream = bench_server.log_in_stream().await;
            connections.push(LoadConnection::new(stream, index, workload));
        }
        Self(connections)
    }

    /// Sends messages for this time, then waits for the replies in flight. Returns the number of
    /// replies.
    pub async fn run_for(&mut self, time: Duration) -> u64 {
        let deadline = Instant::now() + time;
        let all = join_all(
            self.0
                .iter_mut()
                .map(|connection| connection.run_until(deadline)),
        );
        let answered = timeout(time + TEST_TIMEOUT, all).await;
        answered.expect("every reply arrives").into_iter().sum()
    }
}

/// A connection of the load. Its messages are distinct and repeat in a cycle, so a lost, doubled,
/// changed or reordered reply is detected.
#[derive(Debug)]
struct LoadConnection {
    stream: BenchStream,
    requests: FrameRing,
    replies: FrameRing,
    in_flight: u64,
    received: Vec<u8>,
}

/// A cycle of frames of equal length.
#[derive(Debug)]
struct FrameRing {
    bytes: Vec<u8>,
    frame_len: u64,
    /// The number of bytes processed.
    position: u64,
}

impl LoadConnection {
    fn new(stream: BenchStream, index: usize, workload: Workload) -> Self {
        // At least two, to detect a doubled reply.
        let messages = 0..workload.in_flight.max(2);
        let texts = messages.map(|message| {
            let start = format!("{index} {message} ");
            let rest = "x".repeat(workload.bytes - start.len());
            start + &rest
        });
        let (mut requests, mut replies) = (Vec::new(), Vec::new());
        for text in texts {
            requests.push(frame::text(&text));
            replies.push(reply_frame(&text));
        }
        Self {
            stream,
            requests: FrameRing::new(&requests),
            replies: FrameRing::new(&replies),
            in_flight: workload.in_flight as u64,
            received: vec![0; READ_BYTES],
        }
    }

    async fn run_until(&mut self, deadline: Instant) -> u64 {
        let answered_before = self.replies.frames();
        while self.is_active(deadline) {
            let writes = self.requests.position < self.requests_end(deadline);
            let ready = self.stream.ready(writes).await;
            let ready = ready.expect("the connection is open");
            if ready.is_readable() {
                self.receive();
            }
            self.send(deadline);
        }
        self.replies.frames() - answered_before
    }

    /// Returns whether there is time left or a reply outstanding.
    fn is_active(&self, deadline: Instant) -> bool {
        Instant::now() < deadline || self.replies.frames() < self.requests.frames_started()
    }

    /// Returns the position up to which requests may be sent.
    fn requests_end(&self, deadline: Instant) -> u64 {
        let frames = if Instant::now() < deadline {
            self.replies.frames() + self.in_flight
        } else {
            self.requests.frames_started()
        };
        frames * self.requests.frame_len
    }

    fn send(&mut self, deadline: Instant) {
        loop {
            let left = self.requests_end(deadline) - self.requests.position;
            let next = self.requests.next(left);
            if next.is_empty() {
                return;
            }
            match self.stream.try_write(next) {
                Ok(written) => self.requests.position += written as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => panic!("the connection failed: {error}"),
            }
        }
    }

    fn receive(&mut self) {
        match self.stream.try_read(&mut self.received) {
            Ok(0) => panic!("the server closed the connection"),
            Ok(read) => self.replies.check(&self.received[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("the connection failed: {error}"),
        }
    }
}

impl FrameRing {
    fn new(frames: &[Vec<u8>]) -> Self {
        Self {
            bytes: frames.concat(),
            frame_len: frames[0].len() as u64,
            position: 0,
        }
    }

    /// Returns the number of complete frames.
    fn frames(&self) -> u64 {
        self.position / self.frame_len
    }

    /// Returns the number of frames, including an incomplete one.
    fn frames_started(&self) -> u64 {
        self.position.div_ceil(self.frame_len)
    }

    /// Returns the next bytes, up to this length or the end of the cycle.
    fn next(&self, left: u64) -> &[u8] {
        let start = self.position % self.bytes.len() as u64;
        let end = (start + left).min(self.bytes.len() as u64);
        &self.bytes[to_index(start)..to_index(end)]
    }

    /// Asserts that these bytes come next, and advances.
    fn check(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let expected = self.next(bytes.len() as u64);
            let (now, later) = bytes.split_at(expected.len());
            assert!(now == expected, "a reply is wrong");
            self.position += now.len() as u64;
            bytes = later;
        }
    }
}

fn to_index(position: u64) -> usize {
    usize::try_from(position).expect("the position is within the buffer")
}

/// Returns the unmasked frame that answers a text.
fn reply_frame(text: &str) -> Vec<u8> {
    let text = echoed(text);
    let mut header = frame::header(0x81, text.len() as u64);
    header.truncate(header.len() - 4);
    header[1] &= 0x7F;
    [header, text.into_bytes()].concat()
}
