//! The source of the credentials: the command line, the configuration file or a prompt.

use std::path::{Path, PathBuf};

use clap::ValueEnum as _;
use proto::{
    credentials::password_from_file,
    message::{Credentials, MAX_CREDENTIALS_BYTES},
    username::UserName,
};

use super::{
    auth::Auth,
    error::ConfigError,
    file::{File, RawLogin},
    flags::PasswordSource,
    password_command::PasswordCommand,
    secret_file::SecretFile,
};
use crate::{console::Mode, handshake::BearerToken};

/// The source of the credentials.
#[derive(Debug)]
pub enum LoginSource {
    /// The lines of the input.
    Ask,
    /// A password prompt for this user, or the first line of a pipe.
    AskPassword(UserName),
    /// The configuration.
    Configured(Credentials),
}

/// The login of the command line.
pub(super) struct LoginFlags {
    pub(super) auth: Option<Auth>,
    pub(super) user: Option<String>,
    pub(super) password: Option<PasswordSource>,
    pub(super) bearer_file: Option<PathBuf>,
}

impl LoginFlags {
    /// Returns the name of the secret that the flags give, if there is one.
    pub(super) fn secret(&self) -> Option<&'static str> {
        match (&self.password, &self.bearer_file) {
            (Some(_), _) => Some("the password"),
            (None, Some(_)) => Some("the token"),
            (None, None) => None,
        }
    }
}

/// The login of a file.
pub(super) struct FileLogin<'a> {
    pub(super) file: &'a File,
    pub(super) login: RawLogin,
    /// The notice that this login is for another server.
    pub(super) unused: Option<String>,
}

/// A login method, and what it sends.
pub(super) struct ResolvedLogin {
    pub(super) auth: Auth,
    pub(super) source: LoginSource,
    pub(super) password_command: Option<PasswordCommand>,
    pub(super) bearer: Option<BearerToken>,
}

impl ResolvedLogin {
    /// Merges the flags with the login of a file.
    ///
    /// # Errors
    ///
    /// A flag or a key is invalid, or does not fit to the method. A file with a secret cannot be used.
    /// A pipe cannot be asked for a password.
    pub(super) fn merge(
        flags: LoginFlags,
        of_file: Option<FileLogin<'_>>,
        mode: Mode,
        notices: &mut Vec<String>,
    ) -> Result<Self, ConfigError> {
        let auth_of_file = of_file.as_ref().map(FileLogin::auth).transpose()?;
        let auth = match (flags.auth, &flags.bearer_file) {
            (Some(auth @ (Auth::Message | Auth::Basic | Auth::None)), Some(_)) => {
                return Err(ConfigError::BearerWithoutUse(auth));
            }
            (Some(auth), _) => auth,
            (None, Some(_)) => Auth::Bearer,
            (None, None) => auth_of_file.flatten().unwrap_or_default(),
        };
        let without_user = |bearer| Self {
            auth,
            source: LoginSource::Ask,
            password_command: None,
            bearer,
        };
        let user = match (auth, flags.user) {
            (Auth::Message | Auth::Basic, user) => user,
            (Auth::Bearer | Auth::None, Some(_)) => {
                return Err(ConfigError::UserWithoutLogin(auth));
            }
            // A login in the file is for another server or another time.
            (Auth::None, None) => return Ok(without_user(None)),
            (Auth::Bearer, None) => {
                let path = match (flags.bearer_file, of_file) {
                    (Some(path), _) => path,
                    (None, Some(of_file)) => of_file.bearer_file()?,
                    (None, None) => return Err(ConfigError::NoBearer),
                };
                return Ok(without_user(Some(bearer_token(&path, notices)?)));
            }
        };
        let (name, password) = match (user, of_file) {
            (Some(user), _) => {
                let name = UserName::parse(&user).map_err(ConfigError::User)?;
                (Some(name), flags.password)
            }
            (None, Some(of_file)) => match of_file.unused {
                None => of_file.user_and_password()?,
                Some(notice) => {
                    notices.push(notice);
                    (None, None)
                }
            },
            (None, None) => (None, None),
        };
        let (source, password_command) = match (name, password, mode) {
            (None, _, _) => (LoginSource::Ask, None),
            (Some(name), Some(PasswordSource::File(path)), _) => {
                (credentials(name, path, notices)?, None)
            }
            (Some(name), Some(PasswordSource::Command(command)), _) => {
                (LoginSource::AskPassword(name), Some(command))
            }
            (Some(name), None, Mode::Pipe) => return Err(ConfigError::NotInteractive(name)),
            (Some(name), Some(PasswordSource::Stdin) | None, _) => {
                (LoginSource::AskPassword(name), None)
            }
        };
        Ok(Self {
            auth,
            source,
            password_command,
            bearer: None,
        })
    }
}

