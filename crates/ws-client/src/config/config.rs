//! The checked configuration of a session, merged from flags, file and defaults.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use proto::config::TimeSpan;

use super::{
    auth::Auth,
    error::ConfigError,
    file::{File, RawConfig},
    flags::{Cleartext, Flags},
    goal::Goal,
    header_fields::header_fields,
    linger::Linger,
    login::{FileLogin, LoginFlags, LoginSource, ResolvedLogin},
    password_command::PasswordCommand,
    ping::PingTimes,
};
use crate::{
    console::{Detail, Mode, Output, Records, Words},
    endpoint::{Endpoint, Scheme},
    handshake::{BearerToken, HeaderFields, Origin, Subprotocols},
    tls::{TransportKind, Trust},
};

/// The address of this workspace's server.
const DEFAULT_URL: &str = "ws://127.0.0.1:5678";

/// The time limit for the connection and the opening handshake.
pub(crate) const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// The time limit for the server's side of the closing handshake.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// The time limit for the answer to credentials. A server may hash passwords slowly on purpose.
const REPLY_DEADLINE: Duration = Duration::from_secs(30);

/// The greatest message. An echo is longer than its message, and a server's limit is often a round
/// number.
const MAX_MESSAGE_BYTES: NonZeroUsize = NonZeroUsize::new(16 * 1024 * 1024).unwrap();

/// The checked configuration of a session.
#[derive(Debug)]
pub struct Config {
    /// The server to connect to.
    pub endpoint: Endpoint,
    /// The transport under the WebSocket.
    pub transport: TransportKind,
    /// The `Origin` to send, if any.
    pub origin: Option<Origin>,
    /// The subprotocols to offer.
    pub subprotocols: Subprotocols,
    /// The header fields to add to the request.
    pub fields: HeaderFields,
    /// The condition under which the session ends by itself.
    pub goal: Goal,
    /// The times of pings, if any are sent.
    pub pings: Option<PingTimes>,
    /// The time limit of the whole run.
    pub timeout: Option<Duration>,
    /// The time limit for the connection and the opening handshake together.
    pub connect_deadline: Duration,
    /// The time limit for the server's side of the closing handshake.
    pub close_deadline: Duration,
    /// The time limit for the answer to credentials, and for the server to read what is sent.
    pub reply_deadline: Duration,
    /// The greatest message from the server, and the longest line of the input.
    pub max_message_bytes: NonZeroUsize,
    /// The way in which the credentials are sent.
    pub auth: Auth,
    /// The source of the credentials, if any are sent.
    pub login: LoginSource,
    /// The command that is run for the password of [`LoginSource::AskPassword`].
    pub password_command: Option<PasswordCommand>,
    /// The token of [`Auth::Bearer`].
    pub bearer: Option<BearerToken>,
    /// The treatment of the word `exit`.
    pub words: Words,
    /// The form of messages in a pipe.
    pub records: Records,
    /// The content of stdout.
    pub output: Output,
    /// The detail of stderr.
    pub detail: Detail,
    /// The file to which all events are appended.
    pub log: Option<PathBuf>,
    /// The notice that a file of the current directory is used, for a person at a terminal.
    pub file_notice: Option<String>,
    /// Notices for the user about the choice of these values.
    pub notices: Vec<String>,
}

