//! Reloads of the configuration, the accounts and the TLS files.
//!
//! A reload runs on SIGHUP, on an operator's request, and when a file has changed. All files are read
//! and validated first. Invalid files change nothing, and are reported once.

use std::{
    convert::Infallible, io, mem, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration,
};

use proto::{
    credentials::{TicketSecrets, WorldAccessible},
    escape::Escaped,
};
use serde::{Deserialize, Serialize};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{
        mpsc::{Receiver, Sender, channel},
        oneshot,
    },
    time::{Instant, Interval, MissedTickBehavior, interval},
};
use toml::Table;
use tracing::{debug, warn};

use crate::{
    config::{
        ConfigSource, FileReader, LoadedConfig, READ_DEADLINE, ReadTimeout, TICKET_SECRET_FILE,
        TlsFiles, WatchedFiles, changed_at_start, changed_live, undefined_route_user,
    },
    log::{Log, audit},
    process::systemd::ServiceManager,
    server::ServerHandle,
    tls::Tls,
};

/// The interval between two polls of the files. A change is applied once two polls in a row agree.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// The time from the poll that sees a change until it is applied, even if the files go on changing.
/// With the interval before it and the one after it, a change is applied within a second.
const MAX_UNSTABLE: Duration = Duration::from_millis(500);

/// The cause of a reload that a poll starts.
const CHANGE: &str = "the files have changed";

/// The time without a change after which a credentials file that was written in place may remove users.
/// A file that a program writes in two parts lacks the users of the second part in between.
const REMOVAL_STABLE: Duration = Duration::from_secs(2);

/// The time from the first read without some users until they are removed, even if the file goes on
/// changing.
const MAX_REMOVAL_DELAY: Duration = Duration::from_secs(5);

/// The watcher of a server's files, which reloads them.
#[derive(Debug)]
pub(crate) struct ConfigWatcher<'a> {
    source: Arc<ConfigSource>,
    server: ServerHandle,
    log: &'a Log,
    manager: &'a ServiceManager,
    /// The tables at start-up, for the keys that need a restart.
    started: Table,
    /// The tables in force.
    running: Table,
    /// The certificate and key in force, with their files. `None` if TLS was off at start-up.
    tls: Option<(TlsFiles, Tls)>,
    /// The secret of tickets in force, if it is that of a file.
    ticket_secrets: Option<Arc<TicketSecrets>>,
    /// The configured address of the listener.
    listen: SocketAddr,
    /// The files that the configuration currently names, valid or not.
    named: Vec<PathBuf>,
    debounce: Debounce<WatchedFiles>,
    /// The stamps of the files in force.
    applied: WatchedFiles,
    /// The removal of users that waits for a file to be complete.
    removal: Option<PendingRemoval>,
    /// The reader of the files, with a deadline.
    reader: FileReader,
    /// The last poll of the files passed its deadline.
    is_stuck: bool,
    /// The flaw of the credentials file that was logged last.
    world_accessible: Option<WorldAccessible>,
    polls: PollInterval,
    hangups: Signal,
    requests: Receiver<ReloadRequest>,
}

/// A handle by which any task requests a reload.
#[derive(Debug, Clone)]
pub(crate) struct ReloadHandle(Sender<ReloadRequest>);

/// The outcome of a reload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReloadOutcome {
    /// The number of accounts.
    pub(crate) users: usize,
    /// The configuration keys that changed and are in force.
    pub(crate) changed: Vec<String>,
    /// The configuration keys that changed and take effect after a restart.
    pub(crate) at_next_start: Vec<String>,
    /// The number of sessions that end.
    pub(crate) sessions_ended: usize,
}

/// The cause of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trigger {
    /// The files have changed. They may not be complete.
    Change,
    /// A signal or an operator, who vouches for the files.
    Request,
}

