//! The routes, as `[[route]]` writes them.

use std::{collections::BTreeSet, fmt, num::NonZeroUsize, sync::Arc};

use proto::{
    config::{Count, Limit, Size, TomlError, quoted},
    username::UserName,
};
use serde::Deserialize;
use toml::Spanned;

use super::{allowed_origins, limits::max_message_bytes, list, subprotocols};
use crate::{
    access::{Access, Pattern},
    registry::{OutboxPolicy, WhenFull},
    route::{Route, Routes},
    service::{Echo, Format, Keep, Presence, Room, Service},
};

/// How much of a conversation those who come later are told, where nothing else is configured.
const KEPT_TEXTS: usize = 20;
const KEPT_BYTES: usize = 16 * 1024;

/// How much may wait for a member that reads slowly, where nothing else is configured.
const QUEUED_TEXTS: NonZeroUsize = NonZeroUsize::new(256).unwrap();
const QUEUED_BYTES: NonZeroUsize = NonZeroUsize::new(1024 * 1024).unwrap();

/// One `[[route]]`. Which of the keys of services may be there depends on the service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRoute {
    path: Spanned<String>,
    service: Spanned<String>,
    users: Option<Spanned<Vec<String>>>,
    public: Option<Spanned<bool>>,
    allowed_origins: Option<Spanned<Vec<String>>>,
    subprotocols: Option<Spanned<Vec<String>>>,
    max_message_bytes: Option<Spanned<Size>>,
    prefix: Option<Spanned<String>>,
    format: Option<Spanned<String>>,
    presence: Option<Spanned<bool>>,
    history: Option<Spanned<Limit<Count>>>,
    history_bytes: Option<Spanned<Size>>,
    max_queued: Option<Spanned<Count>>,
    max_queued_bytes: Option<Spanned<Size>>,
    when_full: Option<Spanned<String>>,
}

/// The document that errors are about.
#[derive(Clone, Copy)]
struct Document<'a>(&'a str);

impl Document<'_> {
    /// What is read of a key, if it is there and right.
    fn read<T, R, E: ToString>(
        self,
        key: Option<&Spanned<T>>,
        read: impl FnOnce(&T) -> Result<R, E>,
    ) -> Result<Option<R>, TomlError> {
        let read = |key: &Spanned<T>| {
            read(key.get_ref()).map_err(|problem| self.error(key, problem.to_string()))
        };
        key.map(read).transpose()
    }

    fn error<T>(self, at: &Spanned<T>, problem: impl Into<String>) -> TomlError {
        TomlError::at_byte(self.0, at.span().start, problem)
    }
}

/// Reads all routes of a file. Without any, there is the echo of the tutorial. `prefix` is what an
/// echo puts before its answers where its route does not say it.
pub(super) fn routes(source: &str, raw: &[RawRoute], prefix: &str) -> Result<Routes, TomlError> {
    if raw.is_empty() {
        return Ok(Routes::echo(prefix));
    }
    let document = Document(source);
    let routes = raw.iter().map(|raw| raw.resolve(document, prefix));
    Routes::new(routes.collect::<Result<_, _>>()?)
        .map_err(|(index, error)| document.error(&raw[index].path, error.to_string()))
}

impl RawRoute {
    fn resolve(&self, document: Document<'_>, prefix: &str) -> Result<Route, TomlError> {
        let pattern = Pattern::parse(self.path.get_ref())
            .map_err(|error| document.error(&self.path, error.to_string()))?;
        Ok(Route {
            pattern: Arc::new(pattern),
            access: self.access(document)?,
            allowed_origins: document.read(self.allowed_origins.as_ref(), |origins| {
                allowed_origins(origins)
            })?,
            subprotocols: document.read(self.subprotocols.as_ref(), |names| subprotocols(names))?,
            max_message_bytes: document.read(self.max_message_bytes.as_ref(), |size| {
                max_message_bytes(Some(*size), 0)
            })?,
            service: self.service(document, prefix)?,
        })
    }

    fn access(&self, document: Document<'_>) -> Result<Access, TomlError> {
        let is_public = self.public.as_ref().is_some_and(|public| *public.get_ref());
        match &self.users {
            None if is_public => Ok(Access::Public),
            None => Ok(Access::Users),
            Some(users) if is_public => {
                Err(document.error(users, "a public route asks nobody who they are"))
            }
            Some(users) if users.get_ref().is_empty() => {
                Err(document.error(users, "name at least one user, or leave the key out"))
            }
            Some(users) => {
                let mut names = BTreeSet::new();
                for name in users.get_ref() {
                    let name = UserName::parse(name)
                        .map_err(|error| document.error(users, error.to_string()))?;
                    if let Some(twice) = names.replace(name) {
                        let problem = format!("`{twice}` is named twice");
                        return Err(document.error(users, problem));
                    }
                }
                Ok(Access::Only(names))
            }
        }
    }

