//! The reasons to refuse a request, and the response for each: one table.

use std::time::Duration;

use http::{
    HeaderValue, Response, StatusCode,
    header::{
        self, ALLOW, CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE,
    },
};

/// The only supported version of the protocol (RFC 6455 section 4.1).
pub(crate) const WEBSOCKET_VERSION: &str = "13";

/// The time after which a client of a full or draining server should come back, on average.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The challenge for Basic credentials (RFC 7617 sections 2 and 2.1).
const CHALLENGE: &str = "Basic realm=\"ws-server\", charset=\"UTF-8\"";

const NANOS_PER_SECOND: u128 = Duration::from_secs(1).as_nanos();

/// The reason to refuse a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The request is not HTTP/1.1 (RFC 6455 section 4.2.1, item 1).
    HttpVersion,
    /// `Host` is missing (RFC 9112 section 3.2; RFC 6455 section 4.2.1, item 2).
    NoHost,
    /// `Host` is empty or malformed (RFC 9112 section 3.2).
    BadHost,
    /// The target is neither a path nor an absolute URI with the same host as `Host`.
    BadRequestTarget,
    /// The path has no normal form, or could be taken for another path.
    BadPath,
    /// A field that may occur once is repeated.
    DuplicateField,
    /// The request has a body, and the path does not accept one.
    UnexpectedBody,
    /// The body to publish exceeds the maximum message length.
    BodyTooLong,
    /// The body to publish is empty or not UTF-8.
    BodyNotUtf8,
    /// `Host` is not a name of this server (RFC 9110 section 15.5.20).
    UnknownHost,
    /// The connection is over a cap.
    Full,
    /// The server is shutting down.
    Draining,
    /// No route matches the path.
    UnknownPath,
    /// The method is neither GET nor HEAD, the only ones that the path allows.
    MethodNotAllowed,
    /// The method is neither GET, HEAD nor POST, the only ones that the path allows.
    MethodNotAllowedGetPost,
    /// The method is neither POST nor OPTIONS, the only ones that the path allows.
    MethodNotAllowedPost,
    /// `Upgrade` does not list `websocket` (RFC 6455 section 4.2.1, item 3).
    NoUpgrade,
    /// `Connection` does not list `upgrade` (RFC 6455 section 4.2.1, item 4).
    NoConnectionUpgrade,
    /// `Sec-WebSocket-Version` is not 13 (RFC 6455 section 4.2.1, item 6).
    WebSocketVersion,
    /// `Sec-WebSocket-Key` is missing (RFC 6455 section 4.2.1, item 5).
    NoKey,
    /// `Sec-WebSocket-Key` is not base64 of 16 bytes (RFC 6455 section 4.2.1, item 5).
    BadKey,
    /// `Origin` is neither our own host nor allowed (RFC 6455 section 10.2).
    OriginNotAllowed,
    /// The failure budget of the address is exhausted (RFC 6585 section 4).
    TooManyFailures {
        /// The time until the next attempt is allowed.
        retry_after: Duration,
    },
    /// The request has no credentials, and the route requires them (RFC 9110 section 15.5.2).
    NoCredentials,
    /// The credentials are wrong (RFC 9110 section 15.5.2).
    WrongCredentials,
    /// The credentials are right, but the route does not admit the user.
    Forbidden,
    /// The hashing queue is full.
    TooManyLogins,
    /// Members of the room read too slowly for the message to be published in time.
    RoomBusy,
    /// The server holds too many bytes for all peers together.
    BuffersFull,
    /// The service could not connect to its upstream.
    UpstreamUnavailable,
    /// The service could not connect to its upstream in time.
    UpstreamTimeout,
    /// The service has as many sessions as it allows.
    ServiceFull,
}

/// The response to a refusal.
struct Row {
    status: StatusCode,
    /// The body, without its line break.
    text: &'static str,
    fields: Fields,
    /// The RFC section that defines the rule or the status.
    section: &'static str,
}

