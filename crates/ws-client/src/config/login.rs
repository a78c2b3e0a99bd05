//! The source of the credentials: the command line, the configuration file or a prompt.

use std::path::PathBuf;

use clap::ValueEnum as _;
use proto::{
    credentials::password_from_file,
    message::{Credentials, MAX_CREDENTIALS_BYTES},
    username::UserName,
};

use super::{
    error::ConfigError,
    file::{File, RawLogin},
    flags::Auth,
    secret_file::SecretFile,
};

/// The source of the credentials.
#[derive(Debug)]
pub enum LoginSource {
    /// The lines of the input.
    Ask,
    /// A password prompt, for this user.
    AskPassword(UserName),
    /// The configuration.
    Configured(Credentials),
}

pub(super) fn login_from_flags(
    user: &str,
    password_file: Option<PathBuf>,
    notices: &mut Vec<String>,
) -> Result<LoginSource, ConfigError> {
    let name = UserName::parse(user).map_err(ConfigError::User)?;
    match password_file {
        Some(path) => credentials(name, path, notices),
        None => Ok(LoginSource::AskPassword(name)),
    }
}

pub(super) fn auth_from_file(file: &File, login: &RawLogin) -> Result<Option<Auth>, ConfigError> {
    let Some(auth) = &login.auth else {
        return Ok(None);
    };
    match Auth::from_str(auth, false) {
        Ok(Auth::None) if login.user.is_some() => Err(file.problem_at(
            "login.user",
            &"auth = \"none\" needs no user; take one of the two out",
        )),
        Ok(auth) => Ok(Some(auth)),
        Err(_) => Err(file.problem_at("login.auth", &"write \"message\", \"basic\" or \"none\"")),
    }
}

pub(super) fn login_from_file(
    file: &File,
    login: RawLogin,
    notices: &mut Vec<String>,
) -> Result<LoginSource, ConfigError> {
    let Some(user) = login.user else {
        return match login.password_file {
            Some(_) => Err(file.problem_at(
                "login.password_file",
                &"a password belongs to a user; name the user with the key `user`",
            )),
            None => Ok(LoginSource::Ask),
        };
    };
    let name = UserName::parse(&user).map_err(|error| file.problem_at("login.user", &error))?;
    match login.password_file {
        Some(path) => {
            let path = file.resolve("login.password_file", &path)?;
            credentials(name, path, notices)
        }
        None => Ok(LoginSource::AskPassword(name)),
    }
}

/// Reads a password file. A file that everybody may read adds a warning to the notices.
fn credentials(
    name: UserName,
    path: PathBuf,
    notices: &mut Vec<String>,
) -> Result<LoginSource, ConfigError> {
    let text = SecretFile::Password.read(&path, notices)?;
    let password = match password_from_file(&text) {
        Ok(password) => password,
        Err(problem) => return Err(ConfigError::Password { path, problem }),
    };
    let credentials = Credentials { name, password };
    if credentials.line().expose().len() > MAX_CREDENTIALS_BYTES {
        return Err(ConfigError::TooLong { path });
    }
    Ok(LoginSource::Configured(credentials))
}
