//! Invalid frames from a logged-in peer.

use integration_tests::ServerProcess;
use raw_peer::frame;

use crate::{frames, well_behaved};

integration_tests::bad_frames!(test_each);

async fn attack(name: &str) {
    let bad = frames::named(name);
    let server = ServerProcess::start().await;
    let mut peer = server.connect().await;
    peer.log_in().await;
    let message = frame::text("not processed");
    frames::assert_closed_with(peer, bad, message, bad.expected.after_login).await;
    well_behaved::assert_served(&server).await;
}
