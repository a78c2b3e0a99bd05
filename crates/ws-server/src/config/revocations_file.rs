//! The file that keeps the revocations of operators over a restart (`login.revocations_file`).
//!
//! Only the server writes it: beside it first, then by a rename, both synced to the disk, so that a
//! crash leaves the old content or the new one.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    ops::Range,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use proto::{config::TomlError, config::from_toml, username::UserName};
use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, task::spawn_blocking, time::timeout};
use toml::Spanned;

use crate::{
    access::{Revocation, Revocations},
    config::{error::ConfigError, files},
};

/// The deadline for writing the file. A disk that hangs must not keep an operator waiting.
const SAVE_DEADLINE: Duration = Duration::from_secs(5);

/// The first line of the file.
const HEADER: &str = "# The users whose logins an operator has revoked, and those whose revocation has \
                      ended. ws-server writes this file and reads it at the start.\n";

/// The file of the revocations.
#[derive(Debug)]
pub(crate) struct RevocationsFile {
    path: PathBuf,
    /// The content that was written last. The lock serialises the writers.
    saved: Arc<Mutex<Option<Arc<Revocations>>>>,
}

/// The reason why the revocations were not written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {problem}", path.display())]
pub(crate) struct SaveError {
    path: PathBuf,
    problem: String,
}

/// The TOML form of the file.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entries<R, E> {
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    revocation: Vec<R>,
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    ended: Vec<E>,
}

#[derive(Serialize)]
struct WrittenEntry<'a> {
    user: &'a UserName,
    credential: String,
    since: String,
    by: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadEntry {
    user: Spanned<String>,
    credential: Spanned<String>,
    since: Spanned<String>,
    by: String,
}

/// A user whose revocation has ended, with the time up to which its tickets are dead.
#[derive(Serialize)]
struct WrittenEnd<'a> {
    user: &'a UserName,
    tickets: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadEnd {
    user: Spanned<String>,
    tickets: Spanned<String>,
}

