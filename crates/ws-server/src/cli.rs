//! The command line: reads arguments, starts the server, and turns its end into an exit code.

use std::{
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::pin,
    process::ExitCode,
    time::SystemTime,
};

use anyhow::Context as _;
use clap::Parser;
use proto::{credentials::Accounts, escape::Escaped};
use tokio::runtime;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    config::{self, Config},
    descriptors,
    log::Log,
    server::Server,
    shutdown::StopSignals,
};

/// The server failed at run time, or was stopped before all connections had ended.
const FAILURE: u8 = 1;

/// The server was not started: its arguments, its configuration or its address cannot be used.
const CONFIGURATION: u8 = 2;

/// The account that is shipped for development, which is spoken of but never shown.
const DEVELOPMENT_LINE: &str = "admin:123456";

/// A login in front of live WebSocket connections.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "stdout has one line, `listening on ws://ADDRESS`; the log is on stderr, as \
                  detailed as RUST_LOG says.\n\
                  SIGINT or SIGTERM ends all connections in order, a second one at once.\n\n\
                  Exit codes: 0 stopped, 1 failed at run time or stopped by a second signal, \
                  2 arguments, configuration or address cannot be used."
)]
struct Arguments {
    /// The configuration [default: config/server.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Listen here instead of where the configuration says; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,

    /// Print the configuration with all its defaults, without passwords, and exit
    #[arg(long)]
    check_config: bool,
}

/// Runs the server until it is stopped. Arguments that cannot be used end the process with 2.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (config, accounts) = match load(&arguments) {
        Ok(loaded) => loaded,
        Err(error) => return refuse(&error),
    };
    if arguments.check_config {
        return print_config(&config, &accounts);
    }
    let log = Log::start();
    match start(arguments, config, accounts, &log) {
        Ok(exit_code) => exit_code,
        Err(error) => {
            drop(log);
            refuse(&error)
        }
    }
}

fn load(arguments: &Arguments) -> anyhow::Result<(Config, Accounts)> {
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
    let mut config = Config::load(path)?;
    if let Some(listen) = arguments.listen {
        config.listen = listen;
    }
    let accounts = config::load_accounts(&config.credentials)?;
    Ok((config, accounts))
}

/// Says why the server does not start.
fn refuse(error: &anyhow::Error) -> ExitCode {
    // There is nobody to tell if stderr is closed.
    let _ = writeln!(std::io::stderr(), "ws-server: {error:#}");
    ExitCode::from(CONFIGURATION)
}

fn print_config(config: &Config, accounts: &Accounts) -> ExitCode {
    let mut users: Vec<_> = accounts.users().map(ToString::to_string).collect();
    users.sort_unstable();
    let printed = writeln!(
        std::io::stdout(),
        "{config}\n# {} holds {}: {} (passwords are not shown)",
        config.credentials.display(),
        how_many(users.len()),
        users.join(", ")
    );
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILURE),
    }
}

fn start(
    arguments: Arguments,
    mut config: Config,
    accounts: Accounts,
    log: &Log,
) -> anyhow::Result<ExitCode> {
    if let Some(descriptors) = descriptors::raise_limit() {
        let wanted = config.limits.caps.connections;
        config.limits.caps = config.limits.caps.within(descriptors);
        let possible = config.limits.caps.connections;
        if possible < wanted {
            warn!(
                wanted,
                possible, descriptors, "fewer connections are possible than configured"
            );
        }
    }
    let mut runtime = runtime::Builder::new_multi_thread();
    if let Some(threads) = config.worker_threads {
        runtime.worker_threads(threads.get());
    }
    let runtime = runtime
        .enable_all()
        .build()
        .context("failed to start the runtime")?;
    let exit_code = runtime.block_on(serve(arguments, config, accounts, log));
    // Whoever did not end in time is cut off here.
    runtime.shutdown_background();
    exit_code
}

async fn serve(
    arguments: Arguments,
    config: Config,
    accounts: Accounts,
    log: &Log,
) -> anyhow::Result<ExitCode> {
    let mut signals = StopSignals::new().context("failed to listen for signals")?;
    let introduction = Introduction::new(arguments, &config, &accounts);
    let listen = config.listen;
    let server = Server::bind(config, accounts)
        .with_context(|| format!("cannot listen on {listen}: choose another with --listen"))?;
    let address = server
        .local_addr()
        .context("failed to learn the address that was bound")?;
    introduction.give();
    // The server serves whether or not anybody reads this.
    let _ = writeln!(std::io::stdout(), "listening on ws://{address}");

    let stop = CancellationToken::new();
    let mut run = pin!(server.run(stop.cancelled()));
    let mut report_losses = pin!(log.report_losses());
    loop {
        tokio::select! {
            () = &mut run => {
                info!("stopped");
                return Ok(ExitCode::SUCCESS);
            }
            signal = signals.recv() => {
                if stop.is_cancelled() {
                    warn!(signal, "stopping at once");
                    return Ok(ExitCode::from(FAILURE));
                }
                info!(signal, "stopping");
                stop.cancel();
            }
            () = &mut report_losses => {}
        }
    }
}

/// What a newcomer needs to know when the server starts.
struct Introduction {
    config: PathBuf,
    credentials: PathBuf,
    users: usize,
    has_development_account: bool,
}

impl Introduction {
    fn new(arguments: Arguments, config: &Config, accounts: &Accounts) -> Self {
        let development = proto::message::Credentials::parse(DEVELOPMENT_LINE);
        Self {
            config: arguments
                .config
                .unwrap_or_else(|| config::DEFAULT_PATH.into()),
            credentials: config.credentials.clone(),
            users: accounts.users().len(),
            has_development_account: development.is_ok_and(|credentials| {
                accounts.verify(&credentials, SystemTime::now()).is_some()
            }),
        }
    }

    fn give(self) {
        info!(
            "read {} and {} with {}",
            Escaped(&self.config.to_string_lossy()),
            Escaped(&self.credentials.to_string_lossy()),
            how_many(self.users)
        );
        if self.has_development_account {
            warn!(
                "the account `admin` has its development password, which everybody knows: \
                 replace it before anyone else can reach this server"
            );
            info!("to try it, run `cargo run -p ws-client` in another terminal");
        }
    }
}

fn how_many(users: usize) -> String {
    if users == 1 {
        "1 user".to_owned()
    } else {
        format!("{users} users")
    }
}
