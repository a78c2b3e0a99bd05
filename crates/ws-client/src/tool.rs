//! `ws-client handshake URL`: one handshake, shown and judged.

use std::time::Duration;

use futures::future::poll_fn;
use proto::close::CloseReason;
use tokio::time::timeout;

use crate::{
    connect::{ConnectError, Deadline, Opened, exchange, tcp},
    exit::Exit,
    handshake::{report::Report, request::Request},
    link::{Link, LinkTurn, Reading},
};

/// How long the tool takes to leave a WebSocket that it opened.
const LEAVE_DEADLINE: Duration = Duration::from_secs(1);

/// The greatest message that is taken while leaving. It is not looked at.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// Performs the handshake, and reports on it.
pub async fn run(request: &Request, connect_deadline: Duration) -> Result<Report, ConnectError> {
    let deadline = Deadline::after(connect_deadline);
    let mut stream = tcp(request.endpoint(), deadline).await?;
    let received = exchange(&mut stream, request, deadline).await;
    let report = Report::new(request, &received);
    if report.exit == Exit::Ok {
        // A server that was polite is left politely.
        let rest = received.rest().to_vec();
        let mut link = Link::new(Opened { stream, rest }, MAX_MESSAGE_BYTES).await;
        link.close(CloseReason::UserExit);
        let end = async {
            let mut turn = LinkTurn::Sent;
            while !matches!(turn, LinkTurn::Ended(_)) {
                turn = poll_fn(|cx| link.poll_turn(cx, Reading::On)).await;
            }
        };
        let _ = timeout(LEAVE_DEADLINE, end).await;
    }
    Ok(report)
}
