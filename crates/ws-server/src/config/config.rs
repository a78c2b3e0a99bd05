//! The keys of the configuration file.

use std::{
    fmt, iter,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
};

use proto::{
    config::{TomlError, from_table, parse_toml, word},
    credentials::{Accounts, TicketIssuer, TicketSecrets},
    escape::is_unsafe,
};
use serde::{Deserialize, Serialize};
use toml::Table;
use tracing_subscriber::filter::LevelFilter;

use crate::{
    access::{AllowedOrigin, ServerName, ServerNames},
    config::{
        admin::{AdminAddress, AdminTable},
        login::LoginTable,
        route::{self, RouteTable},
        tls::TlsFiles,
        values::{
            Network, StringList, StringValue, display, listen_address, log_level, prefix,
            subprotocols, up_to,
        },
    },
    handshake::HandshakePolicy,
    limits::{Caps, Limits},
    log::LogFormat,
    peer::{ForwardedHeader, TrustedProxies},
    route::Routes,
    settings::Settings,
};

/// The configuration. A key that is left out has its default.
///
/// This struct and the tables in it are the only list of the keys. Reading, printing and comparing
/// use it.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The address and port to listen on.
    #[serde(deserialize_with = "listen_address")]
    pub listen: SocketAddr,
    /// The file of the accounts.
    pub credentials: PathBuf,
    /// `true` admits connections from other machines without encryption.
    pub allow_insecure: bool,
    /// Origins of pages that may connect, besides the server's own host.
    pub allowed_origins: StringList<AllowedOrigin>,
    /// Names that clients may use in `Host`, besides those of loopback on loopback. Elsewhere, any name
    /// is accepted if there are none.
    pub server_names: StringList<ServerName>,
    /// Supported subprotocols, the best first.
    #[serde(deserialize_with = "subprotocols")]
    pub subprotocols: Vec<String>,
    /// Proxies whose forwarding field is trusted for the client address.
    pub trusted_proxies: StringList<Network>,
    /// The field in which these proxies report the client address.
    pub forwarded_header: StringValue<ForwardedHeader>,
    /// `true` answers browsers with a page.
    pub page: bool,
    /// The least severe level that is logged, unless `RUST_LOG` is set.
    #[serde(deserialize_with = "log_level", serialize_with = "display")]
    pub log_level: LevelFilter,
    /// The format of a log line.
    #[serde(deserialize_with = "word")]
    pub log_format: LogFormat,
    /// The number of threads that serve connections; one for each core, if it is left out.
    #[serde(deserialize_with = "up_to::<1024, _, _>")]
    pub worker_threads: Option<NonZeroUsize>,
    /// The certificate and its private key. Without them, there is no TLS.
    pub tls: TlsFiles,
    /// The operator's interface.
    pub admin: AdminTable,
    /// The bounds of logins.
    pub login: LoginTable,
    /// The bounds of connections.
    pub limits: Limits,
    /// The defaults of echoes.
    pub(super) echo: EchoTable,
    #[serde(
        deserialize_with = "route::none",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(super) route: Vec<RouteTable>,
    /// The routes, built from the tables in `route`.
    #[serde(skip)]
    pub(crate) routes: Routes,
    /// The secret of tickets, if `login.ticket_secret_file` names one.
    #[serde(skip)]
    pub(crate) ticket_secrets: Option<Arc<TicketSecrets>>,
}

impl Default for Config {
    fn default() -> Self {
        let echo = EchoTable::default();
        Self {
            listen: (Ipv4Addr::LOCALHOST, 5678).into(),
            credentials: "credentials.toml".into(),
            allow_insecure: false,
            allowed_origins: StringList::default(),
            server_names: StringList::default(),
            subprotocols: Vec::new(),
            trusted_proxies: StringList::default(),
            forwarded_header: StringValue(ForwardedHeader::default()),
            page: true,
            log_level: LevelFilter::INFO,
            log_format: LogFormat::default(),
            worker_threads: None,
            tls: TlsFiles::default(),
            admin: AdminTable::default(),
            login: LoginTable::default(),
            limits: Limits::default(),
            route: Vec::new(),
            routes: Routes::echo(&echo.prefix),
            ticket_secrets: None,
            echo,
        }
    }
}

/// `[echo]`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct EchoTable {
    /// The text before each answer, in routes that do not set it.
    #[serde(deserialize_with = "prefix")]
    pub(super) prefix: String,
}

impl Default for EchoTable {
    fn default() -> Self {
        Self {
            prefix: "your submit context: ".to_owned(),
        }
    }
}