impl RevocationsFile {
    /// Creates the file at this path with the first [`RevocationsFile::save`].
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            saved: Arc::default(),
        }
    }

    /// Reads the file. One that does not exist yet has no revocations.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or its content is not that of such a file. The server must not start
    /// then: it would admit revoked users.
    pub(crate) fn load(path: &Path) -> Result<Revocations, ConfigError> {
        match files::read(path) {
            Ok(text) => parse(&text).map_err(|problem| ConfigError::content(path, problem)),
            Err(ConfigError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(Revocations::default())
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the revocations that `current` returns, unless the last save wrote the same. Several
    /// calls write one after the other, each the value of its turn.
    ///
    /// Cancel safe: a write that has started is completed.
    ///
    /// # Errors
    ///
    /// The file cannot be written, or not within [`SAVE_DEADLINE`].
    pub(crate) async fn save(
        &self,
        current: impl FnOnce() -> Arc<Revocations> + Send + 'static,
    ) -> Result<(), SaveError> {
        let path = self.path.clone();
        let save = async {
            let mut saved = Arc::clone(&self.saved).lock_owned().await;
            let write = spawn_blocking(move || {
                let revocations = current();
                if saved.as_ref() == Some(&revocations) {
                    return Ok(());
                }
                write(&path, &to_text(&revocations))?;
                *saved = Some(revocations);
                Ok(())
            });
            write
                .await
                .unwrap_or_else(|error| Err(io::Error::other(error)))
        };
        let saved = timeout(SAVE_DEADLINE, save).await;
        let problem = match saved {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it took longer than {} s", SAVE_DEADLINE.as_secs()),
        };
        Err(SaveError {
            path: self.path.clone(),
            problem,
        })
    }
}

fn parse(text: &str) -> Result<Revocations, TomlError> {
    let entries: Entries<ReadEntry, ReadEnd> = from_toml(text)?;
    let at = |span: Range<usize>, problem: String| TomlError::at_byte(text, span.start, problem);
    let user = |user: &Spanned<String>| {
        UserName::parse(user.get_ref()).map_err(|error| at(user.span(), error.to_string()))
    };
    let time = |time: &Spanned<String>| {
        let problem = "write a time such as 2030-12-31T23:59:59Z";
        humantime::parse_rfc3339(time.get_ref()).map_err(|_| at(time.span(), problem.to_owned()))
    };
    let mut revocations = Revocations::default();
    for entry in entries.revocation {
        let name = user(&entry.user)?;
        let credential = (entry.credential.get_ref().parse()).map_err(
            |error: proto::credentials::FingerprintError| {
                at(entry.credential.span(), error.to_string())
            },
        )?;
        let revocation = Revocation {
            credential,
            since: time(&entry.since)?,
            by: entry.by,
        };
        revocations.insert(name, revocation);
    }
    for entry in entries.ended {
        revocations.insert_ended(user(&entry.user)?, time(&entry.tickets)?);
    }
    Ok(revocations)
}

fn to_text(revocations: &Revocations) -> String {
    let entries = revocations.iter().map(|(user, revocation)| WrittenEntry {
        user,
        credential: revocation.credential.to_string(),
        since: humantime::format_rfc3339_seconds(revocation.since).to_string(),
        by: &revocation.by,
    });
    let ended = revocations.ended().map(|(user, tickets)| WrittenEnd {
        user,
        tickets: humantime::format_rfc3339_seconds(tickets).to_string(),
    });
    let entries = Entries {
        revocation: entries.collect(),
        ended: ended.collect(),
    };
    let entries = toml::to_string(&entries).expect("each value has a form in TOML");
    format!("{HEADER}{entries}")
}

/// Replaces a file. The content is on the disk when the function returns.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    // A file that a crash has left may be of other permissions.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    };
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::PermissionsExt as _,
        sync::Arc,
        time::{Duration, SystemTime},
    };

    use proto::{credentials::Accounts, username::UserName};
    use tempfile::tempdir;

    use super::{Revocation, Revocations, RevocationsFile};

    fn jane_revoked() -> Arc<Revocations> {
        let accounts = Accounts::from_toml("[[user]]\nname = \"ja\\\"ne\"\npassword = \"x\"");
        let user = UserName::parse("ja\"ne").unwrap();
        let revocation = Revocation {
            credential: accounts.unwrap().fingerprint(&user, [7; 16]).unwrap(),
            since: SystemTime::UNIX_EPOCH,
            by: "uid:1000".to_owned(),
        };
        let mut revocations = Revocations::default();
        revocations.insert(user, revocation);
        let joe = UserName::parse("joe").unwrap();
        revocations.insert_ended(joe, SystemTime::UNIX_EPOCH + Duration::from_secs(7));
        Arc::new(revocations)
    }

    #[tokio::test]
    async fn saved_revocations_are_read_back() {
        let directory = tempdir().unwrap();
        let path = directory.path().join("revocations.toml");
        assert_eq!(
            RevocationsFile::load(&path).unwrap(),
            Revocations::default()
        );
        let file = RevocationsFile::new(path.clone());
        let revocations = jane_revoked();
        let saved = Arc::clone(&revocations);
        file.save(move || saved).await.unwrap();
        assert_eq!(RevocationsFile::load(&path).unwrap(), *revocations);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        file.save(Arc::default).await.unwrap();
        assert_eq!(
            RevocationsFile::load(&path).unwrap(),
            Revocations::default()
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn failed_save_names_file_and_cause() {
        let directory = tempdir().unwrap();
        let path = directory.path().join("missing/revocations.toml");
        let error = RevocationsFile::new(path.clone()).save(jane_revoked).await;
        let problem = "No such file or directory (os error 2)";
        let expected = format!("cannot write {}: {problem}", path.display());
        assert_eq!(error.unwrap_err().to_string(), expected);
    }

    #[test]
    fn malformed_file_is_refused_with_line() {
        let directory = tempdir().unwrap();
        let path = directory.path().join("revocations.toml");
        let entry = "[[revocation]]\nuser = \"jane\"\ncredential = \"c2hvcnQ\"\n\
                     since = \"2026-01-01T00:00:00Z\"\nby = \"uid:0\"\n";
        fs::write(&path, entry).unwrap();
        let error = RevocationsFile::load(&path).unwrap_err().to_string();
        let problem = "a fingerprint is written by the server, as 64 characters of base64";
        let expected = format!(
            "{}: line 3: `revocation.credential`: {problem}",
            path.display()
        );
        assert_eq!(error, expected);
    }
}
