//! The admission of a connection, the only way to a session.

use std::sync::Arc;

use proto::close::CloseReason;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    access::{Grant, PathPattern, Principal},
    log::audit,
    websocket::{Ended, WebSocket},
};

/// An admitted connection. Only [`admit`] creates one, and a [`Session`](crate::session::Session)
/// needs one.
#[derive(Debug)]
pub(crate) struct Authenticated<S> {
    socket: WebSocket<S>,
    principal: Principal,
    path: Arc<str>,
}

impl<S> Authenticated<S> {
    /// Returns the parts for a session.
    pub(crate) fn into_parts(self) -> (WebSocket<S>, Principal, Arc<str>) {
        (self.socket, self.principal, self.path)
    }
}

/// A connection that is not admitted: the login failed, or the access was revoked. The caller must
/// close it.
#[derive(Debug)]
pub(crate) struct NotAuthenticated<S> {
    /// The connection.
    pub(crate) socket: WebSocket<S>,
    /// The reason for the end.
    pub(crate) ended: Ended,
}

/// Admits a connection after its login, or without one on a public route.
///
/// The settings that granted access may have changed since. So the grant is registered first and
/// checked against the current settings afterwards: either this check sees the new settings, or the
/// change of settings sees the registered grant. `check` must therefore read the settings when it is
/// called, not before.
///
/// # Errors
///
/// The access was revoked, or the registry ended the connection. Returns the socket with the reason.
#[expect(
    clippy::result_large_err,
    reason = "the connection is in either, and has to be moved in any case"
)]
pub(crate) fn admit<S>(
    mut socket: WebSocket<S>,
    principal: Principal,
    pattern: Arc<PathPattern>,
    path: Arc<str>,
    check: impl Fn(&Grant) -> Result<(), CloseReason>,
) -> Result<Authenticated<S>, NotAuthenticated<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let entry = socket.entry();
    let grant = Grant {
        principal: principal.clone(),
        pattern,
    };
    if let Err(reason) = check(entry.admit(grant, Arc::clone(&path)))
        && entry.end(reason)
    {
        audit::session_revoked(socket.id(), &principal, reason);
    }
    if let Some(reason) = entry.ended() {
        let ended = Ended::ByUs(reason);
        return Err(NotAuthenticated { socket, ended });
    }
    socket.lift_login_bound();
    Ok(Authenticated {
        socket,
        principal,
        path,
    })
}