/// A removal of users that waits for [`REMOVAL_STABLE`].
#[derive(Debug)]
struct PendingRemoval {
    /// The time of the last read, which found the file changed.
    read_at: Instant,
    /// The time of the first read that lacked users.
    first_at: Instant,
}

impl PendingRemoval {
    /// Returns the removal after another read of changed files.
    fn after_read(pending: Option<Self>, now: Instant) -> Self {
        Self {
            read_at: now,
            first_at: pending.map_or(now, |pending| pending.first_at),
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        now.duration_since(self.read_at) >= REMOVAL_STABLE
            || now.duration_since(self.first_at) >= MAX_REMOVAL_DELAY
    }
}

/// A request for a reload, with the channel for its outcome.
#[derive(Debug)]
struct ReloadRequest {
    by: String,
    reply: oneshot::Sender<Result<ReloadOutcome, String>>,
}

impl ReloadHandle {
    /// Creates a handle without a server behind it.
    #[cfg(test)]
    pub(crate) fn disconnected() -> Self {
        Self(channel(1).0)
    }

    /// Requests a reload, and waits for its outcome. If the caller is cancelled, the reload may still
    /// run.
    ///
    /// # Errors
    ///
    /// The reason why nothing was reloaded.
    pub(crate) async fn reload(&self, by: String) -> Result<ReloadOutcome, String> {
        let (reply, outcome) = oneshot::channel();
        // If the server ends first, the request is dropped without an outcome.
        let _ = self.0.send(ReloadRequest { by, reply }).await;
        let ending = || Err("the server is stopping".to_owned());
        outcome.await.unwrap_or_else(|_| ending())
    }
}

/// The state of the configuration and its files at the start.
#[derive(Debug)]
pub(crate) struct StartState {
    tables: Table,
    tls: Option<(TlsFiles, Tls)>,
    ticket_secrets: Option<Arc<TicketSecrets>>,
    listen: SocketAddr,
    files: WatchedFiles,
    world_accessible: Option<WorldAccessible>,
}

impl StartState {
    /// Records the loaded configuration and the stamps of its files.
    pub(crate) fn of(loaded: &LoadedConfig, files: WatchedFiles) -> Self {
        Self {
            tables: loaded.config.to_toml(),
            tls: loaded
                .tls
                .clone()
                .map(|tls| (loaded.config.tls.clone(), tls)),
            ticket_secrets: loaded.config.ticket_secrets.clone(),
            listen: loaded.config.listen,
            files,
            world_accessible: loaded.world_accessible.clone(),
        }
    }
}

impl<'a> ConfigWatcher<'a> {
    /// Creates the watcher of a server that started with this state, and the handle for requests.
    ///
    /// # Errors
    ///
    /// The handler of SIGHUP cannot be registered.
    pub(crate) fn new(
        source: ConfigSource,
        start_state: StartState,
        server: ServerHandle,
        log: &'a Log,
        manager: &'a ServiceManager,
    ) -> io::Result<(Self, ReloadHandle)> {
        let (sender, requests) = channel(1);
        let watcher = Self {
            source: Arc::new(source),
            server,
            log,
            manager,
            started: start_state.tables.clone(),
            running: start_state.tables,
            tls: start_state.tls,
            ticket_secrets: start_state.ticket_secrets,
            listen: start_state.listen,
            named: start_state.files.named(),
            applied: start_state.files.clone(),
            debounce: Debounce::new(start_state.files),
            removal: None,
            reader: FileReader::new(READ_DEADLINE),
            is_stuck: false,
            world_accessible: start_state.world_accessible,
            polls: PollInterval::new(),
            hangups: signal(SignalKind::hangup())?,
            requests,
        };
        Ok((watcher, ReloadHandle(sender)))
    }

