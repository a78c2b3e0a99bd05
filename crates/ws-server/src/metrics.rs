//! Metrics in the Prometheus text format.
//!
//! This module counts events. `server/scrape.rs` reads current states, and counters that other modules
//! keep, at each scrape. No label has a user name, an address or any other text of a client, so the
//! number of time series is bounded. Routes are named as the configuration does.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::StatusCode;
use prometheus_client::{
    collector::Collector,
    encoding::prometheus_text,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use proto::close::{CloseCode, CloseReason};

use crate::{
    access::{LoginFailure, LoginMethod, PathPattern},
    websocket::Ended,
};

/// The media type of the output of [`Metrics::encode`].
pub(crate) const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// The prefix of the names of this server's metrics.
const PREFIX: &str = "ws_server";

/// The upper bounds of the histogram of connect times, in seconds.
const CONNECT_BUCKETS: [f64; 7] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.0, 10.0];

type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];

/// The event counters since the start.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    tls_handshakes: Family<Labels<1>, Counter>,
    handshakes: Family<Labels<1>, Counter>,
    logins: Family<Labels<2>, Counter>,
    tickets_issued: Counter,
    budget_refusals: Counter,
    revocations: Family<Labels<1>, Counter>,
    closes: Family<Labels<2>, Counter>,
    upstreams: Family<Labels<2>, Counter>,
    connect_times: Family<Labels<1>, Histogram, fn() -> Histogram>,
    reloads: Family<Labels<1>, Counter>,
    last_reload: Gauge,
}

/// The result of a TLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsResult {
    /// The handshake succeeded.
    Ok,
    /// No common TLS version or cipher suite, a certificate that the client rejected, or a lost
    /// connection.
    Failed,
    /// The deadline passed.
    Late,
}

impl TlsResult {
    const ALL: [Self; 3] = [Self::Ok, Self::Failed, Self::Late];

    fn labels(self) -> Labels<1> {
        let result = match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Late => "late",
        };
        [("result", result.into())]
    }
}

/// The result of an opening handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandshakeEnd {
    /// The server sent a response with this status.
    Answered(StatusCode),
    /// No complete request arrived before the deadline, or the TLS handshake failed.
    Unanswered,
}

/// The result of a service's connection to its upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectResult {
    /// The upstream is connected.
    Ok,
    /// The upstream cannot be reached, or refused.
    Unavailable,
    /// The deadline passed.
    TimedOut,
    /// The path names no backend.
    NotFound,
    /// The service has as many sessions as it allows.
    Full,
}

impl ConnectResult {
    const ALL: [Self; 5] = [
        Self::Ok,
        Self::Unavailable,
        Self::TimedOut,
        Self::NotFound,
        Self::Full,
    ];

    fn labels(self, route: &PathPattern) -> Labels<2> {
        let result = match self {
            Self::Ok => "ok",
            Self::Unavailable => "unavailable",
            Self::TimedOut => "timed_out",
            Self::NotFound => "not_found",
            Self::Full => "full",
        };
        [
            ("route", route.to_string().into()),
            ("result", result.into()),
        ]
    }
}

/// The result of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReloadResult {
    /// The new configuration is in force.
    Ok,
    /// The files are invalid, and nothing has changed.
    Failed,
}

impl ReloadResult {
    const ALL: [Self; 2] = [Self::Ok, Self::Failed];

    fn labels(self) -> Labels<1> {
        let result = match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
        };
        [("result", result.into())]
    }
}

