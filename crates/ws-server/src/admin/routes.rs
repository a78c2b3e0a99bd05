//! The routes of the admin interface, and the handler of their requests.

use std::{borrow::Cow, time::Instant};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST},
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use proto::username::UserName;
use serde::{Serialize, de::DeserializeOwned};
use tokio_util::sync::CancellationToken;

use crate::{
    access::{Principal, normalize_path},
    admin::{
        api::{
            Allow, Drain, Draining, ErrorResponse, Kick, Kicked, Publish, Purge, Purged,
            RevocationInfo, RevocationList, Revoke, SessionInfo, Sessions, UserRevoked,
        },
        listener::AdminPeer,
    },
    config::SaveError,
    log::{LostLines, audit},
    metrics,
    peer::ConnectionId,
    reload::ReloadHandle,
    server::{PublishError, ServerHandle},
};

/// The maximum length of a request body, in bytes. It also limits messages to publish, even in a room
/// that allows longer ones.
const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;

/// The author of operators' messages in rooms. A user name has no `:`, so it cannot be equal.
const OPERATOR: &str = "server:operator";

/// The handler of admin requests.
#[derive(Debug)]
pub(crate) struct AdminHandler {
    server: ServerHandle,
    reloads: ReloadHandle,
    lost_lines: LostLines,
    /// Cancelled to start a drain.
    stop: CancellationToken,
}

/// The reason why a request was refused.
#[derive(Debug, thiserror::Error)]
enum AdminError {
    #[error("unknown path")]
    UnknownPath,
    #[error("the Host is not a name of this server, which server_names in its configuration lists")]
    UnknownHost,
    #[error("method not allowed: use {0}")]
    Method(&'static str),
    #[error("only available on the Unix socket")]
    UnixSocketOnly,
    #[error("invalid request body: {0}")]
    Body(String),
    #[error("there is no open connection {0}")]
    NoConnection(u64),
    #[error("there is no user `{0}`")]
    NoUser(String),
    #[error(
        "the logins of `{0}` are not revoked: `ws-server ctl revocations` lists those that are"
    )]
    NotRevoked(String),
    #[error("the logins of `{user}` are revoked, but a restart would forget it: {source}")]
    RevocationNotKept { user: String, source: SaveError },
    #[error("the logins of `{user}` are allowed, but a restart would revoke them again: {source}")]
    PermissionNotKept { user: String, source: SaveError },
    #[error("nothing was revoked: the system provides no random numbers")]
    NoRandomness,
    #[error(transparent)]
    Publish(PublishError),
    #[error("there is no room at this path")]
    NoRoom,
    #[error("nothing was reloaded: {0}")]
    Reload(String),
}

impl AdminError {
    fn status(&self) -> StatusCode {
        match self {
            Self::UnknownPath
            | Self::NoConnection(_)
            | Self::NoUser(_)
            | Self::NotRevoked(_)
            | Self::NoRoom
            | Self::Publish(PublishError::NoRoom) => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnknownHost => StatusCode::MISDIRECTED_REQUEST,
            Self::UnixSocketOnly => StatusCode::FORBIDDEN,
            Self::Body(_)
            | Self::Publish(PublishError::Length { .. } | PublishError::EscapedLength { .. }) => {
                StatusCode::BAD_REQUEST
            }
            Self::Reload(_) => StatusCode::CONFLICT,
            Self::RevocationNotKept { .. }
            | Self::PermissionNotKept { .. }
            | Self::NoRandomness => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Publish(PublishError::Busy) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// A route of the admin interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AdminRoute {
    Live,
    Ready,
    Metrics,
    Sessions,
    Kick,
    Revoke,
    Revocations,
    Allow,
    Reload,
    Drain,
    Publish,
    Purge,
}

impl AdminRoute {
    fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/livez" => Self::Live,
            "/readyz" => Self::Ready,
            "/metrics" => Self::Metrics,
            "/sessions" => Self::Sessions,
            "/kick" => Self::Kick,
            "/revoke" => Self::Revoke,
            "/revocations" => Self::Revocations,
            "/allow" => Self::Allow,
            "/reload" => Self::Reload,
            "/drain" => Self::Drain,
            "/publish" => Self::Publish,
            "/purge" => Self::Purge,
            _ => return None,
        })
    }

    /// Returns true if the route is available on TCP as well as on the Unix socket.
    fn is_open_to_tcp(self) -> bool {
        matches!(self, Self::Live | Self::Ready | Self::Metrics)
    }

    fn allow(self, method: &Method) -> Result<(), AdminError> {
        let is_read = self.is_open_to_tcp() || matches!(self, Self::Sessions | Self::Revocations);
        match (is_read, method) {
            (true, &Method::GET | &Method::HEAD) | (false, &Method::POST) => Ok(()),
            (true, _) => Err(AdminError::Method("GET, HEAD")),
            (false, _) => Err(AdminError::Method("POST")),
        }
    }
}

