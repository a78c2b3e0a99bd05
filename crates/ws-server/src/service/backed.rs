//! The services whose sessions have a backend: a connection or a process of their own.

use std::{convert::Infallible, sync::Arc, time::Duration};

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::session::{ConnectionId, Ended, Limits, LoginMethod, Principal, RequestHead, Session};

/// A service that connects a backend for each session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum BackedService {}

/// The request for which a service connects a backend.
#[derive(Debug, Clone, Copy)]
pub struct ConnectRequest<'a> {
    /// The id of the connection.
    pub connection: ConnectionId,
    /// The user or guest.
    pub principal: &'a Principal,
    /// The method of the login, or `None` for a guest.
    pub login: Option<LoginMethod>,
    /// The head of the request.
    pub head: &'a RequestHead,
    /// The path of the request, in normal form.
    pub path: &'a str,
    /// The part of the path that the wildcard of the route stands for.
    pub rest: &'a str,
    /// The subprotocols that the backend may select, in the client's order. After a login by messages,
    /// this is the one in the response to the client, if any.
    pub subprotocols: &'a [String],
    /// The greatest length of a message of the route.
    pub max_message_bytes: usize,
    /// The limits of the connection.
    pub limits: &'a Arc<Limits>,
}

/// The reason why a backend was not connected.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The backend cannot be reached, or refused.
    #[error("{0}")]
    Unavailable(String),
    /// The deadline passed.
    #[error("timed out")]
    TimedOut,
    /// The service has as many sessions as it allows.
    #[error("the service is full")]
    Full,
}

/// The backend of one session.
#[derive(Debug)]
pub enum Backend {}

impl BackedService {
    /// Returns the time for [`BackedService::connect`].
    pub(crate) fn connect_deadline(&self) -> Duration {
        match *self {}
    }

    /// Returns the greatest number of descriptors of a backend.
    pub(crate) fn descriptors(&self) -> usize {
        match *self {}
    }

    /// Connects a backend. The caller sets a deadline. Dropping the future must leave nothing behind.
    #[expect(clippy::unused_async, reason = "there is no such service yet")]
    pub(crate) async fn connect(
        &self,
        _request: ConnectRequest<'_>,
    ) -> Result<Backend, BackendError> {
        match *self {}
    }
}

impl Backend {
    /// Returns the subprotocol for the response to the client. `chosen` is the one of the route's list
    /// that the client offers.
    pub(crate) fn subprotocol(&self, _chosen: Option<String>) -> Option<String> {
        match *self {}
    }

    /// Runs the session until one side ends it.
    ///
    /// # Errors
    ///
    /// The reason for the end of the session. There is no other result.
    #[expect(clippy::unused_async, reason = "there is no such service yet")]
    pub(crate) async fn run<S>(&mut self, _session: &mut Session<S>) -> Result<Infallible, Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match *self {}
    }

    /// Ends the backend of a session that has ended, while the session closes. It must bound its time by
    /// deadlines. Dropping the future must leave nothing behind.
    #[expect(clippy::unused_async, reason = "there is no such service yet")]
    pub(crate) async fn close(self, _ended: &Ended) {
        match self {}
    }
}
