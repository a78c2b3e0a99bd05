//! One session on an open WebSocket: login, messages, end.
//!
//! A single task waits for the server, the console and the clock at once. A server that sends
//! before it reads is therefore read. A slow reader of stdout slows the server down (back-pressure)
//! instead of filling the memory.

use std::{future::pending, io, task::Poll, time::Duration};

use futures::future::poll_fn;
use proto::{
    login::{ClientAction, ClientLogin, WhenRefused},
    message::{Credentials, CredentialsError},
    secret::Secret,
    username::UserName,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep_until},
};

use super::{
    limit::{EndLimit, Wait},
    outcome::{CredentialsSent, EndReason, Stage},
    ping_timer::{PingAction, PingTimer},
    replies::{ReplyKind, ReplyTracker},
    run_limit::RunLimit,
};
use crate::{
    config::{Goal, LoginSource, PingTimes},
    console::{
        Console, ConsoleEvent, Entry, Event, Mode, Notice, Prompt, Records, RoomMessage,
        TypedLogin, is_login_attempt, login_line,
    },
    websocket::{Bytes, Closed, Connection, ConnectionEvent, Message, Payload, Reading},
};

/// The delay of the next prompt after a message was sent. An answer usually arrives within this
/// time and is then printed above the prompt.
const PROMPT_DELAY: Duration = Duration::from_millis(100);

/// The number of bytes of an unfinished message that count as an answer on its way. A server that
/// sends fewer within the limit is not waited for.
const BYTES_OF_AN_ANSWER: u64 = 16 * 1024;

/// The time limits of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// See [`crate::config::Config::close_deadline`].
    pub(crate) close_deadline: Duration,
    /// See [`crate::config::Config::reply_deadline`].
    pub(crate) reply_deadline: Duration,
    /// The limit of the whole run, if there is one.
    pub(crate) run_limit: Option<RunLimit>,
    /// The times of pings, if any are sent.
    pub(crate) pings: Option<PingTimes>,
}

/// The way in which the client logs in.
#[derive(Debug)]
pub(crate) enum LoginPlan {
    /// By the first messages, with credentials from this source.
    Messages(LoginSource),
    /// Already done: by the opening handshake with this user name, or without a login.
    Done(Option<UserName>),
}

/// A session: a connection and a console.
#[derive(Debug)]
pub(crate) struct ClientSession<S, C> {
    pub(super) connection: Connection<S>,
    pub(super) console: C,
    pub(super) timeouts: Timeouts,
    pub(super) goal: Goal,
    pub(super) stage: Stage,
    pub(super) replies: ReplyTracker,
    /// The time of the last activity in either direction. The write timeout starts here.
    pub(super) last_activity: Instant,
    /// The number of bytes on the connection at that time.
    bytes: u64,
    /// The number of received messages.
    received: u64,
    /// The number of messages that were received after the login.
    pub(super) delivered: usize,
    ping_timer: Option<PingTimer>,
    /// The message of the input that waits to be sent.
    outgoing: Option<Message>,
    /// The number of pings of the input that were not answered yet.
    awaited_pongs: usize,
    /// The write error of stdout, if the session ended for another reason.
    pub(super) write_error: Option<io::Error>,
}

