//! The one gate between a connection and a session.

use std::sync::Arc;

use proto::close::CloseReason;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    access::{Grant, PathPattern, Principal},
    log::audit,
    websocket::{Ended, WebSocket},
};

/// A connection whose peer was let in. Only [`admit`] makes one, and a
/// [`Session`](super::Session) is made of nothing else.
#[derive(Debug)]
pub(crate) struct Authenticated<S> {
    socket: WebSocket<S>,
    principal: Principal,
    path: Arc<str>,
}

impl<S> Authenticated<S> {
    /// What a session is made of.
    pub(crate) fn into_parts(self) -> (WebSocket<S>, Principal, Arc<str>) {
        (self.socket, self.principal, self.path)
    }
}

/// A connection whose peer did not prove who it is, or no longer is that. It is still to be closed.
#[derive(Debug)]
pub(crate) struct NotAuthenticated<S> {
    /// The connection.
    pub(crate) socket: WebSocket<S>,
    /// Why it ends.
    pub(crate) ended: Ended,
}

/// Admits a peer that has proved who it is, or need not.
///
/// The settings that granted access may have changed since. So the grant is registered first and
/// checked against the current settings afterwards: either this check sees the new settings, or the
/// change of settings sees the registered grant. `check` must therefore read the settings when it is
/// called, not before.
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
