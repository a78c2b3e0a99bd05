//! The run of a session up to its end, and the closing handshake (RFC 6455 section 7).

use std::time::Duration;

use futures::{Stream, StreamExt as _};
use proto::close::CloseReason;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

use super::{
    drain::drain,
    limit::EndLimit,
    outcome::{CloseOutcome, EndContext, EndReason, ExitReport, MessageCounts, Stage, exit_report},
    run_limit::reached,
    session::{ClientSession, LoginPlan, SessionEvent},
};
use crate::{
    config::Goal,
    console::{Console, Event, Mode, Notice, Side},
    websocket::{CloseFrame, Closed, Message},
};

/// The effect of a full output queue on the deadline of the closing handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReaderPause {
    Extends,
    Ignored,
}

/// The closing handshake that the client started.
#[derive(Debug)]
pub(crate) enum Closing {
    /// The connection was already closed.
    NotNeeded,
    /// The server closed its side.
    Closed(Closed),
    /// The server did not close its side in time.
    TimedOut,
}

/// The end of a session, with the messages that are pending.
#[derive(Debug)]
pub(crate) struct SessionEnd {
    pub(crate) end_reason: EndReason,
    closing: Closing,
    /// The state at the end, with the number of messages without an answer.
    context: EndContext,
    /// The number of lines that were read and not sent.
    pub(crate) queued: usize,
}

impl SessionEnd {
    /// Returns the end of a run that had no session.
    pub(super) fn without_session(end_reason: EndReason, mode: Mode) -> Self {
        Self {
            end_reason,
            closing: Closing::NotNeeded,
            context: EndContext {
                mode,
                stage: Stage::LoggingIn,
                counts: MessageCounts::default(),
                received: 0,
                goal: Goal::default(),
            },
            queued: 0,
        }
    }

    /// Returns the event of the server's Close frame, if there was one.
    pub(super) fn closed(&self) -> Option<Event<'_>> {
        let (frame, by) = match (&self.end_reason, &self.closing) {
            (EndReason::Server(Closed::ByPeer(frame)), _) => (frame, Side::Server),
            (_, Closing::Closed(Closed::ByPeer(frame))) => (frame, Side::Client),
            (_, _) => return None,
        };
        Some(Event::Closed { frame, by })
    }

    /// Returns the exit code and the notices. `close_deadline` is named if the server did not close in
    /// time.
    pub(super) fn report(&self, close_deadline: Duration) -> ExitReport<'_> {
        let close_outcome = match &self.closing {
            Closing::NotNeeded => CloseOutcome::NotNeeded,
            Closing::Closed(end) => CloseOutcome::Closed(end),
            Closing::TimedOut => CloseOutcome::TimedOut,
        };
        exit_report(
            &self.end_reason,
            close_outcome,
            self.context,
            close_deadline,
        )
    }
}

impl<S, C> ClientSession<S, C>
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Console,
{
    /// Runs the session until it ends or is interrupted. The connection may still be open.
    pub(crate) async fn run(
        &mut self,
        login: LoginPlan,
        interrupts: &mut (impl Stream<Item = ()> + Unpin),
    ) -> EndReason {
        let end_reason = tokio::select! {
            biased;
            Some(()) = interrupts.next() => EndReason::Interrupted,
            span = reached(self.timeouts.run_limit) => EndReason::TimeUp(span),
            end_reason = self.run_session(login) => end_reason,
        };
        self.console.cancel_prompt();
        end_reason
    }

    /// Closes the connection if it is still open, and returns what is known about the end.
    pub(crate) async fn close(&mut self, end_reason: EndReason) -> SessionEnd {
        let usual = || CloseFrame::from(CloseReason::UserExit);
        let closing = match &end_reason {
            EndReason::Server(_) => Closing::NotNeeded,
            EndReason::CloseRequested(frame) => {
                let frame = frame.clone();
                self.run_close_handshake(frame, ReaderPause::Extends).await
            }
            // The reader of the output may be the reason for the end.
            EndReason::Interrupted | EndReason::TimeUp(_) => {
                self.run_close_handshake(usual(), ReaderPause::Ignored)
                    .await
            }
            _ => {
                self.run_close_handshake(usual(), ReaderPause::Extends)
                    .await
            }
        };
        let end_reason = match end_reason {
            // Success requires that all received messages were written.
            EndReason::Exit
            | EndReason::CloseRequested(_)
            | EndReason::EndOfInput
            | EndReason::CountReached => {
                let earlier = self.write_error.take();
                let write_error = drain(&mut self.console).await.or(earlier);
                write_error.map_or(end_reason, EndReason::OutputFailed)
            }
            _ => end_reason,
        };
        SessionEnd {
            end_reason,
            closing,
            context: EndContext {
                mode: self.console.mode(),
                stage: self.stage,
                counts: match self.goal {
                    Goal::AllAnswered(_) => self.replies.counts(),
                    Goal::Count(_) | Goal::Stay => MessageCounts::default(),
                },
                received: self.delivered,
                goal: self.goal,
            },
            queued: self.connection.unsent(),
        }
    }

    /// Completes the close after the server ended its side.
    pub(crate) async fn finish_close(&mut self, end: &SessionEnd) {
        let deadline = self.timeouts.close_deadline;
        match (&end.end_reason, &end.closing) {
            (EndReason::Interrupted, _) => {}
            (EndReason::Server(end), _) | (_, Closing::Closed(end)) => {
                self.connection.finish_close(end, deadline).await;
            }
            (_, Closing::NotNeeded | Closing::TimedOut) => {}
        }
    }

    /// Returns the console, for a report, for another session or for its end.
    pub(crate) fn into_console(self) -> C {
        self.console
    }

    /// Sends a Close frame and handles events until the server closes its side or the deadline
    /// passes.
    async fn run_close_handshake(
        &mut self,
        frame: CloseFrame,
        reader_pause: ReaderPause,
    ) -> Closing {
        // The deadline starts here, not at the last activity.
        self.last_activity = Instant::now();
        self.console.tell(Event::Closing);
        self.connection.close(frame);
        let mut deadline = EndLimit::after(self.timeouts.close_deadline);
        loop {
            let limit = match reader_pause {
                ReaderPause::Extends => deadline.next(self.console.has_room()),
                ReaderPause::Ignored => deadline.absolute(),
            };
            match self.next_event(None, limit).await {
                SessionEvent::Received(message) => self.show_late(&message),
                SessionEvent::Ended(EndReason::Server(end)) => return Closing::Closed(end),
                // Keep writing the rest of the queue.
                SessionEvent::Ended(EndReason::OutputFailed(error)) => {
                    self.write_error = Some(error);
                }
                SessionEvent::Sent | SessionEvent::Progress | SessionEvent::Entered(_) => {}
                SessionEvent::Ended(_) | SessionEvent::TimedOut => return Closing::TimedOut,
            }
        }
    }

    /// Shows a message that was received after the client's Close frame.
    fn show_late(&mut self, message: &Message) {
        match (self.stage, message.payload()) {
            // The messages that were asked for have arrived.
            (Stage::Messaging, _) if self.is_count_reached() => {}
            (Stage::Messaging, payload) => {
                self.deliver(payload);
            }
            (Stage::LoggingIn, payload) => self.console.notice(Notice::LoginMessage(payload)),
        }
    }
}
