//! Forwarded fields of proxies and of forging clients, and the resulting client address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ForwardedHeader::{Forwarded, XForwardedFor};
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::{collection::vec, prelude::*};

use super::{ForwardedHeader, ForwardedHeaderError, NetworkError, TrustedProxies};

/// The proxy next to the server.
const PROXY: &str = "10.0.0.1";

/// Trusts `10.0.0.0/8` and `2001:db8:1::/48`.
fn proxies(field: ForwardedHeader) -> TrustedProxies {
    let networks = ["10.0.0.0/8", "2001:db8:1::/48"];
    TrustedProxies::new(networks.map(network), field)
}

fn network(text: &str) -> ipnet::IpNet {
    TrustedProxies::parse_network(text).unwrap()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn headers(name: &str, lines: &[&[u8]]) -> HeaderMap {
    let name: HeaderName = name.parse().unwrap();
    let lines = lines
        .iter()
        .map(|line| (name.clone(), HeaderValue::from_bytes(line).unwrap()));
    lines.collect()
}

#[track_caller]
fn assert_client(field: ForwardedHeader, lines: &[&str], expected: &str) {
    let lines: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
    let headers = headers(&field.to_string(), &lines);
    let client = proxies(field).client(address(PROXY), &headers);
    assert_eq!(client, address(expected), "{headers:?}");
}

#[test]
fn header_name_parsed_in_any_case() {
    for (text, field) in [
        ("X-Forwarded-For", XForwardedFor),
        ("x-forwarded-for", XForwardedFor),
        ("Forwarded", Forwarded),
        ("FORWARDED", Forwarded),
    ] {
        assert_eq!(text.parse(), Ok(field));
        assert_eq!(field.to_string().parse(), Ok(field));
    }
    for text in ["", "X-Real-IP", "Forwarded ", "Forwarded-For"] {
        assert_eq!(text.parse::<ForwardedHeader>(), Err(ForwardedHeaderError));
    }
    assert_eq!(
        ForwardedHeaderError.to_string(),
        "write \"X-Forwarded-For\" or \"Forwarded\""
    );
}

#[test]
fn invalid_network_refused_with_remedy() {
    for text in ["", "proxy", "10.0.0.0/33", "10.0.0/8", "::1/", "/8", " ::1"] {
        assert_eq!(
            TrustedProxies::parse_network(text),
            Err(NetworkError::Syntax),
            "{text:?}"
        );
    }
    assert_eq!(
        NetworkError::Syntax.to_string(),
        "write an address or a network, such as \"::1\", \"10.0.0.0/8\" or \"2001:db8::/32\""
    );
    assert_eq!(
        TrustedProxies::parse_network("10.1.2.3/8")
            .unwrap_err()
            .to_string(),
        "write \"10.0.0.0/8\" for the network, or \"10.1.2.3\" for the one address"
    );
}

#[test]
fn host_bits_of_network_cleared() {
    let with_host_bits = "10.1.2.3/8".parse::<ipnet::IpNet>().unwrap();
    assert_eq!(
        TrustedProxies::new([with_host_bits], Forwarded),
        TrustedProxies::new([network("10.0.0.0/8")], Forwarded)
    );
}

#[test]
fn addresses_in_networks_trusted_in_any_form() {
    let proxies = TrustedProxies::new(
        ["10.0.0.0/8", "::ffff:192.0.2.0/120", "::1"].map(network),
        XForwardedFor,
    );
    for trusted in [
        "10.0.0.0",
        "10.255.255.255",
        "::ffff:10.1.2.3",
        "192.0.2.9",
        "::ffff:192.0.2.9",
        "::1",
    ] {
        assert!(proxies.trusts(address(trusted)), "{trusted}");
    }
    for other in ["11.0.0.0", "::ffff:11.0.0.0", "192.0.3.0", "::2", "::"] {
        assert!(!proxies.trusts(address(other)), "{other}");
    }
    assert!(!TrustedProxies::default().trusts(address("127.0.0.1")));
    let everything = TrustedProxies::new(["0.0.0.0/0", "::/0"].map(network), XForwardedFor);
    for trusted in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"] {
        assert!(everything.trusts(address(trusted)), "{trusted}");
    }
}

