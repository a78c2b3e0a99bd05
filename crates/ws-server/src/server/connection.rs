//! The stages of one connection: handshake, admission or login, session, close.

use std::{convert::Infallible, panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Instant};

use futures::FutureExt as _;
use proto::{close::CloseReason, escape::Escaped};
use tracing::{debug, error, info};

use crate::{
    access::{Access, Grant, LoginContext, LoginMethod, Principal},
    admission::ConnectionPermit,
    auth::{Login, log_in},
    log::{Throttle, more},
    peer::{ConnectionId, Peer},
    route::Route,
    server::{
        accepted::AcceptedConnection,
        http::{HandshakeResponse, HttpOutcome, exchange},
        state::ServerState,
        stream::ServedStream,
    },
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
    let (io, leftovers, matched, identity) = match outcome {
        HttpOutcome::Upgraded {
            io,
            leftovers,
            matched,
            identity,
        } => (io, leftovers, matched, identity),
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
    let socket = WebSocket::new(
        io,
        leftovers,
        Arc::clone(&settings.limits),
        settings.max_message_bytes(&route),
        registration,
    );
    let pattern = Arc::clone(&route.pattern);
    let check = |grant: &Grant| state.current.check(grant);
    let authenticated = match identity {
        Some(identity) => {
            let principal = Principal::User(identity);
            admit(socket, principal, pattern, matched.path, check)
        }
        None if route.access == Access::Public => {
            let principal = Principal::Guest(id);
            admit(socket, principal, pattern, matched.path, check)
        }
        None => {
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
        }
    };
    match authenticated {
        Ok(authenticated) => {
            let session = Session::new(authenticated);
            permit.promote(session.principal());
            let serve = serve_session(session, id, permit, route, Arc::clone(&state));
            state.tasks.spawn(serve);
        }
        Err(NotAuthenticated { socket, ended }) => {
            debug!(connection = id.number(), %peer, cause = %ended, "not logged in");
            state.metrics.closed(&ended);
            socket.close(&ended).await;
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
        let path = Escaped(session.path());
        if let Some(suppressed) = suppressed_lines(session.principal(), &state.guest_opened) {
            info!(
                connection = id.number(),
                peer = %session.peer(),
                user = %session.principal(),
                %path,
                more = more(suppressed),
                "session opened"
            );
        }
        let service = route.service.run(&mut session, &state.hub);
        let ended = turns.run(pin!(until_ended(service, id))).await;
        state.metrics.closed(&ended);
        let counts = session.counts();
        if let Some(suppressed) = suppressed_lines(session.principal(), &state.guest_ended) {
            info!(
                connection = id.number(),
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
        // Boxed, so that the session's task does not reserve memory for its close.
        turns.run(Box::pin(session.close(&ended))).await;
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
