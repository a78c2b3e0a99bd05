//! Waits for processes to exit.

use std::{process::ExitStatus, time::Duration};

use tokio::{process::Child, time::timeout};

/// How long a test waits for what must come. It only bounds tests that fail.
pub const TEST_TIMEOUT: Duration = Duration::from_mins(1);

/// Waits for the end of a process.
pub async fn wait_for_exit(child: &mut Child) -> ExitStatus {
    let end = timeout(TEST_TIMEOUT, child.wait()).await;
    end.expect("the process ends in time")
        .expect("the process can be waited for")
}