impl AdminHandler {
    /// Creates the handler of this server.
    pub(crate) fn new(
        server: ServerHandle,
        reloads: ReloadHandle,
        lost_lines: LostLines,
        stop: CancellationToken,
    ) -> Self {
        Self {
            server,
            reloads,
            lost_lines,
            stop,
        }
    }

    /// Responds to a request.
    pub(crate) async fn handle(
        &self,
        request: Request<Incoming>,
        peer: AdminPeer,
    ) -> Response<Full<Bytes>> {
        let answer = self.decide(request, peer).await;
        let mut response = answer.unwrap_or_else(|error| {
            let problem = ErrorResponse {
                error: error.to_string(),
            };
            let mut response = json(&problem);
            *response.status_mut() = error.status();
            if let AdminError::Method(methods) = error {
                let methods = HeaderValue::from_static(methods);
                response.headers_mut().insert(ALLOW, methods);
            }
            response
        });
        let no_store = HeaderValue::from_static("no-store");
        response.headers_mut().insert(CACHE_CONTROL, no_store);
        response
    }

    async fn decide(
        &self,
        request: Request<Incoming>,
        peer: AdminPeer,
    ) -> Result<Response<Full<Bytes>>, AdminError> {
        if peer == AdminPeer::Tcp {
            // A page in a browser on this machine cannot leave `Host` out.
            let mut hosts = request.headers().get_all(HOST).iter();
            if !hosts.all(|host| {
                host.to_str()
                    .is_ok_and(|it| self.server.admits_admin_host(it))
            }) {
                return Err(AdminError::UnknownHost);
            }
        }
        let route = AdminRoute::at(request.uri().path()).ok_or(AdminError::UnknownPath)?;
        if !route.is_open_to_tcp() && peer == AdminPeer::Tcp {
            return Err(AdminError::UnixSocketOnly);
        }
        route.allow(request.method())?;
        Ok(match route {
            AdminRoute::Live => text(StatusCode::OK, "alive\n"),
            AdminRoute::Ready if self.server.is_ready() => text(StatusCode::OK, "ready\n"),
            AdminRoute::Ready => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
            AdminRoute::Metrics => {
                let mut response =
                    Response::new(Full::from(self.server.metrics(self.lost_lines.count())));
                let kind = HeaderValue::from_static(metrics::CONTENT_TYPE);
                response.headers_mut().insert(CONTENT_TYPE, kind);
                response
            }
            AdminRoute::Sessions => json(&self.sessions()),
            AdminRoute::Kick => json(&self.kick(&body(request).await?, peer)?),
            AdminRoute::Revoke => json(&self.revoke(body(request).await?, peer).await?),
            AdminRoute::Revocations => json(&self.revocations()),
            AdminRoute::Allow => json(&self.allow(body(request).await?, peer).await?),
            AdminRoute::Reload => {
                let by = peer.to_string();
                json(&self.reloads.reload(by).await.map_err(AdminError::Reload)?)
            }
            AdminRoute::Drain => json(&self.drain(drain_of(request).await?, peer)),
            AdminRoute::Publish => json(&self.publish(body(request).await?, peer).await?),
            AdminRoute::Purge => json(&self.purge(&body(request).await?, peer)?),
        })
    }

    fn sessions(&self) -> Sessions {
        let now = Instant::now();
        let sessions = self.server.sessions();
        let sessions = sessions
            .iter()
            .filter_map(|(id, entry)| SessionInfo::of(*id, entry, now));
        Sessions {
            sessions: sessions.collect(),
        }
    }

    fn kick(&self, kick: &Kick, peer: AdminPeer) -> Result<Kicked, AdminError> {
        let id = ConnectionId::from(kick.id);
        let entry = self
            .server
            .kick(id)
            .ok_or(AdminError::NoConnection(kick.id))?;
        let principal = entry.admitted().map(|admitted| &admitted.grant.principal);
        audit::kicked(&peer.to_string(), id, entry.peer(), principal);
        let user = principal.and_then(Principal::user);
        Ok(Kicked {
            id: kick.id,
            user: user.map(ToString::to_string),
            peer: entry.peer().to_string(),
        })
    }

