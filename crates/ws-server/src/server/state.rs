//! The state that all connections share.

use std::{
    convert::Infallible,
    net::IpAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use proto::{
    close::CloseReason,
    credentials::{Accounts, TicketSecrets},
    username::UserName,
};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    access::{Reach, Revocation, Revocations},
    admission::{Admission, ConnectionPermit},
    auth::Verifier,
    config::{self, Config, RevocationsFile, SaveError},
    handshake::Refusal,
    limits::Caps,
    log::{Throttle, audit},
    metrics::Metrics,
    peer::FairSemaphore,
    process::{descriptors, turn},
    registry::{BufferBudget, ConnectionRegistry},
    route::Routes,
    server::{drain::DrainPlan, refused_origins::RefusedOrigins},
    service::{Hub, Programs, Service},
    settings::{CurrentSettings, Settings},
};

/// The interval of the check for expired accounts, and so the maximum delay of their sessions' end.
const EXPIRY_INTERVAL: Duration = Duration::from_millis(500);

/// The minimum interval between log lines about new guests, and between those about guests that leave.
const GUEST_INTERVAL: Duration = Duration::from_secs(1);

/// The minimum interval between log lines about upstreams that are not available.
const UPSTREAM_INTERVAL: Duration = Duration::from_secs(1);

/// The state that all connections share.
#[derive(Debug)]
pub(crate) struct ServerState {
    /// The settings in force.
    pub(crate) current: Arc<CurrentSettings>,
    /// The admission of connections.
    pub(crate) admission: Arc<Admission>,
    /// The verifier of all logins.
    pub(crate) verifier: Verifier,
    /// The hub of all rooms.
    pub(crate) hub: Arc<Hub>,
    /// The programs of all sessions.
    pub(crate) programs: Arc<Programs>,
    /// The open connections.
    pub(crate) registry: Arc<ConnectionRegistry>,
    /// The event counters.
    pub(crate) metrics: Arc<Metrics>,
    /// The clients that reach the listener. A reload does not change it.
    pub(crate) reach: Reach,
    /// The turns of sessions that read and write many bytes.
    pub(crate) byte_turns: Arc<FairSemaphore>,
    /// The turns of TLS handshakes.
    pub(crate) tls_turns: Arc<FairSemaphore>,
    /// The refused origins that were logged lately.
    pub(crate) refused_origins: RefusedOrigins,
    /// The limit on the log lines about new guests. Anybody can cause such lines.
    pub(crate) guest_opened: Throttle,
    /// The limit on the log lines about guests that leave.
    pub(crate) guest_ended: Throttle,
    /// The limit on the log lines about upstreams that are not available. Each client can cause one.
    pub(crate) upstream_failed: Throttle,
    /// Cancelled when the server shuts down.
    pub(crate) drain: CancellationToken,
    /// The drain is for a restart.
    is_restart: AtomicBool,
    /// All connection tasks, for the drain to wait for.
    pub(crate) tasks: TaskTracker,
    /// The file that keeps the revocations over a restart, if one is configured.
    pub(crate) revocations_file: Option<RevocationsFile>,
    /// The file of the secret of tickets, if one was configured at the start.
    ticket_secret_file: Option<PathBuf>,
    /// Serialises a settings change with the revocation pass that follows it. Otherwise a pass that
    /// uses the old accounts could end a session that the new accounts allow.
    changing: Mutex<()>,
}

/// Returns the caps, reduced to the available file descriptors. The greatest number
/// that a route needs counts for each connection.
fn limit_to_descriptors(caps: Caps, routes: &Routes) -> Caps {
    let Some(descriptors) = descriptors::limit() else {
        return caps;
    };
    let each = routes.iter().map(|route| route.service.descriptors()).max();
    let available = descriptors::available_for_connections(descriptors) / each.unwrap_or(1);
    let possible = caps.within(available);
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

/// Creates the series of the routes whose service connects an upstream.
fn add_upstreams(metrics: &Metrics, routes: &Routes) {
    for route in routes.iter() {
        if matches!(route.service, Service::Backed(_)) {
            metrics.add_upstream(&route.pattern);
        }
    }
}

/// Returns a secret of tickets that ends with the process.
fn process_ticket_secrets() -> Arc<TicketSecrets> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).expect("there is randomness");
    Arc::new(TicketSecrets::of_process(random))
}

