//! The login over an open WebSocket: drives [`ServerLogin`] and decides nothing itself.

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
    settings::Current,
    websocket::{Ended, Incoming, WebSocket},
};

/// What a login by the first messages is for.
#[derive(Debug)]
pub(crate) struct Login<'a> {
    /// Where the peer comes from.
    pub(crate) context: LoginContext,
    /// Where it wants to go.
    pub(crate) matched: RouteMatch,
    /// What is demanded of it.
    pub(crate) policy: LoginPolicy,
    /// Checks what it says.
    pub(crate) verifier: &'a Verifier,
    /// Decides whether the peer may still be there when it is logged in.
    pub(crate) current: &'a Current,
}

/// Logs a peer in by its first messages, within the deadline of the policy. Each wrong try counts
/// against the budget of its address.
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
                        login.received(borrow(&message));
                    }
                    Waited::Done(Err(ended)) => break ended,
                    Waited::End(reason) => break Ended::ByUs(reason),
                    // The next action says what the deadline means.
                    Waited::Late => {}
                }
            }
            ServerAction::Verify(attempt) => {
                let verdict = verifier.verify(attempt, context, &matched.route);
                match wait(&entry, start + policy.deadline, verdict).await {
                    Waited::Done(verdict) => {
                        login.verified(verdict, start.elapsed(), fastrand::f64());
                    }
                    Waited::End(reason) => break Ended::ByUs(reason),
                    Waited::Late => {}
                }
            }
            ServerAction::Wait(until) => {
                if let Waited::End(reason) =
                    wait(&entry, start + until, std::future::pending::<()>()).await
                {
                    break Ended::ByUs(reason);
                }
            }
            ServerAction::Send(text) => {
                match wait(&entry, start + policy.deadline, send(&mut socket, text)).await {
                    Waited::Done(Ok(())) | Waited::Late => {}
                    Waited::Done(Err(ended)) => break ended,
                    Waited::End(reason) => break Ended::ByUs(reason),
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

/// What came of waiting.
enum Waited<T> {
    Done(T),
    /// The connection is told to end.
    End(CloseReason),
    /// The time is over.
    Late,
}

/// Waits for something to be done, but not beyond a moment, nor beyond the end of the connection.
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
        Ok(Either::Left((reason, _))) => Waited::End(reason),
        Ok(Either::Right((done, _))) => Waited::Done(done),
        Err(_) => Waited::Late,
    }
}

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

async fn send<S>(socket: &mut WebSocket<S>, text: &'static str) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    poll_fn(|cx| socket.poll_ready(cx, text.len())).await?;
    socket.queue(text.into())?;
    poll_fn(|cx| socket.poll_flush(cx)).await
}

fn borrow(message: &Message) -> LoginMessage<'_> {
    match message {
        Message::Text(text) => LoginMessage::Text(text),
        Message::Binary(_) => LoginMessage::Binary,
    }
}
