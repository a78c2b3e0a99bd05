//! The connection of a service's backend: before the 101 if the request logs in, else after the login.

use std::sync::Arc;

use proto::{close::CloseReason, escape::Escaped};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::{
    access::{LoginMethod, Principal},
    handshake::Refusal,
    limits::Limits,
    log::more,
    metrics::ConnectResult,
    peer::ConnectionId,
    request_head::RequestHead,
    route::RouteMatch,
    server::state::ServerState,
    service::{BackedService, Backend, BackendError, ConnectRequest},
    websocket::Ended,
};

/// The backend of a connection whose service has one.
#[derive(Debug)]
pub(crate) enum Opening {
    /// A connected backend.
    Connected(Box<Backend>),
    /// A backend to connect after the login.
    Pending(Box<PendingBackend>),
}

impl Opening {
    /// Ends the backend of a connection that was not admitted.
    pub(crate) async fn close(self, ended: &Ended) {
        match self {
            Self::Connected(backend) => backend.close(ended).await,
            Self::Pending(_) => {}
        }
    }
}

/// The data to connect a backend with.
#[derive(Debug)]
pub(crate) struct PendingBackend {
    /// The service.
    pub(crate) service: Arc<BackedService>,
    /// The id of the connection.
    pub(crate) connection: ConnectionId,
    /// The route and path of the request.
    pub(crate) matched: RouteMatch,
    /// The head of the request.
    pub(crate) head: RequestHead,
    /// The subprotocols that the backend may select.
    pub(crate) subprotocols: Vec<String>,
    /// The greatest length of a message of the route.
    pub(crate) max_message_bytes: usize,
    /// The limits of the connection.
    pub(crate) limits: Arc<Limits>,
}

impl PendingBackend {
    /// Connects the backend, within the deadline of the service and before `latest`. A failure is logged
    /// here.
    ///
    /// # Errors
    ///
    /// The backend is not available, or the deadline passed.
    pub(crate) async fn connect(
        &self,
        principal: &Principal,
        login: Option<LoginMethod>,
        latest: Option<Instant>,
        state: &ServerState,
    ) -> Result<Box<Backend>, BackendError> {
        let RouteMatch { route, path } = &self.matched;
        let pattern = route.pattern.to_string();
        let request = ConnectRequest {
            connection: self.connection,
            route: &pattern,
            principal,
            login,
            head: &self.head,
            path,
            rest: route.pattern.rest(path),
            subprotocols: &self.subprotocols,
            max_message_bytes: self.max_message_bytes,
            limits: &self.limits,
            programs: &state.programs,
        };
        let start = Instant::now();
        let deadline = start + self.service.connect_deadline();
        let deadline = latest.map_or(deadline, |latest| deadline.min(latest));
        let connected = timeout_at(deadline, self.service.connect(request))
            .await
            .unwrap_or(Err(BackendError::TimedOut));
        let result = ConnectResult::of(&connected);
        state
            .metrics
            .upstream_connected(&route.pattern, result, start.elapsed());
        // Clients choose their paths, so an unknown one is no fault of the service.
        if let Err(error) = &connected
            && result != ConnectResult::NotFound
            && let Some(suppressed) = state.upstream_failed.due(start.into_std())
        {
            // The name in a certificate may be a part of it.
            let reason = error.to_string();
            warn!(
                connection = self.connection.number(),
                route = %route.pattern,
                reason = %Escaped(&reason),
                more = more(suppressed),
                "the upstream of a route is not available"
            );
        }
        connected.map(Box::new)
    }
}

impl ConnectResult {
    fn of<T>(connected: &Result<T, BackendError>) -> Self {
        match connected {
            Ok(_) => Self::Ok,
            Err(BackendError::Unavailable(_)) => Self::Unavailable,
            Err(BackendError::TimedOut) => Self::TimedOut,
            Err(BackendError::NotFound) => Self::NotFound,
            Err(BackendError::Full) => Self::Full,
        }
    }
}

impl From<BackendError> for Refusal {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::Unavailable(_) => Self::UpstreamUnavailable,
            BackendError::TimedOut => Self::UpstreamTimeout,
            BackendError::NotFound => Self::UnknownPath,
            BackendError::Full => Self::ServiceFull,
        }
    }
}

/// Returns the reason to close a connection after a login by messages.
pub(crate) fn close_reason(error: &BackendError) -> CloseReason {
    match error {
        BackendError::Unavailable(_) | BackendError::TimedOut | BackendError::NotFound => {
            CloseReason::UpstreamUnavailable
        }
        BackendError::Full => CloseReason::ServiceFull,
    }
}