impl Metrics {
    /// Registers all metrics, with counters at zero.
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            tls_handshakes: Family::default(),
            handshakes: Family::default(),
            logins: Family::default(),
            tickets_issued: Counter::default(),
            budget_refusals: Counter::default(),
            revocations: Family::default(),
            closes: Family::default(),
            upstreams: Family::default(),
            connect_times: Family::new_with_constructor(|| Histogram::new(CONNECT_BUCKETS)),
            reloads: Family::default(),
            last_reload: Gauge::default(),
        };
        let now = timestamp(SystemTime::now());
        let started: Gauge = Gauge::default();
        started.set(now);
        metrics.registry.register_with_unit(
            "process_start_time",
            "Start time of the process since the Unix epoch",
            Unit::Seconds,
            started,
        );
        let ours = metrics.registry.sub_registry_with_prefix(PREFIX);
        let build: Family<Labels<1>, Gauge> = Family::default();
        let version = [("version", env!("CARGO_PKG_VERSION").into())];
        build.get_or_create(&version).set(1);
        ours.register("build_info", "Version of the server", build);
        ours.register(
            "tls_handshakes",
            "TLS handshakes, by result; a certificate that the client rejects counts as failed",
            metrics.tls_handshakes.clone(),
        );
        ours.register(
            "handshakes",
            "Connections, by status of the HTTP response; none if no complete request arrived",
            metrics.handshakes.clone(),
        );
        ours.register(
            "logins",
            "Login attempts, by method and result",
            metrics.logins.clone(),
        );
        ours.register(
            "tickets_issued",
            "Tickets issued, by which users log in again without a password",
            metrics.tickets_issued.clone(),
        );
        ours.register(
            "budget_refusals",
            "Logins and handshakes refused because the failure budget of the address was exhausted",
            metrics.budget_refusals.clone(),
        );
        ours.register(
            "revocations",
            "Sessions closed because the login or the access to the route was revoked, by cause",
            metrics.revocations.clone(),
        );
        ours.register(
            "closes",
            "Closed WebSocket connections, by close code and closing side; none if the connection was lost",
            metrics.closes.clone(),
        );
        ours.register(
            "upstream_connections",
            "Connections of services to their upstreams, by route and result",
            metrics.upstreams.clone(),
        );
        ours.register_with_unit(
            "upstream_connect",
            "Time of successful connections to upstreams, by route",
            Unit::Seconds,
            metrics.connect_times.clone(),
        );
        ours.register(
            "reloads",
            "Reloads of the configuration and the accounts, by result",
            metrics.reloads.clone(),
        );
        ours.register_with_unit(
            "last_reload_success_timestamp",
            "Time of the last successful reload since the Unix epoch",
            Unit::Seconds,
            metrics.last_reload.clone(),
        );
        metrics.create_series();
        metrics.last_reload.set(now);
        metrics
    }

    /// Creates the series at zero, so that `rate` and `increase` see the first event.
    fn create_series(&self) {
        for method in LoginMethod::ALL {
            for failure in LoginFailure::ALL.map(Some).into_iter().chain([None]) {
                drop(self.logins.get_or_create(&login_labels(method, failure)));
            }
        }
        for result in TlsResult::ALL {
            drop(self.tls_handshakes.get_or_create(&result.labels()));
        }
        for result in ReloadResult::ALL {
            drop(self.reloads.get_or_create(&result.labels()));
        }
        for cause in CloseReason::ALL.into_iter().filter_map(revocation) {
            let labels = [("cause", cause.into())];
            drop(self.revocations.get_or_create(&labels));
        }
    }

    /// Counts a TLS handshake.
    pub(crate) fn tls_handshake(&self, result: TlsResult) {
        self.tls_handshakes.get_or_create(&result.labels()).inc();
    }

    /// Counts an opening handshake.
    pub(crate) fn handshake(&self, end: HandshakeEnd) {
        let status = match end {
            HandshakeEnd::Answered(status) => {
                if status == StatusCode::TOO_MANY_REQUESTS {
                    self.budget_refusals.inc();
                }
                Cow::Owned(status.as_str().to_owned())
            }
            HandshakeEnd::Unanswered => Cow::Borrowed("none"),
        };
        self.handshakes.get_or_create(&[("status", status)]).inc();
    }

    /// Counts a login attempt.
    pub(crate) fn login(&self, method: LoginMethod, failure: Option<LoginFailure>) {
        self.logins
            .get_or_create(&login_labels(method, failure))
            .inc();
    }

    /// Counts a ticket.
    pub(crate) fn ticket_issued(&self) {
        self.tickets_issued.inc();
    }

    /// Counts a closed WebSocket.
    pub(crate) fn closed(&self, ended: &Ended) {
        let (code, side) = match ended {
            Ended::ByUs(reason) => (Some(reason.code()), "server"),
            Ended::ByService { code, .. } => (Some(*code), "server"),
            Ended::ByPeer { code, .. } => (Some(*code), "client"),
            Ended::Lost => (None, "none"),
        };
        let code = match code {
            Some(code) if code.is_in_table() => Cow::Owned(code.to_string()),
            // A client may send thousands of different codes.
            Some(CloseCode(_)) => Cow::Borrowed("other"),
            None => Cow::Borrowed("none"),
        };
        self.closes
            .get_or_create(&[("code", code), ("side", side.into())])
            .inc();
        if *ended == Ended::ByUs(CloseReason::TooManyFailures) {
            self.budget_refusals.inc();
        }
        if let Ended::ByUs(reason) = ended
            && let Some(cause) = revocation(*reason)
        {
            self.revocations
                .get_or_create(&[("cause", cause.into())])
                .inc();
        }
    }

    /// Creates the series of a route whose service connects an upstream.
    pub(crate) fn add_upstream(&self, route: &PathPattern) {
        for result in ConnectResult::ALL {
            drop(self.upstreams.get_or_create(&result.labels(route)));
        }
        let labels = [("route", route.to_string().into())];
        drop(self.connect_times.get_or_create(&labels));
    }

    /// Counts a connection of a service to its upstream, which took this long.
    pub(crate) fn upstream_connected(
        &self,
        route: &PathPattern,
        result: ConnectResult,
        time: Duration,
    ) {
        self.upstreams.get_or_create(&result.labels(route)).inc();
        if result == ConnectResult::Ok {
            let labels = [("route", route.to_string().into())];
            let times = self.connect_times.get_or_create(&labels);
            times.observe(time.as_secs_f64());
        }
    }

    /// Counts a reload.
    pub(crate) fn reloaded(&self, result: ReloadResult) {
        self.reloads.get_or_create(&result.labels()).inc();
        match result {
            ReloadResult::Ok => {
                self.last_reload.set(timestamp(SystemTime::now()));
            }
            ReloadResult::Failed => {}
        }
    }

    /// Encodes all metrics in the Prometheus text format 0.0.4.
    pub(crate) fn encode(&self, at_scrape: impl Collector) -> String {
        let mut now = Registry::with_prefix(PREFIX);
        now.register_collector(Box::new(at_scrape));
        let mut text = String::new();
        for registry in [&self.registry, &now] {
            prometheus_text::encode(&mut text, registry)
                .expect("writing to a String does not fail");
        }
        text
    }
}

