//! The command `ws-client handshake URL`: one opening handshake, shown and checked.

use std::time::Duration;

use futures::future::poll_fn;
use proto::{close::CloseReason, key::Key};
use tokio::time::timeout;

use super::report::HandshakeReport;
use crate::{
    connect::{self, ConnectError, Deadline, MaybeTlsStream, Upgraded, exchange},
    exit::Exit,
    handshake::{Origin, ReadError, Request, Subprotocol},
    time_argument::TimeArgument,
    tls::{TransportKind, TrustArguments},
    websocket::{Connection, ConnectionEvent, Reading},
};

/// The time limit for closing the WebSocket after the handshake.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);

/// The greatest message that is accepted during the close. Its content is ignored.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// The arguments of the tool.
#[derive(Debug, clap::Args)]
pub struct HandshakeArguments {
    /// The server, as in `ws://127.0.0.1:5678` or `wss://example.org`.
    pub url: String,
    /// Time for TCP, TLS and the handshake together [default: 10s].
    #[arg(long, alias = "connect-deadline", value_name = "TIME")]
    pub connect_timeout: Option<TimeArgument>,
    /// Offers this subprotocol. Repeatable, the preferred one first.
    #[arg(short, long = "subprotocol", value_name = "NAME")]
    pub subprotocols: Vec<Subprotocol>,
    /// Sends this Origin, as a browser would: null, or as in `http://example.org`.
    #[arg(short, long)]
    pub origin: Option<Origin>,
    /// Adds a header field to the request, "Name: value". @FILE reads one from each line of a file.
    /// Repeatable.
    #[arg(short = 'H', long = "header", value_name = "FIELD|@FILE")]
    pub headers: Vec<String>,
    /// With ws://: sends a secret header field unencrypted to another machine.
    #[arg(long)]
    pub allow_insecure: bool,
    /// Sends this Sec-WebSocket-Key (base64 of 16 bytes) instead of a random one, to repeat a
    /// handshake.
    #[arg(long = "websocket-key", alias = "key", value_name = "KEY", value_parser = Key::parse)]
    pub key: Option<Key>,
    /// The arguments about certificates.
    #[command(flatten)]
    pub tls: TrustArguments,
}

/// Performs the opening handshake and reports on it.
///
/// # Errors
///
/// TCP or TLS fails, or the deadline passes before the handshake begins.
pub async fn run(
    request: &Request,
    transport: &TransportKind,
    connect_deadline: Duration,
) -> Result<HandshakeReport, ConnectError> {
    let deadline = Deadline::after(connect_deadline);
    let mut stream = connect::stream(request.endpoint(), transport, deadline).await?;
    let tls_summary = match (transport, &stream) {
        (TransportKind::Tls(tls), MaybeTlsStream::Tls(stream)) => {
            Some(tls.summary(request.endpoint(), stream))
        }
        (TransportKind::Tls(_) | TransportKind::Tcp, _) => None,
    };
    let response = exchange(&mut stream, request, deadline).await?;
    if response.bytes.is_empty()
        && response.incomplete() == Some(ReadError::Closed)
        && let Some(demanded) = transport.certificate_demanded(request.endpoint())
    {
        return Err(ConnectError::Tls(demanded));
    }
    let report = HandshakeReport::new(tls_summary, request, &response);
    if report.exit == Exit::Ok {
        // A valid handshake is followed by a closing handshake.
        let rest = response.rest().to_vec();
        let upgraded = Upgraded {
            stream,
            rest,
            has_subprotocol: false,
        };
        let mut connection = Connection::new(upgraded, MAX_MESSAGE_BYTES).await;
        connection.close(CloseReason::UserExit.into());
        let end = async {
            loop {
                if let ConnectionEvent::Closed(end) =
                    poll_fn(|cx| connection.poll_event(cx, Reading::On)).await
                {
                    return end;
                }
            }
        };
        if let Ok(end) = timeout(CLOSE_DEADLINE, end).await {
            connection.finish_close(&end, CLOSE_DEADLINE).await;
        }
    }
    Ok(report)
}
