//! The reasons why there is no valid configuration.

use std::{io, path::PathBuf};

use proto::{
    config::TomlError,
    credentials::PasswordFileError,
    message::MAX_CREDENTIALS_BYTES,
    text::EncodingError,
    username::{UserName, UserNameError},
};

use super::{auth::Auth, password_command::PasswordCommandError, secret_file::SecretFileError};
use crate::{
    endpoint::EndpointError,
    handshake::{BearerTokenError, HeaderFieldError, SubprotocolError},
    tls::TrustError,
};

/// The reason why there is no valid configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The configuration file cannot be read.
    #[error("the configuration file {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file in the current directory belongs to another user.
    #[error(
        "the configuration file {} belongs to another user (uid {owner}) and is not used; run ws-client in another directory, or name the file with --config if you trust it",
        path.display()
    )]
    ForeignFile {
        /// The file.
        path: PathBuf,
        /// The user id of its owner.
        owner: u32,
    },
    /// The configuration file is not UTF-8.
    #[error("{}: {problem}", path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// The line, and what to do.
        problem: EncodingError,
    },
    /// The configuration file has an error.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The line, the key, and the value to write.
        problem: TomlError,
    },
    /// `--binary`, `--null` or `--json-input` was given at a terminal.
    #[error(
        "--binary, --null and --json-input are for a pipe, and stdin is a terminal; leave them out"
    )]
    RecordsAtTerminal,
    /// The log cannot be opened.
    #[error("--log: {} cannot be opened", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The URL on the command line is invalid.
    #[error(transparent)]
    Url(EndpointError),
    /// The name after `--user` is invalid.
    #[error("--user: {0}")]
    User(UserNameError),
    /// `--user` was given with a login method that has no user.
    #[error("--user: auth \"{0}\" needs no user; leave --user out, or choose another --auth")]
    UserWithoutLogin(Auth),
    /// `--auth bearer` was given without a token.
    #[error("--auth bearer: there is no token; name the file with the token by --bearer-file")]
    NoBearer,
    /// `--bearer-file` was given with another login method.
    #[error("--bearer-file: auth \"{0}\" needs no token; leave one of the two out")]
    BearerWithoutUse(Auth),
    /// The bearer file does not hold a token.
    #[error("the bearer file {}: {problem}", path.display())]
    Bearer {
        /// The file.
        path: PathBuf,
        /// The fault of its content.
        problem: BearerTokenError,
    },
    /// The password command supplies no password.
    #[error("the password command supplied no password")]
    PasswordCommand(#[source] PasswordCommandError),
    /// A file with secrets cannot be read.
    #[error(transparent)]
    SecretFile(#[from] SecretFileError),
    /// The password file does not hold a password.
    #[error("the password file {}: {problem}", path.display())]
    Password {
        /// The file.
        path: PathBuf,
        /// The fault of its content.
        problem: PasswordFileError,
    },
    /// Name and password together are longer than a server accepts.
    #[error(
        "the password file {}: name and password together have at most {MAX_CREDENTIALS_BYTES} bytes",
        path.display()
    )]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The password must be typed, and stdin is not a terminal.
    #[error(
        "the password of {0} cannot be asked for without a terminal; name its source by --password-file, --password-command or --password-stdin"
    )]
    NotInteractive(UserName),
    /// The password would be sent unencrypted over a network.
    #[error(
        "a password sent to {0} could be read on the way, because ws:// is not encrypted; use wss://, or say with --allow-insecure that the network can be trusted"
    )]
    Cleartext(String),
    /// A bearer token would be sent unencrypted over a network.
    #[error(
        "a bearer token sent to {0} could be read on the way, because ws:// is not encrypted; use wss://, or say with --allow-insecure that the network can be trusted"
    )]
    CleartextBearer(String),
    /// A secret header field would be sent unencrypted over a network.
    #[error(
        "a secret header field sent to {0} could be read on the way, because ws:// is not encrypted; use wss://, or say with --allow-insecure that the network can be trusted"
    )]
    CleartextField(String),
    /// A secret of the command line would go to a server that the file of the current directory chose.
    #[error(
        "{secret} of the command line is not sent: {} of the current directory chose the server {server}; write the URL, or name the file with --config",
        path.display()
    )]
    UntrustedServer {
        /// The secret.
        secret: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The origin of the server.
        server: String,
    },
    /// A header field on the command line cannot be sent.
    #[error("--header: {0}")]
    Header(HeaderFieldError),
    /// `--header` and another flag set the same field.
    #[error("--header: {field} is set by {flag} as well; leave one of them out")]
    HeaderTwice {
        /// The name of the field.
        field: &'static str,
        /// The other flag.
        flag: &'static str,
    },
    /// A line of a header file cannot be sent.
    #[error("the header file {}: line {line}: {problem}", path.display())]
    HeaderLine {
        /// The file.
        path: PathBuf,
        /// The number of the line.
        line: usize,
        /// The reason.
        problem: HeaderFieldError,
    },
    /// A subprotocol cannot be offered.
    #[error("--subprotocol: {0}")]
    Subprotocol(SubprotocolError),
    /// The trust in certificates cannot be set up.
    #[error(transparent)]
    Trust(#[from] TrustError),
}
