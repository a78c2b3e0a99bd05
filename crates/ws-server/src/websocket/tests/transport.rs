use std::{
    net::Ipv4Addr,
    pin::{Pin, pin},
    sync::Arc,
    task::ready,
};

use bytes::{Buf as _, Bytes};
use futures::{
    FutureExt as _,
    future::{join, poll_fn},
};
use raw_peer::frame;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf, duplex},
    task::yield_now,
};

use super::{BATCH_FRAMES, Transport, TransportError, WRITE_BUFFER_BYTES};
use crate::{
    message::{LONG_BYTES, Message},
    peer::FairSemaphore,
    websocket::{
        ByteTurns,
        byte_budget::{FREE_BYTES, GRACE_BYTES, TURN_BYTES},
    },
};

/// Returns the bytes of one read of at most `room` bytes, or `None` if it is pending.
fn read_now<S: AsyncRead + Unpin>(transport: &mut Transport<S>, room: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; room];
    let read = transport.read(&mut bytes).now_or_never()?.unwrap();
    bytes.truncate(read);
    Some(bytes)
}

#[tokio::test]
async fn leftovers_read_first() {
    let (mut peer, io) = duplex(64);
    let mut transport = Transport::new(
        io,
        Bytes::from_static(b"\x81\x80\0\0\0\0"),
        1024,
        Arc::default(),
    );
    peer.write_all(b"\x82\x80\0\0\0\0").await.unwrap();
    drop(peer);
    let mut all = Vec::new();
    transport.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"\x81\x80\0\0\0\0\x82\x80\0\0\0\0");
    assert!(transport.is_at_message_boundary());
}

#[tokio::test]
async fn long_frame_before_login_refused_at_header() {
    let (mut peer, io) = duplex(64);
    let mut transport = Transport::new(io, Bytes::new(), 16 * 1024, Arc::default());
    // The header of a frame of 1 MiB.
    peer.write_all(b"\x82\xff\0\0\0\0\0\x10\0\0\0\0\0\0")
        .await
        .unwrap();
    let mut all = Vec::new();
    let error = transport.read_to_end(&mut all).await.unwrap_err();
    assert_eq!(
        TransportError::from_io(&error),
        Some(TransportError::LoginTooLarge)
    );
    assert_eq!(all.len(), 9, "the decoder never sees the complete header");
}

#[tokio::test]
async fn total_bytes_before_login_limited() {
    let (mut peer, io) = duplex(4096);
    let mut transport = Transport::new(io, Bytes::new(), 100, Arc::default());
    let ping = b"\x89\x80\0\0\0\0";
    peer.write_all(&ping.repeat(17)).await.unwrap();
    drop(peer);
    let mut all = Vec::new();
    let error = transport.read_to_end(&mut all).await.unwrap_err();
    assert_eq!(
        TransportError::from_io(&error),
        Some(TransportError::LoginTooLarge)
    );
    assert_eq!(
        all.len(),
        97,
        "16 frames of 6 bytes, and the first byte of the next header"
    );
}

#[tokio::test]
async fn no_byte_limit_after_login() {
    let (mut peer, io) = duplex(1 << 21);
    let mut transport = Transport::new(io, Bytes::new(), 100, Arc::default());
    transport.lift_login_bound();
    let frame = frame::binary(&vec![0; 1 << 20]);
    peer.write_all(&frame).await.unwrap();
    drop(peer);
    let mut all = Vec::new();
    while all.len() < frame.len() {
        match read_now(&mut transport, 100_000) {
            Some(bytes) => all.extend(bytes),
            None => transport.begin_batch(),
        }
    }
    assert_eq!(all.len(), frame.len());
}

