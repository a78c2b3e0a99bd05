//! Why a request is refused, and what the client is told.

use std::time::Duration;

use http::{
    HeaderValue, Response, StatusCode,
    header::{
        ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE,
        WWW_AUTHENTICATE,
    },
};

/// The only version of the protocol that there is.
pub(crate) const WEBSOCKET_VERSION: &str = "13";

/// After how many seconds a client that found no place may come back.
const RETRY_AFTER_SECONDS: u64 = 5;

/// How a client can log in with its request (RFC 7617 section 2).
const CHALLENGE: &str = "Basic realm=\"ws-server\", charset=\"UTF-8\"";

const NANOS_PER_SECOND: u128 = Duration::from_secs(1).as_nanos();

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
    /// The body is longer than a message may be.
    BodyTooLong,
    /// The body is no text, or an empty one.
    BodyNotText,
    /// There is no place left.
    Full,
    /// The server is shutting down.
    Draining,
    /// There is nothing at this path.
    UnknownPath,
    /// The path does not take this method, but only GET.
    Method,
    /// The path does not take this method, but only GET and POST.
    NeitherGetNorPost,
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
    /// Too many logins from this address were wrong.
    TooManyFailures {
        /// How long it takes until there may be a try again.
        retry_after: Duration,
    },
    /// Credentials are wanted with the handshake, and there are none.
    NoCredentials,
    /// The credentials are wrong.
    WrongCredentials,
    /// The credentials are right, but their user has no right to be here.
    NoRight,
    /// Too many logins are being checked already.
    TooManyLogins,
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
            | Self::BodyNotText
            | Self::NoKey
            | Self::BadKey => StatusCode::BAD_REQUEST,
            Self::BodyTooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Full | Self::Draining | Self::TooManyLogins => StatusCode::SERVICE_UNAVAILABLE,
            Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::Method | Self::NeitherGetNorPost => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoUpgrade | Self::NoConnectionUpgrade | Self::WebSocketVersion => {
                StatusCode::UPGRADE_REQUIRED
            }
            Self::Origin | Self::NoRight => StatusCode::FORBIDDEN,
            Self::TooManyFailures { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::NoCredentials | Self::WrongCredentials => StatusCode::UNAUTHORIZED,
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
            Self::BodyTooLong => "the message is too long",
            Self::BodyNotText => "the body is the message: a text of UTF-8 that is not empty",
            Self::Full => "the server is full, try again later",
            Self::Draining => "the server is shutting down, try again later",
            Self::UnknownPath => "there is nothing at this path",
            Self::Method => "a WebSocket handshake is a GET request",
            Self::NeitherGetNorPost => "here are GET, with a WebSocket handshake, and POST",
            Self::NoUpgrade => "this is a WebSocket server: the Upgrade field must name websocket",
            Self::NoConnectionUpgrade => "the Connection field must name upgrade",
            Self::WebSocketVersion => "the Sec-WebSocket-Version must be 13",
            Self::NoKey => "the Sec-WebSocket-Key field is missing",
            Self::BadKey => "the Sec-WebSocket-Key must be base64 of 16 bytes",
            Self::Origin => "pages of this origin may not connect here",
            Self::TooManyFailures { .. } => {
                "too many logins from this address were wrong, try again later"
            }
            Self::NoCredentials => "a username and a password are wanted here",
            Self::WrongCredentials => "the username or password is wrong",
            Self::NoRight => "this user has no right to be here",
            Self::TooManyLogins => "too many logins at once, try again later",
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
        match self {
            Self::Full | Self::Draining | Self::TooManyLogins => {
                headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
            }
            Self::TooManyFailures { retry_after } => {
                // The client counts in whole seconds, and comes too early if one is cut off.
                let seconds = retry_after.as_nanos().div_ceil(NANOS_PER_SECOND);
                let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            Self::NoCredentials | Self::WrongCredentials => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
            }
            Self::Method => {
                headers.insert(ALLOW, HeaderValue::from_static("GET"));
            }
            Self::NeitherGetNorPost => {
                headers.insert(ALLOW, HeaderValue::from_static("GET, POST"));
            }
            Self::NoUpgrade | Self::NoConnectionUpgrade | Self::WebSocketVersion => {
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(CONNECTION, HeaderValue::from_static("Upgrade, close"));
                let version = HeaderValue::from_static(WEBSOCKET_VERSION);
                headers.insert(SEC_WEBSOCKET_VERSION, version);
            }
            Self::HttpVersion
            | Self::NoHost
            | Self::BadHost
            | Self::Target
            | Self::Repeated
            | Self::Body
            | Self::UnknownPath
            | Self::NoKey
            | Self::BadKey
            | Self::Origin
            | Self::NoRight
            | Self::BodyTooLong
            | Self::BodyNotText => {}
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
