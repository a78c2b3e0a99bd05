//! The files that a server is started with, and that a test changes while it runs.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use tokio::process::Command;

use crate::{IssuedCertificate, ServerProcess};

/// The name of the configuration.
pub const CONFIGURATION: &str = "server.toml";

/// The name of the accounts, where the configuration names no other.
pub const ACCOUNTS: &str = "credentials.toml";

/// The name of the server's certificate, where it has one.
pub const CERTIFICATE: &str = "server.pem";

/// The name of the private key to it.
pub const PRIVATE_KEY: &str = "server.key";

/// A directory with a configuration and accounts in it. It is gone when this is dropped.
#[derive(Debug)]
pub struct ServerFiles {
    directory: TempDir,
}

impl ServerFiles {
    /// This configuration, and these accounts.
    pub fn new(configuration: &str, accounts: &str) -> Self {
        let directory = TempDir::new().expect("a directory can be made");
        let files = Self { directory };
        files.overwrite(CONFIGURATION, configuration);
        files.overwrite(ACCOUNTS, accounts);
        files
    }

    /// The same, with the files of a certificate, which the configuration is given a section for.
    pub fn with_tls(configuration: &str, accounts: &str, issued: &IssuedCertificate) -> Self {
        let files = Self::new(&Self::naming_tls(configuration), accounts);
        files.overwrite(CERTIFICATE, &issued.certificate);
        files.overwrite(PRIVATE_KEY, &issued.private_key);
        files
    }

    /// A configuration with the section that names the files of a certificate.
    pub fn naming_tls(configuration: &str) -> String {
        let names = [("certificate", CERTIFICATE), ("private_key", PRIVATE_KEY)];
        let lines = names.map(|(key, name)| format!("{key} = \"{name}\"\n"));
        format!("{configuration}\n[tls]\n{}", lines.concat())
    }

    /// Where a file is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file where it is. For a moment, it is there in part.
    pub fn overwrite(&self, name: &str, content: &str) {
        write(&self.path(name), content);
    }

    /// Sets who may do what with a file.
    pub fn allow(&self, name: &str, mode: u32) {
        let allowed = fs::set_permissions(self.path(name), Permissions::from_mode(mode));
        allowed.expect("it is ours");
    }

    /// Puts another file in the place of one. There is no moment without a whole one.
    pub fn replace(&self, name: &str, content: &str) {
        replace(&self.path(name), content);
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("it can be removed");
    }

    /// The command that starts a server with these files, on a free port.
    pub fn command(&self) -> Command {
        ServerProcess::command(&self.path(CONFIGURATION))
    }

    /// A server with these files, which has told all that it tells at its start.
    pub async fn serve(&self) -> ServerProcess {
        self.serve_with_log("info").await
    }

    /// The same, and its log is as detailed as this.
    pub async fn serve_with_log(&self, detail: &str) -> ServerProcess {
        let mut server = ServerProcess::spawn_with_log(self.command(), None, detail).await;
        server.log_line("read ").await;
        server
    }
}

/// Puts a new file in the place of one that is there, at once and as a whole.
pub fn replace(path: &Path, content: &str) {
    let next = path.with_extension("next");
    write(&next, content);
    fs::rename(next, path).expect("it can be put in place");
}

/// Writes a file, which is for its owner alone if it is a key.
fn write(path: &Path, content: &str) {
    fs::write(path, content).expect("it can be written");
    if content.contains("PRIVATE KEY") {
        fs::set_permissions(path, Permissions::from_mode(0o600)).expect("it is ours");
    }
}

/// A credentials file of these users and their passwords.
pub fn accounts(users: &[(&str, &str)]) -> String {
    users
        .iter()
        .map(|(name, password)| account(name, &format!("password = \"{password}\"")))
        .collect()
}

/// An entry of a credentials file, with these lines besides the name.
pub fn account(name: &str, lines: &str) -> String {
    format!("[[user]]\nname = \"{name}\"\n{lines}\n")
}
