//! The command line: arguments in, exit code out.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    io::{ErrorKind, IsTerminal as _, Write as _, stderr, stdin, stdout},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use futures::Stream;
use proto::{
    config::{Size, TimeSpan},
    message::Credentials,
};

use crate::{
    config::{Auth, CONNECT_DEADLINE, Cleartext, Config, ConfigError, Flags},
    connect::{self, ConnectError, Dialer},
    console::{
        Console, EchoControl, Mode, PromptMode, Reader, StdioConsole, Terminal, TerminalSetup,
        Words, acquire, editor::Editor,
    },
    endpoint::{Endpoint, EndpointError},
    exit::Exit,
    handshake::{Origin, Request},
    interrupt::interrupts,
    session::{Client, Timeouts},
    tls::{TransportKind, Trust, TrustArguments, TrustError},
    tool,
};

const LONG_ABOUT: &str = "\
Logs in to a WebSocket server, sends each line as a message, and prints each message as a line.

At a terminal, it asks for the login, and prints messages above the line that is being typed. Enter \
exit, or press Ctrl-D, to leave.

In a pipe, the first lines are credentials (username:password), one login attempt each, until one \
succeeds. All further lines are messages. With --auth basic, only the first line is credentials; \
with --auth none, no line is.";

const AFTER_HELP: &str = "\
Streams:
  stdout gets the messages after the login, each followed by a newline, and nothing else.
  stderr gets prompts, the server's texts about the login, and errors.
  At a terminal, the JSON of a room is shown as readable lines, with local times:
    16:40:05 jane: hello
    16:40:06 jane left
    12 messages were lost
  Further lines of a text are indented. In a pipe, messages are written unchanged.

Login:
  --auth message sends username:password as the first message. After a refused login in a pipe, the
  next line is another attempt if it has the form name:password. Otherwise the client ends with
  exit code 3, and counts the lines that were not sent.
  --auth basic sends the credentials in the handshake (HTTP Basic). The open connection is the
  login, and no greeting is expected. A server that ignores Basic may open the connection as well,
  so use it only with servers that accept Basic. At a terminal, refused credentials (status 401) are
  asked for again. In a pipe, they end the client before another line is sent.
  --auth none sends no credentials, for a server without a login. A server that requires a login by
  message treats each line as a login attempt.

End of a piped input:
  The client closes the connection when as many messages arrived as were sent, or when nothing
  arrived for --linger. With --auth basic or none it waits for --linger, except in a room, because a
  server may send a greeting. In a room that sends JSON, only the client's own messages count, and
  messages of other members do not extend --linger. Without a login, the client does not know its
  name there, and waits for the text that it sent last. Messages are printed until the server closes
  its side. A line exit ends the input early: lines after it are counted, with exit code 2.
  --literal sends that line as a message.

Certificates:
  With a wss:// URL, the client checks the server's certificate before it sends anything else: the
  chain to a trusted root, the dates, and the host name or address of the URL. It trusts the root
  certificates of the system; SSL_CERT_FILE and SSL_CERT_DIR name others. --cacert trusts only those
  in its file, which may be the server's own self-signed certificate.

Configuration:
  Without --config, config/client.toml is read if it exists. The command line overrides the file,
  and the file overrides the defaults. A login and a cacert in the file are used for the url in the
  file only, never for another URL on the command line. config/client.toml must belong to the user,
  and may name files of its own folder only.

Exit codes:
    0  success
    1  another failure, such as an output that cannot be written
    2  the arguments, the configuration or the input are invalid
    3  the login was refused, or the input ended before it succeeded
    4  no connection
    5  TLS failed, or the certificate is invalid
    6  the server refused the handshake, or answered it incorrectly
    7  the server did not answer in time
    8  the connection was lost, or closed with an error
  130  interrupted by Ctrl-C or a signal

Examples:
  ws-client
  ws-client ws://127.0.0.1:5678
  ws-client wss://example.org/room/lobby
  ws-client --cacert authority.pem wss://127.0.0.1:5678
  printf 'admin:123456\\nhello\\n' | ws-client
  ws-client --user admin --password-file secret < messages.txt > answers.txt
  ws-client --auth basic --user admin --password-file secret ws://127.0.0.1:8080/live
  ws-client --auth none ws://127.0.0.1:5678/room/lobby
  ws-client handshake ws://127.0.0.1:5678";