#[tokio::test]
async fn flood_of_empty_fragments_yields() {
    let (mut peer, io) = duplex(1 << 20);
    let mut transport = Transport::new(io, Bytes::new(), 0, Arc::default());
    transport.lift_login_bound();
    peer.write_all(&[&b"\x01\x80\0\0\0\0"[..], &b"\x00\x80\0\0\0\0".repeat(9_999)].concat())
        .await
        .unwrap();
    let mut passed = 0;
    let mut yields = 0;
    while passed < 60_000 {
        let mut bytes = [0; 600];
        let mut buf = ReadBuf::new(&mut bytes);
        let read = poll_fn(|cx| {
            Pin::new(&mut transport)
                .poll_read(cx, &mut buf)
                .map(|read| read.map(|()| true))
        });
        if let Some(read) = read.now_or_never() {
            assert!(read.unwrap());
            passed += buf.filled().len();
        } else {
            yields += 1;
            transport.begin_batch();
        }
    }
    // A read of 100 frames is passed on as a whole, so a batch has 200 frames.
    assert_eq!(BATCH_FRAMES.div_ceil(100), 2);
    assert_eq!(yields, 10_000 / 200 - 1);
}

/// Reads as much as one poll of a session allows. Returns the number of bytes.
fn read_in_one_poll<S: AsyncRead + Unpin>(
    turns: &mut ByteTurns,
    transport: &mut Transport<S>,
) -> usize {
    let mut passed = 0;
    let read_all = poll_fn(|cx| {
        let mut bytes = vec![0; 100_000];
        loop {
            let mut buf = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut *transport).poll_read(cx, &mut buf));
            read.unwrap();
            passed += buf.filled().len();
            transport.begin_batch();
        }
    });
    let ended: Option<()> = turns.run(pin!(read_all)).now_or_never();
    assert_eq!(ended, None);
    transport.release_scratch();
    passed
}

#[tokio::test]
async fn turn_ends_near_frame_end() {
    let frame_of_1_mib = 14 + (1 << 20);
    for (payload, expected) in [
        (1 << 20, 9 * frame_of_1_mib),
        (16 << 20, FREE_BYTES + TURN_BYTES + GRACE_BYTES),
    ] {
        let (mut peer, io) = duplex(1 << 25);
        let mut transport = Transport::new(io, Bytes::new(), 0, Arc::default());
        transport.lift_login_bound();
        let frames = (16 << 20) / payload;
        let bytes = frame::binary(&vec![0; payload]).repeat(frames);
        peer.write_all(&bytes).await.unwrap();
        let (_, mut turns) = byte_turns();
        let passed = read_in_one_poll(&mut turns, &mut transport);
        assert_eq!(passed, expected, "frames of {payload}");
    }
}

#[tokio::test]
async fn long_frame_waits_for_turn() {
    let (mut peer, io) = duplex(1 << 24);
    let mut transport = Transport::new(io, Bytes::new(), 0, Arc::default());
    transport.lift_login_bound();
    let bytes = frame::binary(&vec![0; 4 << 20]);
    peer.write_all(&bytes).await.unwrap();
    let (semaphore, mut turns) = byte_turns();
    let other = semaphore.try_acquire().unwrap();
    let passed = read_in_one_poll(&mut turns, &mut transport);
    assert_eq!(passed, FREE_BYTES);
    for _ in 0..3 {
        assert_eq!(read_in_one_poll(&mut turns, &mut transport), 0);
    }
    drop(other);
    let passed = passed + read_in_one_poll(&mut turns, &mut transport);
    assert_eq!(passed, bytes.len());
    assert_eq!(semaphore.free_and_waiting(), (1, 0));
}

#[tokio::test]
async fn long_write_waits_for_turn_and_ends_with_it() {
    let (_peer, io) = duplex(1 << 25);
    let mut transport = Transport::new(io, Bytes::new(), 0, Arc::default());
    let long = Bytes::from(vec![0; 16 << 20]);
    transport.queue_long(Bytes::from_static(b"header").chain(long));
    let (semaphore, mut turns) = byte_turns();
    let mut write_in_one_poll = |transport: &mut Transport<_>| {
        let before = transport.written();
        let write = poll_fn(|cx| transport.poll_output(cx));
        let is_written = turns.run(pin!(write)).now_or_never().is_some();
        (transport.written() - before, is_written)
    };
    let other = semaphore.try_acquire().unwrap();
    let free = FREE_BYTES as u64;
    assert_eq!(write_in_one_poll(&mut transport), (free, false));
    assert_eq!(write_in_one_poll(&mut transport), (0, false));
    drop(other);
    let turn = (TURN_BYTES + GRACE_BYTES) as u64;
    assert_eq!(write_in_one_poll(&mut transport), (turn, false));
    assert_eq!(write_in_one_poll(&mut transport), (0, false));
    yield_now().await;
    let rest = 6 + (16 << 20) - free - turn;
    assert_eq!(write_in_one_poll(&mut transport), (rest, true));
}

