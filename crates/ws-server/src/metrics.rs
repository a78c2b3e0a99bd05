//! What an operator counts and watches, in the text format that Prometheus scrapes.
//!
//! What happens is counted when it happens. What there is at a moment, and what is counted elsewhere
//! anyway, is read by `server/scrape.rs` at each scrape. No label holds a name or an address, or any
//! other text of a peer: the number of time series has a bound.

use std::{
    borrow::Cow,
    time::{SystemTime, UNIX_EPOCH},
};

use http::StatusCode;
use prometheus_client::{
    collector::Collector,
    encoding::prometheus_text,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};
use proto::close::{CloseCode, CloseReason};

use crate::{
    access::{LoginFailure, LoginMethod},
    websocket::Ended,
};

/// The media type of what [`Metrics::encode`] writes.
pub(crate) const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// What stands before the name of each metric that is ours.
const PREFIX: &str = "ws_server";

type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];

/// What has happened since the start.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    tls_handshakes: Family<Labels<1>, Counter>,
    handshakes: Family<Labels<1>, Counter>,
    logins: Family<Labels<2>, Counter>,
    budget_refusals: Counter,
    revocations: Family<Labels<1>, Counter>,
    closes: Family<Labels<2>, Counter>,
    reloads: Family<Labels<1>, Counter>,
    last_reload: Gauge,
}

/// How a handshake of TLS came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsResult {
    /// The connection is encrypted.
    Ok,
    /// The client does not speak TLS as we do, does not take our certificate, or has gone.
    Failed,
    /// It took too long.
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

/// How a handshake came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandshakeEnd {
    /// It was answered.
    Answered(StatusCode),
    /// No whole request came, or none in time, be it for want of TLS.
    Unanswered,
}

