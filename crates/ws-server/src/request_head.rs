//! A compact copy of a request head, for services that pass parts of it on.

use std::{fmt, net::SocketAddr};

use bytes::Bytes;
use http::request::Parts;

use crate::peer::Peer;

/// A copy of a request head in one allocation, with the facts of its connection.
///
/// The head of the HTTP library keeps a buffer of several kilobytes alive for each field value. The copy
/// is at most as long as the head, which is bounded to 16 KiB. A service reads it when it connects its
/// backend, and it is dropped then. It is not copied for other services.
pub struct RequestHead {
    /// The request target, then a line for each field: its name in lower case, a colon and its value. No
    /// part of them contains a line feed.
    lines: Bytes,
    connection: RequestConnection,
}

/// The facts of the connection that carried a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestConnection {
    /// The client, behind trusted proxies the one that they report.
    pub(crate) peer: Peer,
    /// The address that the client, or the nearest proxy, connected to. `None` if it is not known.
    pub(crate) local: Option<SocketAddr>,
    /// The scheme of that connection.
    pub(crate) scheme: RequestScheme,
}

/// The scheme of a connection to this server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RequestScheme {
    /// Without TLS.
    #[default]
    Http,
    /// With TLS.
    Https,
}

impl RequestConnection {
    /// Returns the address of the client. The port is 0 if it is not known.
    pub fn client(self) -> SocketAddr {
        match self.peer {
            Peer::Direct(address) => address,
            Peer::Forwarded(ip) => (ip, 0).into(),
        }
    }

    /// Returns the address that the client, or the nearest proxy, connected to, if it is known.
    pub fn local(self) -> Option<SocketAddr> {
        self.local
    }

    /// Returns the scheme of the connection.
    pub fn scheme(self) -> RequestScheme {
        self.scheme
    }
}

#[cfg(test)]
impl RequestConnection {
    /// Returns the facts of a connection for tests.
    pub(crate) fn direct(
        client: SocketAddr,
        local: Option<SocketAddr>,
        scheme: RequestScheme,
    ) -> Self {
        Self {
            peer: Peer::Direct(client),
            local,
            scheme,
        }
    }
}

impl RequestScheme {
    /// Returns the name, as in a URI.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl RequestHead {
    /// Copies a request head. `count` has the bytes of the copy counted, until they are dropped.
    pub(crate) fn new(
        head: &Parts,
        connection: RequestConnection,
        count: impl FnOnce(Bytes) -> Bytes,
    ) -> Self {
        let target = head
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let mut lines = target.as_bytes().to_vec();
        for (name, value) in &head.headers {
            lines.push(b'\n');
            lines.extend_from_slice(name.as_str().as_bytes());
            lines.push(b':');
            lines.extend_from_slice(value.as_bytes());
        }
        Self {
            lines: count(lines.into_boxed_slice().into()),
            connection,
        }
    }

    /// Returns the facts of the connection.
    pub fn connection(&self) -> RequestConnection {
        self.connection
    }

    /// Returns the path and query of the request target, as they were sent.
    pub fn target(&self) -> &[u8] {
        self.parts().next().unwrap_or_default()
    }

    /// Returns the query of the request target, without the `?`.
    pub fn query(&self) -> Option<&[u8]> {
        let target = self.target();
        let mark = target.iter().position(|byte| *byte == b'?')?;
        Some(&target[mark + 1..])
    }

    /// Returns the name, in lower case, and the value of each field line.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.parts().skip(1).filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = str::from_utf8(&line[..colon]).ok()?;
            Some((name, &line[colon + 1..]))
        })
    }

    /// Returns the values of a field, whose name is in lower case.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.fields()
            .filter_map(move |(field, value)| (field == name).then_some(value))
    }

    /// Returns the elements of a list field, over all its lines (RFC 9110 section 5.6.1). Those that are
    /// not ASCII are left out.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values(name)
            .filter_map(|value| str::from_utf8(value).ok())
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .filter(|element| !element.is_empty() && element.is_ascii())
    }

    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.split(|byte| *byte == b'\n')
    }
}

impl fmt::Debug for RequestHead {
    /// Shows nothing of the fields, which may contain credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl RequestHead {
    /// Returns the head of a request for tests, of a loopback peer.
    pub(crate) fn of(target: &str, fields: &[(&str, &str)]) -> Self {
        let mut request = http::Request::get(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let connection = RequestConnection {
            peer: Peer::Direct(([192, 0, 2, 1], 1024).into()),
            local: Some(([192, 0, 2, 2], 80).into()),
            scheme: RequestScheme::Http,
        };
        Self::new(&head, connection, |bytes| bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::RequestHead;

    #[test]
    fn target_query_and_fields_are_copied() {
        let head = RequestHead::of(
            "http://localhost/a/b?c=d?e",
            &[
                ("Host", "localhost"),
                ("X-A", "1: 2"),
                ("x-a", ""),
                ("X-List", "a, b,,c"),
                ("X-List", " d"),
            ],
        );
        assert_eq!(head.target(), b"/a/b?c=d?e");
        assert_eq!(head.query(), Some(&b"c=d?e"[..]));
        assert_eq!(head.fields().count(), 5);
        let values: Vec<_> = head.values("x-a").collect();
        assert_eq!(values, [&b"1: 2"[..], b""]);
        let list: Vec<_> = head.list("x-list").collect();
        assert_eq!(list, ["a", "b", "c", "d"]);
        assert_eq!(RequestHead::of("/", &[]).query(), None);
    }

    #[test]
    fn debug_shows_no_field() {
        let head = RequestHead::of("/?token=1", &[("Authorization", "Basic eDp5")]);
        let shown = format!("{head:?}");
        assert!(
            !shown.contains("eDp5") && !shown.contains("token"),
            "{shown}"
        );
    }
}
