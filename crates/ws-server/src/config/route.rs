//! The tables `[[route]]`.
//!
//! The keys of a route are split in two: those of every route, and those of its service. Each part is
//! read by a strict struct. A tagged enum was refused: it loses the places of values in the file.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    mem,
    path::{Path, PathBuf},
    sync::Arc,
};

use proto::{
    config::{TomlError, from_table, known_keys, word},
    username::UserName,
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, IgnoredAny},
};
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use crate::{
    access::{Access, AllowedOrigin, PathPattern},
    config::values::{StringList, StringValue, prefix, subprotocols},
    handshake::TICKET_PATH,
    limits::MessageSize,
    route::{Route, Routes},
    service::{BackedService, Echo, ProgramService, Relay, Room, Service, StreamService},
};

/// One `[[route]]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct RouteTable {
    #[serde(flatten)]
    common: CommonKeys,
    #[serde(flatten)]
    service: Service,
    #[serde(skip)]
    places: KeyPlaces,
}

/// The keys of a service that the file sets, with their places. All compare as equal: a table that moved
/// is no change.
#[derive(Debug, Clone)]
struct KeyPlaces(Vec<Spanned<String>>);

impl PartialEq for KeyPlaces {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// The keys of every route.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommonKeys {
    /// The path, or `/prefix/*`, or `/prefix/**`.
    path: Spanned<StringValue<PathPattern>>,
    /// The users who may connect; all, if it is left out.
    #[serde(default, deserialize_with = "users")]
    users: Option<Spanned<BTreeSet<UserName>>>,
    /// `true` admits guests, without a login.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    public: bool,
    /// Origins of pages that may connect, instead of the top-level list.
    allowed_origins: Option<StringList<AllowedOrigin>>,
    /// Supported subprotocols, instead of the top-level list.
    #[serde(default, deserialize_with = "subprotocols")]
    subprotocols: Option<Vec<String>>,
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
    Relay,
    Stream,
    Program,
}

impl ServiceName {
    pub(super) const ALL: [Self; 5] = [
        Self::Echo,
        Self::Room,
        Self::Relay,
        Self::Stream,
        Self::Program,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Room => "room",
            Self::Relay => "relay",
            Self::Stream => "stream",
            Self::Program => "program",
        }
    }

    /// Returns the keys that only this service has.
    pub(super) fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Echo => known_keys::<EchoKeys>(),
            Self::Room => known_keys::<Room>(),
            Self::Relay => known_keys::<Relay>(),
            Self::Stream => known_keys::<StreamService>(),
            Self::Program => known_keys::<ProgramService>(),
        }
    }

    fn has(self, key: &str) -> bool {
        self.keys().contains(&key)
    }
}

/// The keys of an echo.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EchoKeys {
    /// The text before each answer. By default it is the one in `[echo]`.
    #[serde(default, deserialize_with = "prefix")]
    prefix: Option<String>,
}

