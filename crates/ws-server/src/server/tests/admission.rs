//! The admission of connections, with the settings of a server.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use proto::{
    close::CloseReason, credentials::Accounts, message::Credentials, password::HashMemory,
};
use tokio::io::duplex;

use crate::{
    access::{Grant, PathPattern, Principal},
    config::Config,
    peer::Peer,
    server::state::ServerState,
    session::{Ended, NotAuthenticated, admit},
    websocket::WebSocket,
};

fn accounts(name: &str) -> Accounts {
    let source = format!("[[user]]\nname = \"{name}\"\npassword = \"123456\"");
    Accounts::from_toml(&source).unwrap()
}

#[test]
fn revoked_or_ending_connection_not_admitted() {
    let state = ServerState::new(Config::default(), accounts("admin"));
    let credentials = Credentials::parse("admin:123456").unwrap();
    let identity = accounts("admin")
        .verify(&credentials, SystemTime::now(), &mut HashMemory::default())
        .unwrap();
    let peer = Peer::Direct(([192, 0, 2, 1], 1024).into());
    let admitted = || {
        let registration = state.registry.register(state.registry.next_id(), peer);
        let limits = Arc::clone(&state.current.load().limits);
        let socket = WebSocket::new(duplex(1).0, Bytes::new(), limits, 1024, registration);
        let pattern = Arc::new(PathPattern::root());
        let principal = Principal::User(identity.clone());
        let check = |grant: &Grant| state.current.check(grant);
        match admit(socket, principal, pattern, "/".into(), check) {
            Ok(_) => None,
            Err(NotAuthenticated { ended, .. }) => Some(ended),
        }
    };
    assert_eq!(admitted(), None);
    state.reload(Config::default(), accounts("jane"));
    let revoked = Some(Ended::ByUs(CloseReason::UserRemoved));
    assert_eq!(admitted(), revoked);
    state.reload(Config::default(), accounts("admin"));
    state
        .registry
        .end_all(CloseReason::ShuttingDown { back_in: 2 });
    let shutting_down = Some(Ended::ByUs(CloseReason::ShuttingDown { back_in: 2 }));
    assert_eq!(admitted(), shutting_down);
}