/// An event that a session handles.
#[derive(Debug)]
pub(super) enum SessionEvent {
    Entered(Entry),
    Received(Message),
    /// The queued message was sent.
    Sent,
    /// Other data was sent or written.
    Progress,
    /// The limit of the wait was reached.
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
            goal: Goal::default(),
            stage: Stage::LoggingIn,
            replies: ReplyTracker::default(),
            last_activity: Instant::now(),
            bytes: 0,
            received: 0,
            delivered: 0,
            ping_timer: timeouts.pings.map(PingTimer::new),
            outgoing: None,
            awaited_pongs: 0,
            write_error: None,
        }
    }

    /// Sets the condition under which the session ends by itself.
    pub(crate) fn with_goal(self, goal: Goal) -> Self {
        Self { goal, ..self }
    }

    pub(super) async fn run_session(&mut self, login: LoginPlan) -> EndReason {
        match login {
            LoginPlan::Messages(source) => {
                if let Err(end_reason) = self.log_in(source).await {
                    return end_reason;
                }
            }
            LoginPlan::Done(name) => self.replies = ReplyTracker::for_user(name).with_greeting(),
        }
        if self.console.records() == Records::Raw {
            self.replies = std::mem::take(&mut self.replies).of_stream();
        }
        self.stage = Stage::Messaging;
        self.console.tell(Event::LoggedIn {
            user: self.replies.user(),
        });
        self.run_messages().await
    }

    async fn log_in(&mut self, source: LoginSource) -> Result<(), EndReason> {
        let reply_deadline = self.timeouts.reply_deadline;
        let when_refused = match self.console.mode() {
            Mode::Interactive => WhenRefused::Ask,
            Mode::Pipe => WhenRefused::GiveUp,
        };
        let (mut login, prompt) = match source {
            LoginSource::Ask => (ClientLogin::ask(reply_deadline), Prompt::Credentials),
            LoginSource::AskPassword(name) => {
                (ClientLogin::ask(reply_deadline), Prompt::Password(name))
            }
            LoginSource::Configured(credentials) => (
                ClientLogin::with_line(credentials.line(), when_refused, reply_deadline),
                Prompt::Credentials,
            ),
        };
        let started = Instant::now();
        let mut queued = None;
        let mut sent_user = None;
        let mut credentials_sent = CredentialsSent::No;
        // True while a person may be in the middle of typing credentials.
        let mut is_prompted = false;
        let mut is_hinted = self.console.mode() == Mode::Pipe || prompt != Prompt::Credentials;
        loop {
            let event = match login.next(started.elapsed()) {
                ClientAction::Ask => {
                    if !std::mem::replace(&mut is_hinted, true) {
                        let wanted = Notice::CredentialsWanted(TypedLogin::Message);
                        self.console.notice(wanted);
                    }
                    is_prompted = true;
                    self.next_event(Some(&prompt), Wait::Forever).await
                }
                ClientAction::Send(line) => {
                    queued = Credentials::parse(line.expose()).ok();
                    self.connection.queue(Message::Text(line.expose().into()));
                    continue;
                }
                ClientAction::Await(until) => {
                    self.next_event(None, Wait::Until(started + until)).await
                }
                ClientAction::Show(text) => {
                    self.console
                        .notice(Notice::LoginMessage(Payload::Text(&text)));
                    continue;
                }
                ClientAction::LoggedIn(text) => {
                    self.console
                        .notice(Notice::LoginMessage(Payload::Text(&text)));
                    // A server that accepts unasked needs no credentials.
                    self.connection.cancel_queued();
                    self.replies = ReplyTracker::for_user(sent_user);
                    return if is_prompted && self.console.mode() == Mode::Interactive {
                        self.discard_typed_secret(&prompt).await
                    } else {
                        Ok(())
                    };
                }
                ClientAction::Refused => return Err(EndReason::LoginRefused),
                ClientAction::TimedOut => return Err(EndReason::LoginTimedOut(reply_deadline)),
            };
            match event {
                SessionEvent::Entered(entry) => {
                    if let Some(line) = entry.into_line()
                        && let Some(line) = self.login_line(line, &prompt, credentials_sent)?
                    {
                        is_prompted = false;
                        login.offer(line);
                    }
                }
                // A room that requires a login sends nothing before it.
                SessionEvent::Received(Message::Text(text))
                    if RoomMessage::parse(&text).is_some() =>
                {
                    return Err(EndReason::NoLogin(credentials_sent));
                }
                SessionEvent::Received(Message::Text(text)) => login.received(text.to_string()),
                SessionEvent::Received(Message::Binary(bytes)) => {
                    let payload = Payload::Binary(&bytes);
                    self.console.notice(Notice::LoginMessage(payload));
                }
                SessionEvent::Sent => {
                    credentials_sent = CredentialsSent::Yes;
                    sent_user = queued.take().map(|credentials| credentials.name);
                    login.sent(started.elapsed());
                }
                SessionEvent::Progress | SessionEvent::TimedOut => {}
                SessionEvent::Ended(end_reason) => return Err(end_reason),
            }
        }
    }

    /// Returns the credentials in a line that was entered at this prompt. `None` asks again.
    ///
    /// # Errors
    ///
    /// The line of a pipe is no further login attempt.
    fn login_line(
        &mut self,
        line: String,
        prompt: &Prompt,
        credentials_sent: CredentialsSent,
    ) -> Result<Option<Secret>, EndReason> {
        let Some(line) = login_line(line, prompt) else {
            return Ok(None);
        };
        match self.console.mode() {
            Mode::Pipe
                if credentials_sent == CredentialsSent::Yes && !is_login_attempt(line.expose()) =>
            {
                Err(EndReason::NoFurtherCredentials)
            }
            Mode::Interactive if !line.expose().contains(':') => {
                let error = CredentialsError::NoColon;
                self.console.notice(Notice::LineNotSent(error));
                Ok(None)
            }
            Mode::Pipe | Mode::Interactive => Ok(Some(line)),
        }
    }

    /// Reads the line that may be half typed at a hidden prompt, and drops it. The server accepted
    /// the login unasked: another prompt would show the rest of a password, and send it as a
    /// message.
    async fn discard_typed_secret(&mut self, prompt: &Prompt) -> Result<(), EndReason> {
        self.stage = Stage::Messaging;
        self.console.notice(Notice::UnaskedLogin);
        loop {
            match self.next_event(Some(prompt), Wait::Forever).await {
                SessionEvent::Entered(entry) => {
                    drop(entry.into_line().map(Secret::new));
                    self.console.notice(Notice::LineDropped);
                    return Ok(());
                }
                SessionEvent::Received(message) => {
                    self.deliver(message.payload());
                }
                SessionEvent::Ended(end_reason) => return Err(end_reason),
                SessionEvent::Sent | SessionEvent::Progress | SessionEvent::TimedOut => {}
            }
        }
    }

    /// Shows a message of the session, and counts it.
    pub(super) fn deliver(&mut self, payload: Payload<'_>) -> ReplyKind {
        self.console.message(payload);
        self.delivered += 1;
        self.replies.note_received(payload)
    }

    /// Returns true if the messages that were asked for have arrived.
    pub(super) fn is_count_reached(&self) -> bool {
        match self.goal {
            Goal::Count(wanted) => self.delivered >= wanted.get(),
            Goal::AllAnswered(_) | Goal::Stay => false,
        }
    }

    async fn run_messages(&mut self) -> EndReason {
        let mode = self.console.mode();
        let mut pending_end: Option<EndReason> = None;
        let mut prompt_at: Option<Instant> = None;
        let mut reply_timeout: Option<Instant> = None;
        let mut last_wait: Option<AnswerWait> = None;
        let linger = self.goal.linger();
        loop {
            if self.is_count_reached() {
                return EndReason::CountReached;
            }
            let (wanted, until) = match pending_end.take() {
                Some(end_reason) if self.outlasts(&end_reason) => {
                    pending_end = Some(end_reason);
                    (None, Wait::Forever)
                }
                Some(end_reason) if self.is_done(mode) => return end_reason,
                Some(end_reason) => {
                    pending_end = Some(end_reason);
                    let wait = self.renewed(last_wait.take(), linger);
                    let wait = last_wait.insert(wait);
                    let absolute = wait.limit.next(self.console.has_room());
                    (None, self.reply_wait(&mut reply_timeout, linger, absolute))
                }
                None => match prompt_at {
                    Some(moment) => (None, Wait::Until(moment)),
                    None if !self.connection.is_free() => (None, Wait::Forever),
                    None => (Some(&Prompt::Context), Wait::Forever),
                },
            };
            match self.next_event(wanted, until).await {
                SessionEvent::Entered(entry) => {
                    let message = match entry {
                        Entry::Line(text) => Message::Text(text.into()),
                        Entry::Chunk(bytes) => Message::Binary(bytes),
                        Entry::Ping(payload) => {
                            // The console has checked its length.
                            let sent = self.connection.ping(payload);
                            self.awaited_pongs += usize::from(sent.is_ok());
                            continue;
                        }
                        Entry::Close(frame) => return EndReason::CloseRequested(frame),
                    };
                    self.replies.note_queued(&message);
                    self.outgoing = Some(message.clone());
                    self.connection.queue(message);
                    if mode == Mode::Interactive {
                        prompt_at = Some(Instant::now() + PROMPT_DELAY);
                    }
                }
                SessionEvent::Received(message) => match self.deliver(message.payload()) {
                    ReplyKind::Reply => (prompt_at, reply_timeout) = (None, None),
                    ReplyKind::Unsolicited => {}
                },
                SessionEvent::Sent => self.replies.note_sent(),
                SessionEvent::Progress => {}
                SessionEvent::TimedOut => match pending_end.take() {
                    Some(end_reason) if last_wait.as_ref().is_none_or(|wait| !self.moved(wait)) => {
                        return end_reason;
                    }
                    Some(end_reason) => pending_end = Some(end_reason),
                    None => prompt_at = None,
                },
                // Earlier messages may still be answered.
                SessionEvent::Ended(EndReason::EmptyInput) => match self.goal {
                    Goal::AllAnswered(_) => return EndReason::EmptyInput,
                    Goal::Count(_) | Goal::Stay => pending_end = Some(EndReason::EndOfInput),
                },
                SessionEvent::Ended(
                    end_reason @ (EndReason::Exit | EndReason::EndOfInput | EndReason::BadInput(_)),
                ) => {
                    pending_end = Some(end_reason);
                }
                SessionEvent::Ended(end_reason) => return end_reason,
            }
        }
    }

    /// Returns true if the goal lets the session go on after this end of the input.
    fn outlasts(&self, end_reason: &EndReason) -> bool {
        let by_goal = match self.goal {
            Goal::AllAnswered(_) => false,
            Goal::Count(_) | Goal::Stay => true,
        };
        by_goal && self.console.mode() == Mode::Pipe && matches!(end_reason, EndReason::EndOfInput)
    }

    /// Returns true if no more answers are awaited after the end of the input.
    fn is_done(&self, mode: Mode) -> bool {
        match mode {
            Mode::Interactive => true,
            Mode::Pipe => {
                self.connection.is_flushed()
                    && self.replies.is_complete()
                    && self.awaited_pongs == 0
            }
        }
    }

    /// Returns the limit of the wait for answers after the end of the input. In a room, where
    /// others may never be quiet, each answer renews the limit and other messages do not.
    /// `absolute` is the limit that no message without use renews.
    fn reply_wait(
        &self,
        reply_timeout: &mut Option<Instant>,
        linger: Duration,
        absolute: Wait,
    ) -> Wait {
        let Wait::Until(absolute) = absolute else {
            // A server that is not read because the output queue is full is not silent.
            return absolute;
        };
        if !self.connection.is_flushed() {
            *reply_timeout = None;
            Wait::Until(absolute)
        } else if self.replies.in_room() {
            let fresh = || Instant::now() + linger;
            Wait::Until(absolute.min(*reply_timeout.get_or_insert_with(fresh)))
        } else {
            Wait::Idle(linger, absolute)
        }
    }

    /// Returns the wait for answers with a new limit if there was progress, or else unchanged.
    fn renewed(&self, last: Option<AnswerWait>, linger: Duration) -> AnswerWait {
        match last {
            Some(last) if !self.moved(&last) => last,
            Some(_) | None => AnswerWait {
                // Once all data is written, only pongs follow.
                written: (self.connection.has_unsent_data())
                    .then(|| self.connection.written_bytes()),
                incomplete: self.connection.incomplete_bytes(),
                messages: self.received,
                unanswered: self.replies.counts().unanswered(),
                limit: EndLimit::after(linger + self.timeouts.reply_deadline),
            },
        }
    }

    /// Returns true if the server accepted data, answered a message, or sent much of a long one,
    /// since the wait began.
    fn moved(&self, wait: &AnswerWait) -> bool {
        (wait.written).is_some_and(|written| self.connection.written_bytes() > written)
            || self.replies.counts().unanswered() < wait.unanswered
            || self.received == wait.messages
                && self.connection.incomplete_bytes() >= wait.incomplete + BYTES_OF_AN_ANSWER
    }

    /// Waits for the next event within a limit.
    ///
    /// Cancel safe: an event stays with the connection or the console until it is returned.
    pub(super) async fn next_event(
        &mut self,
        wanted: Option<&Prompt>,
        until: Wait,
    ) -> SessionEvent {
        loop {
            let limit = match until {
                Wait::Forever => None,
                // Checked first, so that a flood of events cannot suspend the limit.
                Wait::Until(moment) | Wait::Idle(_, moment) if Instant::now() >= moment => {
                    return SessionEvent::TimedOut;
                }
                Wait::Idle(span, moment) => Some(moment.min(self.last_activity + span)),
                Wait::Until(moment) => Some(moment),
            };
            let reading = if self.console.has_room() {
                Reading::On
            } else {
                Reading::Paused
            };
            // A server that is not read may stop reading: that is no stall of its own.
            let may_stall = reading == Reading::On && !self.connection.is_flushed();
            let stalls = may_stall.then_some(self.last_activity + self.timeouts.reply_deadline);
            let pings = self.next_ping(reading, until);
            let event = poll_fn(|cx| {
                // A line that is available is sent before the flush, so that many lines travel in
                // one write.
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
                () = at(pings) => match self.keep_alive() {
                    Some(end) => return SessionEvent::Ended(EndReason::Server(end)),
                    None => continue,
                },
                () = at(stalls) => SessionEvent::Ended(EndReason::Stalled(self.timeouts.reply_deadline)),
            };
            let is_over = match until {
                Wait::Until(moment) | Wait::Idle(_, moment) => Instant::now() >= moment,
                Wait::Forever => false,
            };
            if is_over || !self.has_activity() {
                return late;
            }
        }
    }

    /// Returns the time of the next ping, or of the end after one, if any is due. A wait with a limit
    /// needs none, and a ping behind other data would be late without a fault of the server.
    fn next_ping(&mut self, reading: Reading, until: Wait) -> Option<Instant> {
        let ping_timer = self.ping_timer.as_mut()?;
        ping_timer.note_received(self.connection.received_bytes());
        let is_behind_data = !ping_timer.is_pinged() && !self.connection.is_flushed();
        if reading == Reading::Paused || is_behind_data {
            ping_timer.restart();
        }
        match until {
            Wait::Forever => Some(ping_timer.due()),
            Wait::Idle(..) | Wait::Until(_) => None,
        }
    }

    /// Sends the ping that is due. Returns the end of the connection if nothing arrived after it.
    fn keep_alive(&mut self) -> Option<Closed> {
        let ping_timer = self.ping_timer.as_mut()?;
        // The last bytes may be part of a message that is not complete yet.
        ping_timer.note_received(self.connection.received_bytes());
        if ping_timer.due() > Instant::now() {
            return None;
        }
        match ping_timer.act() {
            PingAction::Ping => {
                // An empty payload is never too long.
                let _ = self.connection.ping(Bytes::new());
                None
            }
            PingAction::Lost => {
                let reason = format!(
                    "nothing arrived within {:?} after a ping",
                    ping_timer.timeout()
                );
                let error = io::Error::new(io::ErrorKind::TimedOut, reason);
                Some(Closed::Lost(Some(error)))
            }
        }
    }

    /// Returns true if bytes moved on the connection since the last call. They may belong to a
    /// message that takes longer than any limit.
    fn has_activity(&mut self) -> bool {
        let bytes = self.bytes();
        let has_activity = bytes != self.bytes;
        if has_activity {
            self.bytes = bytes;
            self.last_activity = Instant::now();
        }
        has_activity
    }

    /// Returns the number of bytes that moved on the connection so far, in both directions.
    fn bytes(&self) -> u64 {
        self.connection.received_bytes() + self.connection.written_bytes()
    }

    /// Converts an event and records the activity.
    fn take(&mut self, event: PolledEvent) -> SessionEvent {
        match event {
            PolledEvent::Console(event) => match event.entry() {
                Ok(Some(entry)) => SessionEvent::Entered(entry),
                Ok(None) => {
                    self.last_activity = Instant::now();
                    SessionEvent::Progress
                }
                Err(end_reason) => SessionEvent::Ended(end_reason),
            },
            PolledEvent::Connection(event) => {
                self.last_activity = Instant::now();
                self.bytes = self.bytes();
                match event {
                    ConnectionEvent::Received(message) => {
                        self.received += 1;
                        SessionEvent::Received(message)
                    }
                    ConnectionEvent::Sent => {
                        if let Some(message) = self.outgoing.take() {
                            self.console.tell(Event::Sent(message.payload()));
                        }
                        SessionEvent::Sent
                    }
                    ConnectionEvent::Pong(payload) => {
                        self.console.tell(Event::Pong(&payload));
                        self.awaited_pongs = self.awaited_pongs.saturating_sub(1);
                        SessionEvent::Progress
                    }
                    ConnectionEvent::Flushed => SessionEvent::Progress,
                    ConnectionEvent::Closed(end) => SessionEvent::Ended(EndReason::Server(end)),
                }
            }
        }
    }
}

/// The state of a session when its wait for answers was last renewed.
#[derive(Debug)]
struct AnswerWait {
    /// `None` if all data was written.
    written: Option<u64>,
    incomplete: u64,
    messages: u64,
    unanswered: usize,
    limit: EndLimit,
}

/// An event of one side of a session.
#[derive(Debug)]
enum PolledEvent {
    Console(ConsoleEvent),
    Connection(ConnectionEvent),
}

/// Waits until a time, or forever.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}
