//! The command line: reads arguments, starts the server, and turns its end into an exit code.

use std::{
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::pin,
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use proto::plural::plural;
use tokio::runtime;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    admin::{Admin, AdminHandler},
    cli::{
        ctl::{self, Action, CtlError, OutputFormat},
        hash_password::{self, HashPasswordError},
        startup_notices::StartupNotices,
    },
    config::{self, AdminAddress, Config, ConfigSource, LoadedConfig, WatchedFiles},
    log::{Log, LogFormat, audit},
    process::{descriptors, signals::StopSignals, systemd},
    reload::{ConfigWatcher, StartState},
    server::Server,
};

/// The server failed at run time, or was stopped before all connections had ended.
const FAILURE: u8 = 1;

/// The server was not started: its arguments, its configuration or its address cannot be used.
const CONFIGURATION: u8 = 2;

/// No server listens where `ctl` was to ask one.
const UNREACHABLE: u8 = 4;

/// A signal ended the questions of `hash-password`.
const INTERRUPTED: u8 = 130;

/// A login in front of live WebSocket connections.
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    after_help = "stdout has one line, `listening on ws://ADDRESS`, or wss:// where there is a \
                  certificate; the log is on stderr, as detailed as RUST_LOG says.\n\
                  SIGINT or SIGTERM ends all connections in order, a second one at once. SIGHUP \
                  reads the files again, as a change of one of them does.\n\n\
                  Exit codes: 0 stopped, 1 failed at run time or stopped by a second signal, \
                  2 arguments, configuration, address or password cannot be used, \
                  130 hash-password was interrupted."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    arguments: Arguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Ask for a password, and print the line for the credentials file that has its hash
    #[command(
        after_help = "At a terminal the password is asked for twice and never shown; otherwise it \
                      is the first line of stdin.\n\
                      stdout has one line, `password_hash = \"...\"`, which goes into the [[user]] \
                      entry of the credentials file."
    )]
    HashPassword,

    /// See who is connected to a running server, and change that
    #[command(
        after_help = "It speaks over the Unix socket that `[admin] listen` names in the \
                      configuration.\n\n\
                      Exit codes: 0 done, 1 the server refused or broke off, 2 arguments or \
                      configuration cannot be used, 4 no server listens there."
    )]
    Ctl {
        #[command(subcommand)]
        action: Action,

        /// The configuration that names the socket [default: config/server.toml]
        #[arg(long, value_name = "FILE", global = true)]
        config: Option<PathBuf>,

        /// The socket itself
        #[arg(long, value_name = "FILE", global = true, conflicts_with = "config")]
        socket: Option<PathBuf>,

        /// Print the answer as JSON
        #[arg(long, global = true)]
        json: bool,
    },
}

/// How to serve.
#[derive(Debug, Args)]
struct Arguments {
    /// The configuration [default: config/server.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Listen here instead of where the configuration says; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,

    /// Read the accounts from here instead of where the configuration says
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,

    /// Write the log in this format instead of the one that the configuration says
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,

    /// Print the configuration with all its defaults, without passwords, and exit
    #[arg(long)]
    check_config: bool,
}

/// Runs the server until it is stopped. Arguments that cannot be used end the process with 2.
pub fn main() -> ExitCode {
    let CommandLine { command, arguments } = CommandLine::parse();
    match command {
        Some(Command::HashPassword) => print_password_line(),
        Some(Command::Ctl {
            action,
            config,
            socket,
            json,
        }) => {
            let format = if json {
                OutputFormat::Json
            } else {
                OutputFormat::Text
            };
            control(&action, config.as_deref(), socket, format)
        }
        None => run(&arguments),
    }
}

/// Prints a line for the credentials file, and nothing else on stdout.
fn print_password_line() -> ExitCode {
    let line = match hash_password::password_line() {
        Ok(line) => line,
        Err(HashPasswordError::Interrupted) => {
            // What the shell says next begins on a line of its own.
            let _ = writeln!(std::io::stderr());
            return ExitCode::from(INTERRUPTED);
        }
        Err(error) => return refuse(&error.into()),
    };
    // There is nobody to tell if stderr is closed.
    let _ = writeln!(std::io::stderr(), "{}", hash_password::HINT);
    match writeln!(std::io::stdout(), "{line}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILURE),
    }
}

