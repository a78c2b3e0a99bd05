//! Notifications to the service manager: ready, reloading, stopping and watchdog (`sd_notify(3)`).
//!
//! The service manager sets the environment variables `NOTIFY_SOCKET`, `WATCHDOG_USEC` and
//! `WATCHDOG_PID`. Without `NOTIFY_SOCKET` nothing is sent.
//!
//! The crate `sd-notify` formats the states and reads the watchdog variables. Its `notify` is not
//! used: it blocks while the manager is busy, and does not support abstract socket names.

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

/// The environment variable with the address of the notify socket.
const SOCKET: &str = "NOTIFY_SOCKET";

/// The maximum number of queued notifications. More are dropped.
const MAX_QUEUED: usize = 16;

/// A handle that queues notifications for the service manager. It never blocks.
#[derive(Debug)]
pub(crate) struct ServiceManager {
    address: SocketAddr,
    /// `None` without a notify socket.
    notifications: Option<Sender<String>>,
}

/// The task that sends the queued notifications.
#[derive(Debug)]
pub(crate) struct NotifySender(Option<NotifySocket>);

/// A connected notify socket, with the queue that it sends and the watchdog.
#[derive(Debug)]
struct NotifySocket {
    socket: UnixDatagram,
    notifications: Receiver<String>,
    watchdog: Watchdog,
}

/// The timer of watchdog notifications, or `None` if the manager does not request them.
#[derive(Debug)]
struct Watchdog(Option<Interval>);

/// Connects to the service manager that the environment names. `address` is the server's, for the
/// status text. A failure to connect is logged.
///
/// # Panics
///
/// Panics if called outside a tokio runtime with I/O and time enabled.
pub(crate) fn from_environment(address: SocketAddr) -> (ServiceManager, NotifySender) {
    let socket = env::var_os(SOCKET).and_then(|name| match connect(&name) {
        Ok(socket) => Some(socket),
        Err(error) => {
            let name = name.to_string_lossy();
            warn!(
                "cannot notify the service manager at {}: {error}",
                Escaped(&name)
            );
            None
        }
    });
    let Some(socket) = socket else {
        let notifications = None;
        return (
            ServiceManager {
                address,
                notifications,
            },
            NotifySender(None),
        );
    };
    let (sender, notifications) = channel(MAX_QUEUED);
    let socket = NotifySocket {
        socket,
        notifications,
        watchdog: Watchdog::from_environment(),
    };
    let notifications = Some(sender);
    (
        ServiceManager {
            address,
            notifications,
        },
        NotifySender(Some(socket)),
    )
}

impl ServiceManager {
    /// Notifies that the server is ready, after the start or a reload.
    pub(crate) fn ready(&self, accounts: usize) {
        let status = format!("listening on {}, accounts: {accounts}", self.address);
        self.notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
    }

    /// Notifies the start of a reload. [`ServiceManager::ready`] or
    /// [`ServiceManager::not_reloaded`] must follow.
    pub(crate) fn reloading(&self) {
        // MONOTONIC_USEC tells systemd which request the reload belongs to (`sd_notify(3)`).
        let Ok(now) = NotifyState::monotonic_usec_now() else {
            return;
        };
        let status = NotifyState::Status("reloading");
        self.notify(&[NotifyState::Reloading, now, status]);
    }

    /// Notifies that a reload failed and the server continues unchanged.
    pub(crate) fn not_reloaded(&self, problem: &impl Display) {
        let status = format!(
            "listening on {}; nothing was reloaded: {problem}",
            self.address
        );
        self.notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
    }

    /// Notifies that the server is stopping.
    pub(crate) fn stopping(&self) {
        let status = NotifyState::Status("ending all connections");
        self.notify(&[NotifyState::Stopping, status]);
    }

    fn notify(&self, states: &[NotifyState<'_>]) {
        if let Some(notifications) = &self.notifications {
            // Full only if the manager no longer reads: drop the notification.
            let _ = notifications.try_send(datagram(states));
        }
    }
}

impl NotifySender {
    /// Sends the queued notifications in order, and a watchdog notification in each period. Never
    /// returns.
    pub(crate) async fn deliver(self) -> Infallible {
        let Some(mut notify) = self.0 else {
            return pending().await;
        };
        loop {
            let notification = tokio::select! {
                biased;
                Some(notification) = notify.notifications.recv() => notification,
                () = notify.watchdog.tick() => datagram(&[NotifyState::Watchdog]),
            };
            if let Err(error) = notify.socket.send(notification.as_bytes()).await {
                warn!("cannot notify the service manager: {error}");
            }
        }
    }
}

impl Watchdog {
    fn from_environment() -> Self {
        // Half of the limit, as `sd_watchdog_enabled(3)` recommends.
        let period = sd_notify::watchdog_enabled().map(|limit| limit / 2);
        Self(period.filter(|period| !period.is_zero()).map(|period| {
            let mut interval = interval_at(Instant::now() + period, period);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        }))
    }

    /// Waits for the next period. Cancel safe.
    async fn tick(&mut self) {
        match &mut self.0 {
            Some(interval) => interval.tick().await,
            None => pending().await,
        };
    }
}

/// Returns the datagram of a notification: a line for each state.
fn datagram(states: &[NotifyState<'_>]) -> String {
    let lines: Vec<_> = states.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Connects a non-blocking socket to a path, or to an abstract name (`@name`).
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