impl FileLogin<'_> {
    /// Returns the login method, if the file names one for this server. A token alone chooses `bearer`.
    fn auth(&self) -> Result<Option<Auth>, ConfigError> {
        let Self { file, login, .. } = self;
        let auth = match (&login.auth, &login.bearer_file) {
            (None, None) => return Ok(None),
            (None, Some(_)) => Auth::Bearer,
            (Some(auth), _) => Auth::from_str(auth, false).map_err(|_| {
                let problem = "write \"message\", \"basic\", \"bearer\" or \"none\"";
                file.problem_at("login.auth", &problem)
            })?,
        };
        match (auth, &login.bearer_file) {
            (Auth::None | Auth::Bearer, _) if login.user.is_some() => Err(file.problem_at(
                "login.user",
                &format_args!("auth = \"{auth}\" needs no user; take one of the two out"),
            )),
            (Auth::Bearer, None) => Err(file.problem_at(
                "login.auth",
                &"name the file with the token with the key `bearer_file`",
            )),
            (Auth::Message | Auth::Basic | Auth::None, Some(_)) => Err(file.problem_at(
                "login.bearer_file",
                &format_args!("auth = \"{auth}\" needs no token; take one of the two out"),
            )),
            (_, _) => Ok(Some(auth).filter(|_| self.unused.is_none())),
        }
    }

    /// Returns the file with the token for this server.
    fn bearer_file(&self) -> Result<PathBuf, ConfigError> {
        match (&self.login.bearer_file, &self.unused) {
            (Some(path), None) => self.file.resolve("login.bearer_file", path),
            (_, _) => Err(ConfigError::NoBearer),
        }
    }

    /// Returns the user, if the file names one, and the source of the password.
    fn user_and_password(self) -> Result<(Option<UserName>, Option<PasswordSource>), ConfigError> {
        let Self { file, login, .. } = self;
        let password = match (login.password_file, login.password_command) {
            (Some(_), Some(_)) => {
                return Err(file.problem_at(
                    "login.password_command",
                    &"a password has one source; take password_file or password_command out",
                ));
            }
            (Some(path), None) => Some(PasswordSource::File(
                file.resolve("login.password_file", &path)?,
            )),
            (None, Some(command)) => {
                let key = "login.password_command";
                file.check_command(key)?;
                let command = PasswordCommand::parse(&command);
                let command = command.map_err(|error| file.problem_at(key, &error))?;
                Some(PasswordSource::Command(command))
            }
            (None, None) => None,
        };
        let Some(user) = login.user else {
            let key = match password {
                None => return Ok((None, None)),
                Some(PasswordSource::Command(_)) => "login.password_command",
                Some(PasswordSource::File(_) | PasswordSource::Stdin) => "login.password_file",
            };
            let problem = "a password belongs to a user; name the user with the key `user`";
            return Err(file.problem_at(key, &problem));
        };
        let name = UserName::parse(&user).map_err(|error| file.problem_at("login.user", &error))?;
        Ok((Some(name), password))
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

/// Reads a bearer file. A file that everybody may read adds a warning to the notices.
fn bearer_token(path: &Path, notices: &mut Vec<String>) -> Result<BearerToken, ConfigError> {
    let text = SecretFile::Bearer.read(path, notices)?;
    BearerToken::parse(&text).map_err(|problem| ConfigError::Bearer {
        path: path.to_owned(),
        problem,
    })
}
