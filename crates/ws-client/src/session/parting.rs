//! The end of a session: the closing handshake, and the last words.

use futures::future::poll_fn;
use proto::close::CloseReason;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout},
};

use super::{Session, Turn};
use crate::{
    console::Console,
    ending::{Circumstances, Ending, Stage, conclude, unsent},
    exit::Exit,
    link::{End, Incoming},
    render::{Payload, hexadecimal, safe_lines},
};

impl<S, C> Session<S, C>
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Console,
{
    /// Ends the connection in an orderly way, as far as there is one, and says what is to be said.
    pub(super) async fn part(&mut self, ending: Ending) -> Exit {
        let deadline = self.times.close_deadline;
        let parting = match &ending {
            Ending::Server(_) => None,
            _ => self.close().await,
        };
        let circumstances = Circumstances {
            audience: self.console.audience(),
            stage: self.stage,
            tally: self.tally,
        };
        let conclusion = conclude(&ending, parting.as_ref(), circumstances, deadline);
        for line in &conclusion.said {
            self.say(line);
        }
        if let Ending::Interrupted = ending {
            // Whoever reads the output may be what was to be interrupted.
            let _ = timeout(deadline, self.drain()).await;
            return conclusion.exit;
        }
        self.drain().await;
        if ending.leaves_lines() {
            let leftover = self.console.leftover().await;
            let bad = match &ending {
                Ending::BadInput(error) => error.lines(),
                _ => 0,
            };
            if let Some(line) = unsent(leftover, self.link.unsent() + bad) {
                self.say(&line);
                self.drain().await;
            }
        }
        match (&ending, &parting) {
            (Ending::Server(End::Broken { tell, .. }), _) | (_, Some(End::Broken { tell, .. })) => {
                self.link.abandon(*tell, deadline).await;
            }
            (Ending::Server(End::Closed(_)), _) => self.link.flush(deadline).await,
            (_, _) => {}
        }
        conclusion.exit
    }

    /// Sends a Close frame, and takes what comes until the server ends its side, or its time is up.
    async fn close(&mut self) -> Option<End> {
        // The silence before was nobody's fault.
        self.moved = Instant::now();
        self.link.close(CloseReason::UserExit);
        let until = Instant::now() + self.times.close_deadline;
        loop {
            match self.turn(None, Some(until)).await {
                Turn::Received(message) => self.show_late(&message),
                Turn::Ended(Ending::Server(end)) => return Some(end),
                // What is queued is written as far as it can be.
                Turn::Moved | Turn::Line(_) | Turn::Ended(Ending::OutputFailed(_)) => {}
                Turn::Ended(_) | Turn::Late => return None,
            }
        }
    }

    /// Shows a message that came after our Close frame.
    fn show_late(&mut self, message: &Incoming) {
        match (self.stage, message.payload()) {
            (Stage::Talking, payload) => {
                self.console.message(payload);
                self.tally.received += 1;
            }
            (Stage::LoggingIn, Payload::Text(text)) => self.console.notice(&safe_lines(text)),
            (Stage::LoggingIn, Payload::Binary(bytes)) => self.console.notice(&hexadecimal(bytes)),
        }
    }

    /// Writes what is queued. There is no deadline: it waits for the user's own programs.
    async fn drain(&mut self) {
        while !self.console.is_drained() {
            poll_fn(|cx| self.console.poll_turn(cx, None)).await;
        }
    }
}
