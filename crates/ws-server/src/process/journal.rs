//! The journal of systemd, if it reads stderr.

use std::env;

use rustix::{fs::fstat, stdio::stderr};

/// The variable in which systemd names the stream by device and inode (`systemd.exec(5)`).
const VARIABLE: &str = "JOURNAL_STREAM";

/// Returns true if stderr is a stream of the journal. A process that redirected it inherits the variable
/// all the same, so the stream is compared.
pub(crate) fn is_stderr_of_journal() -> bool {
    let (Some(stream), Ok(file)) = (env::var_os(VARIABLE), fstat(stderr())) else {
        return false;
    };
    stream.to_str().and_then(parse) == Some((file.st_dev, file.st_ino))
}

/// Parses `DEVICE:INODE`, in decimal.
fn parse(stream: &str) -> Option<(u64, u64)> {
    let (device, inode) = stream.split_once(':')?;
    Some((device.parse().ok()?, inode.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn stream_is_device_and_inode() {
        assert_eq!(parse("8:1234"), Some((8, 1234)));
        for text in ["", "8", "8:", ":8", "8:x", "8:1:2"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
