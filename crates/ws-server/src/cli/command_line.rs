//! The command line: parses arguments, runs the server or a command, and returns an exit code.

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
use tracing::{info, warn};

use crate::{
    access::Revocations,
    admin::{Admin, AdminHandler},
    cli::{
        ctl::{self, Action, CtlError, OutputFormat},
        hash_password::{self, HashPasswordError},
        new_secret::new_secret,
        startup_notices::StartupNotices,
    },
    config::{
        self, AdminAddress, Config, ConfigSource, LoadedConfig, RevocationsFile, WatchedFiles,
    },
    log::{Log, LogFormat, audit},
    process::{descriptors, signals::StopSignals, systemd},
    reload::{ConfigWatcher, StartState},
    server::Server,
    service::run_helper,
};

/// The exit code after a failure at run time, or after a second signal aborted the drain.
const FAILURE: u8 = 1;

/// The exit code for invalid arguments or configuration, or an address that cannot be bound.
const CONFIGURATION: u8 = 2;

/// The exit code of `ctl` if it cannot connect to a server.
const UNREACHABLE: u8 = 4;

/// The exit code of `hash-password` after a signal.
const INTERRUPTED: u8 = 130;

/// A WebSocket server that requires a login.
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    after_help = "stdout has one line, `listening on ws://ADDRESS`, or wss:// with TLS. Logs go to \
                  stderr; RUST_LOG sets their level.\n\
                  SIGINT or SIGTERM closes all connections and stops the server; a second one stops \
                  it at once. SIGHUP reloads the files, as a change of one of them does.\n\n\
                  Exit codes: 0 stopped, 1 failed at run time or stopped by a second signal, \
                  2 invalid arguments, configuration or password, or address not available, \
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
    /// Read a password, and print the line with its hash for the credentials file
    #[command(
        after_help = "At a terminal the password is read twice, without echo; otherwise it is the \
                      first line of stdin.\n\
                      stdout has one line, `password_hash = \"...\"`, for the [[user]] entry of the \
                      credentials file."
    )]
    HashPassword,

    /// Print a new random secret for the file that `login.ticket_secret_file` names
    #[command(
        after_help = "stdout has one line of 64 hexadecimal digits. Only the owner of the file may \
                      read it:\n\n  (umask 077; ws-server new-secret > config/tickets.secret)"
    )]
    NewSecret,

    /// List and control the sessions of a running server
    #[command(
        after_help = "The requests go to the Unix socket that `[admin] listen` names in the \
                      configuration.\n\n\
                      Exit codes: 0 done, 1 refused by the server or connection failed, 2 invalid \
                      arguments or configuration, 4 cannot connect to a server."
    )]
    Ctl {
        #[command(subcommand)]
        action: Action,

        /// The configuration file that names the socket [default: config/server.toml]
        #[arg(long, value_name = "FILE", global = true)]
        config: Option<PathBuf>,

        /// The path of the socket
        #[arg(long, value_name = "FILE", global = true, conflicts_with = "config")]
        socket: Option<PathBuf>,

        /// Print the response as JSON
        #[arg(long, global = true)]
        json: bool,
    },
}

/// The arguments of the server.
#[derive(Debug, Args)]
struct Arguments {
    /// The configuration file [default: config/server.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Listen on this address instead of the configured one; port 0 selects a free port
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,

    /// Read the accounts from this file instead of the configured one
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,

    /// Write the log in this format instead of the configured one
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,

    /// Print the configuration with all defaults, without passwords, and exit
    #[arg(long)]
    check_config: bool,
}

/// Runs the server until it is stopped, or a command. Invalid arguments end the process with code 2.
pub fn main() -> ExitCode {
    run_helper();
    let CommandLine { command, arguments } = CommandLine::parse();
    match command {
        Some(Command::HashPassword) => print_password_line(),
        Some(Command::NewSecret) => print_new_secret(),
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
            run_ctl(&action, config.as_deref(), socket, format)
        }
        None => run_server(&arguments),
    }
}