/// A Pong that tungstenite writes comes after the frames that are queued or partly written.
#[tokio::test]
async fn control_frame_never_inside_another_frame() {
    for payload in [100, LONG_BYTES + 1] {
        let (mut peer, io) = duplex(64);
        let mut transport = Transport::new(io, Bytes::new(), 0, Arc::default());
        let message = Message::from("x".repeat(payload));
        if payload > LONG_BYTES {
            transport.queue_long(message.clone().into_frame());
        } else {
            transport.queue_short(&message.header(), message.as_bytes(), &[]);
        }
        let blocked = poll_fn(|cx| transport.poll_output(cx)).now_or_never();
        assert!(blocked.is_none(), "the peer reads nothing");
        transport.write_all(b"\x8a\0").await.unwrap();
        let after = Message::from("after");
        transport.queue_short(&after.header(), b"af", b"ter");
        let write = async {
            transport.flush().await.unwrap();
            drop(transport);
        };
        let mut written = Vec::new();
        let (read, ()) = join(peer.read_to_end(&mut written), write).await;
        read.unwrap();
        let mut first = message.into_frame();
        let expected = [
            &first.copy_to_bytes(first.remaining())[..],
            b"\x8a\0",
            b"\x81\x05after",
        ];
        assert!(written == expected.concat(), "{payload}");
    }
}

/// The bytes of control frames are bounded too.
#[tokio::test]
async fn output_above_mark_refuses_more_until_written() {
    let (mut peer, io) = duplex(64);
    let mut transport = Transport::new(io, Bytes::new(), 0, Arc::default());
    let message = Message::from("x".repeat(LONG_BYTES));
    let mut queued = 0;
    while transport.has_room() {
        transport.queue_short(&message.header(), message.as_bytes(), &[]);
        queued += message.header().as_bytes().len() + LONG_BYTES;
    }
    assert_eq!(transport.buffered_output(), queued);
    assert!(queued < WRITE_BUFFER_BYTES + LONG_BYTES + 10);
    let pong = b"\x8a\0";
    assert!(transport.write(pong).now_or_never().is_none());
    let mut written = vec![0; queued];
    let (read, flush) = join(peer.read_exact(&mut written), transport.flush()).await;
    read.unwrap();
    flush.unwrap();
    assert!(transport.has_room());
    assert_eq!(transport.write(pong).await.unwrap(), 2);
    assert_eq!(transport.buffered_output(), 2);
}

/// Returns a semaphore with one permit, and the turns of a session.
fn byte_turns() -> (Arc<FairSemaphore>, ByteTurns) {
    let semaphore = Arc::new(FairSemaphore::new(1, usize::MAX));
    let turns = ByteTurns::new(Arc::clone(&semaphore), Ipv4Addr::LOCALHOST.into());
    (semaphore, turns)
}

#[tokio::test]
async fn discard_ends_at_close_frame_or_stream_end() {
    let (mut peer, io) = duplex(4096);
    let mut transport = Transport::new(
        io,
        Bytes::from_static(b"\x81\x85\0\0"),
        1024,
        Arc::default(),
    );
    peer.write_all(b"\0\0hello\x88\x80\0\0\0\0").await.unwrap();
    poll_fn(|cx| transport.poll_discard(cx, u64::MAX))
        .await
        .unwrap();

    let (peer, io) = duplex(64);
    let mut transport = Transport::new(io, Bytes::new(), 1024, Arc::default());
    assert!(
        poll_fn(|cx| transport.poll_discard(cx, u64::MAX))
            .now_or_never()
            .is_none()
    );
    drop(peer);
    poll_fn(|cx| transport.poll_discard(cx, u64::MAX))
        .await
        .unwrap();
}