fn login_labels(method: LoginMethod, failure: Option<LoginFailure>) -> Labels<2> {
    let result = failure.map_or("ok", LoginFailure::name);
    [("method", method.name().into()), ("result", result.into())]
}

/// Returns the label for a reason that is a revocation.
fn revocation(reason: CloseReason) -> Option<&'static str> {
    match reason {
        CloseReason::UserRemoved => Some("user_removed"),
        CloseReason::PasswordChanged => Some("password_changed"),
        CloseReason::AccountExpired => Some("account_expired"),
        CloseReason::AccessRevoked => Some("right_taken"),
        CloseReason::LoginRevoked => Some("operator"),
        CloseReason::UserExit
        | CloseReason::StreamEnded
        | CloseReason::ShuttingDown { .. }
        | CloseReason::Restarting { .. }
        | CloseReason::Idle
        | CloseReason::ProtocolError
        | CloseReason::InvalidUtf8
        | CloseReason::TextOnly
        | CloseReason::BinaryOnly
        | CloseReason::TooManyControlFrames
        | CloseReason::Kicked
        | CloseReason::MessageTooBig
        | CloseReason::LoginTooLarge
        | CloseReason::Internal
        | CloseReason::KeepaliveTimeout
        | CloseReason::UpstreamUnavailable
        | CloseReason::UpstreamLost
        | CloseReason::UpstreamStalled
        | CloseReason::SlowReader
        | CloseReason::BuffersFull
        | CloseReason::ServiceFull
        | CloseReason::TooManyFailures
        | CloseReason::TooManyLogins { .. }
        | CloseReason::TooManyAttempts
        | CloseReason::Forbidden
        | CloseReason::LoginTimeout => None,
    }
}

/// Returns a time in whole seconds since the Unix epoch, as Prometheus expects it.
pub(crate) fn timestamp(time: SystemTime) -> i64 {
    // A clock before the epoch yields zero.
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
