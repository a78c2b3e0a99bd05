//! The byte stream below a WebSocket: large reads, a limit before the login, yields to other tasks, and
//! byte counts.
//!
//! tungstenite alone has no limit on all bytes before the login together, and reads empty fragments in a
//! loop without yielding.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, buf::Chain};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::yield_now,
};
use tokio_util::io::poll_write_buf;

use crate::{
    message::{FrameHeader, LONG_BYTES},
    registry::BufferBudget,
    websocket::{
        byte_budget,
        frames::{FrameError, FrameTracker},
        input_buffer::InputBuffer,
        output_buffer::OutputBuffer,
    },
};

/// The approximate number of frames passed to the decoder before the task yields. It limits the cost
/// of a flood of small messages, or of empty fragments, which tungstenite reads in a loop without
/// returning. tokio's own budget does not count the decoding of buffered bytes.
const BATCH_FRAMES: usize = 128;

/// The high-water mark of the buffered output. Above it, no further frame is queued until all are
/// written.
pub(super) const WRITE_BUFFER_BYTES: usize = 128 * 1024;

/// The number of bytes read and discarded before the task yields, so that a peer that floods a
/// closing connection does not delay other tasks.
const DISCARD_BYTES: usize = 16 * 1024;

/// The maximum of bytes that are discarded at the end because they have arrived already.
const ARRIVED_BYTES: u64 = 4 * 1024 * 1024;

/// The stream under a WebSocket.
#[derive(Debug)]
pub(crate) struct Transport<S> {
    io: S,
    input: InputBuffer,
    frames: FrameTracker,
    /// The remaining bytes before the login. `None` after it.
    allowed: Option<usize>,
    /// The remaining frames of this batch.
    batch_frames: usize,
    received: u64,
    /// A long frame, which is written before the buffered output.
    long: Option<Box<Chain<Bytes, Bytes>>>,
    output: OutputBuffer,
    written: u64,
    /// The greatest number of written bytes that the stream holds until a flush.
    stream_buffer: u32,
    /// The bytes written since the last flush, up to `stream_buffer`.
    unflushed: u32,
    /// The budget that may stop the input.
    budget: Arc<BufferBudget>,
}

/// The reason why a read fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TransportError {
    /// The bytes received or announced before the login exceed their limit.
    #[error("too many bytes before the login")]
    LoginTooLarge,
    /// A frame violates the protocol.
    #[error("a frame violates the protocol")]
    ProtocolViolation,
}

