//! The tables of the file, in both directions.

use std::{
    fmt::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use proto::config::{TomlError, from_table, parse_toml};
use proto::escape::is_unsafe;
use serde::{Deserialize, Serialize};
use toml::Table;

use crate::{
    access::AllowedOrigin,
    config::{
        admin::AdminTable,
        limits::LimitsTable,
        login::LoginTable,
        route::{self, RouteTable},
        tls::TlsTable,
        values::{
            FilePath, LogLevel, Network, Prefix, StringList, StringValue, Subprotocols, Threads,
            listen_address, word,
        },
    },
    log::LogFormat,
    peer::ForwardedHeader,
};

/// The configuration as its file writes it. A key that is left out has its default.
///
/// This and the tables below it are the only list of the keys: they are read, printed and compared
/// by it.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigTables {
    /// The address and port to listen on.
    #[serde(deserialize_with = "listen_address")]
    pub(super) listen: SocketAddr,
    /// The file of the accounts.
    pub(super) credentials: FilePath,
    /// `true` admits connections from other machines without encryption.
    pub(super) allow_insecure: bool,
    /// Origins of pages that may connect, besides the server's own host.
    pub(super) allowed_origins: StringList<AllowedOrigin>,
    /// Supported subprotocols, the best first.
    pub(super) subprotocols: Subprotocols,
    /// Proxies whose forwarding field is trusted for the client address.
    pub(super) trusted_proxies: StringList<Network>,
    /// The field in which these proxies report the client address.
    pub(super) forwarded_header: StringValue<ForwardedHeader>,
    /// `true` answers browsers with a page.
    pub(super) page: bool,
    /// The least severe level that is logged, unless `RUST_LOG` is set.
    #[serde(deserialize_with = "word")]
    pub(super) log_level: LogLevel,
    /// The format of a log line.
    #[serde(deserialize_with = "word")]
    pub(super) log_format: LogFormat,
    /// The number of threads that serve connections; one for each core, if it is left out.
    pub(super) worker_threads: Option<Threads>,
    pub(super) tls: TlsTable,
    pub(super) admin: AdminTable,
    pub(super) login: LoginTable,
    pub(super) limits: LimitsTable,
    pub(super) echo: EchoTable,
    #[serde(
        deserialize_with = "route::none",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(super) route: Vec<RouteTable>,
}

impl Default for ConfigTables {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 5678).into(),
            credentials: FilePath("credentials.toml".into()),
            allow_insecure: false,
            allowed_origins: StringList::default(),
            subprotocols: Subprotocols::default(),
            trusted_proxies: StringList::default(),
            forwarded_header: StringValue(ForwardedHeader::default()),
            page: true,
            log_level: LogLevel::Info,
            log_format: LogFormat::default(),
            worker_threads: None,
            tls: TlsTable::default(),
            admin: AdminTable::default(),
            login: LoginTable::default(),
            limits: LimitsTable::default(),
            echo: EchoTable::default(),
            route: Vec::new(),
        }
    }
}

/// `[echo]`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct EchoTable {
    /// The text before each answer, in routes that do not set it.
    pub(super) prefix: Prefix,
}

impl Default for EchoTable {
    fn default() -> Self {
        Self {
            prefix: Prefix("your submit context: ".to_owned()),
        }
    }
}

impl ConfigTables {
    /// Reads a file, and completes it. Relative paths start from its directory.
    pub(crate) fn parse(source: &str, directory: &Path) -> Result<Self, TomlError> {
        let mut document = parse_toml(source)?;
        let routes = route::take_out(&mut document);
        let mut tables: Self = from_table(source, document)?;
        tables.route = route::read_all(source, routes, &tables.echo.prefix)?;
        tables.complete(directory);
        Ok(tables)
    }

    /// Returns what an empty file in a directory says.
    pub(super) fn of_empty_file(directory: &Path) -> Self {
        let mut tables = Self::default();
        tables.complete(directory);
        tables
    }

    /// Fills in defaults that depend on other keys, and has relative paths start from a directory.
    fn complete(&mut self, directory: &Path) {
        self.credentials.start_from(directory);
        self.tls.complete(directory);
        self.admin.complete(directory);
        self.limits.complete();
    }

    /// Returns the keys and values as TOML.
    pub(crate) fn to_toml(&self) -> Table {
        Table::try_from(self).expect("each value has a form in TOML")
    }
}

impl fmt::Display for ConfigTables {
    /// Writes the configuration as TOML. Keys without a value (`worker_threads`, `login.hash_workers`
    /// and those of `tls`) are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = toml::to_string(self).map_err(|_| fmt::Error)?;
        // The library escapes C0 and DEL alone. A terminal also obeys C1 and bidirectional controls.
        let is_unsafe = |c| c != '\n' && is_unsafe(c);
        if !text.contains(is_unsafe) {
            return f.write_str(&text);
        }
        let mut escaped = String::new();
        for c in text.chars() {
            if is_unsafe(c) {
                write!(escaped, "\\u{:04X}", u32::from(c))?;
            } else {
                escaped.push(c);
            }
        }
        // A literal string of TOML (in single quotes) has no escapes.
        if escaped
            .parse::<Table>()
            .is_ok_and(|again| again == self.to_toml())
        {
            f.write_str(&escaped)
        } else {
            f.write_str(&text.replace(is_unsafe, "\u{FFFD}"))
        }
    }
}