    async fn revoke(
        &self,
        Revoke { user }: Revoke,
        peer: AdminPeer,
    ) -> Result<UserRevoked, AdminError> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|_| AdminError::NoRandomness)?;
        let (name, by) = (UserName::parse(&user).ok(), peer.to_string());
        let ended = name
            .as_ref()
            .and_then(|name| self.server.revoke(name, &by, salt));
        let (Some(name), Some(sessions_ended)) = (name, ended) else {
            return Err(AdminError::NoUser(user));
        };
        audit::user_revoked(&by, &name, sessions_ended);
        match self.server.save_revocations().await {
            Some(Err(source)) => Err(AdminError::RevocationNotKept { user, source }),
            saved => Ok(UserRevoked {
                user,
                sessions_ended,
                kept: saved.is_some(),
            }),
        }
    }

    fn revocations(&self) -> RevocationList {
        let revocations = self.server.revocations();
        let infos = revocations.iter().map(|(user, revocation)| RevocationInfo {
            user: user.to_string(),
            since: humantime::format_rfc3339_seconds(revocation.since).to_string(),
            by: revocation.by.clone(),
        });
        RevocationList {
            revocations: infos.collect(),
        }
    }

    async fn allow(&self, Allow { user }: Allow, peer: AdminPeer) -> Result<Allow, AdminError> {
        let name = UserName::parse(&user).ok();
        let Some(name) = name.filter(|name| self.server.allow(name)) else {
            return Err(AdminError::NotRevoked(user));
        };
        audit::user_allowed(&peer.to_string(), &name);
        match self.server.save_revocations().await {
            Some(Err(source)) => Err(AdminError::PermissionNotKept { user, source }),
            Some(Ok(())) | None => Ok(Allow { user }),
        }
    }

    fn drain(&self, drain: Drain, peer: AdminPeer) -> Draining {
        let sessions = self.server.sessions().len();
        if !self.stop.is_cancelled() {
            if drain.restart {
                self.server.announce_restart();
            }
            audit::drain_started(&peer.to_string());
            self.stop.cancel();
        }
        Draining { sessions }
    }

    async fn publish(&self, publish: Publish, peer: AdminPeer) -> Result<Publish, AdminError> {
        let Publish { room, text } = publish;
        let published = self.server.publish(&room, OPERATOR, &text).await;
        published.map_err(AdminError::Publish)?;
        let room = normal_form(&room);
        audit::published(&peer.to_string(), &room, text.len());
        Ok(Publish { room, text })
    }

    fn purge(&self, purge: &Purge, peer: AdminPeer) -> Result<Purged, AdminError> {
        let messages = self.server.purge(&purge.room).ok_or(AdminError::NoRoom)?;
        let room = normal_form(&purge.room);
        audit::history_purged(&peer.to_string(), &room, messages);
        Ok(Purged { room, messages })
    }
}

/// Returns the path that a room has in the log and in the list of sessions.
fn normal_form(room: &str) -> String {
    normalize_path(room).map_or_else(|_| room.to_owned(), Cow::into_owned)
}

async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, AdminError> {
    parse(&bytes_of(request).await?)
}

/// Reads the body of a drain request, which may be absent or `null`.
async fn drain_of(request: Request<Incoming>) -> Result<Drain, AdminError> {
    let bytes = bytes_of(request).await?;
    if bytes.is_empty() {
        return Ok(Drain::default());
    }
    parse::<Option<Drain>>(&bytes).map(Option::unwrap_or_default)
}

async fn bytes_of(request: Request<Incoming>) -> Result<Bytes, AdminError> {
    let body = Limited::new(request.into_body(), MAX_BODY_BYTES);
    let body = body.collect().await;
    let body = body.map_err(|error| AdminError::Body(error.to_string()))?;
    Ok(body.to_bytes())
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, AdminError> {
    serde_json::from_slice(bytes).map_err(|error| AdminError::Body(error.to_string()))
}

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn json(value: &impl Serialize) -> Response<Full<Bytes>> {
    let mut json = serde_json::to_vec(value).expect("texts and numbers are JSON");
    json.push(b'\n');
    let mut response = Response::new(Full::from(json));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
