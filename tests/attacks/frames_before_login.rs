//! Invalid frames from a peer that is not logged in.

use integration_tests::ServerProcess;
use raw_peer::{CREDENTIALS, frame};

use crate::{frames, well_behaved};

integration_tests::bad_frames!(test_each);

async fn attack(name: &str) {
    let bad = frames::named(name);
    let server = ServerProcess::start().await;
    let mut peer = server.connect().await;
    peer.upgrade().await;
    let login = frame::text(CREDENTIALS);
    frames::assert_closed_with(peer, bad, login, bad.expected.before_login).await;
    well_behaved::assert_served(&server).await;
}
