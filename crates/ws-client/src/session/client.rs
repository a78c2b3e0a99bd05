//! A visit to a server, from the first prompt or connection to the last words. It has a console all
//! along: credentials that travel with the handshake are asked for before there is a connection.

use std::{future::Future, pin::pin, task::Poll};

use futures::{Stream, StreamExt as _, future::poll_fn};
use proto::{message::Credentials, username::UserName};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    outcome::{CloseOutcome, EndContext, EndReason, MessageCounts, Stage, exit_report},
    report::print_report,
    session::{ClientSession, Login, Timeouts},
};
use crate::{
    config::{Auth, LoginSource},
    connect::{ConnectError, Upgraded},
    console::{Console, GOODBYE, LoginInput, Mode, Prompt},
    exit::Exit,
    websocket::Connection,
};

/// A console, and what is kept to while it is used.
#[derive(Debug)]
pub(crate) struct Client<C> {
    pub(crate) console: C,
    pub(crate) timeouts: Timeouts,
    /// See [`crate::config::Config::max_message_bytes`].
    pub(crate) max_message_bytes: usize,
    /// What is said before each connection.
    pub(crate) warning: Option<&'static str>,
}

impl<C: Console> Client<C> {
    /// Runs the visit to its end. Each connection is made by `dial`, with the credentials that the
    /// handshake is to present. Until one is open, the first interrupt ends the visit.
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
            connected = self.connect_and_log_in(auth, source, dial) => connected,
        };
        match connected {
            Ok((upgraded, login)) => {
                let connection = Connection::new(upgraded, self.max_message_bytes).await;
                let session = ClientSession::new(connection, self.console, self.timeouts);
                session.run(login, interrupts).await
            }
            Err(end_reason) => {
                self.console.cancel_prompt();
                let exit = tokio::select! {
                    biased;
                    Some(()) = interrupts.next() => Exit::Interrupted,
                    exit = self.finish(&end_reason) => exit,
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
    ) -> Result<(Upgraded<S>, Login), EndReason> {
        match auth {
            Auth::Message => {
                let upgraded = self.connect(dial(None)).await?;
                Ok((upgraded, Login::Messages(source)))
            }
            Auth::Basic => {
                let (upgraded, name) = self.log_in(source, dial).await?;
                Ok((upgraded, Login::Done(Some(name))))
            }
            Auth::None => {
                let upgraded = self.connect(dial(None)).await?;
                Ok((upgraded, Login::Done(None)))
            }
        }
    }

    /// Presents credentials with the handshake. A person whose credentials are refused is asked for
    /// others, which are presented on a new connection. A script has one connection, and so one
    /// line for its credentials: what follows a wrong one is likely to be a message, and must not
    /// be presented, line by line, as a guess of a password.
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
        loop {
            let credentials = match configured.take() {
                Some(credentials) => credentials,
                None => self.ask(&prompt).await?,
            };
            match (
                self.connect(dial(Some(&credentials))).await,
                self.console.mode(),
            ) {
                (Err(EndReason::ConnectFailed(error)), Mode::Interactive)
                    if error.is_of_credentials() =>
                {
                    self.console.say(&error.to_string());
                }
                (result, _) => return result.map(|upgraded| (upgraded, credentials.name)),
            }
        }
    }

    /// Gets credentials from the input. What is none is not sent anywhere: a person is told so and
    /// asked again.
    async fn ask(&mut self, prompt: &Prompt) -> Result<Credentials, EndReason> {
        loop {
            let event = poll_fn(|cx| self.console.poll_event(cx, Some(prompt))).await;
            let Some(line) = event.line()? else {
                continue;
            };
            let line = match LoginInput::parse(line, prompt) {
                LoginInput::Line(line) => line,
                LoginInput::Empty => continue,
                LoginInput::Exit => {
                    self.console.notice(GOODBYE);
                    return Err(EndReason::Exit);
                }
            };
            match (Credentials::parse(line.expose()), self.console.mode()) {
                (Ok(credentials), _) => return Ok(credentials),
                (Err(error), Mode::Interactive) => self.console.say(&error.to_string()),
                (Err(error), Mode::Pipe) => return Err(EndReason::NoCredentials(error)),
            }
        }
    }

    /// Connects, and has written meanwhile what is queued.
    async fn connect<S>(
        &mut self,
        dial: impl Future<Output = Result<Upgraded<S>, ConnectError>>,
    ) -> Result<Upgraded<S>, EndReason> {
        if let Some(warning) = self.warning {
            self.console.say(warning);
        }
        let mut dial = pin!(dial);
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(result) = dial.as_mut().poll(cx) {
                    return Poll::Ready(result.map_err(EndReason::ConnectFailed));
                }
                match self.console.poll_event(cx, None) {
                    Poll::Ready(event) => event.line().map(drop)?,
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }

    /// Ends a visit that has not come to a session.
    async fn finish(&mut self, end_reason: &EndReason) -> Exit {
        let context = EndContext {
            mode: self.console.mode(),
            stage: Stage::LoggingIn,
            counts: MessageCounts::default(),
        };
        let deadline = self.timeouts.close_deadline;
        let report = exit_report(end_reason, CloseOutcome::NotNeeded, context, deadline);
        print_report(&mut self.console, end_reason, report, 0, deadline).await
    }
}
