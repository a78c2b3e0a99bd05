//! The routes, as `[[route]]` writes them.
//!
//! The keys of a route are split by its service: those of each route, and those of its service. Each
//! part is read strictly. No tagged enum does this: it would lose the places of the values.

use std::{collections::BTreeSet, mem};

use proto::{
    config::{Count, Limit, Size, TomlError, from_table, known_keys},
    username::UserName,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::IgnoredAny};
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use crate::{
    access::{Access, AllowedOrigin, PathPattern},
    config::values::{MessageSize, Prefix, StringList, StringValue, Subprotocols, word},
    registry::{OutboxPolicy, OverflowPolicy},
    route::{Route, Routes},
    service::{Echo, HistoryPolicy, Presence, Room, RoomFormat, Service},
};

/// One `[[route]]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct RouteTable {
    #[serde(flatten)]
    common: CommonKeys,
    #[serde(flatten)]
    service: ServiceKeys,
}

/// The keys of every route.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommonKeys {
    /// The path, or `/prefix/*`.
    path: Spanned<StringValue<PathPattern>>,
    /// The users who may come; all, if it is left out.
    users: Option<Spanned<Users>>,
    /// `true` admits everybody without a login.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    public: bool,
    /// Origins of pages that may connect, instead of the top-level list.
    allowed_origins: Option<StringList<AllowedOrigin>>,
    /// Supported subprotocols, instead of the top-level list.
    subprotocols: Option<Subprotocols>,
    /// The greatest length of a message, instead of the one in `[limits]`.
    max_message_bytes: Option<MessageSize>,
    /// The service.
    #[serde(deserialize_with = "word")]
    service: ServiceName,
}

/// A service, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ServiceName {
    Echo,
    Room,
}

impl ServiceName {
    pub(super) const ALL: [Self; 2] = [Self::Echo, Self::Room];

    fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Room => "room",
        }
    }

    /// Returns the keys that only this service has.
    pub(super) fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Echo => known_keys::<EchoKeys>(),
            Self::Room => known_keys::<RoomKeys>(),
        }
    }

    fn has(self, key: &str) -> bool {
        self.keys().contains(&key)
    }
}

/// The keys of a service.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
enum ServiceKeys {
    Echo(EchoKeys),
    Room(RoomKeys),
}

/// The keys of an echo.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EchoKeys {
    /// The text before each answer. It is absent until the prefix in `[echo]` was filled in.
    prefix: Option<Prefix>,
}

/// The keys of a room.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RoomKeys {
    /// The format of a message.
    #[serde(deserialize_with = "word")]
    format: RoomFormat,
    /// `true` tells members who comes and goes.
    presence: bool,
    /// The number of earlier messages that a new member gets.
    history: Limit<Count>,
    /// The length of these messages together.
    history_bytes: Size,
    /// The number of messages that may wait for a slow member.
    max_queued: Count,
    /// The length of these messages together.
    max_queued_bytes: Size,
    /// The consequence for a member whose queue is full.
    #[serde(deserialize_with = "word")]
    when_full: OverflowPolicy,
}

impl Default for RoomKeys {
    fn default() -> Self {
        const fn non_zero(number: usize) -> std::num::NonZeroUsize {
            std::num::NonZeroUsize::new(number).expect("no default is zero")
        }
        Self {
            format: RoomFormat::default(),
            presence: false,
            history: Limit::At(Count(non_zero(20))),
            history_bytes: Size(non_zero(16 * 1024)),
            max_queued: Count(non_zero(256)),
            max_queued_bytes: Size(non_zero(1024 * 1024)),
            when_full: OverflowPolicy::default(),
        }
    }
}

/// The names of users, at least one, and none of them twice.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Vec<String>")]
struct Users(BTreeSet<UserName>);

impl TryFrom<Vec<String>> for Users {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, String> {
        if names.is_empty() {
            return Err("name at least one user, or leave the key out".to_owned());
        }
        let mut users = BTreeSet::new();
        for name in names {
            let name = UserName::parse(&name).map_err(|error| error.to_string())?;
            if let Some(twice) = users.replace(name) {
                return Err(format!("`{twice}` is named twice"));
            }
        }
        Ok(Self(users))
    }
}

impl Serialize for Users {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(UserName::as_str))
    }
}

/// Takes the value of `route` out of a document, and leaves an empty array in its place.
pub(super) fn take_out<'a>(document: &mut Spanned<DeTable<'a>>) -> Option<Spanned<DeValue<'a>>> {
    let routes = document.get_mut().get_mut("route")?;
    let none = Spanned::new(routes.span(), DeValue::Array(DeArray::new()));
    Some(mem::replace(routes, none))
}

/// Reads the empty array that [`take_out`] leaves. [`read_all`] reads the routes.
pub(super) fn none<'de, D>(deserializer: D) -> Result<Vec<RouteTable>, D::Error>
where
    D: Deserializer<'de>,
{
    IgnoredAny::deserialize(deserializer).map(|_| Vec::new())
}