impl ServerState {
    /// Creates the state of a server with this configuration.
    pub(crate) fn new(config: Config, accounts: Accounts) -> Self {
        let admission = Admission::new(limit_to_descriptors(config.limits.caps(), &config.routes));
        let (budget, hashing) = (config.login.budget(), config.login.hashing());
        let revocations_file = config.login.revocations_file.clone();
        let reach = if config::is_exposed(config.listen) {
            Reach::Network
        } else {
            Reach::Loopback
        };
        let buffers = Arc::new(BufferBudget::new(config.limits.max_buffered_bytes));
        let metrics = Arc::new(Metrics::new());
        add_upstreams(&metrics, &config.routes);
        let ticket_secret_file = config.login.ticket_secret_file.clone();
        let ticket_secrets = config.ticket_secrets.clone();
        let ticket_secrets = ticket_secrets.unwrap_or_else(process_ticket_secrets);
        let settings = config.into_settings(accounts, ticket_secrets);
        let current = Arc::new(CurrentSettings::new(settings));
        Self {
            admission: Arc::new(admission),
            verifier: Verifier::new(Arc::clone(&current), budget, hashing, Arc::clone(&metrics)),
            current,
            hub: Arc::new(Hub::new(Arc::clone(&buffers))),
            programs: Arc::default(),
            registry: Arc::new(ConnectionRegistry::new(buffers)),
            metrics,
            reach,
            byte_turns: turn::one_for_each_worker(),
            tls_turns: turn::one_for_each_worker(),
            refused_origins: RefusedOrigins::default(),
            guest_opened: Throttle::new(GUEST_INTERVAL),
            guest_ended: Throttle::new(GUEST_INTERVAL),
            upstream_failed: Throttle::new(UPSTREAM_INTERVAL),
            drain: CancellationToken::new(),
            is_restart: AtomicBool::new(false),
            tasks: TaskTracker::new(),
            revocations_file: revocations_file.map(RevocationsFile::new),
            ticket_secret_file,
            changing: Mutex::new(()),
        }
    }

    /// Returns the random time for `Retry-After` of a refusal, in seconds.
    pub(crate) fn back_in(&self, refusal: Refusal) -> u16 {
        let mean = refusal.mean_retry_after();
        mean.map_or(1, |mean| self.verifier.back_in(mean))
    }

    /// Counts a new connection from this address. Returns `None` if it must be dropped.
    pub(crate) fn enter(&self, peer: IpAddr) -> Option<ConnectionPermit> {
        // Behind a proxy, only the request has the client address.
        let is_proxy = self.current.load().proxies.trusts(peer);
        self.admission.enter((!is_proxy).then_some(peer))
    }

    /// See [`ServerHandle::reload`](crate::server::ServerHandle::reload).
    pub(crate) fn reload(&self, config: Config, accounts: Accounts) -> usize {
        let changing = self.changing();
        self.admission
            .set_caps(limit_to_descriptors(config.limits.caps(), &config.routes));
        self.verifier.set_budget(config.login.budget());
        let max_buffered_bytes = config.limits.max_buffered_bytes;
        self.registry.budget().set_limit(max_buffered_bytes);
        add_upstreams(&self.metrics, &config.routes);
        let current = self.current.load();
        // Another file takes effect at the next start, as a file of revocations does.
        let secrets = (config.ticket_secrets.clone())
            .filter(|_| config.login.ticket_secret_file == self.ticket_secret_file);
        let secrets = secrets.unwrap_or_else(|| Arc::clone(current.tickets.secrets()));
        let revocations = Revocations::clone(&current.revocations);
        self.replace(&config.into_settings(accounts, secrets), revocations);
        self.end_revoked(&changing, SystemTime::now())
    }

    /// Puts settings in force with these revocations, and logs the ones that have lapsed.
    fn replace(&self, settings: &Settings, revocations: Revocations) {
        let now = self.verifier.latest_ticket(SystemTime::now());
        let (settings, lapsed) = settings.with_revocations(revocations, now);
        self.current.replace(settings);
        for user in &lapsed {
            audit::revocation_lapsed(user);
        }
    }

    /// See [`ServerHandle::restore`](crate::server::ServerHandle::restore).
    pub(crate) fn restore(&self, revocations: Revocations) {
        let _changing = self.changing();
        self.replace(&self.current.load(), revocations);
    }

    /// See [`ServerHandle::revoke`](crate::server::ServerHandle::revoke).
    pub(crate) fn revoke(&self, user: &UserName, by: &str, salt: [u8; 16]) -> Option<usize> {
        let changing = self.changing();
        let settings = self.current.load();
        let revocation = Revocation {
            credential: settings.accounts.fingerprint(user, salt)?,
            since: self.verifier.latest_ticket(SystemTime::now()),
            by: by.to_owned(),
        };
        let mut revocations = Revocations::clone(&settings.revocations);
        revocations.insert(user.clone(), revocation);
        self.replace(&settings, revocations);
        Some(self.end_revoked(&changing, SystemTime::now()))
    }

    /// See [`ServerHandle::allow`](crate::server::ServerHandle::allow).
    pub(crate) fn allow(&self, user: &UserName) -> bool {
        let _changing = self.changing();
        let settings = self.current.load();
        let mut revocations = Revocations::clone(&settings.revocations);
        let now = self.verifier.latest_ticket(SystemTime::now());
        let was_revoked = revocations.end(user, now);
        if was_revoked {
            self.replace(&settings, revocations);
        }
        was_revoked
    }

