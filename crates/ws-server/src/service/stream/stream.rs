//! The backend of a stream: the upstream's connection, and the bytes between it and the session.

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use proto::{
    close::{CloseCode, CloseReason},
    username::UserName,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    time::timeout,
};
use tracing::debug;

use crate::{
    service::{
        BackendError, ConnectRequest,
        pump::{BackendMessages, pump},
        stream::{HalfClose, ProxyProtocol, StreamService, TextPolicy, proxy_protocol},
        unwritten::Unwritten,
        upstream::{UpstreamIo, UpstreamWatch, WatchAction},
    },
    session::{BackendBytes, ConnectionId, Ended, MAX_DISCARDED_BYTES, Message, Session},
};

/// The greatest length of a message to the client, in bytes. The session copies messages up to this
/// length to its write buffer, so that several are written together.
const READ_BYTES: usize = 16 * 1024;

/// The connection to the upstream of one session.
#[derive(Debug)]
pub(crate) struct StreamBackend {
    connection: ConnectionId,
    io: UpstreamIo,
    text: TextPolicy,
    half_close: HalfClose,
    /// The bytes of the client's last message that are not written yet.
    to_upstream: Unwritten,
    /// The state of the direction to the upstream.
    sending: Sending,
    received: u64,
    written: u64,
    watch: UpstreamWatch,
}

/// The state of the direction to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    Open,
    /// The client has ended its direction. The end is passed on after the bytes.
    Ending,
    Ended,
    /// The upstream takes no more bytes, but may still send some.
    Refused,
}

impl StreamService {
    /// Connects to the upstream, and sends the header of the PROXY protocol.
    pub(crate) async fn connect(
        &self,
        request: ConnectRequest<'_>,
    ) -> Result<StreamBackend, BackendError> {
        let unavailable = |error: io::Error| BackendError::Unavailable(error.to_string());
        let mut io = UpstreamIo::connect(&self.to.0).await.map_err(unavailable)?;
        let mut written = 0;
        match self.proxy_protocol {
            ProxyProtocol::Off => {}
            ProxyProtocol::V2 => {
                let user = request.principal.user().map(UserName::as_str);
                let header = proxy_protocol::header(request.head.connection(), user);
                io.write_all(&header).await.map_err(unavailable)?;
                written = header.len() as u64;
            }
        }
        Ok(StreamBackend {
            connection: request.connection,
            io,
            text: self.text,
            half_close: self.half_close,
            to_upstream: Unwritten::default(),
            sending: Sending::Open,
            received: 0,
            written,
            watch: UpstreamWatch::new(request.limits, None),
        })
    }
}

impl StreamBackend {
    /// Passes bytes in both directions until one side ends.
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

    /// Writes the rest of the client's bytes and the end of the stream, then reads until the upstream
    /// ends (lingering close): unread bytes could reset the connection before the upstream has read all.
    pub(crate) async fn close(mut self, ended: &Ended) {
        let close_deadline = self.watch.limits().close_deadline;
        let written = match ended {
            // The client ended the stream, and its bytes are owed to the upstream.
            Ended::ByPeer { .. } | Ended::Lost => self.write_rest().await,
            Ended::ByUs(_) | Ended::ByService { .. } => {
                timeout(close_deadline, self.write_rest()).await == Ok(true)
            }
        };
        if written {
            let _ = timeout(close_deadline, async {
                self.io.shutdown().await?;
                let mut unread = (&mut self.io).take(MAX_DISCARDED_BYTES);
                tokio::io::copy(&mut unread, &mut tokio::io::sink()).await
            })
            .await;
        }
    }

    /// Writes the rest of the client's bytes, until the write deadline passes without progress. Returns
    /// true if all are written.
    async fn write_rest(&mut self) -> bool {
        let write_deadline = self.watch.limits().write_deadline;
        loop {
            let before = self.written;
            match timeout(write_deadline, poll_fn(|cx| self.poll_write(cx))).await {
                Ok(()) => return self.sending != Sending::Refused,
                Err(_) if self.written > before => {}
                Err(_) => return false,
            }
        }
    }

    /// Returns the next bytes of the upstream; none at its end.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        // On the stack, so that an idle session has no buffer.
        let mut bytes = [MaybeUninit::uninit(); READ_BYTES];
        let mut read = ReadBuf::uninit(&mut bytes);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut read))?;
        self.received += read.filled().len() as u64;
        Poll::Ready(Ok(Bytes::copy_from_slice(read.filled())))
    }

    /// Writes the client's bytes, and their end. Ready when nothing is left to write.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.to_upstream.is_empty() {
            let write = Pin::new(&mut self.io).poll_write(cx, self.to_upstream.rest());
            if let Ok(count @ 1..) = ready!(write) {
                self.to_upstream.advance(count);
                self.written += count as u64;
            } else {
                // The upstream may have sent an answer before it stopped reading. So reading decides.
                self.to_upstream = Unwritten::default();
                self.sending = Sending::Refused;
            }
        }
        if self.sending == Sending::Ending {
            let shut = ready!(Pin::new(&mut self.io).poll_shutdown(cx));
            self.sending = shut.map_or(Sending::Refused, |()| Sending::Ended);
        }
        Poll::Ready(())
    }
}

impl BackendMessages for StreamBackend {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Ended>> {
        Poll::Ready(match ready!(self.poll_read(cx)) {
            Ok(bytes) if bytes.is_empty() => Err(end_of_stream()),
            Ok(bytes) => Ok(bytes.into()),
            Err(error) => {
                debug!(connection = self.connection.number(), %error, "upstream lost");
                Err(Ended::ByUs(CloseReason::UpstreamLost))
            }
        })
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let written = self.poll_write(cx);
        match written {
            Poll::Ready(()) => self.watch.on_flush(),
            Poll::Pending => self.watch.on_pending_write(self.written),
        }
        written.map(Ok)
    }

    fn accept(&mut self, message: Message) -> Result<(), Ended> {
        let bytes = match message {
            Message::Binary(bytes) => {
                let is_end = bytes.is_empty() && self.half_close == HalfClose::EmptyMessage;
                if is_end && self.sending == Sending::Open {
                    self.sending = Sending::Ending;
                }
                bytes
            }
            Message::Text(text) => match self.text {
                TextPolicy::Accept => text.into(),
                TextPolicy::Refuse => return Err(Ended::ByUs(CloseReason::BinaryOnly)),
            },
        };
        match self.sending {
            Sending::Open | Sending::Ending => self.to_upstream = bytes.into(),
            Sending::Ended if bytes.is_empty() => {}
            Sending::Ended => {
                return Err(Ended::ByService {
                    code: CloseCode(1003),
                    reason: "a message after the end of the stream".to_owned(),
                });
            }
            Sending::Refused => {}
        }
        Ok(())
    }

    fn backend_bytes(&mut self) -> BackendBytes {
        BackendBytes {
            held: self.to_upstream.held(),
            moved: self.received + self.written,
        }
    }

    /// Does nothing: no buffer is kept.
    fn release_buffers(&mut self, _cx: &mut Context<'_>) {}

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        loop {
            match ready!(self.watch.poll(cx, self.received, self.written)) {
                WatchAction::End(reason) => return Poll::Ready(Ended::ByUs(reason)),
                WatchAction::ReleaseBuffers | WatchAction::Ping => {}
            }
        }
    }
}

/// Returns the end of a session whose upstream has ended, and which gets all that it has sent.
fn end_of_stream() -> Ended {
    let reason = CloseReason::StreamEnded;
    Ended::ByService {
        code: reason.code(),
        reason: reason.text().into_owned(),
    }
}
