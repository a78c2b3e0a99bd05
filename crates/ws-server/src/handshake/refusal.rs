//! Why a request is refused, and what the client is told.

use std::time::Duration;

use http::{
    HeaderValue, Response, StatusCode,
    header::{
        self, ALLOW, CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE,
    },
};

/// The only version of the protocol that there is.
pub(crate) const WEBSOCKET_VERSION: &str = "13";

/// The time after which a client that found no place may come back.
const RETRY_AFTER: Duration = Duration::from_secs(5);

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
    BadRequestTarget,
    /// A field that may come once came twice.
    DuplicateField,
    /// A body is announced.
    UnexpectedBody,
    /// The body is longer than a message may be.
    BodyTooLong,
    /// The body is no text, or an empty one.
    BodyNotUtf8,
    /// There is no place left.
    Full,
    /// The server is shutting down.
    Draining,
    /// There is nothing at this path.
    UnknownPath,
    /// The path does not take this method, but only GET.
    MethodNotAllowed,
    /// The path does not take this method, but only GET and POST.
    MethodNotAllowedGetPost,
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
    OriginNotAllowed,
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
    Forbidden,
    /// Too many logins are being checked already.
    TooManyLogins,
}

/// A row of the table of refusals.
struct Row {
    status: StatusCode,
    /// The body, without its line break.
    text: &'static str,
    fields: Fields,
    /// The section of the RFC that the status or the rule is from.
    section: &'static str,
}

/// The header fields that a response has beyond those of every refusal.
#[derive(Debug, Clone, Copy)]
enum Fields {
    None,
    /// `Retry-After`, in whole seconds.
    RetryAfter(Duration),
    /// `WWW-Authenticate`.
    Challenge,
    /// `Allow`.
    Allow(&'static str),
    /// `Upgrade` and the version of the protocol.
    Upgrade,
}

/// Writes a match with a row for each pattern. Rustfmt would spread each row over six lines.
macro_rules! rows {
    ($refusal:expr; $($pattern:pat => $status:ident, $fields:expr, $section:literal, $text:literal;)*) => {
        match $refusal {
            $($pattern => Row {
                status: StatusCode::$status,
                text: $text,
                fields: $fields,
                section: $section,
            },)*
        }
    };
}

impl Refusal {
    /// Returns the row of this refusal. It is the only place that says what a refusal is.
    fn row(self) -> Row {
        rows! { self;
            Self::HttpVersion => BAD_REQUEST, Fields::None, "RFC 6455 section 4.2.1",
                "this server speaks HTTP/1.1";
            Self::NoHost => BAD_REQUEST, Fields::None, "RFC 9112 section 3.2",
                "the Host field is missing";
            Self::BadHost => BAD_REQUEST, Fields::None, "RFC 9112 section 3.2",
                "the Host field is not a host with an optional port";
            Self::BadRequestTarget => BAD_REQUEST, Fields::None, "RFC 9112 section 3.2",
                "the request target is neither a path nor a URI of the Host";
            Self::DuplicateField => BAD_REQUEST, Fields::None, "RFC 9110 section 5.3",
                "a field that may be given once is given twice";
            Self::UnexpectedBody => BAD_REQUEST, Fields::None, "RFC 9110 section 9.3.1",
                "a handshake has no body";
            Self::BodyTooLong => PAYLOAD_TOO_LARGE, Fields::None, "RFC 9110 section 15.5.14",
                "the message is too long";
            Self::BodyNotUtf8 => BAD_REQUEST, Fields::None, "RFC 6455 section 5.6",
                "the body is the message: a text of UTF-8 that is not empty";
            Self::Full => SERVICE_UNAVAILABLE, Fields::RetryAfter(RETRY_AFTER), "RFC 9110 section 15.6.4",
                "the server is full, try again later";
            Self::Draining => SERVICE_UNAVAILABLE, Fields::RetryAfter(RETRY_AFTER), "RFC 9110 section 15.6.4",
                "the server is shutting down, try again later";
            Self::UnknownPath => NOT_FOUND, Fields::None, "RFC 9110 section 15.5.5",
                "there is nothing at this path";
            Self::MethodNotAllowed => METHOD_NOT_ALLOWED, Fields::Allow("GET"), "RFC 9110 section 15.5.6",
                "a WebSocket handshake is a GET request";
            Self::MethodNotAllowedGetPost => METHOD_NOT_ALLOWED, Fields::Allow("GET, POST"), "RFC 9110 section 15.5.6",
                "here are GET, with a WebSocket handshake, and POST";
            Self::NoUpgrade => UPGRADE_REQUIRED, Fields::Upgrade, "RFC 6455 section 4.2.1",
                "this is a WebSocket server: the Upgrade field must name websocket";
            Self::NoConnectionUpgrade => UPGRADE_REQUIRED, Fields::Upgrade, "RFC 6455 section 4.2.1",
                "the Connection field must name upgrade";
            Self::WebSocketVersion => UPGRADE_REQUIRED, Fields::Upgrade, "RFC 6455 section 4.4",
                "the Sec-WebSocket-Version must be 13";
            Self::NoKey => BAD_REQUEST, Fields::None, "RFC 6455 section 4.2.1",
                "the Sec-WebSocket-Key field is missing";
            Self::BadKey => BAD_REQUEST, Fields::None, "RFC 6455 section 4.2.1",
                "the Sec-WebSocket-Key must be base64 of 16 bytes";
            Self::OriginNotAllowed => FORBIDDEN, Fields::None, "RFC 6455 section 10.2",
                "pages of this origin may not connect here";
            Self::TooManyFailures { retry_after } => TOO_MANY_REQUESTS, Fields::RetryAfter(retry_after), "RFC 6585 section 4",
                "too many logins from this address were wrong, try again later";
            Self::NoCredentials => UNAUTHORIZED, Fields::Challenge, "RFC 9110 section 15.5.2",
                "a username and a password are wanted here";
            Self::WrongCredentials => UNAUTHORIZED, Fields::Challenge, "RFC 9110 section 15.5.2",
                "the username or password is wrong";
            Self::Forbidden => FORBIDDEN, Fields::None, "RFC 9110 section 15.5.4",
                "this user has no access to this route";
            Self::TooManyLogins => SERVICE_UNAVAILABLE, Fields::RetryAfter(RETRY_AFTER), "RFC 9110 section 15.6.4",
                "too many logins at once, try again later";
        }
    }

