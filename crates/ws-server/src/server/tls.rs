//! The TLS handshake under a connection, where the server has a certificate.

use std::{io, sync::Arc};

use proto::escape::Escaped;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout_at,
};
use tracing::debug;

use crate::{
    metrics::{HandshakeEnd, TlsResult},
    server::{accepted::AcceptedConnection, connection, state::ServerState},
    tls::Tls,
};

/// Why there is no TLS under a connection.
#[derive(Debug, thiserror::Error)]
enum TlsHandshakeError {
    #[error("{0}")]
    Failed(io::Error),
    #[error("not in time")]
    TimedOut,
    #[error("the server is shutting down")]
    Draining,
}

/// Serves a connection over TLS, whose handshake is the first part of what has one deadline.
pub(crate) async fn serve<S>(io: S, tls: Tls, accepted: AcceptedConnection, state: Arc<ServerState>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = tokio::select! {
        accepted = timeout_at(accepted.deadline, tls.accept(io)) => match accepted {
            Ok(accepted) => accepted.map_err(TlsHandshakeError::Failed),
            Err(_) => Err(TlsHandshakeError::TimedOut),
        },
        // There is nothing that could be said to somebody who does not understand us yet.
        () = state.drain.cancelled() => Err(TlsHandshakeError::Draining),
    };
    // Its key is of no use any more, and may have been replaced long before the connection ends.
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
            debug!(connection = id.number(), %peer, reason = %Escaped(&reason), "no TLS handshake");
        }
    }
}
