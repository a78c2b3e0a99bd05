//! Why a request is refused, and what the client is told.

use http::{
    HeaderValue, Response, StatusCode,
    header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE},
};

use super::WEBSOCKET_VERSION;

/// After how many seconds a client that found no place may come back.
const RETRY_AFTER_SECONDS: &str = "5";

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The request is not HTTP/1.1.
    HttpVersion,
    /// There is no `Host`.
    NoHost,
    /// The `Host` is not a host.
    BadHost,
    /// The target is neither a path nor an absolute URI of our host.
    Target,
    /// A field that may come once came twice.
    Repeated,
    /// A body is announced.
    Body,
    /// There is no place left.
    Full,
    /// The server is shutting down.
    Draining,
    /// There is nothing at this path.
    UnknownPath,
    /// The path does not take this method.
    Method,
    /// There is no `Upgrade: websocket`.
    NoUpgrade,
    /// There is no `Connection: upgrade`.
    NoConnectionUpgrade,
    /// The version is not the one that there is.
    WebSocketVersion,
    /// There is no key.
    NoKey,
    /// The key is not base64 of 16 bytes.
    BadKey,
    /// Pages of this origin may not connect.
    Origin,
}

impl Refusal {
    /// The status code of the answer.
    pub fn status(self) -> StatusCode {
        match self {
            Self::HttpVersion
            | Self::NoHost
            | Self::BadHost
            | Self::Target
            | Self::Repeated
            | Self::Body
            | Self::NoKey
            | Self::BadKey => StatusCode::BAD_REQUEST,
            Self::Full | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
            Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoUpgrade | Self::NoConnectionUpgrade | Self::WebSocketVersion => {
                StatusCode::UPGRADE_REQUIRED
            }
            Self::Origin => StatusCode::FORBIDDEN,
        }
    }

    /// The body of the answer, without its line break.
    pub fn text(self) -> &'static str {
        match self {
            Self::HttpVersion => "this server speaks HTTP/1.1",
            Self::NoHost => "the Host field is missing",
            Self::BadHost => "the Host field is not a host with an optional port",
            Self::Target => "the request target is neither a path nor a URI of the Host",
            Self::Repeated => "a field that may be given once is given twice",
            Self::Body => "a handshake has no body",
            Self::Full => "the server is full, try again later",
            Self::Draining => "the server is shutting down, try again later",
            Self::UnknownPath => "there is nothing at this path",
            Self::Method => "a WebSocket handshake is a GET request",
            Self::NoUpgrade => "this is a WebSocket server: the Upgrade field must name websocket",
            Self::NoConnectionUpgrade => "the Connection field must name upgrade",
            Self::WebSocketVersion => "the Sec-WebSocket-Version must be 13",
            Self::NoKey => "the Sec-WebSocket-Key field is missing",
            Self::BadKey => "the Sec-WebSocket-Key must be base64 of 16 bytes",
            Self::Origin => "pages of this origin may not connect here",
        }
    }

    /// The answer.
    pub(crate) fn response(self) -> Response<String> {
        let mut response = Response::new(format!("{}\n", self.text()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        match self.status() {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(ALLOW, HeaderValue::from_static("GET"));
            }
            StatusCode::UPGRADE_REQUIRED => {
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(CONNECTION, HeaderValue::from_static("Upgrade, close"));
                let version = HeaderValue::from_static(WEBSOCKET_VERSION);
                headers.insert(SEC_WEBSOCKET_VERSION, version);
            }
            _ => {}
        }
        response
    }

    /// The answer as it goes over the wire, for a connection whose request never became complete
    /// and which no HTTP library will answer.
    pub(crate) fn bytes(self) -> Vec<u8> {
        let response = self.response();
        let mut bytes = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
        for (name, value) in response.headers() {
            bytes.extend(name.as_str().bytes());
            bytes.extend(b": ");
            bytes.extend(value.as_bytes());
            bytes.extend(b"\r\n");
        }
        bytes.extend(format!("content-length: {}\r\n\r\n", response.body().len()).bytes());
        bytes.extend(response.into_body().bytes());
        bytes
    }
}
