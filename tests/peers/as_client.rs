//! Other libraries as clients of `ws-server`.

use integration_tests::{
    ADMIN_SESSION, Authority, CLOSED_BY_USER_EXIT, LOGIN_FAILED_EVENT, SESSION_ENDED,
    SESSION_OPENED, SORRY, ServerFiles, ServerProcess, admin_account, echoed,
};
use proto::close::CloseReason;
use rustix::process::Signal;

use crate::scripted_peer::{
    Event, Library, ScriptedPeer, closed, closed_for, congratulation, text,
};

pub(crate) async fn dialogue_of_the_tutorial_succeeds(library: Library) {
    let mut server = ServerProcess::start().await;
    let peer = ScriptedPeer::connected(library, &server.url()).await;
    peer.run_dialogue().await;
    let ended = server.log_line(SESSION_ENDED).await;
    assert!(ended.contains(CLOSED_BY_USER_EXIT), "{ended}");
    assert!(ended.contains("messages_in=1 "), "{ended}");
}

pub(crate) async fn mebibyte_text_is_echoed_whole(library: Library) {
    let server = ServerProcess::start().await;
    let mut peer = ScriptedPeer::logged_in(library, &server.url()).await;
    let sent = mebibyte();
    peer.text(&sent).await;
    let received = peer.next_text().await;
    assert!(received == echoed(&sent));
    peer.close(1000, "").await;
    assert_eq!(peer.event().await, closed(1000, ""));
    peer.finish().await;
}

pub(crate) async fn binary_message_is_echoed_unchanged(library: Library) {
    let server = ServerProcess::start().await;
    let mut peer = ScriptedPeer::logged_in(library, &server.url()).await;
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    // All three length encodings, and an empty payload.
    for bytes in [
        &[],
        &every_byte[..100],
        &every_byte,
        &every_byte.repeat(300),
    ] {
        peer.binary(bytes).await;
        assert!(peer.event().await == Event::Binary(bytes.to_vec()));
    }
    peer.close(1000, "").await;
    assert_eq!(peer.event().await, closed(1000, ""));
    peer.finish().await;
}

pub(crate) async fn pipelined_messages_are_echoed_in_order(library: Library) {
    let mut server = ServerProcess::start().await;
    let mut peer = ScriptedPeer::logged_in(library, &server.url()).await;
    for index in 0..500 {
        peer.text(&format!("message {index}")).await;
    }
    for index in 0..500 {
        let answer = echoed(format!("message {index}"));
        assert_eq!(peer.event().await, Event::Text(answer));
    }
    peer.close(1000, "").await;
    assert_eq!(peer.event().await, closed(1000, ""));
    peer.finish().await;
    let ended = server.log_line(SESSION_ENDED).await;
    assert!(ended.contains("messages_in=500 "), "{ended}");
}

pub(crate) async fn shutdown_closes_sessions_with_1001(library: Library) {
    let server = ServerProcess::start().await;
    let peer = ScriptedPeer::logged_in(library, &server.url()).await;
    assert_shutdown_seen(server, peer, 2).await;
}

pub(crate) async fn shutdown_closes_pending_logins_with_1001(library: Library) {
    let server = ServerProcess::start().await;
    let peer = ScriptedPeer::connected(library, &server.url()).await;
    // No session returns, so there is nothing to spread.
    assert_shutdown_seen(server, peer, 1).await;
}

pub(crate) async fn too_many_wrong_logins_close_with_3000(library: Library) {
    let server = ServerProcess::start().await;
    let mut peer = ScriptedPeer::connected(library, &server.url()).await;
    for _ in 0..6 {
        peer.text("admin:1").await;
        assert_eq!(peer.event().await, text(SORRY));
    }
    assert_eq!(peer.event().await, closed_for(CloseReason::TooManyAttempts));
    peer.finish().await;
}

pub(crate) async fn oversized_message_closes_with_1009(library: Library) {
    let server = ServerProcess::start().await;
    let mut peer = ScriptedPeer::logged_in(library, &server.url()).await;
    // The server closes while most of the message is still unsent.
    peer.text(&mebibyte().repeat(8)).await;
    assert_eq!(peer.event().await, closed_for(CloseReason::MessageTooBig));
    peer.finish().await;
}

pub(crate) async fn refused_handshake_reports_its_status(library: Library) {
    let server = ServerProcess::start().await;
    let mut peer = ScriptedPeer::client(library, &format!("{}/nowhere", server.url()));
    assert_eq!(peer.event().await, Event::Refused(404));
    peer.finish().await;
}

/// The user information of the URL becomes Basic credentials, and the 101 completes the login.
pub(crate) async fn credentials_in_the_url_log_in(library: Library) {
    let mut server = ServerProcess::start_with("[login]\nbasic = \"required\"").await;
    let mut peer = ScriptedPeer::connected(library, &url_of(&server, "admin:123456@")).await;
    peer.text("hello").await;
    assert_eq!(peer.event().await, text(&echoed("hello")));
    peer.close(1000, "").await;
    assert_eq!(peer.event().await, closed(1000, ""));
    peer.finish().await;
    let opened = server.log_line(SESSION_OPENED).await;
    assert!(opened.ends_with(ADMIN_SESSION), "{opened}");
}

pub(crate) async fn wrong_password_in_the_url_gets_401(library: Library) {
    let mut server = ServerProcess::start().await;
    let mut peer = ScriptedPeer::client(library, &url_of(&server, "admin:1@"));
    assert_eq!(peer.event().await, Event::Refused(401));
    peer.finish().await;
    server.log_line(LOGIN_FAILED_EVENT).await;
}

pub(crate) async fn dialogue_and_mebibyte_work_over_tls(library: Library) {
    let authority = Authority::new();
    let issued = authority.issue(&["127.0.0.1"]);
    let files = ServerFiles::with_tls("", &admin_account(), &issued);
    files.overwrite("authority.pem", &authority.certificate());
    let server = files.serve().await;
    let authority = files.path("authority.pem");
    let mut peer = ScriptedPeer::trusting(library, &server.url(), &authority);
    assert_eq!(peer.event().await, Event::Opened);
    peer.text("admin:1").await;
    assert_eq!(peer.event().await, text(SORRY));
    peer.text("admin:123456").await;
    assert_eq!(peer.event().await, congratulation());
    let sent = mebibyte();
    peer.text(&sent).await;
    let received = peer.next_text().await;
    assert!(received == echoed(&sent));
    assert_shutdown_seen(server, peer, 2).await;
}

fn url_of(server: &ServerProcess, user: &str) -> String {
    format!("ws://{user}{}", server.address)
}

/// Stops the server. Asserts that the peer gets the Close frame with this number of seconds, and that
/// the server exits without a deadline.
async fn assert_shutdown_seen(server: ServerProcess, mut peer: ScriptedPeer, back_in: u16) {
    server.signal(Signal::TERM);
    let end = closed_for(CloseReason::ShuttingDown { back_in });
    assert_eq!(peer.event().await, end);
    peer.finish().await;
    let (code, _, log) = server.finish().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains(" cut_off=0\n"), "{log}");
}

/// Returns a text of the maximum message length.
fn mebibyte() -> String {
    let text = "0123456789abcdef".repeat(1_048_576 / 16);
    assert_eq!(text.len(), 1_048_576);
    text
}
