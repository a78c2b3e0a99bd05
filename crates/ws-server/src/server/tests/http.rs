//! One request and its response on a duplex pipe.

use std::{net::SocketAddr, time::Duration};

use proto::credentials::Accounts;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    handshake::Refusal,
    page,
    peer::Peer,
    server::{
        accepted::AcceptedConnection,
        http::{HandshakeResponse, HttpOutcome, exchange},
        state::ServerState,
    },
};

const VALID: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
                    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                    Sec-WebSocket-Version: 13\r\n\r\n";

async fn serve(io: DuplexStream, drain: CancellationToken) -> HttpOutcome<DuplexStream> {
    let accounts = Accounts::from_toml("[[user]]\nname = \"admin\"\npassword = \"123456\"");
    let mut state = ServerState::new(Config::default(), accounts.unwrap());
    state.drain = drain;
    let peer = SocketAddr::from(([192, 0, 2, 1], 1024));
    let permit = state.admission.enter(Some(peer.ip())).unwrap();
    let accepted = AcceptedConnection::new(peer, permit, &state);
    let (exchange, found) = exchange(io, &accepted, &state).await;
    assert_eq!(found, Peer::Direct(peer));
    exchange
}

/// Sends a request and reads the whole response.
async fn ask(request: &[u8]) -> (String, HttpOutcome<DuplexStream>) {
    let (mut client, io) = duplex(64);
    let answer = async {
        // The server may stop reading before the end.
        let _ = client.write_all(request).await;
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        drop(client);
        String::from_utf8(answer).unwrap()
    };
    tokio::join!(answer, serve(io, CancellationToken::new()))
}

#[tokio::test(start_paused = true)]
async fn upgrade_returns_stream_and_leftovers() {
    let (mut client, io) = duplex(4096);
    client.write_all(VALID.as_bytes()).await.unwrap();
    client.write_all(b"frames").await.unwrap();
    let HttpOutcome::Upgraded {
        mut io,
        mut leftovers,
        principal: None,
        opening: None,
        ..
    } = serve(io, CancellationToken::new()).await
    else {
        panic!("not upgraded")
    };
    let mut head = vec![0; 1024];
    let len = client.read(&mut head).await.unwrap();
    let head = std::str::from_utf8(&head[..len]).unwrap();
    // Row: embedded clients compare the bytes of the field name.
    assert!(head.contains("\r\nSec-WebSocket-Accept: "), "{head}");
    let head = head.to_lowercase();
    assert!(
        head.starts_with("http/1.1 101 switching protocols\r\n"),
        "{head}"
    );
    for field in [
        "upgrade: websocket",
        "connection: upgrade",
        "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=",
    ] {
        assert!(head.contains(&format!("{field}\r\n")), "{head}");
    }
    assert!(
        !head.contains("close") && !head.contains("extensions"),
        "{head}"
    );
    // Some bytes may still be in the stream.
    if leftovers.len() < 6 {
        let mut rest = vec![0; 6 - leftovers.len()];
        io.read_exact(&mut rest).await.unwrap();
        leftovers = [&leftovers[..], &rest].concat().into();
    }
    assert_eq!(&leftovers[..], b"frames");
}

