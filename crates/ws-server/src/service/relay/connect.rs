//! The connection to the upstream of a relay: TCP or a Unix socket, TLS, and the opening handshake
//! (RFC 6455 section 4.1).

use std::{future::poll_fn, io, pin::pin};

use bytes::Bytes;
use futures::future::{Either, select};
use http::{
    HeaderMap, HeaderName, Response, StatusCode,
    header::{
        CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
    },
};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use proto::key::Key;

use crate::{
    service::{
        BackendError, ConnectRequest,
        relay::{Relay, RelayBackend, address::Encryption, request::upstream_request},
        upstream::UpstreamIo,
    },
    session::UpstreamSocket,
};

/// The maximum length of a response head, in bytes.
const HEAD_BYTES: usize = 16 * 1024;

/// The maximum number of fields in a response head.
const HEAD_FIELDS: usize = 100;

impl Relay {
    /// Connects to the upstream and does the opening handshake.
    pub(crate) async fn connect(
        &self,
        request: ConnectRequest<'_>,
    ) -> Result<RelayBackend, BackendError> {
        let unavailable = |error: io::Error| BackendError::Unavailable(error.to_string());
        if self.has_unread_files() {
            return Err(refused("the files of the route were not read"));
        }
        let io = match (self.to.encryption, &self.files.tls) {
            (Encryption::None, _) => UpstreamIo::connect(&self.to.upstream).await,
            (Encryption::Tls, Some(tls)) => UpstreamIo::connect_tls(&self.to.upstream, tls).await,
            (Encryption::Tls, None) => return Err(refused("the files of the route were not read")),
        };
        let io = io.map_err(unavailable)?;
        let key = Key::new(nonce());
        let (io, leftovers, head) = exchange(io, self, &request, &key).await?;
        let subprotocol = check(&head, &key, request.subprotocols)?;
        let socket = UpstreamSocket::new(io, leftovers, request.max_message_bytes);
        Ok(RelayBackend::new(socket, subprotocol, &request))
    }
}

/// Sends the request and returns the stream, the bytes after the response head, and the head.
async fn exchange(
    io: UpstreamIo,
    relay: &Relay,
    request: &ConnectRequest<'_>,
    key: &Key,
) -> Result<(UpstreamIo, Bytes, Response<Incoming>), BackendError> {
    let failed = |error: hyper::Error| BackendError::Unavailable(error.to_string());
    let mut builder = http1::Builder::new();
    builder
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS)
        .title_case_headers(true);
    let (mut sender, mut connection) = builder.handshake(TokioIo::new(io)).await.map_err(failed)?;
    let upstream = upstream_request(relay, request, key);
    let response = {
        let response = pin!(sender.send_request(upstream));
        let served = pin!(poll_fn(|cx| connection.poll_without_shutdown(cx)));
        match select(response, served).await {
            Either::Left((response, served)) => {
                let response = response.map_err(failed)?;
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    served.await.map_err(failed)?;
                }
                response
            }
            Either::Right((served, response)) => {
                served.map_err(failed)?;
                response.await.map_err(failed)?
            }
        }
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(BackendError::Unavailable(format!(
            "the upstream answered {}",
            response.status()
        )));
    }
    let http1::Parts { io, read_buf, .. } = connection.into_parts();
    // Copied, because the original keeps the whole buffer alive even if it is empty.
    let leftovers = Bytes::copy_from_slice(&read_buf);
    Ok((io.into_inner(), leftovers, response))
}

/// Checks the head of a 101, and returns the selected subprotocol (RFC 6455 section 4.1).
fn check<T>(
    response: &Response<T>,
    key: &Key,
    offered: &[String],
) -> Result<Option<String>, BackendError> {
    let fields = response.headers();
    if !has_token(fields, &UPGRADE, "websocket") || !has_token(fields, &CONNECTION, "upgrade") {
        return Err(refused("the upstream answered 101 to another protocol"));
    }
    let accept = fields.get(SEC_WEBSOCKET_ACCEPT);
    if accept.is_none_or(|accept| accept.as_bytes() != key.accept().as_bytes()) {
        return Err(refused("the Sec-WebSocket-Accept of the upstream is wrong"));
    }
    if fields.contains_key(SEC_WEBSOCKET_EXTENSIONS) {
        return Err(refused(
            "the upstream uses an extension that was not offered",
        ));
    }
    let mut selected = fields.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    match (selected.next(), selected.next()) {
        (None, _) => Ok(None),
        (Some(selected), None) => {
            let mut offered = offered.iter();
            let selected = offered.find(|offered| selected.as_bytes() == offered.as_bytes());
            let selected = selected.cloned();
            match selected {
                Some(selected) => Ok(Some(selected)),
                None => Err(refused(
                    "the upstream selected a subprotocol that was not offered",
                )),
            }
        }
        (Some(_), Some(_)) => Err(refused("the upstream selected two subprotocols")),
    }
}

fn has_token(fields: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    let values = fields.get_all(name).into_iter();
    let mut tokens = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','));
    tokens.any(|token| token.trim().eq_ignore_ascii_case(wanted))
}

fn refused(reason: &str) -> BackendError {
    BackendError::Unavailable(reason.to_owned())
}

/// Returns the random bytes of a key.
fn nonce() -> [u8; 16] {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).expect("there is randomness");
    nonce
}

#[cfg(test)]
mod tests {
    use http::Response;
    use proto::key::Key;

    use super::check;

    fn checked(fields: &[(&str, &str)]) -> Result<Option<String>, String> {
        let key = Key::parse("dGhlIHNhbXBsZSBub25jZQ==").unwrap();
        let mut response = Response::builder().status(101);
        for (name, value) in fields {
            response = response.header(*name, *value);
        }
        let offered = ["a", "b"].map(ToOwned::to_owned);
        check(&response.body(()).unwrap(), &key, &offered).map_err(|error| error.to_string())
    }

    #[test]
    fn response_of_upstream_is_checked() {
        let upgrade = ("Upgrade", "WebSocket");
        let connection = ("Connection", "keep-alive, Upgrade");
        let accept = ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let protocol = |name| ("Sec-WebSocket-Protocol", name);
        assert_eq!(checked(&[upgrade, connection, accept]), Ok(None));
        let selected = checked(&[upgrade, connection, accept, protocol("b")]);
        assert_eq!(selected, Ok(Some("b".to_owned())));
        let extension = ("Sec-WebSocket-Extensions", "permessage-deflate");
        for (fields, problem) in [
            (&[connection, accept][..], "another protocol"),
            (&[upgrade, accept], "another protocol"),
            (&[upgrade, connection], "Sec-WebSocket-Accept"),
            (
                &[upgrade, connection, ("Sec-WebSocket-Accept", "x")],
                "Sec-WebSocket-Accept",
            ),
            (&[upgrade, connection, accept, extension], "an extension"),
            (&[upgrade, connection, accept, protocol("c")], "not offered"),
            (
                &[upgrade, connection, accept, protocol("a, b")],
                "not offered",
            ),
            (
                &[upgrade, connection, accept, protocol("a"), protocol("b")],
                "two subprotocols",
            ),
        ] {
            let error = checked(fields).unwrap_err();
            assert!(error.contains(problem), "{fields:?}: {error}");
        }
    }
}
