//! The reading of files: regular files only, up to a bound.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use proto::{
    credentials::{Accounts, WorldAccessible},
    text::decode,
};
use rustix::fs::{Mode, OFlags, open};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};
use zeroize::Zeroizing;

use crate::config::error::ConfigError;

/// The greatest length of a file that is read: room for hundreds of thousands of accounts. A large file
/// named by mistake must not exhaust the memory of a running server.
pub(super) const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// The deadline for reading all files.
pub(crate) const READ_DEADLINE: Duration = Duration::from_secs(10);

/// The mode bits of a file for users other than its owner and group.
pub(super) const OTHERS: u32 = 0o007;

/// Reads the accounts.
///
/// # Errors
///
/// One message that names the file, the line and the key, and repeats no password.
pub fn load_accounts(path: &Path) -> Result<Accounts, ConfigError> {
    let source = Zeroizing::new(read(path)?);
    Accounts::from_toml(&source).map_err(|problem| ConfigError::content(path, problem))
}

/// Reads a text file in UTF-8, without a leading byte order mark.
pub(super) fn read(path: &Path) -> Result<String, ConfigError> {
    let (bytes, _) = read_bytes(path).map_err(|error| ConfigError::read(path, error))?;
    decode(bytes).map_err(|problem| ConfigError::content(path, problem))
}

/// Reads a file, and returns its content and metadata.
///
/// The file is opened without blocking, and examined and bounded once it is open: a path may name
/// another file a moment later, and some files of the kernel have a size of 0 and an endless content.
///
/// # Errors
///
/// The path cannot be opened, is no regular file, is longer than [`MAX_FILE_BYTES`], or has no bytes
/// ready yet (such as `/proc/kmsg`).
pub(super) fn read_bytes(path: &Path) -> io::Result<(Vec<u8>, Metadata)> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let too_long = || Err(io::Error::other("it has more than 64 MiB"));
    if metadata.len() > MAX_FILE_BYTES {
        return too_long();
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    // Not one byte: some files of the kernel can be read in whole units only.
    let read = file.take(MAX_FILE_BYTES + 4096).read_to_end(&mut bytes)?;
    if read as u64 > MAX_FILE_BYTES {
        return too_long();
    }
    Ok((bytes, metadata))
}

/// Returns the flaw of a file of passwords that everybody may access. A file that is missing has none.
pub(super) fn world_accessible(path: &Path) -> Option<WorldAccessible> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    WorldAccessible::of(path, mode)
}

/// The files were not read within a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the files were not read within {} s: one of them is on a file system that does not respond, \
     or another read still waits for it",
    .0.as_secs()
)]
pub(crate) struct ReadTimeout(Duration);

/// A reader of files on a blocking thread. At most one thread is in use, so a file system that does not
/// respond cannot take all of them.
#[derive(Debug)]
pub(crate) struct FileReader {
    free: Arc<Semaphore>,
    deadline: Duration,
}

impl FileReader {
    /// Creates a reader with this deadline for each read, the wait for the previous one included.
    pub(crate) fn new(deadline: Duration) -> Self {
        Self {
            free: Arc::new(Semaphore::new(1)),
            deadline,
        }
    }

    /// Returns a future that reads files by `read`.
    ///
    /// Cancel safe. A read that has started runs to its end, and the next one waits for it.
    pub(crate) fn run<T, F>(
        &self,
        read: F,
    ) -> impl Future<Output = Result<T, ReadTimeout>> + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (free, deadline) = (Arc::clone(&self.free), self.deadline);
        let run = async {
            let permit = free.acquire_owned().await;
            let permit = permit.expect("the semaphore is never closed");
            let read = spawn_blocking(move || {
                let result = read();
                drop(permit);
                result
            });
            read.await.expect("reading files does not panic")
        };
        async move {
            timeout(deadline, run)
                .await
                .map_err(|_| ReadTimeout(deadline))
        }
    }
}

/// Reads files by `read` before there is a runtime, within [`READ_DEADLINE`].
///
/// # Errors
///
/// The deadline passed. The thread that reads is left behind, for the process ends.
pub(crate) fn read_at_start<T: Send + 'static>(
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ReadTimeout> {
    let (sender, result) = mpsc::sync_channel(1);
    thread::spawn(move || sender.send(read()));
    result
        .recv_timeout(READ_DEADLINE)
        .map_err(|_| ReadTimeout(READ_DEADLINE))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt as _,
        path::Path,
        sync::mpsc,
        time::Duration,
    };

    use tempfile::tempdir;

    use super::{FileReader, ReadTimeout, read_bytes, world_accessible};

    /// `/proc` has regular files of size 0 with endless contents. The whole of this one has gigabytes.
    #[test]
    fn file_of_false_size_is_refused() {
        let error = read_bytes(Path::new("/proc/self/pagemap")).unwrap_err();
        assert_eq!(error.to_string(), "it has more than 64 MiB");
    }

    #[test]
    fn pipe_without_writer_is_refused_at_once() {
        let directory = tempdir().unwrap();
        let path = directory.path().join("pipe");
        let made = rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        );
        made.unwrap();
        let error = read_bytes(&path).unwrap_err();
        assert_eq!(error.to_string(), "it is not a file");
    }

    /// A read that never ended stopped all reloads for good, without a line.
    #[tokio::test]
    async fn blocked_read_times_out_and_keeps_one_thread() {
        let reader = FileReader::new(Duration::from_millis(50));
        let (unblock, blocked) = mpsc::channel::<()>();
        let stuck = reader.run(move || blocked.recv().is_ok()).await;
        assert_eq!(stuck, Err(ReadTimeout(Duration::from_millis(50))));
        let (ran, runs) = mpsc::channel();
        assert!(reader.run(move || ran.send(())).await.is_err());
        assert!(runs.try_recv().is_err(), "a second thread reads");
        unblock.send(()).unwrap();
        let reader = FileReader {
            deadline: Duration::from_secs(30),
            ..reader
        };
        assert_eq!(reader.run(|| 7).await, Ok(7));
    }

    #[test]
    fn world_accessible_file_is_found() {
        let directory = tempdir().unwrap();
        let path = directory.path().join("credentials.toml");
        assert_eq!(world_accessible(&path), None);
        fs::write(&path, "").unwrap();
        for (mode, is_open) in [(0o600, false), (0o640, false), (0o644, true), (0o602, true)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(world_accessible(&path).is_some(), is_open, "{mode:o}");
        }
    }
}