/// Runs `hash-password`. Only the line for the credentials file goes to stdout.
fn print_password_line() -> ExitCode {
    let line = match hash_password::password_line() {
        Ok(line) => line,
        Err(HashPasswordError::Interrupted) => {
            // End the line of the prompt.
            let _ = writeln!(std::io::stderr());
            return ExitCode::from(INTERRUPTED);
        }
        Err(error) => return refuse(&error.into()),
    };
    // Ignore a closed stderr.
    let _ = writeln!(std::io::stderr(), "{}", hash_password::HINT);
    print(&line)
}

/// Runs `new-secret`.
fn print_new_secret() -> ExitCode {
    match new_secret() {
        Ok(secret) => print(&secret),
        Err(error) => refuse(&anyhow::Error::new(error).context("cannot make a random secret")),
    }
}

/// Prints a result on stdout. If that fails, prints the error and returns the exit code for it.
fn print(text: &str) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A reader that has ended, as `head` does, needs no explanation.
            if error.kind() != std::io::ErrorKind::BrokenPipe {
                print_error(
                    &anyhow::Error::new(error).context("cannot write the result to stdout"),
                );
            }
            ExitCode::from(FAILURE)
        }
    }
}

/// Runs `ctl`: sends the request, and prints the response.
fn run_ctl(
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
    match runtime.block_on(ctl::run(&socket, action, format)) {
        Ok(output) => print(&output),
        Err(error) => {
            let code = match error {
                CtlError::Unreachable { .. } => UNREACHABLE,
                CtlError::Disconnected(_)
                | CtlError::ForeignServer { .. }
                | CtlError::TimedOut
                | CtlError::ResponseTooLarge
                | CtlError::Refused(_)
                | CtlError::UnexpectedResponse(_) => FAILURE,
            };
            print_error(&error.into());
            ExitCode::from(code)
        }
    }
}

/// Returns the admin socket of the configuration.
fn admin_socket(config: Option<&Path>) -> anyhow::Result<PathBuf> {
    let path = config.unwrap_or(Path::new(config::DEFAULT_PATH));
    if config.is_none() && !path.exists() {
        anyhow::bail!(
            "there is no {} in this directory: name the configuration of the server with --config \
             FILE, or its socket with --socket FILE",
            path.display()
        );
    }
    // The file may have become invalid since the server loaded it.
    let config =
        Config::load(path).context("cannot look up the socket (--socket FILE names it)")?;
    let socket = config.admin.listen.0.iter().find_map(AdminAddress::socket);
    socket.map(Path::to_owned).with_context(|| {
        format!(
            "{} names no socket: write listen = \"unix:admin.sock\" into its [admin], start the \
             server again, or name the socket with --socket",
            path.display()
        )
    })
}