impl Config {
    /// Reads the configuration file and the password file, and merges them with the flags.
    ///
    /// # Errors
    ///
    /// A file cannot be read or parsed, or the URL is invalid. A password would be sent
    /// unencrypted, or there is no terminal to ask for it. There are no root certificates.
    pub fn load(flags: Flags, directory: &Path, mode: Mode) -> Result<Self, ConfigError> {
        if flags.records != Records::Lines && mode == Mode::Interactive {
            return Err(ConfigError::RecordsAtTerminal);
        }
        let mut notices = Vec::new();
        let url_is_asked_for = flags.url.is_some();
        let file = File::read(flags.config, directory)?;
        let raw: RawConfig = match &file {
            Some(file) => file.parse()?,
            None => RawConfig::default(),
        };
        let url = raw.url.as_deref().unwrap_or(DEFAULT_URL);
        let configured = Endpoint::parse(url).map_err(|error| match &file {
            Some(file) => file.problem_at("url", &error),
            None => ConfigError::Url(error),
        })?;
        let endpoint = match flags.url {
            Some(url) => Endpoint::parse(&url).map_err(ConfigError::Url)?,
            None => configured.clone(),
        };
        let same_origin = endpoint.same_origin(&configured);
        let login_flags = LoginFlags {
            auth: flags.auth,
            user: flags.user,
            password: flags.password,
            bearer_file: flags.bearer_file,
        };
        let secret = login_flags.secret();
        let login_of_file = match (raw.login, &file) {
            (Some(login), Some(file)) => Some(FileLogin {
                file,
                login,
                unused: (!same_origin).then(|| file.unused("login", &configured, &endpoint)),
            }),
            (_, _) => None,
        };
        let ResolvedLogin {
            auth,
            source: login,
            password_command,
            bearer,
        } = ResolvedLogin::merge(login_flags, login_of_file, mode, &mut notices)?;
        flags.cleartext.check_login(&endpoint, auth)?;
        let fields = header_fields(&flags.headers, &mut notices)?;
        check_fields(&fields, flags.origin.as_ref(), auth)?;
        // The default server is no choice of the file.
        let chooser = file
            .as_ref()
            .filter(|_| !url_is_asked_for && url != DEFAULT_URL);
        check_secrets(chooser, secret, &fields, flags.cleartext, &endpoint)?;
        let trust = match (raw.cacert, &file) {
            (Some(path), Some(file)) if same_origin => Trust::File(file.resolve("cacert", &path)?),
            (Some(_), Some(file)) => {
                if endpoint.scheme() == Scheme::Wss && flags.trust.is_none() {
                    notices.push(file.unused("cacert", &configured, &endpoint));
                }
                Trust::System
            }
            (_, _) => Trust::System,
        };
        let file_notice = file.as_ref().and_then(|file| {
            let chosen = raw.url.is_some() && !url_is_asked_for;
            file.notice(chosen.then_some(&endpoint))
        });
        let transport = TransportKind::new(&endpoint, flags.trust, trust)?;
        let goal = Goal::new(flags.count, flags.linger.or(raw.linger.map(Linger::For)));
        let span = |flag: Option<TimeSpan>, raw: Option<TimeSpan>, default| {
            flag.or(raw).map_or(default, |span| span.0)
        };
        Ok(Self {
            endpoint,
            transport,
            origin: flags.origin,
            subprotocols: Subprotocols::new(flags.subprotocols)
                .map_err(ConfigError::Subprotocol)?,
            fields,
            goal,
            pings: PingTimes::new(flags.ping_interval, flags.pong_timeout, mode, goal),
            timeout: flags.timeout.map(|span| span.0),
            connect_deadline: span(
                flags.connect_deadline,
                raw.connect_deadline,
                CONNECT_DEADLINE,
            ),
            close_deadline: span(flags.close_deadline, raw.close_deadline, CLOSE_DEADLINE),
            reply_deadline: span(None, raw.reply_deadline, REPLY_DEADLINE),
            max_message_bytes: flags
                .max_message_bytes
                .or(raw.max_message_bytes)
                .map_or(MAX_MESSAGE_BYTES, |size| size.0),
            auth,
            login,
            password_command,
            bearer,
            words: flags.words,
            records: flags.records,
            output: flags.output,
            detail: flags.detail,
            log: flags.log,
            file_notice,
            notices,
        })
    }
}

/// Checks that the secrets of the command line may go to the server: the one of the login, if any, and
/// those of fields. `chooser` is the file that chose the server, if one did.
///
/// # Errors
///
/// The file is the one of the current directory, or a field would be sent unencrypted.
fn check_secrets(
    chooser: Option<&File>,
    of_login: Option<&'static str>,
    fields: &HeaderFields,
    cleartext: Cleartext,
    endpoint: &Endpoint,
) -> Result<(), ConfigError> {
    let of_fields = fields.hold_secrets().then_some("a secret header field");
    if let (Some(file), Some(secret)) = (chooser, of_login.or(of_fields)) {
        file.check_secret(secret, endpoint)?;
    }
    match of_fields {
        Some(_) => cleartext.check(endpoint, ConfigError::CleartextField),
        None => Ok(()),
    }
}

/// Checks that no other flag sets a header field too.
///
/// # Errors
///
/// `--auth basic`, `--auth bearer` or `--origin` sets one.
pub(crate) fn check_fields(
    fields: &HeaderFields,
    origin: Option<&Origin>,
    auth: Auth,
) -> Result<(), ConfigError> {
    let (field, flag) = if auth == Auth::Basic && fields.has("Authorization") {
        ("Authorization", "--auth basic")
    } else if auth == Auth::Bearer && fields.has("Authorization") {
        ("Authorization", "--auth bearer")
    } else if origin.is_some() && fields.has("Origin") {
        ("Origin", "--origin")
    } else {
        return Ok(());
    };
    Err(ConfigError::HeaderTwice { field, flag })
}