impl TransportError {
    /// Returns the transport's own error inside an I/O error, if there is one.
    pub(crate) fn from_io(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl<S> Transport<S> {
    /// Creates a transport that passes on at most `allowed` bytes before
    /// [`Transport::lift_login_bound`]. `leftovers` are read first. The budget may have it wait.
    pub(crate) fn new(io: S, leftovers: Bytes, allowed: usize, budget: Arc<BufferBudget>) -> Self {
        Self {
            io,
            input: InputBuffer::Owned(leftovers),
            frames: FrameTracker::default(),
            allowed: Some(allowed),
            batch_frames: BATCH_FRAMES,
            received: 0,
            long: None,
            output: OutputBuffer::default(),
            written: 0,
            stream_buffer: 0,
            unflushed: 0,
            budget,
        }
    }

    /// Creates a transport of the frames that a server sends. It has no limit before a login.
    pub(crate) fn of_server(io: S, leftovers: Bytes) -> Self {
        Self {
            frames: FrameTracker::of_server(),
            allowed: None,
            ..Self::new(io, leftovers, 0, Arc::default())
        }
    }

    /// Returns the close code that the peer sent, if any.
    pub(crate) fn close_code(&self) -> Option<u16> {
        self.frames.close_code()
    }

    /// Removes the limit before the login. The limits of the WebSocket remain.
    pub(crate) fn lift_login_bound(&mut self) {
        self.allowed = None;
    }

    /// Begins a new batch, after the task has waited or other tasks have run.
    pub(crate) fn begin_batch(&mut self) {
        self.batch_frames = BATCH_FRAMES;
    }

    /// Returns the scratch memory to the thread, before another connection of it runs.
    pub(crate) fn release_scratch(&mut self) {
        self.input.release_scratch();
    }

    /// Returns the number of bytes read from the stream so far.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Returns the number of bytes written so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Returns the bytes of input that this side holds, in the decoder above too.
    pub(crate) fn held_input(&self) -> usize {
        let decoder = usize::try_from(self.frames.decoder_bytes()).unwrap_or(usize::MAX);
        decoder.saturating_add(self.input.bytes().len())
    }

    /// Sets the greatest number of written bytes that the stream holds until a flush.
    pub(crate) fn set_stream_buffer(&mut self, bytes: u32) {
        self.stream_buffer = bytes;
    }

    /// Returns the greatest number of written bytes that the stream may hold now.
    pub(crate) fn held_by_stream(&self) -> usize {
        self.unflushed as usize
    }

    /// Returns the remaining bytes of the long frame.
    pub(crate) fn long_bytes(&self) -> usize {
        self.long.as_ref().map_or(0, Buf::remaining)
    }

    /// Returns the number of buffered bytes of output.
    pub(crate) fn buffered_output(&self) -> usize {
        self.output.len()
    }

    /// Returns true if a short frame can be queued: the output is below its high-water mark.
    pub(crate) fn has_room(&self) -> bool {
        self.long.is_none() && self.output.len() < WRITE_BUFFER_BYTES
    }

    /// Queues a frame of at most [`LONG_BYTES`], whose payload has two parts. There must be room.
    pub(crate) fn queue_short(&mut self, header: &FrameHeader, first: &[u8], second: &[u8]) {
        self.output.append(&[header.as_bytes(), first, second]);
    }

    /// Queues a longer frame. All output must have been written.
    pub(crate) fn queue_long(&mut self, frame: Chain<Bytes, Bytes>) {
        self.long = Some(Box::new(frame));
    }

    /// Notes that the decoder above was replaced.
    pub(crate) fn on_decoder_replaced(&mut self) {
        self.frames.reset_longest();
    }

    /// Returns true if all input was passed on, is between two messages, and had no Close frame.
    pub(crate) fn is_at_message_boundary(&self) -> bool {
        self.input.is_empty() && self.frames.is_at_message_boundary() && !self.frames.close_seen()
    }

    /// Returns the number of remaining bytes of the current frame.
    fn left_of_frame(&self) -> usize {
        usize::try_from(self.frames.left()).unwrap_or(usize::MAX)
    }

    /// Passes on as many buffered bytes as fit into `buf`, `room` and the limit. Refused bytes stay
    /// buffered, so that the frame tracker can continue from them when they are discarded.
    ///
    /// # Errors
    ///
    /// The next frame violates the protocol or exceeds the limit.
    fn pass(&mut self, buf: &mut ReadBuf<'_>, room: usize) -> Result<(), TransportError> {
        let room = buf
            .remaining()
            .min(room)
            .min(self.allowed.unwrap_or(usize::MAX));
        let piece = self.input.bytes();
        let piece = &piece[..piece.len().min(room)];
        let advance = self
            .frames
            .advance(piece, self.allowed.map(|allowed| allowed as u64));
        if advance.taken == 0 {
            return Err(match advance.error {
                Some(FrameError::ProtocolViolation) => TransportError::ProtocolViolation,
                Some(FrameError::TooLarge) | None => TransportError::LoginTooLarge,
            });
        }
        buf.put_slice(&piece[..advance.taken]);
        self.input.advance(advance.taken);
        if let Some(allowed) = &mut self.allowed {
            *allowed -= advance.taken;
        }
        byte_budget::spend(advance.taken);
        self.batch_frames = self.batch_frames.saturating_sub(advance.frames);
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> Transport<S> {
    /// Reads and discards input until the peer's Close frame, the end of the stream, or until `most`
    /// bytes were received in all. Cancel safe.
    pub(crate) fn poll_discard(&mut self, cx: &mut Context<'_>, most: u64) -> Poll<io::Result<()>> {
        self.frames
            .advance(std::mem::take(&mut self.input).bytes(), None);
        if self.frames.close_seen() || self.received >= most {
            return Poll::Ready(Ok(()));
        }
        if ready!(self.poll_drop_some(cx))? == 0 {
            return Poll::Ready(Ok(()));
        }
        // The peer may never stop sending: yield to other tasks after each read.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads and discards input until the end of the stream, or until `most` bytes were received in all.
    /// Cancel safe.
    pub(crate) fn poll_discard_to_end(&mut self, cx: &mut Context<'_>, most: u64) -> Poll<()> {
        if self.received < most
            && let Ok(1..) = ready!(self.poll_drop_some(cx))
        {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Reads and discards input that is available without waiting, up to [`ARRIVED_BYTES`]. Closing a
    /// socket with unread bytes would reset the connection and could destroy data in flight.
    pub(crate) async fn discard_arrived(&mut self) {
        let most = self.received + ARRIVED_BYTES;
        while self.received < most
            && let Poll::Ready(Ok(1..)) = poll_fn(|cx| Poll::Ready(self.poll_drop_some(cx))).await
        {
            yield_now().await;
        }
    }

    /// Does one read and discards the bytes. Returns their number.
    fn poll_drop_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let filled = self.input.poll_fill(cx, &mut self.io, DISCARD_BYTES);
        let dropped = self.input.bytes().len();
        self.received += dropped as u64;
        self.frames.skip(self.input.bytes());
        self.input.advance(dropped);
        self.input.release_scratch();
        filled.map_ok(|()| dropped)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Transport<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.batch_frames == 0 || this.budget.must_wait() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let room = byte_budget::room(this.left_of_frame());
        if room == 0 {
            return Poll::Pending;
        }
        if this.input.is_empty() {
            // Never read more than may be passed on before the login.
            let most = this.allowed.unwrap_or(usize::MAX);
            if most == 0 {
                return Poll::Ready(Err(io::Error::other(TransportError::LoginTooLarge)));
            }
            ready!(this.input.poll_fill(cx, &mut this.io, most.min(room)))?;
            if this.input.is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.received += this.input.bytes().len() as u64;
        }
        Poll::Ready(this.pass(buf, room).map_err(io::Error::other))
    }
}

impl<S: AsyncWrite + Unpin> Transport<S> {
    /// Ready when all queued frames are written.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = self.poll_write_queued(cx);
        self.output.release();
        poll
    }

    fn poll_write_queued(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(frame) = &mut self.long {
            let room = byte_budget::room(frame.remaining());
            if room == 0 {
                return Poll::Pending;
            }
            let mut piece = frame.as_mut().take(room);
            let written = ready!(poll_write_buf(Pin::new(&mut self.io), cx, &mut piece))?;
            let is_written = !frame.has_remaining();
            self.count_written(written)?;
            if is_written {
                self.long = None;
            }
        }
        while self.output.len() > 0 {
            let written = ready!(Self::poll_write_some(&mut self.io, cx, self.output.bytes()))?;
            self.count_written(written)?;
            self.output.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Writes as many of the bytes as the stream and the turn of the task accept.
    fn poll_write_some(io: &mut S, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let room = byte_budget::room(bytes.len());
        if room == 0 {
            return Poll::Pending;
        }
        Pin::new(io).poll_write(cx, &bytes[..bytes.len().min(room)])
    }

    /// Counts written bytes.
    ///
    /// # Errors
    ///
    /// The stream accepts no bytes.
    fn count_written(&mut self, written: usize) -> io::Result<()> {
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        byte_budget::spend(written);
        self.written += written as u64;
        let unflushed = u32::try_from(written).unwrap_or(u32::MAX);
        self.unflushed = self
            .unflushed
            .saturating_add(unflushed)
            .min(self.stream_buffer);
        Ok(())
    }
}

/// The output of the WebSocket above. Short frames are queued with those of
/// [`Transport::queue_short`], so that none is written in the middle of another one.
impl<S: AsyncWrite + Unpin> AsyncWrite for Transport<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if bytes.len() <= LONG_BYTES {
            if this.output.len() >= WRITE_BUFFER_BYTES {
                ready!(this.poll_output(cx))?;
            }
            this.output.append(&[bytes]);
            return Poll::Ready(Ok(bytes.len()));
        }
        ready!(this.poll_output(cx))?;
        let written = ready!(Self::poll_write_some(&mut this.io, cx, bytes))?;
        this.count_written(written)?;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_output(cx))?;
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.unflushed = 0;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[path = "tests/transport.rs"]
mod tests;