fn run_server(arguments: &Arguments) -> ExitCode {
    let (source, files, loaded) = match load(arguments) {
        Ok(loaded) => loaded,
        Err(error) => return refuse(&error),
    };
    let revocations = match load_revocations(&loaded.config) {
        Ok(revocations) => revocations,
        Err(error) => return refuse(&error),
    };
    if arguments.check_config {
        return print_config(&loaded);
    }
    let log = Log::start(loaded.config.log_level, loaded.config.log_format);
    let start_state = StartState::of(&loaded, files);
    match start(source, start_state, loaded, revocations, &log) {
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
    let reader = source.clone();
    let (files, loaded) = config::read_at_start(move || reader.load(&[]))?;
    let loaded = loaded?;
    match config::undefined_route_user(&loaded.config, &loaded.accounts) {
        Some(undefined_route_user) => {
            Err(anyhow::Error::from(undefined_route_user).context(path.display().to_string()))
        }
        None => Ok((source, files, loaded)),
    }
}

/// Reads the revocations of earlier processes.
fn load_revocations(config: &Config) -> anyhow::Result<Revocations> {
    match &config.login.revocations_file {
        Some(path) => {
            let path = path.clone();
            Ok(config::read_at_start(move || {
                RevocationsFile::load(&path)
            })??)
        }
        None => Ok(Revocations::default()),
    }
}

/// Prints an error, and returns the exit code for an invalid configuration.
fn refuse(error: &anyhow::Error) -> ExitCode {
    print_error(error);
    ExitCode::from(CONFIGURATION)
}

fn print_error(error: &anyhow::Error) {
    // Ignore a closed stderr.
    let _ = writeln!(std::io::stderr(), "ws-server: {error:#}");
}

fn print_config(
    LoadedConfig {
        config, accounts, ..
    }: &LoadedConfig,
) -> ExitCode {
    let mut users: Vec<_> = accounts.users().map(ToString::to_string).collect();
    users.sort_unstable();
    print(&format!(
        "{config}\n# {} holds {}: {} (passwords are not shown)",
        config.credentials.display(),
        plural(users.len(), "user", "users"),
        users.join(", ")
    ))
}

fn start(
    source: ConfigSource,
    start_state: StartState,
    loaded: LoadedConfig,
    revocations: Revocations,
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
    let exit_code = runtime.block_on(serve(source, start_state, loaded, revocations, log));
    // Connections that have not ended by the drain deadline are dropped.
    runtime.shutdown_background();
    exit_code
}

async fn serve(
    source: ConfigSource,
    start_state: StartState,
    loaded: LoadedConfig,
    revocations: Revocations,
    log: &Log,
) -> anyhow::Result<ExitCode> {
    let mut signals = StopSignals::new().context("failed to listen for signals")?;
    let notices = StartupNotices::new(&source, &loaded);
    let listen = loaded.config.listen;
    let admin_addresses = loaded.config.admin.listen.0.clone();
    let mut server = Server::bind(loaded.config, loaded.accounts)
        .with_context(|| format!("cannot listen on {listen}: choose another with --listen"))?;
    let scheme = if loaded.tls.is_some() { "wss" } else { "ws" };
    if let Some(tls) = loaded.tls {
        server = server.with_tls(tls);
    }
    if let Err(error) = server.adopt_orphans() {
        warn!(%error, "processes that programs leave behind are not reaped");
    }
    let admin = Admin::bind(&admin_addresses)?;
    let address = server
        .local_addr()
        .context("failed to read the bound address")?;
    let (manager, notify_sender) = systemd::from_environment(address);
    let (watcher, reloads) =
        ConfigWatcher::new(source, start_state, server.handle(), log, &manager)
            .context("failed to listen for SIGHUP")?;
    manager.ready(notices.users);
    notices.log();
    server.handle().restore(revocations);
    let revoked = server.handle().revocations().iter().len();
    if revoked > 0 {
        let users = plural(revoked, "user", "users");
        info!("logins of {users} are revoked: `ws-server ctl revocations` lists them");
    }
    for address in admin.addresses() {
        let address = address.context("failed to read the bound address")?;
        info!(%address, "admin interface listening");
    }
    // Ignore a closed stdout.
    let _ = writeln!(std::io::stdout(), "listening on {scheme}://{address}");

    let stop = CancellationToken::new();
    let handler = AdminHandler::new(server.handle(), reloads, log.lost_lines(), stop.clone());
    let mut run = pin!(server.run(stop.cancelled()));
    let mut watch = pin!(watcher.run());
    let mut serve_admin = pin!(admin.serve(handler));
    let mut deliver = pin!(notify_sender.deliver());
    let (mut is_stopping, mut is_signalled) = (false, false);
    loop {
        tokio::select! {
            // Deliver pending notifications first, so that STOPPING=1 is sent before the server ends.
            biased;
            never = &mut deliver => match never {},
            // Stop requests come before the accept loop, which under load may always be ready.
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
                // An operator may have started the drain already.
                if !stop.is_cancelled() {
                    audit::drain_started(signal);
                    stop.cancel();
                }
            }
            never = &mut watch => match never {},
            never = &mut serve_admin => match never {},
            () = &mut run => break,
        }
    }
    admin.finish().await;
    Ok(ExitCode::SUCCESS)
}
