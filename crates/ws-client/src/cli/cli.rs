//! The program: arguments in, exit code out.

use std::{
    collections::VecDeque,
    io::{ErrorKind, IsTerminal as _, Write as _, stderr, stdin, stdout},
    path::Path,
    process::ExitCode,
};

use futures::Stream;
use proto::message::Credentials;

use super::arguments::{Arguments, Command, SessionArguments, parse};
use crate::{
    config::{
        Auth, CONNECT_DEADLINE, Cleartext, Config, ConfigError, LoginSource, check_fields,
        header_fields,
    },
    connect::{self, ConnectError, Dialer},
    console::{
        Console, EchoControl, MessageLog, Mode, Notice, Output, OutputQueue, PromptMode, Reader,
        Records, StdioConsole, Terminal, TerminalSetup, acquire, editor::Editor,
    },
    endpoint::{Endpoint, EndpointError},
    exit::Exit,
    handshake::{Request, Subprotocols},
    interrupt::interrupts,
    session::{Client, RunLimit, Timeouts},
    tls::{TransportKind, Trust, TrustError},
    tool,
};

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
    let mut notices = Vec::new();
    let fields = header_fields(&arguments.headers, &mut notices)?;
    check_fields(&fields, arguments.origin.as_ref(), Auth::None)?;
    if fields.hold_secrets() {
        Cleartext::new(arguments.allow_insecure).check(&endpoint, ConfigError::CleartextField)?;
    }
    let subprotocols =
        Subprotocols::new(arguments.subprotocols).map_err(ConfigError::Subprotocol)?;
    let request = Request::new(endpoint, key, arguments.origin)
        .with_subprotocols(subprotocols)
        .with_fields(fields);
    let deadline = arguments
        .connect_timeout
        .map_or(CONNECT_DEADLINE, |time| time.0.0);
    for warning in notices
        .iter()
        .map(String::as_str)
        .chain(transport.warning())
    {
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
    let mut config = Config::load(arguments.into(), Path::new(""), mode)?;
    if let (LoginSource::AskPassword(name), Some(command)) =
        (&config.login, &config.password_command)
    {
        let credentials = command.credentials(name.clone()).await;
        let credentials = credentials.map_err(ConfigError::PasswordCommand)?;
        config.login = LoginSource::Configured(credentials);
    }
    let run_limit = config.timeout.map(RunLimit::after);
    let log = match &config.log {
        Some(path) => Some(MessageLog::open(path).map_err(|source| ConfigError::Log {
            path: path.clone(),
            source,
        })?),
        None => None,
    };
    let output = OutputQueue::new(config.detail, log);
    let interrupts = interrupts()?;
    // Acquire the terminal before the connection opens: the user may type credentials meanwhile.
    let terminal = match mode {
        Mode::Pipe => None,
        Mode::Interactive => Some(acquire()?),
    };
    let exit = match terminal {
        None => {
            let prompt_mode = PromptMode::<Terminal>::Off;
            let console = streams(&config, prompt_mode, VecDeque::new(), output);
            run_client(console, config, run_limit, interrupts).await
        }
        Some(TerminalSetup::Editor(terminal, typed_ahead)) => {
            let console = Editor::start(terminal, typed_ahead, config.words)?.with_output(output);
            let console = match config.output {
                Output::Messages => console,
                Output::Events => console.with_events(),
            };
            run_client(console, config, run_limit, interrupts).await
        }
        Some(TerminalSetup::Lines(terminal, typed_ahead)) => {
            let prompt_mode = PromptMode::On(terminal);
            let console = streams(&config, prompt_mode, typed_ahead, output);
            run_client(console, config, run_limit, interrupts).await
        }
    };
    Ok(exit)
}

fn streams<H: EchoControl>(
    config: &Config,
    prompt_mode: PromptMode<H>,
    typed_ahead: VecDeque<String>,
    output: OutputQueue,
) -> impl Console + use<H> {
    let reader = if stdout().is_terminal() {
        Reader::Terminal
    } else {
        Reader::Program(Records::default())
    };
    let console = StdioConsole::new(
        tokio::io::stdin(),
        (tokio::io::stdout(), reader),
        tokio::io::stderr(),
        prompt_mode,
        config.max_message_bytes,
    )
    .with_words(config.words)
    .with_records(config.records)
    .with_typed_ahead(typed_ahead)
    .with_output(output);
    match config.output {
        Output::Messages => console,
        Output::Events => console.with_events(),
    }
}

async fn run_client(
    mut console: impl Console,
    config: Config,
    run_limit: Option<RunLimit>,
    interrupts: impl Stream<Item = ()> + Unpin,
) -> Exit {
    let file_notice = config.file_notice.filter(|_| stderr().is_terminal());
    for notice in file_notice.iter().chain(&config.notices) {
        console.notice(Notice::Text(notice));
    }
    let client = Client {
        console,
        timeouts: Timeouts {
            close_deadline: config.close_deadline,
            reply_deadline: config.reply_deadline,
            run_limit,
            pings: config.pings,
        },
        goal: config.goal,
        url: config.endpoint.to_string(),
        subprotocols: config.subprotocols.clone(),
        max_message_bytes: config.max_message_bytes.get(),
        warning: config.transport.warning(),
    };
    let dialer = Dialer {
        endpoint: config.endpoint,
        transport: config.transport,
        origin: config.origin,
        subprotocols: config.subprotocols,
        fields: config.fields,
        bearer: config.bearer,
        connect_deadline: config.connect_deadline,
    };
    let dial = async |credentials: Option<&Credentials>| dialer.dial(credentials).await;
    client
        .run(config.auth, config.login, dial, interrupts)
        .await
}