    /// Returns the status code of the response.
    pub fn status(self) -> StatusCode {
        self.row().status
    }

    /// Returns the body of the response, without its line break.
    pub fn text(self) -> &'static str {
        self.row().text
    }

    /// Returns the section of the RFC that the refusal is from.
    pub fn section(self) -> &'static str {
        self.row().section
    }

    /// Returns the response.
    pub(crate) fn response(self) -> Response<String> {
        let Row {
            status,
            text,
            fields,
            ..
        } = self.row();
        let mut response = Response::new(format!("{text}\n"));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let mut add = |name, value| headers.insert(name, HeaderValue::from_static(value));
        add(CONTENT_TYPE, "text/plain; charset=utf-8");
        add(CONNECTION, "close");
        match fields {
            Fields::None => {}
            Fields::RetryAfter(duration) => {
                // The client counts in whole seconds, and comes too early if one is cut off.
                let seconds = duration.as_nanos().div_ceil(NANOS_PER_SECOND);
                let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Fields::Challenge => {
                add(WWW_AUTHENTICATE, CHALLENGE);
            }
            Fields::Allow(methods) => {
                add(ALLOW, methods);
            }
            Fields::Upgrade => {
                add(UPGRADE, "websocket");
                add(CONNECTION, "Upgrade, close");
                add(SEC_WEBSOCKET_VERSION, WEBSOCKET_VERSION);
            }
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

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, time::Duration};

    use super::Refusal;

    const ALL: [Refusal; 24] = [
        Refusal::HttpVersion,
        Refusal::NoHost,
        Refusal::BadHost,
        Refusal::BadRequestTarget,
        Refusal::DuplicateField,
        Refusal::UnexpectedBody,
        Refusal::BodyTooLong,
        Refusal::BodyNotUtf8,
        Refusal::Full,
        Refusal::Draining,
        Refusal::UnknownPath,
        Refusal::MethodNotAllowed,
        Refusal::MethodNotAllowedGetPost,
        Refusal::NoUpgrade,
        Refusal::NoConnectionUpgrade,
        Refusal::WebSocketVersion,
        Refusal::NoKey,
        Refusal::BadKey,
        Refusal::OriginNotAllowed,
        Refusal::TooManyFailures {
            retry_after: Duration::from_secs(1),
        },
        Refusal::NoCredentials,
        Refusal::WrongCredentials,
        Refusal::Forbidden,
        Refusal::TooManyLogins,
    ];

    /// The compiler sees to it that there is a row, and not that it is another's.
    #[test]
    fn each_refusal_has_a_row_of_its_own() {
        let texts: HashSet<_> = ALL.iter().map(|refusal| refusal.text()).collect();
        assert_eq!(texts.len(), ALL.len());
        for refusal in ALL {
            assert!(refusal.section().starts_with("RFC "), "{refusal:?}");
        }
    }
}
