//! The request for a backend, and its failure.

use std::sync::Arc;

use crate::{
    service::program::Programs,
    session::{ConnectionId, Limits, LoginMethod, Principal, RequestHead},
};

/// The request for which a service connects a backend.
#[derive(Debug, Clone, Copy)]
pub struct ConnectRequest<'a> {
    /// The id of the connection.
    pub connection: ConnectionId,
    /// The pattern of the route.
    pub route: &'a str,
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
    /// The programs of all sessions.
    pub programs: &'a Arc<Programs>,
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
    /// The path names no backend.
    #[error("the path names no program")]
    NotFound,
    /// The service has as many sessions as it allows.
    #[error("the service is full")]
    Full,
}