    /// See [`ServerHandle::save_revocations`](crate::server::ServerHandle::save_revocations).
    pub(crate) async fn save_revocations(&self) -> Option<Result<(), SaveError>> {
        let file = self.revocations_file.as_ref()?;
        let current = Arc::clone(&self.current);
        Some(
            file.save(move || Arc::clone(&current.load().revocations))
                .await,
        )
    }

    /// Ends the sessions of accounts when they expire. Never returns.
    pub(crate) async fn end_expired(&self) -> Infallible {
        let mut checks = interval(EXPIRY_INTERVAL);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut checked_at = SystemTime::now();
        loop {
            checks.tick().await;
            let now = SystemTime::now();
            self.end_expired_between(checked_at, now);
            checked_at = now;
        }
    }

    /// Ends the sessions of accounts that expired since the last check.
    pub(crate) fn end_expired_between(&self, checked_at: SystemTime, now: SystemTime) {
        let changing = self.changing();
        let next = self.current.load().accounts.next_expiry(checked_at);
        // A clock that was set back may pass an expiry time twice.
        if now < checked_at || next.is_some_and(|next| next <= now) {
            let sessions = self.end_revoked(&changing, now);
            info!(sessions, "accounts have expired");
        }
    }

    fn end_revoked(&self, _changing: &MutexGuard<'_, ()>, now: SystemTime) -> usize {
        let settings = self.current.load();
        let revoked = self
            .registry
            .end_revoked(|grant| settings.check(grant, now));
        for (connection, principal, why) in &revoked {
            audit::session_revoked(*connection, principal, *why);
        }
        revoked.len()
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        // The mutex only orders steps. Each step leaves a consistent state.
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the drain announce that the server starts again. An earlier drain is not changed.
    pub(crate) fn announce_restart(&self) {
        self.is_restart.store(true, Ordering::SeqCst);
    }

    /// Closes all connections, within the drain deadline: the sessions in random order over some time,
    /// so that their clients do not come back at once, and the others now.
    pub(crate) async fn end_all(&self) {
        self.drain.cancel();
        let is_restart = self.is_restart.load(Ordering::SeqCst);
        let reason = |back_in| {
            if is_restart {
                CloseReason::Restarting { back_in }
            } else {
                CloseReason::ShuttingDown { back_in }
            }
        };
        let limits = Arc::clone(&self.current.load().limits);
        let start = Instant::now();
        let open = self.registry.len();
        let mut sessions = self.registry.end_all_but_sessions(|sessions| {
            let plan = DrainPlan::new(sessions, &limits);
            reason(plan.back_in(0, fastrand::f64()))
        });
        let plan = DrainPlan::new(sessions.len(), &limits);
        info!(connections = open, "ending all connections");
        self.tasks.close();
        let end = async {
            // The order of the registry is arbitrary, but not documented as random.
            fastrand::shuffle(&mut sessions);
            for (turn, session) in sessions.into_iter().enumerate() {
                // A time in the past is no wait.
                sleep_until(start + plan.close_after(turn)).await;
                session.end(reason(plan.back_in(turn, fastrand::f64())));
            }
            self.tasks.wait().await;
        };
        // Connections that do not end in time are dropped.
        let _ = timeout(limits.drain_deadline, end).await;
        audit::drain_ended(self.tasks.len());
    }
}

#[cfg(test)]
mod tests {
    use std::{
        hint,
        num::NonZeroUsize,
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use proto::credentials::Accounts;

    use super::ServerState;
    use crate::config::Config;

    fn settings(connections: usize) -> (Config, Accounts) {
        let mut config = Config::default();
        config.limits.max_connections = NonZeroUsize::new(connections).unwrap();
        let accounts = Accounts::from_toml("[[user]]\nname = \"admin\"\npassword = \"1\"");
        (config, accounts.expect("the accounts are valid"))
    }

    #[test]
    fn concurrent_reloads_leave_one_configuration() {
        let (config, accounts) = settings(1);
        let state = ServerState::new(config, accounts);
        for _ in 0..2000 {
            let ready = AtomicUsize::new(0);
            thread::scope(|scope| {
                for connections in [100, 200] {
                    let (state, ready) = (&state, &ready);
                    scope.spawn(move || {
                        let (config, accounts) = settings(connections);
                        // Spinning: a wake-up would take longer than a reload.
                        ready.fetch_add(1, Ordering::SeqCst);
                        while ready.load(Ordering::SeqCst) < 2 {
                            hint::spin_loop();
                        }
                        state.reload(config, accounts);
                    });
                }
            });
            let settings = state.current.load();
            assert_eq!(
                state.admission.caps().connections,
                settings.limits.max_connections.get()
            );
        }
    }
}