    /// Reloads on changes, signals and requests. Never returns.
    pub(crate) async fn run(mut self) -> Infallible {
        loop {
            let poll = self.poll_files();
            tokio::select! {
                // A poll that another branch cancels is repeated.
                files = self.polls.next(poll) => self.react(files).await,
                _ = self.hangups.recv() => {
                    // `reload` logs the outcome.
                    let _ = self.reload("SIGHUP", Trigger::Request).await;
                }
                Some(ReloadRequest { by, reply }) = self.requests.recv() => {
                    let reloaded = self.reload(&by, Trigger::Request).await;
                    // The requester may be gone.
                    let _ = reply.send(reloaded);
                }
            }
        }
    }

    /// Returns a future that reads the stamps of the files.
    fn poll_files(&self) -> impl Future<Output = Result<WatchedFiles, ReadTimeout>> + use<> {
        let (source, named) = (Arc::clone(&self.source), self.named.clone());
        self.reader.run(move || source.poll_files(&named))
    }

    /// Reloads the files after a poll, if they have changed and are complete.
    async fn react(&mut self, files: Result<WatchedFiles, ReadTimeout>) {
        let files = match files {
            Ok(files) => files,
            Err(error) => {
                self.server.note_failed_reload();
                // Logged once, until a poll succeeds.
                if !mem::replace(&mut self.is_stuck, true) {
                    audit::reload_failed("a check of the files", &error.to_string());
                }
                return;
            }
        };
        self.is_stuck = false;
        let now = Instant::now();
        let is_due = |removal: &PendingRemoval| removal.is_due(now);
        if self.debounce.changed(files, now) || self.removal.as_ref().is_some_and(is_due) {
            // `reload` logs the outcome.
            let _ = self.reload(CHANGE, Trigger::Change).await;
        }
    }

    /// Returns true if users are missing in a credentials file that may not be complete.
    fn must_wait(&mut self, files: &WatchedFiles, loaded: &LoadedConfig) -> bool {
        let path = &loaded.config.credentials;
        let removed = self.server.count_removed_users(&loaded.accounts);
        if removed == 0 || !files.is_written_in_place(path, &self.applied) {
            return false;
        }
        let now = Instant::now();
        if self.removal.as_ref().is_some_and(|it| it.is_due(now)) {
            return false;
        }
        self.removal = Some(PendingRemoval::after_read(self.removal.take(), now));
        debug!(
            removed,
            "users are missing in the credentials file; waiting until it is complete"
        );
        true
    }

    async fn reload(&mut self, cause: &str, trigger: Trigger) -> Result<ReloadOutcome, String> {
        self.manager.reloading();
        let (source, named) = (Arc::clone(&self.source), self.named.clone());
        let (files, read) = match self.reader.run(move || source.load(&named)).await {
            Ok(read) => read,
            Err(error) => return Err(self.fail(cause, &error.into())),
        };
        // Valid or not, this state of the files is not reloaded again at the next poll.
        self.named = files.named();
        self.debounce.act_on(files.clone());
        if let Ok(loaded) = &read
            && trigger == Trigger::Change
            && self.must_wait(&files, loaded)
        {
            self.manager.ready(self.server.count_users());
            return Err("users are missing".to_owned());
        }
        self.removal = None;
        let read = read.and_then(|loaded| {
            self.source.check_exposure(self.listen, &loaded)?;
            Ok(loaded)
        });
        match read {
            Ok(loaded) => {
                self.applied = files;
                let outcome = self.apply(loaded, cause);
                // Revocations may have lapsed.
                if let Some(Err(error)) = self.server.save_revocations().await {
                    warn!("{error}; a restart may restore a revocation that has lapsed");
                }
                Ok(outcome)
            }
            Err(problem) => Err(self.fail(cause, &problem.into())),
        }
    }

    /// Counts and logs a failed reload. Returns its error with all causes, as at the start.
    fn fail(&self, cause: &str, problem: &anyhow::Error) -> String {
        let error = format!("{problem:#}");
        self.server.note_failed_reload();
        audit::reload_failed(cause, &error);
        self.manager.not_reloaded(&Escaped(&error));
        error
    }

