//! Who is at the other end: the only place where a connection becomes a logged-in one.

mod budget;
mod hashing;
mod login;
mod verifier;

use proto::credentials::Identity;
use tokio::io::{AsyncRead, AsyncWrite};

pub use self::{
    budget::{BudgetPolicy, Spent},
    hashing::HashingPolicy,
};
pub(crate) use self::{
    login::{NotAuthenticated, log_in},
    verifier::Verifier,
};
use crate::session::Socket;

/// A connection whose peer has proved who it is. Only [`log_in`] and [`admit`] make one, and a
/// [`Session`](crate::session::Session) is made of nothing else.
#[derive(Debug)]
pub(crate) struct Authenticated<S> {
    socket: Socket<S>,
    identity: Identity,
}

impl<S> Authenticated<S> {
    /// What a session is made of.
    pub(crate) fn into_parts(self) -> (Socket<S>, Identity) {
        (self.socket, self.identity)
    }
}

/// Lets a peer in that has proved who it is.
///
/// The accounts may have changed since. So the connection is entered as the user's first, and looked
/// at afterwards: either this sees the new accounts, or whoever changes them sees the connection.
pub(crate) fn admit<S>(
    mut socket: Socket<S>,
    identity: Identity,
    verifier: &Verifier,
) -> Authenticated<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    socket.lift_login_bound();
    let live = socket.live();
    live.logged_in(identity.clone());
    if let Err(revoked) = verifier.check(&identity) {
        live.end(revoked.into());
    }
    Authenticated { socket, identity }
}