#[tokio::test(start_paused = true)]
async fn refusal_sent_completely_and_connection_closed() {
    let (answer, exchange) = ask(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(
        matches!(
            exchange,
            HttpOutcome::Answered(HandshakeResponse::Refused(Refusal::UnknownPath))
        ),
        "{exchange:?}"
    );
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    let lower = answer.to_lowercase();
    assert!(lower.contains("connection: close\r\n"), "{answer}");
    assert!(lower.contains("content-length: 30\r\n"), "{answer}");
    assert!(
        answer.ends_with("\r\n\r\nthere is nothing at this path\n"),
        "{answer}"
    );
}

/// The failed login must be counted in this case, too.
#[tokio::test(start_paused = true)]
async fn refusal_recorded_after_client_disconnects() {
    let wrong = "\r\nAuthorization: Basic YWRtaW46d3Jvbmc=\r\n\r\n";
    let request = VALID.replace("\r\n\r\n", wrong);
    let (mut client, io) = duplex(4096);
    client.write_all(request.as_bytes()).await.unwrap();
    drop(client);
    let exchange = serve(io, CancellationToken::new()).await;
    assert!(
        matches!(
            exchange,
            HttpOutcome::Answered(HandshakeResponse::Refused(Refusal::WrongCredentials))
        ),
        "{exchange:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn page_sent_completely_and_connection_closed() {
    let (answer, exchange) =
        ask(b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n").await;
    assert!(
        matches!(exchange, HttpOutcome::Answered(HandshakeResponse::Page)),
        "{exchange:?}"
    );
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let page = page::response();
    for (name, value) in page.headers() {
        let field = format!("\r\n{name}: {}", value.to_str().unwrap());
        assert!(
            head.to_lowercase().contains(&field.to_lowercase()),
            "{field}"
        );
    }
    let length = format!("\r\nContent-Length: {}", page.body().len());
    assert!(head.contains(&length), "{head}");
    assert_eq!(body.as_bytes(), page.body());
}

#[tokio::test(start_paused = true)]
async fn description_sent_completely_and_closed() {
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n";
    let (answer, exchange) = ask(request).await;
    assert!(
        matches!(
            exchange,
            HttpOutcome::Answered(HandshakeResponse::Description)
        ),
        "{exchange:?}"
    );
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.contains("\r\nContent-Type: application/json\r\n"),
        "{answer}"
    );
    assert!(
        answer.ends_with(
            "\r\n\r\n{\"login\":\"message\",\"messages\":[\"text\",\"binary\"],\"subprotocols\":[]}\n"
        ),
        "{answer}"
    );
}

/// RFC 9110 section 9.3.2: the header fields are those of the GET.
#[tokio::test(start_paused = true)]
async fn head_answered_as_get_without_body() {
    for accept in ["text/html", "application/json", "*/*"] {
        let request =
            |method| format!("{method} / HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n");
        let (get, _) = ask(request("GET").as_bytes()).await;
        let (head, _) = ask(request("HEAD").as_bytes()).await;
        let (fields, body) = get.split_once("\r\n\r\n").unwrap();
        assert!(!body.is_empty());
        let fields = without_date(fields);
        assert!(
            fields.contains(&format!("Content-Length: {}", body.len())),
            "{fields:?}"
        );
        let (head, body) = head.split_once("\r\n\r\n").unwrap();
        assert_eq!((without_date(head), body), (fields, ""));
    }
}

/// Returns the lines of a response's head, except the field `Date`.
fn without_date(head: &str) -> Vec<String> {
    let lines = head.split("\r\n").filter(|line| !line.starts_with("Date"));
    lines.map(str::to_owned).collect()
}

#[tokio::test(start_paused = true)]
async fn http_1_0_keep_alive_refused_and_closed() {
    let request = "GET / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n";
    let (answer, exchange) = ask(request.repeat(2).as_bytes()).await;
    assert!(
        matches!(
            exchange,
            HttpOutcome::Answered(HandshakeResponse::Refused(Refusal::HttpVersion))
        ),
        "{exchange:?}"
    );
    assert!(
        answer.starts_with("HTTP/1.0 400 Bad Request\r\n"),
        "{answer}"
    );
    assert!(answer.contains("Connection: close\r\n"), "{answer}");
    assert!(!answer.contains("keep-alive"), "{answer}");
    assert!(
        answer.ends_with("\r\n\r\nthis server speaks HTTP/1.1\n"),
        "{answer}"
    );
    assert_eq!(answer.matches("HTTP/1.0 400").count(), 1, "{answer}");
}

#[tokio::test(start_paused = true)]
async fn endless_body_cut_off_before_deadline() {
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (mut client, io) = duplex(1 << 16);
    let flood = async {
        client.write_all(head.as_bytes()).await.unwrap();
        while client.write_all(&[b'x'; 4096]).await.is_ok() {}
    };
    let start = tokio::time::Instant::now();
    let (exchange, ()) = tokio::join!(serve(io, CancellationToken::new()), flood);
    assert!(
        matches!(
            exchange,
            HttpOutcome::Answered(HandshakeResponse::Refused(Refusal::UnexpectedBody))
        ),
        "{exchange:?}"
    );
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn malformed_request_refused_by_hyper() {
    let long = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "x".repeat(20_000)
    );
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: x\r\n".repeat(101));
    for (request, status) in [
        (
            &b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 a TLS hello"[..],
            "400",
        ),
        (b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\nHost: local\0host\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\nHost: local\rhost\r\n\r\n", "400"),
        (b"hello\r\n\r\n", "400"),
        (long.as_bytes(), "431"),
        (many.as_bytes(), "431"),
    ] {
        let (answer, exchange) = ask(request).await;
        assert!(
            matches!(exchange, HttpOutcome::Malformed(_)),
            "{exchange:?}"
        );
        let start = format!("HTTP/1.1 {status} ");
        assert!(
            answer.starts_with(&start),
            "{:?}: {answer}",
            &request[..request.len().min(50)]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn incomplete_head_ends_at_deadline() {
    let (mut client, io) = duplex(64);
    client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let start = tokio::time::Instant::now();
    let exchange = serve(io, CancellationToken::new()).await;
    assert!(matches!(exchange, HttpOutcome::TimedOut), "{exchange:?}");
    assert_eq!(start.elapsed(), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn deadline_applies_to_whole_head() {
    let (mut client, io) = duplex(64);
    let drip = async {
        for byte in VALID.bytes() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if client.write_all(&[byte]).await.is_err() {
                break;
            }
        }
    };
    let start = tokio::time::Instant::now();
    let serve = async { (serve(io, CancellationToken::new()).await, start.elapsed()) };
    let ((), (exchange, took)) = tokio::join!(drip, serve);
    assert!(matches!(exchange, HttpOutcome::TimedOut), "{exchange:?}");
    assert_eq!(took, Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn incomplete_head_refused_with_503_at_drain() {
    let (mut client, io) = duplex(64);
    let drain = CancellationToken::new();
    client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    drain.cancel();
    let answer = async {
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        drop(client);
        answer
    };
    let (answer, exchange) = tokio::join!(answer, serve(io, drain));
    assert!(
        matches!(
            exchange,
            HttpOutcome::Answered(HandshakeResponse::Refused(Refusal::Draining))
        ),
        "{exchange:?}"
    );
    assert!(
        answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
        "{answer}"
    );
    super::harness::assert_retry_after(&answer);
}
