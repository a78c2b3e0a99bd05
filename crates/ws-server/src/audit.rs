//! placeholder
use crate::{peer::Peer, session::ConnectionId};
use proto::username::UserName;
use std::fmt::Display;
use tracing::info;

pub(crate) fn kicked(
    connection: ConnectionId,
    peer: Peer,
    user: Option<&UserName>,
    by: impl Display,
) {
    info!(target: "audit", event = %"kicked", %connection, %peer, user = user.map(UserName::as_str), %by, "kicked");
}
pub(crate) fn user_revoked(user: &UserName, sessions_ended: usize, by: impl Display) {
    info!(target: "audit", event = %"user_revoked", user = user.as_str(), sessions_ended, %by, "user revoked");
}
pub(crate) fn drain_asked_for(sessions: usize, by: impl Display) {
    info!(target: "audit", event = %"drain", sessions, %by, "drain");
}
pub(crate) fn published(path: &str, bytes: usize, by: impl Display) {
    info!(target: "audit", event = %"published", path, bytes, %by, "published");
}
