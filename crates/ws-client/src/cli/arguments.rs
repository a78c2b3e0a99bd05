//! The arguments of the command line.

use std::{
    ffi::{OsStr, OsString},
    num::NonZeroUsize,
    path::PathBuf,
};

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use proto::config::Size;

use super::help::{AFTER_HELP, HANDSHAKE_HELP, LONG_ABOUT};
use crate::{
    config::{Auth, Cleartext, Flags, Linger, PasswordCommand, PasswordSource, PingInterval},
    console::{Detail, Output, Records, Words},
    handshake::{Origin, Subprotocol},
    time_argument::TimeArgument,
    tls::TrustArguments,
    tool,
};

/// A client for WebSocket servers that require a login.
#[derive(Debug, Parser)]
#[command(
    name = "ws-client",
    version,
    long_about = LONG_ABOUT,
    after_long_help = AFTER_HELP,
    args_conflicts_with_subcommands = true
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) session: SessionArguments,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Performs one opening handshake, and shows and checks it line by line.
    #[command(after_help = HANDSHAKE_HELP)]
    Handshake(tool::HandshakeArguments),
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct SessionArguments {
    /// The server [default: `ws://127.0.0.1:5678`]. http means ws, https means wss, and host:port alone
    /// means ws on this machine.
    url: Option<String>,
    /// Reads this configuration file instead of config/client.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The login method [default: message].
    #[arg(long, value_name = "METHOD")]
    auth: Option<Auth>,
    /// Logs in as this user, without asking for the name.
    #[arg(short, long, value_name = "NAME")]
    user: Option<String>,
    /// Reads the password from this file, which has one line. Without a source of the password, the
    /// client asks at the terminal.
    #[arg(long, value_name = "FILE", requires = "user", group = "password")]
    password_file: Option<PathBuf>,
    /// Reads the password from the first line of stdin. The lines behind it are messages.
    #[arg(long, requires = "user", group = "password")]
    password_stdin: bool,
    /// Runs this command, without a shell, and takes its first line as the password. It has 30 s.
    #[arg(long, value_name = "CMD", requires = "user", group = "password")]
    password_command: Option<PasswordCommand>,
    /// Reads the token of --auth bearer from this file, which has one line.
    #[arg(long, value_name = "FILE", conflicts_with = "user")]
    bearer_file: Option<PathBuf>,
    /// Silence at the end of a piped input (in a room: time without an own message) before the
    /// client closes [default: 1s]. forever stays until the server closes.
    #[arg(short = 'w', long, value_name = "TIME|forever")]
    linger: Option<Linger>,
    /// Ends after one message, as --count 1.
    #[arg(short = '1', conflicts_with = "count")]
    one: bool,
    /// Ends when this number of messages arrived after the login.
    #[arg(long, value_name = "N")]
    count: Option<NonZeroUsize>,
    /// Time for the whole run [default: no limit].
    #[arg(short = 'm', long, value_name = "TIME")]
    timeout: Option<TimeArgument>,
    /// Sends a ping after this silence of the server, or off [default: 20s at a terminal and with
    /// --linger forever, else off].
    #[arg(long, value_name = "TIME|off")]
    ping_interval: Option<PingInterval>,
    /// Time after a ping in which anything must arrive [default: 20s].
    #[arg(long, value_name = "TIME")]
    pong_timeout: Option<TimeArgument>,
    /// Time for TCP, TLS and the handshake together [default: 10s].
    #[arg(long, alias = "connect-deadline", value_name = "TIME")]
    connect_timeout: Option<TimeArgument>,
    /// Time for the server to close its side [default: 5s].
    #[arg(long, alias = "close-deadline", value_name = "TIME")]
    close_timeout: Option<TimeArgument>,
    /// The longest message from the server, and the longest input line [default: 16MiB].
    #[arg(long, alias = "max-message-bytes", value_name = "SIZE")]
    max_message: Option<Size>,
    /// Adds a header field to the handshake, "Name: value". @FILE reads one from each line of a file.
    /// Repeatable.
    #[arg(short = 'H', long = "header", value_name = "FIELD|@FILE")]
    headers: Vec<String>,
    /// Offers this subprotocol. Repeatable, the preferred one first.
    #[arg(short, long = "subprotocol", value_name = "NAME")]
    subprotocols: Vec<Subprotocol>,
    /// Sends this Origin, as a browser would: null, or as in `http://example.org`.
    #[arg(short, long)]
    origin: Option<Origin>,
    /// Sends every line as a message, also the line exit.
    #[arg(long)]
    literal: bool,
    /// In a pipe: a raw stream. Each read of stdin is one binary message, and messages are written
    /// unchanged.
    #[arg(short, long, conflicts_with = "null")]
    binary: bool,
    /// In a pipe: messages end with NUL instead of a line break, in both directions.
    #[arg(short = '0', long)]
    null: bool,
    /// Writes all events to stdout, each as a JSON object on a line.
    #[arg(long, conflicts_with_all = ["binary", "null"])]
    json: bool,
    /// In a pipe: each line behind the login is a JSON object that sends a message or a ping, or closes.
    #[arg(long, conflicts_with_all = ["binary", "null"])]
    json_input: bool,
    /// Shows the states of the connection and the sizes of messages on stderr.
    #[arg(short, long, conflicts_with = "quiet")]
    verbose: bool,
    /// Shows only prompts, warnings and errors on stderr.
    #[arg(short, long)]
    quiet: bool,
    /// Appends all events and the messages in both directions to this file, as JSON objects.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// With ws://: sends a password or a secret header field unencrypted to another machine.
    #[arg(long)]
    allow_insecure: bool,
    #[command(flatten)]
    tls: TrustArguments,
}

