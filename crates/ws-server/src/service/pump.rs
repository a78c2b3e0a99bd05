//! The exchange of messages between a session and its backend, in both directions.
//!
//! One message of each direction waits at most. Nothing is read from a side while the other one takes
//! none.

use std::{
    convert::Infallible,
    future::poll_fn,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::session::{BackendBytes, Ended, Message, Session};

/// The number of messages of one direction before the other one has its turn.
const BATCH: usize = 32;

/// The number of turns before other tasks run.
const TURNS: usize = 8;

/// The messages of a backend, as [`pump`] passes them on.
pub(super) trait BackendMessages {
    /// Runs the work that does not depend on the session. Called at the start of each turn.
    fn begin_turn(&mut self, _cx: &mut Context<'_>) {}

    /// Returns the next message for the client. It is not called while the session takes none.
    ///
    /// # Errors
    ///
    /// The backend has ended, and with it the session.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Ended>>;

    /// Notes that the session takes no message.
    fn on_reading_paused(&mut self) {}

    /// Ready when a message of the client can be accepted. Until then, none is read.
    ///
    /// # Errors
    ///
    /// The backend has ended, and with it the session.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>>;

    /// Accepts a message of the client.
    ///
    /// # Errors
    ///
    /// The message, or the end of the backend, ends the session.
    fn accept(&mut self, message: Message) -> Result<(), Ended>;

    /// Returns the bytes that the backend holds, and has exchanged.
    fn backend_bytes(&mut self) -> BackendBytes;

    /// Releases buffers that are empty, because the session has to give bytes back.
    fn release_buffers(&mut self, cx: &mut Context<'_>);

    /// Flushes and checks timers, when no message can be passed on. Ready when the session must end.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Ended>;
}

/// Passes messages in both directions until one side ends.
///
/// # Errors
///
/// The reason for the end of the session. There is no other result.
pub(super) async fn pump<B, S>(
    backend: &mut B,
    session: &mut Session<S>,
) -> Result<Infallible, Ended>
where
    B: BackendMessages,
    S: AsyncRead + AsyncWrite + Unpin,
{
    // The message of the backend that the session does not take yet.
    let mut to_client = None;
    let ended = poll_fn(|cx| poll_end(backend, session, &mut to_client, cx));
    Err(ended.await)
}

/// Passes on what is available in both directions. Ready when the session must end.
fn poll_end<B, S>(
    backend: &mut B,
    session: &mut Session<S>,
    to_client: &mut Option<Message>,
    cx: &mut Context<'_>,
) -> Poll<Ended>
where
    B: BackendMessages,
    S: AsyncRead + AsyncWrite + Unpin,
{
    for _ in 0..TURNS {
        backend.begin_turn(cx);
        let delivered = match poll_to_client(backend, session, to_client, cx) {
            Ok(delivered) => delivered,
            Err(ended) => return Poll::Ready(ended),
        };
        let accepted = match poll_to_backend(backend, session, to_client.as_ref(), cx) {
            Ok(accepted) => accepted,
            Err(ended) => return Poll::Ready(ended),
        };
        if !delivered && !accepted {
            return backend.poll_idle(cx);
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Passes on messages of the backend. Returns true if more may be available.
fn poll_to_client<B, S>(
    backend: &mut B,
    session: &mut Session<S>,
    to_client: &mut Option<Message>,
    cx: &mut Context<'_>,
) -> Result<bool, Ended>
where
    B: BackendMessages,
    S: AsyncRead + AsyncWrite + Unpin,
{
    for turn in 0..BATCH {
        if to_client.is_none() {
            if session.must_wait() {
                cx.waker().wake_by_ref();
                return Ok(turn > 0);
            }
            match backend.poll_message(cx) {
                Poll::Ready(message) => *to_client = Some(message?),
                Poll::Pending => return Ok(turn > 0),
            }
        }
        match session.poll_send(cx, to_client) {
            Poll::Ready(sent) => sent?,
            Poll::Pending => {
                backend.on_reading_paused();
                return Ok(turn > 0);
            }
        }
    }
    Ok(true)
}

/// Passes on messages of the client. Returns true if more may be available.
fn poll_to_backend<B, S>(
    backend: &mut B,
    session: &mut Session<S>,
    to_client: Option<&Message>,
    cx: &mut Context<'_>,
) -> Result<bool, Ended>
where
    B: BackendMessages,
    S: AsyncRead + AsyncWrite + Unpin,
{
    for turn in 0..BATCH {
        let ready = backend.poll_ready(cx)?;
        if session.is_asked_for_bytes() {
            backend.release_buffers(cx);
        }
        // The session reports them before it waits.
        let mut bytes = backend.backend_bytes();
        bytes.held += to_client.map_or(0, Message::len);
        session.set_backend_bytes(bytes);
        match ready {
            Poll::Ready(()) => {}
            Poll::Pending => {
                return match session.poll_hold(cx) {
                    Poll::Ready(ended) => Err(ended),
                    Poll::Pending => Ok(turn > 0),
                };
            }
        }
        match session.poll_recv(cx) {
            Poll::Ready(message) => backend.accept(message?)?,
            Poll::Pending => return Ok(turn > 0),
        }
    }
    Ok(true)
}
