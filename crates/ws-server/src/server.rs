//! The server as a whole: takes connections in until it is told to stop, then ends them in order.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use futures::FutureExt as _;
use http::uri::PathAndQuery;
use proto::{close::CloseReason, credentials::Accounts, username::UserName};
use tokio::{
    net::TcpStream,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    admission::{Admission, Caps, Permit},
    arrival::Arrival,
    audit,
    auth::Verifier,
    config::Config,
    connection, descriptors,
    listener::Listener,
    metrics::{Metrics, Reading, ReloadResult},
    service::Hub,
    session::{ConnectionId, Live, LiveConnections},
    settings::{Current, Settings},
    tls::{self, CurrentTls, Tls},
};

/// How often it is looked whether an account has expired. Its sessions end that much later at most.
const EXPIRY_INTERVAL: Duration = Duration::from_millis(500);

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    /// Present if connections are encrypted.
    tls: Option<Arc<CurrentTls>>,
    shared: Arc<Shared>,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// What the files say at the moment.
    pub(crate) current: Arc<Current>,
    /// Who may come in.
    pub(crate) admission: Arc<Admission>,
    /// Checks every login.
    pub(crate) verifier: Verifier,
    /// Brings what is published to those who listen.
    pub(crate) hub: Arc<Hub>,
    /// Who is connected.
    pub(crate) live: Arc<LiveConnections>,
    /// What an operator counts.
    pub(crate) metrics: Arc<Metrics>,
    /// Cancelled when the server shuts down.
    pub(crate) drain: CancellationToken,
    /// Every task of every connection, so that shutting down can wait for them.
    pub(crate) tasks: TaskTracker,
    /// Held by whoever changes the settings, or ends what they no longer allow: who is looked for by
    /// accounts of yesterday must not be one that the accounts of today let in.
    changing: Mutex<()>,
}

/// A hold on a server that runs.
#[derive(Debug, Clone)]
pub struct Control {
    tls: Option<Arc<CurrentTls>>,
    shared: Arc<Shared>,
}

impl Control {
    /// A hold on a server that has no listener.
    #[cfg(test)]
    pub(crate) fn of(shared: Arc<Shared>) -> Self {
        Self { tls: None, shared }
    }

    /// Has the server go on with another configuration and other accounts, and ends the sessions
    /// of those whose credentials are no longer what they logged in with. Returns how many these
    /// are.
    ///
    /// Of the configuration, the address, the threads and the hashing stay as they were at the
    /// start. Limits and service of the connections that are there stay the same.
    pub fn reload(&self, config: Config, accounts: Accounts) -> usize {
        let ended = self.shared.reload(config, accounts);
        self.shared.metrics.reloaded(ReloadResult::Ok);
        ended
    }

    /// Has new connections speak TLS by another certificate, if the server speaks TLS. Those that
    /// are there stay as they are.
    pub fn replace_tls(&self, tls: Tls) {
        if let Some(current) = &self.tls {
            current.replace(tls);
        }
    }

    /// Notes that the files were read again and could not be used.
    pub(crate) fn note_failed_reload(&self) {
        self.shared.metrics.reloaded(ReloadResult::Failed);
    }

    /// Everything that is counted and watched, as Prometheus reads it, where so many lines of the log
    /// were lost.
    pub(crate) fn metrics(&self, lost_lines: u64) -> String {
        let shared = &self.shared;
        shared.metrics.encode(Reading {
            census: shared.admission.census(),
            traffic: shared.live.traffic(),
            workload: shared.verifier.workload(),
            attendance: shared.hub.attendance(),
            lost_lines,
            certificate_expiry: self.tls.as_ref().and_then(|tls| tls.load().expiry()),
        })
    }

    /// Whether the server takes new connections.
    pub(crate) fn is_ready(&self) -> bool {
        !self.shared.drain.is_cancelled()
    }

    /// Every session that is open.
    pub(crate) fn sessions(&self) -> Vec<(ConnectionId, Arc<Live>)> {
        self.shared.live.sessions()
    }

    /// Ends one connection. Returns what is known of it, unless it is not there or is ending
    /// already.
    pub(crate) fn kick(&self, id: ConnectionId) -> Option<Arc<Live>> {
        let live = self.shared.live.get(id)?;
        live.end(CloseReason::Kicked).then_some(live)
    }

    /// Takes the login of a user back until the accounts next change: all sessions of that user
    /// end, and there is no new one. Returns how many sessions these are; none if there is no such
    /// user.
    pub(crate) fn revoke(&self, user: &UserName) -> Option<usize> {
        self.shared.revoke(user)
    }

