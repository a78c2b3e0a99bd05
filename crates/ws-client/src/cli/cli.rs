//! The command line: arguments in, exit code out.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    io::{IsTerminal as _, Write as _, stderr, stdin, stdout},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, CommandFactory as _, Parser, Subcommand, error::ErrorKind};
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
        acquire, editor::Editor,
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
Logs in to a WebSocket server, then sends each line as a message and prints each message as a line.

At a terminal it asks for what it needs, and prints messages as they come, above the line that is \
being typed. Enter exit, or press Ctrl-D, to leave.

In a pipe, the lines of the input are credentials (username:password) until the login succeeds, and \
messages from then on; with --auth basic, the first one is the credentials, and with --auth none, \
all of them are messages.";

const AFTER_HELP: &str = "\
Streams:
  stdout gets the messages that come after the login, each followed by a newline, and nothing else.
  stderr gets everything else: prompts, the server's words about the login, errors.
  What a room tells its members, as JSON, is put in words where stdout is a terminal, with the time
  of day here, and the date of another day:
    16:40:05 jane: hello
    16:40:06 jane left
    12 messages were lost
  Further rows of a text are indented. In a pipe, all messages come as they are.

Login:
  --auth message sends username:password as the first message. The server answers whether that was
  right; after a wrong line the next one is tried.
  --auth basic sends it with the handshake, by the Basic scheme of HTTP. The connection that opens
  is the login: no greeting is waited for, and all that comes is messages. A server that ignores the
  scheme may open it too, which looks no different: use it with servers that take Basic. At a
  terminal, refused credentials (status 401) are asked for again. In a pipe, the first line that is
  not empty is the credentials; if they are refused, nothing else is sent. A server may greet of
  its own accord, so the end of the input waits for --linger even if as many messages came as were
  sent.
  --auth none sends no credentials, for a server without a login: all lines are messages,
  and the end of the input waits as with basic. A server that wants a login by messages takes each
  of them for a wrong one.

End of a piped input:
  The connection is closed when as many messages came as were sent, or when nothing came for
  --linger. In a room that speaks JSON, what others say is no answer: one's own messages are waited
  for, the last one included, and --linger is the longest time without one of them, however much
  others say. A guest is not told its name there, and waits for the text that it sent last. In any
  case, all that comes until the server closes its side is printed.

Certificates:
  With a wss:// URL, the certificate of the server is checked before anything else is sent: that it
  comes from an authority that the system trusts (SSL_CERT_FILE and SSL_CERT_DIR name others), is
  for the host of the URL, a name or an address, and valid now. --cacert names a file with the
  authorities that are trusted instead; a self-signed certificate can stand there itself.

Configuration:
  --config names a file; without it, config/client.toml is read if it exists. What the command line
  says comes first, then the file, then the defaults. A login in the file is used for the url in
  the file only, never for another URL on the command line.

Exit codes:
    0  all went well
    1  something failed that has no code of its own
    2  the arguments, the configuration or the input cannot be used
    3  the login was refused, or the input ended before it succeeded
    4  no connection came about
    5  no TLS came about, or the certificate is not right
    6  the server's answer is no WebSocket handshake, or a wrong one
    7  the server kept silent for too long
    8  the connection was lost, or closed for an error
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

/// A client for WebSocket servers that want a login.
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
    /// Performs one opening handshake, and shows and judges it line by line.
    Handshake(tool::HandshakeArguments),
}

#[derive(Debug, Args)]
struct SessionArguments {
    /// Where to connect to [default: `ws://127.0.0.1:5678`].
    url: Option<String>,
    /// Reads this configuration file instead of config/client.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sends the credentials in this way [default: message].
    #[arg(long, value_name = "WAY")]
    auth: Option<Auth>,
    /// Logs in as this user, without asking for the name.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Takes the password from this file, which has one line; without it, the password is asked
    /// for at the terminal.
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// At the end of a piped input: how long nothing may come (in a room: nothing of one's own)
    /// before the connection is closed [default: 1s].
    #[arg(long, value_name = "TIME")]
    linger: Option<TimeSpan>,
    /// Time for connecting and for the answer to the handshake [default: 10s].
    #[arg(long, value_name = "TIME")]
    connect_deadline: Option<TimeSpan>,
    /// Time for the server to close its side [default: 5s].
    #[arg(long, value_name = "TIME")]
    close_deadline: Option<TimeSpan>,
    /// The longest message that is taken from the server, and the longest line from the input
    /// [default: 16MiB].
    #[arg(long, value_name = "SIZE")]
    max_message_bytes: Option<Size>,
    /// Sends this Origin, as a browser would.
    #[arg(long)]
    origin: Option<Origin>,
    /// With ws://: lets the password go unencrypted to a host that is not this machine.
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
            // There is no place to report a failed write.
            let _ = answer.print();
            return match answer.exit_code() {
                0 => Exit::Ok.into(),
                _ => Exit::Usage.into(),
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
                ErrorKind::InvalidValue,
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
    let mut stdout = stdout().lock();
    // A reader that closes stdout early has read enough.
    let _ = stdout.write_all(report.text.as_bytes());
    let _ = stdout.flush();
    Ok(report.exit)
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
    for notice in &config.notices {
        console.say(notice);
    }
    let client = Client {
        console,
        timeouts: Timeouts {
            linger: config.linger,
            close_deadline: config.close_deadline,
            reply_deadline: config.reply_deadline,
        },
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
        }
    }
}
