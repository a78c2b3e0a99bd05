//! The header of the PROXY protocol, version 2 (specification of `HAProxy`, section 2.2).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::session::RequestConnection;

/// The bytes that begin each header.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Version 2, and a connection made on behalf of another node.
const PROXY: u8 = 0x21;

/// TCP over IPv4.
const TCP4: u8 = 0x11;

/// TCP over IPv6.
const TCP6: u8 = 0x21;

/// The type of the field with the name of the user: the first one for custom use.
const USER: u8 = 0xE0;

/// Returns the header for a client's connection, with the name of its user if it has logged in.
pub(super) fn header(connection: RequestConnection, user: Option<&str>) -> Vec<u8> {
    // The port of a client behind a proxy is not known.
    let source = connection.client();
    let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let destination = connection.local().unwrap_or(unknown);
    let (source_ip, destination_ip) = (source.ip().to_canonical(), destination.ip().to_canonical());
    let mut body = Vec::new();
    let family = match (source_ip, destination_ip) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            body.extend(source.octets());
            body.extend(destination.octets());
            TCP4
        }
        (source, destination) => {
            for ip in [source, destination] {
                let ip = match ip {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                    IpAddr::V6(ip) => ip,
                };
                body.extend(ip.octets());
            }
            TCP6
        }
    };
    body.extend(source.port().to_be_bytes());
    body.extend(destination.port().to_be_bytes());
    // A name has at most 64 characters.
    if let Some((user, length)) =
        user.and_then(|user| Some((user, u16::try_from(user.len()).ok()?)))
    {
        body.push(USER);
        body.extend(length.to_be_bytes());
        body.extend(user.as_bytes());
    }
    let length = u16::try_from(body.len()).expect("addresses and one name are short");
    let mut header = SIGNATURE.to_vec();
    header.extend([PROXY, family]);
    header.extend(length.to_be_bytes());
    header.append(&mut body);
    header
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::header;
    use crate::session::{RequestConnection, RequestScheme};

    fn connection(client: &str, local: Option<&str>) -> RequestConnection {
        let local: Option<SocketAddr> = local.map(|local| local.parse().unwrap());
        RequestConnection::direct(client.parse().unwrap(), local, RequestScheme::Http)
    }

    #[test]
    fn ipv4_header_has_addresses_and_user() {
        let expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13\
            \xc0\x00\x02\x01\x7f\0\0\x01\x04\0\x16\x2e\xe0\0\x04jane";
        let connection = connection("192.0.2.1:1024", Some("127.0.0.1:5678"));
        assert_eq!(header(connection, Some("jane")), expected);
    }

    #[test]
    fn guest_header_has_no_user() {
        let connection = connection("192.0.2.1:1024", Some("127.0.0.1:5678"));
        let header = header(connection, None);
        assert_eq!(header.len(), 16 + 12);
        assert_eq!(header[14..16], [0, 12]);
    }

    /// A listener on `[::]` reports clients of IPv4 as mapped addresses.
    #[test]
    fn mapped_and_mixed_families_are_encoded() {
        let mapped = header(
            connection("[::ffff:192.0.2.1]:1", Some("[::ffff:127.0.0.1]:2")),
            None,
        );
        assert_eq!((mapped[13], mapped.len()), (0x11, 16 + 12));
        let mixed = header(connection("[2001:db8::1]:1", Some("127.0.0.1:2")), None);
        assert_eq!((mixed[13], mixed.len()), (0x21, 16 + 36));
        assert_eq!(
            mixed[32..48],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1]
        );
        let unknown = header(connection("192.0.2.1:1", None), None);
        assert_eq!(unknown[20..28], [0, 0, 0, 0, 0, 1, 0, 0]);
    }
}
