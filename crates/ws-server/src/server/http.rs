//! The HTTP exchange of a connection: one request and one response (RFC 9112).
//!
//! hyper reads the head and writes the response. After an upgrade, the stream is taken back from
//! hyper, with the bytes that it read after the head. No part of the request leaves this module: a
//! single header value would keep all of hyper's buffers alive.

use std::{
    convert::Infallible,
    future::poll_fn,
    net::IpAddr,
    pin::{Pin, pin},
    sync::{Arc, OnceLock},
    task::Poll,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::future::{Either, select};
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{CONNECTION, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
    request::Parts,
};
use http_body_util::Full;
use hyper::{
    body::{Body as _, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use proto::{credentials::Identity, escape::Escaped};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    task::yield_now,
    time::{timeout, timeout_at},
};
use tracing::warn;

use crate::{
    access::{Access, AllowedOrigin, Grant, LoginMethod, Principal},
    admission::{Availability, BudgetExhausted},
    handshake::{Decision, Refusal, Upgrade, decide, is_ticket_request},
    limits::MAX_DISCARDED_BYTES,
    metrics::HandshakeEnd,
    page,
    peer::Peer,
    registry::{HeldBytes, Registration},
    request_head::{RequestConnection, RequestHead},
    route::RouteMatch,
    server::{
        accepted::AcceptedConnection,
        backend::{Opening, PendingBackend},
        request_login::log_in,
        spelling::StandardSpelling,
        state::ServerState,
        ticket::{self, TicketOutcome},
    },
    service::{BackedService, NotPublished, Publisher, Service},
    settings::CurrentSettings,
};

/// The maximum length of a request head, in bytes.
const HEAD_BYTES: usize = 16 * 1024;

/// The maximum number of fields in a request head.
const HEAD_FIELDS: usize = 100;

/// The time before the handshake deadline at which a connection to a backend is given up, so that the
/// response can still be sent.
const RESPONSE_TIME: Duration = Duration::from_secs(1);

/// The maximum length of an origin in the log, in bytes.
const MAX_ORIGIN_BYTES: usize = 300;

/// The outcome of the HTTP exchange.
#[derive(Debug)]
pub(crate) enum HttpOutcome<S> {
    /// The connection was upgraded to a WebSocket.
    Upgraded {
        /// The stream.
        io: S,
        /// The bytes received after the request head.
        leftovers: Bytes,
        /// The route and the path of the connection.
        matched: RouteMatch,
        /// The user that the request has proved, or a guest. `None` if a login by messages follows.
        principal: Option<Principal>,
        /// The backend of the service, if it has one.
        opening: Option<Opening>,
    },
    /// The request was answered, and the connection is over.
    Answered(HandshakeResponse),
    /// The input was not an HTTP request, and the connection is over.
    Malformed(hyper::Error),
    /// The deadline passed before the request was complete or answered. The connection is over.
    TimedOut,
    /// The peer disconnected before it sent a request.
    Disconnected,
}

impl<S> HttpOutcome<S> {
    /// Returns the result of the handshake for the metrics.
    fn end(&self) -> HandshakeEnd {
        HandshakeEnd::Answered(match self {
            Self::Upgraded { .. } => StatusCode::SWITCHING_PROTOCOLS,
            Self::Answered(HandshakeResponse::Published { .. } | HandshakeResponse::Preflight) => {
                StatusCode::NO_CONTENT
            }
            Self::Answered(
                HandshakeResponse::Page
                | HandshakeResponse::Description
                | HandshakeResponse::Ticket(_),
            ) => StatusCode::OK,
            Self::Answered(HandshakeResponse::Refused(refusal)) => refusal.status(),
            // hyper sends these two responses by itself.
            Self::Malformed(error) if error.is_parse_too_large() => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::Malformed(error) if error.is_parse() => StatusCode::BAD_REQUEST,
            Self::Malformed(_) | Self::TimedOut | Self::Disconnected => {
                return HandshakeEnd::Unanswered;
            }
        })
    }
}

/// A response that ends the connection.
#[derive(Debug)]
pub(crate) enum HandshakeResponse {
    /// The body of the request was published.
    Published {
        /// The path of the room.
        path: Arc<str>,
        /// The author.
        identity: Identity,
        /// The length of the text, in bytes.
        bytes: usize,
    },
    /// A ticket was issued for this user.
    Ticket(Identity),
    /// A browser may send a request for a ticket.
    Preflight,
    /// The page.
    Page,
    /// The description of the route.
    Description,
    /// The request was refused.
    Refused(Refusal),
}

/// The outcome of one request.
#[derive(Debug)]
enum RequestOutcome {
    Upgraded {
        matched: RouteMatch,
        principal: Option<Principal>,
        opening: Option<Opening>,
    },
    Answered(HandshakeResponse),
}

/// Reads one request and responds to it, within the deadline. Also returns the peer: behind a proxy,
/// only the request has the client address.
pub(crate) async fn exchange<S>(
    io: S,
    accepted: &AcceptedConnection,
    state: &ServerState,
) -> (HttpOutcome<S>, Peer)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut handler = RequestHandler {
        accepted,
        state,
        client: OnceLock::new(),
        outcome: OnceLock::new(),
    };
    let exchange = serve(io, &mut handler).await;
    let peer = client_peer(handler.client.into_inner(), accepted);
    (exchange, peer)
}

/// Returns the peer of a connection with this client address, if the request has one.
fn client_peer(client: Option<IpAddr>, accepted: &AcceptedConnection) -> Peer {
    match client {
        Some(client) if client != accepted.peer.ip().to_canonical() => Peer::Forwarded(client),
        Some(_) | None => Peer::Direct(accepted.peer),
    }
}

async fn serve<S>(io: S, handler: &mut RequestHandler<'_>) -> HttpOutcome<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (accepted, state) = (handler.accepted, handler.state);
    let limits = &accepted.settings.limits;
    // Every response except an upgrade has `Connection: close`, so there is only one request. Disabling
    // keep-alive would make hyper add it to the upgrade, too.
    let mut connection = http1::Builder::new()
        .half_close(true)
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS)
        .title_case_headers(true)
        .serve_connection(
            TokioIo::new(StandardSpelling::new(io)),
            // Boxed, because hyper moves the future.
            service_fn(|request| Box::pin(handler.handle(request))),
        );
    let served = {
        let serve = async {
            let undecided = pin!(poll_fn(|cx| connection.poll_without_shutdown(cx)));
            match select(undecided, pin!(state.drain.cancelled())).await {
                Either::Left((served, _)) => Some(served),
                // A request that is already decided gets its response.
                Either::Right(((), serve)) if handler.outcome.get().is_some() => Some(serve.await),
                Either::Right(((), _)) => None,
            }
        };
        timeout_at(accepted.deadline, serve).await
    };
    let http1::Parts { io, read_buf, .. } = connection.into_parts();
    let mut io = io.into_inner().into_inner();
    let (exchange, final_bytes) = match (served, handler.outcome.take()) {
        (
            Ok(Some(Ok(()))),
            Some(RequestOutcome::Upgraded {
                matched,
                principal,
                opening,
            }),
        ) => {
            let exchange = HttpOutcome::Upgraded {
                io,
                // Copied, because the original keeps hyper's whole buffer alive even if it is empty.
                leftovers: Bytes::copy_from_slice(&read_buf),
                matched,
                principal,
                opening,
            };
            state.metrics.handshake(exchange.end());
            return exchange;
        }
        // Decided, even if the client did not read the response in time.
        (Err(_), Some(RequestOutcome::Answered(answer))) => (HttpOutcome::Answered(answer), None),
        (Err(_), _) => (HttpOutcome::TimedOut, None),
        // hyper has sent a response to a malformed request, if any.
        (Ok(Some(_)), Some(RequestOutcome::Answered(answer))) => {
            (HttpOutcome::Answered(answer), Some(Vec::new()))
        }
        (Ok(Some(Err(error))), _) => (HttpOutcome::Malformed(error), Some(Vec::new())),
        (Ok(Some(Ok(()))), None) => (HttpOutcome::Disconnected, None),
        (Ok(None), _) => {
            let bytes = Refusal::Draining.bytes(state.back_in(Refusal::Draining));
            let refused = HandshakeResponse::Refused(Refusal::Draining);
            (HttpOutcome::Answered(refused), Some(bytes))
        }
    };
    // Counted before the lingering close, which may take until its deadline.
    state.metrics.handshake(exchange.end());
    if let Some(bytes) = final_bytes {
        let _ = timeout(limits.close_deadline, async {
            io.write_all(&bytes).await?;
            shutdown_and_drain(&mut io).await
        })
        .await;
    }
    exchange
}

