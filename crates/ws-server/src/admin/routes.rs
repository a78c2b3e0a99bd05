//! Where the operator's requests are answered.

use std::time::Instant;

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE},
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use proto::username::UserName;
use serde::{Serialize, de::DeserializeOwned};
use tokio_util::sync::CancellationToken;

use crate::{
    access::Principal,
    admin::{
        api::{Draining, Kick, Kicked, Problem, Publish, Revoke, Revoked, Session, Sessions},
        listener::Caller,
    },
    log::{LostLines, audit},
    metrics,
    peer::ConnectionId,
    reload::Reloads,
    server::{Control, PublishError},
};

/// The longest body: a text of the greatest message that can be configured would be longer, but
/// nobody types one.
const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;

/// Whom rooms are told to have spoken. It can be no user's name: those hold no `:`.
const OPERATOR: &str = "server:operator";

/// What an operator can see and do.
#[derive(Debug)]
pub(crate) struct Desk {
    control: Control,
    reloads: Reloads,
    lost_lines: LostLines,
    /// Cancelled to have the server end in order.
    stop: CancellationToken,
}

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("there is nothing at this path")]
    UnknownPath,
    #[error("it takes {0}")]
    Method(&'static str),
    #[error("this is to be had on the Unix socket only")]
    NotHere,
    #[error("the body is not what belongs here: {0}")]
    Body(String),
    #[error("there is no open connection {0}")]
    NoConnection(u64),
    #[error("there is no user `{0}`")]
    NoUser(String),
    #[error(transparent)]
    Publish(PublishError),
    #[error("nothing was reloaded: {0}")]
    Reload(String),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::UnknownPath
            | Self::NoConnection(_)
            | Self::NoUser(_)
            | Self::Publish(PublishError::NoRoom) => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotHere => StatusCode::FORBIDDEN,
            Self::Body(_) | Self::Publish(PublishError::Length { .. }) => StatusCode::BAD_REQUEST,
            Self::Reload(_) => StatusCode::CONFLICT,
        }
    }
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resource {
    Live,
    Ready,
    Metrics,
    Sessions,
    Kick,
    Revoke,
    Reload,
    Drain,
    Publish,
}

impl Resource {
    fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/livez" => Self::Live,
            "/readyz" => Self::Ready,
            "/metrics" => Self::Metrics,
            "/sessions" => Self::Sessions,
            "/kick" => Self::Kick,
            "/revoke" => Self::Revoke,
            "/reload" => Self::Reload,
            "/drain" => Self::Drain,
            "/publish" => Self::Publish,
            _ => return None,
        })
    }

    /// Whether anybody on this machine may have it.
    fn is_for_anybody(self) -> bool {
        matches!(self, Self::Live | Self::Ready | Self::Metrics)
    }

    fn takes(self, method: &Method) -> Result<(), Refusal> {
        let is_read = self.is_for_anybody() || self == Self::Sessions;
        match (is_read, method) {
            (true, &Method::GET | &Method::HEAD) | (false, &Method::POST) => Ok(()),
            (true, _) => Err(Refusal::Method("GET, HEAD")),
            (false, _) => Err(Refusal::Method("POST")),
        }
    }
}

impl Desk {
    /// A desk for this server.
    pub(crate) fn new(
        control: Control,
        reloads: Reloads,
        lost_lines: LostLines,
        stop: CancellationToken,
    ) -> Self {
        Self {
            control,
            reloads,
            lost_lines,
            stop,
        }
    }

    /// Answers a request.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        caller: Caller,
    ) -> Response<Full<Bytes>> {
        let answer = self.decide(request, caller).await;
        let mut response = answer.unwrap_or_else(|refusal| {
            let problem = Problem {
                error: refusal.to_string(),
            };
            let mut response = json(&problem);
            *response.status_mut() = refusal.status();
            if let Refusal::Method(methods) = refusal {
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
        caller: Caller,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        let resource = Resource::at(request.uri().path()).ok_or(Refusal::UnknownPath)?;
        if !resource.is_for_anybody() && caller == Caller::Anybody {
            return Err(Refusal::NotHere);
        }
        resource.takes(request.method())?;
        Ok(match resource {
            Resource::Live => text(StatusCode::OK, "alive\n"),
            Resource::Ready if self.control.is_ready() => text(StatusCode::OK, "ready\n"),
            Resource::Ready => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
            Resource::Metrics => {
                let mut response =
                    Response::new(Full::from(self.control.metrics(self.lost_lines.count())));
                let kind = HeaderValue::from_static(metrics::CONTENT_TYPE);
                response.headers_mut().insert(CONTENT_TYPE, kind);
                response
            }
            Resource::Sessions => json(&self.sessions()),
            Resource::Kick => json(&self.kick(&body(request).await?, caller)?),
            Resource::Revoke => json(&self.revoke(body(request).await?, caller)?),
            Resource::Reload => {
                let by = caller.to_string();
                json(&self.reloads.reload(by).await.map_err(Refusal::Reload)?)
            }
            Resource::Drain => json(&self.drain(caller)),
            Resource::Publish => json(&self.publish(body(request).await?, caller)?),
        })
    }

    fn sessions(&self) -> Sessions {
        let now = Instant::now();
        let sessions = self.control.sessions();
        let sessions = sessions
            .iter()
            .filter_map(|(id, live)| Session::of(*id, live, now));
        Sessions {
            sessions: sessions.collect(),
        }
    }

    fn kick(&self, kick: &Kick, caller: Caller) -> Result<Kicked, Refusal> {
        let id = ConnectionId::from(kick.id);
        let live = self
            .control
            .kick(id)
            .ok_or(Refusal::NoConnection(kick.id))?;
        let principal = live.visit().map(|visit| &visit.grant.principal);
        audit::kicked(&caller.to_string(), id, live.peer(), principal);
        let user = principal.and_then(Principal::user);
        Ok(Kicked {
            id: kick.id,
            user: user.map(ToString::to_string),
            peer: live.peer().to_string(),
        })
    }

    fn revoke(&self, Revoke { user }: Revoke, caller: Caller) -> Result<Revoked, Refusal> {
        let name = UserName::parse(&user).ok();
        let ended = name.as_ref().and_then(|name| self.control.revoke(name));
        let (Some(name), Some(sessions_ended)) = (name, ended) else {
            return Err(Refusal::NoUser(user));
        };
        audit::user_revoked(&caller.to_string(), &name, sessions_ended);
        Ok(Revoked {
            user,
            sessions_ended,
        })
    }

    fn drain(&self, caller: Caller) -> Draining {
        let sessions = self.control.sessions().len();
        if !self.stop.is_cancelled() {
            audit::drain_begun(&caller.to_string());
            self.stop.cancel();
        }
        Draining { sessions }
    }

    fn publish(&self, publish: Publish, caller: Caller) -> Result<Publish, Refusal> {
        let Publish { room, text } = &publish;
        let published = self.control.publish(room, OPERATOR, text);
        published.map_err(Refusal::Publish)?;
        audit::published(&caller.to_string(), room, text.len());
        Ok(publish)
    }
}

async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Refusal> {
    let body = Limited::new(request.into_body(), MAX_BODY_BYTES)
        .collect()
        .await
        .map_err(|error| Refusal::Body(error.to_string()))?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| Refusal::Body(error.to_string()))
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
