//! Valid frames, and the close code of each invalid one.

use crate::server::tests::harness::*;

/// Sends bytes to a session, and returns the close code.
async fn closed_with(bytes: &[u8]) -> u16 {
    let server = TestServer::new();
    let mut peer = server.session().await;
    peer.try_send(bytes).await;
    peer.close().await.0
}

#[tokio::test(start_paused = true)]
async fn protocol_violation_closed_with_1002() {
    for (name, bytes) in [
        ("not masked", b"\x81\x02hi".to_vec()),
        ("RSV1", frame::masked(0xC1, b"hi")),
        ("RSV2", frame::masked(0xA1, b"hi")),
        ("RSV3", frame::masked(0x91, b"hi")),
        ("reserved data opcode", frame::masked(0x83, b"hi")),
        ("reserved control opcode", frame::masked(0x8B, b"hi")),
        ("continuation of nothing", frame::masked(0x80, b"hi")),
        (
            "a message within a message",
            [frame::masked(0x01, b"a"), frame::text("b")].concat(),
        ),
        ("fragmented ping", frame::masked(0x09, b"hi")),
        ("long ping", frame::masked(0x89, &[0; 126])),
        ("2 bytes in 16 bits", b"\x81\xfe\0\x02\0\0\0\0hi".to_vec()),
        ("a length of 64 bits", frame::header(0x82, u64::MAX)),
        ("close with one byte", frame::masked(0x88, &[3])),
        ("close with 1005", frame::close(1005, "")),
        ("close with 1006", frame::close(1006, "")),
        ("close with 1015", frame::close(1015, "")),
        ("close with 999", frame::close(999, "")),
        ("close with 5000", frame::close(5000, "")),
    ] {
        assert_eq!(closed_with(&bytes).await, 1002, "{name}");
    }
}

/// The server does not wait for the rest of an invalid frame.
#[tokio::test(start_paused = true)]
async fn protocol_violation_found_at_header() {
    for header in [frame::header(0x89, 60_000), b"\x82\x7e\xff\x00".to_vec()] {
        let server = TestServer::new();
        let mut peer = server.session().await;
        let start = Instant::now();
        peer.send(header).await;
        assert_eq!(peer.close().await, (1002, "protocol error".to_owned()));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn invalid_utf8_closed_with_1007() {
    assert_eq!(closed_with(&frame::masked(0x81, b"\xff")).await, 1007);
    let cut = [
        frame::masked(0x01, b"\xe4\xbd"),
        frame::masked(0x80, b"\xff"),
    ]
    .concat();
    assert_eq!(closed_with(&cut).await, 1007);
    let reason = frame::masked(0x88, b"\x03\xe8\xff");
    assert_eq!(closed_with(&reason).await, 1007);
}

#[tokio::test(start_paused = true)]
async fn too_big_message_closed_with_1009() {
    let max = 1 << 20;
    assert_eq!(closed_with(&frame::header(0x82, max + 1)).await, 1009);
    assert_eq!(
        closed_with(&frame::header(0x82, i64::MAX as u64)).await,
        1009
    );
    let fragments = [
        frame::masked(0x02, &vec![0; 1 << 19]),
        frame::masked(0x00, &vec![0; 1 << 19]),
        frame::masked(0x80, &[0]),
    ];
    assert_eq!(closed_with(&fragments.concat()).await, 1009);
}

#[tokio::test(start_paused = true)]
async fn message_of_maximum_length_echoed() {
    let server = TestServer::new();
    let mut peer = server.session().await;
    let payload: Vec<u8> = (0..=u8::MAX).cycle().take(1 << 20).collect();
    let half = payload.len() / 2;
    peer.send(frame::masked(0x02, &payload[..half])).await;
    peer.send(frame::ping(b"between")).await;
    assert_eq!(peer.frame().await.payload, b"between");
    peer.send(frame::masked(0x80, &payload[half..])).await;
    let echo = peer.frame().await;
    assert_eq!(echo.first, 0x82);
    assert!(echo.payload == payload, "the payload came back changed");
}

#[tokio::test(start_paused = true)]
async fn empty_and_binary_messages_echoed() {
    let server = TestServer::new();
    let mut peer = server.session().await;
    peer.send(frame::text("")).await;
    assert_eq!(peer.text().await, "your submit context: ");
    peer.send(frame::binary(b"\0\xff")).await;
    let echo = peer.frame().await;
    assert_eq!(
        (echo.first, echo.payload.as_slice()),
        (0x82, &b"\0\xff"[..])
    );
}

#[tokio::test(start_paused = true)]
async fn control_frame_flood_closed_with_1008() {
    let server = TestServer::new();
    let mut peer = server.session().await;
    let flood = [frame::ping(b""), frame::pong(b"")].concat().repeat(101);
    peer.try_send(flood).await;
    assert_eq!(
        peer.close().await,
        (1008, "too many control frames".to_owned())
    );
    // No Pong follows the Close frame.
    peer.end().await;
}

#[tokio::test(start_paused = true)]
async fn pings_below_rate_limit_answered() {
    let server = TestServer::new();
    let mut peer = server.session().await;
    for index in 0..1000_u32 {
        sleep(Duration::from_millis(10)).await;
        peer.send(frame::ping(&index.to_be_bytes())).await;
        let pong = peer.frame().await;
        assert_eq!(
            (pong.first, pong.payload),
            (0x8A, index.to_be_bytes().to_vec())
        );
    }
}