/// Reads the names of users: at least one, and none twice.
fn users<'de, D>(deserializer: D) -> Result<Option<Spanned<BTreeSet<UserName>>>, D::Error>
where
    D: Deserializer<'de>,
{
    let names = Spanned::<Vec<String>>::deserialize(deserializer)?;
    let mut users = BTreeSet::new();
    for name in names.get_ref() {
        let name = UserName::parse(name).map_err(D::Error::custom)?;
        if let Some(twice) = users.replace(name) {
            return Err(D::Error::custom(format_args!("`{twice}` is named twice")));
        }
    }
    if users.is_empty() {
        let problem = "name at least one user, or leave the key out";
        return Err(D::Error::custom(problem));
    }
    Ok(Some(Spanned::new(names.span(), users)))
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

/// Reads the tables of routes from the value of `route`. `prefix` is the default of echoes.
pub(super) fn read_all(
    source: &str,
    routes: Option<Spanned<DeValue<'_>>>,
    prefix: &str,
) -> Result<Vec<RouteTable>, TomlError> {
    let Some(routes) = routes else {
        return Ok(Vec::new());
    };
    let expected = |byte| TomlError::at_byte(source, byte, "write [[route]] and its keys below");
    let start = routes.span().start;
    let DeValue::Array(tables) = routes.into_inner() else {
        return Err(expected(start));
    };
    let tables = tables.into_iter().map(|table| {
        let span = table.span();
        match table.into_inner() {
            DeValue::Table(table) => RouteTable::read(source, Spanned::new(span, table), prefix),
            _ => Err(expected(span.start)),
        }
    });
    tables.collect()
}

/// Builds the routes, of which no two may overlap. `source` is the text that errors refer to.
pub(super) fn routes(tables: &[RouteTable], source: &str) -> Result<Routes, TomlError> {
    let routes = tables.iter().map(|table| table.route(source));
    Routes::new(routes.collect::<Result<_, _>>()?).map_err(|(index, error)| {
        let byte = tables[index].common.path.span().start;
        TomlError::at_byte(source, byte, error.to_string())
    })
}

fn backed(service: BackedService) -> Service {
    Service::Backed(Arc::new(service))
}

impl RouteTable {
    fn read(source: &str, table: Spanned<DeTable<'_>>, prefix: &str) -> Result<Self, TomlError> {
        let span = table.span();
        let common_keys = known_keys::<CommonKeys>();
        let (common, own): (DeTable<'_>, DeTable<'_>) = table
            .into_inner()
            .into_iter()
            .partition(|(key, _)| common_keys.contains(&&**key.get_ref()));
        let mut own_keys: Vec<_> = own.keys().cloned().collect();
        own_keys.sort_by_key(|key| key.span().start);
        let of_services = ServiceName::ALL.iter().flat_map(|service| service.keys());
        let known: Vec<_> = common_keys.iter().chain(of_services).copied().collect();
        for key in &own_keys {
            if !known.contains(&&**key.get_ref()) {
                let byte = key.span().start;
                return Err(TomlError::unknown_key(source, byte, key.get_ref(), &known));
            }
        }
        let common: CommonKeys = from_table(source, Spanned::new(span.clone(), common))?;
        for key in &own_keys {
            let mut others = ServiceName::ALL.iter();
            if !common.service.has(key.get_ref())
                && let Some(other) = others.find(|service| service.has(key.get_ref()))
            {
                let problem = format!("this is a key of the service {}", other.name());
                return Err(TomlError::at_byte(source, key.span().start, problem));
            }
        }
        let place =
            |key: Spanned<Cow<'_, str>>| Spanned::new(key.span(), key.into_inner().into_owned());
        let places = KeyPlaces(own_keys.into_iter().map(place).collect());
        let own = Spanned::new(span, own);
        let service = match common.service {
            ServiceName::Echo => {
                let keys: EchoKeys = from_table(source, own)?;
                Service::Echo(Echo::new(keys.prefix.as_deref().unwrap_or(prefix)))
            }
            ServiceName::Room => Service::Room(from_table(source, own)?),
            ServiceName::Relay => backed(BackedService::Relay(from_table(source, own)?)),
            ServiceName::Stream => backed(BackedService::Stream(from_table(source, own)?)),
            ServiceName::Program => backed(BackedService::Program(from_table(source, own)?)),
        };
        Ok(Self {
            common,
            service,
            places,
        })
    }

    /// Returns the paths of files and sockets.
    pub(super) fn paths(&mut self) -> Vec<&mut PathBuf> {
        match &mut self.service {
            Service::Echo(_) | Service::Room(_) => Vec::new(),
            Service::Backed(service) => Arc::make_mut(service).paths_mut(),
        }
    }

    /// Returns the files that the keys name.
    pub(super) fn named_files(&self) -> Vec<&Path> {
        match &self.service {
            Service::Echo(_) | Service::Room(_) => Vec::new(),
            Service::Backed(service) => service.named_files(),
        }
    }

    /// Checks the keys of the service against each other and the system.
    fn check(&self, source: &str) -> Result<(), TomlError> {
        let Service::Backed(service) = &self.service else {
            return Ok(());
        };
        let pattern = &self.common.path.get_ref().0;
        service.check(pattern).map_err(|(key, problem)| {
            let mut places = self.places.0.iter();
            let place = places.find(|place| place.get_ref() == key);
            let byte = place.map_or(self.common.path.span().start, |place| place.span().start);
            TomlError::at_byte(source, byte, problem)
        })
    }

    fn route(&self, source: &str) -> Result<Route, TomlError> {
        self.check(source)?;
        let keys = &self.common;
        if keys.path.get_ref().0 == PathPattern::Exact(TICKET_PATH.into()) {
            let problem = "this path is reserved for the tickets of logins; write another";
            return Err(TomlError::at_byte(source, keys.path.span().start, problem));
        }
        let access = match &keys.users {
            None if keys.public => Access::Public,
            None => Access::Users,
            Some(users) if keys.public => {
                let problem = "write only one of users and public: a public route has no login";
                return Err(TomlError::at_byte(source, users.span().start, problem));
            }
            Some(users) => Access::Only(users.get_ref().clone()),
        };
        let of_service = match &self.service {
            Service::Echo(_) | Service::Room(_) => &[],
            Service::Backed(service) => service.subprotocols(),
        };
        let of_service: Vec<_> = of_service.iter().map(ToString::to_string).collect();
        let of_service = (!of_service.is_empty()).then_some(of_service);
        Ok(Route {
            pattern: keys.path.get_ref().0.clone().into(),
            access,
            allowed_origins: keys.allowed_origins.clone().map(|origins| origins.0),
            subprotocols: keys.subprotocols.clone().or(of_service),
            max_message_bytes: keys.max_message_bytes,
            service: self.service.clone(),
        })
    }
}
