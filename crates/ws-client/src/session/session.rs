//! One session on an open WebSocket: log in, unless that is done or not wanted, talk, part.
//!
//! One task does all of it. It waits for the server, the console and the clock at once, so that a
//! server which stops reading until it has been read is read, and a slow reader of stdout slows the
//! server down instead of filling the memory.

use std::{future::pending, io, task::Poll, time::Duration};

use futures::future::poll_fn;
use proto::{
    login::{ClientAction, ClientLogin, WhenRefused},
    message::Credentials,
    username::UserName,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep_until},
};

use super::{
    outcome::{CredentialsSent, EndReason, Stage},
    replies::{ReplyKind, ReplyTracker},
};
use crate::{
    config::LoginSource,
    console::{
        Command, Console, ConsoleEvent, GOODBYE, LoginInput, Mode, Prompt, RoomMessage,
        hexadecimal, safe_lines,
    },
    websocket::{Connection, ConnectionEvent, Message, Reading},
};

/// How long a person is not asked for the next message after one was sent: an answer usually comes
/// within this time, and then stands above the prompt without having pushed it down.
const PROMPT_DELAY: Duration = Duration::from_millis(100);

/// The times that a session keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// See [`crate::config::Config::linger`].
    pub(crate) linger: Duration,
    /// See [`crate::config::Config::close_deadline`].
    pub(crate) close_deadline: Duration,
    /// See [`crate::config::Config::reply_deadline`].
    pub(crate) reply_deadline: Duration,
}

/// What brings the login.
#[derive(Debug)]
pub(crate) enum Login {
    /// The first messages do, with credentials from here.
    Messages(LoginSource),
    /// Nothing does: this user logged in with the handshake, or nobody did who has a name.
    Done(Option<UserName>),
}

/// A WebSocket and a console.
#[derive(Debug)]
pub(crate) struct ClientSession<S, C> {
    pub(super) connection: Connection<S>,
    pub(super) console: C,
    pub(super) timeouts: Timeouts,
    pub(super) stage: Stage,
    pub(super) replies: ReplyTracker,
    /// When something last moved: how long the server takes in nothing is counted from here.
    pub(super) last_activity: Instant,
    /// How many bytes had moved on the link by then.
    bytes: u64,
    /// Why messages could not be written, if that was found while something else ended the session.
    pub(super) unwritten: Option<io::Error>,
}

/// How long a session waits for something to happen.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wait {
    /// For as long as it takes.
    Forever,
    /// Until nothing has moved for this long.
    Idle(Duration),
    /// Until this moment, whatever happens before.
    Until(Instant),
}

/// Something that a session waits for.
#[derive(Debug)]
pub(super) enum SessionEvent {
    Line(String),
    Received(Message),
    /// The message that was queued was sent.
    Sent,
    /// Something else was sent or written.
    Progress,
    /// The given time came.
    TimedOut,
    Ended(EndReason),
}