/// Asks a running server, and prints what it answers.
fn control(
    action: &Action,
    config: Option<&Path>,
    socket: Option<PathBuf>,
    format: OutputFormat,
) -> ExitCode {
    let socket = match socket.map_or_else(|| admin_socket(config), Ok) {
        Ok(socket) => socket,
        Err(error) => return refuse(&error),
    };
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime.context("failed to start the runtime") {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&error),
    };
    match runtime.block_on(ctl::ask(&socket, action, format)) {
        Ok(answer) => match writeln!(std::io::stdout(), "{answer}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(FAILURE),
        },
        Err(error) => {
            let code = match error {
                CtlError::Unreachable { .. } => UNREACHABLE,
                CtlError::Disconnected(_)
                | CtlError::TimedOut
                | CtlError::ResponseTooLarge
                | CtlError::Refused(_)
                | CtlError::UnexpectedResponse(_) => FAILURE,
            };
            say(&error.into());
            ExitCode::from(code)
        }
    }
}

/// The socket that the configuration names for the operator.
fn admin_socket(config: Option<&Path>) -> anyhow::Result<PathBuf> {
    let path = config.unwrap_or(Path::new(config::DEFAULT_PATH));
    if config.is_none() && !path.exists() {
        anyhow::bail!(
            "there is no {} in this directory: name the configuration of the server with --config \
             FILE, or its socket with --socket FILE",
            path.display()
        );
    }
    // A server that runs still does what the file said before its mistake.
    let config =
        Config::load(path).context("cannot look up the socket (--socket FILE names it)")?;
    let socket = config.admin.iter().find_map(AdminAddress::socket);
    socket.map(Path::to_owned).with_context(|| {
        format!(
            "{} names no socket: write listen = \"unix:admin.sock\" into its [admin], start the \
             server again, or name the socket with --socket",
            path.display()
        )
    })
}

fn run(arguments: &Arguments) -> ExitCode {
    let (source, files, loaded) = match load(arguments) {
        Ok(loaded) => loaded,
        Err(error) => return refuse(&error),
    };
    if arguments.check_config {
        return print_config(&loaded);
    }
    let log = Log::start(loaded.config.log_level, loaded.config.log_format);
    let start_state = StartState::of(&loaded, files);
    match start(source, start_state, loaded, &log) {
        Ok(exit_code) => exit_code,
        Err(error) => {
            drop(log);
            refuse(&error)
        }
    }
}

fn load(arguments: &Arguments) -> anyhow::Result<(ConfigSource, WatchedFiles, LoadedConfig)> {
    let path = arguments
        .config
        .as_deref()
        .unwrap_or(Path::new(config::DEFAULT_PATH));
    if arguments.config.is_none() && !path.exists() {
        anyhow::bail!(
            "there is no {} in this directory: start the server where it is, or name a \
             configuration with --config FILE",
            path.display()
        );
    }
    let source = ConfigSource {
        path: path.to_owned(),
        listen: arguments.listen,
        credentials: arguments.credentials.clone(),
        log_format: arguments.log_format,
    };
    let (files, loaded) = source.load(&[]);
    let loaded = loaded?;
    match config::undefined_route_user(&loaded.config, &loaded.accounts) {
        Some(undefined_route_user) => {
            Err(anyhow::Error::from(undefined_route_user).context(path.display().to_string()))
        }
        None => Ok((source, files, loaded)),
    }
}

/// Says why the server does not start.
fn refuse(error: &anyhow::Error) -> ExitCode {
    say(error);
    ExitCode::from(CONFIGURATION)
}

fn say(error: &anyhow::Error) {
    // There is nobody to tell if stderr is closed.
    let _ = writeln!(std::io::stderr(), "ws-server: {error:#}");
}

