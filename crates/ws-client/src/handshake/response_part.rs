//! The parts of a response that are checked.

/// A part of a response that is checked (RFC 6455 section 4.1, "the client MUST validate").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponsePart {
    /// The format of the status line.
    StatusLine,
    /// The status code.
    Status,
    /// The format of the header fields, and the empty line after them.
    Fields,
    /// `WWW-Authenticate`, which a 401 must carry (RFC 9110 section 15.5.2).
    Challenge,
    /// `Upgrade`.
    Upgrade,
    /// `Connection`.
    Connection,
    /// `Sec-WebSocket-Accept`.
    Accept,
    /// `Sec-WebSocket-Extensions`.
    Extensions,
    /// `Sec-WebSocket-Protocol`.
    Subprotocol,
}

impl ResponsePart {
    /// Returns the name of the part: for a field, the field name, by which its values are found.
    pub fn name(self) -> &'static str {
        match self {
            Self::StatusLine => "status line",
            Self::Status => "status",
            Self::Fields => "header fields",
            Self::Challenge => "WWW-Authenticate",
            Self::Upgrade => "Upgrade",
            Self::Connection => "Connection",
            Self::Accept => "Sec-WebSocket-Accept",
            Self::Extensions => "Sec-WebSocket-Extensions",
            Self::Subprotocol => "Sec-WebSocket-Protocol",
        }
    }

    /// Returns the section of the RFC that the check of this part follows.
    pub fn section(self) -> &'static str {
        match self {
            Self::StatusLine => "RFC 9112 section 4",
            Self::Status => "RFC 6455 section 4.1, response item 1",
            Self::Fields => "RFC 9112 section 5",
            Self::Challenge => "RFC 9110 section 11.6.1",
            Self::Upgrade => "RFC 6455 section 4.1, response item 2",
            Self::Connection => "RFC 6455 section 4.1, response item 3",
            Self::Accept => "RFC 6455 section 4.1, response item 4",
            Self::Extensions => "RFC 6455 section 4.1, response item 5",
            Self::Subprotocol => "RFC 6455 section 4.1, response item 6",
        }
    }
}
