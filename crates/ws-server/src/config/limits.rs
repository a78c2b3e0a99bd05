//! What bounds each connection, and all of them together.

use std::{fmt, num::NonZeroUsize, time::Duration};

use proto::{
    config::{Count, Limit, Size, TimeSpan, TomlError},
    message::MAX_CREDENTIALS_BYTES,
};

use super::raw::RawLimits;
use crate::limits::{Caps, Limits};

/// The longest message where nothing else is configured.
const DEFAULT_MESSAGE_BYTES: usize = 1 << 20;

/// The longest message that can be configured: a connection may hold several of that length.
const MAX_MESSAGE_BYTES: usize = 1 << 30;

/// Checks the limits that a file sets, whose text is given for the sake of errors, and fills
/// in the others.
pub(super) fn resolve(raw: &RawLimits, source: &str) -> Result<Limits, TomlError> {
    let max_message_bytes = max_message_bytes(raw.max_message_bytes, DEFAULT_MESSAGE_BYTES)
        .map_err(|problem| TomlError::at_key(source, "limits.max_message_bytes", problem))?;
    let connections = raw.max_connections.map_or(10_000, |count| count.0.get());
    let unauthenticated = match raw.max_unauthenticated {
        Some(count) if count.0.get() > connections => {
            let problem = format!("write at most {connections}, which is max_connections");
            return Err(TomlError::at_key(
                source,
                "limits.max_unauthenticated",
                problem,
            ));
        }
        Some(count) => count.0.get(),
        None => connections.min(1000),
    };
    Ok(Limits {
        handshake_deadline: span(raw.handshake_deadline, 10),
        ping_interval: optional_span(raw.ping_interval, Some(20)),
        ping_timeout: span(raw.ping_timeout, 20),
        idle_timeout: optional_span(raw.idle_timeout, None),
        write_deadline: span(raw.write_deadline, 30),
        close_deadline: span(raw.close_deadline, 5),
        drain_deadline: span(raw.drain_deadline, 10),
        max_message_bytes,
        control_frames_per_second: match raw.max_control_frames_per_second {
            Some(limit) => limit.value().map(|count| count.0),
            None => NonZeroUsize::new(100),
        },
        caps: Caps {
            connections,
            unauthenticated,
            unauthenticated_per_address: optional_count(
                raw.max_unauthenticated_per_address,
                Some(64),
            ),
            connections_per_address: optional_count(raw.max_connections_per_address, None),
        },
    })
}

/// Writes the section `[limits]` of a configuration file.
pub(super) fn write(limits: &Limits, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let span = TimeSpan;
    let optional_span = |span: Option<Duration>| limit(span.map(TimeSpan));
    let count = |count: usize| limit(NonZeroUsize::new(count).map(Count));
    let optional_count = |count: Option<usize>| limit(count.and_then(NonZeroUsize::new));
    let size = |bytes: usize| limit(NonZeroUsize::new(bytes).map(Size));
    let caps = &limits.caps;
    writeln!(
        f,
        "handshake_deadline = {}",
        span(limits.handshake_deadline)
    )?;
    writeln!(f, "ping_interval = {}", optional_span(limits.ping_interval))?;
    writeln!(f, "ping_timeout = {}", span(limits.ping_timeout))?;
    writeln!(f, "idle_timeout = {}", optional_span(limits.idle_timeout))?;
    writeln!(f, "write_deadline = {}", span(limits.write_deadline))?;
    writeln!(f, "close_deadline = {}", span(limits.close_deadline))?;
    writeln!(f, "drain_deadline = {}", span(limits.drain_deadline))?;
    writeln!(f, "max_message_bytes = {}", size(limits.max_message_bytes))?;
    let control_frames = limit(limits.control_frames_per_second);
    writeln!(f, "max_control_frames_per_second = {control_frames}")?;
    writeln!(f, "max_connections = {}", count(caps.connections))?;
    writeln!(f, "max_unauthenticated = {}", count(caps.unauthenticated))?;
    let per_address = optional_count(caps.unauthenticated_per_address);
    writeln!(f, "max_unauthenticated_per_address = {per_address}")?;
    let per_address = optional_count(caps.connections_per_address);
    writeln!(f, "max_connections_per_address = {per_address}")
}

/// The longest message that is configured somewhere, or what holds where nothing is; or what is
/// wrong with it.
pub(super) fn max_message_bytes(raw: Option<Size>, default: usize) -> Result<usize, &'static str> {
    match raw.map_or(default, |size| size.0.get()) {
        ..MAX_CREDENTIALS_BYTES => Err("write at least \"1KiB\", which a login may need"),
        bytes @ MAX_CREDENTIALS_BYTES..=MAX_MESSAGE_BYTES => Ok(bytes),
        _ => Err("write at most \"1GiB\": a connection may hold several messages"),
    }
}

fn span(raw: Option<TimeSpan>, default_seconds: u64) -> Duration {
    raw.map_or(Duration::from_secs(default_seconds), |span| span.0)
}

fn optional_span(raw: Option<Limit<TimeSpan>>, default_seconds: Option<u64>) -> Option<Duration> {
    match raw {
        Some(limit) => limit.value().map(|span| span.0),
        None => default_seconds.map(Duration::from_secs),
    }
}

fn optional_count(raw: Option<Limit<Count>>, default: Option<usize>) -> Option<usize> {
    match raw {
        Some(limit) => limit.value().map(|count| count.0.get()),
        None => default,
    }
}

fn limit<T>(value: Option<T>) -> Limit<T> {
    value.map_or(Limit::Off, Limit::At)
}