/// Reads the routes of a file, where this is the value of `route` in it. `prefix` is that of the
/// echoes that set none. A single route that equals the default echo is dropped, so that it compares
/// as no route.
pub(super) fn read_all(
    source: &str,
    routes: Option<Spanned<DeValue<'_>>>,
    prefix: &Prefix,
) -> Result<Vec<RouteTable>, TomlError> {
    let Some(routes) = routes else {
        return Ok(Vec::new());
    };
    let expected = |byte, what| TomlError::at_byte(source, byte, format!("expected {what}"));
    let start = routes.span().start;
    let DeValue::Array(tables) = routes.into_inner() else {
        return Err(expected(start, "a sequence"));
    };
    let tables = tables.into_iter().map(|table| {
        let span = table.span();
        match table.into_inner() {
            DeValue::Table(table) => RouteTable::read(source, Spanned::new(span, table), prefix),
            _ => Err(expected(span.start, "a table")),
        }
    });
    let mut routes = tables.collect::<Result<Vec<_>, _>>()?;
    if routes == [RouteTable::only_echo(prefix)] {
        routes.clear();
    }
    Ok(routes)
}

/// Returns the routes, if they fit each other. `source` is the file that errors refer to, and
/// `prefix` that of the echo that there is without any route.
pub(super) fn routes(
    tables: &[RouteTable],
    source: &str,
    prefix: &Prefix,
) -> Result<Routes, TomlError> {
    if tables.is_empty() {
        return Ok(Routes::echo(&prefix.0));
    }
    let routes = tables.iter().map(|table| table.route(source));
    Routes::new(routes.collect::<Result<_, _>>()?).map_err(|(index, error)| {
        let byte = tables[index].common.path.span().start;
        TomlError::at_byte(source, byte, error.to_string())
    })
}

impl RouteTable {
    /// Returns the echo that there is without any route.
    fn only_echo(prefix: &Prefix) -> Self {
        Self {
            common: CommonKeys {
                path: Spanned::new(0..0, StringValue(PathPattern::root())),
                users: None,
                public: false,
                allowed_origins: None,
                subprotocols: None,
                max_message_bytes: None,
                service: ServiceName::Echo,
            },
            service: ServiceKeys::Echo(EchoKeys {
                prefix: Some(prefix.clone()),
            }),
        }
    }

    fn read(source: &str, table: Spanned<DeTable<'_>>, prefix: &Prefix) -> Result<Self, TomlError> {
        let span = table.span();
        let common_keys = known_keys::<CommonKeys>();
        let (common, own): (DeTable<'_>, DeTable<'_>) = table
            .into_inner()
            .into_iter()
            .partition(|(key, _)| common_keys.contains(&&**key.get_ref()));
        let mut own_keys: Vec<_> = own.keys().cloned().collect();
        own_keys.sort_by_key(|key| key.span().start);
        for key in &own_keys {
            if ServiceName::ALL
                .iter()
                .all(|service| !service.has(key.get_ref()))
            {
                let of_services = ServiceName::ALL.iter().flat_map(|service| service.keys());
                let known: Vec<_> = common_keys.iter().chain(of_services).copied().collect();
                let byte = key.span().start;
                return Err(TomlError::unknown_key(source, byte, key.get_ref(), &known));
            }
        }
        let common: CommonKeys = from_table(source, Spanned::new(span.clone(), common))?;
        for key in &own_keys {
            let others = ServiceName::ALL.iter();
            let mut others = others.filter(|service| service.has(key.get_ref()));
            if !common.service.has(key.get_ref())
                && let Some(other) = others.next()
            {
                let problem = format!("this is a key of the service {}", other.name());
                return Err(TomlError::at_byte(source, key.span().start, problem));
            }
        }
        let own = Spanned::new(span, own);
        let service = match common.service {
            ServiceName::Echo => {
                let mut keys: EchoKeys = from_table(source, own)?;
                keys.prefix.get_or_insert_with(|| prefix.clone());
                ServiceKeys::Echo(keys)
            }
            ServiceName::Room => ServiceKeys::Room(from_table(source, own)?),
        };
        Ok(Self { common, service })
    }

    fn route(&self, source: &str) -> Result<Route, TomlError> {
        let keys = &self.common;
        let access = match &keys.users {
            None if keys.public => Access::Public,
            None => Access::Users,
            Some(users) if keys.public => {
                let problem = "a public route asks nobody who they are";
                return Err(TomlError::at_byte(source, users.span().start, problem));
            }
            Some(users) => Access::Only(users.get_ref().0.clone()),
        };
        Ok(Route {
            pattern: keys.path.get_ref().0.clone().into(),
            access,
            allowed_origins: keys.allowed_origins.clone().map(|origins| origins.0),
            subprotocols: keys.subprotocols.clone().map(|names| names.0),
            max_message_bytes: keys.max_message_bytes.map(|size| size.0.0.get()),
            service: self.service.service(),
        })
    }
}

impl ServiceKeys {
    fn service(&self) -> Service {
        match self {
            Self::Echo(EchoKeys { prefix }) => Service::Echo(Echo::new(
                prefix.as_ref().map_or("", |prefix| prefix.0.as_str()),
            )),
            Self::Room(keys) => Service::Room(Room {
                format: keys.format,
                presence: if keys.presence {
                    Presence::On
                } else {
                    Presence::Off
                },
                history: HistoryPolicy {
                    texts: keys.history.value().map_or(0, |count| count.0.get()),
                    bytes: keys.history_bytes.0.get(),
                },
                outbox: OutboxPolicy {
                    max_texts: keys.max_queued.0,
                    max_bytes: keys.max_queued_bytes.0,
                    overflow: keys.when_full,
                },
            }),
        }
    }
}