/// The additional header fields of a response.
#[derive(Debug, Clone, Copy)]
enum Fields {
    None,
    /// `Retry-After` (RFC 9110 section 10.2.3) with this time.
    RetryAfter(Duration),
    /// `Retry-After` with a random time. Its mean is that which the hashing queue needs, but at least
    /// this one.
    RandomRetryAfter(Duration),
    /// `WWW-Authenticate`, required with 401 (RFC 9110 section 11.6.1).
    Challenge,
    /// `Allow`, required with 405 (RFC 9110 section 10.2.1).
    Allow(&'static str),
    /// `Upgrade`, required with 426 (RFC 9110 section 15.5.22), and `Sec-WebSocket-Version` (RFC
    /// 6455 section 4.4).
    Upgrade,
}

/// Defines [`Refusal::row`] and the list of all refusals from one table, so that both are complete.
/// A field of a variant is given with an example value. Rustfmt would spread each row over six lines.
macro_rules! refusals {
    ($($variant:ident $({ $field:ident: $example:expr })? => $status:ident, $fields:expr, $section:literal, $text:literal;)*) => {
        impl Refusal {
            /// Every refusal, in the order of the table.
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$variant $({ $field: $example })?),*];

            /// Returns the row of this refusal.
            fn row(self) -> Row {
                match self {
                    $(Self::$variant $({ $field })? => Row {
                        status: StatusCode::$status,
                        text: $text,
                        fields: $fields,
                        section: $section,
                    },)*
                }
            }
        }
    };
}

refusals! {
    HttpVersion => BAD_REQUEST, Fields::None, "RFC 6455 section 4.2.1",
        "this server speaks HTTP/1.1";
    NoHost => BAD_REQUEST, Fields::None, "RFC 9112 section 3.2",
        "the Host field is missing";
    BadHost => BAD_REQUEST, Fields::None, "RFC 9112 section 3.2",
        "the Host field is not a host with an optional port";
    BadRequestTarget => BAD_REQUEST, Fields::None, "RFC 9112 section 3.2",
        "the request target is neither a path nor a URI of the Host";
    BadPath => BAD_REQUEST, Fields::None, "RFC 3986 section 6.2.2",
        "the path has an empty, . or .. segment, or a percent-encoding that is malformed or of / \\ NUL";
    DuplicateField => BAD_REQUEST, Fields::None, "RFC 9110 section 5.3",
        "a field that may occur once is repeated";
    UnexpectedBody => BAD_REQUEST, Fields::None, "RFC 9110 section 9.3.1",
        "a handshake has no body";
    BodyTooLong => PAYLOAD_TOO_LARGE, Fields::None, "RFC 9110 section 15.5.14",
        "the message is too long";
    BodyNotUtf8 => BAD_REQUEST, Fields::None, "RFC 6455 section 5.6",
        "the body must be UTF-8 text that is not empty";
    UnknownHost => MISDIRECTED_REQUEST, Fields::None, "RFC 9110 section 15.5.20",
        "the Host is not a name of this server, which server_names in its configuration lists";
    Full => SERVICE_UNAVAILABLE, Fields::RandomRetryAfter(RETRY_AFTER), "RFC 9110 section 15.6.4",
        "the server is full, try again later";
    Draining => SERVICE_UNAVAILABLE, Fields::RandomRetryAfter(RETRY_AFTER), "RFC 9110 section 15.6.4",
        "the server is shutting down, try again later";
    UnknownPath => NOT_FOUND, Fields::None, "RFC 9110 section 15.5.5",
        "there is nothing at this path";
    MethodNotAllowed => METHOD_NOT_ALLOWED, Fields::Allow("GET, HEAD"), "RFC 9110 section 15.5.6",
        "a WebSocket handshake is a GET request";
    MethodNotAllowedGetPost => METHOD_NOT_ALLOWED, Fields::Allow("GET, HEAD, POST"), "RFC 9110 section 15.5.6",
        "this path accepts GET, as a WebSocket handshake, and POST";
    MethodNotAllowedPost => METHOD_NOT_ALLOWED, Fields::Allow("POST, OPTIONS"), "RFC 9110 section 15.5.6",
        "a ticket is requested by POST";
    NoUpgrade => UPGRADE_REQUIRED, Fields::Upgrade, "RFC 6455 section 4.2.1",
        "this is a WebSocket server: the Upgrade field must name websocket";
    NoConnectionUpgrade => UPGRADE_REQUIRED, Fields::Upgrade, "RFC 6455 section 4.2.1",
        "the Connection field must name upgrade";
    WebSocketVersion => UPGRADE_REQUIRED, Fields::Upgrade, "RFC 6455 section 4.4",
        "the Sec-WebSocket-Version must be 13";
    NoKey => BAD_REQUEST, Fields::None, "RFC 6455 section 4.2.1",
        "the Sec-WebSocket-Key field is missing";
    BadKey => BAD_REQUEST, Fields::None, "RFC 6455 section 4.2.1",
        "the Sec-WebSocket-Key must be base64 of 16 bytes";
    OriginNotAllowed => FORBIDDEN, Fields::None, "RFC 6455 section 10.2",
        "pages of this origin may not connect here";
    TooManyFailures { retry_after: Duration::from_secs(1) } => TOO_MANY_REQUESTS, Fields::RetryAfter(retry_after), "RFC 6585 section 4",
        "too many wrong logins from this address, try again later";
    NoCredentials => UNAUTHORIZED, Fields::Challenge, "RFC 9110 section 15.5.2",
        "a username and a password are required";
    WrongCredentials => UNAUTHORIZED, Fields::Challenge, "RFC 9110 section 15.5.2",
        "the username or password is wrong";
    Forbidden => FORBIDDEN, Fields::None, "RFC 9110 section 15.5.4",
        "this user has no access to this route";
    TooManyLogins => SERVICE_UNAVAILABLE, Fields::RandomRetryAfter(Duration::ZERO), "RFC 9110 section 15.6.4",
        "too many logins at once, try again later";
    RoomBusy => SERVICE_UNAVAILABLE, Fields::RandomRetryAfter(RETRY_AFTER), "RFC 9110 section 15.6.4",
        "the room is busy, try again later";
    BuffersFull => SERVICE_UNAVAILABLE, Fields::RandomRetryAfter(RETRY_AFTER), "RFC 9110 section 15.6.4",
        "too many bytes are buffered, try again later";
    UpstreamUnavailable => BAD_GATEWAY, Fields::None, "RFC 9110 section 15.6.3",
        "the service behind this path cannot be reached";
    UpstreamTimeout => GATEWAY_TIMEOUT, Fields::None, "RFC 9110 section 15.6.5",
        "the service behind this path did not answer in time";
    ServiceFull => SERVICE_UNAVAILABLE, Fields::RandomRetryAfter(RETRY_AFTER), "RFC 9110 section 15.6.4",
        "the service behind this path is full, try again later";
}

