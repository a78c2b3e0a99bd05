//! Who is at the other end: the only place where a connection becomes a logged-in one.

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the login does not count its failures yet")
)]
#[expect(
    unreachable_pub,
    reason = "its policy is not a part of the configuration yet"
)]
mod budget;
mod login;
mod verifier;

use proto::credentials::Identity;

pub(crate) use self::{
    login::{NotAuthenticated, log_in},
    verifier::Verifier,
};
use crate::session::Socket;

/// A connection whose peer has proved who it is. Only [`log_in`] makes one, and a
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
