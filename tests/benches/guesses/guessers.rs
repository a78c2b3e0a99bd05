//! Those who guess passwords as fast as they can.

use std::{
    convert::Infallible,
    iter,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures::future::pending;
use integration_tests::{BackgroundWork, PATIENCE, connect_from, loopback_address};
use proto::close::CloseReason;
use raw_peer::{HANDSHAKE, RawPeer, frame};
use tokio::{net::TcpStream, task::spawn_local};
use ws_server::handshake::Refusal;

/// How many there are. Every other one guesses by messages, the rest by Basic.
pub(crate) const GUESSERS: usize = 200;

/// Who guesses, until they are told to end.
#[derive(Debug)]
pub(crate) struct Guessers {
    answers: Arc<Answers>,
    flood: BackgroundWork<Infallible>,
}

/// What their guesses got so far.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// They were verified, and are wrong.
    pub(crate) wrong: AtomicU64,
    /// Too many were wrong before.
    pub(crate) spent: AtomicU64,
    /// Too many others wait to be verified.
    pub(crate) busy: AtomicU64,
    /// Anything else, or nothing.
    pub(crate) other: AtomicU64,
}

impl Guessers {
    /// Begins the flood, from so many addresses.
    pub(crate) fn begin(server: SocketAddr, addresses: usize) -> Self {
        let answers = Arc::<Answers>::default();
        let shared = Arc::clone(&answers);
        let flood = BackgroundWork::start(move || flood(server, addresses, shared));
        Self { answers, flood }
    }

    /// Ends the flood, and tells what it got.
    pub(crate) fn end(self) -> Arc<Answers> {
        self.flood.stop();
        self.answers
    }
}

async fn flood(server: SocketAddr, addresses: usize, answers: Arc<Answers>) -> Infallible {
    let ways: [fn() -> Vec<u8>; 2] = [by_message, by_basic];
    let ways = iter::repeat(ways).flatten();
    for (number, guesses) in (0..GUESSERS).zip(ways) {
        let address = loopback_address(1 + number % addresses);
        let answers = Arc::clone(&answers);
        spawn_local(async move {
            loop {
                match connect_from(address, server).await {
                    Ok(stream) => guess(stream, &guesses(), &answers).await,
                    Err(_) => count(&answers.other),
                }
            }
        });
    }
    pending().await
}

/// The two guesses that are answered without a delay, and the end after them, all at once.
fn by_message() -> Vec<u8> {
    [
        HANDSHAKE.into(),
        frame::text("admin:guess"),
        frame::text("nobody:guess"),
        frame::close(1000, ""),
    ]
    .concat()
}

/// One guess with the handshake.
fn by_basic() -> Vec<u8> {
    let field = format!(
        "Authorization: Basic {}\r\n\r\n",
        BASE64_STANDARD.encode("admin:guess")
    );
    let head = HANDSHAKE
        .strip_suffix("\r\n")
        .expect("an empty line ends it");
    [head, &field].concat().into()
}

/// Sends guesses, and counts what they get up to the end of the connection.
async fn guess(stream: TcpStream, guesses: &[u8], answers: &Answers) {
    let mut peer = RawPeer::new(stream).with_timeout(PATIENCE);
    peer.try_send(guesses).await;
    let head = peer.try_head().await;
    let status = head.as_deref().and_then(|head| head.get(9..12));
    match status {
        Some("101") => count_frames(&mut peer, answers).await,
        Some("401") => count(&answers.wrong),
        Some("429") => count(&answers.spent),
        Some("503")
            if peer
                .rest()
                .await
                .starts_with(Refusal::TooManyLogins.text().as_bytes()) =>
        {
            count(&answers.busy);
        }
        Some(_) | None => count(&answers.other),
    }
}

async fn count_frames(peer: &mut RawPeer<TcpStream>, answers: &Answers) {
    let mut sorry = 0;
    while let Some(frame) = peer.next().await {
        if frame.first != 0x88 {
            sorry += 1;
            continue;
        }
        let (code, reason) = frame.close();
        if code == 1013 && reason == CloseReason::TooManyLogins.text() {
            count(&answers.busy);
        } else if code == 1013 && reason == CloseReason::TooManyFailures.text() {
            // This one is told that it is wrong as well.
            sorry -= 1;
            count(&answers.spent);
        } else if code != 1000 {
            count(&answers.other);
        }
        answers.wrong.fetch_add(sorry, Ordering::Relaxed);
        return;
    }
    count(&answers.other);
}

fn count(answers: &AtomicU64) {
    answers.fetch_add(1, Ordering::Relaxed);
}
