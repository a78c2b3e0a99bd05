//! The login by messages over an open WebSocket: the I/O for [`ServerLogin`], which decides.

use std::{future::poll_fn, sync::Arc, task::Poll};

use futures::future::{Either, select};
use proto::{
    close::CloseReason,
    login::{LoginMessage, LoginPolicy, ServerAction, ServerLogin},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout_at},
};

use crate::{
    access::{LoginContext, Principal},
    auth::Verifier,
    message::Message,
    registry::ConnectionEntry,
    route::RouteMatch,
    session::{Authenticated, NotAuthenticated, admit},
    settings::CurrentSettings,
    websocket::{Ended, Incoming, WebSocket},
};

/// The parameters of a login by messages.
#[derive(Debug)]
pub(crate) struct Login<'a> {
    /// The origin of the attempts.
    pub(crate) context: LoginContext,
    /// The route and path of the handshake.
    pub(crate) matched: RouteMatch,
    /// The deadline and the maximum of failed attempts.
    pub(crate) policy: LoginPolicy,
    /// Verifies the attempts.
    pub(crate) verifier: &'a Verifier,
    /// The settings that check the grant after the login.
    pub(crate) current: &'a CurrentSettings,
}

/// Logs a client in by its first messages, within the deadline of the policy. Each failed attempt
/// counts against the budget of its address.
///
/// # Errors
///
/// Returns the socket with the reason for the close.
pub(crate) async fn log_in<S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: WebSocket<S>,
    login: Login<'_>,
) -> Result<Authenticated<S>, NotAuthenticated<S>> {
    let Login {
        context,
        matched,
        policy,
        verifier,
        current,
    } = login;
    let entry = Arc::clone(socket.entry());
    let start = Instant::now();
    let mut login = ServerLogin::new(policy);
    let ended = loop {
        match login.next(start.elapsed()) {
            ServerAction::Read(until) => {
                match wait(&entry, start + until, receive(&mut socket)).await {
                    Waited::Done(Ok(message)) => {
                        login.received(login_message(&message));
                    }
                    Waited::Done(Err(ended)) => break ended,
                    Waited::Ended(reason) => break Ended::ByUs(reason),
                    // `next` returns the action for the deadline.
                    Waited::TimedOut => {}
                }
            }
            ServerAction::Verify(attempt) => {
                let verdict = verifier.verify(attempt, context, Some(&matched.route));
                match wait(&entry, start + policy.deadline, verdict).await {
                    Waited::Done(verdict) => {
                        login.verified(verdict, start.elapsed(), fastrand::f64());
                    }
                    Waited::Ended(reason) => break Ended::ByUs(reason),
                    Waited::TimedOut => {}
                }
            }
            ServerAction::Wait(until) => {
                if let Waited::Ended(reason) =
                    wait(&entry, start + until, std::future::pending::<()>()).await
                {
                    break Ended::ByUs(reason);
                }
            }
            ServerAction::Send(text) => {
                match wait(&entry, start + policy.deadline, send(&mut socket, text)).await {
                    Waited::Done(Ok(())) => login.sent(),
                    Waited::Done(Err(ended)) => break ended,
                    // `next` returns the action for the deadline.
                    Waited::TimedOut => {}
                    Waited::Ended(reason) => break Ended::ByUs(reason),
                }
            }
            ServerAction::LoggedIn(identity) => {
                let principal = Principal::User(identity);
                let RouteMatch { route, path } = matched;
                let pattern = Arc::clone(&route.pattern);
                return admit(socket, principal, pattern, path, |grant| {
                    current.check(grant)
                });
            }
            ServerAction::Close(reason) => break Ended::ByUs(reason),
        }
    };
    Err(NotAuthenticated { socket, ended })
}

/// The result of [`wait`].
enum Waited<T> {
    Done(T),
    /// The registry ended the connection for this reason.
    Ended(CloseReason),
    /// The deadline passed.
    TimedOut,
}

/// Waits for `work`, until the deadline or until the registry ends the connection.
async fn wait<T>(
    entry: &Arc<ConnectionEntry>,
    until: Instant,
    work: impl Future<Output = T>,
) -> Waited<T> {
    let end = poll_fn(|cx| match entry.poll_ended(cx.waker()) {
        Some(reason) => Poll::Ready(reason),
        None => Poll::Pending,
    });
    match timeout_at(until, select(end, std::pin::pin!(work))).await {
        Ok(Either::Left((reason, _))) => Waited::Ended(reason),
        Ok(Either::Right((done, _))) => Waited::Done(done),
        Err(_) => Waited::TimedOut,
    }
}

/// Returns the next data message. Control frames are handled by the socket.
async fn receive<S>(socket: &mut WebSocket<S>) -> Result<Message, Ended>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match poll_fn(|cx| socket.poll_message(cx)).await? {
            Incoming::Message(message) => return Ok(message),
            Incoming::Control => {}
        }
    }
}

/// Sends a text and flushes it. If cancelled, the text may be queued or not.
async fn send<S>(socket: &mut WebSocket<S>, text: &'static str) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    poll_fn(|cx| socket.poll_ready(cx, text.len())).await?;
    socket.queue(text.into())?;
    poll_fn(|cx| socket.poll_flush(cx)).await
}

fn login_message(message: &Message) -> LoginMessage<'_> {
    match message {
        Message::Text(text) => LoginMessage::Text(text),
        Message::Binary(_) => LoginMessage::Binary,
    }
}