    fn service(&self, document: Document<'_>, prefix: &str) -> Result<Service, TomlError> {
        match self.service.get_ref().as_str() {
            "echo" => {
                self.refuse_room_keys(document)?;
                let prefix = match &self.prefix {
                    Some(prefix) => super::prefix(prefix.get_ref())
                        .map_err(|problem| document.error(prefix, problem))?,
                    None => prefix,
                };
                Ok(Service::Echo(Echo::new(prefix)))
            }
            "room" => {
                if let Some(prefix) = &self.prefix {
                    return Err(document.error(prefix, "this is a key of the service echo"));
                }
                Ok(Service::Room(self.room(document)?))
            }
            _ => Err(document.error(&self.service, "write \"echo\" or \"room\"")),
        }
    }

    fn refuse_room_keys(&self, document: Document<'_>) -> Result<(), TomlError> {
        let at = |span: Option<std::ops::Range<usize>>| span.map(|span| span.start);
        let keys = [
            at(self.format.as_ref().map(Spanned::span)),
            at(self.presence.as_ref().map(Spanned::span)),
            at(self.history.as_ref().map(Spanned::span)),
            at(self.history_bytes.as_ref().map(Spanned::span)),
            at(self.max_queued.as_ref().map(Spanned::span)),
            at(self.max_queued_bytes.as_ref().map(Spanned::span)),
            at(self.when_full.as_ref().map(Spanned::span)),
        ];
        match keys.into_iter().flatten().min() {
            Some(at) => {
                let problem = "this is a key of the service room";
                Err(TomlError::at_byte(document.0, at, problem))
            }
            None => Ok(()),
        }
    }

    fn room(&self, document: Document<'_>) -> Result<Room, TomlError> {
        let format = match &self.format {
            None => Format::Json,
            Some(format) => match format.get_ref().as_str() {
                "json" => Format::Json,
                "plain" => Format::Plain,
                _ => return Err(document.error(format, "write \"json\" or \"plain\"")),
            },
        };
        let when_full = match &self.when_full {
            None => WhenFull::Evict,
            Some(when_full) => match when_full.get_ref().as_str() {
                "evict" => WhenFull::Evict,
                "drop-oldest" => WhenFull::DropOldest,
                _ => return Err(document.error(when_full, "write \"evict\" or \"drop-oldest\"")),
            },
        };
        let is_told = self.presence.as_ref().is_some_and(|told| *told.get_ref());
        let count = |key: &Option<Spanned<Count>>, default| {
            key.as_ref().map_or(default, |count| count.get_ref().0)
        };
        let size = |key: &Option<Spanned<Size>>, default| {
            key.as_ref().map_or(default, |size| size.get_ref().0)
        };
        Ok(Room {
            format,
            presence: if is_told {
                Presence::Told
            } else {
                Presence::Silent
            },
            keep: Keep {
                texts: match &self.history {
                    Some(limit) => limit.get_ref().value().map_or(0, |count| count.0.get()),
                    None => KEPT_TEXTS,
                },
                bytes: self
                    .history_bytes
                    .as_ref()
                    .map_or(KEPT_BYTES, |size| size.get_ref().0.get()),
            },
            outbox: OutboxPolicy {
                max_texts: count(&self.max_queued, QUEUED_TEXTS),
                max_bytes: size(&self.max_queued_bytes, QUEUED_BYTES),
                when_full,
            },
        })
    }
}

/// Writes a route as a file has it.
pub(super) fn write(route: &Route, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "\n[[route]]")?;
    writeln!(f, "path = \"{}\"", route.pattern)?;
    write!(f, "{}", route.access)?;
    if let Some(origins) = &route.allowed_origins {
        let origins = origins.iter().map(ToString::to_string);
        writeln!(f, "allowed_origins = [{}]", list(origins))?;
    }
    if let Some(names) = &route.subprotocols {
        writeln!(f, "subprotocols = [{}]", list(names.iter().cloned()))?;
    }
    if let Some(bytes) = route.max_message_bytes.and_then(NonZeroUsize::new) {
        writeln!(f, "max_message_bytes = {}", Size(bytes))?;
    }
    match &route.service {
        Service::Echo(echo) => {
            writeln!(f, "service = \"echo\"\nprefix = {}", quoted(echo.prefix()))
        }
        Service::Room(room) => write_room(room, f),
    }
}

fn write_room(room: &Room, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Room {
        format,
        presence,
        keep,
        outbox,
    } = room;
    let format = match format {
        Format::Json => "json",
        Format::Plain => "plain",
    };
    let when_full = match outbox.when_full {
        WhenFull::Evict => "evict",
        WhenFull::DropOldest => "drop-oldest",
    };
    let history = NonZeroUsize::new(keep.texts).map_or(Limit::Off, |count| Limit::At(Count(count)));
    writeln!(f, "service = \"room\"\nformat = \"{format}\"")?;
    writeln!(f, "presence = {}", *presence == Presence::Told)?;
    writeln!(f, "history = {history}")?;
    if let Some(bytes) = NonZeroUsize::new(keep.bytes) {
        writeln!(f, "history_bytes = {}", Size(bytes))?;
    }
    writeln!(f, "max_queued = {}", Count(outbox.max_texts))?;
    writeln!(f, "max_queued_bytes = {}", Size(outbox.max_bytes))?;
    writeln!(f, "when_full = \"{when_full}\"")
}