    fn apply(&mut self, loaded: LoadedConfig, cause: &str) -> ReloadOutcome {
        let LoadedConfig {
            config,
            accounts,
            tls,
            world_accessible,
        } = loaded;
        if let Some(error) = undefined_route_user(&config, &accounts) {
            warn!("{error}; the server would not start with this configuration");
        }
        // Logged once, not at each reload.
        if world_accessible != self.world_accessible {
            if let Some(flaw) = &world_accessible {
                warn!("{}", Escaped(&flaw.to_string()));
            }
            self.world_accessible = world_accessible;
        }
        let next = config.to_toml();
        let mut changed = changed_live(&self.running, &next);
        changed.extend(self.replace_tls(tls.map(|tls| (config.tls.clone(), tls))));
        let at_next_start = changed_at_start(&self.started, &next);
        // Of the file at the start: another one takes effect at the next start.
        let has_same_file = !at_next_start.iter().any(|key| key == TICKET_SECRET_FILE);
        if has_same_file && self.ticket_secrets != config.ticket_secrets {
            self.ticket_secrets.clone_from(&config.ticket_secrets);
            changed.push(TICKET_SECRET_FILE.to_owned());
        }
        changed.sort();
        self.running = next;
        let (level, users) = (config.log_level, accounts.users().len());
        let sessions_ended = self.server.reload(config, accounts);
        let keys = (!changed.is_empty()).then(|| changed.join(", "));
        audit::reloaded(cause, users, keys.as_deref(), sessions_ended);
        if !at_next_start.is_empty() {
            let keys = at_next_start.join(", ");
            warn!(keys, "changed keys take effect after a restart");
        }
        self.log.set_level(level);
        self.manager.ready(users);
        ReloadOutcome {
            users,
            changed,
            at_next_start,
            sessions_ended,
        }
    }

    /// Uses the new certificate and key for new connections, if TLS was on at start-up and still is.
    /// Returns the configuration keys whose value or file content changed.
    fn replace_tls(&mut self, next: Option<(TlsFiles, Tls)>) -> Vec<String> {
        let (Some((files, tls)), Some((next_files, next_tls))) = (&self.tls, next) else {
            return Vec::new();
        };
        let mut changed = Vec::new();
        if files.certificate != next_files.certificate || !tls.has_certificate_of(&next_tls) {
            changed.push("tls.certificate".to_owned());
        }
        if files.private_key != next_files.private_key || !tls.has_private_key_of(&next_tls) {
            changed.push("tls.private_key".to_owned());
        }
        // Replaced only if changed: otherwise clients can resume their TLS sessions.
        if let Some(flaw) = next_tls.flaw() {
            warn!("{flaw}");
        }
        if !changed.is_empty() {
            self.server.replace_tls(next_tls.clone());
            self.tls = Some((next_files, next_tls));
        }
        changed
    }
}

/// The timer of the polls. Two polls are [`POLL_INTERVAL`] apart, however long the first one takes.
#[derive(Debug)]
struct PollInterval(Interval);

impl PollInterval {
    fn new() -> Self {
        let mut polls = interval(POLL_INTERVAL);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self(polls)
    }

    /// Waits for the next poll, runs it, and returns its result.
    async fn next<T>(&mut self, poll: impl Future<Output = T>) -> T {
        self.0.tick().await;
        let seen = poll.await;
        self.0.reset();
        seen
    }
}

/// A debounce: it reports a change once two polls in a row agree, or after [`MAX_UNSTABLE`].
#[derive(Debug)]
struct Debounce<T> {
    acted_on: T,
    last: T,
    /// The time of the first poll that saw a change that is not acted on.
    changed_at: Option<Instant>,
}

impl<T: PartialEq + Clone> Debounce<T> {
    fn new(acted_on: T) -> Self {
        Self {
            last: acted_on.clone(),
            acted_on,
            changed_at: None,
        }
    }