/// How a reload went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReloadResult {
    /// What the files say holds now.
    Ok,
    /// The files cannot be used, and nothing has changed.
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
    /// Nothing has happened yet.
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            tls_handshakes: Family::default(),
            handshakes: Family::default(),
            logins: Family::default(),
            budget_refusals: Counter::default(),
            revocations: Family::default(),
            closes: Family::default(),
            reloads: Family::default(),
            last_reload: Gauge::default(),
        };
        let now = timestamp(SystemTime::now());
        let started: Gauge = Gauge::default();
        started.set(now);
        metrics.registry.register_with_unit(
            "process_start_time",
            "When the process was started, since the epoch",
            Unit::Seconds,
            started,
        );
        let ours = metrics.registry.sub_registry_with_prefix(PREFIX);
        let build: Family<Labels<1>, Gauge> = Family::default();
        let version = [("version", env!("CARGO_PKG_VERSION").into())];
        build.get_or_create(&version).set(1);
        ours.register("build_info", "The version that runs", build);
        ours.register(
            "tls_handshakes",
            "Handshakes of TLS, by result; a client that does not take the certificate has failed",
            metrics.tls_handshakes.clone(),
        );
        ours.register(
            "handshakes",
            "Connections, by the status that answered their request; none without a whole request",
            metrics.handshakes.clone(),
        );
        ours.register(
            "logins",
            "Tries to log in, by the way they came and by what they came to",
            metrics.logins.clone(),
        );
        ours.register(
            "budget_refusals",
            "Logins and handshakes refused because too many logins from their address were wrong",
            metrics.budget_refusals.clone(),
        );
        ours.register(
            "revocations",
            "Sessions that ended because their right to be there was taken away, by cause",
            metrics.revocations.clone(),
        );
        ours.register(
            "closes",
            "Ends of WebSockets, by close code and by the side that closed; none if it was lost",
            metrics.closes.clone(),
        );
        ours.register(
            "reloads",
            "How often the files were read again, by result",
            metrics.reloads.clone(),
        );
        ours.register_with_unit(
            "last_reload_success_timestamp",
            "When the files were last read and could be used, since the epoch",
            Unit::Seconds,
            metrics.last_reload.clone(),
        );
        // Series that are there from the start can be seen to begin to rise.
        for method in LoginMethod::ALL {
            for failure in LoginFailure::ALL.map(Some).into_iter().chain([None]) {
                drop(metrics.logins.get_or_create(&login_labels(method, failure)));
            }
        }
        for result in TlsResult::ALL {
            drop(metrics.tls_handshakes.get_or_create(&result.labels()));
        }
        for result in ReloadResult::ALL {
            drop(metrics.reloads.get_or_create(&result.labels()));
        }
        for cause in CloseReason::ALL.into_iter().filter_map(revocation) {
            let labels = [("cause", cause.into())];
            drop(metrics.revocations.get_or_create(&labels));
        }
        metrics.last_reload.set(now);
        metrics
    }

    /// A handshake of TLS has come to its end.
    pub(crate) fn tls_handshake(&self, result: TlsResult) {
        self.tls_handshakes.get_or_create(&result.labels()).inc();
    }

    /// A handshake has come to its end.
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

    /// Somebody has tried to log in, and failed by this if it was not right.
    pub(crate) fn login(&self, method: LoginMethod, failure: Option<LoginFailure>) {
        self.logins
            .get_or_create(&login_labels(method, failure))
            .inc();
    }

    /// A WebSocket has come to its end.
    pub(crate) fn closed(&self, ended: &Ended) {
        let (code, side) = match ended {
            Ended::ByUs(reason) => (Some(reason.code()), "server"),
            Ended::ByPeer { code, .. } => (Some(*code), "client"),
            Ended::Lost => (None, "none"),
        };
        let code = match code {
            Some(code) if code.is_in_table() => Cow::Owned(code.to_string()),
            // A client may choose among thousands.
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

    /// The files were read again.
    pub(crate) fn reloaded(&self, result: ReloadResult) {
        self.reloads.get_or_create(&result.labels()).inc();
        match result {
            ReloadResult::Ok => {
                self.last_reload.set(timestamp(SystemTime::now()));
            }
            ReloadResult::Failed => {}
        }
    }

    /// Everything, as Prometheus reads it (text format 0.0.4).
    pub(crate) fn encode(&self, at_scrape: impl Collector) -> String {
        let mut now = Registry::with_prefix(PREFIX);
        now.register_collector(Box::new(at_scrape));
        let mut text = String::new();
        for registry in [&self.registry, &now] {
            prometheus_text::encode(&mut text, registry)
                .expect("a String takes all that is written");
        }
        text
    }
}

fn login_labels(method: LoginMethod, failure: Option<LoginFailure>) -> Labels<2> {
    let result = failure.map_or("ok", LoginFailure::name);
    [("method", method.name().into()), ("result", result.into())]
}

/// What a reason is called as the cause of a revocation, if it is one.
fn revocation(reason: CloseReason) -> Option<&'static str> {
    match reason {
        CloseReason::UserRemoved => Some("user_removed"),
        CloseReason::PasswordChanged => Some("password_changed"),
        CloseReason::AccountExpired => Some("account_expired"),
        CloseReason::AccessRevoked => Some("right_taken"),
        CloseReason::LoginRevoked => Some("operator"),
        CloseReason::UserExit
        | CloseReason::ShuttingDown
        | CloseReason::Idle
        | CloseReason::ProtocolError
        | CloseReason::InvalidUtf8
        | CloseReason::TextOnly
        | CloseReason::TooManyControlFrames
        | CloseReason::Kicked
        | CloseReason::MessageTooBig
        | CloseReason::LoginTooLarge
        | CloseReason::Internal
        | CloseReason::KeepaliveTimeout
        | CloseReason::SlowReader
        | CloseReason::TooManyFailures
        | CloseReason::TooManyLogins
        | CloseReason::TooManyAttempts
        | CloseReason::Forbidden
        | CloseReason::LoginTimeout => None,
    }
}

/// Returns a time as Prometheus writes it: whole seconds since the epoch.
pub(crate) fn timestamp(time: SystemTime) -> i64 {
    // A clock that stands before the epoch is not worth a metric that says so.
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
