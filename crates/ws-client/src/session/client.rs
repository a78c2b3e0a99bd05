//! One run of the program, from the first prompt or connection to the exit code. The console exists
//! from the start: credentials for the opening handshake are asked for before there is a
//! connection.

use std::{future::Future, pin::pin, task::Poll};

use futures::{Stream, StreamExt as _, future::poll_fn};
use proto::{message::Credentials, username::UserName};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    closing::SessionEnd,
    outcome::EndReason,
    report::print_report,
    run_limit::{passed_by, reached},
    session::{ClientSession, LoginPlan, Timeouts},
};
use crate::{
    config::{Auth, Goal, LoginSource},
    connect::{ConnectError, Upgraded},
    console::{Console, Entry, Event, Mode, Notice, Prompt, TypedLogin, login_line},
    exit::Exit,
    handshake::Subprotocols,
    websocket::Connection,
};

/// A console and the settings of its session.
#[derive(Debug)]
pub(crate) struct Client<C> {
    pub(crate) console: C,
    pub(crate) timeouts: Timeouts,
    pub(crate) goal: Goal,
    /// The URL of the server.
    pub(crate) url: String,
    /// The subprotocols that the request offers.
    pub(crate) subprotocols: Subprotocols,
    /// See [`crate::config::Config::max_message_bytes`].
    pub(crate) max_message_bytes: usize,
    /// The warning that is printed before each connection.
    pub(crate) warning: Option<&'static str>,
}