impl Config {
    /// Reads the text of a file, completes and checks it. Relative paths start from its directory.
    pub(crate) fn parse(source: &str, directory: &Path) -> Result<Self, TomlError> {
        let mut document = parse_toml(source)?;
        let routes = route::take_out(&mut document);
        let mut config: Self = from_table(source, document)?;
        config.route = route::read_all(source, routes, &config.echo.prefix)?;
        for path in config.paths() {
            *path = directory.join(&path);
        }
        config.limits.complete();
        config.check(source)?;
        Ok(config)
    }

    /// Builds the routes, and checks keys against each other. `source` is the text that errors refer
    /// to.
    fn check(&mut self, source: &str) -> Result<(), TomlError> {
        self.tls.check(source)?;
        self.login.check_tickets(source)?;
        let default = Routes::echo(&self.echo.prefix);
        self.routes = match self.route.as_slice() {
            [] => default.clone(),
            tables => route::routes(tables, source)?,
        };
        // Routes that equal the default compare and print as none.
        if self.routes == default {
            self.route.clear();
        }
        let Caps {
            connections,
            unauthenticated,
            ..
        } = self.limits.caps();
        if unauthenticated > connections {
            let problem = format!("write at most {connections}, which is max_connections");
            let key = "limits.max_unauthenticated";
            return Err(TomlError::at_key(source, key, problem));
        }
        Ok(())
    }

    /// Returns the paths of files and sockets.
    fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let sockets = self.admin.listen.0.iter_mut();
        iter::once(&mut self.credentials)
            .chain(self.route.iter_mut().flat_map(RouteTable::paths))
            .chain(&mut self.tls.certificate)
            .chain(&mut self.tls.private_key)
            .chain(&mut self.login.revocations_file)
            .chain(&mut self.login.ticket_secret_file)
            .chain(sockets.filter_map(|address| match address {
                AdminAddress::Unix(path) => Some(path),
                AdminAddress::Tcp(_) => None,
            }))
    }

    /// Returns the files that the configuration names.
    pub(super) fn named_files(&self) -> Vec<PathBuf> {
        let tls = self.tls.certificate.iter().chain(&self.tls.private_key);
        let routes = self.route.iter().flat_map(RouteTable::named_files);
        let files = iter::once(&self.credentials).chain(tls);
        let files = files.chain(&self.login.ticket_secret_file);
        let files = files.map(PathBuf::as_path).chain(routes);
        files.map(Path::to_owned).collect()
    }

    /// Returns a copy with paths in UTF-8, as TOML requires. Other bytes are replaced.
    fn printable(&self) -> Self {
        let mut printable = self.clone();
        for path in printable.paths() {
            *path = path.to_string_lossy().into_owned().into();
        }
        printable
    }

    /// Returns the keys and values as TOML.
    pub(crate) fn to_toml(&self) -> Table {
        Table::try_from(self.printable()).expect("each value has a form in TOML")
    }

    /// Returns the settings of a server with these accounts, whose tickets come from this secret.
    pub(crate) fn into_settings(
        self,
        accounts: Accounts,
        ticket_secrets: Arc<TicketSecrets>,
    ) -> Settings {
        let (name, policy) = (&self.login.ticket_name, self.login.tickets());
        let tickets = TicketIssuer::new(ticket_secrets, name, policy);
        let networks = self.trusted_proxies.0.iter().map(|network| network.0);
        Settings::new(
            HandshakePolicy {
                basic: self.login.basic,
                page: self.page,
                allowed_origins: self.allowed_origins.0,
                subprotocols: self.subprotocols,
                routes: self.routes,
            },
            TrustedProxies::new(networks, self.forwarded_header.0),
            ServerNames::new(self.server_names.0),
            self.login.policy(),
            self.limits,
            accounts,
            tickets,
        )
    }
}

impl fmt::Display for Config {
    /// Writes the configuration as TOML. Keys without a value (`worker_threads`, `login.hash_workers`,
    /// `login.revocations_file`, `login.ticket_secret_file` and those of `tls`) are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = toml::to_string(&self.printable()).map_err(|_| fmt::Error)?;
        // The library escapes C0 and DEL alone. A terminal also obeys C1 and bidirectional controls.
        let is_unsafe = |c| c != '\n' && is_unsafe(c);
        if !text.contains(is_unsafe) {
            return f.write_str(&text);
        }
        let escape = |c| match c {
            c if is_unsafe(c) => format!("\\u{:04X}", u32::from(c)),
            c => c.into(),
        };
        let escaped: String = text.chars().map(escape).collect();
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
