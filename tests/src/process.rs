//! Waiting for processes.

use std::{process::ExitStatus, time::Duration};

use tokio::{process::Child, time::timeout};

/// The time limit of anything that a test waits for. It affects only failing tests.
pub const TEST_TIMEOUT: Duration = Duration::from_mins(1);

/// Waits until a process exits.
pub async fn wait_for_exit(child: &mut Child) -> ExitStatus {
    let end = timeout(TEST_TIMEOUT, child.wait()).await;
    end.expect("the process ends in time")
        .expect("the process can be waited for")
}
