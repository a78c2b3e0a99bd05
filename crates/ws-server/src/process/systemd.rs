//! What the server tells whoever started it as a service: that it is ready, reloads, stops, and
//! still lives. It speaks as `systemd` listens (`sd_notify(3)`), and costs nothing where nobody
//! does.
//!
//! Where to tell it, and how often that it lives, stands in variables of the environment, which
//! belong to the service manager: `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.

use std::{
    convert::Infallible,
    env,
    ffi::OsStr,
    fmt::Display,
    future::pending,
    io,
    net::SocketAddr,
    os::unix::{ffi::OsStrExt as _, net::UnixDatagram as StdUnixDatagram},
    path::Path,
};

use proto::escape::Escaped;
use sd_notify::NotifyState;
use tokio::{
    net::UnixDatagram,
    sync::mpsc::{Receiver, Sender, channel},
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};
use tracing::warn;

/// The variable that says where the service manager listens.
const SOCKET: &str = "NOTIFY_SOCKET";

/// How many notices may wait for a service manager that does not listen. What comes beyond them is
/// not told.
const MAX_QUEUED: usize = 16;

/// A handle that queues notices for the service manager. It never waits.
#[derive(Debug)]
pub(crate) struct ServiceManager {
    address: SocketAddr,
    /// Absent if no service manager listens.
    notices: Option<Sender<String>>,
}

/// The task that sends the queued notices to the service manager.
#[derive(Debug)]
pub(crate) struct NotifySender(Option<NotifySocket>);

/// A connected notify socket, with the queue that it sends and the watchdog.
#[derive(Debug)]
struct NotifySocket {
    socket: UnixDatagram,
    notices: Receiver<String>,
    watchdog: Watchdog,
}

/// When to say that the server lives, if that is wanted.
#[derive(Debug)]
struct Watchdog(Option<Interval>);

/// The service manager that the environment names, and the way to it, for a server that listens
/// here.
///
/// It must be called within a tokio runtime with I/O and time enabled.
pub(crate) fn from_environment(address: SocketAddr) -> (ServiceManager, NotifySender) {
    let socket = env::var_os(SOCKET).and_then(|name| match connect(&name) {
        Ok(socket) => Some(socket),
        Err(error) => {
            let name = name.to_string_lossy();
            warn!(
                "the service manager at {} cannot be told anything: {error}",
                Escaped(&name)
            );
            None
        }
    });
    let Some(socket) = socket else {
        let notices = None;
        return (ServiceManager { address, notices }, NotifySender(None));
    };
    let (sender, notices) = channel(MAX_QUEUED);
    let socket = NotifySocket {
        socket,
        notices,
        watchdog: Watchdog::from_environment(),
    };
    let notices = Some(sender);
    (
        ServiceManager { address, notices },
        NotifySender(Some(socket)),
    )
}

impl ServiceManager {
    /// The server serves, with so many accounts, from the start on or again.
    pub(crate) fn ready(&self, accounts: usize) {
        let status = format!("listening on {}, accounts: {accounts}", self.address);
        self.notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
    }

    /// The server reads its files again. [`ServiceManager::ready`] or
    /// [`ServiceManager::not_reloaded`] must follow.
    pub(crate) fn reloading(&self) {
        // It tells this reload from the one that was asked for before.
        let Ok(now) = NotifyState::monotonic_usec_now() else {
            return;
        };
        let status = NotifyState::Status("reading the files again");
        self.notify(&[NotifyState::Reloading, now, status]);
    }

    /// The server serves as before, because of what is wrong with its files.
    pub(crate) fn not_reloaded(&self, problem: &impl Display) {
        let status = format!(
            "listening on {}; nothing was reloaded: {problem}",
            self.address
        );
        self.notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
    }

    /// The server takes nobody in any more.
    pub(crate) fn stopping(&self) {
        let status = NotifyState::Status("ending all connections");
        self.notify(&[NotifyState::Stopping, status]);
    }

    fn notify(&self, states: &[NotifyState<'_>]) {
        if let Some(notices) = &self.notices {
            // It is full for a manager that has long stopped listening.
            let _ = notices.try_send(notice(states));
        }
    }
}

impl NotifySender {
    /// Sends the queued notices in order, and a watchdog notice in each period. Never returns.
    pub(crate) async fn deliver(self) -> Infallible {
        let Some(mut notify) = self.0 else {
            return pending().await;
        };
        loop {
            let notice = tokio::select! {
                biased;
                Some(notice) = notify.notices.recv() => notice,
                () = notify.watchdog.time() => notice(&[NotifyState::Watchdog]),
            };
            if let Err(error) = notify.socket.send(notice.as_bytes()).await {
                warn!("the service manager was not told: {error}");
            }
        }
    }
}

impl Watchdog {
    fn from_environment() -> Self {
        // Half of it, so that a moment of much work is not taken for death.
        let period = sd_notify::watchdog_enabled().map(|limit| limit / 2);
        Self(period.filter(|period| !period.is_zero()).map(|period| {
            let mut times = interval_at(Instant::now() + period, period);
            times.set_missed_tick_behavior(MissedTickBehavior::Delay);
            times
        }))
    }

    /// Waits until it is time. Cancel safe.
    async fn time(&mut self) {
        match &mut self.0 {
            Some(times) => times.tick().await,
            None => pending().await,
        };
    }
}

/// What the service manager reads: a line for each state.
fn notice(states: &[NotifyState<'_>]) -> String {
    let lines: Vec<_> = states.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// A socket that does not wait, which `sd_notify::notify` would for a manager that is busy. Nor does
/// that know names that stand in no directory.
fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let socket = StdUnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match name.as_bytes() {
        [b'@', name @ ..] => connect_abstract(&socket, name)?,
        _ => socket.connect(Path::new(name))?,
    }
    UnixDatagram::from_std(socket)
}

#[cfg(target_os = "linux")]
fn connect_abstract(socket: &StdUnixDatagram, name: &[u8]) -> io::Result<()> {
    use std::os::{linux::net::SocketAddrExt as _, unix::net::SocketAddr};

    socket.connect_addr(&SocketAddr::from_abstract_name(name)?)
}

#[cfg(not(target_os = "linux"))]
fn connect_abstract(_socket: &StdUnixDatagram, _name: &[u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
