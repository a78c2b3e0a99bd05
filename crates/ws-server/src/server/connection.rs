//! The stages of one connection: handshake, admission or login, session, close.

use std::{convert::Infallible, panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Instant};

use futures::{
    FutureExt as _,
    future::{Either, ready, select},
};
use proto::{close::CloseReason, escape::Escaped};
use tracing::{debug, error, info};

use crate::{
    access::{Grant, LoginContext, LoginMethod, Principal},
    admission::ConnectionPermit,
    auth::{Login, log_in},
    log::{Throttle, more},
    peer::{ConnectionId, Peer},
    route::Route,
    server::{
        accepted::AcceptedConnection,
        backend::{Opening, close_reason},
        http::{HandshakeResponse, HttpOutcome, exchange},
        state::ServerState,
        stream::ServedStream,
    },
    service::Backend,
    session::{NotAuthenticated, Session, admit},
    websocket::{ByteTurns, Ended, WebSocket},
};

/// Serves a connection up to its login, then spawns the session as a task of its own. So the memory
/// of the earlier stages is freed, and a session's task is small.
pub(crate) async fn serve<S>(io: S, accepted: AcceptedConnection, state: Arc<ServerState>)
where
    S: ServedStream,
{
    let (outcome, peer) = exchange(io, &accepted, &state).await;
    let (id, settings, mut permit) = (accepted.id, accepted.settings, accepted.permit);
    let (io, leftovers, matched, principal, opening) = match outcome {
        HttpOutcome::Upgraded {
            io,
            leftovers,
            matched,
            principal,
            opening,
        } => (io, leftovers, matched, principal, opening),
        HttpOutcome::Answered(response) => {
            log_response(id, peer, response);
            return;
        }
        HttpOutcome::Malformed(error) => {
            debug!(connection = id.number(), %peer, %error, "malformed request");
            return;
        }
        HttpOutcome::TimedOut => {
            debug!(connection = id.number(), %peer, "handshake timed out");
            return;
        }
        HttpOutcome::Disconnected => {
            debug!(connection = id.number(), %peer, "disconnected before a request");
            return;
        }
    };
    let registration = state.registry.register(id, peer);
    let route = Arc::clone(&matched.route);
    if route.service.waits_for_readers()
        && let Err(error) = io.limit_unsent_bytes()
    {
        debug!(connection = id.number(), %peer, %error, "cannot limit the unsent bytes of the socket");
    }
    let mut socket = WebSocket::new(
        io,
        leftovers,
        Arc::clone(&settings.limits),
        settings.max_message_bytes(&route),
        registration,
    );
    socket.set_stream_buffer(S::BUFFER_BYTES);
    let pattern = Arc::clone(&route.pattern);
    let check = |grant: &Grant| state.current.check(grant);
    let authenticated = if let Some(principal) = principal {
        admit(socket, principal, pattern, matched.path, check)
    } else {
        let context = LoginContext {
            address: peer.address(),
            connection: id,
            method: LoginMethod::Message,
        };
        let login = Login {
            context,
            matched,
            policy: settings.login,
            verifier: &state.verifier,
            current: &state.current,
        };
        log_in(socket, login).await
    };
    match authenticated {
        Ok(authenticated) => {
            let session = Session::new(authenticated);
            permit.promote(session.principal());
            spawn_session(session, id, permit, route, opening, &state);
        }
        Err(NotAuthenticated { socket, ended }) => {
            debug!(connection = id.number(), %peer, cause = %ended, "not logged in");
            state.metrics.closed(&ended);
            let close_backend = async {
                if let Some(opening) = opening {
                    opening.close(&ended).await;
                }
            };
            // Boxed, so that handshakes and logins do not reserve memory for it.
            Box::pin(socket.close(&ended, close_backend)).await;
        }
    }
}

/// Logs a response that ended the connection.
fn log_response(id: ConnectionId, peer: Peer, response: HandshakeResponse) {
    match response {
        HandshakeResponse::Published {
            path,
            identity,
            bytes,
        } => {
            let (user, path) = (identity.user(), Escaped(&path));
            info!(connection = id.number(), %peer, %user, %path, bytes, "published");
        }
        HandshakeResponse::Ticket(identity) => {
            let user = identity.user();
            debug!(connection = id.number(), %peer, %user, "ticket sent");
        }
        HandshakeResponse::Preflight => {
            debug!(connection = id.number(), %peer, "preflight allowed");
        }
        HandshakeResponse::Page => debug!(connection = id.number(), %peer, "page sent"),
        HandshakeResponse::Description => {
            debug!(connection = id.number(), %peer, "description sent");
        }
        HandshakeResponse::Refused(refusal) => {
            let status = refusal.status().as_u16();
            let reason = refusal.text();
            debug!(connection = id.number(), %peer, status, reason, "handshake refused");
        }
    }
}

