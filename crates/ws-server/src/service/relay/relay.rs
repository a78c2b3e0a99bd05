//! The backend of a relay: the upstream's WebSocket, and the messages between it and the session.

use std::{
    convert::Infallible,
    task::{Context, Poll, ready},
};

use proto::{
    close::{CloseCode, CloseReason},
    escape::Escaped,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::{debug, info};

use crate::{
    service::{
        ConnectRequest,
        pump::{BackendMessages, pump},
        upstream::{UpstreamIo, UpstreamWatch, WatchAction},
    },
    session::{BackendBytes, ConnectionId, Ended, Incoming, Message, Session, UpstreamSocket},
};

/// The length above which messages grow the buffers enough to release them later.
const LARGE_BYTES: usize = 4096;

/// The connection to the upstream of one session.
#[derive(Debug)]
pub(crate) struct RelayBackend {
    connection: ConnectionId,
    is_guest: bool,
    socket: UpstreamSocket<UpstreamIo>,
    subprotocol: Option<String>,
    /// The rule that the upstream has violated.
    violation: Option<CloseReason>,
    watch: UpstreamWatch,
}

impl RelayBackend {
    /// Creates the backend of a session whose upstream is connected.
    pub(super) fn new(
        socket: UpstreamSocket<UpstreamIo>,
        subprotocol: Option<String>,
        request: &ConnectRequest<'_>,
    ) -> Self {
        Self {
            connection: request.connection,
            is_guest: request.principal.user().is_none(),
            socket,
            subprotocol,
            violation: None,
            watch: UpstreamWatch::new(request.limits, request.limits.ping_interval),
        }
    }

    /// Returns the subprotocol that the upstream has selected.
    pub(crate) fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Passes messages in both directions until one side ends.
    ///
    /// # Errors
    ///
    /// The reason for the end of the session. There is no other result.
    pub(crate) async fn run<S>(&mut self, session: &mut Session<S>) -> Result<Infallible, Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        pump(self, session).await
    }

    /// Closes the connection to the upstream with the code and reason of the session's end.
    pub(crate) async fn close(mut self, ended: &Ended) {
        let limits = self.watch.limits().clone();
        let (code, reason) = match (self.violation, ended) {
            (Some(violation), _) => (violation.code(), violation.text()),
            (None, Ended::ByUs(reason)) => (reason.code(), reason.text()),
            (None, Ended::ByService { code, reason } | Ended::ByPeer { code, reason }) => {
                (*code, reason.as_str().into())
            }
            (None, Ended::Lost) => (CloseCode(1001), "connection lost".into()),
        };
        let code = if self.violation.is_some() {
            code
        } else {
            passed_on(code)
        };
        // The messages that the client has sent before its Close are owed to the upstream.
        if !matches!(ended, Ended::ByPeer { .. } | Ended::Lost)
            || self.socket.flush_with_progress_deadline(&limits).await
        {
            self.socket.close(code, &reason, &limits).await;
        }
    }

    /// Notes that a message may have grown the buffers.
    fn note_growth(&mut self, message: &Message) {
        if message.len() > LARGE_BYTES {
            self.watch.on_buffer_growth();
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Result<(), Ended> {
        match self.socket.poll_flush(cx) {
            Poll::Ready(Ok(())) => {
                self.watch.on_flush();
                Ok(())
            }
            Poll::Ready(Err(ended)) => Err(self.end_of_upstream(ended)),
            Poll::Pending => {
                self.watch.on_pending_write(self.socket.written());
                Ok(())
            }
        }
    }

    /// Runs due actions for the upstream. Ready when the session must end.
    fn poll_watch(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        loop {
            let (received, written) = (self.socket.received(), self.socket.written());
            match ready!(self.watch.poll(cx, received, written)) {
                WatchAction::End(reason) => return Poll::Ready(Ended::ByUs(reason)),
                WatchAction::Ping => {
                    let pinged = self.socket.queue_ping();
                    let pinged = pinged.map_err(|ended| self.end_of_upstream(ended));
                    if let Err(ended) = pinged.and_then(|()| self.poll_flush(cx)) {
                        return Poll::Ready(ended);
                    }
                }
                WatchAction::ReleaseBuffers => self.release_buffers(cx),
            }
        }
    }

    /// Returns the end of the session for the end of the upstream, and logs it.
    fn end_of_upstream(&mut self, ended: Ended) -> Ended {
        match ended {
            Ended::ByPeer { code, reason } => {
                self.log_end(Some(code), &reason);
                let code = passed_on(code);
                Ended::ByService { code, reason }
            }
            // An upstream may send more than the client may get.
            Ended::ByUs(violation) => {
                self.log_end(None, &violation.text());
                self.violation = Some(violation);
                match violation {
                    CloseReason::MessageTooBig => Ended::ByUs(violation),
                    _ => Ended::ByUs(CloseReason::UpstreamLost),
                }
            }
            Ended::Lost | Ended::ByService { .. } => {
                self.log_end(None, "lost");
                Ended::ByUs(CloseReason::UpstreamLost)
            }
        }
    }

    /// Logs the end of the upstream, with the code of its Close frame if it sent one. Lines about guests,
    /// which anybody can cause, are of a lower level.
    fn log_end(&self, code: Option<CloseCode>, reason: &str) {
        let (connection, reason) = (self.connection.number(), Escaped(reason));
        let code = code.map(|code| code.0);
        if self.is_guest {
            debug!(connection, code, %reason, "upstream ended");
        } else {
            info!(connection, code, %reason, "upstream ended");
        }
    }
}

impl BackendMessages for RelayBackend {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Ended>> {
        loop {
            match ready!(self.socket.poll_message(cx)) {
                Ok(Incoming::Message(message)) => {
                    self.note_growth(&message);
                    return Poll::Ready(Ok(message));
                }
                // The Pong is sent.
                Ok(Incoming::Control) => self.poll_flush(cx)?,
                Err(ended) => return Poll::Ready(Err(self.end_of_upstream(ended))),
            }
        }
    }

    fn on_reading_paused(&mut self) {
        self.watch.on_reading_paused();
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let ready = self.socket.poll_ready(cx);
        if ready.is_pending() {
            self.watch.on_pending_write(self.socket.written());
        }
        ready.map_err(|ended| self.end_of_upstream(ended))
    }

    fn accept(&mut self, message: Message) -> Result<(), Ended> {
        self.note_growth(&message);
        let queued = self.socket.queue(message);
        queued.map_err(|ended| self.end_of_upstream(ended))
    }

    fn backend_bytes(&mut self) -> BackendBytes {
        BackendBytes {
            held: self.socket.held_bytes(),
            moved: self.socket.received() + self.socket.written(),
        }
    }

    fn release_buffers(&mut self, cx: &mut Context<'_>) {
        if self.socket.release_buffers(cx) {
            self.watch.on_buffers_released();
            // The new WebSocket has no waker until it is polled.
            cx.waker().wake_by_ref();
        }
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        if let Err(ended) = self.poll_flush(cx) {
            return Poll::Ready(ended);
        }
        self.poll_watch(cx)
    }
}

/// Returns the code that the other side gets in place of one that it could misunderstand. Codes about
/// one connection or one server mean nothing behind a relay.
fn passed_on(code: CloseCode) -> CloseCode {
    match code.0 {
        1000 | 1001 | 1003 | 1007..=1011 | 3000..=4999 => code,
        _ if code == CloseCode::ABSENT => code,
        _ => CloseReason::Internal.code(),
    }
}

#[cfg(test)]
mod tests {
    use proto::close::CloseCode;

    use super::passed_on;

    #[test]
    fn codes_of_one_hop_become_1011() {
        for code in [
            1000, 1001, 1003, 1005, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
        ] {
            assert_eq!(passed_on(CloseCode(code)).0, code);
        }
        for code in [1002, 1004, 1006, 1012, 1013, 1014, 1015, 2999, 5000] {
            assert_eq!(passed_on(CloseCode(code)).0, 1011, "{code}");
        }
    }
}
