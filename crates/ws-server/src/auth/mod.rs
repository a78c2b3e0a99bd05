//! Who is at the other end: the only place where a connection becomes a logged-in one.

mod hashing;
mod login;
mod verifier;

use std::{sync::Arc, time::SystemTime};

use tokio::io::{AsyncRead, AsyncWrite};

pub use self::hashing::HashingPolicy;
pub(crate) use self::{
    hashing::Workload,
    login::{Login, log_in},
    verifier::Verifier,
};
use crate::{
    access::Principal,
    log::audit,
    registry::Member,
    route::Place,
    settings::Current,
    websocket::{Ended, Socket},
};

/// A connection whose peer was let in. Only [`admit`] makes one, and a
/// [`Session`](crate::session::Session) is made of nothing else.
#[derive(Debug)]
pub(crate) struct Authenticated<S> {
    socket: Socket<S>,
    principal: Principal,
    path: Arc<str>,
}

impl<S> Authenticated<S> {
    /// What a session is made of.
    pub(crate) fn into_parts(self) -> (Socket<S>, Principal, Arc<str>) {
        (self.socket, self.principal, self.path)
    }
}

/// A connection whose peer did not prove who it is, or no longer is that. It is still to be closed.
#[derive(Debug)]
pub(crate) struct NotAuthenticated<S> {
    /// The connection.
    pub(crate) socket: Socket<S>,
    /// Why it ends.
    pub(crate) ended: Ended,
}

/// Lets a peer in that has proved who it is, or need not.
///
/// What gives it the right to that may have changed since. So the connection is entered as the
/// principal's first, and looked at afterwards: either this sees the new settings, or whoever changes
/// them sees the connection.
#[expect(
    clippy::result_large_err,
    reason = "the connection is in either, and has to be moved in any case"
)]
pub(crate) fn admit<S>(
    mut socket: Socket<S>,
    principal: Principal,
    place: Place,
    current: &Current,
) -> Result<Authenticated<S>, NotAuthenticated<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let live = socket.live();
    let member = Member {
        principal: principal.clone(),
        route: place.route,
    };
    let right = |member| current.load().check(member, SystemTime::now());
    if let Err(reason) = right(live.let_in(member, Arc::clone(&place.path)))
        && live.end(reason)
    {
        audit::session_revoked(socket.id(), &principal, reason);
    }
    if let Some(reason) = live.ended() {
        let ended = Ended::ByUs(reason);
        return Err(NotAuthenticated { socket, ended });
    }
    socket.lift_login_bound();
    Ok(Authenticated {
        socket,
        principal,
        path: place.path,
    })
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::SystemTime};

    use bytes::Bytes;
    use proto::{
        close::CloseReason, credentials::Accounts, message::Credentials, password::HashMemory,
    };
    use tokio::io::duplex;

    use super::{NotAuthenticated, admit};
    use crate::{
        access::Principal,
        config::Config,
        peer::Peer,
        route::{Place, Routes},
        server::Shared,
        websocket::{Ended, Socket},
    };

    fn accounts(name: &str) -> Accounts {
        let source = format!("[[user]]\nname = \"{name}\"\npassword = \"123456\"");
        Accounts::from_toml(&source).unwrap()
    }

    #[test]
    fn nobody_is_let_in_whose_login_was_revoked_or_whose_connection_is_to_end() {
        let shared = Shared::new(Config::default(), accounts("admin"));
        let credentials = Credentials::parse("admin:123456").unwrap();
        let identity = accounts("admin")
            .verify(&credentials, SystemTime::now(), &mut HashMemory::default())
            .unwrap();
        let peer = Peer::Direct(([192, 0, 2, 1], 1024).into());
        let admitted = || {
            let registration = shared.live.register(shared.live.next_id(), peer);
            let limits = Arc::clone(&shared.current.load().limits);
            let socket = Socket::new(duplex(1).0, Bytes::new(), limits, 1024, registration);
            let place = Place {
                route: Arc::clone(Routes::echo("").find("/").unwrap()),
                path: "/".into(),
            };
            let principal = Principal::User(identity.clone());
            match admit(socket, principal, place, &shared.current) {
                Ok(_) => None,
                Err(NotAuthenticated { ended, .. }) => Some(ended),
            }
        };
        assert_eq!(admitted(), None);
        shared.reload(Config::default(), accounts("jane"));
        let revoked = Some(Ended::ByUs(CloseReason::UserRemoved));
        assert_eq!(admitted(), revoked);
        shared.reload(Config::default(), accounts("admin"));
        shared.live.end_all(CloseReason::ShuttingDown);
        let shutting_down = Some(Ended::ByUs(CloseReason::ShuttingDown));
        assert_eq!(admitted(), shutting_down);
    }
}
