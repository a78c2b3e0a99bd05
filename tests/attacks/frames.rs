//! Sends invalid frames and checks how the connection ends.

use integration_tests::attacks::{
    self, Attack,
    frames::{ALL, ExpectedCodes},
};
use raw_peer::RawPeer;
use tokio::net::TcpStream;

/// Returns the row of this name.
pub(crate) fn named(name: &str) -> &'static Attack<ExpectedCodes> {
    attacks::named(ALL, name)
}

/// Sends the invalid frames of a row, and after them a valid one. Asserts that only the Close frame
/// with this code and the end of the connection follow.
pub(crate) async fn assert_closed_with(
    mut peer: RawPeer<TcpStream>,
    bad: &Attack<ExpectedCodes>,
    good: Vec<u8>,
    code: u16,
) {
    peer.try_send([(bad.bytes)(), good].concat()).await;
    loop {
        let frame = peer.frame().await;
        match frame.first {
            // The server may have answered pings that came before the invalid frame.
            0x8A => {}
            0x88 => {
                assert_eq!(frame.close().0, code, "{frame:?}");
                break;
            }
            _ => panic!("a frame after {} was processed: {frame:?}", bad.name),
        }
    }
    peer.end().await;
}
