//! The check of the mode of a file that holds passwords.

use std::path::{Path, PathBuf};

/// The mode bits of a file for users other than its owner and group.
const OTHERS: u32 = 0o007;

/// A file that everybody on this machine may read or write, though it holds passwords.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}: everybody on this machine may read it or write to it (its mode is {mode:04o}), and it \
     holds passwords: run `chmod o= {0}`",
    path.display()
)]
pub struct WorldAccessible {
    path: PathBuf,
    mode: u32,
}

impl WorldAccessible {
    /// Returns the flaw of a file of passwords with this Unix mode, if it has it.
    pub fn of(path: &Path, mode: u32) -> Option<Self> {
        let mode = mode & 0o777;
        let path = path.to_owned();
        (mode & OTHERS != 0).then_some(Self { path, mode })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::WorldAccessible;

    #[test]
    fn file_open_to_others_has_a_flaw() {
        let flaw = |mode: u32| {
            let flaw = WorldAccessible::of(Path::new("a/secret"), 0o100_000 | mode);
            flaw.map(|flaw| flaw.to_string())
        };
        for mode in [0o600, 0o640, 0o660] {
            assert_eq!(flaw(mode), None, "{mode:o}");
        }
        for mode in [0o644, 0o602] {
            assert_eq!(
                flaw(mode).unwrap(),
                format!(
                    "a/secret: everybody on this machine may read it or write to it (its mode is \
                     0{mode:o}), and it holds passwords: run `chmod o= a/secret`"
                )
            );
        }
    }
}