    /// Returns true if this state was not acted on, and equals the last one or has been changing for
    /// [`MAX_UNSTABLE`]. It counts as acted on from then on.
    fn changed(&mut self, state: T, now: Instant) -> bool {
        let is_stable = state == self.last;
        self.last.clone_from(&state);
        if state == self.acted_on {
            self.changed_at = None;
            return false;
        }
        let changed_at = *self.changed_at.get_or_insert(now);
        let changed = is_stable || now.duration_since(changed_at) >= MAX_UNSTABLE;
        if changed {
            self.act_on(state);
        }
        changed
    }

    /// Records a state as acted on.
    fn act_on(&mut self, state: T) {
        self.acted_on = state;
        self.changed_at = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::{Debounce, MAX_UNSTABLE, POLL_INTERVAL, PendingRemoval, PollInterval};

    /// On a busy machine a poll takes long. A second poll right after it would see a file that is still
    /// being written unchanged.
    #[tokio::test(start_paused = true)]
    async fn polls_are_an_interval_apart_after_slow_poll() {
        let mut polls = PollInterval::new();
        let mut last = None;
        for milliseconds in [0, 240, 0, 240, 1000, 0] {
            let poll = async {
                sleep(Duration::from_millis(milliseconds)).await;
                Instant::now()
            };
            let seen = polls.next(poll).await;
            if let Some(last) = last.replace(seen) {
                let apart = seen - last;
                assert!(apart >= POLL_INTERVAL, "{apart:?}");
            }
        }
    }

    #[test]
    fn removal_waits_for_stable_file_up_to_maximum() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let removal = PendingRemoval::after_read(None, start);
        assert!(!removal.is_due(at(1900)));
        assert!(removal.is_due(at(2000)));
        let mut removal = removal;
        for changed_at in [1000, 2000, 3000, 4000] {
            removal = PendingRemoval::after_read(Some(removal), at(changed_at));
            assert!(!removal.is_due(at(changed_at + 900)));
        }
        assert!(removal.is_due(at(5000)));
    }

    /// Returns the indices of the polls that report a change.
    fn acts(polls: &[u32]) -> Vec<usize> {
        let mut debounce = Debounce::new(0);
        let mut now = Instant::now();
        let acts = polls.iter().enumerate();
        acts.filter(|(_, seen)| {
            now += POLL_INTERVAL;
            debounce.changed(**seen, now)
        })
        .map(|(index, _)| index)
        .collect()
    }

    /// Former fault: while a file was touched every 100 ms, no reload and no revocation took place.
    #[test]
    fn change_reported_while_files_go_on_changing() {
        assert!(2 * POLL_INTERVAL + MAX_UNSTABLE <= Duration::from_secs(1));
        assert_eq!(acts(&[0, 1, 2, 3, 4, 5, 6, 7, 8]), [3, 6]);
        assert_eq!(acts(&[1, 2, 1, 2, 2, 2]), [2, 4]);
        // Back to the state in force: the next change has its full time.
        assert_eq!(acts(&[1, 0, 2, 3, 4]), [4]);
    }

    #[test]
    fn change_reported_once_when_stable() {
        assert_eq!(acts(&[0, 0, 0]), [0; 0]);
        assert_eq!(acts(&[0, 1, 1, 1, 1]), [2]);
        assert_eq!(acts(&[1, 2, 2, 2]), [2]);
        assert_eq!(acts(&[1, 1, 2, 2]), [1, 3]);
        // Reverted before it was reported.
        assert_eq!(acts(&[0, 1, 0, 0]), [0; 0]);
        assert_eq!(acts(&[1, 1, 0, 0]), [1, 3]);
    }

    #[test]
    fn state_acted_on_is_not_reported() {
        let mut debounce = Debounce::new(0);
        let now = Instant::now();
        assert!(!debounce.changed(1, now));
        debounce.act_on(1);
        assert!(!debounce.changed(1, now));
        assert!(!debounce.changed(2, now));
        assert!(debounce.changed(2, now));
    }
}