impl Refusal {
    /// Returns the status code of the response.
    pub fn status(self) -> StatusCode {
        self.row().status
    }

    /// Returns the body of the response, without its line break.
    pub fn text(self) -> &'static str {
        self.row().text
    }

    /// Returns the RFC section that defines the rule or the status.
    pub fn section(self) -> &'static str {
        self.row().section
    }

    /// Returns the least mean of the random time in `Retry-After`, if the response has one.
    pub(crate) fn mean_retry_after(self) -> Option<Duration> {
        match self.row().fields {
            Fields::RandomRetryAfter(mean) => Some(mean),
            Fields::None
            | Fields::RetryAfter(_)
            | Fields::Challenge
            | Fields::Allow(_)
            | Fields::Upgrade => None,
        }
    }

    /// Returns the response. `back_in` is the random time for `Retry-After`, in seconds.
    pub(crate) fn response(self, back_in: u16) -> Response<String> {
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
            Fields::None | Fields::RetryAfter(_) | Fields::RandomRetryAfter(_) => {}
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
        if let Some(seconds) = self.retry_after(back_in) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    /// Returns the value of `Retry-After` in seconds, if the response has the field. It is rounded up, so
    /// that the client does not retry too early.
    pub(crate) fn retry_after(self, back_in: u16) -> Option<u64> {
        match self.row().fields {
            Fields::RandomRetryAfter(_) => Some(back_in.into()),
            Fields::RetryAfter(duration) => {
                let seconds = duration.as_nanos().div_ceil(NANOS_PER_SECOND);
                Some(u64::try_from(seconds).unwrap_or(u64::MAX))
            }
            Fields::None | Fields::Challenge | Fields::Allow(_) | Fields::Upgrade => None,
        }
    }

    /// Returns the response as bytes, for a connection whose request never became complete: hyper
    /// does not respond to it.
    pub(crate) fn bytes(self, back_in: u16) -> Vec<u8> {
        let response = self.response(back_in);
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
    use std::collections::HashSet;

    use super::Refusal;

    #[test]
    fn refusals_have_distinct_texts_and_rfc_sections() {
        let texts: HashSet<_> = Refusal::ALL.iter().map(|refusal| refusal.text()).collect();
        assert_eq!(texts.len(), Refusal::ALL.len());
        for refusal in Refusal::ALL {
            assert!(refusal.section().starts_with("RFC "), "{refusal:?}");
        }
    }
}
