//! The end of a session: the closing handshake, and the last words.

use futures::future::poll_fn;
use proto::close::CloseReason;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout},
};

use super::{Session, Turn, Until};
use crate::{
    config::Audience,
    console::{Console, ConsoleTurn},
    ending::{Circumstances, Ending, Stage, conclude, unsent},
    exit::Exit,
    link::{End, Message},
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
        let ending = match ending {
            // All is well only if all that came could be written.
            Ending::Exit | Ending::EndOfInput => {
                self.drain().await;
                self.unwritten.take().map_or(ending, Ending::OutputFailed)
            }
            _ => ending,
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
        let mut exit = conclusion.exit;
        if ending.leaves_lines() {
            let leftover = self.console.leftover().await;
            let bad = match &ending {
                Ending::BadInput(error) => error.lines(),
                _ => 0,
            };
            if let Some(line) = unsent(leftover, self.link.unsent() + bad) {
                self.say(&line);
                self.drain().await;
                // However kindly a server leaves, a script wants all of its lines sent.
                if exit == Exit::Ok && circumstances.audience == Audience::Script {
                    exit = Exit::Closed;
                }
            }
        }
        if let (Ending::Server(end), _) | (_, Some(end)) = (&ending, &parting) {
            self.link.leave(end, deadline).await;
        }
        exit
    }

    /// Sends a Close frame, and takes what comes until the server ends its side, or its time is up.
    async fn close(&mut self) -> Option<End> {
        // The silence before was nobody's fault.
        self.moved = Instant::now();
        self.link.close(CloseReason::UserExit);
        let mut until = None;
        loop {
            // While nobody takes what came before, the server is not read, and its time stands
            // still.
            let limit = if self.console.has_room() {
                let fresh = || Instant::now() + self.times.close_deadline;
                Until::Moment(*until.get_or_insert_with(fresh))
            } else {
                until = None;
                Until::Ever
            };
            match self.turn(None, limit).await {
                Turn::Received(message) => self.show_late(&message),
                Turn::Ended(Ending::Server(end)) => return Some(end),
                // What is queued is written as far as it can be.
                Turn::Ended(Ending::OutputFailed(error)) => self.unwritten = Some(error),
                Turn::Sent | Turn::Moved | Turn::Line(_) => {}
                Turn::Ended(_) | Turn::Late => return None,
            }
        }
    }

    /// Shows a message that came after our Close frame.
    fn show_late(&mut self, message: &Message) {
        match (self.stage, message.payload()) {
            (Stage::Talking, payload) => {
                self.console.message(payload);
                self.tally.note_received();
            }
            (Stage::LoggingIn, Payload::Text(text)) => self.console.notice(&safe_lines(text)),
            (Stage::LoggingIn, Payload::Binary(bytes)) => self.console.notice(&hexadecimal(bytes)),
        }
    }

    /// Writes what is queued. There is no deadline: it waits for the user's own programs.
    async fn drain(&mut self) {
        while !self.console.is_drained() {
            let turn = poll_fn(|cx| self.console.poll_turn(cx, None)).await;
            if let ConsoleTurn::OutputFailed(error) = turn {
                self.unwritten = Some(error);
            }
        }
    }
}
