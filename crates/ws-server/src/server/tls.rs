//! The TLS handshake of a connection.

use std::{io, sync::Arc};

use proto::escape::Escaped;
use tokio::time::timeout_at;
use tracing::debug;

use crate::{
    metrics::{HandshakeEnd, TlsResult},
    server::{accepted::AcceptedConnection, connection, state::ServerState, stream::ServedStream},
    tls::Tls,
};

/// The reason why a TLS handshake failed.
#[derive(Debug, thiserror::Error)]
enum TlsHandshakeError {
    #[error("{0}")]
    Failed(io::Error),
    #[error("timed out")]
    TimedOut,
    #[error("the server is shutting down")]
    Draining,
}

/// Does the TLS handshake, then serves the connection. One deadline applies to the TLS and HTTP
/// handshakes together.
pub(crate) async fn serve<S>(io: S, tls: Tls, accepted: AcceptedConnection, state: Arc<ServerState>)
where
    S: ServedStream,
{
    let handshake = tokio::select! {
        accepted = timeout_at(accepted.deadline, tls.accept(io)) => match accepted {
            Ok(accepted) => accepted.map_err(TlsHandshakeError::Failed),
            Err(_) => Err(TlsHandshakeError::TimedOut),
        },
        // Without TLS there is no way to send a response.
        () = state.drain.cancelled() => Err(TlsHandshakeError::Draining),
    };
    // The key is not needed after the handshake, and a reload may replace it.
    drop(tls);
    match handshake {
        Ok(io) => {
            state.metrics.tls_handshake(TlsResult::Ok);
            connection::serve(io, accepted, state).await;
        }
        Err(reason) => {
            state.metrics.handshake(HandshakeEnd::Unanswered);
            let (id, peer) = (accepted.id, accepted.peer);
            match reason {
                TlsHandshakeError::Failed(_) => state.metrics.tls_handshake(TlsResult::Failed),
                TlsHandshakeError::TimedOut => state.metrics.tls_handshake(TlsResult::Late),
                TlsHandshakeError::Draining => {}
            }
            let reason = reason.to_string();
            debug!(connection = id.number(), %peer, reason = %Escaped(&reason), "TLS handshake failed");
        }
    }
}