#[test]
fn field_of_untrusted_peer_ignored() {
    let headers = headers("X-Forwarded-For", &[b"198.51.100.1"]);
    for peer in ["192.0.2.1", "2001:db8:2::1"] {
        let proxies = proxies(XForwardedFor);
        assert_eq!(proxies.client(address(peer), &headers), address(peer));
    }
    let no_proxies = TrustedProxies::default();
    assert_eq!(no_proxies.client(address(PROXY), &headers), address(PROXY));
    assert_eq!(
        no_proxies.client(address("::ffff:192.0.2.1"), &headers),
        address("192.0.2.1")
    );
}

/// A proxy that writes one field passes on a forged other one.
#[test]
fn unconfigured_field_ignored() {
    let mut both = headers("Forwarded", &[b"for=198.51.100.1"]);
    both.extend(headers("X-Forwarded-For", &[b"192.0.2.1"]));
    for (field, client) in [(Forwarded, "198.51.100.1"), (XForwardedFor, "192.0.2.1")] {
        let proxies = proxies(field);
        assert_eq!(proxies.client(address(PROXY), &both), address(client));
        let mut other = both.clone();
        other.remove(field.header_name());
        assert_eq!(proxies.client(address(PROXY), &other), address(PROXY));
    }
}

#[test]
fn rightmost_untrusted_address_is_client() {
    for (lines, client) in [
        (vec![], PROXY),
        (vec!["192.0.2.1"], "192.0.2.1"),
        (vec!["  192.0.2.1\t"], "192.0.2.1"),
        (vec!["198.51.100.1, 192.0.2.1"], "192.0.2.1"),
        (vec!["198.51.100.1,192.0.2.1,10.0.0.2"], "192.0.2.1"),
        (vec!["192.0.2.1, 2001:db8:1::5, 10.0.0.2"], "192.0.2.1"),
        // A trusted address left of an untrusted one may be forged.
        (vec!["10.0.0.3, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
        // All are trusted proxies.
        (vec!["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        // Several field lines are one list.
        (vec!["198.51.100.1", "192.0.2.1, 10.0.0.2"], "192.0.2.1"),
        (vec!["198.51.100.1, 192.0.2.1", "10.0.0.2"], "192.0.2.1"),
        (vec!["10.0.0.4", "10.0.0.3", "10.0.0.2"], "10.0.0.4"),
        // An element without an address ends the search.
        (vec!["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2"),
        (vec!["192.0.2.1, unix:, 10.0.0.2"], "10.0.0.2"),
        // Row: with an empty element, the client counted as the proxy.
        (vec!["192.0.2.1,"], "192.0.2.1"),
        (vec!["192.0.2.1", ""], "192.0.2.1"),
        (vec!["192.0.2.1, ,\t,10.0.0.2,,"], "192.0.2.1"),
        (vec!["192.0.2.1, , unknown,"], PROXY),
        (vec![" , ", ","], PROXY),
        (vec!["unknown"], PROXY),
        (vec!["ünknown, 192.0.2.1"], "192.0.2.1"),
        // Ports, and two notations of an IPv6 address.
        (vec!["192.0.2.1:4711"], "192.0.2.1"),
        (vec!["2001:db8::1"], "2001:db8::1"),
        (vec!["[2001:db8::1]"], "2001:db8::1"),
        (vec!["[2001:db8::1]:4711"], "2001:db8::1"),
        (vec!["::ffff:192.0.2.1"], "192.0.2.1"),
        (vec!["2001:DB8:0::1"], "2001:db8::1"),
        (vec!["fe80::1%eth0"], "fe80::1"),
        (vec!["[fe80::1%eth0]:4711"], "fe80::1"),
        (vec!["192.0.2.1, ::ffff:10.0.0.2"], "192.0.2.1"),
        (vec!["192.0.2.1, [::ffff:10.0.0.2]:80"], "192.0.2.1"),
    ] {
        assert_client(XForwardedFor, &lines, client);
    }
}

#[test]
fn malformed_address_ends_search() {
    for element in [
        "192.0.2",
        "192.0.2.256",
        "192.0.2.01",
        "192.0.2.1:",
        "192.0.2.1:http",
        "192.0.2.1:+80",
        "192.0.2.1:65536",
        "192.0.2.1 80",
        "\"192.0.2.1\"",
        "2001:db8::1%eth0",
        "fe80::1%",
        "[2001:db8::1",
        "[2001:db8::1]80",
        "[192.0.2.1]",
        "[]",
        "for=192.0.2.1",
        "http://192.0.2.1",
    ] {
        assert_client(XForwardedFor, &[element], PROXY);
    }
}

#[test]
fn for_parameter_found_in_forwarded() {
    for (lines, client) in [
        (vec!["for=192.0.2.60"], "192.0.2.60"),
        (
            vec!["for=192.0.2.60;proto=http;by=203.0.113.43"],
            "192.0.2.60",
        ),
        (vec!["proto=http; FOR=192.0.2.60 ;by=x"], "192.0.2.60"),
        (vec![";;for=192.0.2.60;"], "192.0.2.60"),
        (vec!["for=\"192.0.2.60:4711\""], "192.0.2.60"),
        (vec!["For=\"[2001:db8::1]\""], "2001:db8::1"),
        (vec!["For=\"[2001:db8::1]:4711\""], "2001:db8::1"),
        (vec!["for=\"[2001:db8::1]:_secret.port-1\""], "2001:db8::1"),
        (vec!["for=\"19\\2.0.2\\.60\""], "192.0.2.60"),
        (vec!["for=198.51.100.1, for=192.0.2.60"], "192.0.2.60"),
        (
            vec!["for=192.0.2.60, for=\"[2001:db8:1::5]\", for=10.0.0.2"],
            "192.0.2.60",
        ),
        (vec!["for=192.0.2.60", "for=10.0.0.2"], "192.0.2.60"),
        // Commas, semicolons and quotes within quotes.
        (
            vec!["for=192.0.2.60, for=10.0.0.2;host=\"a, for=198.51.100.1;b\""],
            "192.0.2.60",
        ),
        (
            vec!["for=192.0.2.60, host=\"\\\", for=198.51.100.1, \\\"\\\\\";for=10.0.0.2"],
            "192.0.2.60",
        ),
        // A client leaves a quote open before the element of a proxy.
        (vec!["x=\", for=192.0.2.60"], "192.0.2.60"),
        (vec!["x=\"\\, for=192.0.2.60;host=\"a\""], "192.0.2.60"),
        (vec!["x=\"", "for=192.0.2.60"], "192.0.2.60"),
        // No address.
        (vec!["for=192.0.2.60, for=unknown"], PROXY),
        (vec!["for=192.0.2.60, for=_hidden"], PROXY),
        (vec!["for=192.0.2.60, for=\"_hidden:80\""], PROXY),
        (vec!["for=192.0.2.60, proto=http"], PROXY),
        // Row: with an empty element, the client counted as the proxy.
        (vec!["for=192.0.2.60, "], "192.0.2.60"),
        (vec!["for=192.0.2.60, ;, ; ;,", ""], "192.0.2.60"),
        (vec![""], PROXY),
    ] {
        assert_client(Forwarded, &lines, client);
    }
}

#[test]
fn malformed_forwarded_has_no_address() {
    for element in [
        "192.0.2.60",
        "for",
        "for=",
        "for = 192.0.2.60",
        "=192.0.2.60",
        "for=192.0.2.60;for=192.0.2.60",
        "for=192.0.2.60 proto=http",
        "for=192.0.2.60;proto",
        "for=192.0.2.60:4711",
        "for=[2001:db8::1]",
        "for=\"2001:db8::1\"",
        "for=\"192.0.2.60",
        "for=\"192.0.2.60\\\"",
        "for=\"192.0.2.60\"x",
        "for=\" 192.0.2.60\"",
        "for='192.0.2.60'",
        "for=192.0.2.60;ho\u{fc}=x",
    ] {
        assert_client(Forwarded, &[element], PROXY);
    }
}

/// Any field line that a client may send.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(",".to_owned()),
        Just("\"".to_owned()),
        Just("\\".to_owned()),
        Just("for=".to_owned()),
        Just("for=\"[2001:db8:1::5]\";".to_owned()),
        Just("10.0.0.7".to_owned()),
        Just("198.51.100.1".to_owned()),
        "[ -~]{0,4}",
    ];
    let pieces = vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes());
    let bytes = vec(
        prop_oneof![Just(b'\t'), 0x20..=0x7e_u8, 0x80..=0xff_u8],
        0..30,
    );
    prop_oneof![pieces, bytes]
}

fn any_field() -> impl Strategy<Value = ForwardedHeader> {
    prop_oneof![Just(XForwardedFor), Just(Forwarded)]
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| Ipv4Addr::from(bits).into()),
        any::<u128>().prop_map(|bits| Ipv6Addr::from(bits).into()),
    ]
}