/// Spawns the task of a session.
fn spawn_session<S: ServedStream>(
    session: Session<S>,
    id: ConnectionId,
    permit: ConnectionPermit,
    route: Arc<Route>,
    opening: Option<Opening>,
    state: &Arc<ServerState>,
) {
    let (tasks, state) = (&state.tasks, Arc::clone(state));
    // Two task types: sessions without a backend do not reserve memory for one.
    match opening {
        None => tasks.spawn(serve_session(session, id, permit, route, state)),
        Some(opening) => tasks.spawn(serve_backed_session(session, id, permit, opening, state)),
    };
}

/// Serves a session to its end, and holds its permit until then.
// An `async fn` would hold each of its arguments twice.
#[expect(clippy::manual_async_fn, reason = "a task of half the size")]
fn serve_session<S>(
    mut session: Session<S>,
    id: ConnectionId,
    permit: ConnectionPermit,
    route: Arc<Route>,
    state: Arc<ServerState>,
) -> impl Future<Output = ()> + Send
where
    S: ServedStream,
{
    async move {
        let _permit = permit;
        let mut turns = ByteTurns::new(Arc::clone(&state.byte_turns), session.peer().address());
        log_opened(&session, &state);
        let service = route.service.run(&mut session, &state.hub);
        let ended = turns.run(pin!(until_ended(service, id))).await;
        log_ended(&session, &ended, &state);
        // Boxed, so that the session's task does not reserve memory for its close.
        turns.run(Box::pin(session.close(&ended, ready(())))).await;
    }
}

/// Serves a session whose service has a backend, as [`serve_session`] does. The backend is connected
/// first, if it is not, and ends with the session.
async fn serve_backed_session<S>(
    mut session: Session<S>,
    id: ConnectionId,
    permit: ConnectionPermit,
    opening: Opening,
    state: Arc<ServerState>,
) where
    S: ServedStream,
{
    let _permit = permit;
    let mut turns = ByteTurns::new(Arc::clone(&state.byte_turns), session.peer().address());
    log_opened(&session, &state);
    let (ended, backend) = match connect_backend(&mut session, opening, &state).await {
        Ok(mut backend) => {
            let service = until_ended(backend.run(&mut session), id);
            let ended = turns.run(pin!(service)).await;
            (ended, Some(backend))
        }
        Err(ended) => (ended, None),
    };
    log_ended(&session, &ended, &state);
    let close_backend = async {
        if let Some(backend) = backend {
            backend.close(&ended).await;
        }
    };
    turns
        .run(Box::pin(session.close(&ended, close_backend)))
        .await;
}

/// Returns the backend of a session, and connects it if it is not yet.
async fn connect_backend<S>(
    session: &mut Session<S>,
    opening: Opening,
    state: &ServerState,
) -> Result<Box<Backend>, Ended>
where
    S: ServedStream,
{
    let pending = match opening {
        Opening::Connected(backend) => return Ok(backend),
        Opening::Pending(pending) => pending,
    };
    let principal = session.principal().clone();
    let login = principal.login_method(LoginMethod::Message);
    let connect = pin!(pending.connect(&principal, login, None, state));
    match select(connect, pin!(session.hold())).await {
        Either::Left((connected, _)) => {
            connected.map_err(|error| Ended::ByUs(close_reason(&error)))
        }
        Either::Right((ended, _)) => Err(ended),
    }
}

/// Logs the begin of a session.
fn log_opened<S>(session: &Session<S>, state: &ServerState)
where
    S: ServedStream,
{
    let path = Escaped(session.path());
    if let Some(suppressed) = suppressed_lines(session.principal(), &state.guest_opened) {
        info!(
            connection = session.id().number(),
            peer = %session.peer(),
            user = %session.principal(),
            %path,
            more = more(suppressed),
            "session opened"
        );
    }
}

/// Counts and logs the end of a session.
fn log_ended<S>(session: &Session<S>, ended: &Ended, state: &ServerState)
where
    S: ServedStream,
{
    state.metrics.closed(ended);
    let counts = session.counts();
    if let Some(suppressed) = suppressed_lines(session.principal(), &state.guest_ended) {
        info!(
            connection = session.id().number(),
            peer = %session.peer(),
            user = %session.principal(),
            cause = %ended,
            code = ended.code().map(|code| code.0),
            seconds = session.since().elapsed().as_secs_f64(),
            messages_in = counts.messages_in,
            bytes_in = counts.bytes_in,
            messages_out = counts.messages_out,
            bytes_out = counts.bytes_out,
            more = more(suppressed),
            "session ended"
        );
    }
}

/// Returns the number of suppressed lines if a line about this session is due. Lines about users are
/// always due.
fn suppressed_lines(principal: &Principal, guests: &Throttle) -> Option<u64> {
    match principal {
        Principal::User(_) => Some(0),
        Principal::Guest(_) => guests.due(Instant::now()),
    }
}

/// Runs a service to its end. A panic ends only this session.
pub(super) async fn until_ended(
    service: impl Future<Output = Result<Infallible, Ended>>,
    id: ConnectionId,
) -> Ended {
    match AssertUnwindSafe(service).catch_unwind().await {
        Ok(Err(ended)) => ended,
        Ok(Ok(never)) => match never {},
        Err(_) => {
            error!(
                connection = id.number(),
                "the service panicked; only this session is closed"
            );
            Ended::ByUs(CloseReason::Internal)
        }
    }
}