impl From<SessionArguments> for Flags {
    fn from(arguments: SessionArguments) -> Self {
        Self {
            url: arguments.url,
            config: arguments.config,
            auth: arguments.auth,
            user: arguments.user,
            password: arguments
                .password_file
                .map(PasswordSource::File)
                .or(arguments.password_command.map(PasswordSource::Command))
                .or(arguments.password_stdin.then_some(PasswordSource::Stdin)),
            bearer_file: arguments.bearer_file,
            linger: arguments.linger,
            count: arguments
                .one
                .then_some(NonZeroUsize::MIN)
                .or(arguments.count),
            timeout: arguments.timeout.map(|time| time.0),
            ping_interval: arguments.ping_interval,
            pong_timeout: arguments.pong_timeout.map(|time| time.0),
            connect_deadline: arguments.connect_timeout.map(|time| time.0),
            close_deadline: arguments.close_timeout.map(|time| time.0),
            max_message_bytes: arguments.max_message,
            origin: arguments.origin,
            subprotocols: arguments.subprotocols,
            headers: arguments.headers,
            cleartext: Cleartext::new(arguments.allow_insecure),
            trust: arguments.tls.trust(),
            detail: if arguments.verbose {
                Detail::Verbose
            } else if arguments.quiet {
                Detail::Quiet
            } else {
                Detail::Usual
            },
            log: arguments.log,
            output: if arguments.json {
                Output::Events
            } else {
                Output::Messages
            },
            records: if arguments.binary {
                Records::Raw
            } else if arguments.null {
                Records::Null
            } else if arguments.json_input {
                Records::Json
            } else {
                Records::Lines
            },
            words: if arguments.literal {
                Words::Literal
            } else {
                Words::Commands
            },
        }
    }
}

/// Parses the arguments.
///
/// # Errors
///
/// An argument is invalid. The error quotes the arguments with the user part of URLs masked.
pub(super) fn parse(arguments: &[OsString]) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(arguments).map_err(|_| {
        let masked = arguments.iter().map(|argument| masked(argument));
        Arguments::try_parse_from(masked).err().unwrap_or_else(|| {
            Arguments::command().error(
                clap::error::ErrorKind::InvalidValue,
                "an argument has characters before its @ that cannot be used",
            )
        })
    })
}

/// Masks the user and password of a URL in an argument. The URL may be invalid, because a mistyped
/// one holds the password too.
fn masked(argument: &OsStr) -> OsString {
    let text = argument.to_string_lossy();
    let masked = || {
        let (scheme, rest) = text.split_once(':')?;
        let behind_slashes = rest.trim_start_matches(['/', '\\']);
        let slashes = &rest[..rest.len() - behind_slashes.len()];
        let (_, host) = behind_slashes.rsplit_once('@')?;
        Some(format!("{scheme}:{slashes}***@{host}"))
    };
    masked().map_or_else(|| argument.to_owned(), OsString::from)
}
