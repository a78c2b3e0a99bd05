//! The TLS handshake of a connection.

use std::{io, pin::pin, sync::Arc};

use proto::escape::Escaped;
use tokio::time::timeout_at;
use tracing::debug;

use crate::{
    metrics::{HandshakeEnd, TlsResult},
    peer::AddressGroup,
    process::turn::PolledInTurns,
    request_head::RequestScheme,
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
/// handshakes together, and to the waits for turns.
pub(crate) async fn serve<S>(
    io: S,
    tls: Tls,
    mut accepted: AcceptedConnection,
    state: Arc<ServerState>,
) where
    S: ServedStream,
{
    let handshake = {
        let address = AddressGroup::of(accepted.peer.ip());
        let handshake = pin!(tls.accept(io));
        let handshake = PolledInTurns::new(Arc::clone(&state.tls_turns), address, handshake);
        tokio::select! {
            accepted = timeout_at(accepted.deadline, handshake) => match accepted {
                Ok(accepted) => accepted.map_err(TlsHandshakeError::Failed),
                Err(_) => Err(TlsHandshakeError::TimedOut),
            },
            // Without TLS there is no way to send a response.
            () = state.drain.cancelled() => Err(TlsHandshakeError::Draining),
        }
    };
    // The key is not needed after the handshake, and a reload may replace it.
    drop(tls);
    match handshake {
        Ok(io) => {
            state.metrics.tls_handshake(TlsResult::Ok);
            accepted.scheme = RequestScheme::Https;
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
