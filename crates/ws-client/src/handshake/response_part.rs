//! The parts of an answer to a handshake.

/// A part of the answer that is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponsePart {
    /// The form of the first line.
    StatusLine,
    /// The number in it.
    Status,
    /// The form of the fields, and the empty line behind them.
    Fields,
    /// `WWW-Authenticate`, which a 401 owes.
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
    /// What the part is called; a field by its name.
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
}