/// Shuts down the sending side and reads until the peer closes (lingering close, RFC 9112 section
/// 9.6). Otherwise unread bytes could reset the connection before the peer has read the response.
async fn shutdown_and_drain<S>(io: &mut S) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    io.shutdown().await?;
    let mut unread = io.take(MAX_DISCARDED_BYTES);
    let mut dropped = [0; 4096];
    while unread.read(&mut dropped).await? > 0 {
        // The peer may never stop sending: yield to other tasks after each read.
        yield_now().await;
    }
    Ok(())
}

/// The handler of a connection's one request. It records the outcome and the client address.
#[derive(Debug)]
struct RequestHandler<'a> {
    accepted: &'a AcceptedConnection,
    state: &'a ServerState,
    client: OnceLock<IpAddr>,
    outcome: OnceLock<RequestOutcome>,
}

/// The publisher of a `POST`. Its access may be revoked while the body arrives or the text waits.
#[derive(Debug)]
struct GrantedPublisher {
    current: Arc<CurrentSettings>,
    grant: Grant,
}

impl Publisher for GrantedPublisher {
    fn may_publish(&self) -> bool {
        self.current.check(&self.grant).is_ok()
    }
}

impl RequestHandler<'_> {
    async fn handle(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let version = head.version;
        let (outcome, mut response) = match self.decide(head, body).await {
            Ok(decided) => decided,
            Err(refusal) => {
                let response = refusal
                    .response(self.state.back_in(refusal))
                    .map(Full::from);
                (
                    RequestOutcome::Answered(HandshakeResponse::Refused(refusal)),
                    response,
                )
            }
        };
        // With another version than the request's, hyper would add `keep-alive` to `Connection:
        // close` for an HTTP/1.0 client that requested it.
        *response.version_mut() = version;
        // Cannot fail: there is no second request.
        let _ = self.outcome.set(outcome);
        Ok(response)
    }

    async fn decide(
        &self,
        head: Parts,
        body: Incoming,
    ) -> Result<(RequestOutcome, Response<Full<Bytes>>), Refusal> {
        let AcceptedConnection {
            settings,
            permit,
            peer,
            ..
        } = self.accepted;
        let client = settings.proxies.client(peer.ip(), &head.headers);
        let _ = self.client.set(client);
        let availability = match permit.set_address(client) {
            _ if self.state.drain.is_cancelled() => Availability::Draining,
            availability => availability,
        };
        let budget = self.state.verifier.check_budget(client);
        if is_ticket_request(&head) {
            return Ok(self.ticket(&head, client, availability, budget).await);
        }
        let decision = decide(&head, &settings.handshake, availability, budget);
        match decision {
            Decision::Refuse(refusal) => {
                if refusal == Refusal::OriginNotAllowed {
                    self.warn_of_origin(&head, client);
                }
                Err(refusal)
            }
            _ if !self.accepted.admits_host(&head, self.state) => Err(Refusal::UnknownHost),
            Decision::Upgrade(upgrade) => {
                let is_public = upgrade.matched.route.access == Access::Public;
                let principal = is_public.then_some(Principal::Guest(self.accepted.id));
                self.upgrade(upgrade, principal, &head).await
            }
            Decision::Verify(upgrade, attempt) => {
                let route = Some(&upgrade.matched.route);
                let identity = log_in(attempt, client, self.accepted, route, self.state).await?;
                let principal = Principal::User(identity);
                self.upgrade(upgrade, Some(principal), &head).await
            }
            Decision::Publish(matched, attempt) => {
                let route = Some(&matched.route);
                let identity = log_in(attempt, client, self.accepted, route, self.state).await?;
                self.publish(matched, identity, body).await
            }
            Decision::Page => Ok((
                RequestOutcome::Answered(HandshakeResponse::Page),
                page::response().map(Full::new),
            )),
            Decision::Describe(description) => Ok((
                RequestOutcome::Answered(HandshakeResponse::Description),
                description.response().map(Full::from),
            )),
        }
    }

    /// Responds to a request for a ticket.
    async fn ticket(
        &self,
        head: &Parts,
        client: IpAddr,
        availability: Availability,
        budget: Result<(), BudgetExhausted>,
    ) -> (RequestOutcome, Response<Full<Bytes>>) {
        let (accepted, state) = (self.accepted, self.state);
        let respond = ticket::respond(head, client, availability, budget, accepted, state);
        // Boxed, so that other requests do not reserve memory for it.
        let (outcome, response) = Box::pin(respond).await;
        let answered = match outcome {
            TicketOutcome::Issued(identity) => HandshakeResponse::Ticket(identity),
            TicketOutcome::Preflight => HandshakeResponse::Preflight,
            TicketOutcome::Refused(refusal) => {
                if refusal == Refusal::OriginNotAllowed {
                    self.warn_of_origin(head, client);
                }
                HandshakeResponse::Refused(refusal)
            }
        };
        (RequestOutcome::Answered(answered), response.map(Full::from))
    }

    /// Accepts an upgrade. If no login by messages follows, the backend of the service is connected
    /// first, so that a failure has a status.
    async fn upgrade(
        &self,
        mut upgrade: Upgrade,
        principal: Option<Principal>,
        head: &Parts,
    ) -> Result<(RequestOutcome, Response<Full<Bytes>>), Refusal> {
        let mut opening = None;
        if let Service::Backed(service) = &upgrade.matched.route.service {
            let pending = self.pending_backend(service, &upgrade, principal.as_ref(), head);
            opening = Some(match &principal {
                Some(principal) => {
                    let login = principal.login_method(LoginMethod::Basic);
                    let latest = self.accepted.deadline.checked_sub(RESPONSE_TIME);
                    let backend = pending
                        .connect(principal, login, latest, self.state)
                        .await?;
                    upgrade.subprotocol = backend.subprotocol(upgrade.subprotocol.take());
                    Opening::Connected(backend)
                }
                None => Opening::Pending(Box::new(pending)),
            });
        }
        let response = switching_protocols(&upgrade);
        let outcome = RequestOutcome::Upgraded {
            matched: upgrade.matched,
            principal,
            opening,
        };
        Ok((outcome, response))
    }

    fn pending_backend(
        &self,
        service: &Arc<BackedService>,
        upgrade: &Upgrade,
        principal: Option<&Principal>,
        head: &Parts,
    ) -> PendingBackend {
        let AcceptedConnection {
            id,
            local,
            scheme,
            settings,
            ..
        } = self.accepted;
        let route = &upgrade.matched.route;
        let head = RequestHead::new(
            head,
            RequestConnection {
                peer: client_peer(self.client.get().copied(), self.accepted),
                local: *local,
                scheme: *scheme,
            },
            |bytes| self.state.registry.budget().count_bytes(bytes),
        );
        let subprotocols = match principal {
            Some(_) => settings.handshake.offered_subprotocols(route, &head),
            // The 101 names one before the backend can select it.
            None => upgrade.subprotocol.iter().cloned().collect(),
        };
        PendingBackend {
            service: Arc::clone(service),
            connection: *id,
            matched: upgrade.matched.clone(),
            subprotocols,
            head,
            max_message_bytes: settings.max_message_bytes(route),
            limits: Arc::clone(&settings.limits),
        }
    }

    /// Logs a page of a foreign origin, and the configuration that would admit it.
    fn warn_of_origin(&self, head: &Parts, client: IpAddr) {
        let origin = head.headers.get(ORIGIN).and_then(|it| it.to_str().ok());
        let origin = origin.filter(|origin| origin.len() <= MAX_ORIGIN_BYTES);
        let allowed = origin.and_then(|it| it.parse::<AllowedOrigin>().ok());
        // Malformed origins are one kind.
        let origin = allowed.map(|allowed| allowed.to_string());
        let refused = &self.state.refused_origins;
        if !refused.is_due(origin.as_deref(), Instant::now()) {
            return;
        }
        let connection = self.accepted.id.number();
        let Some(origin) = origin else {
            warn!(connection, peer = %client, "the Origin of a request is malformed");
            return;
        };
        let route = self
            .accepted
            .settings
            .handshake
            .routes
            .find(head.uri.path());
        let own_list = route.filter(|route| route.allowed_origins.is_some());
        let place = own_list.map_or_else(String::new, |route| {
            format!(" in the [[route]] of {}", route.pattern)
        });
        warn!(
            connection,
            peer = %client,
            "a page of {} may not connect: to allow it, write allowed_origins = [\"{0}\"]{place}",
            Escaped(&origin)
        );
    }

    async fn publish(
        &self,
        RouteMatch { route, path }: RouteMatch,
        identity: Identity,
        body: Incoming,
    ) -> Result<(RequestOutcome, Response<Full<Bytes>>), Refusal> {
        let limit = self.accepted.settings.max_message_bytes(&route);
        let peer = client_peer(self.client.get().copied(), self.accepted);
        // Until the text is published, the bytes of the body count for this connection.
        let registration = self.state.registry.register(self.accepted.id, peer);
        let text = read_text(body, limit, &registration).await?;
        let grant = Grant {
            principal: Principal::User(identity.clone()),
            pattern: Arc::clone(&route.pattern),
        };
        let from = grant.principal.to_string();
        let publisher = GrantedPublisher {
            current: Arc::clone(&self.state.current),
            grant,
        };
        let publish = route
            .service
            .publish(&self.state.hub, &path, &from, &text, limit, publisher);
        let demanded = pin!(demanded(&registration));
        match select(pin!(publish), demanded).await {
            Either::Left((result, _)) => result.map_err(|reason| match reason {
                NotPublished::Busy => Refusal::RoomBusy,
                NotPublished::Revoked => Refusal::Forbidden,
                NotPublished::TooLong => Refusal::BodyTooLong,
            })?,
            Either::Right((refusal, _)) => return Err(refusal),
        }
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
        let answer = HandshakeResponse::Published {
            path,
            identity,
            bytes: text.len(),
        };
        Ok((RequestOutcome::Answered(answer), response))
    }
}

