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
    server::{accepted::Arrival, connection, state::Shared},
    tls::Tls,
};

/// Why there is no TLS under a connection.
#[derive(Debug, thiserror::Error)]
enum NoHandshake {
    #[error("{0}")]
    Failed(io::Error),
    #[error("not in time")]
    Late,
    #[error("the server is shutting down")]
    Draining,
}

/// Serves a connection over TLS, whose handshake is the first part of what has one deadline.
pub(crate) async fn serve<S>(io: S, tls: Tls, arrival: Arrival, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let accepted = tokio::select! {
        accepted = timeout_at(arrival.deadline, tls.accept(io)) => match accepted {
            Ok(accepted) => accepted.map_err(NoHandshake::Failed),
            Err(_) => Err(NoHandshake::Late),
        },
        // There is nothing that could be said to somebody who does not understand us yet.
        () = shared.drain.cancelled() => Err(NoHandshake::Draining),
    };
    // Its key is of no use any more, and may have been replaced long before the connection ends.
    drop(tls);
    match accepted {
        Ok(io) => {
            shared.metrics.tls_handshake(TlsResult::Ok);
            connection::serve(io, arrival, shared).await;
        }
        Err(reason) => {
            shared.metrics.handshake(HandshakeEnd::Unanswered);
            let (id, peer) = (arrival.id, arrival.peer);
            match reason {
                NoHandshake::Failed(_) => shared.metrics.tls_handshake(TlsResult::Failed),
                NoHandshake::Late => shared.metrics.tls_handshake(TlsResult::Late),
                NoHandshake::Draining => {}
            }
            let reason = reason.to_string();
            debug!(connection = id.number(), %peer, reason = %Escaped(&reason), "no TLS handshake");
        }
    }
}
