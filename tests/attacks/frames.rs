//! How a connection ends on which bad frames came.

use integration_tests::attacks::{
    self, Attack,
    frames::{ALL, ExpectedCodes},
};
use raw_peer::RawPeer;
use tokio::net::TcpStream;

/// The row of this name.
pub(crate) fn named(name: &str) -> &'static Attack<ExpectedCodes> {
    attacks::named(ALL, name)
}

/// Sends bad frames, and behind them one that would have an answer, and asserts that all that comes
/// is the close code and the end of the connection.
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
            // Pings that came before the fault may have been answered.
            0x8A => {}
            0x88 => {
                assert_eq!(frame.close().0, code, "{frame:?}");
                break;
            }
            _ => panic!("acted upon, after {}: {frame:?}", bad.name),
        }
    }
    peer.end().await;
}