/// Returns an address in one of the notations that proxies use.
fn written(field: ForwardedHeader, address: IpAddr, notation: usize) -> String {
    let bracketed = match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    };
    match (field, notation % 4) {
        (XForwardedFor, 0) => format!("{bracketed}:4711"),
        (XForwardedFor, 1) => bracketed,
        (XForwardedFor, _) => address.to_string(),
        (Forwarded, 0) => format!("for=\"{bracketed}:4711\""),
        (Forwarded, 1) => format!("proto=http;For=\"{bracketed}\""),
        (Forwarded, 2) => format!("host=\"a\\\\\\\", \\\\\";for=\"{bracketed}\";by=\"_x\""),
        (Forwarded, _) => match address {
            IpAddr::V4(v4) => format!("for={v4}"),
            IpAddr::V6(v6) => format!("for=\"[{v6}]:_port\""),
        },
    }
}

proptest! {
    /// A client sends any lines. Then each proxy appends the address of its peer, in its own
    /// notation, to the last line or as a new line.
    #[test]
    fn forged_prefix_never_changes_client(
        field in any_field(),
        sent in vec(anything(), 0..3),
        client in any_address(),
        hops in vec((1..=0xff_u8, any::<usize>(), any::<bool>()), 1..4),
    ) {
        let proxies = proxies(field);
        prop_assume!(!proxies.trusts(client));
        let mut lines = sent;
        let mut connected_from = client;
        for (next, notation, own_line) in hops {
            let appended = written(field, connected_from, notation).into_bytes();
            match lines.last_mut() {
                Some(line) if !own_line => {
                    line.extend_from_slice(b", ");
                    line.extend(appended);
                }
                _ => lines.push(appended),
            }
            connected_from = IpAddr::from([10, 0, 0, next]);
        }
        let lines: Vec<_> = lines.iter().map(Vec::as_slice).collect();
        let headers = headers(&field.to_string(), &lines);
        prop_assert_eq!(
            proxies.client(connected_from, &headers),
            client.to_canonical(),
            "{:?}",
            headers
        );
    }

    #[test]
    fn arbitrary_fields_never_panic(
        field in any_field(),
        lines in vec(anything(), 0..4),
        peer in any_address(),
    ) {
        let lines: Vec<_> = lines.iter().map(Vec::as_slice).collect();
        let headers = headers(&field.to_string(), &lines);
        let everything = TrustedProxies::new(["0.0.0.0/0", "::/0"].map(network), field);
        everything.client(peer, &headers);
        prop_assert_eq!(TrustedProxies::default().client(peer, &headers), peer.to_canonical());
    }

    #[test]
    fn arbitrary_network_never_panics(text in "[0-9a-f:./]{0,20}|\\PC{0,20}") {
        if let Ok(network) = TrustedProxies::parse_network(&text) {
            prop_assert!(TrustedProxies::new([network], XForwardedFor).trusts(network.addr()));
        }
    }
}
