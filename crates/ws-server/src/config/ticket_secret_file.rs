//! The file of the secret that tickets are derived from (`login.ticket_secret_file`).

use std::{os::unix::fs::MetadataExt as _, path::Path, sync::Arc};

use proto::{credentials::TicketSecrets, text::decode};
use zeroize::Zeroizing;

use crate::config::{config::Config, error::ConfigError, files::read_bytes};

/// The mode bits of a file for users other than its owner.
const NOT_OWNER: u32 = 0o077;

/// The mode bit by which the group may read.
const GROUP_READ: u32 = 0o040;

impl Config {
    /// Reads the secret of tickets, if the configuration names a file of it.
    pub(super) fn read_ticket_secrets(&mut self) -> Result<(), ConfigError> {
        let path = self.login.ticket_secret_file.as_deref();
        self.ticket_secrets = path.map(load).transpose()?.map(Arc::new);
        Ok(())
    }
}

fn load(path: &Path) -> Result<TicketSecrets, ConfigError> {
    let (content, metadata) = read_bytes(path).map_err(|error| ConfigError::read(path, error))?;
    let mode = metadata.mode();
    if !is_private(mode, metadata.gid()) {
        return Err(ConfigError::TicketSecretReadable {
            path: path.to_owned(),
            mode: mode & 0o777,
        });
    }
    let text = decode(content).map_err(|problem| ConfigError::content(path, problem))?;
    let text = Zeroizing::new(text);
    TicketSecrets::parse(&text).map_err(|problem| ConfigError::content(path, problem))
}

/// Returns true if only the owner of a file may access it. The group of root may read it too: systemd
/// gives a service access to a credential (`LoadCredential`) by an ACL, which shows as this bit.
fn is_private(mode: u32, group: u32) -> bool {
    let open_to = mode & NOT_OWNER;
    open_to == 0 || open_to == GROUP_READ && group == 0
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt as _,
    };

    use tempfile::tempdir;

    use super::{is_private, load};

    #[test]
    fn file_of_owner_or_group_root_is_private() {
        for (mode, group, private) in [
            (0o100_400, 1000, true),
            (0o100_600, 0, true),
            (0o100_440, 0, true),
            (0o100_440, 1000, false),
            (0o100_460, 0, false),
            (0o100_444, 0, false),
            (0o100_604, 0, false),
        ] {
            assert_eq!(is_private(mode, group), private, "{mode:o} {group}");
        }
    }

    #[test]
    fn secret_file_open_to_group_or_others_refused() {
        let directory = tempdir().unwrap();
        let path = directory.path().join("tickets.secret");
        fs::write(&path, "0f".repeat(32)).unwrap();
        for mode in [0o400, 0o600] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert!(load(&path).is_ok(), "{mode:o}");
        }
        for mode in [0o660, 0o620, 0o604, 0o666] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let expected = format!(
                "{0}: users other than its owner can read or change this secret (mode {mode:04o}): \
                 run `chmod go= {0}`",
                path.display()
            );
            assert_eq!(load(&path).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn malformed_secret_file_refused_without_quoting_it() {
        let directory = tempdir().unwrap();
        let path = directory.path().join("tickets.secret");
        fs::write(&path, format!("{}\n98765\n", "0f".repeat(32))).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let expected = format!(
            "{}: line 2: a secret has 64 to 1024 hexadecimal digits, an even number; `ws-server \
             new-secret` prints one",
            path.display()
        );
        assert_eq!(load(&path).unwrap_err().to_string(), expected);
    }
}
