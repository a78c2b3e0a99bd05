//! Messages that keep a server busy, every answer checked.

use std::{io, time::Duration};

use futures::future::join_all;
use raw_peer::frame;
use tokio::time::{Instant, timeout};

use crate::{BenchServer, PATIENCE, bench_stream::Wire, echoed};

/// How much is read at once.
const READ_BYTES: usize = 256 * 1024;

/// What is done on how many connections.
#[derive(Debug, Clone, Copy)]
pub struct Work {
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
pub struct Load(Vec<Talker>);

impl Load {
    /// Logs all connections in.
    pub async fn new(bench_server: &BenchServer, work: Work) -> Self {
        let mut talkers = Vec::new();
        for index in 0..work.connections {
            let wire = bench_server.wire().await;
            talkers.push(Talker::new(wire, index, work));
        }
        Self(talkers)
    }

    /// Works for a while, then waits for the answers in flight. Returns how many messages were
    /// answered.
    pub async fn work_for(&mut self, time: Duration) -> u64 {
        let deadline = Instant::now() + time;
        let all = join_all(self.0.iter_mut().map(|talker| talker.talk_until(deadline)));
        let answered = timeout(time + PATIENCE, all).await;
        answered.expect("every answer comes").into_iter().sum()
    }
}

/// One connection. Its messages differ from each other and from those of all others, and come round
/// again: so an answer that is lost, doubled, changed or out of order is seen.
#[derive(Debug)]
struct Talker {
    wire: Wire,
    requests: Round,
    answers: Round,
    in_flight: u64,
    received: Vec<u8>,
}

/// Frames of equal length, one after the other, that repeat.
#[derive(Debug)]
struct Round {
    bytes: Vec<u8>,
    frame_len: u64,
    /// How many bytes went by so far.
    position: u64,
}

impl Talker {
    fn new(wire: Wire, index: usize, work: Work) -> Self {
        // Two at least, so that an answer which is doubled is seen.
        let messages = 0..work.in_flight.max(2);
        let texts = messages.map(|message| {
            let start = format!("{index} {message} ");
            let rest = "x".repeat(work.bytes - start.len());
            start + &rest
        });
        let (mut requests, mut answers) = (Vec::new(), Vec::new());
        for text in texts {
            requests.push(frame::text(&text));
            answers.push(answer(&text));
        }
        Self {
            wire,
            requests: Round::new(&requests),
            answers: Round::new(&answers),
            in_flight: work.in_flight as u64,
            received: vec![0; READ_BYTES],
        }
    }

    async fn talk_until(&mut self, deadline: Instant) -> u64 {
        let answered_before = self.answers.frames();
        while self.talks(deadline) {
            let writes = self.requests.position < self.requests_end(deadline);
            let ready = self.wire.ready(writes).await;
            let ready = ready.expect("the connection stands");
            if ready.is_readable() {
                self.receive();
            }
            self.send(deadline);
        }
        self.answers.frames() - answered_before
    }

    /// Whether there is time left, or something unanswered.
    fn talks(&self, deadline: Instant) -> bool {
        Instant::now() < deadline || self.answers.frames() < self.requests.frames_begun()
    }

    /// Up to where requests may be sent.
    fn requests_end(&self, deadline: Instant) -> u64 {
        let frames = if Instant::now() < deadline {
            self.answers.frames() + self.in_flight
        } else {
            self.requests.frames_begun()
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
            match self.wire.try_write(next) {
                Ok(written) => self.requests.position += written as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => panic!("the connection broke: {error}"),
            }
        }
    }

    fn receive(&mut self) {
        match self.wire.try_read(&mut self.received) {
            Ok(0) => panic!("the server closed the connection"),
            Ok(read) => self.answers.check(&self.received[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("the connection broke: {error}"),
        }
    }
}

impl Round {
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
    fn frames_begun(&self) -> u64 {
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
fn answer(text: &str) -> Vec<u8> {
    let text = echoed(text);
    let mut header = frame::header(0x81, text.len() as u64);
    header.truncate(header.len() - 4);
    header[1] &= 0x7F;
    [header, text.into_bytes()].concat()
}
