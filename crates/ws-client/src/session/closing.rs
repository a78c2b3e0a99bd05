//! The run of a session up to its end: the closing handshake (RFC 6455 section 7) and the report.

use futures::{Stream, StreamExt as _};
use proto::close::CloseReason;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

use super::{
    limit::EndLimit,
    outcome::{CloseOutcome, EndContext, EndReason, Stage, exit_report},
    report::{drain, print_report},
    session::{ClientSession, LoginPlan, SessionEvent},
};
use crate::{
    console::{Console, Notice},
    exit::Exit,
    websocket::{Closed, Message},
};

/// The effect of a full output queue on the deadline of the closing handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReaderPause {
    Extends,
    Ignored,
}

impl<S, C> ClientSession<S, C>
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Console,
{
    /// Runs the session until it ends. The first interrupt starts the closing handshake, the second
    /// exits at once.
    pub(crate) async fn run(
        mut self,
        login: LoginPlan,
        mut interrupts: impl Stream<Item = ()> + Unpin,
    ) -> Exit {
        let end_reason = tokio::select! {
            biased;
            Some(()) = interrupts.next() => EndReason::Interrupted,
            end_reason = self.run_session(login) => end_reason,
        };
        self.console.cancel_prompt();
        let exit = tokio::select! {
            biased;
            Some(()) = interrupts.next() => Exit::Interrupted,
            exit = self.close(end_reason) => exit,
        };
        self.console.finish().await;
        exit
    }

    /// Closes the connection if it is still open, and prints the report.
    async fn close(&mut self, end_reason: EndReason) -> Exit {
        let deadline = self.timeouts.close_deadline;
        let reply = match &end_reason {
            EndReason::Server(_) => None,
            // The reader of the output may be the reason for the interrupt.
            EndReason::Interrupted => Some(self.run_close_handshake(ReaderPause::Ignored).await),
            _ => Some(self.run_close_handshake(ReaderPause::Extends).await),
        };
        let end_reason = match end_reason {
            // Success requires that all received messages were written.
            EndReason::Exit | EndReason::EndOfInput => {
                let earlier = self.write_error.take();
                let write_error = drain(&mut self.console).await.or(earlier);
                write_error.map_or(end_reason, EndReason::OutputFailed)
            }
            _ => end_reason,
        };
        let context = EndContext {
            mode: self.console.mode(),
            stage: self.stage,
            counts: self.replies.counts(),
        };
        let close_outcome = match &reply {
            None => CloseOutcome::NotNeeded,
            Some(None) => CloseOutcome::TimedOut,
            Some(Some(end)) => CloseOutcome::Closed(end),
        };
        let report = exit_report(&end_reason, close_outcome, context, deadline);
        let queued = self.connection.unsent();
        let exit = print_report(&mut self.console, &end_reason, report, queued, deadline).await;
        match (&end_reason, close_outcome) {
            (EndReason::Interrupted, _) => {}
            (EndReason::Server(end), _) | (_, CloseOutcome::Closed(end)) => {
                self.connection.finish_close(end, deadline).await;
            }
            (_, CloseOutcome::NotNeeded | CloseOutcome::TimedOut) => {}
        }
        exit
    }

    /// Sends a Close frame and handles events until the server closes its side. Returns `None` if
    /// the deadline passed first.
    async fn run_close_handshake(&mut self, reader_pause: ReaderPause) -> Option<Closed> {
        // The deadline starts here, not at the last activity.
        self.last_activity = Instant::now();
        self.connection.close(CloseReason::UserExit.into());
        let mut deadline = EndLimit::after(self.timeouts.close_deadline);
        loop {
            let limit = match reader_pause {
                ReaderPause::Extends => deadline.next(self.console.has_room()),
                ReaderPause::Ignored => deadline.absolute(),
            };
            match self.next_event(None, limit).await {
                SessionEvent::Received(message) => self.show_late(&message),
                SessionEvent::Ended(EndReason::Server(end)) => return Some(end),
                // Keep writing the rest of the queue.
                SessionEvent::Ended(EndReason::OutputFailed(error)) => {
                    self.write_error = Some(error);
                }
                SessionEvent::Sent | SessionEvent::Progress | SessionEvent::Line(_) => {}
                SessionEvent::Ended(_) | SessionEvent::TimedOut => return None,
            }
        }
    }

    /// Shows a message that was received after the client's Close frame.
    fn show_late(&mut self, message: &Message) {
        match (self.stage, message.payload()) {
            (Stage::Messaging, payload) => {
                self.console.message(payload);
                self.replies.note_received(payload);
            }
            (Stage::LoggingIn, payload) => self.console.notice(Notice::LoginMessage(payload)),
        }
    }
}