fn print_config(
    LoadedConfig {
        tables,
        config,
        accounts,
        ..
    }: &LoadedConfig,
) -> ExitCode {
    let mut users: Vec<_> = accounts.users().map(ToString::to_string).collect();
    users.sort_unstable();
    let printed = writeln!(
        std::io::stdout(),
        "{tables}\n# {} holds {}: {} (passwords are not shown)",
        config.credentials.display(),
        plural(users.len(), "user", "users"),
        users.join(", ")
    );
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILURE),
    }
}

fn start(
    source: ConfigSource,
    start_state: StartState,
    loaded: LoadedConfig,
    log: &Log,
) -> anyhow::Result<ExitCode> {
    descriptors::raise_limit();
    let mut runtime = runtime::Builder::new_multi_thread();
    if let Some(threads) = loaded.config.worker_threads {
        runtime.worker_threads(threads.get());
    }
    let runtime = runtime
        .enable_all()
        .build()
        .context("failed to start the runtime")?;
    let exit_code = runtime.block_on(serve(source, start_state, loaded, log));
    // Whoever did not end in time is cut off here.
    runtime.shutdown_background();
    exit_code
}

async fn serve(
    source: ConfigSource,
    start_state: StartState,
    loaded: LoadedConfig,
    log: &Log,
) -> anyhow::Result<ExitCode> {
    let mut signals = StopSignals::new().context("failed to listen for signals")?;
    let notices = StartupNotices::new(&source, &loaded);
    let listen = loaded.config.listen;
    let admin_addresses = loaded.config.admin.clone();
    let mut server = Server::bind(loaded.config, loaded.accounts)
        .with_context(|| format!("cannot listen on {listen}: choose another with --listen"))?;
    let scheme = if loaded.tls.is_some() { "wss" } else { "ws" };
    if let Some(tls) = loaded.tls {
        server = server.with_tls(tls);
    }
    let admin = Admin::bind(&admin_addresses)?;
    let address = server
        .local_addr()
        .context("failed to learn the address that was bound")?;
    let (manager, notify_sender) = systemd::from_environment(address);
    let (watcher, reloads) =
        ConfigWatcher::new(source, start_state, server.handle(), log, &manager)
            .context("failed to listen for SIGHUP")?;
    manager.ready(notices.users);
    notices.log();
    for address in admin.addresses() {
        let address = address.context("failed to learn the address that was bound")?;
        info!(%address, "listening for the operator");
    }
    // The server serves whether or not anybody reads this.
    let _ = writeln!(std::io::stdout(), "listening on {scheme}://{address}");

    let stop = CancellationToken::new();
    let handler = AdminHandler::new(server.handle(), reloads, log.lost_lines(), stop.clone());
    let mut run = pin!(server.run(stop.cancelled()));
    let mut watch = pin!(watcher.run());
    let mut answer = pin!(admin.serve(handler));
    let mut deliver = pin!(notify_sender.deliver());
    let (mut is_stopping, mut is_signalled) = (false, false);
    loop {
        tokio::select! {
            // So that the service manager has heard that the server stops before it has stopped.
            biased;
            never = &mut deliver => match never {},
            // A signal has asked for it, or an operator. Both are looked at before the connections,
            // of which there may be so many to take in that nothing behind them has its turn.
            () = stop.cancelled(), if !is_stopping => {
                is_stopping = true;
                manager.stopping();
            }
            signal = signals.recv() => {
                if is_signalled {
                    audit::drain_aborted(signal);
                    return Ok(ExitCode::from(FAILURE));
                }
                is_signalled = true;
                // An operator may have asked for it before.
                if !stop.is_cancelled() {
                    audit::drain_started(signal);
                    stop.cancel();
                }
            }
            never = &mut watch => match never {},
            never = &mut answer => match never {},
            () = &mut run => break,
        }
    }
    admin.finish().await;
    Ok(ExitCode::SUCCESS)
}