    /// Publishes a text in a room, if there is one at this path.
    pub(crate) fn publish(&self, path: &str, from: &str, text: &str) -> Result<(), PublishError> {
        let settings = self.shared.current.load();
        // A text that no request could name as its path is one at which nobody is.
        let is_path = PathAndQuery::try_from(path).is_ok_and(|it| it.path() == path);
        let route = settings.rules.routes.find(path).filter(|_| is_path);
        let route = route.filter(|route| route.service.takes_posts());
        let route = route.ok_or(PublishError::NoRoom)?;
        if text.is_empty() || text.len() > settings.max_message_bytes(route) {
            return Err(PublishError::Length {
                most: settings.max_message_bytes(route),
            });
        }
        route
            .service
            .publish(&self.shared.hub, &path.into(), from, text);
        Ok(())
    }
}

/// Why a text was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PublishError {
    /// No route with a room has this path.
    #[error("there is no room at this path")]
    NoRoom,
    /// The text is empty, or longer than a message may be there.
    #[error("a text has 1 to {most} bytes here")]
    Length {
        /// How long it may be.
        most: usize,
    },
}

impl Server {
    /// Listens. Connections wait until [`Server::run`] takes them in.
    ///
    /// It must be called within a tokio runtime with I/O and time enabled.
    pub fn bind(config: Config, accounts: Accounts) -> io::Result<Self> {
        let listener = Listener::bind(config.listen, config.limits.longest_standstill())?;
        Ok(Self {
            listener,
            tls: None,
            shared: Arc::new(Shared::new(config, accounts)),
        })
    }

    /// The same server, whose connections speak TLS.
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Self {
        let tls = Some(Arc::new(CurrentTls::new(tls)));
        Self { tls, ..self }
    }

    /// The address that was bound.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// A hold on the server, for as long as it runs.
    pub fn control(&self) -> Control {
        Control {
            tls: self.tls.clone(),
            shared: Arc::clone(&self.shared),
        }
    }

    /// Serves until `stop` is ready, then ends all connections within the drain deadline.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self {
            mut listener,
            tls,
            shared,
        } = self;
        let tls = tls.as_deref();
        tokio::select! {
            () = stop => {}
            never = take_all_in(&mut listener, tls, &shared) => match never {},
            never = shared.end_expired() => match never {},
        }
        // Those who are connected by now, as they see it, are told as well.
        while let Some(connection) = listener.accept().now_or_never() {
            take_in(connection, tls, &shared);
        }
        drop(listener);
        shared.end_all().await;
    }
}

async fn take_all_in(
    listener: &mut Listener,
    tls: Option<&CurrentTls>,
    shared: &Arc<Shared>,
) -> Infallible {
    loop {
        let connection = listener.accept().await;
        take_in(connection, tls, shared);
        listener.set_user_timeout(shared.current.load().limits.longest_standstill());
    }
}

/// Takes a connection in, on a task of its own, so that none waits for another.
fn take_in(
    (stream, peer): (TcpStream, SocketAddr),
    tls: Option<&CurrentTls>,
    shared: &Arc<Shared>,
) {
    let Some(permit) = shared.enter(peer.ip()) else {
        return;
    };
    let arrival = Arrival::new(peer, permit, shared);
    // Two tasks rather than one that could be either: it would be as large as the larger one.
    match tls.map(CurrentTls::load) {
        Some(tls) => shared
            .tasks
            .spawn(tls::serve(stream, tls, arrival, Arc::clone(shared))),
        None => shared
            .tasks
            .spawn(connection::serve(stream, arrival, Arc::clone(shared))),
    };
}

/// The caps as far as the process may have descriptors for them.
fn possible(caps: Caps) -> Caps {
    let Some(descriptors) = descriptors::limit() else {
        return caps;
    };
    let possible = caps.within(descriptors);
    if possible.connections < caps.connections {
        warn!(
            wanted = caps.connections,
            possible = possible.connections,
            descriptors,
            "fewer connections are possible than configured"
        );
    }
    possible
}

impl Shared {
    /// What the connections of a server with this configuration share.
    pub(crate) fn new(config: Config, accounts: Accounts) -> Self {
        let admission = Admission::new(possible(config.limits.caps));
        let (budget, hashing) = (config.budget, config.hashing());
        let current = Arc::new(Current::new(Settings::new(config, accounts)));
        let metrics = Arc::new(Metrics::new());
        Self {
            admission: Arc::new(admission),
            verifier: Verifier::new(Arc::clone(&current), budget, hashing, Arc::clone(&metrics)),
            current,
            hub: Arc::default(),
            live: Arc::default(),
            metrics,
            drain: CancellationToken::new(),
            tasks: TaskTracker::new(),
            changing: Mutex::new(()),
        }
    }