const HANDSHAKE_HELP: &str = "\
Exit codes: 0 the handshake is valid, 4 no connection, 5 TLS failed, 6 the server refused or its
response is wrong, 7 no complete response in time.";

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
    command: Option<Command>,
    #[command(flatten)]
    session: SessionArguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Performs one opening handshake, and shows and checks it line by line.
    #[command(after_help = HANDSHAKE_HELP)]
    Handshake(tool::HandshakeArguments),
}

#[derive(Debug, Args)]
struct SessionArguments {
    /// The server [default: `ws://127.0.0.1:5678`].
    url: Option<String>,
    /// Reads this configuration file instead of config/client.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The login method [default: message].
    #[arg(long, value_name = "METHOD")]
    auth: Option<Auth>,
    /// Logs in as this user, without asking for the name.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Reads the password from this file, which has one line. Without it, the client asks at the
    /// terminal.
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// Silence at the end of a piped input (in a room: time without an own message) before the
    /// client closes [default: 1s].
    #[arg(long, value_name = "TIME")]
    linger: Option<TimeSpan>,
    /// Time for TCP, TLS and the handshake together [default: 10s].
    #[arg(long, value_name = "TIME")]
    connect_deadline: Option<TimeSpan>,
    /// Time for the server to close its side [default: 5s].
    #[arg(long, value_name = "TIME")]
    close_deadline: Option<TimeSpan>,
    /// The longest message from the server, and the longest input line [default: 16MiB].
    #[arg(long, value_name = "SIZE")]
    max_message_bytes: Option<Size>,
    /// Sends this Origin, as a browser would.
    #[arg(long)]
    origin: Option<Origin>,
    /// Sends every line as a message, also the line exit.
    #[arg(long)]
    literal: bool,
    /// With ws://: sends a password unencrypted to another machine.
    #[arg(long)]
    allow_insecure: bool,
    #[command(flatten)]
    tls: TrustArguments,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = match parse(&std::env::args_os().collect::<Vec<_>>()) {
        Ok(arguments) => arguments,
        Err(answer) => {
            let printed = answer.print();
            return match (answer.exit_code(), printed) {
                (0, Err(error)) if error.kind() != ErrorKind::BrokenPipe => {
                    // There is no place to report a failed write to stderr.
                    let _ = writeln!(stderr(), "ws-client: stdout cannot be written: {error}");
                    Exit::Failure.into()
                }
                (0, _) => Exit::Ok.into(),
                (_, _) => Exit::Usage.into(),
            };
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(run(arguments));
            // A pending read of stdin must not delay the exit.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(anyhow::Error::new(error).context("the runtime cannot be started")),
    };
    let exit = result.unwrap_or_else(|error| {
        // There is no place to report a failed write to stderr.
        let _ = writeln!(stderr(), "ws-client: {error:#}");
        exit_for(&error)
    });
    exit.into()
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

/// Returns the exit code for an error that ends the program.
fn exit_for(error: &anyhow::Error) -> Exit {
    if let Some(error) = error.downcast_ref::<ConnectError>() {
        error.exit()
    } else if error.is::<ConfigError>() || error.is::<EndpointError>() || error.is::<TrustError>() {
        Exit::Usage
    } else {
        Exit::Failure
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<Exit> {
    match arguments.command {
        Some(Command::Handshake(arguments)) => handshake(arguments).await,
        None => session(arguments.session).await,
    }
}

async fn handshake(arguments: tool::HandshakeArguments) -> anyhow::Result<Exit> {
    let endpoint = Endpoint::parse(&arguments.url)?;
    let transport = TransportKind::new(&endpoint, arguments.tls.trust(), Trust::System)?;
    let key = match arguments.key {
        Some(key) => key,
        None => connect::new_key()?,
    };
    let request = Request::new(endpoint, key, arguments.origin);
    let deadline = arguments
        .connect_deadline
        .map_or(CONNECT_DEADLINE, |span| span.0);
    if let Some(warning) = transport.warning() {
        // There is no place to report a failed write to stderr.
        let _ = writeln!(stderr(), "ws-client: {warning}");
    }
    let report = tool::run(&request, &transport, deadline).await?;
    print(report.text.as_bytes())?;
    Ok(report.exit)
}

/// Prints a result on stdout.
///
/// # Errors
///
/// Stdout cannot be written. A reader that closes it early has read enough.
fn print(text: &[u8]) -> anyhow::Result<()> {
    let mut stdout = stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("the report cannot be written to stdout"))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

async fn session(arguments: SessionArguments) -> anyhow::Result<Exit> {
    let mode = if stdin().is_terminal() {
        Mode::Interactive
    } else {
        Mode::Pipe
    };
    let config = Config::load(arguments.into(), Path::new(""), mode)?;
    let interrupts = interrupts()?;
    // Acquire the terminal before the connection opens: the user may type credentials meanwhile.
    let terminal = match mode {
        Mode::Pipe => None,
        Mode::Interactive => Some(acquire()?),
    };
    let exit = match terminal {
        None => {
            let prompt_mode = PromptMode::<Terminal>::Off;
            let console = streams(config.max_message_bytes, prompt_mode, VecDeque::new());
            run_client(console, config, interrupts).await
        }
        Some(TerminalSetup::Editor(terminal, typed_ahead)) => {
            let console = Editor::start(terminal, typed_ahead)?;
            run_client(console, config, interrupts).await
        }
        Some(TerminalSetup::Lines(terminal, typed_ahead)) => {
            let prompt_mode = PromptMode::On(terminal);
            let console = streams(config.max_message_bytes, prompt_mode, typed_ahead);
            run_client(console, config, interrupts).await
        }
    };
    Ok(exit)
}

fn streams<H: EchoControl>(
    max_line_bytes: NonZeroUsize,
    prompt_mode: PromptMode<H>,
    typed_ahead: VecDeque<String>,
) -> impl Console {
    let reader = if stdout().is_terminal() {
        Reader::Terminal
    } else {
        Reader::Program
    };
    StdioConsole::new(
        tokio::io::stdin(),
        (tokio::io::stdout(), reader),
        tokio::io::stderr(),
        prompt_mode,
        max_line_bytes,
    )
    .with_typed_ahead(typed_ahead)
}

async fn run_client(
    mut console: impl Console,
    config: Config,
    interrupts: impl Stream<Item = ()> + Unpin,
) -> Exit {
    let file_notice = config.file_notice.filter(|_| stderr().is_terminal());
    for notice in file_notice.iter().chain(&config.notices) {
        console.say(notice);
    }
    let client = Client {
        console,
        timeouts: Timeouts {
            linger: config.linger,
            close_deadline: config.close_deadline,
            reply_deadline: config.reply_deadline,
        },
        words: config.words,
        max_message_bytes: config.max_message_bytes.get(),
        warning: config.transport.warning(),
    };
    let dialer = Dialer {
        endpoint: config.endpoint,
        transport: config.transport,
        origin: config.origin,
        connect_deadline: config.connect_deadline,
    };
    let dial = async |credentials: Option<&Credentials>| dialer.dial(credentials).await;
    client
        .run(config.auth, config.login, dial, interrupts)
        .await
}

impl From<SessionArguments> for Flags {
    fn from(arguments: SessionArguments) -> Self {
        Self {
            url: arguments.url,
            config: arguments.config,
            auth: arguments.auth,
            user: arguments.user,
            password_file: arguments.password_file,
            linger: arguments.linger,
            connect_deadline: arguments.connect_deadline,
            close_deadline: arguments.close_deadline,
            max_message_bytes: arguments.max_message_bytes,
            origin: arguments.origin,
            cleartext: if arguments.allow_insecure {
                Cleartext::Allowed
            } else {
                Cleartext::Refused
            },
            trust: arguments.tls.trust(),
            words: if arguments.literal {
                Words::Literal
            } else {
                Words::Commands
            },
        }
    }
}
