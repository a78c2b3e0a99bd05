//! Messages that keep a server busy, every answer checked.

use std::{io, time::Duration};

use futures::future::join_all;
use raw_peer::frame;
use tokio::time::{Instant, timeout};

use crate::{BenchServer, TEST_TIMEOUT, bench_stream::BenchStream, echoed};

/// How much is read at once.
const READ_BYTES: usize = 256 * 1024;

/// What is done on how many connections.
#[derive(Debug, Clone, Copy)]
pub struct Workload {
    /// The row of a benchmark.
    pub name: &'static str,
    /// How many connections talk at the same time.
    pub connections: usize,
    /// How many messages of each wait for an answer.
    pub in_flight: usize,
    /// How long each message is.
    pub bytes: usize,
}

/// Connections that are logged in to a server, ready to work.
#[derive(Debug)]
pub struct LoadGenerator(Vec<LoadConnection>);

impl LoadGenerator {
    /// Logs all connections in.
    pub async fn new(bench_server: &BenchServer, workload: Workload) -> Self {
        let mut connections = Vec::new();
        for index in 0..workload.connections {
            let stream = bench_server.log_in_stream().await;
            connections.push(LoadConnection::new(stream, index, workload));
        }
        Self(connections)
    }

    /// Works for a while, then waits for the answers in flight. Returns how many messages were
    /// answered.
    pub async fn run_for(&mut self, time: Duration) -> u64 {
        let deadline = Instant::now() + time;
        let all = join_all(
            self.0
                .iter_mut()
                .map(|connection| connection.run_until(deadline)),
        );
        let answered = timeout(time + TEST_TIMEOUT, all).await;
        answered.expect("every answer comes").into_iter().sum()
    }
}

/// One connection. Its messages differ from each other and from those of all others, and come round
/// again: so an answer that is lost, doubled, changed or out of order is seen.
#[derive(Debug)]
struct LoadConnection {
    stream: BenchStream,
    requests: FrameRing,
    replies: FrameRing,
    in_flight: u64,
    received: Vec<u8>,
}

/// Frames of equal length, one after the other, that repeat.
#[derive(Debug)]
struct FrameRing {
    bytes: Vec<u8>,
    frame_len: u64,
    /// How many bytes went by so far.
    position: u64,
}

impl LoadConnection {
    fn new(stream: BenchStream, index: usize, workload: Workload) -> Self {
        // Two at least, so that an answer which is doubled is seen.
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
            let ready = ready.expect("the connection stands");
            if ready.is_readable() {
                self.receive();
            }
            self.send(deadline);
        }
        self.replies.frames() - answered_before
    }

    /// Whether there is time left, or something unanswered.
    fn is_active(&self, deadline: Instant) -> bool {
        Instant::now() < deadline || self.replies.frames() < self.requests.frames_started()
    }

    /// Up to where requests may be sent.
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
                Err(error) => panic!("the connection broke: {error}"),
            }
        }
    }

    fn receive(&mut self) {
        match self.stream.try_read(&mut self.received) {
            Ok(0) => panic!("the server closed the connection"),
            Ok(read) => self.replies.check(&self.received[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("the connection broke: {error}"),
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

    /// How many whole frames went by.
    fn frames(&self) -> u64 {
        self.position / self.frame_len
    }

    /// How many frames went by, counting one that is not whole.
    fn frames_started(&self) -> u64 {
        self.position.div_ceil(self.frame_len)
    }

    /// The next bytes, at most so many, and up to where the frames come round again.
    fn next(&self, left: u64) -> &[u8] {
        let start = self.position % self.bytes.len() as u64;
        let end = (start + left).min(self.bytes.len() as u64);
        &self.bytes[to_index(start)..to_index(end)]
    }

    /// Lets bytes go by, which must be those that are next.
    fn check(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let expected = self.next(bytes.len() as u64);
            let (now, later) = bytes.split_at(expected.len());
            assert!(now == expected, "an answer is wrong");
            self.position += now.len() as u64;
            bytes = later;
        }
    }
}

fn to_index(position: u64) -> usize {
    usize::try_from(position).expect("it is within a buffer")
}

/// The frame that answers a text: as a client sends it, but not masked.
fn reply_frame(text: &str) -> Vec<u8> {
    let text = echoed(text);
    let mut header = frame::header(0x81, text.len() as u64);
    header.truncate(header.len() - 4);
    header[1] &= 0x7F;
    [header, text.into_bytes()].concat()
}