impl<S, C> ClientSession<S, C>
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Console,
{
    pub(crate) fn new(connection: Connection<S>, console: C, timeouts: Timeouts) -> Self {
        Self {
            connection,
            console,
            timeouts,
            stage: Stage::LoggingIn,
            replies: ReplyTracker::default(),
            last_activity: Instant::now(),
            bytes: 0,
            unwritten: None,
        }
    }

    pub(super) async fn run_session(&mut self, login: Login) -> EndReason {
        match login {
            Login::Messages(source) => {
                if let Err(end_reason) = self.log_in(source).await {
                    return end_reason;
                }
            }
            Login::Done(name) => self.replies = ReplyTracker::for_user(name).with_greeting(),
        }
        self.stage = Stage::Messaging;
        self.run_messages().await
    }

    async fn log_in(&mut self, source: LoginSource) -> Result<(), EndReason> {
        let patience = self.timeouts.reply_deadline;
        let when_refused = match self.console.mode() {
            Mode::Interactive => WhenRefused::Ask,
            Mode::Pipe => WhenRefused::GiveUp,
        };
        let (mut login, prompt) = match source {
            LoginSource::Ask => (ClientLogin::ask(patience), Prompt::Credentials),
            LoginSource::AskPassword(name) => (ClientLogin::ask(patience), Prompt::Password(name)),
            LoginSource::Configured(credentials) => (
                ClientLogin::with_line(credentials.line(), when_refused, patience),
                Prompt::Credentials,
            ),
        };
        let began = Instant::now();
        let mut queued = None;
        let mut tried = None;
        let mut credentials_sent = CredentialsSent::No;
        loop {
            let event = match login.next(began.elapsed()) {
                ClientAction::Ask => self.next_event(Some(&prompt), Wait::Forever).await,
                ClientAction::Send(line) => {
                    queued = Credentials::parse(line.expose()).ok();
                    self.connection.queue(Message::Text(line.expose().into()));
                    continue;
                }
                ClientAction::Await(until) => {
                    self.next_event(None, Wait::Until(began + until)).await
                }
                ClientAction::Show(text) => {
                    self.console.notice(&safe_lines(&text));
                    continue;
                }
                ClientAction::LoggedIn(text) => {
                    self.console.notice(&safe_lines(&text));
                    // A server that congratulates unasked needs no credentials.
                    self.connection.cancel_queued();
                    self.replies = ReplyTracker::for_user(tried);
                    return Ok(());
                }
                ClientAction::Refused => return Err(EndReason::LoginRefused),
                ClientAction::TimedOut => return Err(EndReason::LoginTimedOut(patience)),
            };
            match event {
                SessionEvent::Line(line) => match LoginInput::parse(line, &prompt) {
                    LoginInput::Line(line) => login.offer(line),
                    LoginInput::Empty => {}
                    LoginInput::Exit => {
                        self.console.notice(GOODBYE);
                        return Err(EndReason::Exit);
                    }
                },
                // No room tells anything to somebody who has not logged in, if it wants that.
                SessionEvent::Received(Message::Text(text))
                    if RoomMessage::parse(&text).is_some() =>
                {
                    return Err(EndReason::NoLogin(credentials_sent));
                }
                SessionEvent::Received(Message::Text(text)) => login.received(text.to_string()),
                SessionEvent::Received(Message::Binary(bytes)) => {
                    self.console.notice(&hexadecimal(&bytes));
                }
                SessionEvent::Sent => {
                    credentials_sent = CredentialsSent::Yes;
                    tried = queued.take().map(|credentials| credentials.name);
                    login.sent(began.elapsed());
                }
                SessionEvent::Progress | SessionEvent::TimedOut => {}
                SessionEvent::Ended(end_reason) => return Err(end_reason),
            }
        }
    }

    async fn run_messages(&mut self) -> EndReason {
        let mode = self.console.mode();
        let mut over: Option<EndReason> = None;
        let mut hold: Option<Instant> = None;
        let mut patience: Option<Instant> = None;
        loop {
            let (wanted, until) = match over.take() {
                Some(end_reason) if self.is_done(mode) => return end_reason,
                Some(end_reason) => {
                    over = Some(end_reason);
                    (None, self.reply_wait(&mut patience))
                }
                None => match hold {
                    Some(moment) => (None, Wait::Until(moment)),
                    None if !self.connection.is_free() => (None, Wait::Forever),
                    None => (Some(&Prompt::Context), Wait::Forever),
                },
            };
            match self.next_event(wanted, until).await {
                SessionEvent::Line(line) => match Command::parse(line) {
                    Command::Exit => {
                        self.console.notice(GOODBYE);
                        over = Some(EndReason::Exit);
                    }
                    Command::Send(text) => {
                        let message = Message::Text(text.into());
                        self.replies.note_queued(&message);
                        self.connection.queue(message);
                        if mode == Mode::Interactive {
                            hold = Some(Instant::now() + PROMPT_DELAY);
                        }
                    }
                },
                SessionEvent::Received(message) => {
                    self.console.message(message.payload());
                    match self.replies.note_received(message.payload()) {
                        ReplyKind::Reply => (hold, patience) = (None, None),
                        ReplyKind::Unsolicited => {}
                    }
                }
                SessionEvent::Sent => self.replies.note_sent(),
                SessionEvent::Progress => {}
                SessionEvent::TimedOut => match over.take() {
                    Some(end_reason) => return end_reason,
                    None => hold = None,
                },
                // What was sent before is still answered.
                SessionEvent::Ended(
                    end_reason @ (EndReason::EndOfInput | EndReason::BadInput(_)),
                ) => {
                    over = Some(end_reason);
                }
                SessionEvent::Ended(end_reason) => return end_reason,
            }
        }
    }

    /// Whether nothing more is waited for, once there are no more lines.
    fn is_done(&self, mode: Mode) -> bool {
        match mode {
            Mode::Interactive => true,
            Mode::Pipe => self.connection.is_flushed() && self.replies.is_complete(),
        }
    }

    /// How long answers are waited for, once there are no more lines. Among others, who need never
    /// be quiet, that is until a moment, which each answer puts off.
    fn reply_wait(&self, patience: &mut Option<Instant>) -> Wait {
        if !self.connection.is_flushed() {
            *patience = None;
            Wait::Forever
        } else if !self.console.has_room() {
            // What is not read because nobody takes what came before is no silence.
            Wait::Forever
        } else if self.replies.in_room() {
            let fresh = || Instant::now() + self.timeouts.linger;
            Wait::Until(*patience.get_or_insert_with(fresh))
        } else {
            Wait::Idle(self.timeouts.linger)
        }
    }

    /// Waits for the next thing that happens, for so long.
    pub(super) async fn next_event(
        &mut self,
        wanted: Option<&Prompt>,
        until: Wait,
    ) -> SessionEvent {
        loop {
            let limit = match until {
                Wait::Forever => None,
                Wait::Idle(span) => Some(self.last_activity + span),
                // However much happens: a flood must not hold the time up.
                Wait::Until(moment) if Instant::now() >= moment => return SessionEvent::TimedOut,
                Wait::Until(moment) => Some(moment),
            };
            let reading = if self.console.has_room() {
                Reading::On
            } else {
                Reading::Paused
            };
            // A server that is not read may well stop reading: then it is not to blame.
            let may_stall = reading == Reading::On && !self.connection.is_flushed();
            let stalls = may_stall.then_some(self.last_activity + self.timeouts.reply_deadline);
            let event = poll_fn(|cx| {
                // A line that is at hand is sent before what was sent is flushed: many lines
                // travel together.
                match self.console.poll_event(cx, wanted) {
                    Poll::Ready(event) => Poll::Ready(PolledEvent::Console(event)),
                    Poll::Pending => self
                        .connection
                        .poll_event(cx, reading)
                        .map(PolledEvent::Connection),
                }
            });
            let late = tokio::select! {
                biased;
                event = event => return self.take(event),
                () = at(limit) => SessionEvent::TimedOut,
                () = at(stalls) => SessionEvent::Ended(EndReason::Stalled(self.timeouts.reply_deadline)),
            };
            if matches!(until, Wait::Until(moment) if Instant::now() >= moment)
                || !self.has_activity()
            {
                return late;
            }
        }
    }

    /// Whether bytes have moved on the link since this was last looked at. They may be part of a
    /// message that takes longer than any silence.
    fn has_activity(&mut self) -> bool {
        let bytes = self.connection.bytes();
        let has_activity = bytes != self.bytes;
        if has_activity {
            self.bytes = bytes;
            self.last_activity = Instant::now();
        }
        has_activity
    }

    /// Takes note of an event.
    fn take(&mut self, event: PolledEvent) -> SessionEvent {
        match event {
            PolledEvent::Console(event) => match event.line() {
                Ok(Some(line)) => SessionEvent::Line(line),
                Ok(None) => {
                    self.last_activity = Instant::now();
                    SessionEvent::Progress
                }
                Err(end_reason) => SessionEvent::Ended(end_reason),
            },
            PolledEvent::Connection(event) => {
                self.last_activity = Instant::now();
                self.bytes = self.connection.bytes();
                match event {
                    ConnectionEvent::Received(message) => SessionEvent::Received(message),
                    ConnectionEvent::Sent => SessionEvent::Sent,
                    ConnectionEvent::Flushed => SessionEvent::Progress,
                    ConnectionEvent::Closed(end) => SessionEvent::Ended(EndReason::Server(end)),
                }
            }
        }
    }
}

/// What one of the two sides of a session did.
#[derive(Debug)]
enum PolledEvent {
    Console(ConsoleEvent),
    Connection(ConnectionEvent),
}

/// Waits for a moment, or for ever.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}