/// Reads a body as non-empty UTF-8 text of at most `limit` bytes, into one buffer: a body in chunks of
/// one byte would take twenty times its length otherwise.
async fn read_text(
    mut body: Incoming,
    limit: usize,
    registration: &Registration,
) -> Result<String, Refusal> {
    // Refused by `Content-Length`, before the body is read. A client with `Expect: 100-continue` gets no
    // 100 (RFC 9110 section 10.1.1).
    let announced = body.size_hint().lower();
    let announced = usize::try_from(announced).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(Refusal::BodyTooLong);
    }
    let mut text = Vec::with_capacity(announced);
    loop {
        let own = text.capacity();
        registration.report(HeldBytes { own, shared: 0 }, text.len() as u64);
        registration.relieve();
        let frame = poll_fn(|cx| {
            let entry = registration.entry();
            // The waker is registered before the demand is read.
            let is_draining = entry.poll_ended(cx.waker()).is_some();
            if entry.holding().demanded().is_some() {
                return Poll::Ready(Err(Refusal::BuffersFull));
            }
            if is_draining {
                return Poll::Ready(Err(Refusal::Draining));
            }
            Pin::new(&mut body).poll_frame(cx).map(Ok)
        });
        match frame.await {
            Ok(None) => break,
            // Trailers have no data.
            Ok(Some(Ok(frame))) => {
                let data = frame.into_data().unwrap_or_default();
                if data.len() > limit - text.len() {
                    return Err(Refusal::BodyTooLong);
                }
                text.extend_from_slice(&data);
            }
            // The connection failed, so the response is not read.
            Ok(Some(Err(_))) => return Err(Refusal::BodyNotUtf8),
            Err(refusal) => {
                if let Some(cause) = registration.entry().holding().demanded() {
                    registration.count_eviction(cause);
                }
                return Err(refusal);
            }
        }
    }
    match String::from_utf8(text) {
        Ok(text) if !text.is_empty() => Ok(text),
        Ok(_) | Err(_) => Err(Refusal::BodyNotUtf8),
    }
}

/// Waits until the budget asks for the bytes of a body.
async fn demanded(registration: &Registration) -> Refusal {
    let entry = registration.entry();
    let cause = poll_fn(|cx| {
        // The waker is registered before the demand is read.
        entry.poll_ended(cx.waker());
        let demanded = entry.holding().demanded();
        demanded.map_or(Poll::Pending, Poll::Ready)
    });
    registration.count_eviction(cause.await);
    Refusal::BuffersFull
}

fn switching_protocols(upgrade: &Upgrade) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    let value = |text: &str| {
        HeaderValue::from_str(text).expect("base64 and configured tokens are field values")
    };
    headers.insert(SEC_WEBSOCKET_ACCEPT, value(&upgrade.accept));
    if let Some(subprotocol) = &upgrade.subprotocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, value(subprotocol));
    }
    response
}