    /// A place for a connection from this address, if there is one.
    pub(crate) fn enter(&self, peer: IpAddr) -> Option<Permit> {
        // Whom a proxy speaks for is known by the request only.
        let is_proxy = self.current.load().proxies.trusts(peer);
        self.admission.enter((!is_proxy).then_some(peer))
    }

    /// See [`Control::reload`].
    pub(crate) fn reload(&self, config: Config, accounts: Accounts) -> usize {
        let changing = self.changing();
        self.admission.set_caps(possible(config.limits.caps));
        self.verifier.set_budget(config.budget);
        let mut settings = Settings::new(config, accounts);
        settings.keep_revoked(&self.current.load());
        self.current.replace(settings);
        self.end_revoked(&changing, SystemTime::now())
    }

    /// See [`Control::revoke`].
    fn revoke(&self, user: &UserName) -> Option<usize> {
        let changing = self.changing();
        let settings = self.current.load();
        if !settings.accounts.has(user) {
            return None;
        }
        self.current.replace(settings.without(user.clone()));
        Some(self.end_revoked(&changing, SystemTime::now()))
    }

    /// Ends the sessions of expired accounts when their time comes. It never ends itself.
    async fn end_expired(&self) -> Infallible {
        let mut looks = interval(EXPIRY_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looked_at = SystemTime::now();
        loop {
            looks.tick().await;
            let now = SystemTime::now();
            self.end_expired_between(looked_at, now);
            looked_at = now;
        }
    }

    /// Ends the sessions of accounts that expired after it was last looked, and by now.
    pub(crate) fn end_expired_between(&self, looked_at: SystemTime, now: SystemTime) {
        let changing = self.changing();
        let next = self.current.load().accounts.next_expiry(looked_at);
        // A clock that was set back may have passed the end of an account for the second time.
        if now < looked_at || next.is_some_and(|next| next <= now) {
            let sessions = self.end_revoked(&changing, now);
            info!(sessions, "accounts have expired");
        }
    }

    fn end_revoked(&self, _changing: &MutexGuard<'_, ()>, now: SystemTime) -> usize {
        let settings = self.current.load();
        let revoked = self.live.end_revoked(|member| settings.check(member, now));
        for (connection, principal, why) in &revoked {
            audit::session_revoked(*connection, principal, *why);
        }
        revoked.len()
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        // It guards the order of steps that each leave everything in order.
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all connections in order, within the drain deadline.
    pub(crate) async fn end_all(&self) {
        self.drain.cancel();
        let open = self.live.end_all(CloseReason::ShuttingDown);
        info!(connections = open, "ending all connections");
        self.tasks.close();
        let deadline = self.current.load().limits.drain_deadline;
        // Whoever does not end in time is cut off.
        let _ = timeout(deadline, self.tasks.wait()).await;
        audit::drain_ended(self.tasks.len());
    }
}

#[cfg(test)]
mod tests {
    use std::{
        hint,
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use proto::credentials::Accounts;

    use super::Shared;
    use crate::config::Config;

    fn settings(connections: usize) -> (Config, Accounts) {
        let mut config = Config::default();
        config.limits.caps.connections = connections;
        let accounts = Accounts::from_toml("[[user]]\nname = \"admin\"\npassword = \"1\"");
        (config, accounts.expect("they are accounts"))
    }

    #[test]
    fn two_reloads_at_once_leave_what_one_of_them_says() {
        let (config, accounts) = settings(1);
        let shared = Shared::new(config, accounts);
        for _ in 0..2000 {
            let ready = AtomicUsize::new(0);
            thread::scope(|scope| {
                for connections in [100, 200] {
                    let (shared, ready) = (&shared, &ready);
                    scope.spawn(move || {
                        let (config, accounts) = settings(connections);
                        // To be woken would take longer than a reload does.
                        ready.fetch_add(1, Ordering::SeqCst);
                        while ready.load(Ordering::SeqCst) < 2 {
                            hint::spin_loop();
                        }
                        shared.reload(config, accounts);
                    });
                }
            });
            let settings = shared.current.load();
            assert_eq!(
                shared.admission.caps().connections,
                settings.limits.caps.connections
            );
        }
    }
}