impl<C: Console> Client<C> {
    /// Runs the client until it exits. `dial` opens each connection, with the credentials for the
    /// opening handshake. The first interrupt exits while no connection is open.
    pub(crate) async fn run<S>(
        mut self,
        auth: Auth,
        source: LoginSource,
        dial: impl AsyncFn(Option<&Credentials>) -> Result<Upgraded<S>, ConnectError>,
        mut interrupts: impl Stream<Item = ()> + Unpin,
    ) -> Exit
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let connected = tokio::select! {
            biased;
            Some(()) = interrupts.next() => Err(EndReason::Interrupted),
            span = reached(self.timeouts.run_limit) => Err(EndReason::TimeUp(span)),
            connected = self.connect_and_log_in(auth, source, dial) => connected,
        };
        match connected {
            Ok((upgraded, login)) => {
                let connection = Connection::new(upgraded, self.max_message_bytes).await;
                let session = ClientSession::new(connection, self.console, self.timeouts)
                    .with_goal(self.goal);
                run_to_exit(session, login, interrupts).await
            }
            Err(end_reason) => {
                self.console.cancel_prompt();
                let exit = tokio::select! {
                    biased;
                    Some(()) = interrupts.next() => Exit::Interrupted,
                    exit = self.finish(end_reason) => exit,
                };
                self.console.finish().await;
                exit
            }
        }
    }

    async fn connect_and_log_in<S>(
        &mut self,
        auth: Auth,
        source: LoginSource,
        dial: impl AsyncFn(Option<&Credentials>) -> Result<Upgraded<S>, ConnectError>,
    ) -> Result<(Upgraded<S>, LoginPlan), EndReason> {
        match auth {
            Auth::Message => {
                // The password is the first line of a pipe. The lines behind it are messages, so it is
                // read once.
                let source = match (source, self.console.mode()) {
                    (LoginSource::AskPassword(name), Mode::Pipe) => {
                        LoginSource::Configured(self.ask(&Prompt::Password(name)).await?)
                    }
                    (source, _) => source,
                };
                let upgraded = self.connect(dial(None)).await?;
                Ok((upgraded, LoginPlan::Messages(source)))
            }
            Auth::Basic => {
                let (upgraded, name) = self.log_in(source, dial).await?;
                Ok((upgraded, LoginPlan::Done(Some(name))))
            }
            Auth::Bearer | Auth::None => {
                let upgraded = self.connect(dial(None)).await?;
                Ok((upgraded, LoginPlan::Done(None)))
            }
        }
    }

    /// Connects with credentials in the opening handshake (HTTP Basic, RFC 7617).
    ///
    /// In interactive mode, refused credentials are asked for again and sent on a new connection. A
    /// pipe gets one connection, and so one line of credentials. The line after a wrong one is
    /// probably a message, which must not be sent as a password guess.
    async fn log_in<S>(
        &mut self,
        source: LoginSource,
        dial: impl AsyncFn(Option<&Credentials>) -> Result<Upgraded<S>, ConnectError>,
    ) -> Result<(Upgraded<S>, UserName), EndReason> {
        let (mut configured, prompt) = match source {
            LoginSource::Ask => (None, Prompt::Credentials),
            LoginSource::AskPassword(name) => (None, Prompt::Password(name)),
            LoginSource::Configured(credentials) => (Some(credentials), Prompt::Credentials),
        };
        let mut is_hinted = self.console.mode() == Mode::Pipe || prompt != Prompt::Credentials;
        loop {
            let credentials = if let Some(credentials) = configured.take() {
                credentials
            } else {
                if !std::mem::replace(&mut is_hinted, true) {
                    let wanted = Notice::CredentialsWanted(TypedLogin::Handshake);
                    self.console.notice(wanted);
                }
                self.ask(&prompt).await?
            };
            match (
                self.connect(dial(Some(&credentials))).await,
                self.console.mode(),
            ) {
                (Err(EndReason::ConnectFailed(error)), Mode::Interactive)
                    if error.is_credentials_refused() =>
                {
                    self.console.notice(Notice::ConnectFailed(&error));
                }
                (result, _) => return result.map(|upgraded| (upgraded, credentials.name)),
            }
        }
    }

    /// Reads credentials from the input. A malformed line is never sent: interactive mode explains
    /// the error and asks again.
    async fn ask(&mut self, prompt: &Prompt) -> Result<Credentials, EndReason> {
        loop {
            let event = poll_fn(|cx| self.console.poll_event(cx, Some(prompt))).await;
            let Some(line) = event.entry()?.and_then(Entry::into_line) else {
                continue;
            };
            let Some(line) = login_line(line, prompt) else {
                continue;
            };
            match (Credentials::parse(line.expose()), self.console.mode()) {
                (Ok(credentials), _) => return Ok(credentials),
                (Err(error), Mode::Interactive) => {
                    self.console.notice(Notice::LineNotSent(error));
                }
                (Err(error), Mode::Pipe) => return Err(EndReason::NoCredentials(error)),
            }
        }
    }

    /// Connects, and meanwhile writes the queued output.
    async fn connect<S>(
        &mut self,
        dial: impl Future<Output = Result<Upgraded<S>, ConnectError>>,
    ) -> Result<Upgraded<S>, EndReason> {
        if let Some(warning) = self.warning {
            self.console.notice(Notice::Text(warning));
        }
        self.console.tell(Event::Connecting);
        let mut dial = pin!(dial);
        let upgraded = poll_fn(|cx| {
            loop {
                if let Poll::Ready(result) = dial.as_mut().poll(cx) {
                    return Poll::Ready(result.map_err(EndReason::ConnectFailed));
                }
                match self.console.poll_event(cx, None) {
                    Poll::Ready(event) => event.entry().map(drop)?,
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await?;
        self.console.tell(Event::Opened { url: &self.url });
        if !self.subprotocols.is_empty() && !upgraded.has_subprotocol {
            let notice = Notice::NoSubprotocol(&self.subprotocols);
            self.console.notice(notice);
        }
        Ok(upgraded)
    }

    /// Ends a run that never had a session.
    async fn finish(&mut self, end_reason: EndReason) -> Exit {
        let end = SessionEnd::without_session(end_reason, self.console.mode());
        print_report(&mut self.console, &end, self.timeouts.close_deadline).await
    }
}

/// Runs a session, closes it and prints the report. The first interrupt starts the closing handshake,
/// the second exits at once.
pub(crate) async fn run_to_exit<S, C>(
    mut session: ClientSession<S, C>,
    login: LoginPlan,
    mut interrupts: impl Stream<Item = ()> + Unpin,
) -> Exit
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Console,
{
    let end_reason = session.run(login, &mut interrupts).await;
    let (deadline, limit) = (session.timeouts.close_deadline, session.timeouts.run_limit);
    let closing = async {
        let end = session.close(end_reason).await;
        let exit = print_report(&mut session.console, &end, deadline).await;
        session.finish_close(&end).await;
        exit
    };
    let exit = tokio::select! {
        biased;
        Some(()) = interrupts.next() => Exit::Interrupted,
        // The reader of the output may be the reason that the end takes longer.
        () = passed_by(limit, 2 * deadline) => Exit::TimedOut,
        exit = closing => exit,
    };
    session.into_console().finish().await;
    exit
}
