//! The files of a server, which a test may change while it runs.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use proto::{password::PasswordHash, secret::Secret};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{IssuedCertificate, ServerProcess, server_binary};

/// The file name of the configuration.
pub const CONFIGURATION: &str = "server.toml";

/// The default file name of the accounts.
pub const ACCOUNTS: &str = "credentials.toml";

/// The file name of the server's certificate.
pub const CERTIFICATE: &str = "server.pem";

/// The file name of the server's private key.
pub const PRIVATE_KEY: &str = "server.key";

/// A directory with a configuration and accounts. Dropping it deletes the directory.
#[derive(Debug)]
pub struct ServerFiles {
    directory: TempDir,
}

impl ServerFiles {
    /// Writes a configuration and accounts.
    pub fn new(configuration: &str, accounts: &str) -> Self {
        let directory = TempDir::new().expect("a directory can be made");
        let files = Self { directory };
        files.overwrite(CONFIGURATION, configuration);
        files.overwrite(ACCOUNTS, accounts);
        files
    }

    /// Writes a configuration and the development account.
    pub fn with_admin(configuration: &str) -> Self {
        Self::new(configuration, &admin_account())
    }

    /// Writes a configuration with a `[tls]` section, accounts and the certificate files.
    pub fn with_tls(configuration: &str, accounts: &str, issued: &IssuedCertificate) -> Self {
        let files = Self::new(&Self::naming_tls(configuration), accounts);
        files.overwrite(CERTIFICATE, &issued.certificate);
        files.overwrite(PRIVATE_KEY, &issued.private_key);
        files
    }

    /// Returns a configuration with a `[tls]` section for the certificate files.
    pub fn naming_tls(configuration: &str) -> String {
        let names = [("certificate", CERTIFICATE), ("private_key", PRIVATE_KEY)];
        let lines = names.map(|(key, name)| format!("{key} = \"{name}\"\n"));
        format!("{configuration}\n[tls]\n{}", lines.concat())
    }

    /// Returns the path of a file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Overwrites a file in place. A reader may see it incomplete.
    pub fn overwrite(&self, name: &str, content: &str) {
        write(&self.path(name), content);
    }

    /// Sets the mode of a file.
    pub fn allow(&self, name: &str, mode: u32) {
        let allowed = fs::set_permissions(self.path(name), Permissions::from_mode(mode));
        allowed.expect("the test owns the file");
    }

    /// Replaces a file atomically.
    pub fn replace(&self, name: &str, content: &str) {
        replace(&self.path(name), content);
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("the file can be removed");
    }

    /// Returns the command that starts a server with these files, on a free port.
    pub fn command(&self) -> Command {
        ServerProcess::command(&self.path(CONFIGURATION))
    }

    /// Returns the command of a server with these files and these arguments.
    pub fn command_with(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(server_binary());
        command.arg("--config").arg(self.path(CONFIGURATION));
        command.args(arguments);
        command
    }

    /// Starts a server with these files, and waits until it has logged its start.
    pub async fn serve(&self) -> ServerProcess {
        self.serve_with_log("info").await
    }

    /// Starts a server with these files and this log level, and waits until it has logged its
    /// start.
    pub async fn serve_with_log(&self, detail: &str) -> ServerProcess {
        let mut server = ServerProcess::spawn_with_log(self.command(), detail).await;
        server.log_line("read ").await;
        server
    }
}

/// Replaces a file atomically.
fn replace(path: &Path, content: &str) {
    let next = path.with_extension("next");
    write(&next, content);
    fs::rename(next, path).expect("the file can be renamed");
}

/// Writes a file. A private key or a file of passwords gets mode 0600.
fn write(path: &Path, content: &str) {
    fs::write(path, content).expect("the file can be written");
    if content.contains("PRIVATE KEY") || content.contains("password") {
        fs::set_permissions(path, Permissions::from_mode(0o600)).expect("the test owns the file");
    }
}

/// Returns a credentials file with the development account.
pub fn admin_account() -> String {
    accounts(&[("admin", "123456")])
}

/// Returns a credentials file with these users and passwords.
pub fn accounts(users: &[(&str, &str)]) -> String {
    users
        .iter()
        .map(|(name, password)| account(name, &format!("password = \"{password}\"")))
        .collect()
}

/// Returns the `password_hash` line of an account, with a hash of the default cost.
pub fn password_hash(password: &str) -> String {
    let hash = PasswordHash::new(&Secret::new(password), [7; 16]);
    format!("password_hash = \"{hash}\"")
}

/// Returns an account with these lines besides the name.
pub fn account(name: &str, lines: &str) -> String {
    format!("[[user]]\nname = \"{name}\"\n{lines}\n")
}
