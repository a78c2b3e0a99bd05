//! The login by the credentials of a request.

use std::{net::IpAddr, sync::Arc};

use proto::{
    credentials::Identity,
    login::{Attempt, LoginVerdict},
};

use crate::{
    access::{LoginContext, LoginMethod},
    handshake::Refusal,
    route::Route,
    server::{accepted::AcceptedConnection, state::ServerState},
};

/// Verifies the attempt of a request from this client address, and checks that the route admits the
/// user, if there is one.
///
/// # Errors
///
/// The refusal of the request.
pub(super) async fn log_in(
    attempt: Attempt,
    client: IpAddr,
    accepted: &AcceptedConnection,
    route: Option<&Arc<Route>>,
    state: &ServerState,
) -> Result<Identity, Refusal> {
    let context = LoginContext {
        address: client,
        connection: accepted.id,
        method: LoginMethod::Basic,
    };
    match state.verifier.verify(attempt, context, route).await {
        LoginVerdict::Accepted(identity) => Ok(identity),
        LoginVerdict::Rejected => Err(Refusal::WrongCredentials),
        LoginVerdict::Forbidden => Err(Refusal::Forbidden),
        LoginVerdict::Throttled { retry_after } => Err(Refusal::TooManyFailures { retry_after }),
        LoginVerdict::Busy { .. } => Err(Refusal::TooManyLogins),
    }
}
